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
#include "virtq-internal.h"

#define AVAIL_BIT  (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_BIT   (1u << VRING_PACKED_DESC_F_USED)
#define BOTH_BITS  (AVAIL_BIT | USED_BIT)
#define WRAP_SHIFT VRING_PACKED_EVENT_F_WRAP_CTR

/* A place in the ring as bases, events and VirtqChain.pos have it. */
static uint16_t place(uint16_t offset, bool wrap)
{
    return (uint16_t)(offset | (unsigned)wrap << WRAP_SHIFT);
}

/* The two halves of a descriptor: its address; its length, id and flags. */
static uint64_t *desc_addr(const Virtq *vq, unsigned i)
{
    return (uint64_t *)vq->s.desc + 2 * i;
}

static uint64_t *desc_rest(const Virtq *vq, unsigned i)
{
    return (uint64_t *)vq->s.desc + 2 * i + 1;
}

/* What the bits are when a descriptor is available. */
static uint16_t avail_bits(bool wrap)
{
    return wrap ? AVAIL_BIT : USED_BIT;
}

/* --- chains --- */

static inline uint64_t load_rest(const Virtq *vq, unsigned i)
{
    return le64toh(__atomic_load_n(desc_rest(vq, i), __ATOMIC_ACQUIRE));
}

static inline uint16_t flags_of(uint64_t rest)
{
    return (uint16_t)(rest >> 48);
}

static inline VirtqDesc make_desc(const Virtq *vq, unsigned i, uint64_t rest)
{
    uint64_t addr = le64toh(__atomic_load_n(desc_addr(vq, i), __ATOMIC_RELAXED));

    return (VirtqDesc){ addr, (uint32_t)rest, flags_of(rest), (uint16_t)(rest >> 32) };
}

/* Where the chain that is read is, and how many slots it may have. */
typedef struct PackedCursor {
    unsigned at;
    uint16_t bits;  /* of what is available there */
    unsigned slots; /* that are not ours yet */
} PackedCursor;

static inline void cursor_add(const Virtq *vq, PackedCursor *p, unsigned n)
{
    p->at += n;
    if (p->at >= vq->s.size) {
        p->at -= vq->s.size;
        p->bits ^= BOTH_BITS;
    }
}

/* A piece of a chain; a table has to be alone (2.8.19). */
static void add_desc(VirtqWalk *w, const VirtqDesc *d, bool first)
{
    if (!(d->flags & VRING_DESC_F_INDIRECT)) {
        virtq_walk_add(w, d);
    } else if (first) {
        virtq_walk_table(w, d);
    } else {
        virtq_walk_bad(w, "an indirect table behind something");
    }
}

/* Any chain; a bad one is read up to its end, which has the buffer's id. */
static VirtqRead packed_chain(Virtq *vq, PackedCursor p, VirtqChain *c, struct iovec *iov,
                              unsigned n_iov)
{
    VirtqWalk w;

    virtq_walk_begin(&w, vq, c, iov, n_iov);
    for (unsigned seen = 0; seen < p.slots; seen++) {
        uint64_t rest = load_rest(vq, p.at);
        VirtqDesc d = make_desc(vq, p.at, rest);

        if ((d.flags & BOTH_BITS) != p.bits) {
            vq->violation = "a chain whose end is not available";
            return VIRTQ_BROKEN;
        }
        add_desc(&w, &d, seen == 0);
        if (w.full) {
            break;
        }
        if (!(d.flags & VRING_DESC_F_NEXT)) {
            c->id = d.next;
            c->n_slots = (uint16_t)(seen + 1);
            return virtq_walk_end(&w);
        }
        cursor_add(vq, &p, 1);
    }
    if (w.full) {
        return VIRTQ_NO_ROOM;
    }
    vq->violation = "more descriptors than the ring has";
    return VIRTQ_BROKEN;
}

/* A chain of one or two descriptors, nothing unusual about them: most are. */
static inline bool packed_plain(Virtq *vq, VirtqWindow *w, PackedCursor p, VirtqChain *c,
                                struct iovec *iov)
{
    VirtqDesc a = make_desc(vq, p.at, load_rest(vq, p.at)), b;

    if (G_UNLIKELY((a.flags & BOTH_BITS) != p.bits || p.slots < 2
                   || a.flags & VRING_DESC_F_INDIRECT || !virtq_piece(vq, w, &a, &iov[0]))) {
        return false;
    }
    if (!(a.flags & VRING_DESC_F_NEXT)) {
        virtq_chain_one(c, iov, &a);
        c->id = a.next;
        c->n_slots = 1;
        return true;
    }
    cursor_add(vq, &p, 1);
    b = make_desc(vq, p.at, load_rest(vq, p.at));
    c->id = b.next;
    c->n_slots = 2;
    return G_LIKELY((b.flags & (BOTH_BITS | VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT)) == p.bits
                    && virtq_piece(vq, w, &b, &iov[1]) && virtq_chain_two(c, iov, &a, &b));
}

int virtq_packed_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                     unsigned n_iov)
{
    PackedCursor p = { vq->avail, avail_bits(vq->avail_wrap),
                       (unsigned)(vq->s.size - vq->in_flight - vq->unflushed) };
    VirtqWindow w = virtq_window(vq);
    VirtqRead r = VIRTQ_READ;
    unsigned n;

    for (n = 0; n < max && (flags_of(load_rest(vq, p.at)) & BOTH_BITS) == p.bits; n++) {
        VirtqChain *c = &chain[n];
        unsigned pieces;

        if (G_UNLIKELY(n_iov < 2 || !packed_plain(vq, &w, p, c, iov))) {
            r = packed_chain(vq, p, c, iov, n_iov);
            if (r != VIRTQ_READ) {
                break;
            }
            w = virtq_window(vq);
        }
        c->pos = place((uint16_t)p.at, p.bits == AVAIL_BIT);
        cursor_add(vq, &p, c->n_slots);
        p.slots -= c->n_slots;
        pieces = (unsigned)c->n_out + c->n_in;
        iov += pieces;
        n_iov -= pieces;
    }
    vq->in_flight = (uint16_t)(vq->s.size - vq->unflushed - p.slots);
    vq->avail = (uint16_t)p.at;
    vq->avail_wrap = p.bits == AVAIL_BIT;
    if (G_UNLIKELY(r == VIRTQ_BROKEN)) {
        if (n == 0) {
            return -1;
        }
        vq->violation = NULL; /* what came before it is fine */
    }
    return (int)n;
}

void virtq_packed_unpop(Virtq *vq, const VirtqChain *chain, unsigned n)
{
    for (unsigned i = n; i > 0; i--) {
        const VirtqChain *c = &chain[i - 1];
        uint16_t at = c->pos & (uint16_t)~(1u << WRAP_SHIFT);
        bool wrap = c->pos >> WRAP_SHIFT;

        g_assert(c->n_slots <= vq->in_flight
                 && (at + c->n_slots) % vq->s.size == vq->avail);
        vq->avail = at;
        vq->avail_wrap = wrap;
        vq->in_flight = (uint16_t)(vq->in_flight - c->n_slots);
    }
}

void virtq_packed_push(Virtq *vq, const VirtqChain *chain, uint32_t written)
{
    uint64_t flags = (vq->used_wrap ? BOTH_BITS : 0) | (written > 0 ? VRING_DESC_F_WRITE : 0);
    uint64_t rest = htole64(written | (uint64_t)chain->id << 32 | flags << 48);

    g_assert(chain->pos == place(vq->used, vq->used_wrap) && chain->n_slots <= vq->in_flight);
    if (vq->unflushed == 0) {
        vq->first = rest;
    } else {
        __atomic_store_n(desc_rest(vq, vq->used), rest, __ATOMIC_RELAXED);
    }
    vq->unflushed = (uint16_t)(vq->unflushed + chain->n_slots);
    vq->in_flight = (uint16_t)(vq->in_flight - chain->n_slots);
    vq->used = (uint16_t)(vq->used + chain->n_slots);
    if (vq->used >= vq->s.size) {
        vq->used = (uint16_t)(vq->used - vq->s.size);
        vq->used_wrap = !vq->used_wrap;
    }
}

static void log_slots(const Virtq *vq, unsigned from, unsigned n)
{
    unsigned before_end = MIN(n, vq->s.size - from);

    guest_mem_dirty_host(vq->mem, desc_addr(vq, from), (uint64_t)before_end * VIRTQ_DESC_SIZE);
    guest_mem_dirty_host(vq->mem, vq->s.desc, (uint64_t)(n - before_end) * VIRTQ_DESC_SIZE);
}

/* 2.8.10; an offset of the other lap is a whole ring away. */
static bool driver_wants_call(const Virtq *vq, uint16_t n)
{
    uint32_t event = le32toh(__atomic_load_n((uint32_t *)vq->s.driver, __ATOMIC_RELAXED));
    unsigned flags = event >> 16 & 3, offset = event & ((1u << WRAP_SHIFT) - 1);
    bool wrap = event >> WRAP_SHIFT & 1;

    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !vq->event_idx) {
        return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
    }
    if (wrap != vq->used_wrap) {
        offset -= vq->s.size;
    }
    return vring_need_event((uint16_t)offset, vq->used, (uint16_t)(vq->used - n));
}

bool virtq_packed_flush(Virtq *vq)
{
    uint16_t n = vq->unflushed;

    if (n > 0) {
        __atomic_store_n(desc_rest(vq, vq->used_flushed), vq->first, __ATOMIC_RELEASE);
        if (vq->s.log) {
            log_slots(vq, vq->used_flushed, n);
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
        ask(vq, place(vq->avail, vq->avail_wrap), VRING_PACKED_EVENT_FLAG_DESC);
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
    return (flags_of(load_rest(vq, vq->avail)) & BOTH_BITS) == avail_bits(vq->avail_wrap);
}

/* --- life --- */

/* The high half says what is given back: the rest is taken again, as chains go back in order. */
bool virtq_packed_start(Virtq *vq, const char **ret_why)
{
    const VirtqSetup *s = &vq->s;
    uint16_t used = (uint16_t)(s->base >> 16), offset = used & (uint16_t)~(1u << WRAP_SHIFT);

    if (s->size == 0 || s->size > VIRTQ_MAX_SIZE) {
        *ret_why = "a size that no packed ring has";
        return false;
    }
    if ((uintptr_t)s->desc % VIRTQ_DESC_SIZE || (uintptr_t)s->driver % sizeof(uint32_t)
        || (uintptr_t)s->device % sizeof(uint32_t)) {
        *ret_why = "an address is not aligned";
        return false;
    }
    if (offset >= s->size) {
        *ret_why = "a base beyond the ring";
        return false;
    }
    vq->avail = vq->used = vq->used_flushed = offset;
    vq->avail_wrap = vq->used_wrap = used >> WRAP_SHIFT;
    vq->disarmed = true; /* whatever is there is overwritten */
    return true;
}

uint32_t virtq_packed_base(const Virtq *vq)
{
    uint32_t at = place(vq->used, vq->used_wrap);

    return at | at << 16;
}
