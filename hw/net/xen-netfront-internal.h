/*
 * Netfront's own structures: one vif, its queues, their batches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_XEN_NETFRONT_INTERNAL_H
#define HW_NET_XEN_NETFRONT_INTERNAL_H

#include "hw/net/xen-netfront.h"
#include "hw/xen/netif.h"
#include "hw/xen/xen-queues.h"
#include "hw/xen/xenbus-front.h"
#include "net/pkt.h"
#include "netif-offload.h"
#include "nic-peer.h"
#include "util/container-of.h"
#include "xen-netfront-pool.h"

#define NETFRONT_SLOTS     256u /* of a tx ring, and of an rx ring */
#define NETFRONT_BATCH     64u  /* packets: the budget of a round in each direction */
#define NETFRONT_SEGMENTS  64u  /* made at once of a packet that the backend does not take whole */
#define NETFRONT_RX_SLOTS  XEN_NETIF_NR_SLOTS_MIN /* data slots of an rx packet, at most */
#define NETFRONT_RX_MAX    (65535u + 18u)         /* its bytes */
#define NETFRONT_RX_IOV    (NETFRONT_RX_SLOTS + 1u)
#define NETFRONT_HEAD      192u /* of an rx packet, copied before it is looked at */
#define NETFRONT_FRAME_MAX 1518u /* without scatter-gather: MTU 1500, one VLAN tag */
#define NETFRONT_NO_PAGE   UINT16_MAX

/* What a connection will be like: our options and the backend's features, joined. */
typedef struct NetfrontPlan {
    unsigned max_queues;  /* the backend's; 0: it says nothing of queues */
    unsigned n_queues;
    bool split;
    unsigned tx_offload;  /* NetdevOffload: what the backend takes unfinished */
    uint32_t tx_max_len;  /* of a frame */
} NetfrontPlan;

/* From the netdev to the backend: xen-netfront-tx.c. */
typedef struct NetfrontTx {
    XenRing ring;
    bool stuck;           /* the netdev has more than there is room for */
    unsigned single;      /* so many packets one by one: some may have to be segmented */
    uint32_t refs[NETFRONT_POOL_PAGES];
    NetfrontPool pool;
    uint16_t n_ids;       /* not in flight: ids[0..n_ids-1] */
    uint16_t ids[NETFRONT_SLOTS];
    uint16_t page_of[NETFRONT_SLOTS]; /* of an id in flight, else NETFRONT_NO_PAGE */
    bool first[NETFRONT_SLOTS];       /* an id's slot is its packet's first */
    uint16_t n_extras;                /* in flight; they have no id */

    /* read and not yet on the ring: pkt[next..n-1], before them seg[next_seg..n_seg-1] */
    unsigned n;
    unsigned next;
    unsigned n_seg;
    unsigned next_seg;
    Pkt pkt[NETFRONT_BATCH];
    struct iovec iov[NETFRONT_BATCH];
    PktSegmenter segmenter; /* of pkt[next], because the backend takes no such GSO */
    Pkt seg[NETFRONT_SEGMENTS];
    struct iovec seg_iov[NETFRONT_SEGMENTS];
} NetfrontTx;

/* The start of an rx packet in memory of ours; the header stands right before it. */
typedef struct NetfrontHead {
    struct virtio_net_hdr_v1 hdr;
    uint8_t data[NETFRONT_HEAD];
} NetfrontHead;

/* The rx packet whose slots are being gathered: they may come in more than one round. */
typedef struct NetfrontRxCur {
    bool open;            /* there were slots, more follow */
    bool first;           /* the next slot is its first */
    bool extra;           /* the next slot is an extra */
    bool more_data;       /* data slots follow the extras */
    bool bad;
    unsigned n_slots;     /* to be given back */
    unsigned n_data;
    NetifMeta meta;
} NetfrontRxCur;

/* From the backend to the netdev: xen-netfront-rx.c. */
typedef struct NetfrontRx {
    XenRing ring;
    uint8_t *pages;       /* page i belongs to the slots i, i + 256, ... */
    uint32_t refs[NETFRONT_SLOTS];
    NetfrontRxCur cur;

    /* of the round under way */
    unsigned n;           /* packets */
    unsigned next;        /* the first one that is still to be sent */
    unsigned place;       /* of the packet that is not complete */
    unsigned n_done;      /* slots that can be given back once they are sent */
    Pkt pkt[NETFRONT_BATCH];
    NetifMeta meta[NETFRONT_BATCH];
    NetfrontHead head[NETFRONT_BATCH];
    struct iovec iov[NETFRONT_BATCH][NETFRONT_RX_IOV];
} NetfrontRx;

/*
 * A queue: a pair of rings, their event channels, a queue of the netdev. Its thread has it
 * from netfront_queue_start() to netfront_queue_free().
 */
typedef struct NetfrontQueue {
    XenQueue base;
    Netfront *nf;
    NetdevQueue *peer;
    NicPeer peer_end;
    NicQueueStats *stats;
    unsigned tx_offload;
    uint32_t tx_max_len;

    void *rings;           /* shared: two pages, tx and rx */
    uint32_t ring_refs[2];
    NetfrontTx tx;
    NetfrontRx rx;
} NetfrontQueue;

/* Event channels: a split pair, or one for both directions. */
static inline unsigned netfront_rx_port(const NetfrontQueue *q)
{
    return q->base.n_ports - 1;
}

static inline void netfront_notify_tx(NetfrontQueue *q)
{
    xen_queue_notify(&q->base, 0);
    counter_add(&q->stats->tx.events_sent, 1);
}

static inline void netfront_notify_rx(NetfrontQueue *q)
{
    xen_queue_notify(&q->base, netfront_rx_port(q));
    counter_add(&q->stats->rx.events_sent, 1);
}

struct Netfront {
    XenbusFront bus;
    char *id;
    NetfrontConfig config;   /* without its strings */
    NetfrontEnv env;
    unsigned idx;
    unsigned max_queues;
    bool carrier;            /* the netdev was told that there is one */
    bool paused;
    bool peer_failed;        /* the netdev's error was reported */
    DeviceFaults faults;
    XenQueues queues;
    NicQueueStats *stats;  /* max_queues of them */
};

static inline NetfrontQueue *netfront_queue(const Netfront *nf, unsigned i)
{
    return container_of(nf->queues.queue[i], NetfrontQueue, base);
}

/* --- xen-netfront-store.c: main thread --- */

/* Reads the backend's features. */
bool netfront_store_plan(Netfront *nf, NetfrontPlan *ret, GError **error);
/* All keys in one transaction; what earlier connections left is removed. */
bool netfront_store_write_keys(Netfront *nf, const NetfrontPlan *plan, GError **error);

/* --- xen-netfront-queue.c: main thread --- */

/* Shares pages and allocates ports; on failure nothing is left. */
NetfrontQueue *netfront_queue_new(Netfront *nf, unsigned index, const NetfrontPlan *plan,
                                  GError **error);
/* Hands it to a thread of its own; packets flow. */
bool netfront_queue_start(NetfrontQueue *q, GError **error);
/* The netdev's descriptor is of another file now. */
void netfront_queue_peer_reopened(NetfrontQueue *q);
/* Stops its thread, closes its ports, gives its pages to xenbus_front_unshare(). NULL is fine. */
void netfront_queue_free(NetfrontQueue *q);

/* --- the queue's thread --- */

/* xen-netfront-tx.c; arm: true if there is something. */
void netfront_tx_init(NetfrontQueue *q);
QueueVerdict netfront_tx_poll(NetfrontQueue *q);
bool netfront_tx_arm(NetfrontQueue *q);

/* xen-netfront-rx.c */
void netfront_rx_init(NetfrontQueue *q);
QueueVerdict netfront_rx_poll(NetfrontQueue *q);
bool netfront_rx_arm(NetfrontQueue *q);

#endif
