/*
 * What a vif tells about itself: the same struct for netback and netfront, for QMP
 * and the live table. Counters outlive a queue: they belong to the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NETIF_INFO_H
#define HW_NET_NETIF_INFO_H

#include <stdint.h>

#define NETIF_MAX_QUEUES 64

/* tx and rx as always from the guest's view: tx leaves it. */
typedef struct NetifDirStats {
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
} NetifDirStats;

/* One cache line's owner is one queue thread; readers use relaxed loads. */
typedef struct NetifQueueStats {
    NetifDirStats tx;
    NetifDirStats rx;
} __attribute__((aligned(64))) NetifQueueStats;

/* The owner's way to count; a plain add for it, no torn reads for others. */
static inline void netif_count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t netif_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
