/*
 * The walk through a chain, piece by piece, in either layout: indirect tables, empty pieces,
 * pieces that lie in several regions of memory, and whatever is wrong with them.
 *
 * Each descriptor is read once by whoever calls, and bounded in number: a chain has at most
 * VIRTQ_MAX_IOV pieces, an indirect table at most as many entries that are looked at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtq-internal.h"

/* The guest may put an indirect table anywhere. */
typedef struct __attribute__((packed)) Unaligned64 {
    uint64_t value;
} Unaligned64;

bool virtq_move(Virtq *vq, uint64_t gpa)
{
    const GuestRegion *to = vq->former;

    if (gpa - to->gpa >= to->size) {
        int at = guest_mem_find(vq->mem, gpa);

        if (at < 0) {
            return false;
        }
        to = &vq->mem->region[at];
    }
    vq->former = vq->region;
    vq->region = to;
    return true;
}

void virtq_walk_begin(VirtqWalk *w, Virtq *vq, VirtqChain *chain, struct iovec *iov,
                      unsigned n_iov)
{
    *w = (VirtqWalk){ .vq = vq, .chain = chain, .room = MIN(n_iov, VIRTQ_MAX_IOV),
                      .may_grow = n_iov < VIRTQ_MAX_IOV };
    chain->iov = iov;
    chain->n_out = chain->n_in = 0;
    chain->out_len = chain->in_len = 0;
    chain->bad = NULL;
}

bool virtq_walk_bad(VirtqWalk *w, const char *why)
{
    if (!w->chain->bad) {
        w->chain->bad = why;
    }
    return false;
}

static bool out_of_room(VirtqWalk *w)
{
    if (!w->may_grow) {
        return virtq_walk_bad(w, "too many pieces");
    }
    w->full = true;
    return false;
}

/* The pieces of memory behind @d, one in each region. */
static bool add_memory(VirtqWalk *w, const VirtqDesc *d)
{
    VirtqChain *c = w->chain;
    uint64_t addr = d->addr, left = d->len;

    while (left > 0) {
        const GuestRegion *r;
        uint64_t len;

        if (!virtq_move(w->vq, addr)) {
            return virtq_walk_bad(w, "an address outside of memory");
        }
        if (w->room == 0) {
            return out_of_room(w);
        }
        r = w->vq->region;
        len = MIN(left, r->size - (addr - r->gpa));
        c->iov[c->n_out + c->n_in] = (struct iovec){ r->host + (addr - r->gpa), len };
        if (d->flags & VRING_DESC_F_WRITE) {
            c->n_in++;
        } else {
            c->n_out++;
        }
        w->room--;
        addr += len;
        left -= len;
    }
    return true;
}

bool virtq_walk_add(VirtqWalk *w, const VirtqDesc *d)
{
    VirtqChain *c = w->chain;

    if (c->bad || w->full) {
        return false;
    }
    if (!(d->flags & VRING_DESC_F_WRITE) && c->n_in > 0) {
        return virtq_walk_bad(w, "a readable piece behind a writable one");
    }
    w->len += d->len;
    if (w->len > UINT32_MAX) { /* VIRTIO 1.2, 2.7.5 */
        return virtq_walk_bad(w, "longer than 4 GiB");
    }
    if (d->len > 0 && d->addr + (d->len - 1) < d->addr) {
        return virtq_walk_bad(w, "an address outside of memory");
    }
    if (d->flags & VRING_DESC_F_WRITE) {
        c->in_len += d->len;
    } else {
        c->out_len += d->len;
    }
    return add_memory(w, d);
}

static VirtqDesc read_entry(const Virtq *vq, const uint8_t *table, uint32_t i)
{
    const volatile Unaligned64 *p = (const void *)(table + (size_t)i * VIRTQ_DESC_SIZE);
    uint64_t addr = le64toh(p[0].value), rest = le64toh(p[1].value);

    if (vq->packed) {
        return (VirtqDesc){ addr, (uint32_t)rest, (uint16_t)(rest >> 48), 0 };
    }
    return (VirtqDesc){ addr, (uint32_t)rest, (uint16_t)(rest >> 32), (uint16_t)(rest >> 48) };
}

/* Where the table is; NULL: @d is none. */
static const uint8_t *find_table(VirtqWalk *w, const VirtqDesc *d)
{
    uint8_t *table = NULL;

    if (!w->vq->indirect) {
        virtq_walk_bad(w, "an indirect table, which was not negotiated");
        return NULL;
    }
    if (d->flags & VRING_DESC_F_NEXT) {
        virtq_walk_bad(w, "something behind an indirect table");
        return NULL;
    }
    if (d->len == 0 || d->len % VIRTQ_DESC_SIZE != 0) {
        virtq_walk_bad(w, "an indirect table of an odd length");
        return NULL;
    }
    if (!virtq_look(w->vq, d->addr, d->len, &table)) {
        virtq_walk_bad(w, "an indirect table outside of memory");
        return NULL;
    }
    return table;
}

/* Entries of a split ring's table lead to each other, a packed one's stand in their order. */
bool virtq_walk_table(VirtqWalk *w, const VirtqDesc *d)
{
    const uint8_t *table = find_table(w, d);
    uint32_t n = d->len / VIRTQ_DESC_SIZE, at = 0;

    if (!table) {
        return false;
    }
    for (unsigned seen = 0; seen < VIRTQ_MAX_IOV; seen++) {
        VirtqDesc e = read_entry(w->vq, table, at);

        if (e.flags & VRING_DESC_F_INDIRECT) {
            return virtq_walk_bad(w, "an indirect table in another");
        }
        if (!virtq_walk_add(w, &e)) {
            return false;
        }
        if (w->vq->packed ? at + 1 == n : !(e.flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        at = w->vq->packed ? at + 1 : e.next;
        if (at >= n) {
            return virtq_walk_bad(w, "an index beyond the indirect table");
        }
    }
    return virtq_walk_bad(w, "a loop, or too many pieces");
}

VirtqRead virtq_walk_end(VirtqWalk *w)
{
    VirtqChain *c = w->chain;

    if (w->full && !c->bad) {
        return VIRTQ_NO_ROOM;
    }
    if (c->bad) {
        c->n_out = c->n_in = 0;
        c->out_len = c->in_len = 0;
    }
    return VIRTQ_READ;
}
