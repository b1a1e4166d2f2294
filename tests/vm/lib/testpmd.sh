#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# DPDK's testpmd, for scenarios. Without huge pages and devices of the machine.
#
# shellcheck disable=SC2154

# testpmd NAME VDEVS ARGUMENT...: in the background, with VDEVS "a b"; its log is NAME.log
testpmd() {
    local name=$1 vdev vdevs=()
    for vdev in $2; do
        vdevs+=(--vdev "$vdev")
    done
    shift 2
    # It ends with its standard input.
    dpdk-testpmd --no-huge -m 512 --no-shconf --no-pci --no-telemetry -l 0,1 "${vdevs[@]}" -- \
        --total-num-mbufs=32768 --stats-period=1 "$@" < <(sleep infinity) > "$work/$name.log" 2>&1 &
    testpmd_pid[$name]=$!
}
declare -A testpmd_pid

# testpmd_back NUMBER PAIRS: serves NIC NUMBER with a tap in the bridge
testpmd_back() {
    testpmd "nic$1" "net_vhost0,iface=$work/nic$1.sock,queues=$2 net_tap0,iface=tap$1" \
        --rxq="$2" --txq="$2" --nb-cores=1 --auto-start
    wait_for 20 tap_exists "tap$1" && wait_for 10 [ -S "$work/nic$1.sock" ] &&
        ip link set "tap$1" master "br$1" up
}

testpmd_stop() {
    kill -TERM "${testpmd_pid[$1]}"
    wait "${testpmd_pid[$1]}"
    true
}
