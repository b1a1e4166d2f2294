#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The life of a vif besides its packets: ringtap is killed and started again under a guest
# that goes on, with nodes that it made itself and with those of xl; what is left of dead
# guests; xl beside a vif that it does not know.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh

backends=/local/domain/0/backend/vif
mac1=00:16:3e:00:00:01
mac2=00:16:3e:00:00:02
mac3=00:16:3e:00:00:03

not() { ! "$@"; }
xenstore_has() { xenstore-ls "$1" > /dev/null 2>&1; }
vif_connected() { qmp "$1" query-vif | tr -d ' ' | grep -q '"state":"connected"'; }

# As a crash: nothing is closed, nothing removed.
ringtap_kill() {
    kill -KILL "${ringtap_pid[$1]}"
    wait "${ringtap_pid[$1]}" 2>/dev/null
    true
}

# killed_and_restarted TEXT GUEST QUEUES MAC HOST [PROPERTY...]: the guest sees no more than a pause
killed_and_restarted() {
    local text=$1 g=$2
    check "$text: a stream runs" guest "$g" 'stream_start; stream_lives'
    ringtap_kill "$g"
    check "$text: ringtap starts again" ringtap_start "$g" "$3" "$4" "${@:6}"
    check "$text: it connects" wait_for 20 vif_connected "$g"
    check "$text: the guest answers" wait_for 20 quiet_ping "10.9.0.$5"
    check "$text: ping from the guest" guest "$g" 'quiet_ping 10.9.0.1'
    check "$text: the stream goes on" guest "$g" stream_lives
    guest "$g" stream_end
    check "$text: the guest's kernel is content" messages_clean "$g"
}

xdp_in_guest() {
    check "an XDP program is taken" guest u1 'xdp_on drop'
    check "it drops what comes" not guest u1 'quiet_ping 10.9.0.1'
    check "it is taken away" guest u1 xdp_off
    check "the guest answers again" wait_for 10 quiet_ping 10.9.0.2
    check "a program that lets all pass is taken" guest u1 'xdp_on pass'
    check "the guest answers" wait_for 10 quiet_ping 10.9.0.2
    check "TCP passes it, segmented" guest u1 pulled
    check "it is taken away, too" guest u1 xdp_off
    check "TCP comes whole again" guest u1 pulled
    check "the guest's kernel is content" messages_clean u1
}

# xl knows only what it made itself: its next vif must not be the one that ringtap made.
xl_beside() {
    local domid=${guest_domid[u1]}
    timeout 20 xl network-attach u1 mac="$mac3" script=vif-lab > /dev/null 2>&1
    check "xl network-attach leaves the vif of ringtap alone" wait_for 5 vif_connected u1
    check "the guest still answers" quiet_ping 10.9.0.2
}

# Killed, and its domain destroyed: the next start tidies up.
left_overs() {
    local domid=${guest_domid[u1]}
    ringtap_kill u1
    check "the guest is destroyed" guest_destroy u1
    check "its nodes are left" xenstore_has "$backends/$domid"
    check "another guest is created" guest_create u3 1
    check "ringtap serves it" ringtap_start u3 1 "$mac3"
    check "what was left of the dead guest is gone" not xenstore_has "$backends/$domid"
    check "and what its toolstack was told" \
        not xenstore_has "/local/domain/0/device-model/$domid"
    check "ringtap ends" ringtap_stop u3
    check "the other guest is destroyed" guest_destroy u3
}

# A vif= line: xl waits for its backend, which is started as soon as the nodes are there.
xl_vif() {
    local domid xl_pid
    guest_config u2 2 "vif=['mac=$mac2,script=vif-lab']"
    xl create -q -p /tmp/u2.cfg &
    xl_pid=$!
    domid=$(($1 + 1))
    check "xl makes the nodes of a vif" wait_for 20 xenstore_has "$backends/$domid/0"
    guest_domid[u2]=$domid
    check "ringtap takes them" ringtap_start u2 2 "$mac2"
    check "xl is content" wait "$xl_pid"
    check "the guest is there" guest_console_open u2
    check "it boots" guest_boot u2
    messages_start u2
    check "its netfront loads" guest u2 'net_up 2 3'
    check "ping" quiet_ping 10.9.0.3
    killed_and_restarted "a vif of xl's" u2 2 "$mac2" 3
    check "xl detaches it" xl network-detach u2 0
    check "its nodes are gone" wait_for 15 not xenstore_has "$backends/$domid/0"
    check "the guest is destroyed" guest_destroy u2
}

messages_start dom0
check "the bridge is up" bridge_up
check "a guest is created" guest_create u1 2
check "ringtap serves it" ringtap_start u1 2 "$mac1" ""
check "it boots" guest_boot u1
messages_start u1
check "its netfront loads" guest u1 'net_up 2 2'
check "ping" quiet_ping 10.9.0.2
killed_and_restarted "a vif of ringtap's" u1 2 "$mac1" 2 ""
xdp_in_guest
xl_beside
first=${guest_domid[u1]}
left_overs
xl_vif "$((first + 1))"
check "dom0's kernel is content" messages_clean dom0
for name in u1 u2 u3; do
    [ ! -s "/tmp/$name.log" ] || { echo "what ringtap said for $name:"; cat "/tmp/$name.log"; }
done
scenario_end
