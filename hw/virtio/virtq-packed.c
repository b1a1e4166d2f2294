/*
 * Packed virtqueues, from the device's side (VIRTIO 1.2, 2.8): one ring of descriptors, which the
 * driver makes available and the device used, told apart by two bits that change their meaning
 * with each lap; and an event suppression structure of each side.
 *
 * The driver looks for the first descriptor that is not used yet, so that one's flags are written
 * last, by the flush. The fences are those of virtq-split.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtq-packed.h"
#include "virtq-track.h"

/* How many are the driver's, as far as we know. */
static inline unsigned slots_left(const Virtq *vq)
{
    return (unsigned)(vq->s.size - vq->in_flight - vq->unflushed);
}

/* --- chains --- */

/* A piece of a chain; a table has to be alone (2.8.19). */
void virtq_packed_add(VirtqWalk *w, const VirtqDesc *d, bool first)
{
    if (!(d->flags & VRING_DESC_F_INDIRECT)) {
        virtq_walk_add(w, d);
    } else if (first) {
        virtq_walk_table(w, d);
    } else {
        virtq_walk_bad(w, "an indirect table behind something");
    }
}

/* The pieces of an indirect table, which stand in their order. */
static inline bool plain_table(Virtq *vq, const VirtqDesc *d, VirtqSum *sum, struct iovec *iov,
                               unsigned room)
{
    const uint64_t *table = virtq_plain_table(vq, d);
    unsigned n = d->len / VIRTQ_DESC_SIZE;

    if (!table || n > room) {
        return false;
    }
    for (unsigned i = 0; i < n; i++, table += 2) {
        VirtqDesc e = packed_make(table, le64toh(__atomic_load_n(&table[1], __ATOMIC_RELAXED)));

        if (G_UNLIKELY(!virtq_sum_add(sum, vq, &e, iov))) {
            return false;
        }
    }
    return true;
}

/* The pieces of descriptors in the ring, of which @d is the first, and becomes the last. */
static inline bool plain_slots(Virtq *vq, VirtqDesc *d, VirtqSum *sum, struct iovec *iov,
                               unsigned room)
{
    uint16_t at = vq->avail;

    for (;;) {
        uint64_t rest;

        if (G_UNLIKELY(sum->n == room || !virtq_sum_add(sum, vq, d, iov))) {
            return false;
        }
        if (!(d->flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        at = packed_advance(vq, at, 1);
        rest = packed_load_rest(vq, at);
        if (G_UNLIKELY(!packed_is_available(rest, at))) {
            return false;
        }
        *d = packed_make(packed_desc(vq, at), rest);
    }
}

/* A chain with nothing unusual about it, which begins with @d; false: see packed_walk(). */
static inline bool packed_plain(Virtq *vq, VirtqDesc d, VirtqChain *c, struct iovec *iov,
                                unsigned n_iov)
{
    bool table = d.flags & VRING_DESC_F_INDIRECT;
    unsigned room = MIN(n_iov, table ? VIRTQ_MAX_IOV : MIN(slots_left(vq), VIRTQ_MAX_IOV));
    VirtqSum sum = { 0 };

    if (!(table ? plain_table(vq, &d, &sum, iov, room)
                : plain_slots(vq, &d, &sum, iov, room))) {
        return false;
    }
    c->id = d.next;
    c->n_slots = (uint16_t)(table ? 1 : sum.n);
    return virtq_sum_end(&sum, c, iov);
}

/* Any chain; a bad one is read up to its end, which has the buffer's id. */
static G_GNUC_NO_INLINE VirtqRead packed_walk(Virtq *vq, VirtqChain *c, struct iovec *iov,
                                              unsigned n_iov)
{
    unsigned slots = slots_left(vq);
    VirtqWalk w;

    virtq_walk_begin(&w, vq, c, iov, n_iov);
    for (unsigned seen = 0; seen < slots; seen++) {
        uint16_t at = packed_advance(vq, vq->avail, seen);
        uint64_t rest = packed_load_rest(vq, at);
        VirtqDesc d;

        if (!packed_is_available(rest, at)) {
            vq->violation = "a chain whose end is not available";
            return VIRTQ_BROKEN;
        }
        d = packed_make(packed_desc(vq, at), rest);
        virtq_packed_add(&w, &d, seen == 0);
        if (w.full) {
            return VIRTQ_NO_ROOM;
        }
        if (!(d.flags & VRING_DESC_F_NEXT)) {
            c->id = d.next;
            c->n_slots = (uint16_t)(seen + 1);
            return virtq_walk_end(&w);
        }
    }
    vq->violation = "more descriptors than the ring has";
    return VIRTQ_BROKEN;
}

/* Not inlined, so that virtq_packed_pop() keeps its variables in registers. */
static G_GNUC_NO_INLINE VirtqRead packed_chain(Virtq *vq, VirtqDesc d, VirtqChain *c,
                                               struct iovec *iov, unsigned n_iov)
{
    if (G_LIKELY(slots_left(vq) > 0 && packed_plain(vq, d, c, iov, n_iov))) {
        return VIRTQ_READ;
    }
    return packed_walk(vq, c, iov, n_iov);
}

int virtq_packed_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                     unsigned n_iov)
{
    struct iovec *end = iov + n_iov;
    unsigned n;

    for (n = 0; n < max; n++, chain++) {
        uint64_t rest = packed_load_rest(vq, vq->avail);
        VirtqDesc d;
        VirtqRead r;
        uint8_t *p;

        if (!packed_is_available(rest, vq->avail)) {
            break;
        }
        d = packed_make(packed_desc(vq, vq->avail), rest);
        if (G_LIKELY(!(d.flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) && iov < end
                     && slots_left(vq) > 0 && virtq_look(vq, d.addr, d.len, &p))) {
            virtq_chain_one(chain, iov++, &d, p);
            chain->id = d.next;
            chain->n_slots = 1;
        } else {
            r = packed_chain(vq, d, chain, iov, (unsigned)(end - iov));
            if (r == VIRTQ_BROKEN && n == 0) {
                return -1;
            }
            if (r != VIRTQ_READ) {
                vq->violation = NULL; /* what came before it is fine */
                break;
            }
            iov += chain->n_out + chain->n_in;
        }
        chain->pos = vq->avail;
        vq->avail = packed_advance(vq, vq->avail, chain->n_slots);
        vq->in_flight = (uint16_t)(vq->in_flight + chain->n_slots);
    }
    return (int)n;
}

void virtq_packed_unpop(Virtq *vq, const VirtqChain *chain, unsigned n)
{
    for (unsigned i = n; i > 0; i--) {
        const VirtqChain *c = &chain[i - 1];

        g_assert(c->n_slots <= vq->in_flight
                 && packed_advance(vq, c->pos, c->n_slots) == vq->avail);
        vq->avail = c->pos;
        vq->in_flight = (uint16_t)(vq->in_flight - c->n_slots);
    }
}

/*
 * The descriptors of @chain behind its first one are used, too, for virtq_packed_find_place(); no
 * driver looks at them. From the last one on, with nothing else changed: who finds us killed in
 * between knows by the last one that it is so, and by the others which chain it is.
 */
static G_GNUC_NO_INLINE void mark_used(const Virtq *vq, const VirtqChain *chain)
{
    for (unsigned i = chain->n_slots - 1u; i > 0; i--) {
        uint16_t at = packed_advance(vq, chain->pos, i);
        uint64_t rest = packed_load_rest(vq, at) & ~((uint64_t)PACKED_BOTH << 48);

        rest |= (uint64_t)(at & PACKED_WRAP ? PACKED_BOTH : 0) << 48;
        __atomic_store_n(&packed_desc(vq, at)[1], htole64(rest), __ATOMIC_RELEASE);
    }
}

void virtq_packed_push(Virtq *vq, const VirtqChain *chain, uint32_t written)
{
    uint16_t at = vq->used, n = chain->n_slots;
    uint64_t flags = (at & PACKED_WRAP ? PACKED_BOTH : 0) | (written > 0 ? VRING_DESC_F_WRITE : 0);
    uint64_t rest = htole64(written | (uint64_t)chain->id << 32 | flags << 48);

    g_assert(chain->pos == at && n <= vq->in_flight);
    if (G_UNLIKELY(n > 1)) {
        mark_used(vq, chain);
    }
    __atomic_store_n(vq->unflushed == 0 ? &vq->first : &packed_desc(vq, at)[1], rest,
                     __ATOMIC_RELAXED);
    vq->unflushed = (uint16_t)(vq->unflushed + n);
    vq->in_flight = (uint16_t)(vq->in_flight - n);
    vq->used = packed_advance(vq, at, n);
}

static void dirty_slots(const Virtq *vq, uint16_t from, unsigned n)
{
    unsigned before_end = MIN(n, vq->s.size - packed_offset(from));

    guest_mem_dirty_host(vq->mem, packed_desc(vq, from), (uint64_t)before_end * VIRTQ_DESC_SIZE);
    guest_mem_dirty_host(vq->mem, vq->s.desc, (uint64_t)(n - before_end) * VIRTQ_DESC_SIZE);
}

/* 2.8.10; an offset of the other lap is a whole ring away. */
static bool driver_wants_call(const Virtq *vq, uint16_t n)
{
    uint32_t event = le32toh(__atomic_load_n((uint32_t *)vq->s.driver, __ATOMIC_RELAXED));
    unsigned flags = event >> 16 & 3, offset = packed_offset((uint16_t)event);

    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !vq->event_idx) {
        return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
    }
    if ((event ^ vq->used) & PACKED_WRAP) {
        offset -= vq->s.size;
    }
    return vring_need_event((uint16_t)offset, (uint16_t)packed_offset(vq->used),
                            (uint16_t)(packed_offset(vq->used) - n));
}

bool virtq_packed_flush(Virtq *vq)
{
    uint16_t n = vq->unflushed;

    if (n > 0) {
        if (G_UNLIKELY(vq->track)) {
            virtq_track_publish(vq);
        }
        __atomic_store_n(&packed_desc(vq, vq->used_flushed)[1], vq->first, __ATOMIC_RELEASE);
        if (G_UNLIKELY(vq->track)) {
            virtq_track_published(vq, vq->used_flushed);
        }
        if (vq->s.log) {
            dirty_slots(vq, vq->used_flushed, n);
        }
        vq->unflushed = 0;
        vq->used_flushed = vq->used;
    }
    if (!vq->told) {
        vq->told = true;
        return true;
    }
    if (n == 0) {
        return false;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return driver_wants_call(vq, n);
}

/* --- notifications --- */

static void ask(const Virtq *vq, uint32_t place, uint32_t flags)
{
    __atomic_store_n((uint32_t *)vq->s.device, htole32(place | flags << 16), __ATOMIC_RELAXED);
    if (vq->s.log) {
        guest_mem_dirty_host(vq->mem, vq->s.device, sizeof(uint32_t));
    }
}

/* Without a look back: see virtq_arm(). */
void virtq_packed_arm(Virtq *vq)
{
    if (vq->event_idx) {
        ask(vq, vq->avail, VRING_PACKED_EVENT_FLAG_DESC);
    } else if (vq->disarmed) {
        ask(vq, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
    }
}

void virtq_packed_disarm(Virtq *vq)
{
    if (!vq->disarmed) {
        ask(vq, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
    }
}

bool virtq_packed_ready(Virtq *vq)
{
    return packed_is_available(packed_load_rest(vq, vq->avail), vq->avail);
}

/* --- life --- */

/*
 * The high half of the base says what is given back: the rest is taken again, as chains go back in
 * order.
 */
bool virtq_packed_start(Virtq *vq, const char **ret_why)
{
    const VirtqSetup *s = &vq->s;
    uint16_t used = (uint16_t)(s->base >> 16);

    if (s->size == 0 || s->size > VIRTQ_MAX_SIZE) {
        *ret_why = "a size that no packed ring has";
        return false;
    }
    if ((uintptr_t)s->desc % VIRTQ_DESC_SIZE || (uintptr_t)s->driver % sizeof(uint32_t)
        || (uintptr_t)s->device % sizeof(uint32_t)) {
        *ret_why = "an address is not aligned";
        return false;
    }
    if (packed_offset(used) >= s->size) {
        *ret_why = "a base beyond the ring";
        return false;
    }
    vq->avail = vq->used = vq->used_flushed = used;
    vq->disarmed = true; /* whatever is there is overwritten */
    if (!s->inflight) {
        virtq_packed_find_place(vq);
    }
    return true;
}

uint32_t virtq_packed_base(const Virtq *vq)
{
    return vq->used | (uint32_t)vq->used << 16;
}
