/*
 * Netback's own structures: one vif, its queues, their batches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_XEN_NETBACK_INTERNAL_H
#define HW_NET_XEN_NETBACK_INTERNAL_H

#include "hw/net/xen-netback.h"
#include "hw/xen/netif.h"
#include "hw/xen/xen-back-queues.h"
#include "hw/xen/xenbus-back.h"
#include "net/pkt.h"
#include "netif-offload.h"
#include "nic-peer.h"
#include "util/container-of.h"

_Static_assert(NETIF_MAX_QUEUES <= XEN_MAX_QUEUES, "a vif is a device of Xen");

#define NETBACK_RING_SLOTS  256u /* of a tx ring, and of an rx ring */
#define NETBACK_NO_SG_MTU   1500u
#define NETBACK_BATCH       64u  /* packets: the budget of a round in each direction */
#define NETBACK_SEGMENTS    64u  /* made at once of a packet that the guest does not take whole */
#define NETBACK_TX_PAGES    192u /* of a batch: of 64 small packets, or of ten large ones */
#define NETBACK_SLOTS_MAX   XEN_NETIF_NR_SLOTS_MIN /* 18: a packet with more is dropped */
#define NETBACK_SLOTS_FATAL 20u  /* a packet with more breaks the queue, as in Linux */
#define NETBACK_HEAD_OFFSET 64u  /* of a packet in its first page: room for its vnet header */

#define NETBACK_DRAIN_NS         (10000 * 1000000ull) /* a packet waits so long for rx slots */
#define NETBACK_DRAIN_NOTIFY_NS  (30 * 1000000ull)    /* the same, if no event can be had */

/* XenQueueKeys.ref; a port for each, or one for both. */
enum {
    NETBACK_TX,
    NETBACK_RX,
};

/* What a frontend says in XenStore, validated: xen-netback-store.c. */
typedef struct NetbackKeys {
    XenKeys base;
    unsigned usable;  /* NetdevOffload that may be used */
    bool sg;
    bool rx_notify;
    unsigned offload; /* of these: what the guest takes unfinished */
    unsigned headroom;
} NetbackKeys;

/* A tx packet between gather and respond. */
typedef struct TxPkt {
    uint16_t first_slot;  /* in TxBatch.slot */
    uint16_t n_slots;     /* data and extras */
    uint16_t first_seg;   /* in TxBatch.seg */
    uint16_t n_segs;      /* 0: dropped */
    uint32_t len;         /* of these together */
    int8_t status;        /* NETIF_RSP_* of its data slots */
    NetifMeta meta;       /* the first slot's flags, and the GSO extra */
} TxPkt;

/* What is needed to answer a slot: the ring's copy is gone by then. */
typedef struct TxSlot {
    uint16_t id;
    uint16_t size;        /* of its own part of the packet; an extra has none */
    uint16_t offset;
    bool extra;
    uint32_t gref;
} TxSlot;

typedef struct TxBatch {
    unsigned n_slots;
    unsigned n_pkts;
    unsigned n_segs;
    unsigned n_out;     /* packets in out[] */
    unsigned n_sent;    /* of these, dealt with by the netdev */
    size_t pages;       /* of the buffer, used */
    TxSlot slot[NETBACK_RING_SLOTS];
    TxPkt pkt[NETBACK_BATCH];
    XenCopySeg seg[NETBACK_RING_SLOTS];
    Pkt out[NETBACK_BATCH];
    struct iovec iov[NETBACK_BATCH];
    PktArena buffer;    /* NETBACK_TX_PAGES; each packet begins on a page */
} TxBatch;

/* Packets read from the netdev and not yet all in the guest. */
typedef struct RxBatch {
    Pkt pkt[NETBACK_BATCH];
    struct iovec iov[NETBACK_BATCH];
    unsigned n_pkts;
    unsigned next;      /* the first one that is still to be delivered */
    PktArena arena;

    /* Segments of pkt[next], because the guest takes no such GSO: a round of them. */
    PktSegmenter segmenter;
    Pkt seg_pkt[NETBACK_SEGMENTS];
    struct iovec seg_iov[NETBACK_SEGMENTS];
    unsigned n_seg;
    unsigned next_seg;
    bool segmenting;    /* not all of them have slots */
    bool seg_assigned;  /* one of them has slots in this round of the queue */
    PktArena seg_arena;

    bool starved;        /* the netdev has packets, and found no slot at all */
    uint64_t held_since; /* when a packet of this batch first lacked slots; 0: none has since */
    unsigned held_slots; /* how many it needs */

    /* of the round under way */
    unsigned pkts;
    uint64_t bytes;
    unsigned n_rsp;
    unsigned n_copies;
    struct {
        uint16_t id;
        uint16_t flags;
        uint16_t len;
        int16_t copy;           /* -1: the slot holds an extra */
        struct netif_extra_info extra;
    } rsp[NETBACK_RING_SLOTS];
    XenCopySeg copy[NETBACK_RING_SLOTS];
} RxBatch;

/* A queue: a pair of rings, their event channels, a queue of the netdev. */
typedef struct NetbackQueue {
    XenQueue base;
    XenRing tx;
    XenRing rx;

    NetdevQueue *peer;
    NicPeer peer_end;
    NicQueueStats *stats;
    unsigned offload;    /* what the guest takes */
    unsigned headroom;   /* bytes left free in front of a packet for the guest's XDP program */
    bool sg;
    bool rx_notify;

    TxBatch tx_batch;
    RxBatch rx_batch;

    /* direct=on: xen-netback-direct.h. NULL: it is not */
    struct DirectEnd *end;       /* as others send to it; its lock is that of rx and rx_batch */
    struct DirectBatch *direct;  /* as it sends to others */
    uint32_t rx_seen;            /* rx.cons when its own thread last looked */
    uint64_t mac;
} NetbackQueue;

/* Event channels: a split pair, or one for both directions. */
static inline void netback_notify_tx(NetbackQueue *q)
{
    counter_add(&q->stats->tx.events_sent, 1);
    xen_queue_notify(&q->base, 0);
}

static inline void netback_notify_rx(NetbackQueue *q)
{
    counter_add(&q->stats->rx.events_sent, 1);
    xen_queue_notify(&q->base, q->base.n_ports - 1);
}

struct Netback {
    XenbusBack bus;
    char *id;
    NetbackEnv env;
    char mac[18];
    unsigned max_queues;
    unsigned from_guest; /* NETDEV_* offloads that are offered */
    unsigned to_guest;   /* those that are used if the guest can */
    bool hypercall;      /* grant-copy=hypercall */
    bool paused;
    bool peer_failed;    /* the netdev's error was reported */
    unsigned warned_mtu; /* of the netdev, when it was said to be too large; 0: it was not */
    bool no_sg;          /* the guest that is connected takes packets of one slot only */
    unsigned headroom;   /* that it asked for */
    DeviceFaults faults;
    XenBackQueues queues;
    NicQueueStats *stats;
    bool connected;      /* all queues of the guest run */
    struct DirectVif *direct; /* direct=on; NULL: it is not */
};

static inline NetbackQueue *netback_queue(const Netback *nb, unsigned i)
{
    return container_of(nb->queues.run.queue[i], NetbackQueue, base);
}

/* Linux' netback tells a guest without scatter-gather no more; its netfront takes no more. */
static inline unsigned netback_guest_mtu(const Netback *nb)
{
    return nb->no_sg ? MIN(nb->env.peer->mtu, NETBACK_NO_SG_MTU) : nb->env.peer->mtu;
}

GQuark netback_error_quark(void);
#define NETBACK_FAIL(error, ...) g_set_error(error, netback_error_quark(), 0, __VA_ARGS__)

/* --- xen-netback-store.c: main thread --- */

/* As the callbacks of XenbusBackOps. */
bool netback_store_write_nodes(Netback *nb, XenTx tx);
void netback_store_take_over(Netback *nb);
bool netback_store_publish(Netback *nb, XenTx tx);
/* For XenBackQueuesOps. */
XenKeys *netback_store_keys_new(const Netback *nb);
void netback_store_keys_free(XenKeys *k);
/* The frontend's xdp-headroom; a larger one than any is asked for counts as that. */
bool netback_store_read_headroom(Netback *nb, unsigned *ret, GError **error);
/* B/carrier and F/mtu, as the netdev has them now. */
void netback_store_set_link(Netback *nb);

/* --- xen-netback-queue.c: main thread --- */

/* Maps, binds, and hands the queue to its thread. On failure nothing is left. */
NetbackQueue *netback_queue_start(Netback *nb, unsigned index, const NetbackKeys *keys,
                                  GError **error);
/* Takes it back from its thread, unmaps, unbinds, frees. NULL is fine. */
void netback_queue_stop(NetbackQueue *q);
/* From the next packet on. Waits for the queue's thread. */
void netback_queue_set_headroom(NetbackQueue *q, unsigned headroom);
void netback_queue_announce(NetbackQueue *q, const uint8_t mac[6]); /* lost if it is full */
/* The netdev's descriptor is of another file now. */
void netback_queue_peer_reopened(NetbackQueue *q);

/*
 * Memory for packets on their way: granted to ourselves, where the host can. Between the opening
 * and the end of q->base.gnttab.
 */
bool netback_queue_buffer(NetbackQueue *q, PktArena *a, size_t size);
void netback_queue_buffer_done(NetbackQueue *q, PktArena *a);

/* --- the queue's thread --- */

/* xen-netback-tx.c. */
QueueVerdict netback_tx_poll(NetbackQueue *q);
bool netback_tx_init(NetbackQueue *q);
void netback_tx_done(NetbackQueue *q);

/* xen-netback-direct.c: what of the batch goes to another guest; q->direct is there. */
void netback_direct_poll(NetbackQueue *q);
/* False: some of it waits for slots; the batch is not answered before it is dealt with. */
bool netback_direct_finish(NetbackQueue *q);

/* xen-netback-rx.c. */
QueueVerdict netback_rx_poll(NetbackQueue *q);
/* Asks for an event if a packet lacks slots. True: there are enough already. */
bool netback_rx_arm(NetbackQueue *q);
void netback_rx_resume(NetbackQueue *q, uint64_t ns); /* after it was paused for @ns */
bool netback_rx_init(NetbackQueue *q);
void netback_rx_purge(NetbackQueue *q);
void netback_rx_done(NetbackQueue *q);

#endif
