#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the guest: XDP programs; a TCP stream that lasts.

# xdp_on drop|pass
xdp_on() {
    grep -q ' /sys/fs/bpf ' /proc/mounts || mount -t bpf bpf /sys/fs/bpf || return
    [ -e "/sys/fs/bpf/$1" ] || xdp-load "$1" "/sys/fs/bpf/$1" || return
    ip link set dev eth0 xdp pinned "/sys/fs/bpf/$1"
}

xdp_off() {
    ip link set dev eth0 xdp off
}

# pulled: a TCP stream from dom0 has come through; its large packets too
pulled() {
    iperf3 -c 10.9.0.1 -p 5201 -R -n 20M > /tmp/pulled 2>&1 || { cat /tmp/pulled; return 1; }
}

# stream_start: data to dom0 until it is told to stop
stream_start() {
    iperf3 -c 10.9.0.1 -p 5202 -t 300 > /tmp/stream 2>&1 &
    stream_pid=$!
}

# stream_lives: the same TCP connection still is there, and moves bytes
stream_lives() {
    local before i
    kill -0 "$stream_pid" || { cat /tmp/stream; return 1; }
    before=$(cat /sys/class/net/eth0/statistics/tx_bytes)
    for ((i = 0; i < 300; i++)); do
        sleep 0.1
        [ $(($(cat /sys/class/net/eth0/statistics/tx_bytes) - before)) -lt 1000000 ] || return 0
    done
    echo "no traffic for 30 s"
    return 1
}

stream_end() {
    kill "$stream_pid"
    wait "$stream_pid"
    true
}
