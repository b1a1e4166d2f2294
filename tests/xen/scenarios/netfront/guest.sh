#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the guest: ringtap as its frontend, with a tap eth0.

# gntalloc's default limit of 1024 pages is one queue's.
front_ready() {
    modprobe xen-evtchn && modprobe xen-gntalloc limit=65536 && modprobe tun
}

# front_up QUEUES HOST: as net_up, which it shares the addresses with
front_up() {
    ringtap -machine xenpv -accel xen -nodefaults -display none \
        -netdev "tap,id=n0,ifname=eth0,queues=$1,script=no,downscript=no" \
        -device xen-netfront,netdev=n0,id=front0 \
        -qmp unix:/run/front.qmp,server=on,wait=off > /tmp/front.log 2>&1 &
    front_pid=$!
    net_address "$2" || { cat /tmp/front.log; return 1; }
}

# front_down: by SIGTERM
front_down() {
    kill -TERM "$front_pid" && wait "$front_pid" || { cat /tmp/front.log; return 1; }
    [ ! -e /sys/class/net/eth0 ]
}
