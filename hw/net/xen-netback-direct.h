/*
 * Guest to guest: vifs with direct=on hand packets to each other without the netdev. The sender's
 * thread does all of it, so that nobody else has to wake up: it takes the lock of the receiver's
 * rx ring, which the receiver's own thread takes for its rounds, too. That is the one lock on a
 * data path. It is held for a batch; a sender never waits for it, and leaves it to the ring's own
 * thread and the main thread where these want it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_XEN_NETBACK_DIRECT_H
#define HW_NET_XEN_NETBACK_DIRECT_H

#include <pthread.h>

#include "xen-netback-internal.h"

#define DIRECT_HEAD PKT_HEAD_LEN /* so much of a packet is looked at, and so much is private */

/* A receiver without slots is waited for: so long at most, and so long for each slot it took. */
#define DIRECT_PATIENCE_NS  (10 * 1000000ull)
#define DIRECT_PER_SLOT_NS  100000ull
#define DIRECT_RETRY_NS     50000ull
/* So much of it a try costs at most: what is longer is the doing of others. */
#define DIRECT_TRY_MAX_NS   200000ull

/* Kept for a netdev that found no slots: those of one packet. */
#define DIRECT_KEPT (NETBACK_SLOTS_MAX + 1)

/*
 * A queue as others see it that send to it. Lives as long as its vif. Its lock is taken in each
 * round, so no two are on one line of the cache.
 */
typedef struct DirectEnd {
    pthread_mutex_t lock;  /* of the queue's rx ring, and of what follows */
    unsigned wanted;       /* who of the queue's thread and the main thread waits for it; atomic */
    NetbackQueue *q;       /* NULL: it takes nothing now; written by the main thread, atomic */
    uint32_t max_frame;    /* bytes, if it is not GSO: as a bridge has it, by the MTU */
} __attribute__((aligned(64))) DirectEnd;

typedef struct DirectVif {
    uint64_t mac;          /* direct_mac(); 0: it is no address of one station */
    unsigned n_open;       /* ends that have a queue, from the first on; atomic */
    unsigned generation;   /* connections so far; atomic */
    bool connected;
    unsigned n_ends;
    DirectEnd *end;
} DirectVif;

/* Who can be sent to, by MAC. Never changed: a new one takes its place. */
typedef struct DirectTable {
    unsigned n;
    DirectVif *vif[];
} DirectTable;

typedef union DirectResponse {
    netif_rx_response_t rsp;
    struct netif_extra_info extra;
} DirectResponse;

/* How a sender's queue gets on with a vif of the table. */
typedef struct DirectPeer {
    uint64_t patience;                 /* ns that it will still wait for slots */
    unsigned generation;               /* with which this is; 0: none yet */
    bool refused;                      /* a copy failed */
} DirectPeer;

/* A packet that goes to another guest; pkt->n_segs is 0, as if it were done. */
typedef struct DirectPkt {
    TxPkt *pkt;
    int vif;                           /* in the table; -1: it is dealt with */
    uint16_t first_seg;                /* of DirectBatch.seg */
    uint16_t n_segs;
} DirectPkt;

/* A sender's batch. */
typedef struct DirectBatch {
    const DirectTable *table;          /* NULL: there is no other vif */
    DirectPeer *peer;                  /* of each */
    XenCopySeg head[NETBACK_BATCH];
    unsigned n_pkts;
    unsigned n_segs;
    DirectPkt pkt[NETBACK_BATCH];
    XenCopySeg seg[NETBACK_RING_SLOTS];
    bool decoded;                      /* of the rest: too late to go by the netdev */
    bool waits;                        /* some of it, for slots */
    uint64_t tried;                    /* when; in clock_ns() */

    /* of one receiver */
    unsigned n_sent;
    struct {
        DirectPkt *pkt;
        uint32_t rx_cons;              /* of the receiver's ring, before it */
        unsigned first_op;
        unsigned first_rsp;
    } sent[NETBACK_BATCH + 1];
    unsigned n_ops;
    unsigned n_rsp;
    XenCopyBetween op[XEN_COPY_MAX];
    DirectResponse rsp[NETBACK_RING_SLOTS];
} DirectBatch;

static inline uint64_t direct_mac(const uint8_t *mac)
{
    uint64_t v = 0;

    memcpy(&v, mac, 6);
    return v;
}

/* --- the queue's thread --- */

/* For those who must have it. */
static inline void netback_direct_lock(DirectEnd *end)
{
    __atomic_fetch_add(&end->wanted, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&end->lock);
    __atomic_fetch_sub(&end->wanted, 1, __ATOMIC_RELAXED);
}

/* The rx ring and its batch. Nothing where nobody else uses them. */
static inline void netback_rx_lock(NetbackQueue *q)
{
    if (q->end) {
        netback_direct_lock(q->end);
    }
}

static inline void netback_rx_unlock(NetbackQueue *q)
{
    if (q->end) {
        pthread_mutex_unlock(&q->end->lock);
    }
}

/* Its place in the table; -1: nobody has this MAC. */
int netback_direct_find(const DirectTable *t, uint64_t mac);

static inline bool netback_direct_waits(const NetbackQueue *q)
{
    return q->direct && q->direct->waits;
}

/* --- main thread: xen-netback-direct-set.c --- */

/* Its MAC is known, it is in the set from now on; without queues as yet. */
void netback_direct_join(Netback *nb);
/* Stopped, or never joined. */
void netback_direct_leave(Netback *nb);
/* Something changed that says whether its queues take part. */
void netback_direct_update(Netback *nb);
/* Before the queue has a thread. */
void netback_direct_init_queue(Netback *nb, NetbackQueue *q);
void netback_direct_done_queue(NetbackQueue *q);

#endif
