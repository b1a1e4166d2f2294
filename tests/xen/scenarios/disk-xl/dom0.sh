#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Disks that xl makes: of a guest's configuration, whose device model is ringtap, and by block-attach
# and block-detach while it runs. Nobody tells ringtap of them but XenStore. And ringtap killed under
# load, and started again with the words of xl.
# Argument: kills=N

# shellcheck source=tests/xen/lib/dom0-disk.sh
. /lab/dom0-disk.sh

kills=5
for argument; do
    case $argument in
        kills=*) declare "$argument" ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done
backends=/local/domain/0/backend/qdisk
xvda=51712
xvdb=51728

not() { ! "$@"; }
xenstore_has() { xenstore-ls "$1" > /dev/null 2>&1; }
# node_is PATH VALUE
node_is() { [ "$(xenstore-read "$1")" = "$2" ]; }
random_image() { dd if=/dev/urandom of="/tmp/$1.img" bs=1M count="$2" status=none; }

# xl_disk IMAGE VDEV ACCESS: as in disk=
xl_disk() { echo "format=raw,vdev=$2,access=$3,backendtype=qdisk,target=/tmp/$1.img"; }

# xl_guest NAME: with /tmp/NAME.img as xvda
xl_guest() {
    guest_create "$1" 2 'device_model_version="qemu-xen"' \
        'device_model_override="/usr/bin/ringtap"' "disk=['$(xl_disk "$1" xvda rw)']"
}

model_pid() { xenstore-read "/local/domain/${guest_domid[$1]}/image/device-model-pid"; }
model_is_ringtap() { [ "$(readlink "/proc/$(model_pid "$1")/exe")" = /usr/bin/ringtap ]; }

# model_has_open NAME FILE
model_has_open() {
    local fd
    for fd in "/proc/$(model_pid "$1")/fd/"*; do
        [ "$(readlink "$fd")" != "$2" ] || return 0
    done
    return 1
}

# listed NAME NUMBER: xl has it, and it is connected
listed() { xl block-list "$1" | awk -v n="$2" '$1 == n && $4 == 4 { ok = 1 } END { exit !ok }'; }

# written NAME: where xentop asks for what was written to the disks. Itself it gives an answer 10 ms,
# which is little under emulation.
written() {
    ln -sf "/run/xen/qmp-libxenstat-${guest_domid[$1]}" "/run/$1.qmp"
    qmp "$1" query-blockstats | tr -d ' ' | grep -q '"device":"xvda".*"wr_bytes":[1-9]'
}

same_sum() { [ "$(guest u1 "disk_sum $1")" = "$(sha256sum < "/tmp/$2.img")" ]; }

attach_and_detach() {
    local be=$backends/${guest_domid[u1]}/$xvdb
    check "xl block-attach" xl block-attach u1 "$(xl_disk u2 xvdb ro)"
    check "the guest has it" guest u1 'disk_appears xvdb'
    check "xl block-list: it is connected" wait_for 10 listed u1 "$xvdb"
    check "what it reads is what is there" same_sum xvdb u2
    check "what it writes is refused" guest u1 'disk_refuses xvdb'
    check "xl block-detach" xl block-detach u1 xvdb
    check "the guest has it no more" guest u1 'disk_gone xvdb'
    check "its nodes are gone" wait_for 15 not xenstore_has "$be"
    check "ringtap has let go of the image" wait_for 5 not model_has_open u1 /tmp/u2.img
}

# A disk that cannot be served is nothing that stops the others, or xl.
attach_in_vain() {
    local be=$backends/${guest_domid[u1]}/$xvdb
    local why=/local/domain/0/error/backend/qdisk/${guest_domid[u1]}/$xvdb/error
    check "an image that is in use" xl block-attach u1 "$(xl_disk u1 xvdb rw)"
    check "is closed" wait_for 10 node_is "$be/state" 6
    check "the reason is there" xenstore_has "$why"
    check "xl block-detach" xl block-detach u1 xvdb
    check "its nodes are gone" wait_for 15 not xenstore_has "$be"
    check "and the reason" wait_for 5 not xenstore_has "$why"
}

# Killed, and started again with the same words, at once or a little later.
model_again() {
    local pid words
    pid=$(model_pid u1)
    mapfile -d '' words < "/proc/$pid/cmdline"
    kill -KILL "$pid"
    sleep "0.$((RANDOM % 2 * 5))"
    "${words[@]}" >> /tmp/again.log 2>&1 &
    disown
    xenstore-write "/local/domain/${guest_domid[u1]}/image/device-model-pid" $!
}

# killed N: under the load of both disks
killed() {
    guest u1 log_ask
    model_again
    check "kill $1: both disks go on, and nothing was lost" guest u1 'log_answers 60'
    sleep "0.$((RANDOM % 9))"
}

# What waits for a disk that does not answer would wait for minutes.
ends_if_bad() { [ "$failures" = 0 ] || the_end; }

killed_under_load() {
    local n
    check "another disk, to be written to" xl block-attach u1 "$(xl_disk u2 xvdb rw)"
    check "the guest has it" guest u1 'disk_appears xvdb'
    check "a load of both" guest u1 \
        'log_start a 0 512 4096 24; log_start b 0 512 4096 16 xvdb; log_start c 8388608 8 1048576 2'
    sleep 1
    for ((n = 1; n <= kills; n++)); do
        killed "$n"
        ends_if_bad
    done
    check "nothing was lost at all" guest u1 log_end
    check "xl block-detach" xl block-detach u1 xvdb
    check "the guest has it no more" guest u1 'disk_gone xvdb'
}

domain_gone() { ! xl domid "$1" > /dev/null 2>&1; }

# shut_down NAME: by itself, and what is left of it
shut_down() {
    local domid=${guest_domid[$1]} pid path
    pid=$(model_pid "$1")
    guest_tell "$1" 'poweroff -f'
    check "$1: it is shut down" wait_for 60 domain_gone "$1"
    check "$1: ringtap has ended" wait_for 10 not [ -e "/proc/$pid/fd/0" ]
    for path in "$backends/$domid" "/local/domain/0/device-model/$domid" "/libxl/$domid"; do
        check "$1: nothing is left of $path" wait_for 5 not xenstore_has "$path"
    done
    check "$1: nor of its requests" [ -z "$(ls /run/ringtap)" ]
}

the_end() {
    local log
    for log in /var/log/xen/qemu-dm-u?.log /tmp/again.log; do
        [ ! -s "$log" ] || { echo "what ringtap said in $log:"; cat "$log"; }
    done
    scenario_end
}

# shellcheck disable=SC2034 # guest reads it
guest_timeout=300
messages_start dom0
check "xen-blkback is not loaded" not [ -e /sys/bus/xen-backend/drivers/vbd ]
check "images are made" eval 'disk_image u1 64 && random_image u2 4'
check "one with a file system" mkfs.ext4 -q /tmp/u1.img
check "xl create" xl_guest u1
check "its device model is ringtap" model_is_ringtap u1
check "it boots" guest_boot u1
check "its disk comes up" guest u1 'ext4_load && disk_up'
messages_start u1
check "xl block-list: it is connected" wait_for 10 listed u1 "$xvda"
check "files are written" guest u1 'files_make 8'
check "and are there" guest u1 files_same
check "they are counted for xentop" written u1
attach_and_detach
attach_in_vain
check "other files are written" guest u1 'files_make 4 && files_same'
killed_under_load
check "the guest's kernel is content" messages_clean u1
shut_down u1

check "an image with a root file system" root_image u3 256
# shellcheck disable=SC2034 # guest_config reads it
guest_init=$root_init
check "xl create" xl_guest u3
check "it boots" guest_boot u3
check "from the disk" guest u3 root_is_disk
check "xl destroy" guest_destroy u3
check "no device model is left" wait_for 10 not pidof ringtap
check "dom0's kernel is content" messages_clean dom0
the_end
