#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios about a vbd: images, and those who serve them. Sourced in dom0.

# shellcheck source=tests/xen/lib/dom0.sh
. /lab/dom0.sh
# shellcheck source=tests/lab/both.sh
. /lab/both.sh
# shellcheck source=tests/lab/measure.sh
. /lab/measure.sh

bad_messages+='|xvd|blk|vbd|loop|I/O error|EXT4|JBD2'

# disk_image NAME MIB: /tmp/NAME.img, in memory, all of it there
disk_image() {
    dd if=/dev/zero of="/tmp/$1.img" bs=1M count="$2" status=none
}

# root_image NAME MIB: /tmp/NAME.img with a root file system: dom0's own programs, which are a guest's as
# well. guest_init=$root_init is for its guest.
root_image() {
    mkdir /tmp/root || return
    cp -a /bin /etc /init /lab /lib /lib64 /sbin /usr /var /tmp/root/ 2> /tmp/cp.log
    mkdir -p /tmp/root/{proc,sys,dev,run,tmp,root,mnt}
    mkfs.ext4 -q -d /tmp/root "/tmp/$1.img" "${2}M" > /tmp/mkfs 2>&1 && rm -rf /tmp/root
}

# shellcheck disable=SC2034 # scenarios read it
root_init=/lab/guest-root-init.sh

# blkback_guest NAME VCPUS: a guest whose xvda is /tmp/NAME.img, by a loop device and xen-blkback.
# Whatever the host has of udev and hotplug scripts, block-lab does not need it.
blkback_guest() {
    local loop
    modprobe loop && modprobe xen-blkback || return
    loop=$(losetup -f) && losetup "$loop" "/tmp/$1.img" || return
    guest_create "$1" "$2" \
        "disk=['format=raw,vdev=xvda,access=rw,script=block-lab,target=$loop']"
}

# ringtap_disk NAME [PROPERTIES [OPTIONS]]: ringtap serves /tmp/NAME.img as xvda to a guest that was
# created, with these PROPERTIES of the device and OPTIONS of the image, separated by commas. Killed
# and started again, it says what it has to say into the same log.
ringtap_disk() {
    echo 16384 > /sys/module/xen_gntalloc/parameters/limit # pages that copies are made from and to
    rm -f "/run/$1.qmp"
    ringtap -machine xenpv -xen-domid "${guest_domid[$1]}" -xen-attach -name "$1" -nodefaults \
        -display none -blockdev "driver=file,node-name=n0,filename=/tmp/$1.img${3:+,$3}" \
        -device "xen-disk,id=disk0,drive=n0,vdev=xvda${2:+,$2}" \
        -qmp "unix:/run/$1.qmp,server=on,wait=off" >> "/tmp/$1.log" 2>&1 &
    ringtap_pid[$1]=$!
    wait_for 20 [ -S "/run/$1.qmp" ] && wait_for 20 backend_offers "$1" qdisk
}

# As a crash: nothing is closed, nothing removed.
ringtap_kill() {
    kill -KILL "${ringtap_pid[$1]}"
    wait "${ringtap_pid[$1]}" 2>/dev/null
    true
}

# qmp_ok NAME COMMAND [ARGUMENTS]: true if it returns something else than an error, which is printed
qmp_ok() {
    local answer
    answer=$(qmp "$@")
    grep -q '"return"' <<< "$answer" || { echo "$2: $answer"; return 1; }
}

has_device() { qmp "$1" qom-list '{"path":"/machine/peripheral"}' | grep -q '"disk0"'; }

# disk_detach NAME: the device goes, when the guest has let go of it
disk_detach() {
    qmp_ok "$1" device_del '{"id":"disk0"}' && wait_for 20 has_no_device "$1"
}

has_no_device() { ! has_device "$1"; }

# disk_attach NAME [PROPERTIES [NODE]]: PROPERTIES as JSON
disk_attach() {
    qmp_ok "$1" device_add \
        "{\"driver\":\"xen-disk\",\"id\":\"disk0\",\"drive\":\"${3:-n0}\",\"vdev\":\"xvda\"${2:+,$2}}"
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
