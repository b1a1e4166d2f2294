#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The first process of a scenario's namespaces. The host's programs see the namespaces' own /sys.
#
# shellcheck disable=SC2154 # variables from the environment
mount -t sysfs sys /sys
ip link set lo up
bash "$scenario/host.sh" "$@"
echo "@@end $?"
