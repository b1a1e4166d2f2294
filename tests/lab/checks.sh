#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios: checks, waiting, kernels' messages, the end. "dom0" is where the scenario runs.

failures=0
since=0 # seconds of the machine's uptime from which time counts

now() {
    local up
    read -r up _ < /proc/uptime
    echo $((${up%.*} - since))
}
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

# figure TEXT COMMAND...: the same, for a command that prints a figure, or what is wrong
figure() {
    local text=$1 value
    shift
    if value=$("$@"); then
        say "ok: $text: $value"
    else
        fail "$text: $value"
    fi
}

# skip TEXT: a check that cannot be made
skip() { say "skipped: $*"; }

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
