#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a guest does with a disk. Sourced by guest.sh.

# disk_appears NAME [SECONDS]
disk_appears() {
    local i
    for ((i = 0; i < ${2:-20} * 10; i++)); do
        [ ! -b "/dev/$1" ] || return 0
        sleep 0.1
    done
    echo "no $1"
    return 1
}

# disk_up [PARAMETER...]: loads blkfront, with requests as long as backends allow if nothing else is
# said, and waits for xvda
disk_up() {
    [ $# -gt 0 ] || set -- max_indirect_segments=256
    modprobe xen-blkfront "$@" && disk_appears xvda
}

# disk_gone NAME
disk_gone() {
    local i
    for ((i = 0; i < 100; i++)); do
        [ -b "/dev/$1" ] || return 0
        sleep 0.1
    done
    echo "$1 is still there"
    return 1
}

# disk_down: unloads blkfront, whose disk is gone, though maybe not all of it at once
disk_down() {
    local i
    disk_gone xvda || return
    for ((i = 0; i < 50; i++)); do
        ! rmmod xen-blkfront 2> /tmp/rmmod || return 0
        sleep 0.2
    done
    cat /tmp/rmmod
    return 1
}

# what a kernel asks for itself, by a modprobe that is not where it looks
ext4_load() { modprobe crc32c_generic && modprobe ext4; }

# root_is_disk: the guest's root is xvda, and can be written to
root_is_disk() { grep '^/dev/xvda / ext4' /proc/mounts && echo test > /file && sync; }

disk_bytes() { blockdev --getsize64 "/dev/$1"; }

# as many hardware queues as blkfront has rings
disk_rings() { find "/sys/block/$1/mq" -mindepth 1 -maxdepth 1 | wc -l; }

# disk_fio FILE JOB...: fio writes to FILE, reads all of it back and compares. A JOB is
# WAY:SIZE:DEPTH:MIB; it has MIB of FILE to itself, and flushes after some writes. All of them at the
# same time, each at a processor of its own while there are any.
disk_fio() {
    local file=$1 from=0 cpu=0 cpus job way size depth mib
    cpus=$(nproc)
    shift
    {
        printf '%s\n' '[global]' "filename=$file" direct=1 ioengine=libaio thread \
            verify=crc32c verify_fatal=1 do_verify=1 group_reporting
        for job; do
            IFS=: read -r way size depth mib <<< "$job"
            printf '%s\n' "[$job]" "rw=$way" "bs=$size" "iodepth=$depth" "size=${mib}M" \
                "offset=${from}M" "fdatasync=$((depth * 2))" "cpus_allowed=$((cpu % cpus))"
            from=$((from + mib))
            cpu=$((cpu + 1))
        done
    } > /tmp/fio.jobs
    fio --output=/tmp/fio.out /tmp/fio.jobs > /tmp/fio.err 2>&1 ||
        { cat /tmp/fio.err /tmp/fio.out; return 1; }
}
