#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the guest: its disk, xvda, past its memory.

image_up() {
    local i
    modprobe xen-blkfront max_indirect_segments=256 || return
    for ((i = 0; i < 200; i++)); do
        [ ! -b /dev/xvda ] || return 0
        sleep 0.1
    done
    return 1
}

# image_fill MIB: random bytes at its beginning, on the disk
image_fill() {
    dd if=/dev/urandom of=/tmp/data bs=1M count="$1" status=none &&
        dd if=/tmp/data of=/dev/xvda bs=256k oflag=direct conv=fsync status=none
}

# image_same: they are there
image_same() {
    local bytes
    bytes=$(stat -c %s /tmp/data)
    [ "$(dd if=/dev/xvda bs=256k count=$((bytes >> 18)) iflag=direct status=none | sha256sum)" = \
        "$(sha256sum < /tmp/data)" ]
}

# image_load: writes behind them, until it fails; "failed" is in /tmp/load then
image_load() {
    rm -f /tmp/end
    (
        while [ ! -e /tmp/end ]; do
            dd if=/dev/zero of=/dev/xvda bs=64k seek=256 count=64 oflag=direct conv=notrunc,fsync ||
                { echo failed; break; }
        done
    ) > /tmp/load 2>&1 &
}

# image_load_end: it has not failed
image_load_end() {
    touch /tmp/end
    wait
    ! grep '^failed$' /tmp/load
}

image_has_bytes() {
    local i
    for ((i = 0; i < 100; i++)); do
        [ "$(blockdev --getsize64 /dev/xvda)" != "$1" ] || return 0
        sleep 0.1
    done
    return 1
}

image_load_failed() {
    local i
    for ((i = 0; i < 200; i++)); do
        ! grep -q '^failed$' /tmp/load || return 0
        sleep 0.1
    done
    return 1
}

# image_fails: reads, writes and flushes do
image_fails() {
    ! dd if=/dev/xvda of=/dev/null bs=4k count=1 iflag=direct 2> /dev/null &&
        ! dd if=/dev/zero of=/dev/xvda bs=4k count=1 seek=8000 oflag=direct 2> /dev/null
}
