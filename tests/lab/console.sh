#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios: guests' consoles, by which they are told what to do (guest-side.sh is the other
# end).

# NAME: descriptors to read what it says, and to write
declare -A guest_console guest_input

# guest_ready NAME SECONDS: waits for its console to answer
guest_ready() {
    local line
    while read -r -t "$2" -u "${guest_console[$1]}" line; do
        [ "${line%$'\r'}" != @@ready ] || return 0
    done
    echo "guest $1 did not boot"
    return 1
}

# guest_tell NAME COMMAND [NUMBER]: whose answer nobody waits for
guest_tell() { printf '%s %s\n' "${3:-0}" "$2" >&"${guest_input[$1]}"; }

# guest NAME COMMAND: runs it there; prints what it prints, returns its status
guest() {
    local number=$RANDOM$RANDOM fd=${guest_console[$1]} line
    guest_tell "$1" "$2" "$number"
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
