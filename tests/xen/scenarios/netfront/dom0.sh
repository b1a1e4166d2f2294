#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest whose kernel has no netfront: ringtap is the frontend there, with a tap. Its
# backend is ringtap in dom0, then, with a second guest, Linux netback.
# Arguments: numbers of queues, instead of 1 4.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh

# each of the frontend's queues carried packets in both directions, says the frontend
front_all_busy() {
    guest "$1" 'counters front' > /tmp/front
    counters_show /tmp/front
    counters_all_busy /tmp/front "$2"
}

# front_serves GUEST COLUMN QUEUES HOST PORT: all that goes over the frontend
front_serves() {
    local g=$1 c=$2 queues=$3 host=$4 t="-t $seconds -c 10.9.0.1 -p $5"
    check "$c: the frontend connects" guest "$g" "front_up $queues $host"
    check "$c: ping from the guest" guest "$g" 'quiet_ping 10.9.0.1'
    check "$c: ping to the guest" quiet_ping "10.9.0.$host"
    check "$c: ping over IPv6" guest "$g" 'quiet_ping fd09::1'
    measure "$g" "$c" 'TCP tx, 1 stream, Mbit/s' "tcp $t"
    measure "$g" "$c" 'TCP rx, 1 stream, Mbit/s' "tcp $t -R"
    measure "$g" "$c" 'TCP tx, 8 streams, Mbit/s' "tcp $t -P 8"
    measure "$g" "$c" 'TCP rx, 8 streams, Mbit/s' "tcp $t -P 8 -R"
    measure_file "$g" "$c" "$host"
    spread_flows "$g" "$host"
    check "$c: every queue carried traffic both ways" front_all_busy "$g" "$queues"
    check "$c: the frontend ends" guest "$g" front_down
}

[ $# -gt 0 ] || set -- 1 4
messages_start dom0
check "the bridge is up" bridge_up
check "a guest is created" guest_create u1 4
check "ringtap serves it" ringtap_start u1 4 00:16:3e:00:00:01
check "it boots" guest_boot u1
check "it is ready for a frontend" guest u1 front_ready
messages_start u1
columns=()
for queues; do
    columns+=("ringtap, $queues")
    front_serves u1 "ringtap, $queues" "$queues" 2 5201
done
check "ringtap ends" ringtap_stop u1
check "the guest's kernel is content" messages_clean u1
check "the guest is destroyed" guest_destroy u1

check "netback is loaded" modprobe xen-netback max_queues=4
check "a guest for Linux netback is created" \
    guest_create u2 4 "vif=['mac=00:16:3e:00:00:02,script=vif-lab']"
check "it boots" guest_boot u2
check "it is ready for a frontend" guest u2 front_ready
messages_start u2
for queues; do
    columns+=("netback, $queues")
    front_serves u2 "netback, $queues" "$queues" 3 5202
done
check "the guest's kernel is content" messages_clean u2
check "the guest is destroyed" guest_destroy u2
check "dom0's kernel is content" messages_clean dom0
table "${columns[@]}"
scenario_end
