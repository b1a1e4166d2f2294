#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scenarios: guests. Sourced in dom0.

# shellcheck source=tests/lab/checks.sh
. /lab/checks.sh
# shellcheck source=tests/lab/console.sh
. /lab/console.sh

declare -A guest_domid

# guest_config NAME VCPUS [LINE...]: its configuration, with LINEs added. Its first program is
# $guest_init, if there is one.
guest_config() {
    local name=$1 vcpus=$2
    shift 2
    {
        cat <<C
name="$name"
type="pv"
kernel="/guest/vmlinux"
ramdisk="/guest/initrd"
memory=512
vcpus=$vcpus
extra="console=hvc0 rdinit=${guest_init:-/init} quiet"
C
        printf '%s\n' "$@"
    } > "/tmp/$name.cfg"
}

# guest_console_open NAME: of a guest that xl has created
guest_console_open() {
    local tty fd
    guest_domid[$1]=$(xl domid "$1") || return
    tty=/local/domain/${guest_domid[$1]}/console/tty
    wait_for 10 xenstore-read "$tty" > /dev/null 2>&1 || return
    exec {fd}<> "$(xenstore-read "$tty")"
    guest_console[$1]=$fd
    guest_input[$1]=$fd
}

# guest_create NAME VCPUS [LINE...]: paused, with LINEs added to its configuration
guest_create() {
    guest_config "$@"
    xl create -q -p "/tmp/$1.cfg" && guest_console_open "$1"
}

# guest_boot NAME: lets it run, and waits for its console to answer
guest_boot() {
    xl unpause "$1" && guest_ready "$1" 240
}

guest_console_close() {
    local fd=${guest_console[$1]}
    exec {fd}>&-
    unset "guest_console[$1]" "guest_input[$1]" "guest_domid[$1]"
}

# guest_console_again NAME: of a guest that was restored, and is a domain of another number
guest_console_again() { guest_console_close "$1" && guest_console_open "$1"; }

# guest_destroy NAME
guest_destroy() {
    xl destroy "$1"
    guest_console_close "$1"
}
