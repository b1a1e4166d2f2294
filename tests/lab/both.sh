#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For dom0 and for guests.

quiet_ping() { ping -q -c 3 -i 0.2 -W 2 "$@" > /dev/null; }

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
    local line QMP QMP_PID
    coproc QMP { exec nc.openbsd -U "${sockets:-/run}/$1.qmp" 2>/dev/null; }
    printf '{"execute":"qmp_capabilities"}\n{"execute":"%s","arguments":%s,"id":"us"}\n' \
        "$2" "${3:-{\}}" >&"${QMP[1]}"
    while read -r -t 10 -u "${QMP[0]}" line; do
        case $line in
            *'"id": "us"'*|*'"id":"us"'*) printf '%s\n' "$line"; break ;;
        esac
    done
    kill "$QMP_PID"
    wait "$QMP_PID" 2>/dev/null
}

# counters NAME: for each connected queue a line "QUEUE tx|rx COUNTER VALUE" per counter
counters() {
    qmp "$1" query-vif | tr -d ' ' | sed 's/"queue":/\n&/g' |
        awk '/^"queue":/ {
            match($0, /[0-9]+/); queue = substr($0, RSTART, RLENGTH)
            n = split("tx rx", dirs)
            for (d = 1; d <= n; d++) {
                i = index($0, "\"" dirs[d] "\":{")
                if (!i)
                    continue
                text = substr($0, i + 6)
                text = substr(text, 1, index(text, "}") - 1)
                m = split(text, pairs, ",")
                for (k = 1; k <= m; k++) {
                    split(pairs[k], pair, ":")
                    gsub("\"", "", pair[1])
                    print queue, dirs[d], pair[1], pair[2]
                }
            }
        }'
}
