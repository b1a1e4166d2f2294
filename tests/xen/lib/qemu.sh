# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The QEMU that ringtap is measured against, of bookworm-backports.

qemu_fill() {
    local program=$2/x/usr/libexec/xen-qemu-system-i386 missing
    package_unpack "$1" "$2" backports
    # They come with the machine's own QEMU, if both are of Debian 12.
    missing=$(ldd "$program" | awk '/not found/ { print $1 }')
    [ -z "$missing" ] || cannot "QEMU of $backports needs" $missing
    mv "$program" "$2/qemu"
    rm -rf "$2/x"
}

# qemu_image: a folder with Debian's QEMU for Xen of version 10 or later
qemu_image() {
    local version
    version=$(backports_apt cache madison qemu-system-xen | awk '$3 ~ /bpo/ { print $3; exit }')
    [ -n "$version" ] || cannot "apt knows no QEMU of $backports (apt-get update?)"
    cached qemu "${version//[^a-z0-9.]/-}" qemu_fill "qemu-system-xen=$version"
}
