#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the guest: a filesystem on its disk.

# ext4_new: on xvda, mounted
ext4_new() {
    ext4_load || return
    mkfs.ext4 -q -F /dev/xvda > /tmp/mkfs 2>&1 || { cat /tmp/mkfs; return 1; }
    mount -t ext4 /dev/xvda /mnt
}

# ext4_keeps MIB: what is written comes back when nothing is left in memory
ext4_keeps() {
    local want
    head -c "$(($1 << 20))" /dev/urandom > /mnt/file && want=$(sha256sum < /mnt/file) && umount /mnt &&
        mount -t ext4 /dev/xvda /mnt && [ "$(sha256sum < /mnt/file)" = "$want" ]
}

# ext4_whole: by e2fsck, which changes nothing
ext4_whole() {
    umount /mnt && e2fsck -f -n /dev/xvda > /tmp/e2fsck 2>&1 || { cat /tmp/e2fsck; return 1; }
}

# root_copy: all of the guest's own root on a filesystem of the disk
root_copy() {
    (cd / && find . -xdev | cpio -o -H newc | (cd /mnt && cpio -i -d -m)) 2> /tmp/cpio
    [ -x /mnt/init ] || { cat /tmp/cpio; return 1; }
    umount /mnt
}

# write_refused: to a disk that can only be read
write_refused() {
    [ "$(blockdev --getro /dev/xvda)" = 1 ] || { echo "it can be written to"; return 1; }
    ! dd if=/dev/zero of=/dev/xvda bs=4096 count=1 conv=fsync > /tmp/dd 2>&1 ||
        { cat /tmp/dd; return 1; }
}

# sum FILE [MIB]: of the last MIB, from the disk and not from memory
sum() {
    echo 3 > /proc/sys/vm/drop_caches
    tail -c "$((${2:-4} << 20))" "$1" | sha256sum
}

# wait_for_bytes NAME BYTES: until the disk has this length
wait_for_bytes() {
    local i
    for ((i = 0; i < 100; i++)); do
        [ "$(disk_bytes "$1")" != "$2" ] || return 0
        sleep 0.1
    done
    echo "it has $(disk_bytes "$1")"
    return 1
}
