#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What bench-disk prints of its medians. Sourced by its dom0.sh, which has the variables.
# shellcheck disable=SC2154

# rate_of NAME WAY SIZE DEPTH: the median
rate_of() { median "${rates[$1/$2/$3/$4]}"; }

# results: a table of medians, each with what it is of blkback's
results() {
    local size depth way name
    for size in ${sizes//,/ }; do
        for depth in ${depths//,/ }; do
            for way in read write; do
                for name in "${guests[@]}"; do
                    awk -v r="$(rate_of "$name" "$way" "$size" "$depth")" \
                        -v b="$(rate_of u1 "$way" "$size" "$depth")" \
                        -v what="$way $size depth $depth" -v kind="${kind[$name]}" \
                        'BEGIN { printf "%-22s %-11s %8d a second  %.2f\n", what, kind, r, r / b }'
                done
            done
        done
    done
}

# size_name BYTES
size_name() {
    case $1 in
        1048576) echo 1m ;;
        *) echo "$(($1 / 1024))k" ;;
    esac
}

# ratio NAME OF: by the greatest depth, for each size and way
ratio() {
    local size way text=''
    for size in ${sizes//,/ }; do
        for way in read write; do
            text+=" $way$(size_name "$size")=$(
                awk -v a="$(rate_of "$1" "$way" "$size" "${depths##*,}")" \
                    -v b="$(rate_of "$2" "$way" "$size" "${depths##*,}")" \
                    'BEGIN { printf "%.2f", a / b }')"
        done
    done
    printf '%s\n' "$text"
}

# ratios: of each ringtap to QEMU's device and to blkback; the last line is that of the last ringtap
ratios() {
    local name
    for name in "${guests[@]}"; do
        case ${kind[$name]} in
            ringtap*)
                [ "$qemu" = no ] || printf '%s to qemu:%s\n' "${kind[$name]}" "$(ratio "$name" u2)"
                printf '%s to blkback:\nratio%s\n' "${kind[$name]}" "$(ratio "$name" u1)" ;;
        esac
    done
}
