#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios about a vif: ringtap and the other backends. Sourced in dom0.

# shellcheck source=tests/xen/lib/dom0.sh
. /lab/dom0.sh
# shellcheck source=tests/lab/both.sh
. /lab/both.sh
# shellcheck source=tests/lab/measure.sh
. /lab/measure.sh

declare -A qemu_pid

# ringtap_start NAME QUEUES MAC [PROPERTY...]: serves the vif of a guest that was created, by
# a tap in the bridge; it has idx 0, if no PROPERTY of the device is given. How it copies says
# $grant_copy.
ringtap_start() {
    local domid=${guest_domid[$1]} vif properties=${4-idx=0}
    properties+=${grant_copy:+${properties:+,}grant-copy=$grant_copy}
    # what all ringtaps together may grant to themselves: 420 a queue
    echo "${granted_pages:-16384}" > /sys/module/xen_gntalloc/parameters/limit
    vif=vif$domid.0
    ringtap -machine xenpv -xen-domid "$domid" -xen-attach -name "$1" \
        -nodefaults -display none \
        -netdev "tap,id=n0,ifname=$vif,queues=$2,script=no,downscript=no" \
        -device "xen-net-device,netdev=n0,id=nic0,mac=$3${properties:+,$properties}" \
        -qmp "unix:/run/$1.qmp,server=on,wait=off" > "/tmp/$1.log" 2>&1 &
    ringtap_pid[$1]=$!
    wait_for 10 tap_exists "$vif" && wait_for 10 [ -S "/run/$1.qmp" ] &&
        ip link set "$vif" master br0 up
}

# ringtap_start_all NAME QUEUES PROPERTIES GUEST...: one ringtap for the vifs of some guests, each with
# a tap in the bridge; the last byte of their MACs counts from 1
ringtap_start_all() {
    local name=$1 queues=$2 properties=$3 args=() n=0 guest
    properties+=${grant_copy:+${properties:+,}grant-copy=$grant_copy}
    shift 3
    echo "${granted_pages:-16384}" > /sys/module/xen_gntalloc/parameters/limit
    for guest; do
        n=$((n + 1))
        args+=(-netdev "tap,id=n$n,ifname=vif${guest_domid[$guest]}.0,queues=$queues,script=no,downscript=no"
            -device "xen-net-device,netdev=n$n,id=$guest,frontend-id=${guest_domid[$guest]},idx=0,$(
                )mac=00:16:3e:00:00:0$n${properties:+,$properties}")
    done
    ringtap -machine xenpv -xen-attach -name "$name" -nodefaults -display none "${args[@]}" \
        -qmp "unix:/run/$name.qmp,server=on,wait=off" > "/tmp/$name.log" 2>&1 &
    ringtap_pid[$name]=$!
    wait_for 10 [ -S "/run/$name.qmp" ] || return
    for guest; do
        wait_for 10 tap_exists "vif${guest_domid[$guest]}.0" &&
            ip link set "vif${guest_domid[$guest]}.0" master br0 up || return
    done
}

# qemu_start NAME MAC: QEMU's own device serves the vif; it has one queue
qemu_start() {
    local domid=${guest_domid[$1]} vif
    vif=vif$domid.0
    qemu -machine xenpv -xen-domid "$domid" -xen-attach -name "$1" -nodefaults -display none \
        -netdev "tap,id=n0,ifname=$vif,script=no,downscript=no" \
        -device "xen-net-device,netdev=n0,mac=$2,idx=0" > "/tmp/$1.log" 2>&1 &
    # shellcheck disable=SC2034 # scenarios read it
    qemu_pid[$1]=$!
    wait_for 10 tap_exists "$vif" && ip link set "$vif" master br0 up
}

# netback_load QUEUES: xen-netback takes each vif of its domain when it is loaded, and each that
# comes. Told not to look by itself, it takes those that it is given, and leaves ringtap's alone.
netback_load() {
    echo 0 > /sys/bus/xen-backend/drivers_autoprobe &&
        modprobe xen-netback max_queues="$1"
}

netback_take() {
    wait_for 30 [ -e "/sys/bus/xen-backend/devices/$1" ] &&
        echo "$1" > /sys/bus/xen-backend/drivers_probe
}

# netback_guest NAME VCPUS MAC DOMID: a guest is not created before its vif is offered, and its
# number not known before that: DOMID is the next free one.
netback_guest() {
    local status
    netback_take "vif-$4-0" &
    guest_create "$1" "$2" "vif=['mac=$3,script=vif-lab']"
    status=$?
    wait $!
    return "$status"
}
