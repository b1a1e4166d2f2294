# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ringtap and a VMM of its own, vhost-user-tap, in the guest: 10.9.0.1 is the tap that ringtap has,
# 10.9.0.2 that of the VMM, in a network namespace.

# shellcheck source=tests/lab/checks.sh
. /lab/checks.sh
# shellcheck disable=SC2034 # qmp reads it
sockets=/tmp
ringtap_pid='' front_pid=''
mkdir -p /var/run

# back_up OPTIONS [COMMAND...]: ringtap with these options of its tap, started by COMMAND
back_up() {
    local options=$1
    shift
    rm -f /tmp/c0 /tmp/nic.qmp
    "$@" ringtap -nodefaults -display none \
        -netdev "tap,id=n0,script=no,downscript=no,$options" \
        -chardev socket,id=c0,path=/tmp/c0,server=on,wait=off \
        -device vhost-user-net,chardev=c0,netdev=n0,id=nic0 \
        -qmp unix:/tmp/nic.qmp,server=on,wait=off > /tmp/ringtap.log 2>&1 &
    ringtap_pid=$!
    wait_for 20 [ -S /tmp/nic.qmp ] || { cat /tmp/ringtap.log; return 1; }
}

# front_up PAIRS: a VMM, and addresses at both ends of what it has with ringtap
front_up() {
    ip netns list | grep -q '^vmm' || ip netns add vmm
    ip netns exec vmm vhost-user-tap /tmp/c0 gv "$1" > /tmp/front.log 2>&1 &
    front_pid=$!
    wait_for 20 grep -q ready /tmp/front.log || { cat /tmp/front.log; return 1; }
    ip addr replace 10.9.0.1/24 dev hv
    ip link set hv up
    ip netns exec vmm ip addr replace 10.9.0.2/24 dev gv
    ip netns exec vmm ip link set gv up
    ip netns exec vmm ip link set lo up
}

all_down() {
    [ -z "$front_pid" ] || { kill "$front_pid"; wait "$front_pid"; }
    kill "$ringtap_pid"
    wait "$ringtap_pid"
    front_pid='' ringtap_pid=''
    ! ip link show hv 2>/dev/null
}

network() { qmp nic human-monitor-command '{"command-line":"info network"}'; }

# served N: by vhost are N pairs; it may take a moment until they are
served() { wait_for 10 served_now "$1" || { network; cat /tmp/ringtap.log; return 1; }; }
served_now() { [ "$(network | grep -o 'vhost=on' | wc -l)" = "$1" ]; }

link() { qmp nic set_link "{\"name\":\"n0\",\"up\":$1}" | grep -q '"return"'; }

vm_state() { qmp nic "$1" | grep -q '"return"'; }

# both_ways: pings, and TCP to and from the VMM; prints Mbit/s of both
both_ways() {
    ping -c 3 -i 0.2 -W 5 10.9.0.2 > /dev/null || { ip -s addr; return 1; }
    ip netns exec vmm iperf3 -s -D -1 > /dev/null
    sleep 1
    iperf3 -t 3 -c 10.9.0.2 -f m "$@" | awk '/receiver/ { print $(NF - 2) }'
}

streams_begin() {
    ip netns exec vmm iperf3 -s -p 5205 -D
    ip netns exec vmm iperf3 -s -p 5206 -D
    sleep 1
    stream_start to -c 10.9.0.2 -p 5205
    stream_start from -c 10.9.0.2 -p 5206 -R
}

# said TEXT: by ringtap
said() { grep -F "$1" /tmp/ringtap.log || { cat /tmp/ringtap.log; return 1; }; }

# refused OPTIONS TEXT: such a netdev
refused() {
    timeout 20 ringtap -nodefaults -display none -netdev "tap,id=n0,ifname=hv,$1" > /tmp/ringtap.log 2>&1
    [ $? = 1 ] && said "$2" > /dev/null && ! ip link show hv 2>/dev/null
}

# ticks: of 10 ms, of the processor that ringtap and the kernel's vhost threads took
ticks() {
    local stat sum=0
    for stat in /proc/[0-9]*/stat; do
        case $(cat "$stat" 2>/dev/null) in
            "$ringtap_pid ("*|*"(vhost-$ringtap_pid)"*)
                sum=$((sum + $(awk '{ print $14 + $15 }' "$stat"))) ;;
        esac
    done
    echo "$sum"
}

# measure: Mbit/s and ticks, to the VMM and from it
measure() {
    local before mbit
    for way in '' -R; do
        before=$(ticks)
        # shellcheck disable=SC2086 # no argument, or one
        mbit=$(both_ways $way)
        printf '%s Mbit/s with %s ticks; ' "$mbit" "$(($(ticks) - before))"
    done
    echo
}

# qtest_nic: the driver of a virtio-net-pci by qtest, and the kernel; all of it, and nothing skipped
qtest_nic() {
    RINGTAP=/usr/bin/ringtap test-virtio-net-pci-vhost > /tmp/qtest.log 2>&1 ||
        { cat /tmp/qtest.log; return 1; }
    grep -E '^(not )?ok' /tmp/qtest.log
    ! grep -q 'not ok\|SKIP' /tmp/qtest.log
}
