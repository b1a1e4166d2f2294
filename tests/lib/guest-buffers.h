/*
 * Buffers of a made-up guest for PktBuffers, in pieces with guards around them, and a netdev whose
 * frames are known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_GUEST_BUFFERS_H
#define TESTS_LIB_GUEST_BUFFERS_H

#include <stdbool.h>

#include "net/netdev.h"
#include "net/pkt-buffers.h"

#define GUEST_MAX_BUFFERS 1024
#define GUEST_MAX_PIECES  4096
#define GUEST_MEMORY      (1u << 20)
#define GUEST_MAX_PACKETS 64

typedef struct GuestBuffers {
    PktBuffers b;
    PktBuffer buf[GUEST_MAX_BUFFERS];
    struct iovec iov[GUEST_MAX_PIECES];
    unsigned n_iov;
    uint8_t *memory;
    uint8_t *is_piece; /* a byte for each byte of memory: not a guard */
    size_t used;
    bool dropped;      /* packets were, after they had been written somewhere */
    struct virtio_net_hdr_v1 hdr[GUEST_MAX_PACKETS];
    Pkt pkt[GUEST_MAX_PACKETS];
} GuestBuffers;

/* No buffers, which may be merged, and frames of any length. */
GuestBuffers *guest_buffers_new(void);
void guest_buffers_free(GuestBuffers *g);

/* A buffer of @n_iov pieces, behind the others. */
void guest_buffers_add(GuestBuffers *g, const uint32_t *len, unsigned n_iov);
/* @n buffers of one piece. */
void guest_buffers_add_n(GuestBuffers *g, unsigned n, uint32_t len);

/* Those that packets have are gone, the others at the arrays' beginning. */
void guest_buffers_compact(GuestBuffers *g);

/*
 * @pkt has @len bytes of @frame behind the headroom of its buffers, which are those from number
 * @first on and no more than it needs, and the headroom is as it was, unless packets were dropped.
 * Returns how many they are.
 */
unsigned guest_buffers_check(const GuestBuffers *g, const Pkt *pkt, unsigned first,
                             const uint8_t *frame, uint32_t len);

/* Nobody wrote anywhere but into buffers. */
void guest_buffers_check_guards(const GuestBuffers *g);

/*
 * A netdev with one queue, and frames of lengths that are given. It reads into buffers by itself,
 * or leaves that to netdev.c. Needs no end.
 */
#define FRAME_SOURCE_MAX 1024u
typedef struct FrameSource {
    Netdev nd;
    NetdevQueue q;
    uint32_t len[FRAME_SOURCE_MAX];
    unsigned n;
    unsigned done;   /* frames that were read */
    unsigned pieces; /* that the last one was read into, with the spill; if by itself */
    bool plain;      /* or it was a plain read, with the header in front */
    unsigned burst;  /* places that such reads are made to at once; 0: 1 */
    uint64_t holes;  /* of these, bit by bit, those that find no frame */
} FrameSource;

void frame_source_init(FrameSource *s, bool into);
/* More frames. Each is known by its number, which its header has, too. */
void frame_source_add(FrameSource *s, const uint32_t *len, unsigned n);
const uint8_t *frame_source_frame(unsigned id);
/* Up to @max of them into g->pkt: netdev_recv_into(). */
unsigned frame_source_read(FrameSource *s, GuestBuffers *g, unsigned max);
/* g->pkt[@i] is frame @id, in the buffers from number @first on. Returns how many they are. */
unsigned frame_source_check(const FrameSource *s, const GuestBuffers *g, unsigned i, unsigned id,
                            unsigned first);

#endif
