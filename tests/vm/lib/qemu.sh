# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# QEMU: the machine's own, or that of bookworm-backports, unpacked.

qemu_fill() {
    package_unpack "qemu-system-x86=$1" "$2" backports
    package_unpack "qemu-system-data=$1" "$2" backports
    backports_runs "$2/x/usr/bin/qemu-system-x86_64"
    mv "$2/x/usr/bin/qemu-system-x86_64" "$2/qemu"
    mv "$2/x/usr/share/qemu" "$2/share"
    rm -rf "$2/x"
}

# qemu_find 7.2|10: in $qemu, a folder; nothing: the machine's own
qemu_find() {
    local version
    qemu=''
    if [ "$1" != 7.2 ]; then
        backports_ready
        version=$(backports_version qemu-system-x86) || exit
        qemu=$(cached qemu "${version//[^a-z0-9.]/-}" qemu_fill "$version") || exit
    fi
}
