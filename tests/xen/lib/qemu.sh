# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The QEMU that ringtap is measured against, of bookworm-backports.

qemu_fill() {
    local program=$2/x/usr/libexec/xen-qemu-system-i386
    package_unpack "$1" "$2" backports
    backports_runs "$program"
    mv "$program" "$2/qemu"
    rm -rf "$2/x"
}

# qemu_image: a folder with Debian's QEMU for Xen of version 10 or later
qemu_image() {
    local version
    version=$(backports_version qemu-system-xen) || exit
    cached qemu "${version//[^a-z0-9.]/-}" qemu_fill "qemu-system-xen=$version"
}
