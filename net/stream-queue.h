/*
 * Frames over a stream socket: each is behind its length, four bytes in network order, as QEMU's
 * netdevs socket and stream have it. The bytes of a frame that is not complete yet stay here, both
 * ways.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_STREAM_QUEUE_H
#define NET_STREAM_QUEUE_H

#include "net/netdev.h"

#define STREAM_HEADER 4u
/* A longer frame ends the connection; what is longer than PKT_MAX_LEN is read, and dropped. */
#define STREAM_FRAME_MAX 69632u /* NET_BUFSIZE of QEMU's net.h */
#define STREAM_RX_SIZE   (256u * 1024)

/*
 * Written in each batch, so no two of them are on one line of the cache. The queue's thread has it
 * while it is up, but for what is said to be shared; else the main thread, while nobody sends or
 * receives.
 */
typedef struct StreamQueue {
    NetdevQueue q;
    bool up;       /* shared, atomic: there is a connection, at q.fd */
    bool ended;    /* it is over for us: the other end closed it, or said what it must not */
    int ended_fd;  /* shared: an eventfd, where the main thread reads of that */

    uint8_t *rx;   /* STREAM_RX_SIZE */
    uint32_t rx_start; /* of what is there */
    uint32_t rx_end;
    uint32_t rx_skip;  /* bytes that come next are of a frame that is too long for a guest */

    uint8_t *tx;      /* what is left of a frame that was sent in part */
    uint32_t tx_start;
    uint32_t tx_end;
    bool tx_is_first; /* of the packet that comes first in the next call */
} __attribute__((aligned(64))) StreamQueue;

/* Zeroed before. False: no memory, or no descriptor. */
bool stream_queue_init(StreamQueue *s, GError **error);
void stream_queue_done(StreamQueue *s); /* the half-built, too */

/* q.fd is of a new connection. Main thread, while the queue is down. */
void stream_queue_start(StreamQueue *s);
/* From the next call of send or receive on. Main thread. */
void stream_queue_stop(StreamQueue *s);

/* NetdevOps. A queue that is not up forgets what is sent. */
unsigned stream_queue_send(NetdevQueue *q, Pkt *pkt, unsigned n);
void stream_queue_send_stop(NetdevQueue *q);
unsigned stream_queue_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                           unsigned max);

#endif
