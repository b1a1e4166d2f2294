#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guests of the same kind in one dom0, each with a disk whose image is in memory: u1's is served by
# Linux blkback on a loop device, u2's with qemu=yes by QEMU's xen-disk in an iothread. They are
# measured in turn, requests at random places, and medians compared.
# Arguments: vcpus=N rounds=N seconds=N sizes=N,... depths=N,...

# shellcheck source=tests/xen/lib/dom0-disk.sh
. /lab/dom0-disk.sh

vcpus=2 rounds=3 seconds=1 sizes=4096,65536,1048576 depths=1,32 qemu=no image_mib=128
for argument; do
    case $argument in
        vcpus=*|rounds=*|seconds=*|sizes=*|depths=*|qemu=*) declare "$argument" ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done

declare -A rates kind=([u1]=blkback [u2]=qemu)
guests=(u1)
[ "$qemu" = no ] || guests+=(u2)

median() { printf '%s\n' "$@" | sort -g | sed -n "$((($# + 1) / 2))p"; }

# one_run NAME read|write SIZE DEPTH
one_run() {
    local rate
    if ! rate=$(guest "$1" "disk-load /dev/xvda $2 $3 $4 $seconds"); then
        fail "${kind[$1]} $2 $3 $4: $rate"
        return
    fi
    rates[$1/$2/$3/$4]+="$rate "
    printf '%-8s %-5s %7s depth %2s %8s a second\n' "${kind[$1]}" "$2" "$3" "$4" "$rate"
}

# results: a table of medians, each with what it is of blkback's
results() {
    local size depth way name blkback rate
    for size in ${sizes//,/ }; do
        for depth in ${depths//,/ }; do
            for way in read write; do
                # shellcheck disable=SC2086 # words are meant
                blkback=$(median ${rates[u1/$way/$size/$depth]})
                for name in "${guests[@]}"; do
                    # shellcheck disable=SC2086
                    rate=$(median ${rates[$name/$way/$size/$depth]})
                    awk -v r="$rate" -v b="$blkback" -v what="$way $size depth $depth" \
                        -v kind="${kind[$name]}" \
                        'BEGIN { printf "%-20s %-8s %8d a second  %.2f\n", what, kind, r, r / b }'
                done
            done
        done
    done
}

guest_timeout=300
for name in "${guests[@]}"; do
    check "an image is made" disk_image "$name" "$image_mib"
done
check "a guest for blkback is created" blkback_guest u1 "$vcpus"
check "it boots" guest_boot u1
check "its disk comes up" guest u1 disk_up
if [ "$qemu" = yes ]; then
    check "a guest for QEMU is created" guest_create u2 "$vcpus"
    check "QEMU serves it" qemu_disk u2
    check "it boots" guest_boot u2
    check "its disk comes up" guest u2 disk_up
fi
[ "$failures" = 0 ] || scenario_end
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
