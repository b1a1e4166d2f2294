#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ringtap is killed, and started again with the same command line, under a guest that reads and writes:
# by fio, which compares what it reads with what it wrote, and by disk-log, which knows of each block
# what was acknowledged and flushed.
# While ringtap is dead disk-log is told to ask for nothing more, so that what it then reads is what
# was there at that time, but for the requests that were not answered.
# Arguments: rings=N kills=N

# shellcheck source=tests/xen/lib/dom0-disk.sh
. /lab/dom0-disk.sh

rings=2 kills=20
for argument; do
    case $argument in
        rings=*|kills=*) declare "$argument" ;;
        *) echo "no such argument: $argument"; exit 2 ;;
    esac
done
properties=num-queues=$rings

# killed N: and started again
killed() {
    ringtap_kill u1
    guest u1 log_ask
    # some of the times at once, some with the guest waiting for a while
    sleep "0.$((RANDOM % 4))"
    check "$1: ringtap starts again" ringtap_disk u1 "$properties"
    check "$1: nothing was lost" guest u1 'log_answers 60'
    sleep "0.$((RANDOM % 9))"
}

# What waits for a disk that does not answer would wait for minutes.
ends_if_bad() { [ "$failures" = 0 ] || { cat /tmp/u1.log; scenario_end; }; }

# shellcheck disable=SC2034 # guest reads it
guest_timeout=300
messages_start dom0
check "an image is made" disk_image u1 32
check "a guest is created" guest_create u1 2
check "ringtap serves it" ringtap_disk u1 "$properties"
check "it boots" guest_boot u1
messages_start u1
check "its disk comes up" guest u1 disk_up
ends_if_bad
# short requests, and such that need more segments than a slot has room for
check "a load" guest u1 \
    'log_start short 0 512 4096 24; log_start long 8388608 32 196608 4; fio_start'
sleep 2
for ((kill = 1; kill <= kills && failures == 0; kill++)); do
    killed "$kill"
done
ends_if_bad
check "disk-log: nothing was lost at all" guest u1 log_end
check "fio: nothing was wrong" guest u1 fio_end
check "the guest is content" messages_clean u1
check "ringtap ends" ringtap_stop u1
check "the guest is destroyed" guest_destroy u1
check "dom0's kernel is content" messages_clean dom0
[ ! -s /tmp/u1.log ] || { echo "what ringtap said:"; cat /tmp/u1.log; }
scenario_end
