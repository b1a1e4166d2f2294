#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guests whose disks are images that others have: qcow2 by a qemu-storage-daemon of ringtap's, and raw
# by nbdkit. They work; when the one that has the image is killed, under load, the guest has errors
# and nothing else; what it had flushed is there when it is served again. And guests whose root is there.

# shellcheck source=tests/xen/lib/dom0-disk.sh
. /lab/dom0-disk.sh
# shellcheck source=tests/lab/both.sh
. /lab/both.sh

declare -A ringtap_pid

# serve NAME BLOCKDEV: ringtap, for a guest that was created
serve() {
    rm -f "/run/$1.qmp"
    ringtap -machine xenpv -xen-domid "${guest_domid[$1]}" -xen-attach -name "$1" -nodefaults \
        -display none -blockdev "node-name=n0,$2" -device xen-disk,id=disk0,drive=n0,vdev=xvda \
        -qmp "unix:/run/$1.qmp,server=on,wait=off" >> "/tmp/$1.log" 2>&1 &
    ringtap_pid[$1]=$!
    wait_for 20 backend_offers "$1" qdisk
}

# As after a crash, with a new server of the image by now.
serve_again() {
    kill -KILL "${ringtap_pid[$1]}"
    wait "${ringtap_pid[$1]}" 2> /dev/null
    serve "$@"
}

# resize NAME BYTES
resize() {
    qmp "$1" block_resize "{\"node-name\":\"n0\",\"size\":$2}" | grep -q '"return"'
}

log_has() { grep -q "$2" "/tmp/$1.log"; }

server_pid() { pidof "$1"; }

# nbdkit_start NAME: it has /tmp/NAME.img
nbdkit_start() {
    rm -f /tmp/nbd.sock
    nbdkit -U /tmp/nbd.sock -P /tmp/nbdkit.pid file "/tmp/$1.img"
}

# works NAME: its disk does, from the guest's boot on
works() {
    check "$1: it boots" guest_boot "$1"
    check "$1: its disk comes up" guest "$1" image_up
    check "$1: it is written to" guest "$1" 'image_fill 8'
    check "$1: and read" guest "$1" image_same
}

ringtap_ended() { kill "${ringtap_pid[$1]}" && wait "${ringtap_pid[$1]}"; }

# boots TEXT NAME BLOCKDEV: a guest whose root is there
boots() {
    # shellcheck disable=SC2034 # guest_config reads it
    local guest_init=$root_init
    check "$1: a guest is created" guest_create "$2" 2
    check "$1: ringtap serves its root" serve "$2" "$3"
    check "$1: it boots" guest_boot "$2"
    messages_start "$2"
    check "$1: from there" guest "$2" root_is_disk
    check "$1: its kernel is content" messages_clean "$2"
    check "$1: the guest is destroyed" guest_destroy "$2"
    check "$1: ringtap ends" ringtap_ended "$2"
}

# killed NAME PROGRAM: the one that has the image
killed() {
    check "$1: a load of writes begins" guest "$1" image_load
    sleep 2
    check "$1: $2 is killed" kill -KILL "$(server_pid "$2")"
    check "$1: the load has an error" guest "$1" image_load_failed
    check "$1: there is nothing but errors" guest "$1" image_fails
    check "$1: ringtap says so" log_has "$1" "all requests fail from now on"
}

# shellcheck disable=SC2034 # guest reads it
guest_timeout=300
messages_start dom0
check "qcow2: an image is made" qemu-img create -q -f qcow2 /tmp/u1.qcow2 64M
check "qcow2: a guest is created" guest_create u1 2
qcow2=driver=qcow2,discard=unmap,file.driver=file,file.filename=/tmp/u1.qcow2
check "qcow2: ringtap serves it" serve u1 "$qcow2"
works u1
check "qcow2: a load of writes begins" guest u1 image_load
check "qcow2: it gets longer meanwhile" resize u1 $((96 << 20))
check "qcow2: the guest sees it" guest u1 "image_has_bytes $((96 << 20))"
check "qcow2: the load has seen no error" guest u1 image_load_end
killed u1 qemu-storage-daemon
check "qcow2: another ringtap serves it" serve_again u1 "$qcow2"
check "qcow2: what was flushed is there" guest u1 image_same
check "qcow2: it can be written to" guest u1 'image_fill 4 && image_same'
check "qcow2: the guest is destroyed" guest_destroy u1

check "nbd: an image is made" disk_image u2 64
check "nbd: nbdkit has it" nbdkit_start u2
check "nbd: a guest is created" guest_create u2 2
nbd=driver=nbd,server.type=unix,server.path=/tmp/nbd.sock
check "nbd: ringtap serves it" serve u2 "$nbd"
works u2
killed u2 nbdkit
check "nbd: nbdkit is started again" nbdkit_start u2
check "nbd: it makes no difference" guest u2 image_fails
check "nbd: another ringtap serves it" serve_again u2 "$nbd"
check "nbd: what was flushed is there" guest u2 image_same
check "nbd: it can be written to" guest u2 'image_fill 4 && image_same'
check "nbd: the guest is destroyed" guest_destroy u2
check "nbdkit is ended" kill "$(< /tmp/nbdkit.pid)"

check "an image with a root file system" root_image u3 256
check "root on nbd: nbdkit has it" nbdkit_start u3
boots "root on nbd" u3 "$nbd"
check "root on nbd: nbdkit is ended" kill "$(< /tmp/nbdkit.pid)"
check "root on qcow2: the image is made" \
    qemu-img convert -q -f raw -O qcow2 /tmp/u3.img /tmp/u4.qcow2
rm /tmp/u3.img
boots "root on qcow2" u4 "${qcow2/u1/u4}"
check "root on qcow2: what it wrote is there" qemu-img check -q /tmp/u4.qcow2
check "dom0's kernel is content" messages_clean dom0
[ "$failures" = 0 ] || tail -n 20 /tmp/u?.log
scenario_end
