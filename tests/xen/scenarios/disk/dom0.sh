#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest with four processors, whose disk ringtap serves: ext4, rings of all numbers and sizes,
# requests of all lengths, the disk's end and its next life, another length, a disk for reading; and a
# guest whose root is on such a disk.
# Arguments: RINGS:ORDER:SEGMENTS:on|off, what the guest is allowed and whether grants are persistent,
# instead of those below. Where they are, it takes a page of memory for each segment of each slot.

# shellcheck source=tests/xen/lib/dom0-disk.sh
. /lab/dom0-disk.sh

cases=(1:0:32:on 1:4:32:on 2:1:256:on 2:3:256:off 4:2:32:on 4:4:256:off)
[ $# = 0 ] || cases=("$@")

image_blocks() { stat -c %b "/tmp/$1.img"; }

on_a_filesystem() {
    local before
    check "ext4 is made and mounted" guest u1 ext4_new
    check "a file is the same after it was mounted again" guest u1 'ext4_keeps 4'
    check "fio: 4k to 1M, one and 32 at a time, sequential and random" guest u1 "disk_fio /mnt/fio \
        $(echo {write,randrw}:{4k:1:1,4k:32:1,64k:1:1,64k:32:4,1M:1:2}) randwrite:1M:32:40"
    before=$(image_blocks u1)
    guest u1 'rm /mnt/file /mnt/fio'
    check "fstrim" guest u1 'sync; fstrim -v /mnt'
    check "the image is smaller ($before blocks before, $(image_blocks u1) now)" \
        [ "$(image_blocks u1)" -lt $((before - 16384)) ]
    check "the filesystem is whole" guest u1 ext4_whole
    check "all of it is discarded" guest u1 'blkdiscard /dev/xvda'
    check "the image is empty ($(image_blocks u1) blocks)" [ "$(image_blocks u1)" = 0 ]
}

resized() {
    local bytes=$((160 << 20))
    check "QMP makes it longer" qmp_ok u1 block_resize "{\"node-name\":\"n0\",\"size\":$bytes}"
    check "the guest sees it" guest u1 "wait_for_bytes xvda $bytes"
    check "its new end can be written to" guest u1 \
        "dd if=/dev/urandom of=/dev/xvda bs=1M seek=150 count=10 oflag=direct status=none"
    check "and is in the image" [ "$(guest u1 'sum /dev/xvda')" = \
        "$(tail -c $((4 << 20)) /tmp/u1.img | sha256sum)" ]
}

# another_disk TEXT PARAMETERS [PROPERTIES [NODE]]: the guest's disk goes, and comes back
another_disk() {
    check "$1: the disk goes" disk_detach u1
    check "$1: blkfront unloads" guest u1 disk_down
    check "$1: a disk comes" disk_attach u1 "${@:3}"
    check "$1: blkfront loads" guest u1 "disk_up $2"
}

# rings_show FILE: what was counted of each ring, a line each
rings_show() {
    awk '!($1 in line) { order[n++] = $1 }
        $4 > 0 { line[$1] = line[$1] " " $2 "-" $3 "=" $4 }
        END { for (i = 0; i < n; i++) print "    ring " order[i] ":" line[order[i]] }' "$1"
}

# rings_all_busy FILE RINGS: each of them had requests to read and to write
rings_all_busy() {
    awk -v want="$2" '$3 == "requests" && $2 ~ /^(read|write)$/ && $4 > 0 { n++ }
        END { exit n != 2 * want }' "$1"
}

# counted FILE GROUP COUNTER: of all rings
counted() { awk -v g="$2" -v c="$3" '$2 == g && $3 == c { n += $4 } END { print n + 0 }' "$1"; }

# with_rings RINGS ORDER SEGMENTS on|off
with_rings() {
    local text="rings $1, order $2, segments $3, persistent $4" persistent=false
    [ "$4" = off ] || persistent=true
    another_disk "$text" "max_queues=$1 max_ring_page_order=$2 max_indirect_segments=$3" \
        "\"num-queues\":4,\"persistent-grants\":$persistent"
    check "$text: so many rings" [ "$(guest u1 'disk_rings xvda')" = "$1" ]
    counters u1 > /tmp/before
    check "$text: fio" guest u1 "disk_fio /dev/xvda \
        write:4k:32:1 randrw:1M:4:8 randrw:4k:32:1 write:1M:8:8"
    counters_since u1 /tmp/before > /tmp/counters
    rings_show /tmp/counters
    check "$text: every ring read and wrote" rings_all_busy /tmp/counters "$1"
    check "$text: requests were read that are longer than 11 segments" \
        [ "$(counted /tmp/counters read indirect)" -gt 0 ]
    check "$text: such were written" [ "$(counted /tmp/counters write indirect)" -gt 0 ]
}

read_only() {
    check "a node for reading" qmp_ok u1 blockdev-add \
        '{"driver":"file","node-name":"ro","filename":"/tmp/ro.img","read-only":true}'
    another_disk "read-only" max_indirect_segments=256 '' ro
    check "it is read" [ "$(guest u1 'sum /dev/xvda')" = "$(sha256sum < /tmp/ro.img)" ]
    check "it cannot be written to" guest u1 write_refused
}

root_on_disk() {
    another_disk "root" max_indirect_segments=256
    check "a root is made on it" guest u1 'ext4_new && root_copy'
    check "ringtap ends" ringtap_stop u1
    check "the guest is content" messages_clean u1
    check "the guest is destroyed" guest_destroy u1
    mv /tmp/u1.img /tmp/u2.img
    # shellcheck disable=SC2034 # guest_config reads it
    guest_init=$root_init
    check "a guest is created for it" guest_create u2 2
    check "ringtap serves it" ringtap_disk u2
    check "it boots" guest_boot u2
    messages_start u2
    check "its root is the disk" guest u2 root_is_disk
    check "the guest is content" messages_clean u2
    check "the guest is destroyed" guest_destroy u2
    check "ringtap ends" ringtap_stop u2
}

# shellcheck disable=SC2034 # guest reads it
guest_timeout=300
messages_start dom0
check "xen-blkback is not loaded" [ ! -e /sys/module/xen_blkback ]
check "an image is made" disk_image u1 128
head -c $((4 << 20)) /dev/urandom > /tmp/ro.img
check "a guest is created" guest_create u1 4
check "ringtap serves it" ringtap_disk u1 num-queues=4 discard=unmap
check "it boots" guest_boot u1
messages_start u1
check "its disk comes up" guest u1 disk_up
[ "$failures" = 0 ] || { cat /tmp/u1.log; scenario_end; }
on_a_filesystem
resized
for case in "${cases[@]}"; do
    IFS=: read -r rings order segments persistent <<< "$case"
    with_rings "$rings" "$order" "$segments" "$persistent"
done
read_only
root_on_disk
check "dom0's kernel is content" messages_clean dom0
for log in /tmp/u1.log /tmp/u2.log; do
    [ ! -s "$log" ] || { echo "what ringtap said in $log:"; cat "$log"; }
done
scenario_end
