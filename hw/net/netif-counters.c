/*
 * The names of a vif's counters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "netif-counters.h"

#include "hw/net/netif-info.h"

static const Counter dir_counters[] = {
    { "packets", "packets", "carried, one of up to 64 KiB counts once",
      offsetof(NetifDirStats, packets) },
    { "direct", "packets", "of these, to or from another guest without the netdev",
      offsetof(NetifDirStats, direct) },
    { "bytes", "bytes", "of these packets, Ethernet header included",
      offsetof(NetifDirStats, bytes) },
    { "slots", "slots", "of the ring, extras included", offsetof(NetifDirStats, slots) },
    { "batches", "rounds", "that found something", offsetof(NetifDirStats, batches) },
    { "events-sent", "events", "to the other end", offsetof(NetifDirStats, events_sent) },
    { "events-received", "events", "from the other end",
      offsetof(NetifDirStats, events_received) },
    { "drop-malformed", "packets", "that broke the rules of the ring or of their headers",
      offsetof(NetifDirStats, drop_malformed) },
    { "drop-grant", "packets", "whose pages could not be copied",
      offsetof(NetifDirStats, drop_grant) },
    { "drop-peer", "packets", "that the netdev did not take", offsetof(NetifDirStats, drop_peer) },
    { "drop-full", "packets", "for which the guest had no room for too long",
      offsetof(NetifDirStats, drop_full) },
    { NULL },
};

const CounterGroup netif_counters[] = {
    { "tx", offsetof(NetifQueueStats, tx), dir_counters },
    { "rx", offsetof(NetifQueueStats, rx), dir_counters },
    { NULL },
};
