/*
 * Split virtqueues, from the device's side (VIRTIO 1.2, 2.7): descriptor table, avail ring of the
 * driver, used ring of the device.
 *
 * The driver is told to kick by avail_event, or by a flag without VIRTIO_RING_F_EVENT_IDX. In
 * both cases a full fence stands between the question and the last look at the ring, and one
 * between used->idx and the look at what the driver asked for: each side writes, then reads what
 * the other one writes, and at least one of them sees it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtq-internal.h"
#include "virtq-track.h"

static struct vring_avail *avail_ring(const Virtq *vq)
{
    return vq->s.driver;
}

static struct vring_used *used_ring(const Virtq *vq)
{
    return vq->s.device;
}

/* Behind the entries of the other's ring (2.7.6, 2.7.8). */
static uint16_t *used_event(const Virtq *vq)
{
    return &avail_ring(vq)->ring[vq->s.size];
}

static uint16_t *avail_event(const Virtq *vq)
{
    return (uint16_t *)&used_ring(vq)->ring[vq->s.size];
}

static uint16_t load16(const uint16_t *p)
{
    return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static void store16(uint16_t *p, uint16_t value)
{
    __atomic_store_n(p, htole16(value), __ATOMIC_RELAXED);
}

/* --- chains --- */

static inline VirtqDesc read_desc(const uint64_t *table, unsigned i)
{
    uint64_t addr = le64toh(__atomic_load_n(&table[2 * i], __ATOMIC_RELAXED));
    uint64_t rest = le64toh(__atomic_load_n(&table[2 * i + 1], __ATOMIC_RELAXED));

    return (VirtqDesc){ addr, (uint32_t)rest, (uint16_t)(rest >> 32), (uint16_t)(rest >> 48) };
}

/* A chain with nothing unusual about it, of up to @room pieces; false: see split_walk(). */
static inline bool split_plain(Virtq *vq, unsigned head, VirtqChain *c, struct iovec *iov,
                               unsigned room)
{
    const uint64_t *table = vq->s.desc;
    unsigned n = vq->s.size;
    VirtqDesc d = read_desc(table, head);
    VirtqSum sum = { 0 };

    if (d.flags & VRING_DESC_F_INDIRECT) {
        table = virtq_plain_table(vq, &d);
        n = d.len / VIRTQ_DESC_SIZE;
        if (!table) {
            return false;
        }
        d = read_desc(table, 0);
    }
    room = MIN(room, MIN(n, VIRTQ_MAX_IOV));
    for (;;) {
        if (G_UNLIKELY(sum.n == room || !virtq_sum_add(&sum, vq, &d, iov))) {
            return false;
        }
        if (!(d.flags & VRING_DESC_F_NEXT)) {
            return virtq_sum_end(&sum, c, iov);
        }
        if (G_UNLIKELY(d.next >= n)) {
            return false;
        }
        d = read_desc(table, d.next);
    }
}

/* Any chain; one of more descriptors than the ring has is a loop (2.7.5.1). */
static G_GNUC_NO_INLINE VirtqRead split_walk(Virtq *vq, unsigned at, VirtqChain *c,
                                             struct iovec *iov, unsigned n_iov)
{
    VirtqWalk w;

    virtq_walk_begin(&w, vq, c, iov, n_iov);
    for (unsigned seen = 0;; seen++) {
        VirtqDesc d = read_desc(vq->s.desc, at);

        if (seen == MIN(vq->s.size, VIRTQ_MAX_IOV)) {
            virtq_walk_bad(&w, "a loop, or too many pieces");
            break;
        }
        if (d.flags & VRING_DESC_F_INDIRECT) {
            virtq_walk_table(&w, &d);
            break;
        }
        if (!virtq_walk_add(&w, &d) || !(d.flags & VRING_DESC_F_NEXT)) {
            break;
        }
        at = d.next;
        if (at >= vq->s.size) {
            virtq_walk_bad(&w, "an index beyond the descriptor table");
            break;
        }
    }
    return virtq_walk_end(&w);
}

/* Not inlined, so that virtq_split_pop() keeps its variables in registers. */
G_GNUC_NO_INLINE VirtqRead virtq_split_chain(Virtq *vq, unsigned head, VirtqChain *c,
                                             struct iovec *iov, unsigned n_iov)
{
    if (G_LIKELY(split_plain(vq, head, c, iov, n_iov))) {
        return VIRTQ_READ;
    }
    return split_walk(vq, head, c, iov, n_iov);
}

static int violated(Virtq *vq, const char *why)
{
    vq->violation = why;
    return -1;
}

/* How many chains there are, not more than @max if it can be known so; -1: the index is absurd. */
static int chains_waiting(Virtq *vq, unsigned max)
{
    uint16_t n = (uint16_t)(vq->avail_seen - vq->avail);

    if (n < max) {
        uint16_t idx = le16toh(__atomic_load_n(&avail_ring(vq)->idx, __ATOMIC_ACQUIRE));

        n = (uint16_t)(idx - vq->avail);
        if (n > vq->s.size - (uint16_t)(vq->avail - vq->used_flushed)) {
            return violated(vq, "more chains than the ring has descriptors");
        }
        vq->avail_seen = idx;
    }
    return (int)MIN(n, max);
}

int virtq_split_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov, unsigned n_iov)
{
    const uint16_t *ring = avail_ring(vq)->ring, mask = (uint16_t)(vq->s.size - 1);
    struct iovec *end = iov + n_iov;
    int n = chains_waiting(vq, max), i;
    uint16_t at = vq->avail;

    if (n < 0) {
        return n;
    }
    for (i = 0; i < n; i++, chain++) {
        uint16_t head = load16(&ring[at & mask]);
        VirtqDesc d;
        uint8_t *p;

        if (G_UNLIKELY(head > mask)) {
            n = i > 0 ? i : violated(vq, "a chain that begins beyond the descriptor table");
            break; /* what came before it is fine */
        }
        d = read_desc(vq->s.desc, head);
        if (G_LIKELY(!(d.flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) && iov < end
                     && virtq_look(vq, d.addr, d.len, &p))) {
            virtq_chain_one(chain, iov++, &d, p);
        } else {
            if (virtq_split_chain(vq, head, chain, iov, (unsigned)(end - iov)) != VIRTQ_READ) {
                break;
            }
            iov += chain->n_out + chain->n_in;
        }
        chain->id = head;
        chain->n_slots = 1;
        chain->pos = at++;
    }
    vq->avail = at;
    return MIN(i, n);
}

void virtq_split_unpop(Virtq *vq, const VirtqChain *chain, unsigned n)
{
    g_assert((uint16_t)(chain[n - 1].pos + 1) == vq->avail
             && n <= (uint16_t)(vq->avail - vq->used));
    vq->avail = chain[0].pos;
}

void virtq_split_push(Virtq *vq, const VirtqChain *chain, uint32_t written)
{
    g_assert(chain->pos == vq->used && vq->used != vq->avail);
    used_ring(vq)->ring[vq->used & (vq->s.size - 1)] = (struct vring_used_elem){
        htole32(chain->id), htole32(written)
    };
    vq->used++;
}

static void dirty_used(const Virtq *vq, uint16_t from, uint16_t n)
{
    uint16_t first = from & (uint16_t)(vq->s.size - 1), before_end = (uint16_t)(vq->s.size - first);
    uint64_t ring = offsetof(struct vring_used, ring), entry = sizeof(struct vring_used_elem);

    virtq_dirty(vq, ring + first * entry, MIN(n, before_end) * entry);
    if (n > before_end) {
        virtq_dirty(vq, ring, (uint64_t)(n - before_end) * entry);
    }
    virtq_dirty(vq, offsetof(struct vring_used, idx), sizeof(uint16_t));
}

bool virtq_split_flush(Virtq *vq)
{
    uint16_t old = vq->used_flushed, n = (uint16_t)(vq->used - old);

    if (n > 0) {
        if (G_UNLIKELY(vq->track)) {
            virtq_track_publish(vq);
        }
        __atomic_store_n(&used_ring(vq)->idx, htole16(vq->used), __ATOMIC_RELEASE);
        if (G_UNLIKELY(vq->track)) {
            virtq_track_published(vq, old);
        }
        vq->used_flushed = vq->used;
        if (vq->s.log) {
            dirty_used(vq, old, n);
        }
    }
    if (!vq->told) {
        vq->told = true;
        return true;
    }
    if (n == 0) {
        return false;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (vq->event_idx) {
        return vring_need_event(load16(used_event(vq)), vq->used, old);
    }
    return !(load16(&avail_ring(vq)->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* --- notifications --- */

static void set_flags(Virtq *vq, uint16_t flags)
{
    store16(&used_ring(vq)->flags, flags);
    virtq_dirty(vq, offsetof(struct vring_used, flags), sizeof(uint16_t));
}

/* Without a look back: see virtq_arm(). */
void virtq_split_arm(Virtq *vq)
{
    if (vq->event_idx) {
        store16(avail_event(vq), vq->avail);
        virtq_dirty(vq, offsetof(struct vring_used, ring)
                    + vq->s.size * sizeof(struct vring_used_elem), sizeof(uint16_t));
    } else if (vq->disarmed) {
        set_flags(vq, 0);
    }
}

/* With avail_event nothing is to be done: the driver has passed it, or kicks once. */
void virtq_split_disarm(Virtq *vq)
{
    if (!vq->event_idx && !vq->disarmed) {
        set_flags(vq, VRING_USED_F_NO_NOTIFY);
    }
}

bool virtq_split_ready(Virtq *vq)
{
    return load16(&avail_ring(vq)->idx) != vq->avail;
}

/* --- life --- */

/* What is not given back is taken again: chains go back in order, so all of it is behind used. */
bool virtq_split_start(Virtq *vq, const char **ret_why)
{
    const VirtqSetup *s = &vq->s;
    uint16_t used;

    if (s->size == 0 || (s->size & (s->size - 1))) {
        *ret_why = "the size is no power of 2";
        return false;
    }
    if ((uintptr_t)s->desc % VRING_DESC_ALIGN_SIZE || (uintptr_t)s->driver % VRING_AVAIL_ALIGN_SIZE
        || (uintptr_t)s->device % VRING_USED_ALIGN_SIZE) {
        *ret_why = "an address is not aligned";
        return false;
    }
    used = load16(&used_ring(vq)->idx);
    vq->avail = vq->used = vq->used_flushed = vq->avail_seen = used;
    if (chains_waiting(vq, 1) < 0) {
        *ret_why = "more chains than the ring has descriptors";
        return false;
    }
    vq->disarmed = true; /* whatever is there is overwritten */
    return true;
}
