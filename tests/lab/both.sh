#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For dom0 and for guests.

quiet_ping() { ping -q -c 3 -i 0.2 -W 2 "$@" > /dev/null; }

# listening PORT: true as soon as somebody does, over IPv4 or both
listening() {
    local i port
    printf -v port ':%04X' "$1"
    for ((i = 0; i < 200; i++)); do
        ! awk -v port="$port" 'substr($2, length($2) - 4) == port && $4 == "0A" { found = 1 }
            END { exit !found }' /proc/net/tcp /proc/net/tcp6 || return 0
        sleep 0.1
    done
    return 1
}

# tags INTERFACE HOST vlan|qinq: an interface in front of it for frames with a tag, or with two
# which is called tagged and has the addresses 10.10.0.HOST and fd10::HOST
tags() {
    local below=$1
    modprobe 8021q
    if [ "$3" = qinq ]; then
        ip link add link "$1" name outer type vlan proto 802.1ad id 20 && ip link set outer up || return
        below=outer
    fi
    ip link add link "$below" name tagged type vlan id 10 && ip link set tagged up &&
        ip addr add "10.10.0.$2/24" dev tagged && ip -6 addr add "fd10::$2/64" dev tagged nodad
}

# What TCP had to send again, and how often because nothing came back for long
tcp_trouble() {
    awk '/^Tcp/ { if ($1 in name) { n = split(name[$1], k); for (i = 2; i <= n; i++) v[k[i]] = $i }
                  else name[$1] = $0 }
         END { print v["RetransSegs"], v["TCPTimeouts"] }' /proc/net/snmp /proc/net/netstat
}

# qmp NAME COMMAND [ARGUMENTS]: the line with the answer; ARGUMENTS are a JSON object
qmp() {
    local line pid in out QMP QMP_PID
    coproc QMP { exec nc.openbsd -U "${sockets:-/run}/$1.qmp" 2>/dev/null; }
    # Of our own: bash unsets its variables when the other end is gone, as it is after "quit".
    pid=$QMP_PID
    exec {in}<&"${QMP[0]}" {out}>&"${QMP[1]}"
    printf '{"execute":"qmp_capabilities"}\n{"execute":"%s","arguments":%s,"id":"us"}\n' \
        "$2" "${3:-{\}}" >&"$out"
    while read -r -t 10 -u "$in" line; do
        case $line in
            *'"id": "us"'*|*'"id":"us"'*) printf '%s\n' "$line"; break ;;
        esac
    done
    exec {in}<&- {out}>&-
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
}

# counters NAME: for each queue a line "QUEUE tx|rx COUNTER VALUE" per counter
counters() {
    qmp "$1" query-devices | tr -d ' \r\n' | tr '{' '\n' |
        awk -F '[:,"]+' '
            function value_of(key, i) {
                for (i = 1; i < NF; i++)
                    if ($i == key)
                        return $(i + 1)
                return ""
            }
            /"queue":/ { queue = value_of("queue") }
            /"name":/ {
                if (/"value":/)
                    print queue, group, value_of("name"), value_of("value") + 0
                else
                    group = value_of("name")
            }'
}
