#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two guests of the same kind in one dom0: u1 is served by ringtap, u2 by Linux netback; with
# qemu=yes a third, u3, by QEMU's xen-net-device, which has one queue. They are measured in turn,
# and medians are compared. tx is from the guest to dom0.
# Arguments: queues=N vcpus=N streams=N rounds=N seconds=N; tags=vlan|qinq: frames with a tag, or
# two; ipv6=yes; grant-copy=ioctl|hypercall: of ringtap's vif. What is measured, several in one
# boot, TCP streams if nothing else is said: tcp=yes; sizes=N,...: TCP in writes of N bytes;
# udp=N,...: as many datagrams of N bytes as go, of which those count that the reader gets;
# pps=N,...: so many of these a second instead, and what they cost; rr=N,...: N sessions that send
# a byte and wait for one; crr=N,...: the same with a connection each time.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh
# shellcheck source=tests/xen/scenarios/bench-net/usage.sh
. /lab/scenario/usage.sh
# shellcheck source=tests/xen/scenarios/bench-net/cases.sh
. /lab/scenario/cases.sh
# shellcheck source=tests/xen/scenarios/bench-net/results.sh
. /lab/scenario/results.sh

queues=2 vcpus=2 streams=1 rounds=3 seconds=1 tags='' ipv6=no qemu=no
tcp=no sizes='' udp='' pps='' rr='' crr=''
for argument; do
    case $argument in
        queues=*|vcpus=*|streams=*|rounds=*|seconds=*|tags=*|ipv6=*|qemu=*) declare "$argument" ;;
        tcp=*|sizes=*|udp=*|pps=*|rr=*|crr=*) declare "$argument" ;;
        grant-copy=*) grant_copy=${argument#*=} ;; # for ringtap_start
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done

cases_make
if [ -n "$rr$crr" ] && [ "$ipv6" = yes ]; then
    echo "rr and crr are of IPv4 only"
    exit 2
fi

declare -A rates costs_dom0 costs_guest address
# one_run GUEST CASE tx|rx: for the medians a rate and its cost, and who used the processors
one_run() {
    local name=$1 key=$1/$2/$3 rate amount more dom0 domu text
    usage_start "$name"
    read -r rate amount more <<< "$(case_run "$@")"
    usage_stop "$name"
    if [ "$rate" = - ]; then
        fail "${kind[$name]} $2 $3: $amount $more"
        return
    fi
    read -r dom0 domu text <<< "$(usage_text "$amount" "${kind[$name]}")"
    rates[$key]+="$rate "
    costs_dom0[$key]+="$dom0 "
    costs_guest[$key]+="$domu "
    printf '%-8s %-9s %s %8s %s   %s\n' "${kind[$name]}" "$2" "$3" "$rate" \
        "${unit% *}${more:+, $more}" "$text"
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
for name in "${guests[@]}"; do
    address[$name]=${server%.*}.$((${name#u} + 1)) # rr and crr have IPv4
    check "its server starts" guest "$name" 'traffic serve 5301 > /dev/null & sleep 0.2'
done
traffic serve 5301 > /dev/null &
[ "$failures" = 0 ] || scenario_end

xen=$(cd /sys/hypervisor/version && echo "$(cat major).$(cat minor)$(cat extra)")
say "Linux $(uname -r), Xen $xen"
say "$queues queues, $streams streams, $seconds s, $rounds rounds"
counters u1 > /tmp/before
for case in "${cases[@]}"; do
    unit=$(case_unit "$case")
    for ((round = 0; round < rounds; round++)); do
        for dir in tx rx; do
            for name in "${guests[@]}"; do
                one_run "$name" "$case" "$dir"
            done
        done
    done
done
counters_since u1 /tmp/before > /tmp/counters
say "ringtap's counters:"
counters_show /tmp/counters
check "ringtap ends well" ringtap_stop u1
[ "$failures" = 0 ] || scenario_end
printf '\n'
results
