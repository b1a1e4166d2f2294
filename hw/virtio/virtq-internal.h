/*
 * What the two layouts of a virtqueue share: a descriptor, the memory that it points to, and the
 * walk through a chain that is more than two descriptors in plain sight.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQ_INTERNAL_H
#define HW_VIRTIO_VIRTQ_INTERNAL_H

#include "hw/virtio/virtq.h"

#include <endian.h>
#include <linux/virtio_ring.h>

#define VIRTQ_DESC_SIZE 16u

/* A descriptor, read once. */
typedef struct VirtqDesc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next; /* split; packed: the buffer id */
} VirtqDesc;

typedef enum VirtqRead {
    VIRTQ_READ,     /* the chain is there, or bad */
    VIRTQ_NO_ROOM,  /* it has more pieces than there is room for at present */
    VIRTQ_BROKEN,   /* vq->violation */
} VirtqRead;

/* --- the common case: pieces that lie in the region of the last one --- */

/* Makes the region of @gpa the one that is looked at first; false: there is none. */
bool virtq_move(Virtq *vq, uint64_t gpa);

/* Where @len bytes in one region are; false: they are not in one, or there are none. */
static inline bool virtq_look(Virtq *vq, uint64_t gpa, uint32_t len, uint8_t **ret)
{
    const GuestRegion *r = vq->region;

    if (G_UNLIKELY(gpa - r->gpa >= r->size)) {
        if (!virtq_move(vq, gpa)) {
            return false;
        }
        r = vq->region;
    }
    *ret = r->host + (gpa - r->gpa);
    return (uint64_t)len - 1 < r->size - (gpa - r->gpa);
}

/* A chain of one piece, which is at @p. */
static inline void virtq_chain_one(VirtqChain *c, struct iovec *iov, const VirtqDesc *d,
                                   uint8_t *p)
{
    uint32_t in = d->flags / VRING_DESC_F_WRITE & 1, in_len = (0 - in) & d->len;

    *iov = (struct iovec){ p, d->len };
    c->iov = iov;
    c->n_out = (uint16_t)(1 - in);
    c->n_in = (uint16_t)in;
    c->out_len = d->len - in_len;
    c->in_len = in_len;
    c->bad = NULL;
}

/* What there is of a chain so far. */
typedef struct VirtqSum {
    unsigned n;
    uint64_t len;
    bool in;          /* writable pieces have begun, behind so much */
    unsigned n_out;
    uint64_t out_len;
} VirtqSum;

/* The next piece, if there is nothing unusual about it; else see virtq_walk_add(). */
static inline bool virtq_sum_add(VirtqSum *sum, Virtq *vq, const VirtqDesc *d, struct iovec *iov)
{
    uint8_t *p;

    if (G_UNLIKELY(d->flags & VRING_DESC_F_INDIRECT || !virtq_look(vq, d->addr, d->len, &p))) {
        return false;
    }
    if (d->flags & VRING_DESC_F_WRITE && !sum->in) {
        sum->in = true;
        sum->n_out = sum->n;
        sum->out_len = sum->len;
    } else if (G_UNLIKELY(!(d->flags & VRING_DESC_F_WRITE) && sum->in)) {
        return false;
    }
    iov[sum->n++] = (struct iovec){ p, d->len };
    sum->len += d->len;
    return true;
}

static inline bool virtq_sum_end(const VirtqSum *sum, VirtqChain *c, struct iovec *iov)
{
    unsigned n_out = sum->in ? sum->n_out : sum->n;
    uint64_t out_len = sum->in ? sum->out_len : sum->len;

    c->iov = iov;
    c->n_out = (uint16_t)n_out;
    c->n_in = (uint16_t)(sum->n - n_out);
    c->out_len = (uint32_t)out_len;
    c->in_len = (uint32_t)(sum->len - out_len);
    c->bad = NULL;
    return G_LIKELY(sum->len <= UINT32_MAX);
}

/* The indirect table that @d alone is; NULL: see virtq_walk_table(). */
static inline const uint64_t *virtq_plain_table(Virtq *vq, const VirtqDesc *d)
{
    uint8_t *p;

    if (!vq->indirect || d->flags & VRING_DESC_F_NEXT || d->len % VIRTQ_DESC_SIZE != 0
        || !virtq_look(vq, d->addr, d->len, &p) || (uintptr_t)p % sizeof(uint64_t) != 0) {
        return NULL;
    }
    return (const uint64_t *)(const void *)p;
}

/* --- anything else: virtq-walk.c --- */

typedef struct VirtqWalk {
    Virtq *vq;
    VirtqChain *chain;
    unsigned room;     /* for so many pieces more */
    bool may_grow;     /* there might be more room next time */
    bool full;         /* there was not enough */
    uint64_t len;
} VirtqWalk;

void virtq_walk_begin(VirtqWalk *w, Virtq *vq, VirtqChain *chain, struct iovec *iov,
                      unsigned n_iov);
/* The next piece. False: no use to go on, the chain is bad or there is no room. */
bool virtq_walk_add(VirtqWalk *w, const VirtqDesc *d);
/* All pieces of the table that @d is. */
bool virtq_walk_table(VirtqWalk *w, const VirtqDesc *d);
bool virtq_walk_bad(VirtqWalk *w, const char *why); /* false */
VirtqRead virtq_walk_end(VirtqWalk *w);

/* --- the layouts --- */

bool virtq_split_start(Virtq *vq, const char **ret_why);
VirtqRead virtq_split_chain(Virtq *vq, unsigned head, VirtqChain *c, struct iovec *iov,
                            unsigned n_iov);
int virtq_split_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov, unsigned n_iov);
void virtq_split_unpop(Virtq *vq, const VirtqChain *chain, unsigned n);
void virtq_split_push(Virtq *vq, const VirtqChain *chain, uint32_t written);
bool virtq_split_flush(Virtq *vq);
void virtq_split_arm(Virtq *vq);
void virtq_split_disarm(Virtq *vq);
bool virtq_split_ready(Virtq *vq);

bool virtq_packed_start(Virtq *vq, const char **ret_why);
uint32_t virtq_packed_base(const Virtq *vq);
void virtq_packed_add(VirtqWalk *w, const VirtqDesc *d, bool first);
int virtq_packed_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                     unsigned n_iov);
void virtq_packed_unpop(Virtq *vq, const VirtqChain *chain, unsigned n);
void virtq_packed_push(Virtq *vq, const VirtqChain *chain, uint32_t written);
bool virtq_packed_flush(Virtq *vq);
void virtq_packed_arm(Virtq *vq);
void virtq_packed_disarm(Virtq *vq);
bool virtq_packed_ready(Virtq *vq);

/* Marks @size bytes at @offset of a split ring's used ring as written. */
static inline void virtq_dirty(const Virtq *vq, uint64_t offset, uint64_t size)
{
    if (G_UNLIKELY(vq->s.log)) {
        guest_mem_dirty(vq->mem, vq->s.log_gpa + offset, size);
    }
}

#endif
