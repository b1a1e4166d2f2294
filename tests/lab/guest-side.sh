#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest's side: does what it is told over its console, a command a line, as
# "NUMBER COMMAND"; answers with the output and "@@end NUMBER STATUS". The console and
# not the network, because the network is what is tested.

# net_address HOST [N]: waits for ethN (default 0), gives it addresses in the net of the host's brN,
# waits for its carrier
net_address() {
    local n=${2:-0} i
    for ((i = 0; i < 100; i++)); do
        [ ! -e "/sys/class/net/eth$n" ] || break
        sleep 0.1
    done
    sysctl -q -w "net.ipv6.conf.eth$n.accept_dad=0" "net.ipv6.conf.eth$n.autoconf=0"
    ip link set "eth$n" up &&
        ip addr add "10.9.$n.$1/24" dev "eth$n" &&
        ip -6 addr add "fd09:$n::$1/64" dev "eth$n" nodad || return
    for ((i = 0; i < 100; i++)); do
        [ "$(cat "/sys/class/net/eth$n/carrier")" != 1 ] || return 0
        sleep 0.1
    done
    echo "eth$n has no carrier"
    return 1
}

# tcp ARGUMENT...: Mbit/s that arrived, of all streams together; false if nothing did
tcp() {
    iperf3 -f k "$@" > /tmp/iperf 2>&1 || { cat /tmp/iperf; return 1; }
    awk '/receiver/ { for (i = 2; i <= NF; i++) if ($i == "Kbits/sec") r = $(i - 1) }
         END { printf r < 100000 ? "%.1f\n" : "%.0f\n", r / 1000; exit !(r > 0) }' /tmp/iperf
}

# udp ARGUMENT...: "MBIT/S LOST/SENT" as the receiver saw it; false if nothing arrived
udp() {
    iperf3 -u -f k "$@" > /tmp/iperf 2>&1 || { cat /tmp/iperf; return 1; }
    awk '/receiver/ { for (i = 2; i <= NF; i++) if ($i == "Kbits/sec") { r = $(i - 1); n = $(i + 3) } }
         END { split(n, p, "/"); printf "%.2f %s\n", r / 1000, n; exit !(p[2] > p[1]) }' /tmp/iperf
}

# How long the last of these took, as the receiver saw it
iperf_seconds() {
    awk '/receiver/ { for (i = 2; i <= NF; i++) if ($i == "sec") t = $(i - 1) }
         END { split(t, p, "-"); print p[2] - p[1] }' /tmp/iperf
}

# One datagram from each of N ports to a host, so that many flows exist.
many_flows() {
    local i
    for ((i = 0; i < $2; i++)); do
        echo flow > "/dev/udp/$1/$((7000 + i))"
    done 2>/dev/null
    true
}

# serve_console: commands come from the standard input. In the same shell, so that they can
# leave variables and background jobs for the next ones.
serve_console() {
    local number command
    dmesg -n 1
    stty -echo -onlcr
    echo "@@ready"
    while read -r number command; do
        eval "$command" < /dev/null 2>&1
        printf '\n@@end %s %s\n' "$number" "$?"
    done
}
