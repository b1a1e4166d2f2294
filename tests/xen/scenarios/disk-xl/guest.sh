#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the guest: its disks, past its memory where it matters.

disk_sum() { dd if="/dev/$1" bs=256k iflag=direct status=none | sha256sum; }

# disk_refuses NAME: what is written to it
disk_refuses() {
    [ "$(blockdev --getro "/dev/$1")" = 1 ] &&
        ! dd if=/dev/zero of="/dev/$1" bs=4k count=1 oflag=direct 2> /dev/null
}

# files_make MIB: a file with random bytes on the filesystem of xvda, written to the disk
files_make() {
    mount -t ext4 /dev/xvda /mnt &&
        dd if=/dev/urandom of=/mnt/data bs=1M count="$1" conv=fsync status=none &&
        sha256sum /mnt/data > /mnt/sum && umount /mnt
}

# files_same: what files_make wrote, as the disk has it
files_same() {
    mount -t ext4 /dev/xvda /mnt && sha256sum -c /mnt/sum > /dev/null && umount /mnt
}
