#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios: guests and their consoles, checks, the end. Sourced in dom0.
#
# shellcheck disable=SC2034 # the arrays are the scenarios', too

declare -A guest_domid guest_console
failures=0

now() { cut -d. -f1 /proc/uptime; }
say() { printf '[%3d s] %s\n' "$(now)" "$*"; }
fail() {
    say "FAILED: $*"
    failures=$((failures + 1))
}

# check TEXT COMMAND...: says what was checked, and how it came out
check() {
    local text=$1
    shift
    if "$@"; then
        say "ok: $text"
    else
        fail "$text"
    fi
}

# scenario_end: the exit status says whether everything was well
scenario_end() {
    if [ "$failures" -gt 0 ]; then
        say "$failures failures"
        exit 1
    fi
    say "all well"
    exit 0
}

# wait_for SECONDS COMMAND...: true as soon as COMMAND is
wait_for() {
    local until=$(($(now) + $1))
    shift
    until "$@"; do
        [ "$(now)" -lt "$until" ] || return 1
        sleep 0.1
    done
}

# guest_config NAME VCPUS [LINE...]: its configuration, with LINEs added
guest_config() {
    local name=$1 vcpus=$2
    shift 2
    {
        cat <<C
name="$name"
type="pv"
kernel="/guest/vmlinux"
ramdisk="/guest/initrd"
memory=512
vcpus=$vcpus
extra="console=hvc0 rdinit=/init quiet"
C
        printf '%s\n' "$@"
    } > "/tmp/$name.cfg"
}

# guest_console_open NAME: of a guest that xl has created
guest_console_open() {
    local tty fd
    guest_domid[$1]=$(xl domid "$1") || return
    tty=/local/domain/${guest_domid[$1]}/console/tty
    wait_for 10 xenstore-read "$tty" > /dev/null 2>&1 || return
    exec {fd}<> "$(xenstore-read "$tty")"
    guest_console[$1]=$fd
}

# guest_create NAME VCPUS [LINE...]: paused, with LINEs added to its configuration
guest_create() {
    guest_config "$@"
    xl create -q -p "/tmp/$1.cfg" && guest_console_open "$1"
}

# guest_boot NAME: lets it run, and waits for its console to answer
guest_boot() {
    local line
    xl unpause "$1" || return
    while read -r -t 240 -u "${guest_console[$1]}" line; do
        [ "${line%$'\r'}" != @@ready ] || return 0
    done
    fail "guest $1 did not boot"
    return 1
}

# guest NAME COMMAND: runs it there; prints what it prints, returns its status
guest() {
    local number=$RANDOM$RANDOM fd=${guest_console[$1]} line
    printf '%s %s\n' "$number" "$2" >&"$fd"
    while IFS= read -r -t "${guest_timeout:-180}" -u "$fd" line; do
        line=${line%$'\r'}
        case $line in
            "@@end $number "*) return "${line##* }" ;;
            '') ;;
            *) printf '%s\n' "$line" ;;
        esac
    done
    echo "no answer from guest $1"
    return 124
}

# guest_destroy NAME
guest_destroy() {
    local fd=${guest_console[$1]}
    xl destroy "$1"
    exec {fd}>&-
    unset "guest_console[$1]" "guest_domid[$1]"
}

# The kernel's messages since the last call that should not be there: of level warning
# or worse, about what is tested here, or a sign of a bug wherever it is.
bad_messages='vif|net|xen|eth0|tun|tap|br0|skb|grant|evtchn|BUG|WARNING|Oops|Call Trace|hung|stall'
messages_filter() { grep -E '^<[0-4]>' | grep -E "$bad_messages"; }

# messages_start NAME: forgets what the boot said. NAME is dom0 or a guest.
messages_start() {
    if [ "$1" = dom0 ]; then
        dmesg -c > /dev/null
    else
        guest "$1" 'dmesg -c > /dev/null'
    fi
}

# messages_clean NAME: prints such messages; true if there are none
messages_clean() {
    local text
    if [ "$1" = dom0 ]; then
        text=$(dmesg -r | messages_filter)
    else
        text=$(guest "$1" "dmesg -r | grep '^<[0-4]>'" | messages_filter)
    fi
    [ -z "$text" ] || { printf '%s: %s\n' "$1" "$text"; return 1; }
}
