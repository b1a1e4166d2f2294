#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios: what goes over a NIC, a line a check. Sourced by scenarios, after host.sh.
#
# shellcheck disable=SC2154 # variables from run

# traffic_short TEXT GUEST N [MB]: everything once over ethN, and a file of so many MB
traffic_short() {
    local t=$1 g=$2 net=10.9.$3
    check "$t: ping from the guest" guest "$g" "quiet_ping $net.1"
    check "$t: ping to the guest, in fragments" quiet_ping -s 20000 "$net.2"
    check "$t: ping over IPv6" guest "$g" "quiet_ping fd09:$3::1"
    figure "$t: TCP tx, Mbit/s" guest "$g" "tcp -t 1 -c $net.1 -p 5201"
    figure "$t: TCP rx, Mbit/s" guest "$g" "tcp -t 1 -c $net.1 -p 5201 -R"
    figure "$t: a file of ${4:-5} MB there and back, seconds" \
        file_both_ways "$g" "$net.2" "$net.1" "${4:-5}"
}

# traffic_more TEXT GUEST N: what traffic_short leaves out
traffic_more() {
    local t=$1 g=$2 to="-t 1 -c 10.9.$3.1 -p 5201" to6="-t 1 -c fd09:$3::1 -p 5201"
    figure "$t: TCP tx, 8 streams, Mbit/s" guest "$g" "tcp $to -P 8"
    figure "$t: TCP rx, 8 streams, Mbit/s" guest "$g" "tcp $to -P 8 -R"
    figure "$t: IPv6 TCP tx, Mbit/s" guest "$g" "tcp $to6"
    figure "$t: IPv6 TCP rx, Mbit/s" guest "$g" "tcp $to6 -R"
    figure "$t: UDP tx, 64 bytes, Mbit/s and lost" guest "$g" "udp $to -b 1M -l 64"
    figure "$t: UDP rx, 64 bytes, Mbit/s and lost" guest "$g" "udp $to -b 1M -l 64 -R"
    figure "$t: UDP tx, 30000 bytes, Mbit/s and lost" guest "$g" "udp $to -b 10M -l 30000"
    figure "$t: UDP rx, 30000 bytes, Mbit/s and lost" guest "$g" "udp $to -b 10M -l 30000 -R"
}

# streams_start GUEST N [ARGUMENT...]: a TCP stream each way, and ping, until streams_end
streams_start() {
    local g=$1 to="-c 10.9.$2.1"
    shift 2
    guest "$g" "stream_start tx $to -p 5201 $*; stream_start rx $to -p 5202 -R $*" > /dev/null
    guest "$g" "ping_start ${to#-c }" > /dev/null
}

# streams_live GUEST TEXT: both move bytes; the figure is how long it took to see that
streams_live() { figure "$2: both streams go on, seen in s" guest "$1" 'streams_live tx rx'; }

# streams_end GUEST TEXT [PERCENT]: the same two connections to the last; and what ping saw,
# of which PERCENT must have come back
streams_end() {
    figure "$2: ping, answered of sent" guest "$1" "ping_end ${3:-0}"
    figure "$2: the stream from the guest to its end, MB" guest "$1" 'stream_end tx'
    figure "$2: the stream to the guest to its end, MB" guest "$1" 'stream_end rx'
}

# spread GUEST N: datagrams to each of 64 ports both ways, from the guest by each of its processors
spread() {
    guest "$1" "flows_of_all_cpus 10.9.$2.1"
    local i
    for ((i = 0; i < 64; i++)); do
        echo flow > "/dev/udp/10.9.$2.2/$((7000 + i))"
    done 2>/dev/null
    sleep 0.5
}

# pairs_used TEXT BACK GUEST N PAIRS OF: after spread, the first PAIRS have packets each way, and the
# others none. Only ringtap tells.
pairs_used() {
    local text=$1 name=$2 packets
    if [ "$back" != ringtap ]; then
        spread "$3" "$4"
        skip "$text: packets on each pair"
        return
    fi
    counters "$name" > "$work/before"
    spread "$3" "$4"
    counters_since "$name" "$work/before" > "$work/counters"
    packets=$(awk '$3 == "packets" { v[$1 " " $2] = $4 }
        END { for (q = 0; q < n; q++) printf " %d/%d", v[q " tx"], v[q " rx"] }' n="$6" \
        "$work/counters")
    check "$text: packets tx/rx on each pair:$packets" awk -v use="$5" -v all="$6" '
        $3 == "packets" { v[$1 " " $2] = $4 }
        END {
            for (q = 0; q < all; q++)
                if ((v[q " tx"] > 0) != (q < use) || (v[q " rx"] > 0) != (q < use))
                    exit 1
        }' "$work/counters"
}

# autopsy GUEST BACK: what there is to see when nothing moves any more
autopsy() {
    local before=$failures
    guest "$1" 'ip -s link show eth0; ethtool -S eth0 | grep -v ": 0$"; grep virtio /proc/interrupts; sleep 1; grep virtio /proc/interrupts' | sed 's/^/    guest: /'
    bridge fdb show br br0 | grep -v permanent | sed 's/^/    /'
    ip -s link show "$2" | sed 's/^/    /'
    counters "$2" | awk '{ print "    " $0 }' | grep -v ' 0$'
    failures=$before
}
