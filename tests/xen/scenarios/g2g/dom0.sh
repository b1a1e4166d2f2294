#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two guests that talk over the bridge, each served by a ringtap, and two that Linux netback
# serves; the pairs are measured in turn, in both directions, and medians compared. What is slow
# here is the way of a packet that wakes everybody up, so it is worth a look without --icount.
# Arguments: queues=N vcpus=N streams=N,N rounds=N seconds=N; direct=on: one ringtap for both guests,
# whose packets do not cross the bridge; grant-copy=ioctl|hypercall: of ringtap's vifs.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh

queues=2 vcpus=2 streams=1,4 rounds=2 seconds=2 direct=off
for argument; do
    case $argument in
        queues=*|vcpus=*|streams=*|rounds=*|seconds=*|direct=*) declare "$argument" ;;
        grant-copy=*) grant_copy=${argument#*=} ;; # for ringtap_start
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done
IFS=, read -r -a streams <<< "$streams"

guest_timeout=300
check "the bridge is up" bridge_up
for n in 1 2; do
    check "guest $n for ringtap is created" guest_create "u$n" "$vcpus"
    if [ "$direct" = off ]; then
        check "ringtap serves it" ringtap_start "u$n" "$queues" "00:16:3e:00:00:0$n"
    fi
done
if [ "$direct" = on ]; then
    check "ringtap serves them" ringtap_start_all pair "$queues" direct=on u1 u2
fi
check "guest 1 boots" guest_boot u1
check "guest 2 boots" guest_boot u2
check "netback is loaded" netback_load "$queues"
for n in 3 4; do
    check "guest $n for Linux netback is created" \
        netback_guest "u$n" "$vcpus" "00:16:3e:00:00:0$n" $((${guest_domid[u$((n - 1))]} + 1))
    check "it boots" guest_boot "u$n"
done
for n in 1 2 3 4; do
    check "its vif comes up" guest "u$n" "net_up $queues $((n + 1))"
    check "it has $queues queues" [ "$(guest "u$n" net_queues)" = "$queues" ]
done
[ "$failures" = 0 ] || scenario_end
for n in 2 4; do
    check "a server in guest $n" guest "u$n" 'iperf3 -s -D -p 5203'
done

declare -A rates kind=([u1]=ringtap [u3]=netback) host=([u1]=10.9.0.3 [u3]=10.9.0.5)
# one_run FROM STREAMS ARGUMENT...: for the medians
one_run() {
    local from=$1 n=$2 rate
    shift 2
    rate=$(guest "$from" "tcp -t $seconds -c ${host[$from]} -p 5203 -P $n $*")
    if ! awk -v r="$rate" 'BEGIN { exit !(r > 0) }'; then
        fail "${kind[$from]}, $n streams: $rate"
        return
    fi
    rates[$from/$n]+="$rate "
    printf '%-8s %2s streams %3s %8s Mbit/s\n' "${kind[$from]}" "$n" "$*" "$rate"
}

for name in u1 u3; do
    check "${kind[$name]}: ping" guest "$name" "quiet_ping ${host[$name]}"
    say "${kind[$name]}: $(guest "$name" "ping -q -c 50 -i 0.02 ${host[$name]} | tail -n 1")"
done
say "$queues queues, $seconds s, $rounds rounds, both directions"
for ((round = 0; round < rounds; round++)); do
    for n in "${streams[@]}"; do
        for name in u1 u3; do
            one_run "$name" "$n"
            one_run "$name" "$n" -R
        done
    done
done
if [ "$direct" = on ]; then
    counters pair > /tmp/counters
    say "ringtap's counters:"
    counters_show /tmp/counters
    check "ringtap ends well" ringtap_stop pair
else
    check "ringtap 1 ends well" ringtap_stop u1
    check "ringtap 2 ends well" ringtap_stop u2
fi
[ "$failures" = 0 ] || scenario_end
ratios=''
for n in "${streams[@]}"; do
    ratios+=$(awk -v n="$n" -v a="$(median "${rates[u1/$n]}")" -v b="$(median "${rates[u3/$n]}")" \
        'BEGIN { printf " streams-%s=%.2f", n, a / b }')
done
echo "ratio$ratios"
