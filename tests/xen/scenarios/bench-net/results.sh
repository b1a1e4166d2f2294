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

# cost_quotient CASE tx|rx: netback's costs by ringtap's, of dom0 and guest together
cost_quotient() {
    awk -v a="$(median "${costs_dom0[u1/$1/$2]}")" -v b="$(median "${costs_guest[u1/$1/$2]}")" \
        -v c="$(median "${costs_dom0[u2/$1/$2]}")" -v d="$(median "${costs_guest[u2/$1/$2]}")" \
        'BEGIN { printf "%.2f", (c + d) / (a + b) }'
}

# A line a case whose rate is given, so that what it costs is all that there is to compare.
cost_quotients() {
    local case
    for case in "${cases[@]}"; do
        [[ $case != udp-*-* ]] ||
            echo "cost $case tx=$(cost_quotient "$case" tx) rx=$(cost_quotient "$case" rx)"
    done
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
    cost_quotients
    quotients ratio u2
}
