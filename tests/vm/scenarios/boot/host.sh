#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Without ringtap: whether the lab works.
#
# shellcheck disable=SC2154 # variables from run

# shellcheck source=tests/vm/lib/host.sh
. "$here/lib/host.sh"

back=dpdk
check "the bridge is up" bridge_add 0
servers_start
check "DPDK's back end is there" back_start nic0 0 4
nic nic0 0 4 "${dpdk_offloads[@]}"
vm_start u1
check "a guest boots" vm_boots u1
messages_start u1
check "its NIC comes up" guest u1 'net_address 2'
figure "queue pairs in use" guest u1 'net_pairs 0'
check "ping" guest u1 'quiet_ping 10.9.0.1'
check "ping over IPv6" guest u1 'quiet_ping fd09::1'
figure "TCP tx, Mbit/s" guest u1 'tcp -t 2 -c 10.9.0.1 -p 5201'
figure "TCP rx, Mbit/s" guest u1 'tcp -t 2 -c 10.9.0.1 -p 5201 -R'
check "the guest's kernel is content" messages_clean u1
check "QEMU ends" vm_stop u1
check "DPDK's back end ends" back_stop nic0
scenario_end
