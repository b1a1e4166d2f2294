#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the guest: fio at work meanwhile.

# fio_start: writes, reads and compares until it is told to stop
fio_start() {
    printf '%s\n' '[global]' filename=/dev/xvda direct=1 ioengine=libaio thread verify=crc32c \
        verify_fatal=1 verify_backlog=64 size=4M time_based=1 runtime=1000 fdatasync=64 \
        '[long]' rw=randwrite bs=1M iodepth=4 offset=16M \
        '[short]' rw=randwrite bs=4k iodepth=32 offset=24M > /tmp/fio.jobs
    fio --output=/tmp/fio.out /tmp/fio.jobs > /tmp/fio.err 2>&1 &
    fio_pid=$!
}

# fio_end: it found nothing wrong until now
fio_end() {
    kill -INT "$fio_pid"
    wait "$fio_pid"
    [ ! -s /tmp/fio.err ] && ! grep -E 'err= *[1-9]|verify:' /tmp/fio.out ||
        { cat /tmp/fio.err /tmp/fio.out; return 1; }
    sed -n 's/^ *\(read\|write\): *\(IOPS=[^,]*\).*/\1 \2/p' /tmp/fio.out
}
