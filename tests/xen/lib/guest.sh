#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a guest runs: dom0's commands, which may use these functions.

# shellcheck source=tests/lab/both.sh
. /lab/both.sh
# shellcheck source=tests/lab/guest-side.sh
. /lab/guest-side.sh
# shellcheck source=tests/xen/lib/guest-disk.sh
. /lab/guest-disk.sh
# shellcheck source=tests/xen/lib/guest-log.sh
. /lab/guest-log.sh

if [ -e /lab/scenario/guest.sh ]; then
    # shellcheck source=tests/xen/scenarios/netfront/guest.sh
    . /lab/scenario/guest.sh
fi

# net_up QUEUES HOST: loads netfront; addresses end in HOST
net_up() {
    modprobe xen-netfront max_queues="$1" && net_address "$2"
}

# A driver that is bound to a device cannot be unloaded: xenbus holds on to it.
net_down() {
    local device
    for device in /sys/bus/xen/drivers/vif/vif-*; do
        basename "$device" > /sys/bus/xen/drivers/vif/unbind || return
    done
    rmmod xen-netfront
}

# tx queues of the interface, which is what netfront and its backend agreed on
net_queues() {
    find /sys/class/net/eth0/queues -name 'tx-*' | wc -l
}

serve_console
