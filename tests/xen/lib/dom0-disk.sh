#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios about a vbd: images, and those who serve them. Sourced in dom0.

# shellcheck source=tests/xen/lib/dom0.sh
. /lab/dom0.sh

# disk_image NAME MIB: /tmp/NAME.img, in memory, all of it there
disk_image() {
    dd if=/dev/zero of="/tmp/$1.img" bs=1M count="$2" status=none
}

# blkback_guest NAME VCPUS: a guest whose xvda is /tmp/NAME.img, by a loop device and xen-blkback.
# Whatever the host has of udev and hotplug scripts, block-lab does not need it.
blkback_guest() {
    local loop
    modprobe loop && modprobe xen-blkback || return
    loop=$(losetup -f) && losetup "$loop" "/tmp/$1.img" || return
    guest_create "$1" "$2" \
        "disk=['format=raw,vdev=xvda,access=rw,script=block-lab,target=$loop']"
}

# qemu_disk NAME: QEMU's own device serves /tmp/NAME.img as xvda to a guest that was created
qemu_disk() {
    qemu -machine xenpv -xen-domid "${guest_domid[$1]}" -xen-attach -name "$1" -nodefaults \
        -display none -object iothread,id=t0 \
        -drive "file=/tmp/$1.img,if=none,id=d0,format=raw" \
        -device xen-disk,drive=d0,vdev=xvda,iothread=t0 > "/tmp/$1.log" 2>&1 &
    wait_for 20 backend_offers "$1" qdisk
}

# backend_offers NAME KIND: the backend of the guest's xvda is in InitWait, or further
backend_offers() {
    [ "$(xenstore-read "/local/domain/0/backend/$2/${guest_domid[$1]}/51712/state" 2>/dev/null)" \
        -ge 2 ] 2>/dev/null
}
