#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guests of the same kind in one dom0, each with a disk whose image is in memory: served by Linux
# blkback on a loop device, with qemu=yes by QEMU's xen-disk in an iothread, and by ringtap. They are
# measured in turn, requests at random places, and medians compared.
# Arguments: vcpus=N rounds=N seconds=N sizes=N,... depths=N,... qemu=yes
# persistent=default|on|off,...: a guest of ringtap's for each of these

# shellcheck source=tests/xen/lib/dom0-disk.sh
. /lab/dom0-disk.sh
# shellcheck source=tests/xen/scenarios/bench-disk/results.sh
. /lab/scenario/results.sh

vcpus=2 rounds=3 seconds=1 sizes=4096,65536,1048576 depths=1,32 qemu=no persistent=default
image_mib=128
for argument; do
    case $argument in
        vcpus=*|rounds=*|seconds=*|sizes=*|depths=*|qemu=*|persistent=*) declare "$argument" ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done

declare -A rates kind=([u1]=blkback [u2]=qemu)
guests=(u1)

# one_run NAME read|write SIZE DEPTH
one_run() {
    local rate
    if ! rate=$(guest "$1" "disk-load /dev/xvda $2 $3 $4 $seconds"); then
        fail "${kind[$1]} $2 $3 $4: $rate"
        return
    fi
    rates[$1/$2/$3/$4]+="$rate "
    printf '%-11s %-5s %7s depth %2s %8s a second\n' "${kind[$1]}" "$2" "$3" "$4" "$rate"
}

# guest_of NAME COMMAND...: a guest that was created is served by COMMAND, and boots
guest_of() {
    local name=$1
    shift
    [ $# = 0 ] || check "${kind[$name]} serves $name" "$@"
    check "it boots" guest_boot "$name"
    check "its disk comes up" guest "$name" disk_up
}

ringtap_guests() {
    local n=2 way name
    for way in ${persistent//,/ }; do
        n=$((n + 1))
        name=u$n
        guests+=("$name")
        kind[$name]=ringtap
        check "an image is made" disk_image "$name" "$image_mib"
        check "a guest for ringtap is created" guest_create "$name" "$vcpus"
        if [ "$way" = default ]; then
            guest_of "$name" ringtap_disk "$name"
        else
            kind[$name]=ringtap-$way
            guest_of "$name" ringtap_disk "$name" "persistent-grants=$way"
        fi
    done
}

# warm_up NAME: a guest's pages that stay mapped are mapped at their first use, which takes a second for
# as many as the longest requests need, in each ring
warm_up() {
    local cpu
    for ((cpu = 0; cpu < vcpus; cpu++)); do
        guest "$1" "taskset -c $cpu disk-load /dev/xvda write ${sizes##*,} ${depths##*,} 1.5" \
            > /tmp/warm || { cat /tmp/warm; return 1; }
    done
}

guest_timeout=300
check "an image is made" disk_image u1 "$image_mib"
check "a guest for blkback is created" blkback_guest u1 "$vcpus"
guest_of u1
if [ "$qemu" = yes ]; then
    guests+=(u2)
    check "an image is made" disk_image u2 "$image_mib"
    check "a guest for QEMU is created" guest_create u2 "$vcpus"
    guest_of u2 qemu_disk u2
fi
ringtap_guests
[ "$failures" = 0 ] || { cat /tmp/u*.log; scenario_end; }
for name in "${guests[@]}"; do
    check "${kind[$name]} warms up" warm_up "$name"
done
say "Linux $(uname -r); $rounds rounds of $seconds s"
for ((round = 0; round < rounds; round++)); do
    for size in ${sizes//,/ }; do
        for depth in ${depths//,/ }; do
            for way in read write; do
                for name in "${guests[@]}"; do
                    one_run "$name" "$way" "$size" "$depth"
                done
            done
        done
    done
done
[ "$failures" = 0 ] || scenario_end
printf '\n'
results
ratios
