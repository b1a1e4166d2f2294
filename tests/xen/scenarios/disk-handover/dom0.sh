#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest's disk goes from a ringtap that takes 256 segments a request to one that takes 11, and back,
# under a load that compares what it reads:
# by a restart with other options, where the guest knows of nothing, and goes on with the length that
# it was promised; and by xl save and restore, where it asks again, and splits what was not answered.

# shellcheck source=tests/xen/lib/dom0-disk.sh
. /lab/dom0-disk.sh

long=num-queues=2,max-indirect-segments=256
short=num-queues=1,max-indirect-segments=0

# most_of_a_request KIB: what the guest makes of its disk's limits
most_of_a_request() {
    local kib
    kib=$(guest u1 'cat /sys/block/xvda/queue/max_hw_sectors_kb')
    echo "requests of $kib KiB"
    [ "$kib" = "$1" ]
}

# restarted TEXT PROPERTIES KIB
restarted() {
    sleep 1
    ringtap_kill u1
    check "$1: ringtap starts again" ringtap_disk u1 "$2"
    goes_on "$1" "$3"
}

# restored TEXT PROPERTIES KIB: the guest is saved with requests on their way, and is another domain then
restored() {
    sleep 1
    check "$1: the guest is saved" quietly xl save u1 /tmp/u1.save
    check "$1: ringtap ends" ringtap_stop u1
    again "$@"
}

# restored_unanswered TEXT PROPERTIES KIB: the same, but ringtap has stopped before, so that the load has
# all of its requests on their way, and makes no others until the next ringtap answers them.
# Without that Linux' blkfront crashes (6.1, __blk_rq_map_sg): what a process asks for between the
# guest's resume and the backend's Connected has the old length, and is not split.
restored_unanswered() {
    sleep 1
    check "$1: ringtap stops with no flush on its way" stop_between_flushes
    check "$1: the guest is saved" quietly xl save u1 /tmp/u1.save
    ringtap_kill u1
    again "$@"
}

# A guest that waits for a flush cannot be saved: its kernel's worker sleeps uninterruptibly then, which
# freeze_processes() waits for in vain. Reads and writes have nobody who sleeps so.
stop_between_flushes() {
    local try
    for ((try = 0; try < 30; try++)); do
        kill -STOP "${ringtap_pid[u1]}"
        sleep 1
        ! guest u1 'cat /proc/[0-9]*/task/*/stat 2> /dev/null | grep -q ") D "' || {
            kill -CONT "${ringtap_pid[u1]}"
            sleep 0.3
            continue
        }
        return 0
    done
    return 1
}

# again TEXT PROPERTIES KIB: the guest, and a ringtap for it
again() {
    check "$1: it is restored" quietly xl restore -p /tmp/u1.save
    rm -f /tmp/u1.save
    check "$1: it has a console" guest_console_again u1
    check "$1: ringtap serves it" ringtap_disk u1 "$2"
    check "$1: it goes on" xl unpause u1
    goes_on "$1" "$3"
}

# quietly COMMAND...: what it says, only if it fails
quietly() { "$@" > /tmp/quietly 2>&1 || { cat /tmp/quietly; return 1; }; }

goes_on() {
    check "$1: nothing was lost" guest u1 'log_ask; log_answers 60'
    check "$1: requests are as long as they may be" most_of_a_request "$2"
    check "$1: the guest is content" messages_clean u1
    [ "$failures" = 0 ] || the_end
}

the_end() {
    [ ! -s /tmp/u1.log ] || { echo "what ringtap said:"; cat /tmp/u1.log; }
    scenario_end
}

# shellcheck disable=SC2034 # guest reads it
guest_timeout=300
mount -o remount,size=90% /tmp
messages_start dom0
check "an image is made" disk_image u1 32
check "a guest is created" guest_create u1 2
check "ringtap serves it" ringtap_disk u1 "$long"
check "it boots" guest_boot u1
messages_start u1
check "its disk comes up" guest u1 disk_up
check "a load" guest u1 'log_start short 0 512 4096 24; log_start long 8388608 16 1048576 4'
sleep 1
goes_on "at first" 1024
restarted "restart, no indirect segments" "$short" 1024
restarted "restart, with them" "$long" 1024
restored_unanswered "restore, no indirect segments" "$short" 44
restarted "restart with what it does not know" "$long" 44
restored "restore, with indirect segments" "$long" 1024
restored "restore, with as many" "$long" 1024
check "nothing was lost at all" guest u1 log_end
check "ringtap ends" ringtap_stop u1
check "the guest is destroyed" guest_destroy u1
check "dom0's kernel is content" messages_clean dom0
the_end
