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

/* --- the common case: descriptors in the region that the last one was in --- */

/* A region, in registers while a batch is popped. */
typedef struct VirtqWindow {
    uint64_t gpa;
    uint64_t size;
    uint8_t *host;
} VirtqWindow;

static inline VirtqWindow virtq_window(const Virtq *vq)
{
    const GuestRegion *r = &vq->mem->region[vq->last_region];

    return (VirtqWindow){ r->gpa, r->size, r->host };
}

/* A piece in one region; false: it is none, and virtq_walk_add() will know why. */
static inline bool virtq_piece(Virtq *vq, VirtqWindow *w, const VirtqDesc *d, struct iovec *ret)
{
    uint64_t off = d->addr - w->gpa;

    if (G_UNLIKELY(off >= w->size)) {
        int at = guest_mem_find(vq->mem, d->addr);

        if (at < 0) {
            return false;
        }
        vq->last_region = (unsigned)at;
        *w = virtq_window(vq);
        off = d->addr - w->gpa;
    }
    *ret = (struct iovec){ w->host + off, d->len };
    return G_LIKELY(d->len > 0 && d->len <= w->size - off);
}

/* A chain of one descriptor, of which virtq_piece() made iov[0]. */
static inline void virtq_chain_one(VirtqChain *c, struct iovec *iov, const VirtqDesc *d)
{
    uint16_t in = (d->flags & VRING_DESC_F_WRITE) != 0;

    c->iov = iov;
    c->n_out = !in;
    c->n_in = in;
    c->out_len = in ? 0 : d->len;
    c->in_len = in ? d->len : 0;
    c->bad = NULL;
}

/* A chain of two, of which the second is the last; false: not so, see virtq_walk_add(). */
static inline bool virtq_chain_two(VirtqChain *c, struct iovec *iov, const VirtqDesc *a,
                                   const VirtqDesc *b)
{
    uint32_t a_in = a->flags & VRING_DESC_F_WRITE, b_in = b->flags & VRING_DESC_F_WRITE;
    uint32_t len = a->len + b->len;

    if (G_UNLIKELY(a_in > b_in || len < a->len)) {
        return false;
    }
    c->iov = iov;
    c->n_in = (uint16_t)((a_in + b_in) / VRING_DESC_F_WRITE);
    c->n_out = (uint16_t)(2 - c->n_in);
    c->in_len = a_in ? len : b_in ? b->len : 0;
    c->out_len = len - c->in_len;
    c->bad = NULL;
    return true;
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
int virtq_split_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov, unsigned n_iov);
void virtq_split_unpop(Virtq *vq, const VirtqChain *chain, unsigned n);
void virtq_split_push(Virtq *vq, const VirtqChain *chain, uint32_t written);
bool virtq_split_flush(Virtq *vq);
void virtq_split_arm(Virtq *vq);
void virtq_split_disarm(Virtq *vq);
bool virtq_split_ready(Virtq *vq);

bool virtq_packed_start(Virtq *vq, const char **ret_why);
uint32_t virtq_packed_base(const Virtq *vq);
int virtq_packed_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                     unsigned n_iov);
void virtq_packed_unpop(Virtq *vq, const VirtqChain *chain, unsigned n);
void virtq_packed_push(Virtq *vq, const VirtqChain *chain, uint32_t written);
bool virtq_packed_flush(Virtq *vq);
void virtq_packed_arm(Virtq *vq);
void virtq_packed_disarm(Virtq *vq);
bool virtq_packed_ready(Virtq *vq);

/* Marks @size bytes at @offset of a split ring's used ring as written. */
static inline void virtq_log(const Virtq *vq, uint64_t offset, uint64_t size)
{
    if (G_UNLIKELY(vq->s.log)) {
        guest_mem_dirty(vq->mem, vq->s.log_gpa + offset, size);
    }
}

#endif
