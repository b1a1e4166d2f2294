#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the guest runs: the host's commands, which may use these functions.

# shellcheck source=tests/lab/both.sh
. /lab/both.sh
# shellcheck source=tests/lab/guest-side.sh
. /lab/guest-side.sh

if [ -e /lab/scenario/guest.sh ]; then
    # shellcheck source=/dev/null
    . /lab/scenario/guest.sh
fi

# net_pairs N: queue pairs of ethN that are in use
net_pairs() { ethtool -l "eth$1" | awk '/^Combined:/ { n = $2 } END { print n }'; }

serve_console
