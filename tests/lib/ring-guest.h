/*
 * A guest with work for its backend at all times: rings that are full again after each round of
 * the backend's iothread, in which it has its turn. So it needs no processor of its own, and what
 * it gets can be counted in rounds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_RING_GUEST_H
#define TESTS_LIB_RING_GUEST_H

#include "util/iothread.h"
#include "vif-raw.h"

#define RING_GUEST_FRAME 60u

typedef struct RingGuest {
    IoPoller poller;
    Raw *raw;
    bool spurious;      /* an event on each port, each time */
    void *page;         /* of each packet, in both directions */
    uint32_t ref;
    XenRing tx[NETIF_MAX_QUEUES];
    XenRing rx[NETIF_MAX_QUEUES];
    unsigned rounds;    /* relaxed atomic */
    unsigned most;      /* answers of a ring in a round */
    uint64_t moved;     /* packets; relaxed atomic */
} RingGuest;

/* @raw has an iothread for all of its queues, and goes down with the guest. */
void ring_guest_init(RingGuest *g, Raw *raw, bool spurious);
void ring_guest_down(RingGuest *g);

/* From here on, in that iothread. The counters begin anew. */
void ring_guest_join(RingGuest *g);
void ring_guest_leave(RingGuest *g);

uint64_t ring_guest_moved(const RingGuest *g);
unsigned ring_guest_rounds(const RingGuest *g);

#endif
