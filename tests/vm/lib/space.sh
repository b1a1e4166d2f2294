# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where a scenario runs: namespaces of its own for network, processes and mounts. With its first
# process all others end, however it ends, and what they made of interfaces.

space_pid=''
space=(unshare --net --pid --mount --fork --kill-child --mount-proc)

need_space() {
    [ "$(id -u)" = 0 ] || cannot "it needs root, for network namespaces and taps"
    "${space[@]}" true 2>/dev/null ||
        cannot "no right to make namespaces (a container? it needs SYS_ADMIN and NET_ADMIN)"
    [ -c /dev/net/tun ] || cannot "no /dev/net/tun (modprobe tun)"
}

space_end() {
    [ -z "$space_pid" ] || kill -KILL "$space_pid" 2>/dev/null || true
    space_pid=''
}

list_scenarios() {
    local dir
    for dir in "$here"/scenarios/*/; do
        printf '%-14s %s\n' "$(basename "$dir")" "$(sed -n 's/^about=//p' "$dir/settings")"
    done
}

# What a scenario's settings file says: key=value lines, nothing else.
setting() { sed -n "s/^$1=//p" "$scenario/settings"; }

# any_setting KEY VALUE: one of the scenarios has it
any_setting() {
    local name
    for name in "${names[@]}"; do
        ! grep -qx "$1=$2" "$here/scenarios/$name/settings" || return 0
    done
    return 1
}

# count_line LINE: as the checks of scenarios say it
count_line() {
    case $1 in
        '['*'] ok: '*) passed=$((passed + 1)) ;;
        '['*'] FAILED: '*) failed=$((failed + 1)) ;;
        '['*'] skipped: '*) skipped=$((skipped + 1)) ;;
    esac
}

# scenario_run VMLINUX: counts what it says. It is killed when its time is over.
scenario_run() {
    local seconds=${limit:-$(setting time)} until line output ended='' before=$failed
    mkdir -p "$work/$name"
    say "$name, at most $seconds s"
    until=$((SECONDS + seconds))
    # If we are killed, nobody is left to end it but the kernel.
    exec {output}< <(exec env here="$here" lab="$lab" top="$top" scenario="$scenario" \
        work="$work/$name" vmlinux="$1" initrd="$work/initrd" ringtap="$ringtap" cpu="$cpu" \
        qemu="$qemu" \
        accel="$(accel_of "$parallel")" \
        setpriv --pdeathsig KILL "${space[@]}" \
        bash "$here/lib/inside.sh" ${arguments[@]+"${arguments[@]}"} < /dev/null 2>&1)
    space_pid=$!
    while [ "$SECONDS" -lt "$until" ] &&
        IFS= read -r -t $((until - SECONDS)) -u "$output" line; do
        case $line in
            '@@end '*) ended=${line#@@end } ;;
            *) count_line "$line"; printf '%s\n' "$line" ;;
        esac
    done
    exec {output}<&-
    space_end
    case $ended in
        0) ;;
        '') failed=$((failed + 1)); say "FAILED: $name did not come to its end within $seconds s" ;;
        *) [ "$failed" -gt "$before" ] || failed=$((failed + 1)); say "$name: exit status $ended" ;;
    esac
}
