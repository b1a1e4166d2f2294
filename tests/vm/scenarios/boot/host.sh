#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Without ringtap: whether the lab works. DPDK's taps have no vnet header, so no offloads.
#
# shellcheck disable=SC2154 # variables from run

# shellcheck source=tests/vm/lib/host.sh
. "$here/lib/host.sh"
# shellcheck source=tests/vm/lib/testpmd.sh
. "$here/lib/testpmd.sh"

offloads_off=(csum=off guest_csum=off gso=off guest_tso4=off guest_tso6=off guest_ecn=off guest_ufo=off)

check "the bridge is up" bridge_up
check "DPDK's back end is there" testpmd_back 0 4
nic 0 4 "${offloads_off[@]}"
vm_start u1
check "a guest boots" vm_boot u1
messages_start u1
check "its NIC comes up" guest u1 'net_address 2'
figure "queue pairs in use" guest u1 'net_pairs 0'
check "ping" guest u1 'quiet_ping 10.9.0.1'
check "ping over IPv6" guest u1 'quiet_ping fd09::1'
figure "TCP tx, Mbit/s" guest u1 'tcp -t 2 -c 10.9.0.1 -p 5201'
figure "TCP rx, Mbit/s" guest u1 'tcp -t 2 -c 10.9.0.1 -p 5201 -R'
check "the guest's kernel is content" messages_clean u1
check "QEMU ends" vm_stop u1
testpmd_stop nic0
scenario_end
