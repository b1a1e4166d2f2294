#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the guest runs: the host's commands, which may use these functions.

# shellcheck source=tests/lab/both.sh
. /lab/both.sh
# shellcheck source=tests/lab/guest-side.sh
. /lab/guest-side.sh

if [ -e /lab/scenario/guest.sh ]; then
    # shellcheck source=/dev/null
    . /lab/scenario/guest.sh
fi

# net_pairs N: queue pairs of ethN that are in use
net_pairs() { ethtool -l "eth$1" | awk '/^Combined:/ { n = $2 } END { print n }'; }

# net_feature N BIT: 1 if driver and device agreed on it, else 0
net_feature() { cut -c "$(($2 + 1))" "/sys/class/net/eth$1/device/features"; }

# net_features N: the bits that they agreed on
net_features() {
    fold -w 1 "/sys/class/net/eth$1/device/features" | awk '$1 == 1 { printf " %d", NR - 1 }'
}

# flows_of_all_cpus HOST: the driver has a tx queue for each processor, or for several
flows_of_all_cpus() {
    local cpu
    for ((cpu = 0; cpu < $(nproc); cpu++)); do
        (taskset -p "$((1 << cpu))" "$BASHPID" > /dev/null && many_flows "$1" 16)
    done
}

# --- what lasts ---

declare -A stream_pid

# stream_start NAME ARGUMENT...: iperf3 for as long as it is let
stream_start() {
    local name=$1
    shift
    iperf3 -t 900 -i 1 --forceflush -f m "$@" > "/tmp/stream-$name" 2>&1 &
    stream_pid[$name]=$!
}

# Reports of intervals in which bytes moved
stream_moves() {
    awk '/sec/ && !/sender|receiver/ { for (i = 2; i <= NF; i++) if ($i ~ /Bytes/ && $(i - 1) > 0) n++ }
         END { print n + 0 }' "/tmp/stream-$1"
}

# streams_live NAME...: the connections are there, and bytes move in seconds that begin from now on;
# prints how long it took to see that
streams_live() {
    local name start=${EPOCHREALTIME/./} end
    declare -A before
    for name; do
        before[$name]=$(stream_moves "$name")
    done
    end=$((start + 60000000))
    for name; do
        # The interval that is under way may have moved its bytes before.
        until [ "$(stream_moves "$name")" -ge $((before[$name] + 2)) ]; do
            kill -0 "${stream_pid[$name]}" || { tail -n 5 "/tmp/stream-$name"; return 1; }
            [ "${EPOCHREALTIME/./}" -lt "$end" ] || { echo "$name: no traffic for 60 s"; return 1; }
            sleep 0.2
        done
    done
    awk -v us=$((${EPOCHREALTIME/./} - start)) 'BEGIN { printf "%.1f\n", us / 1e6 }'
}

# stream_end NAME: prints the MB that were sent; false if it had ended before
stream_end() {
    kill -INT "${stream_pid[$1]}" || { tail -n 5 "/tmp/stream-$1"; return 1; }
    wait "${stream_pid[$1]}"
    awk '/sec/ && !/sender|receiver/ {
            for (i = 2; i <= NF; i++)
                if ($i ~ /Bytes/)
                    n += $(i - 1) * ($i == "KBytes" ? 1 / 1024 : $i == "GBytes" ? 1024 : 1)
        }
        END { printf "%.0f\n", n; exit !(n > 0) }' "/tmp/stream-$1"
}

ping_start() { ping -i 0.2 "$1" > /tmp/ping 2>&1 & ping_pid=$!; }

# ping_end PERCENT: "ANSWERED/SENT"; false if fewer came back
ping_end() {
    kill -INT "$ping_pid"
    wait "$ping_pid"
    awk -v percent="$1" '/packets transmitted/ { sent = $1; got = $4 }
        END { print got "/" sent; exit !(sent > 0 && got > 0 && got * 100 >= sent * percent) }' /tmp/ping
}

serve_console
