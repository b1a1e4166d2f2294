#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What scripts/demo --device virtio runs. Arguments: seconds=N, pairs=N, and for a terminal
# columns=N, by which its table is drawn over the last one.
#
# shellcheck disable=SC2154 # variables from run

# shellcheck source=tests/vm/lib/host.sh
. "$here/lib/host.sh"

seconds=10 pairs=4 columns=''
for argument; do
    case $argument in
        seconds=*|pairs=*|columns=*) declare "$argument" ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# traffic: in the guest an iperf3 on each processor, which has a tx queue, with two streams each way.
# Not as fast as it goes: the processor that has all interrupts would have no time for its own.
traffic() {
    local i
    for ((i = 0; i < pairs; i++)); do
        iperf3 -s -D -p $((5210 + i))
        guest u1 "taskset $((1 << i)) iperf3 -c 10.9.0.1 -p $((5210 + i)) --bidir -P 2 -b 40M \
            -t $((seconds + 600)) > /dev/null 2>&1 &" || return
    done
}

# watch: the table, and whether each pair had something to carry
watch() {
    "$python" "$top/scripts/lib/demo.py" --watch "$work/nic0.qmp" --seconds "$seconds" \
        --queues "$pairs" ${columns:+--columns "$columns"}
}

check "the bridge is up" bridge_add 0
check "ringtap serves tap nic0 to whoever connects" back_start nic0 0 "$pairs"
nic nic0 0 "$pairs"
vm_start u1
say "a Linux guest boots, with $pairs queue pairs over vhost-user"
check "it is there" vm_boots u1
check "its NIC comes up" guest u1 'net_address 2'
check "it uses $pairs queue pairs" [ "$(guest u1 'net_pairs 0')" = "$pairs" ]
check "ping" guest u1 'quiet_ping 10.9.0.1'
check "TCP, from each of its processors" traffic
check "each pair carried packets both ways" watch
check "QEMU ends" vm_stop u1
check "ringtap ends" back_stop nic0
[ "$failures" = 0 ] || logs_show
scenario_end
