#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is measured: cases such as tcp, tcp-64 (bytes a write), udp-1400 (bytes a datagram),
# udp-64-5000 (so many of them a second), rr-20 and crr-20 (sessions). Sourced by dom0.sh, which has
# the arguments' variables.
#
# shellcheck disable=SC2154

# cases_make: those that the arguments ask for, in $cases
cases_make() {
    local n pace
    cases=()
    for n in ${sizes//,/ }; do
        cases+=("tcp-$n")
    done
    for n in ${udp//,/ }; do
        [ -n "$pps" ] || cases+=("udp-$n")
        for pace in ${pps//,/ }; do
            cases+=("udp-$n-$pace")
        done
    done
    for n in ${rr//,/ }; do
        cases+=("rr-$n")
    done
    for n in ${crr//,/ }; do
        cases+=("crr-$n")
    done
    if [ "$tcp" = yes ] || [ ${#cases[@]} = 0 ]; then
        cases=(tcp ${cases[@]+"${cases[@]}"})
    fi
}

# Of a case: in what its rate is, and for what a cost is
case_unit() {
    case $1 in
        tcp*) echo Mbit/s byte ;;
        udp*) echo packets/s packet ;;
        *) echo rounds/s round ;;
    esac
}

# case_run GUEST CASE tx|rx: "RATE AMOUNT", AMOUNT in what a cost is for, and perhaps more to tell
case_run() {
    local name=$1 n=${2#*-} dir=$3 pace=0 command
    case $2 in
        rr-*|crr-*) rounds_run "$name" "$2" "$dir"; return ;;
        tcp) command="tcp" ;;
        tcp-*) command="tcp -l $n" ;;
        udp-*-*) pace=${n#*-} n=${n%-*} ;;&
        udp-*) command="udp -b $((pace * n * 8)) -l $n" ;; # 0: as many as go
    esac
    command+=" -t $seconds -c $server -p 5201 -P $streams"
    [ "$dir" = tx ] || command+=" -R"
    guest "$name" "$command && iperf_seconds" | awk -v size="$n" -v udp="${2%%-*}" '
        NR == 1 { mbit = $1; lost = $2 }
        NR == 2 { time = $1 }
        { text = text $0 " " }
        END {
            bytes = mbit * 1e6 / 8
            if (NR != 2 || !(mbit > 0 && time > 0))
                print "-", text
            else if (udp == "udp")
                printf "%.0f %.0f %.2f Mbit/s lost %s\n", bytes / size, bytes / size * time,
                    mbit, lost
            else
                printf mbit < 100 ? "%.1f %.0f\n" : "%.0f %.0f\n", mbit, bytes * time
        }'
}

# rounds_run GUEST CASE tx|rx: with tx the client is in the guest. Half of the time is enough,
# as each run has thousands of rounds, and the emulator is at its slowest with them.
rounds_run() {
    local command="traffic ${2%-*}" text time
    time=$(awk -v s="$seconds" 'BEGIN { print s / 2 }')
    if [ "$3" = tx ]; then
        text=$(guest "$1" "$command $server 5301 $time ${2#*-} 2>&1")
    else
        text=$($command "${address[$1]}" 5301 "$time" "${2#*-}" 2>&1)
    fi
    awk '{
            for (i = 1; i <= NF; i++)
                if (split($i, pair, "=") == 2)
                    v[pair[1]] = pair[2]
        }
        END {
            if (v["rounds"] > 0)
                printf "%.0f %d p50 %.0f us p99 %.0f us\n", v["rounds"] / v["ns"] * 1e9,
                    v["rounds"], v["p50"] / 1e3, v["p99"] / 1e3
            else
                print "-", $0
        }' <<< "$text"
}
