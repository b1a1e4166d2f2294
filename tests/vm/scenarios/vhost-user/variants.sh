#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# NICs beside the first one, each with one thing that differs. Sourced by host.sh.
#
# shellcheck disable=SC2154 # variables from run and host.sh

variants=packed,mrg_rxbuf,event_idx,legacy,indirect,sizes,plain
variants_there=()
declare -A variant_number variant_pairs

declare -A variant_properties=(
    [packed]='packed=on'
    [mrg_rxbuf]='mrg_rxbuf=off'
    [event_idx]='event_idx=off'
    [legacy]='disable-modern=on disable-legacy=off'
    [indirect]='indirect_desc=off'
    [sizes]='rx_queue_size=1024 tx_queue_size=1024'
    [plain]='csum=off guest_csum=off gso=off guest_tso4=off guest_tso6=off guest_ecn=off guest_ufo=off'
)
# What shows that it is so: a bit of the features and its value, or a command for the guest
declare -A variant_bit=(
    [packed]='34 1' [mrg_rxbuf]='15 0' [event_idx]='29 0' [legacy]='32 0' [indirect]='28 0' [plain]='0 0'
)

variant_has() { [ -n "${variant_number[$1]:-}" ]; }

# variants_add: the NICs 1 and up, with their back ends
variants_add() {
    local name n=0 properties
    for name in ${variants//,/ }; do
        n=$((n + 1))
        variant_number[$name]=$n
        variant_pairs[$name]=2
        [ "$name" != packed ] || variant_pairs[$name]=4
        variants_there+=("$name")
        mapfile -t properties < <(back_properties)
        # shellcheck disable=SC2206 # words are meant
        properties+=(${variant_properties[$name]})
        check "$name: a bridge" bridge_add "$n"
        check "$name: ringtap serves it" back_start "$name" "$n" "${variant_pairs[$name]}"
        nic "$name" "$n" "${variant_pairs[$name]}" "${properties[@]}"
    done
}

# variant_is NAME: the guest sees what differs
variant_is() {
    local n=${variant_number[$1]} bit value
    if [ "$1" = sizes ]; then
        [ "$(guest u1 "ethtool -g eth$n" | awk '/^RX:/ { n = $2 } END { print n }')" = 1024 ]
        return
    fi
    read -r bit value <<< "${variant_bit[$1]}"
    [ "$(guest u1 "net_feature $n $bit")" = "$value" ]
}

phase_variants() {
    local name n pairs
    for name in "${variants_there[@]}"; do
        n=${variant_number[$name]} pairs=${variant_pairs[$name]}
        check "$name: the guest's eth$n is one" variant_is "$name"
        check "$name: it comes up" guest u1 "net_address 2 $n"
        check "$name: all pairs" guest u1 "ethtool -L eth$n combined $pairs; [ \$(net_pairs $n) = $pairs ]"
        traffic_short "$name" u1 "$n"
        pairs_used "$name" "$name" u1 "$n" "$pairs" "$pairs"
    done
}
