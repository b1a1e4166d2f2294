#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The end of the output, which scripts/bench xen reads. Sourced by dom0.sh, which has the variables.
#
# shellcheck disable=SC2154

# quotient KEY KEY: of medians
quotient() {
    awk -v a="$(median "${rates[$1]}")" -v b="$(median "${rates[$2]}")" \
        'BEGIN { printf "%.2f", a / b }'
}

# quotients NAME GUEST: ringtap's rates by its: a line a case if there are several, and one with
# the lowest of them
quotients() {
    local case tx rx all_tx='' all_rx=''
    for case in "${cases[@]}"; do
        tx=$(quotient "u1/$case/tx" "$2/$case/tx")
        rx=$(quotient "u1/$case/rx" "$2/$case/rx")
        [ ${#cases[@]} = 1 ] || echo "$1 $case tx=$tx rx=$rx"
        all_tx+="$tx "
        all_rx+="$rx "
    done
    echo "$1 tx=$(lowest "$all_tx") rx=$(lowest "$all_rx")"
}

lowest() { tr ' ' '\n' <<< "$1" | sed '/^$/d' | sort -n | head -n 1; }

# A line for each backend, case and direction; with --icount a nanosecond is an instruction.
results() {
    local case dir name key unit
    for case in "${cases[@]}"; do
        unit=$(case_unit "$case")
        for dir in tx rx; do
            for name in "${guests[@]}"; do
                key=$name/$case/$dir
                printf 'result %-8s %-9s %s %8s %s; dom0 %s guest %s ns/%s\n' \
                    "${kind[$name]}" "$case" "$dir" "$(median "${rates[$key]}")" "${unit% *}" \
                    "$(median "${costs_dom0[$key]}")" "$(median "${costs_guest[$key]}")" \
                    "${unit#* }"
            done
        done
    done
    [ "$qemu" = no ] || quotients qemu u3
    quotients ratio u2
}
