#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two guests of the same kind in one dom0: u1 is served by ringtap, u2 by Linux netback; with
# qemu=yes a third, u3, by QEMU's xen-net-device, which has one queue. They are measured in turn,
# and medians are compared. tx is from the guest to dom0.
# Arguments: queues=N vcpus=N streams=N rounds=N seconds=N; tags=vlan|qinq: frames with a tag, or
# two; ipv6=yes; udp=N: as many datagrams of N bytes as
# go, of which those count that the reader gets; grant-copy=ioctl|hypercall: of ringtap's vif.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh
# shellcheck source=tests/xen/scenarios/bench-net/usage.sh
. /lab/scenario/usage.sh

queues=2 vcpus=2 streams=1 rounds=3 seconds=1 udp='' tags='' ipv6=no qemu=no
for argument; do
    case $argument in
        queues=*|vcpus=*|streams=*|rounds=*|seconds=*|udp=*|tags=*|ipv6=*|qemu=*)
            declare "$argument" ;;
        grant-copy=*) grant_copy=${argument#*=} ;; # for ringtap_start
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done

declare -A rates
# one_run GUEST tx|rx: a rate for the median, and who used the processors
one_run() {
    local name=$1 dir=$2 rate text command="tcp"
    [ -z "$udp" ] || command="udp -b 0 -l $udp"
    command+=" -t $seconds -c $server -p 5201 -P $streams"
    [ "$dir" = tx ] || command+=" -R"
    usage_start "$name"
    rate=$(guest "$name" "$command")
    text=$(usage_end "$name" "${kind[$name]}")
    if ! awk -v r="${rate%% *}" 'BEGIN { exit !(r > 0) }'; then
        fail "$name $dir: $rate"
        return
    fi
    rates[$name/$dir]+="${rate%% *} " # of datagrams, how many were lost follows
    printf '%-8s %s %8s Mbit/s   %s\n' "${kind[$name]}" "$dir" "$rate" "$text"
}

declare -A kind=([u1]=ringtap [u2]=netback [u3]=qemu)
guests=(u1 u2)
[ "$qemu" = no ] || guests+=(u3)
guest_timeout=300
check "the bridge is up" bridge_up
check "a guest for ringtap is created" guest_create u1 "$vcpus"
check "ringtap serves it" ringtap_start u1 "$queues" 00:16:3e:00:00:01
check "it boots" guest_boot u1
check "netback is loaded" netback_load "$queues"
check "a guest for Linux netback is created" \
    netback_guest u2 "$vcpus" 00:16:3e:00:00:02 $((guest_domid[u1] + 1))
check "it boots" guest_boot u2
check "the vif of the one comes up" guest u1 "net_up $queues 2"
check "the vif of the other comes up" guest u2 "net_up $queues 3"
check "they have as many queues" [ "$(guest u1 net_queues)" = "$(guest u2 net_queues)" ]
if [ "$qemu" = yes ]; then
    check "a guest for QEMU is created" guest_create u3 "$vcpus"
    check "QEMU serves it" qemu_start u3 00:16:3e:00:00:03
    check "it boots" guest_boot u3
    check "its vif comes up" guest u3 "net_up $queues 4"
fi
server=10.9.0.1
[ "$ipv6" = no ] || server=fd09::1
if [ -n "$tags" ]; then
    server=10.10.0.1
    [ "$ipv6" = no ] || server=fd10::1
    check "dom0 has tags" tags br0 1 "$tags"
    for name in "${guests[@]}"; do
        check "the guest has tags" guest "$name" "tags eth0 $((${name#u} + 1)) $tags"
    done
fi
[ "$failures" = 0 ] || scenario_end

say "$queues queues, $streams streams, $seconds s, $rounds rounds"
counters u1 > /tmp/before
for ((round = 0; round < rounds; round++)); do
    for dir in tx rx; do
        for name in "${guests[@]}"; do
            one_run "$name" "$dir"
        done
    done
done
counters_since u1 /tmp/before > /tmp/counters
say "ringtap's counters:"
counters_show /tmp/counters
check "ringtap ends well" ringtap_stop u1
printf '\n%-10s %10s %10s   medians, Mbit/s\n' '' tx rx
for name in "${guests[@]}"; do
    printf '%-10s %10s %10s\n' "${kind[$name]}" "$(median "${rates[$name/tx]}")" "$(median "${rates[$name/rx]}")"
done
[ "$failures" = 0 ] || scenario_end

# quotient GUEST tx|rx GUEST
quotient() {
    awk -v a="$(median "${rates[$1/$2]}")" -v b="$(median "${rates[$3/$2]}")" \
        'BEGIN { printf "%.2f", a / b }'
}
[ "$qemu" = no ] || echo "qemu tx=$(quotient u1 tx u3) rx=$(quotient u1 rx u3)"
echo "ratio tx=$(quotient u1 tx u2) rx=$(quotient u1 rx u2)"
