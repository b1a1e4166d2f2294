#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The same measures as in scenario net, with the backend that everybody has: a check of
# the measures themselves, and figures to compare with. Arguments: numbers of queues.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh

[ $# -gt 0 ] || set -- 1 4
modprobe xen-netback max_queues=4
check "the bridge is up" bridge_up
check "a guest is created" guest_create u1 4 "vif=['mac=00:16:3e:00:00:01,script=vif-lab']"
check "it boots" guest_boot u1
messages_start dom0
messages_start u1
columns=()
for queues; do
    check "netfront loads, at most $queues queues" guest u1 "net_up $queues 2"
    check "it has $queues queues" [ "$(guest u1 net_queues)" = "$queues" ]
    measure_net u1 "$queues queues" 2 5201
    columns+=("$queues queues")
    check "netfront unloads" guest u1 net_down
done
check "the guest's kernel is content" messages_clean u1
check "the guest is destroyed" guest_destroy u1
check "dom0's kernel is content" messages_clean dom0
table "${columns[@]}"
scenario_end
