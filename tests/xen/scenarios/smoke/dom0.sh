#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/xen/lib/dom0.sh
. /lab/dom0.sh

check "a guest is created" guest_create u1 2
check "it boots" guest_boot u1
guest u1 "dmesg -c > /dev/null"
check "its domain number is its own" [ "$(guest u1 'xenstore-read domid')" = "${guest_domid[u1]}" ]
check "it has two processors" [ "$(guest u1 'nproc')" = 2 ]
guest u1 'exit_status_of() { return "$1"; }'
guest u1 'exit_status_of 7'
check "a command's status comes back" [ $? = 7 ]
check "its kernel is content" messages_clean u1
check "it is destroyed" guest_destroy u1
check "dom0's kernel is content" messages_clean dom0
scenario_end
