/*
 * The names of a vif's counters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nic-counters.h"

#include "hw/net/nic-stats.h"

static const Counter dir_counters[] = {
    { "packets", "packets", "carried, one of up to 64 KiB counts once",
      offsetof(NicDirStats, packets) },
    { "direct", "packets", "of these, to or from another guest without the netdev",
      offsetof(NicDirStats, direct) },
    { "bytes", "bytes", "of these packets, Ethernet header included",
      offsetof(NicDirStats, bytes) },
    { "slots", "slots", "of the ring, extras included", offsetof(NicDirStats, slots) },
    { "batches", "rounds", "that found something", offsetof(NicDirStats, batches) },
    { "events-sent", "events", "to the other end", offsetof(NicDirStats, events_sent) },
    { "events-received", "events", "from the other end",
      offsetof(NicDirStats, events_received) },
    { "drop-malformed", "packets", "that broke the rules of the ring or of their headers",
      offsetof(NicDirStats, drop_malformed) },
    { "drop-grant", "packets", "whose pages could not be copied",
      offsetof(NicDirStats, drop_grant) },
    { "drop-peer", "packets", "that the netdev did not take", offsetof(NicDirStats, drop_peer) },
    { "drop-full", "packets", "for which the guest had no room for too long",
      offsetof(NicDirStats, drop_full) },
    { "drop-filter", "packets", "that the guest does not want, by the filter it set",
      offsetof(NicDirStats, drop_filter) },
    { NULL },
};

const CounterGroup nic_counters[] = {
    { "tx", offsetof(NicQueueStats, tx), dir_counters },
    { "rx", offsetof(NicQueueStats, rx), dir_counters },
    { NULL },
};
