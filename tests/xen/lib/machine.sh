# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The machine: QEMU's software emulation of a PC that boots Xen.

# Shows the console from the moment dom0 is up to the scenario's end; the marker lines
# are for us.
console_filter() {
    sed -u 's|\r||g' | tee "$work/console" |
        sed -u -n '/^@@lab ready/,/^@@lab exit/ { /^@@lab exit/d; s/^@@lab ready/run: dom0 is up,/; p }'
}

# smap and smep off: iret at CPL 3, as a PV kernel does it, faults on them in QEMU 7.2.
# rdtscp off: Xen cannot emulate it there.
cpu_xen=$cpu_default,-smap,-smep,-rdtscp

# machine_run VMLINUX: ends with the scenario's exit status
machine_run() {
    local accel clock=() xen_args dom0_args status console filter qemu
    accel=$(accel_of "$parallel")
    if [ "$icount" = yes ]; then
        clock=(-icount 'shift=0,sleep=off')
    fi
    xen_args="console=com1 com1=115200,8n1 loglvl=error guest_loglvl=error"
    xen_args+=" dom0_mem=1536M,max:1536M dom0_max_vcpus=$smp"
    dom0_args="console=hvc0 quiet panic=-1 rdinit=/init"
    say "boots $name, at most $limit s"
    exec {console}> >(console_filter)
    filter=$!
    timeout "$limit" qemu-system-x86_64 -M q35 -accel "$accel" ${clock[@]+"${clock[@]}"} \
        -cpu "$cpu" -smp "$smp" -m "$mem" \
        -display none -serial stdio -monitor none -no-reboot -nic none \
        -kernel "$work/xen" -append "$xen_args" \
        -initrd "$1 $dom0_args,$work/dom0-image" \
        < /dev/null >&"$console" 2>&1 &
    qemu=$!
    exec {console}>&-
    # In the background, so that who ends us ends the machine as well.
    trap 'kill "$qemu"' INT TERM
    wait "$qemu" || true
    wait "$filter" || true
    status=$(sed -n 's/.*@@lab exit \([0-9]*\).*/\1/p' "$work/console" | tail -n 1)
    if [ -z "$status" ]; then
        tail -n 40 "$work/console" >&2
        die "the machine did not come to an end within $limit s"
    fi
    # Nothing after a scenario's own last line, which somebody may want to read.
    [ "$status" = 0 ] || say "$name: exit status $status"
    exit "$status"
}
