#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two QEMUs on one host, each with a ringtap whose tap is in the same bridge. Streams both ways run
# from the first to the last.
# Arguments: back=dpdk, to see what DPDK's back end makes of it; times=N; more properties of the NIC,
# such as packed=on.
#
# shellcheck disable=SC2154 # variables from run

# shellcheck source=tests/vm/lib/host.sh
. "$here/lib/host.sh"
# shellcheck source=tests/vm/lib/traffic.sh
. "$here/lib/traffic.sh"

times=5 extra=()
for argument; do
    case $argument in
        back=*|times=*) declare "$argument" ;;
        *=*) extra+=("$argument") ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done

# nic_of BACK: both QEMUs have the same NIC
nic_of() {
    local properties
    mapfile -t properties < <(back_properties)
    nics=()
    nic "$1" 0 4 "${properties[@]}" ${extra[@]+"${extra[@]}"}
}

migration_status() { qmp "$1" query-migrate | grep -o '"status": "[a-z-]*"' | head -n 1; }

# migration_ended NAME: it completed, or it never will
migration_ended() {
    case $(migration_status "$1") in
        *completed*|*failed*|*cancelled*) return 0 ;;
        *) return 1 ;;
    esac
}

# qmp_number NAME COMMAND KEY: the first number of that name in the answer
qmp_number() { qmp "$1" "$2" | grep -o "\"$3\": [0-9]*" | head -n 1 | tr -dc 0-9; }

# migrate FROM TO: prints how long it took and how long the guest stood still
migrate() {
    qmp_ok "$1" migrate-set-parameters '{"max-bandwidth":1000000000,"downtime-limit":1000}' &&
        qmp_ok "$1" migrate "{\"uri\":\"unix:$work/migrate-$2\"}" || return
    wait_for 90 migration_ended "$1"
    case $(migration_status "$1") in
        *completed*) ;;
        *) qmp "$1" query-migrate; tail -qn 5 "$work/$1.log" "$work/$2.log"; return 1 ;;
    esac
    echo "$(qmp_number "$1" query-migrate total-time) ms," \
        "the guest stood still for $(qmp_number "$1" query-migrate downtime) ms"
}

vm_runs() { qmp "$1" query-status | grep -q '"running": true'; }

# one_migration NUMBER FROM TO
one_migration() {
    local text="migration $1" from=$2 to=$3
    nic_of "nic-$to"
    vm_start "$to" -incoming "unix:$work/migrate-$to"
    check "$text: QEMU $to waits for it" wait_for 30 [ -S "$work/migrate-$to" ]
    figure "$text: $from to $to" migrate "$from" "$to"
    check "$text: the guest runs" wait_for 20 vm_runs "$to"
    check "$text: QEMU $from ends" vm_stop "$from"
    streams_live "$to" "$text"
    [ "$failures" = 0 ] || { autopsy "$to" "nic-$to"; sleep 5; autopsy "$to" "nic-$to"; scenario_end; }
    check "$text: ping to the guest" wait_for 10 quiet_ping 10.9.0.2
    pairs_used "$text" "nic-$to" "$to" 0 4 4
    check "$text: the guest's kernel is content" messages_clean "$to"
}

say "phase: the guest boots"
check "the bridge is up" bridge_add 0
servers_start
for name in nic-a nic-b; do
    check "$name: ringtap serves it" back_start "$name" 0 4
done
nic_of nic-a
vm_start a
check "the guest boots" vm_boots a
messages_start a
check "its NIC comes up" guest a 'net_address 2'
say "features of eth0:$(guest a 'net_features 0')"
[ "$failures" = 0 ] || scenario_end
streams_start a 0
streams_live a "before"
from=a to=b
for ((i = 1; i <= times; i++)); do
    say "phase: migration $i"
    one_migration "$i" "$from" "$to"
    read -r from to <<< "$to $from"
done
say "phase: the end"
streams_end "$from" "$times migrations"
for name in nic-a nic-b; do
    check "$name: its back end ends" back_stop "$name"
done
check "QEMU ends" vm_stop "$from"
logs_show
scenario_end
