/*
 * Buffers of a made-up guest for PktBuffers, in pieces with guards around them, and the packets
 * that came into them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_GUEST_BUFFERS_H
#define TESTS_LIB_GUEST_BUFFERS_H

#include <stdbool.h>

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
 * @first on and no more than it needs, and the headroom is as it was. Returns how many they are.
 */
unsigned guest_buffers_check(const GuestBuffers *g, const Pkt *pkt, unsigned first,
                             const uint8_t *frame, uint32_t len);

/* Nobody wrote anywhere but into buffers. */
void guest_buffers_check_guards(const GuestBuffers *g);

#endif
