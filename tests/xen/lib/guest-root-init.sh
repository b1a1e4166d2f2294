#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# First program ($guest_init) of a guest whose root is on xvda: what an initramfs does.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# shellcheck source=tests/xen/lib/guest-disk.sh
. /lab/guest-disk.sh
ext4_load
disk_up
mount -t ext4 /dev/xvda /mnt
umount /dev /sys /proc
exec switch_root /mnt /init
