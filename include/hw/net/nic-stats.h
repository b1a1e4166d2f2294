/*
 * What a NIC counts: the same struct for all kinds of them, for QMP and the live table.
 * Counters outlive a queue: they belong to the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NIC_STATS_H
#define HW_NET_NIC_STATS_H

#include "hw/core/counter.h"

/* tx and rx as always from the guest's view: tx leaves it. */
typedef struct NicDirStats {
    uint64_t packets;
    uint64_t direct;       /* of these, to or from another guest without the netdev */
    uint64_t bytes;
    uint64_t slots;        /* ring slots, extras included */
    uint64_t batches;      /* polls that found something */
    uint64_t events_sent;
    uint64_t events_received;
    uint64_t drop_malformed; /* packets that broke a rule of the ring's grammar or headers */
    uint64_t drop_grant;     /* a grant could not be copied */
    uint64_t drop_peer;      /* the netdev did not take it */
    uint64_t drop_full;      /* the guest had no room for too long */
    uint64_t drop_filter;    /* the guest does not want them: virtio-net's rx modes and tables */
} NicDirStats;

/* One cache line's owner is one queue thread; readers use relaxed loads. */
typedef struct NicQueueStats {
    NicDirStats tx;
    NicDirStats rx;
} __attribute__((aligned(64))) NicQueueStats;

#endif
