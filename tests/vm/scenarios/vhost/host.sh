#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest is the host here: ringtap runs in it, beside a kernel that has vhost-net, and a VMM
# speaks vhost-user to it.
#
# shellcheck disable=SC2154 # variables from run

# shellcheck source=tests/vm/lib/host.sh
. "$here/lib/host.sh"

tap=ifname=hv,queues=2

vm_start u1
check "a guest boots" vm_boots u1
messages_start u1
guest u1 'modprobe tun'

# without the module
check "vhost=on without a vhost-net does without" guest u1 "back_up $tap,vhost=on"
check "and says so" guest u1 \
    'said "warning: tap: open vhost char device failed: No such file or directory"'
check "a VMM is served" guest u1 'front_up 2'
check "by ringtap" guest u1 'served 0'
check "TCP to the VMM" guest u1 'both_ways'
check "all ends" guest u1 'all_down'
check "vhostforce=on without a vhost-net is refused" guest u1 \
    "refused queues=2,vhostforce=on 'tap: open vhost char device failed: No such file or directory'"

check "the module is there" guest u1 'modprobe vhost_net && wait_for 10 [ -c /dev/vhost-net ]'
check "what is no vhost is done without" guest u1 "back_up ifname=hv,vhostfd=0"
check "and it is said" guest u1 'said "vhost-net requested but could not be initialized"'
check "it ends" guest u1 'all_down'
check "and is refused if it is forced" guest u1 \
    "refused vhostfd=0,vhostforce=on 'vhost-net requested but could not be initialized'"

check "virtio-net-pci by qtest: both pairs and four, by name and by descriptors" guest u1 qtest_nic

check "vhost=on" guest u1 "back_up $tap,vhost=on,poll-us=20"
check "a VMM comes" guest u1 'front_up 2'
check "the kernel serves both pairs" guest u1 'served 2'
check "TCP to the VMM" guest u1 'both_ways'
check "TCP from the VMM" guest u1 'both_ways -R'
check "two streams begin" guest u1 'streams_begin && streams_live to from'
for _ in 1 2 3; do
    check "the link goes off" guest u1 'link false && served 0'
    check "and on again" guest u1 'link true && served 2'
    check "the streams go on" guest u1 'streams_live to from'
done
check "stop" guest u1 'vm_state stop && served 0'
check "cont" guest u1 'vm_state cont && served 2'
check "the streams go on" guest u1 'streams_live to from'
figure "MB to the VMM" guest u1 'stream_end to'
figure "MB from the VMM" guest u1 'stream_end from'
figure "with vhost" guest u1 'measure'
check "all ends" guest u1 'all_down'
check "another one without" guest u1 "back_up $tap && front_up 2 && served 0"
figure "without" guest u1 'measure'
check "all ends" guest u1 'all_down'

check "the guest's kernel is content" messages_clean u1
check "QEMU ends" vm_stop u1
logs_show
scenario_end
