#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios: the guest under QEMU, and its NICs. Sourced by scenarios, on the host.
#
# shellcheck disable=SC2154 # variables from run

# shellcheck source=tests/lab/checks.sh
. "$lab/checks.sh"
# shellcheck source=tests/lab/console.sh
. "$lab/console.sh"
# shellcheck source=tests/lab/both.sh
. "$lab/both.sh"
# shellcheck source=tests/lab/measure.sh
. "$lab/measure.sh"
# shellcheck source=tests/vm/lib/back.sh
. "$here/lib/back.sh"

since=$(now)
sockets=$work scratch=$work
declare -A vm_pid

# The machine's own QEMU, or one of a folder, which has its share of the files. vectors=0: with MSI-X
# QEMU 7.2 crashes under software emulation when vhost-user starts.
qemu_command=(qemu-system-x86_64)
vectors=,vectors=0
if [ -n "$qemu" ]; then
    qemu_command=("$qemu/qemu" -L "$qemu/share" -L /usr/share/seabios)
    vectors=''
fi
memory=768 # MiB

# nic BACK NUMBER PAIRS [PROPERTY...]: adds NIC ethNUMBER to $nics, for the back end BACK
nics=()
nic() {
    local back=$1 n=$2 pairs=$3
    shift 3
    nics+=(
        -chardev "socket,id=c$n,path=$work/$back.sock,reconnect=1"
        -netdev "vhost-user,id=n$n,chardev=c$n,queues=$pairs"
        -device "virtio-net-pci,id=nic$n,netdev=n$n,mac=52:54:00:00:0$n:02,mq=on,romfile=$vectors$(
            printf ',%s' "$@")"
    )
}

# vm_start NAME [ARGUMENT...]: QEMU with $nics, and with ARGUMENTs
vm_start() {
    local name=$1 fd
    shift
    rm -f "$work/$name".{in,out,qmp}
    mkfifo "$work/$name".{in,out}
    exec {fd}<> "$work/$name.out"
    guest_console[$name]=$fd
    exec {fd}<> "$work/$name.in"
    guest_input[$name]=$fd
    "${qemu_command[@]}" -name "$name" -nodefaults -no-user-config -display none \
        -M q35 -accel "$accel" -cpu "$cpu" -smp 4 -m "$memory" \
        -object "memory-backend-memfd,id=mem,size=${memory}M,share=on" -numa node,memdev=mem \
        -serial "file:$work/$name.console" -serial "pipe:$work/$name" \
        -qmp "unix:$work/$name.qmp,server=on,wait=off" \
        -kernel "$vmlinux" -initrd "$initrd" \
        -append "console=ttyS0 quiet panic=-1 rdinit=/init" \
        "${nics[@]}" "$@" > "$work/$name.log" 2>&1 &
    vm_pid[$name]=$!
}

# vm_boots NAME: its console answers. How it failed says QEMU, or the kernel.
vm_boots() {
    guest_ready "$1" 120 && return
    tail -n 20 "$work/$1.log" "$work/$1.console"
    return 1
}

# vm_stop NAME: QEMU ends; true if by itself, and with exit status 0
vm_stop() {
    local pid=${vm_pid[$1]} fd
    qmp "$1" quit > /dev/null
    wait_for 10 process_ended "$pid" || { echo "QEMU $1 still runs"; kill -KILL "$pid"; }
    for fd in "${guest_console[$1]}" "${guest_input[$1]}"; do
        exec {fd}>&-
    done
    wait "$pid" || { echo "exit status $?"; tail -n 20 "$work/$1.log"; return 1; }
}

# qmp_ok NAME COMMAND [ARGUMENTS]: false after printing the error
qmp_ok() {
    local answer
    answer=$(qmp "$@")
    grep -q '"return"' <<< "$answer" || { printf '%s: %s\n' "$2" "$answer"; return 1; }
}

# servers_start: on the ports 5201 and 5202; again, for clients that went without a word, whom iperf3
# would wait for
servers=()
servers_start() {
    local port
    [ ${#servers[@]} = 0 ] || { kill -KILL "${servers[@]}"; wait "${servers[@]}" 2>/dev/null; }
    servers=()
    for port in 5201 5202; do
        iperf3 -s -p "$port" > "$work/iperf-$port.out" 2>&1 &
        servers+=($!)
    done
}

# logs_show: what QEMU and the back ends said
logs_show() {
    local log
    for log in "$work"/*.log; do
        [ ! -s "$log" ] || [ "$back" = dpdk ] ||
            { echo "what $(basename "$log" .log) said:"; tail -n 30 "$log"; }
    done
}
