#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two guests of the same kind in one dom0: u1 is served by ringtap, u2 by Linux netback.
# They are measured in turn, and medians are compared. tx is from the guest to dom0.
# Arguments: queues=N vcpus=N streams=N rounds=N seconds=N.

# shellcheck source=tests/xen/lib/dom0-net.sh
. /lab/dom0-net.sh
# shellcheck source=tests/xen/scenarios/bench-net/usage.sh
. /lab/scenario/usage.sh

queues=2 vcpus=2 streams=1 rounds=3 seconds=1
for argument; do
    case $argument in
        queues=*|vcpus=*|streams=*|rounds=*|seconds=*) declare "$argument" ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done

# xen-netback takes each vif of its domain when it is loaded, and each that comes. Told
# not to look by itself, it takes those that it is given, and leaves ringtap's alone.
netback_load() {
    echo 0 > /sys/bus/xen-backend/drivers_autoprobe &&
        modprobe xen-netback max_queues="$queues"
}

netback_take() {
    wait_for 30 [ -e "/sys/bus/xen-backend/devices/$1" ] &&
        echo "$1" > /sys/bus/xen-backend/drivers_probe
}

# The guest's domain number is not known before it is created, and it is not created
# before its vif is offered; the next free one it will be.
netback_guest() {
    local status
    netback_take "vif-$((${guest_domid[u1]} + 1))-0" &
    guest_create u2 "$vcpus" "vif=['mac=00:16:3e:00:00:02,script=vif-lab']"
    status=$?
    wait $!
    return "$status"
}

declare -A rates
# one_run GUEST tx|rx: a rate for the median, and who used the processors
one_run() {
    local name=$1 dir=$2 rate text arguments="-t $seconds -c 10.9.0.1 -p 5201 -P $streams"
    [ "$dir" = tx ] || arguments+=" -R"
    usage_start "$name"
    rate=$(guest "$name" "tcp $arguments")
    text=$(usage_end "$name")
    if ! awk -v r="$rate" 'BEGIN { exit !(r > 0) }'; then
        fail "$name $dir: $rate"
        return
    fi
    rates[$name/$dir]+="$rate "
    printf '%-8s %s %8s Mbit/s   %s\n' "${kind[$name]}" "$dir" "$rate" "$text"
}

# median NAME tx|rx
median() {
    tr ' ' '\n' <<< "${rates[$1/$2]}" | sed '/^$/d' | sort -n |
        awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : 0 }'
}

declare -A kind=([u1]=ringtap [u2]=netback)
guest_timeout=300
check "the bridge is up" bridge_up
check "a guest for ringtap is created" guest_create u1 "$vcpus"
check "ringtap serves it" ringtap_start u1 "$queues" 00:16:3e:00:00:01
check "it boots" guest_boot u1
check "netback is loaded" netback_load
check "a guest for Linux netback is created" netback_guest
check "it boots" guest_boot u2
check "the vif of the one comes up" guest u1 "net_up $queues 2"
check "the vif of the other comes up" guest u2 "net_up $queues 3"
check "they have as many queues" [ "$(guest u1 net_queues)" = "$(guest u2 net_queues)" ]
[ "$failures" = 0 ] || scenario_end

say "$queues queues, $streams streams, $seconds s, $rounds rounds"
counters u1 > /tmp/before
for ((round = 0; round < rounds; round++)); do
    for dir in tx rx; do
        for name in u1 u2; do
            one_run "$name" "$dir"
        done
    done
done
counters_since u1 /tmp/before > /tmp/counters
say "ringtap's counters:"
counters_show /tmp/counters
check "ringtap ends well" ringtap_stop u1
printf '\n%-10s %10s %10s   medians, Mbit/s\n' '' tx rx
for name in u1 u2; do
    printf '%-10s %10s %10s\n' "${kind[$name]}" "$(median "$name" tx)" "$(median "$name" rx)"
done
[ "$failures" = 0 ] || scenario_end
awk -v a="$(median u1 tx)" -v b="$(median u2 tx)" -v c="$(median u1 rx)" -v d="$(median u2 rx)" \
    'BEGIN { printf "ratio tx=%.2f rx=%.2f\n", a / b, c / d }'
