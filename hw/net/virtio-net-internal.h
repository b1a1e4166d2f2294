/*
 * virtio-net's own structures: one NIC, its queue pairs, their batches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_INTERNAL_H
#define HW_NET_VIRTIO_NET_INTERNAL_H

#include <linux/virtio_net.h>

#include "hw/core/device-queue.h"
#include "hw/net/virtio-net.h"
#include "net/pkt-buffers.h"
#include "net/pkt.h"
#include "nic-peer.h"
#include "util/event-call.h"

/* Younger than Debian 12's headers: VIRTIO 1.3, 5.1.3. */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO   56
#endif

#define VIRTIO_NET_BATCH    64u  /* packets: the budget of a round in each direction */
#define VIRTIO_NET_IOV      (2 * VIRTQ_MAX_IOV) /* pieces of what is popped at a time */
#define VIRTIO_NET_RX_BUFS  128u /* popped ahead: a packet of 64 KiB in buffers of 512 bytes */
#define VIRTIO_NET_HDR_MAX  20u  /* with a hash: struct virtio_net_hdr_v1_hash */
#define VIRTIO_NET_POLL_NS  (50 * 1000ull) /* to look at a ring whose driver does not kick */

/* A ring of a pair, whichever direction. */
typedef struct VirtioNetRing {
    Virtq vq;
    NicDirStats *stats;
    /* the thread's */
    bool running;
    bool enabled;
    bool armed;      /* the driver was asked for a kick */
    int call_fd;     /* -1: it looks by itself */
    IoSource kick;   /* fd -1: it does not kick */
} VirtioNetRing;

/* The start of a packet in memory of ours. */
typedef struct VirtioNetHead {
    struct virtio_net_hdr_v1 hdr;
    uint8_t data[PKT_HEAD_LEN];
} VirtioNetHead;

/* From the guest to the netdev: virtio-net-tx.c. */
typedef struct VirtioNetTx {
    VirtioNetRing ring;
    bool in_place;      /* the netdev takes packets as they lie in the guest's memory */

    /* of the batch under way: chains, and the packets in them */
    unsigned n;
    unsigned n_out;
    unsigned n_sent;
    VirtqChain chain[VIRTIO_NET_BATCH];
    struct iovec iov[VIRTIO_NET_IOV + 1]; /* iov[0] is free: see Pkt */
    Pkt pkt[VIRTIO_NET_BATCH];
    uint8_t chain_of[VIRTIO_NET_BATCH]; /* of a packet */
    struct iovec piece[VIRTIO_NET_BATCH][PKT_MAX_IOV];
    VirtioNetHead head[VIRTIO_NET_BATCH];
    PktArena bounce;    /* for a packet in more pieces than that */
    bool bounced;
} VirtioNetTx;

/* A hash, and what it is of: VIRTIO_NET_HASH_REPORT_*. */
typedef struct VirtioNetHashed {
    uint32_t value;
    uint16_t report;
} VirtioNetHashed;

/* From the netdev to the guest: virtio-net-rx.c. */
typedef struct VirtioNetRx {
    VirtioNetRing ring;
    bool starved;       /* the netdev may have packets, and there are too few buffers */

    /* popped buffers: b.buf[b.next..b.n-1] are free, in chain[] of the same number */
    PktBuffers b;
    VirtqChain chain[VIRTIO_NET_RX_BUFS];
    PktBuffer buf[VIRTIO_NET_RX_BUFS];
    unsigned n_iov;
    struct iovec iov[VIRTIO_NET_IOV];

    const struct VirtioNetFilter *filter; /* the main thread's; NULL: all is wanted */
    const struct VirtioNetHash *hash;     /* as well; NULL: nothing is hashed */
    unsigned n_awake;   /* packets since the thread slept */

    /* virtio-net-steer.c's; NULL: the pair's ring has what its queue of the netdev has */
    struct SlotPair *slots;
    const struct VirtioNetSteering *steering; /* the main thread's; NULL: it does not read */
    IoSource wake;      /* by other pairs */

    /* of the round under way */
    unsigned first;     /* buffer of pkt[0] */
    unsigned n;
    Pkt pkt[VIRTIO_NET_BATCH];
    struct virtio_net_hdr_v1 hdr[VIRTIO_NET_BATCH];
    VirtioNetHashed hashed[VIRTIO_NET_BATCH]; /* with slots */
} VirtioNetRx;

/*
 * A queue pair: two rings and a queue of the netdev. Its thread has it from the start of its first
 * ring until the device is reset.
 */
typedef struct VirtioNetQueue {
    DeviceQueue dq;
    VirtioNet *vn;
    NicPeer peer;
    NicQueueStats *stats;
    uint32_t hdr_len;
    bool told;             /* of dq's fault */
    EventCall call;        /* the VMM could have a write wait for ever */
    VirtioNetTx tx;
    VirtioNetRx rx;
} VirtioNetQueue;

struct VirtioNet {
    VirtioDevice dev;
    VirtioNetConfig config;  /* without its strings */
    VirtioNetEnv env;
    char *name;
    IoThread **threads;
    bool has_mac;
    uint8_t mac[6];
    uint8_t first_mac[6];    /* before a driver set another */
    uint64_t features;       /* negotiated */
    uint64_t offloads;       /* VIRTIO_NET_F_GUEST_* of these that are on now */
    bool guest_gso;          /* packets to the guest may be of up to 64 KiB, by these */
    uint16_t status;         /* of the config space: VIRTIO_NET_S_* */
    struct VirtioNetCtrl *ctrl; /* the control queue; NULL: the transport's other side has it */
    guint update_tag;        /* pairs in use are looked at soon */
    uint16_t host_mtu;       /* the config's, before a transport set another */
    bool paused;
    bool peer_failed;        /* the netdev's error was reported */
    DeviceFaults faults;
    VirtioNetQueue **queue;  /* of each pair; NULL: none of its rings ever ran */
    struct VirtioNetVhost *vhost; /* virtio-net-vhost.c's; NULL: threads have all pairs */
    bool *asked;             /* of each ring that runs: ring_enable() was told so */
    bool *enabled;           /* and its pair is one of those that the driver uses */
    NicQueueStats *stats;
};

/* --- virtio-net.c: main thread --- */

/* The number of pairs that the driver uses is another one. False: the netdev could not follow. */
bool virtio_net_follow_pairs(VirtioNet *vn);
void virtio_net_config_changed(VirtioNet *vn);

/* --- virtio-net-ctrl.c: main thread --- */

/* What the queues' threads filter by, and how they hash; NULL: not at all. */
const struct VirtioNetFilter *virtio_net_live_filter(const VirtioNet *vn);
const struct VirtioNetHash *virtio_net_live_hash(const VirtioNet *vn);

/* --- virtio-net-queue.c: main thread --- */

VirtioNetQueue *virtio_net_queue_new(VirtioNet *vn, unsigned pair, GError **error);
void virtio_net_queue_free(VirtioNetQueue *q); /* no ring of it is running; NULL is fine */
bool virtio_net_queue_start_ring(VirtioNetQueue *q, bool tx, const VirtioRing *ring,
                                 GError **error);
uint32_t virtio_net_queue_stop_ring(VirtioNetQueue *q, bool tx);
void virtio_net_queue_enable_ring(VirtioNetQueue *q, bool tx, bool on);
void virtio_net_queue_set_call(VirtioNetQueue *q, bool tx, int fd);
/* Its thread goes by what the driver set up since its rings started. */
void virtio_net_queue_update(VirtioNetQueue *q);
/* Somebody else has both rings: its thread lets the netdev alone, or looks after it again. */
void virtio_net_queue_rest(VirtioNetQueue *q, bool rest);
/* Its thread gives the guest all that the netdev has for it, as far as there are buffers. */
void virtio_net_queue_drain(VirtioNetQueue *q);
/* nic_announce(); lost while the netdev is full. */
void virtio_net_queue_announce(VirtioNetQueue *q, const uint8_t mac[6]);

/* --- the pair's thread --- */

/* Tells the driver, if it wants to be: @want is what virtq_flush() said. */
void virtio_net_ring_call(VirtioNetQueue *q, VirtioNetRing *r, bool want);
/* The ring was looked at: kicks are not wanted for a while. */
static inline void virtio_net_ring_disarm(VirtioNetRing *r)
{
    if (r->armed) {
        r->armed = false;
        virtq_disarm(&r->vq);
    }
}
/* Asks for a kick; true: there is something already. */
bool virtio_net_ring_arm(VirtioNetQueue *q, VirtioNetRing *r);

/* virtio-net-tx.c. stop: what was sent is given back, the rest is the ring's again. */
bool virtio_net_tx_init(VirtioNetQueue *q);
void virtio_net_tx_done(VirtioNetQueue *q);
QueueVerdict virtio_net_tx_poll(VirtioNetQueue *q);
bool virtio_net_tx_arm(VirtioNetQueue *q);
void virtio_net_tx_stop(VirtioNetQueue *q);

/* virtio-net-rx.c */
bool virtio_net_rx_init(VirtioNetQueue *q);
void virtio_net_rx_done(VirtioNetQueue *q);
QueueVerdict virtio_net_rx_poll(VirtioNetQueue *q);
bool virtio_net_rx_arm(VirtioNetQueue *q);
void virtio_net_rx_stop(VirtioNetQueue *q);
void virtio_net_rx_purge(VirtioNetQueue *q);

#endif
