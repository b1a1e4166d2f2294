#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guests with four processors, ringtap as their only backend, its taps in a bridge.
# Arguments: numbers of queues, instead of 1 2 4.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh

backends=/local/domain/0/backend/vif
mac1=00:16:3e:00:00:01
mac2=00:16:3e:00:00:02

not() { ! "$@"; }

# netfront with so many queues at most, everything measured, counters looked at; then
# it is unloaded, and the next call loads it again.
with_queues() {
    local queues=$1 column=$2
    check "netfront loads, at most $column" guest u1 "net_up $queues 2"
    check "it has $column" [ "$(guest u1 net_queues)" = "$queues" ]
    counters u1 > /tmp/before
    measure_net u1 "$column" 2 5201
    spread_flows u1 2
    counters_since u1 /tmp/before > /tmp/counters
    say "counters with $column:"
    counters_show /tmp/counters
    check "$column: every queue carried traffic both ways" \
        counters_all_busy /tmp/counters "$queues"
    check "netfront unloads" guest u1 net_down
}

# Streams of two guests at once, and from one guest to the other.
two_guests() {
    local rate1 rate2
    check "a second guest is created" guest_create u2 4
    granted_pages=1000 # of the six queues two and a part of the third have their buffers granted
    check "another ringtap serves it" ringtap_start u2 2 "$mac2"
    check "it boots" guest_boot u2
    messages_start u2
    check "its netfront loads" guest u2 'net_up 4 3'
    check "the first guest's netfront loads again" guest u1 'net_up 4 2'
    check "ringtap says that pages are lacking" grep -q 'no more pages can be granted' /tmp/u1.log
    check "guest to guest: ping" guest u1 'quiet_ping 10.9.0.3'
    guest u2 'iperf3 -s -D -p 5203'
    measure u1 'two guests' 'guest to guest, Mbit/s' "tcp -t $seconds -c 10.9.0.3 -p 5203"

    guest u2 "tcp -t 4 -c 10.9.0.1 -p 5202 -P 2 > /tmp/rate &"
    rate1=$(guest u1 'tcp -t 4 -c 10.9.0.1 -p 5201 -P 2')
    rate2=$(guest u2 'wait; cat /tmp/rate')
    note 'both to dom0 at once, Mbit/s' 'two guests' "$rate1 + $rate2"
    check "both guests send at once: $rate1 and $rate2 Mbit/s" \
        awk -v a="$rate1" -v b="$rate2" 'BEGIN { exit !(a > 0 && b > 0) }'
    check "the second guest's kernel is content" messages_clean u2
}

# The domain is there no more, or its vif is not connected, for all that ringtap says.
vif_is_gone() {
    ! qmp "$1" query-vif | grep -q '"connected"'
}

destroyed_under_traffic() {
    local vif=vif${guest_domid[u2]}.0 domid=${guest_domid[u2]}
    guest u2 'iperf3 -c 10.9.0.1 -p 5202 -t 60 -P 4 > /dev/null 2>&1 &'
    sleep 1
    check "the second guest is destroyed under traffic" guest_destroy u2
    check "its ringtap notices" wait_for 10 vif_is_gone u2
    check "its ringtap ends well" ringtap_stop u2
    check "its tap is gone" not tap_exists "$vif"
    check "its nodes are gone" not xenstore_has "$backends/$domid"
    check "the first guest does not care" guest u1 'quiet_ping 10.9.0.1'
}

xenstore_has() { xenstore-ls "$1" > /dev/null 2>&1; }

# SIGTERM while the guest uses its vif: the device is closed, and the guest lives.
ended_under_a_guest() {
    local vif=vif${guest_domid[u1]}.0
    check "ringtap ends while the guest uses the vif" ringtap_stop u1
    check "its tap is gone" not tap_exists "$vif"
    check "its nodes are gone" not xenstore_has "$backends/${guest_domid[u1]}"
    check "the guest still answers" guest u1 true
}

# grant-copy=hypercall: nothing without privcmd. With it a guest that has lost its ringtap finds the
# way to the next one, which copies past gntdev.
copied_by_hypercalls() {
    granted_pages='' grant_copy=hypercall
    check "without privcmd there is no such vif" refused_without_privcmd
    check "ringtap with hypercalls serves the guest" ringtap_start u1 2 "$mac1"
    check "its netfront finds it" guest u1 'net_address 2'
    check "hypercalls: ping in fragments from the guest" guest u1 'quiet_ping -s 20000 10.9.0.1'
    check "hypercalls: ping in fragments to the guest" quiet_ping -s 20000 10.9.0.2
    measure u1 hypercalls 'TCP tx, 1 stream, Mbit/s' "tcp -t $seconds -c 10.9.0.1 -p 5201"
    measure u1 hypercalls 'TCP rx, 1 stream, Mbit/s' "tcp -t $seconds -c 10.9.0.1 -p 5201 -R"
    check "its copies are hypercalls" ping_by_hypercalls
    check "ringtap has nothing to complain of" not grep -q 'grant' /tmp/u1.log
    check "ringtap with hypercalls ends well" ringtap_stop u1
    grant_copy=''
}

refused_without_privcmd() {
    local status
    mv /dev/xen/privcmd /dev/xen/away
    ringtap -machine xenpv -xen-domid "${guest_domid[u1]}" -nodefaults -display none \
        -netdev tap,id=n0,script=no,downscript=no \
        -device "xen-net-device,netdev=n0,grant-copy=$grant_copy" > /tmp/refused 2>&1
    status=$?
    mv /dev/xen/away /dev/xen/privcmd
    cat /tmp/refused
    [ "$status" = 1 ] && [ "$(wc -l < /tmp/refused)" = 1 ] &&
        grep -q 'could not open /dev/xen/privcmd: No such file' /tmp/refused
}

is_traced() { ! grep -q '^TracerPid:.0$' "/proc/$1/status"; }

ping_by_hypercalls() {
    local pid=${ringtap_pid[u1]} tracer
    strace -f -y -e trace=ioctl -o /tmp/ioctls -p "$pid" 2>/dev/null &
    tracer=$!
    wait_for 10 is_traced "$pid" && quiet_ping 10.9.0.2
    kill "$tracer"
    wait "$tracer"
    grep -q '</dev/xen/privcmd' /tmp/ioctls && ! grep '</dev/xen/gntdev' /tmp/ioctls
}

# -xen-attach: libxl waits for this node before it lets a guest run.
device_model_runs() {
    [ "$(xenstore-read "/local/domain/0/device-model/${guest_domid[$1]}/state")" = running ]
}

[ $# -gt 0 ] || set -- 1 2 4
messages_start dom0
check "xen-netback is not loaded" not grep -q '^xen_netback' /proc/modules
check "the bridge is up" bridge_up
check "a guest is created" guest_create u1 4
check "ringtap serves it" ringtap_start u1 4 "$mac1"
check "its toolstack is told" device_model_runs u1
check "it boots" guest_boot u1
messages_start u1
columns=()
for queues; do
    column="$queues queues"
    [ "$queues" != 1 ] || column='1 queue'
    with_queues "$queues" "$column"
    columns+=("$column")
done
two_guests
destroyed_under_traffic
ended_under_a_guest
copied_by_hypercalls
check "the guest's kernel is content" messages_clean u1
check "the guest is destroyed" guest_destroy u1
check "dom0's kernel is content" messages_clean dom0
table "${columns[@]}" 'two guests' hypercalls
for name in u1 u2; do
    [ ! -s "/tmp/$name.log" ] || { echo "what ringtap said for $name:"; cat "/tmp/$name.log"; }
done
scenario_end
