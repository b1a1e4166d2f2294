#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two guests of one ringtap with direct=on: what they say to each other passes their taps by, and
# arrives whole; what they say to dom0 does not; one of them dies, ringtap is killed, and the rest
# goes on.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh

queues=2
# direct_packets GUEST tx|rx: by the counters of its device
direct_packets() {
    qmp pair query-vif | tr -d ' \n\r' | tr '{' '\n' |
        awk -v id="\"id\":\"$1\"" -v dir="\"$2\":" '
            index($0, "\"id\":") { mine = index($0, id) > 0 }
            mine && was { match($0, /"direct":[0-9]+/); n += substr($0, RSTART + 9, RLENGTH - 9) }
            { was = mine && substr($0, length($0) - length(dir) + 1) == dir }
            END { print n + 0 }'
}

tap_bytes() { cat "/sys/class/net/vif${guest_domid[$1]}.0/statistics/rx_bytes"; }

# file_over FROM TO HOST MB
file_over() {
    local want there
    guest "$2" 'timeout 120 nc.openbsd -l -N 5300 > /tmp/file & nc_pid=$!; sleep 0.5'
    guest "$1" "head -c ${4}000000 /dev/urandom > /tmp/out"
    want=$(guest "$1" 'sha256sum < /tmp/out')
    guest "$1" "nc.openbsd -N 10.9.0.$3 5300 < /tmp/out; rm /tmp/out"
    there=$(guest "$2" 'wait $nc_pid; sha256sum < /tmp/file; rm /tmp/file')
    echo "$1 to $2: ${want%% *}"
    [ "$want" = "$there" ] && [ -n "$want" ]
}

# passes_by TEXT COMMAND...: it sends 10 MB and more, and the taps see next to nothing of it
passes_by() {
    local text=$1 before after direct
    shift
    before=$(($(tap_bytes u1) + $(tap_bytes u2)))
    direct=$(($(direct_packets u1 tx) + $(direct_packets u2 tx)))
    check "$text" "$@"
    after=$(($(tap_bytes u1) + $(tap_bytes u2)))
    check "$text: past the taps ($((after - before)) bytes)" [ $((after - before)) -lt 100000 ]
    direct=$(($(direct_packets u1 tx) + $(direct_packets u2 tx) - direct))
    check "$text: directly ($direct packets)" [ "$direct" -gt 200 ]
}

guest_timeout=300
check "the bridge is up" bridge_up
check "guest 1 is created" guest_create u1 2
check "guest 2 is created" guest_create u2 2
check "ringtap serves them" ringtap_start_all pair "$queues" direct=on u1 u2
check "guest 1 boots" guest_boot u1
check "guest 2 boots" guest_boot u2
check "the vif of guest 1 comes up" guest u1 "net_up $queues 2"
check "the vif of guest 2 comes up" guest u2 "net_up $queues 3"
[ "$failures" = 0 ] || scenario_end
for name in dom0 u1 u2; do
    messages_start "$name"
done

check "ping" guest u1 'quiet_ping 10.9.0.3'
check "ping in fragments" guest u1 'quiet_ping -s 20000 10.9.0.3'
check "ping over IPv6" guest u1 'quiet_ping fd09::3'
passes_by "50 MB from 1 to 2 are equal" file_over u1 u2 3 50
passes_by "50 MB from 2 to 1 are equal" file_over u2 u1 2 50
check "a server in guest 2" guest u2 'iperf3 -s -D -p 5203'
for arguments in '-P 4' '-P 4 -R' '-c fd09::3' '-c fd09::3 -R'; do
    say "TCP $arguments: $(guest u1 "tcp -t 1 -c 10.9.0.3 -p 5203 $arguments") Mbit/s"
done
say "UDP: $(guest u1 'udp -t 1 -c 10.9.0.3 -p 5203 -b 1M -l 64')"
say "UDP of 30000 bytes: $(guest u1 'udp -t 1 -c 10.9.0.3 -p 5203 -b 10M -l 30000 -R')"
check "ping to dom0" guest u1 'quiet_ping 10.9.0.1'
say "TCP to dom0: $(guest u1 'tcp -t 1 -c 10.9.0.1 -p 5201') Mbit/s"

# Its answers stand in ring order: the next ringtap goes on where they end.
guest u1 'iperf3 -c 10.9.0.3 -p 5203 -t 8 > /tmp/iperf 2>&1 & iperf_pid=$!; sleep 1'
kill -KILL "${ringtap_pid[pair]}"
wait "${ringtap_pid[pair]}" 2>/dev/null
check "ringtap starts again" ringtap_start_all pair "$queues" direct=on u1 u2
check "the guests see each other again" wait_for 20 guest u1 'quiet_ping 10.9.0.3'
check "the stream ends well" guest u1 'wait $iperf_pid || { cat /tmp/iperf; false; }'
passes_by "10 MB from 1 to 2 are equal, with the next ringtap" file_over u1 u2 3 10

check "guest 2 is content" messages_clean u2
guest u1 'iperf3 -c 10.9.0.3 -p 5203 -t 4 > /dev/null 2>&1 & sleep 1'
guest_destroy u2
check "guest 2 dies in the middle, guest 1 goes on" guest u1 'quiet_ping 10.9.0.1'
check "guest 1 is content" messages_clean u1
counters pair > /tmp/counters
counters_show /tmp/counters
check "ringtap ends well" ringtap_stop pair
check "dom0's kernel is content" messages_clean dom0
scenario_end
