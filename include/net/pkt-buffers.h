/*
 * Buffers of a NIC's guest that packets are read into without a copy: netdev_recv_into().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_PKT_BUFFERS_H
#define NET_PKT_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/pkt.h"

/* A buffer: pieces of the guest's memory. Struct and iovecs are the NIC's, private memory. */
typedef struct PktBuffer {
    struct iovec *iov;
    uint32_t n_iov;
    uint32_t len;      /* sum of the pieces */
} PktBuffer;

/* A packet that was read, and waits for more buffers than there were. */
typedef struct PktWaiting {
    bool waits;
    struct virtio_net_hdr_v1 hdr;
    uint32_t len;        /* of the frame */
    uint32_t rest;       /* bytes of it that are in no buffer yet */
    const uint8_t *from; /* these, in the spill */
    unsigned n_buf;      /* buffers from next on that it filled */
} PktWaiting;

/*
 * The buffers that a queue has at present, in the order packets take them. Belongs to the queue's
 * thread. All zeros at first, and the spill made by pkt_arena_init(); what is the NIC's may change
 * between two calls of netdev_recv_into().
 *
 * A packet begins with a buffer of its own, behind @headroom bytes that are the NIC's, and may have
 * been written to. It is read straight into as many buffers as are likely to be needed, and what
 * does not fit there goes through the spill: a packet that is larger than expected costs a copy of
 * its end. Memory of the buffers behind the packets may have been written to.
 *
 * Where the buffers end within a packet that may have several, it waits: they are full with its
 * beginning, and are not its own yet. In the next call buf[next] and those behind are the same
 * ones as before, wherever they stand in @buf now, and more behind them; if they can't be, as
 * memory went or the ring was stopped, pkt_buffers_drop() is called before.
 */
typedef struct PktBuffers {
    /* The NIC's. */
    const PktBuffer *buf; /* the iov of one buffer follow those of the one before in one array */
    unsigned n;           /* up to UINT16_MAX */
    unsigned next;        /* the first one that no packet has; goes on with each packet */
    bool merge;           /* a packet may have several; else it is dropped if one is too small */
    bool last;            /* more than buf[next] to buf[n - 1] the guest can't have at one time */
    uint32_t headroom;    /* bytes for a header, which are in one buffer, in pieces or not: 0..24 */
    uint32_t max_len;     /* of a frame, up to PKT_MAX_LEN: a longer one is dropped */
    /*
     * No frame is longer, as far as the NIC knows, as none is to be segmented; 0: it does not know.
     * A longer one that does not fit into its first buffer is lost, once: then this is 0.
     */
    uint32_t usual_len;
    PktArena spill;       /* of PKT_ARENA_MIN */
    uint64_t too_long;    /* packets dropped: longer than that, or than buffers can hold */

    /* Why netdev_recv_into() returned; neither: there is no packet left. */
    bool starved;         /* for want of buffers: there may be packets, and one may wait */
    bool more;            /* @max was reached, or that was enough work: there may be more */

    /* pkt-buffers.c's. */
    bool large;           /* packets of late needed more than the first buffer */
    unsigned n_small;     /* since then, in a row, that did not */
    unsigned start;       /* next when the call began */
    uint32_t direct;      /* bytes of the next packet that are read into buffers */
    PktWaiting waiting;
} PktBuffers;

/* Forgets the packet that waits, and where it is. True: there was one, and it is lost. */
bool pkt_buffers_drop(PktBuffers *b);

/*
 * Frames that are in memory of the caller's already, instead of netdev_recv_into(), one by one: a
 * frame is in buffers whole, or not at all. No packet waits meanwhile: pkt_buffers_drop().
 */
typedef enum PktStored {
    PKT_STORED,    /* it is @pkt, as after netdev_recv_into() */
    PKT_NO_ROOM,   /* there are too few buffers for now; nothing changed */
    PKT_TOO_LONG,  /* there never are enough: b->too_long counts it */
} PktStored;

void pkt_buffers_start(PktBuffers *b); /* of a round, whose buffers go back to the guest together */
/* A frame of @len bytes at @data. @pkt->hdr is the caller's, header and all but num_buffers. */
PktStored pkt_buffers_store(PktBuffers *b, Pkt *pkt, const uint8_t *data, uint32_t len);

#endif
