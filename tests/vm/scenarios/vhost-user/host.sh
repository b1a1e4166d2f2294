#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One guest with a NIC for everything, eth0 with four pairs, and one for each variant of the rings;
# each has a ringtap of its own.
# Arguments: back=dpdk, to see what DPDK's back end makes of it; phases=NAME,... and
# variants=NAME,... of those below.
#
# shellcheck disable=SC2154 # variables from run

# shellcheck source=tests/vm/lib/host.sh
. "$here/lib/host.sh"
# shellcheck source=tests/vm/lib/traffic.sh
. "$here/lib/traffic.sh"
# shellcheck source=tests/vm/scenarios/vhost-user/variants.sh
. "$scenario/variants.sh"

phases=basic,combined,offloads,variants,kill,link,reboot
for argument; do
    case $argument in
        back=*|phases=*|variants=*) declare "$argument" ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done

phase_basic() {
    traffic_short "4 pairs" u1 0 50
    traffic_more "4 pairs" u1 0
    pairs_used "4 pairs" nic0 u1 0 4 4
}

# Fewer pairs and more, while a stream each way runs.
phase_combined() {
    local n
    streams_start u1 0
    for n in 1 2 3 4; do
        check "combined $n: the guest's driver takes it" guest u1 "ethtool -L eth0 combined $n"
        streams_live u1 "combined $n"
        pairs_used "combined $n" nic0 u1 0 "$n" 4
    done
    streams_end u1 "combined 1 to 4" 90
}

# offloads TEXT SETTING...: for ethtool -K
offloads() {
    local text=$1
    shift
    if ! guest u1 "ethtool -K eth0 $*" > "$work/ethtool"; then
        skip "$text: ethtool -K $*: $(head -n 1 "$work/ethtool")"
        return
    fi
    figure "$text: TCP tx, Mbit/s" guest u1 'tcp -t 1 -c 10.9.0.1 -p 5201'
    figure "$text: TCP rx, Mbit/s" guest u1 'tcp -t 1 -c 10.9.0.1 -p 5201 -R'
    figure "$text: a file of 5 MB there and back, seconds" \
        file_both_ways u1 10.9.0.2 10.9.0.1 5
}

phase_offloads() {
    offloads "no segmentation by the device" tso off gso off
    offloads "no checksums by the device" tx off
    offloads "nothing joined for the guest" gro off rx-gro-hw off
    offloads "all offloads again" tx on tso on gso on gro on rx-gro-hw on
}

# killed BACK NUMBER PAIRS TIMES: under two streams, which go on
killed() {
    local i
    streams_start u1 "$2"
    streams_live u1 "$1: before it is killed"
    for ((i = 1; i <= $4; i++)); do
        back_kill "$1"
        check "$1: killed, and started again ($i)" back_start "$1" "$2" "$3"
        streams_live u1 "$1: kill $i"
    done
    streams_end u1 "$1: killed $4 times"
}

# killed_packed: QEMU has no inflight memory for a NIC, so where its packed rings stood is in them
killed_packed() {
    local n=${variant_number[packed]}
    if [ "$back" != ringtap ]; then
        skip "packed: a packed ring goes on after a kill"
        return
    fi
    check "packed: the guest's eth$n is up" guest u1 \
        "[ \"\$(cat /sys/class/net/eth$n/carrier 2>/dev/null)\" = 1 ] || net_address 2 $n"
    killed packed "$n" "${variant_pairs[packed]}" 10
    pairs_used "packed: after kills" packed u1 "$n" "${variant_pairs[packed]}" \
        "${variant_pairs[packed]}"
}

phase_kill() {
    killed nic0 0 4 10
    pairs_used "after kills" nic0 u1 0 4 4
    if variant_has packed; then
        killed_packed
    fi
}

not() { ! "$@"; }
# link_set NAME off|on: of NAME's nic0
link_set() {
    local up=true
    [ "$2" = on ] || up=false
    qmp_ok "$1" set_link "{\"name\":\"nic0\",\"up\":$up}"
}

# link_off_on TEXT NAME: the monitor NAME, of ringtap or QEMU
link_off_on() {
    check "$1: the link is set down" link_set "$2" off
    figure "$1: the guest's carrier" guest u1 'cat /sys/class/net/eth0/carrier'
    check "$1: no packets while it is down" not guest u1 'ping -q -c 2 -W 1 10.9.0.1 > /dev/null'
    check "$1: the link is set up" link_set "$2" on
    check "$1: packets again" wait_for 15 guest u1 'quiet_ping 10.9.0.1'
}

phase_link() {
    link_off_on "set_link of QEMU" u1
    if [ "$back" = ringtap ]; then
        link_off_on "set_link of ringtap" nic0
    else
        skip "set_link of ringtap"
    fi
}

# came_back TEXT: after a reset
came_back() {
    check "$1: the guest boots again" vm_boots u1
    servers_start
    check "$1: its NIC comes up" guest u1 'net_address 2'
    check "$1: ping" guest u1 'quiet_ping 10.9.0.1'
    figure "$1: TCP tx, Mbit/s" guest u1 'tcp -t 1 -c 10.9.0.1 -p 5201'
    figure "$1: TCP rx, Mbit/s" guest u1 'tcp -t 1 -c 10.9.0.1 -p 5201 -R'
    pairs_used "$1" nic0 u1 0 4 4
}

# The guest's own reboot has no traffic: Linux 6.1 resets and breaks its virtio devices then, and a
# processor that is sending spins for ever, as virtnet's start_xmit() waits for virtqueue_get_buf()
# to return what a broken queue returns no more (seen with three processors, the back end's rings
# having been stopped in order). With traffic QEMU resets it.
phase_reboot() {
    streams_start u1 0
    streams_live u1 "reboot"
    streams_end u1 "reboot" 90
    guest_tell u1 'reboot -f'
    came_back "reboot"
    streams_start u1 0
    check "reset: QEMU does it" qmp_ok u1 system_reset
    came_back "reset"
}

say "phase: the guest boots"
check "the bridge is up" bridge_add 0
servers_start
check "nic0: ringtap serves it" back_start nic0 0 4
mapfile -t properties < <(back_properties)
nic nic0 0 4 "${properties[@]}"
variants_add
vm_start u1
check "the guest boots" vm_boots u1
messages_start u1
check "its NIC comes up" guest u1 'net_address 2'
check "it has 4 pairs in use" [ "$(guest u1 'net_pairs 0')" = 4 ]
say "features of eth0:$(guest u1 'net_features 0')"
[ "$failures" = 0 ] || scenario_end
for phase in ${phases//,/ }; do
    say "phase: $phase"
    "phase_$phase"
done
say "phase: the end"
check "the guest's kernel is content" messages_clean u1
for name in nic0 "${variants_there[@]}"; do
    check "$name: its back end ends" back_stop "$name"
done
check "QEMU ends" vm_stop u1
logs_show
scenario_end
