#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later

# disk_up: loads blkfront, with requests as long as backends allow
disk_up() {
    local i
    modprobe xen-blkfront max_indirect_segments=256 || return
    for ((i = 0; i < 100; i++)); do
        [ ! -b /dev/xvda ] || return 0
        sleep 0.1
    done
    echo "no xvda"
    return 1
}
