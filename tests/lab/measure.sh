#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios about a NIC: the bridge, the end of ringtap, what is measured.

declare -A ringtap_pid figure
measures=()
seconds=2 # of each iperf3 run

# The host's end of the network: a bridge with an address, and servers on two ports.
bridge_up() { bridge_add 0 && iperf3 -s -D -p 5201 && iperf3 -s -D -p 5202; }

# bridge_add N: brN with the addresses 10.9.N.1 and fd09:N::1
bridge_add() {
    # A MAC of its own, or it would take that of a port, and change with the ports.
    ip link add "br$1" address "00:16:3e:00:0$1:ff" type bridge mcast_snooping 0 &&
        echo 0 > "/proc/sys/net/ipv6/conf/br$1/accept_dad" &&
        ip link set "br$1" up &&
        ip addr add "10.9.$1.1/24" dev "br$1" &&
        ip -6 addr add "fd09:$1::1/64" dev "br$1" nodad
}

tap_exists() { [ -e "/sys/class/net/$1" ]; }

# ringtap_stop NAME: SIGTERM; true if it ends within 10 s with exit status 0
ringtap_stop() {
    local pid=${ringtap_pid[$1]} status
    kill -TERM "$pid" || return
    wait_for 10 process_ended "$pid" || { echo "ringtap $1 still runs"; return 1; }
    wait "$pid"
    status=$?
    [ "$status" = 0 ] || { echo "exit status $status"; cat "${scratch:-/tmp}/$1.log"; return 1; }
}

# A child that ended and was not waited for is a zombie.
process_ended() {
    local state
    state=$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null)
    [ -z "$state" ] || [ "$state" = Z ]
}

# counters_since NAME FILE: the same, less what stands in FILE
counters_since() {
    counters "$1" | awk -v before="$2" '
        BEGIN { while ((getline line < before) > 0) { split(line, f); was[f[1] f[2] f[3]] = f[4] } }
        { print $1, $2, $3, $4 - was[$1 $2 $3] }'
}

# counters_show FILE: a table, a line a queue and direction, drops only where there are some
counters_show() {
    awk '
        { value[$1, $2, $3] = $4; queues[$1] = 1 }
        function rate(a, b) { return b ? sprintf("%.1f", a / b) : "-" }
        END {
            fmt = "    %-5s %-3s %9s %12s %9s %10s %9s %9s  %s\n"
            printf fmt, "queue", "", "packets", "bytes", "slots", "pkts/batch", "evt-sent",
                "evt-recv", "drops"
            for (q = 0; q in queues; q++)
                for (d = 0; d < 2; d++) {
                    dir = d ? "rx" : "tx"
                    drops = ""
                    for (key in value) {
                        split(key, k, SUBSEP)
                        if (k[1] == q && k[2] == dir && k[3] ~ /^drop/ && value[key] > 0)
                            drops = drops substr(k[3], 6) "=" value[key] " "
                    }
                    printf fmt, q, dir, value[q, dir, "packets"], value[q, dir, "bytes"],
                        value[q, dir, "slots"],
                        rate(value[q, dir, "packets"], value[q, dir, "batches"]),
                        value[q, dir, "events-sent"], value[q, dir, "events-received"], drops
                }
        }' "$1"
}

# counters_all_busy FILE QUEUES: each of them carried packets in both directions
counters_all_busy() {
    awk -v want="$2" '$3 == "packets" && $4 > 0 { n++ } END { exit n != 2 * want }' "$1"
}

# A datagram on each of 64 ports both ways, so that every queue gets some flow.
spread_flows() {
    local i
    guest "$1" 'many_flows 10.9.0.1 64'
    for ((i = 0; i < 64; i++)); do
        echo flow > "/dev/udp/10.9.0.$2/$((7000 + i))"
    done 2>/dev/null
    true
}

# note MEASURE COLUMN VALUE: for the table
note() {
    local m
    figure[$1/$2]=$3
    for m in ${measures[@]+"${measures[@]}"}; do
        [ "$m" != "$1" ] || return 0
    done
    measures+=("$1")
}

# table COLUMN...: what was noted
table() {
    local m c
    printf '\n%-30s' ''
    printf ' %20s' "$@"
    echo
    for m in "${measures[@]}"; do
        printf '%-30s' "$m"
        for c; do
            printf ' %20s' "${figure[$m/$c]:--}"
        done
        echo
    done
    echo
}

# measure GUEST COLUMN MEASURE COMMAND: runs it in the guest, notes the figure that it prints
measure() {
    local value
    if value=$(guest "$1" "$4"); then
        note "$3" "$2" "$value"
    else
        note "$3" "$2" FAILED
        fail "$2: $3: $value"
    fi
}

# measure_net GUEST COLUMN HOST PORT: everything that goes over one vif
measure_net() {
    local before after
    local g=$1 c=$2 host=$3 t="-t $seconds -c 10.9.0.1 -p $4" t6="-t $seconds -c fd09::1 -p $4"
    check "$c: ping from the guest" guest "$g" 'quiet_ping 10.9.0.1'
    check "$c: ping to the guest" quiet_ping "10.9.0.$host"
    check "$c: ping in fragments" quiet_ping -s 20000 "10.9.0.$host"
    check "$c: ping over IPv6" guest "$g" 'quiet_ping fd09::1'
    before="$(guest "$g" tcp_trouble) $(tcp_trouble)"
    measure "$g" "$c" 'TCP tx, 1 stream, Mbit/s' "tcp $t"
    measure "$g" "$c" 'TCP rx, 1 stream, Mbit/s' "tcp $t -R"
    measure "$g" "$c" 'TCP tx, 8 streams, Mbit/s' "tcp $t -P 8"
    measure "$g" "$c" 'TCP rx, 8 streams, Mbit/s' "tcp $t -P 8 -R"
    measure "$g" "$c" 'IPv6 TCP tx, Mbit/s' "tcp $t6"
    measure "$g" "$c" 'IPv6 TCP rx, Mbit/s' "tcp $t6 -R"
    measure "$g" "$c" 'UDP tx, 64 bytes, lost' "udp $t -b 1M -l 64"
    measure "$g" "$c" 'UDP rx, 64 bytes, lost' "udp $t -b 1M -l 64 -R"
    measure "$g" "$c" 'UDP tx, 30000 bytes, lost' "udp $t -b 10M -l 30000"
    measure "$g" "$c" 'UDP rx, 30000 bytes, lost' "udp $t -b 10M -l 30000 -R"
    measure_file "$g" "$c" "$host"
    after="$(guest "$g" tcp_trouble) $(tcp_trouble)"
    note 'TCP tx, sent again/timeouts' "$c" \
        "$(awk '{ print $5 - $1 "/" $6 - $2 }' <<< "$before $after")"
    note 'TCP rx, sent again/timeouts' "$c" \
        "$(awk '{ print $7 - $3 "/" $8 - $4 }' <<< "$before $after")"
}

# measure_file GUEST COLUMN HOST: 50 MB there and back
measure_file() {
    local text
    if text=$(file_both_ways "$1" "10.9.0.$3" 10.9.0.1 50); then
        note '50 MB there and back, s' "$2" "$text"
        note 'checksum' "$2" equal
    else
        note 'checksum' "$2" DIFFERENT
        fail "$2: $text"
    fi
}

# file_both_ways GUEST ITS-ADDRESS OUR-ADDRESS MB: prints the seconds; false if it changed on its way
file_both_ways() {
    local file=${scratch:-/tmp}/file-$4 want there back start
    [ -e "$file" ] || head -c "${4}000000" /dev/urandom > "$file"
    want=$(sha256sum < "$file")
    start=$(now)
    guest "$1" 'timeout 120 nc.openbsd -l -N 5300 > /tmp/file & nc_pid=$!; listening 5300'
    nc.openbsd -N "$2" 5300 < "$file"
    there=$(guest "$1" 'wait $nc_pid; sha256sum < /tmp/file')
    timeout 120 nc.openbsd -l -N 5301 > "$file.back" &
    listening 5301
    guest "$1" "nc.openbsd -N $3 5301 < /tmp/file; rm /tmp/file"
    wait $!
    back=$(sha256sum < "$file.back")
    rm "$file.back"
    echo $(($(now) - start))
    [ "$there" = "$want" ] && [ "$back" = "$want" ] ||
        { echo "the file changed on its way: sent $want, there $there, back $back"; return 1; }
}

# median "NUMBER..."
median() {
    tr ' ' '\n' <<< "$1" | sed '/^$/d' | sort -n |
        awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : 0 }'
}
