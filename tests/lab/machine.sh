# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What machines under QEMU's software emulation have in common.
#
# shellcheck disable=SC2034 # who starts one reads it

# xsave off, and what needs it: on a busy host with it one process in some hundreds crashed, in
# dom0 and guests alike.
# erms off, and fsrm, which a kernel takes for more of the same: rep movsb, which the kernels
# then prefer, is emulated byte by byte, so that a copy costs ten times what it costs a
# processor, and is most of what --icount counts.
cpu_default=max,-erms,-fsrm,-xsave,-xsaveopt,-avx,-avx2,-fma,-f16c,-vaes

# One host thread for all processors, unless --parallel: QEMU then goes on to the next
# processor when one waits for another (the PAUSE of a spin lock). With a thread each, a
# host that is busy takes away the thread that holds a scheduler's lock, the others
# burn their time on waiting for it, and a guest that boots in 7 s boots in minutes.
#
# accel_of yes|no: for QEMU's -accel; yes is --parallel
accel_of() {
    if [ "$1" = yes ]; then
        echo tcg,thread=multi
    else
        echo tcg,thread=single
    fi
}
