#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios: back ends of NICs, ringtap or (back=dpdk) DPDK's testpmd. Each has a name, which its
# tap and its socket have, too. Sourced by host.sh.
#
# shellcheck disable=SC2154 # variables from run

back=ringtap
declare -A back_pid

# back_start NAME NUMBER PAIRS: listens at $work/NAME.sock, its tap is in brNUMBER
back_start() {
    # A monitor of one that was killed would look as if this one were ready.
    rm -f "$work/$1.qmp"
    "${back}_start" "$1" "$3" >> "$work/$1.log" 2>&1 &
    back_pid[$1]=$!
    wait_for 20 tap_exists "$1" && "${back}_listens" "$1" && ip link set "$1" master "br$2" up
}

# back_kill NAME: as a crash; nothing is closed, nothing removed
back_kill() {
    kill -KILL "${back_pid[$1]}"
    wait "${back_pid[$1]}" 2>/dev/null
    true
}

# back_stop NAME: SIGTERM; true if it ends within 10 s with exit status 0
back_stop() {
    # shellcheck disable=SC2034 # ringtap_stop reads it
    ringtap_pid[$1]=${back_pid[$1]}
    ringtap_stop "$1"
}

ringtap_start() {
    exec "$ringtap" -name "$1" -nodefaults -display none \
        -netdev "tap,id=n0,ifname=$1,queues=$2,script=no,downscript=no" \
        -chardev "socket,id=c0,path=$work/$1.sock,server=on,wait=off" \
        -device vhost-user-net,chardev=c0,netdev=n0,id=nic0 \
        -qmp "unix:$work/$1.qmp,server=on,wait=off"
}

ringtap_listens() { wait_for 10 [ -S "$work/$1.qmp" ]; }

# Without huge pages and devices of the machine; it ends with its standard input, and refuses a
# socket that is there.
dpdk_start() {
    rm -f "$work/$1.sock"
    exec stdbuf -oL dpdk-testpmd --no-huge -m 512 --no-shconf --no-pci --no-telemetry -l 0,1 \
        --vdev "net_vhost0,iface=$work/$1.sock,queues=$2" --vdev "net_tap0,iface=$1" \
        -- --total-num-mbufs=32768 --stats-period=1 --rxq="$2" --txq="$2" --nb-cores=1 \
        --auto-start < <(sleep infinity)
}

dpdk_listens() { wait_for 10 grep -q 'NIC statistics' "$work/$1.log"; }

# Its taps have no vnet header, so there can't be offloads.
dpdk_offloads=(csum=off guest_csum=off gso=off guest_tso4=off guest_tso6=off guest_ecn=off
    guest_ufo=off host_tso4=off host_tso6=off host_ecn=off host_ufo=off)

# back_properties: of the NIC, for nic
back_properties() {
    if [ "$back" = dpdk ]; then
        printf '%s\n' "${dpdk_offloads[@]}"
    fi
}
