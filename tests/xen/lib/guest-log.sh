#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In a guest: disk-log at work, so that nothing may be lost of what was acknowledged. Sourced by
# guest.sh.

declare -A log_pid
log_lines=0

# log_start NAME FIRST-BYTE BLOCKS SIZE DEPTH [DISK]: on xvda if no other one is named, until log_end
log_start() {
    disk-log "/dev/${6:-xvda}" "${@:2:4}" > "/tmp/log.$1" 2>&1 &
    log_pid[$1]=$!
}

# log_ask: all of them are to end what they do, and to compare; nobody waits for it
log_ask() {
    local name
    log_lines=$((log_lines + 1))
    for name in "${!log_pid[@]}"; do
        kill -USR1 "${log_pid[$name]}" || { cat "/tmp/log.$name"; return 1; }
    done
}

# log_answers SECONDS: all of them have, and nothing was lost
log_answers() {
    local name i
    for name in "${!log_pid[@]}"; do
        for ((i = 0; i < $1 * 10; i++)); do
            [ "$(wc -l < "/tmp/log.$name")" -lt "$log_lines" ] || break
            sleep 0.1
        done
        tail -n +"$log_lines" "/tmp/log.$name"
        tail -n +"$log_lines" "/tmp/log.$name" | grep -q '^well' || return 1
    done
}

# log_end: all of them compare for the last time
log_end() {
    local name status=0
    kill -TERM "${log_pid[@]}"
    for name in "${!log_pid[@]}"; do
        wait "${log_pid[$name]}" || status=1
        tail -n 1 "/tmp/log.$name"
    done
    log_pid=()
    return "$status"
}
