#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For dom0 and for guests.

quiet_ping() { ping -q -c 3 -i 0.2 -W 2 "$@" > /dev/null; }

# What TCP had to send again, and how often because nothing came back for long
tcp_trouble() {
    awk '/^Tcp/ { if ($1 in name) { n = split(name[$1], k); for (i = 2; i <= n; i++) v[k[i]] = $i }
                  else name[$1] = $0 }
         END { print v["RetransSegs"], v["TCPTimeouts"] }' /proc/net/snmp /proc/net/netstat
}
