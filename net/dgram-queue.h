/*
 * Frames over a datagram socket, one in each, many with a system call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_DGRAM_QUEUE_H
#define NET_DGRAM_QUEUE_H

#include "net/netdev.h"
#include "util/socket-address.h"

#define DGRAM_BATCH 32u
#define DGRAM_SLOT  69632u /* more than PKT_MAX_LEN: what is longer is noticed */

/* Written in each batch, so no two of them are on one line of the cache. The queue's thread's. */
typedef struct DgramQueue {
    NetdevQueue q;
    SocketName dest;  /* where to; of no length: where the socket is connected to */
    uint8_t *rx;      /* DGRAM_BATCH slots, with what was read and not asked for yet */
    unsigned rx_n;
    unsigned rx_next;
    uint32_t rx_len[DGRAM_BATCH];
} __attribute__((aligned(64))) DgramQueue;

bool dgram_queue_init(DgramQueue *d, GError **error); /* zeroed before */
void dgram_queue_done(DgramQueue *d);                 /* the half-built, too */

/* NetdevOps. */
unsigned dgram_queue_send(NetdevQueue *q, Pkt *pkt, unsigned n);
unsigned dgram_queue_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                          unsigned max);

#endif
