/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtq-driver.h"

#include <endian.h>
#include <linux/virtio_config.h>
#include <string.h>

#define AVAIL_BIT (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_BIT  (1u << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT  (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

/* Offsets of the parts in the ring's memory; the device's has lines of its own. */
typedef struct Layout {
    size_t driver;
    size_t device;
    size_t tables;
    size_t end;
} Layout;

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static bool has(const VirtqDriverConfig *c, unsigned feature)
{
    return c->features >> feature & 1;
}

static Layout layout_of(const VirtqDriverConfig *c)
{
    bool packed = has(c, VIRTIO_F_RING_PACKED);
    size_t size = c->size;
    Layout l = { .driver = size * sizeof(struct vring_desc) };

    l.device = round_up(l.driver + (packed ? 4 : 6 + size * sizeof(uint16_t)),
                        c->legacy ? 4096 : 64);
    l.tables = round_up(l.device + (packed ? 4 : 6 + size * sizeof(struct vring_used_elem)), 64);
    l.end = l.tables + size * c->max_indirect * sizeof(struct vring_desc);
    return l;
}

size_t virtq_driver_size(const VirtqDriverConfig *c)
{
    return round_up(layout_of(c).end, 4096);
}

VirtqDriver *virtq_driver_new(const VirtqDriverConfig *c)
{
    VirtqDriver *d = g_new0(VirtqDriver, 1);
    Layout l = layout_of(c);

    d->c = *c;
    d->packed = has(c, VIRTIO_F_RING_PACKED);
    d->event_idx = has(c, VIRTIO_RING_F_EVENT_IDX);
    d->use_indirect = c->max_indirect > 0;
    memset(c->mem, 0, l.tables);
    if (d->packed) {
        d->ring = (void *)c->mem;
        d->driver_event = (void *)(c->mem + l.driver);
        d->device_event = (void *)(c->mem + l.device);
    } else {
        d->desc = (void *)c->mem;
        d->avail = (void *)(c->mem + l.driver);
        d->used = (void *)(c->mem + l.device);
    }
    d->tables = c->mem + l.tables;
    d->avail_wrap = d->published_wrap = d->used_wrap = true;
    d->n_free = c->size;
    d->state = g_new0(VirtqDriverState, c->size);
    for (unsigned i = 0; i < c->size; i++) {
        d->state[i].next = (uint16_t)(i + 1);
    }
    return d;
}

void virtq_driver_free(VirtqDriver *d)
{
    if (d) {
        g_free(d->state);
        g_free(d);
    }
}

void virtq_driver_addresses(const VirtqDriver *d, uint64_t ret_gpa[3])
{
    Layout l = layout_of(&d->c);

    ret_gpa[0] = d->c.gpa;
    ret_gpa[1] = d->c.gpa + l.driver;
    ret_gpa[2] = d->c.gpa + l.device;
}

VirtqSetup virtq_driver_setup(const VirtqDriver *d)
{
    Layout l = layout_of(&d->c);
    uint32_t first = d->packed ? WRAP_BIT : 0;

    return (VirtqSetup){
        .size = d->c.size,
        .desc = d->c.mem,
        .driver = d->c.mem + l.driver,
        .device = d->c.mem + l.device,
        .features = d->c.features,
        .log_gpa = d->c.gpa + l.device,
        .base = first | first << 16,
    };
}

/* --- adding --- */

/* An id for @n slots. */
static uint16_t take_id(VirtqDriver *d, unsigned n)
{
    uint16_t id = d->free_id;

    d->free_id = d->state[id].next;
    d->state[id].n_slots = (uint16_t)n;
    d->n_free = (uint16_t)(d->n_free - n);
    d->n_added = (uint16_t)(d->n_added + n);
    return id;
}

/* Each slot of a split ring has a state, of a packed one each chain. */
static void release_id(VirtqDriver *d, uint16_t id)
{
    uint16_t last = id;

    for (unsigned i = 1; i < d->state[id].n_slots && !d->packed; i++) {
        last = d->state[last].next;
    }
    d->n_free = (uint16_t)(d->n_free + d->state[id].n_slots);
    d->state[id].n_slots = 0;
    d->state[last].next = d->free_id;
    d->free_id = id;
}

/* Of piece @i of @n, the first @n_out of which are to be read. */
static uint16_t piece_flags(unsigned i, unsigned n, unsigned n_out)
{
    return (i >= n_out ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0);
}

static struct vring_desc split_desc(const VirtqDriverPiece *p, uint16_t flags, uint16_t next)
{
    return (struct vring_desc){ htole64(p->gpa), htole32(p->len), htole16(flags), htole16(next) };
}

/* A chain's descriptors are linked by their states, as the free ones are. */
static uint16_t add_split(VirtqDriver *d, const VirtqDriverPiece *piece, unsigned n, unsigned n_out)
{
    uint16_t head = take_id(d, n), at = head;

    for (unsigned i = 0; i < n; i++) {
        uint16_t next = i + 1 < n ? d->state[at].next : 0;

        d->desc[at] = split_desc(&piece[i], piece_flags(i, n, n_out), next);
        if (i + 1 < n) {
            at = next;
        }
    }
    d->free_id = d->state[at].next;
    return head;
}

static uint16_t add_split_table(VirtqDriver *d, const VirtqDriverPiece *piece, unsigned n,
                                unsigned n_out)
{
    uint16_t id = take_id(d, 1);
    size_t offset = (size_t)id * d->c.max_indirect * sizeof(struct vring_desc);
    struct vring_desc *table = (void *)(d->tables + offset);
    VirtqDriverPiece all = { d->c.gpa + (uint64_t)(d->tables - d->c.mem) + offset,
                             n * (uint32_t)sizeof(struct vring_desc) };

    for (unsigned i = 0; i < n; i++) {
        table[i] = split_desc(&piece[i], piece_flags(i, n, n_out), (uint16_t)(i + 1));
    }
    d->desc[id] = split_desc(&all, VRING_DESC_F_INDIRECT, 0);
    return id;
}

static void put_packed(VirtqDriver *d, const VirtqDriverPiece *p, uint16_t id, unsigned flags)
{
    uint64_t *rest = (uint64_t *)(void *)&d->ring[d->next_avail] + 1, value;

    flags |= d->avail_wrap ? AVAIL_BIT : USED_BIT;
    value = htole64(p->len | (uint64_t)id << 32 | (uint64_t)flags << 48);
    d->ring[d->next_avail].addr = htole64(p->gpa);
    if (d->next_avail == d->published && d->avail_wrap == d->published_wrap) {
        d->first = value; /* makes all of them visible */
    } else {
        __atomic_store_n(rest, value, __ATOMIC_RELAXED);
    }
    if (++d->next_avail == d->c.size) {
        d->next_avail = 0;
        d->avail_wrap = !d->avail_wrap;
    }
}

static uint16_t add_packed(VirtqDriver *d, const VirtqDriverPiece *piece, unsigned n,
                           unsigned n_out)
{
    uint16_t id = take_id(d, n);

    for (unsigned i = 0; i < n; i++) {
        put_packed(d, &piece[i], id, piece_flags(i, n, n_out));
    }
    return id;
}

static uint16_t add_packed_table(VirtqDriver *d, const VirtqDriverPiece *piece, unsigned n,
                                 unsigned n_out)
{
    uint16_t id = take_id(d, 1);
    size_t offset = (size_t)id * d->c.max_indirect * sizeof(struct vring_packed_desc);
    struct vring_packed_desc *table = (void *)(d->tables + offset);
    VirtqDriverPiece all = { d->c.gpa + (uint64_t)(d->tables - d->c.mem) + offset,
                             n * (uint32_t)sizeof(struct vring_packed_desc) };

    for (unsigned i = 0; i < n; i++) {
        table[i] = (struct vring_packed_desc){ htole64(piece[i].gpa), htole32(piece[i].len), 0,
                                               i >= n_out ? htole16(VRING_DESC_F_WRITE) : 0 };
    }
    put_packed(d, &all, id, VRING_DESC_F_INDIRECT);
    return id;
}

int virtq_driver_add(VirtqDriver *d, const VirtqDriverPiece *piece, unsigned n_out, unsigned n_in)
{
    unsigned n = n_out + n_in;
    bool table = d->use_indirect && n > 1 && n <= d->c.max_indirect;
    uint16_t id;

    g_assert(n > 0);
    if ((table ? 1 : n) > d->n_free) {
        return -1;
    }
    if (d->packed) {
        return (table ? add_packed_table : add_packed)(d, piece, n, n_out);
    }
    id = (table ? add_split_table : add_split)(d, piece, n, n_out);
    d->avail->ring[d->next_avail++ & (d->c.size - 1)] = htole16(id);
    return id;
}

/* --- publishing --- */

static void publish_split(VirtqDriver *d)
{
    __atomic_store_n(&d->avail->idx, htole16(d->next_avail), __ATOMIC_RELEASE);
}

static void publish_packed(VirtqDriver *d)
{
    uint64_t *rest = (uint64_t *)(void *)&d->ring[d->published] + 1;

    __atomic_store_n(rest, d->first, __ATOMIC_RELEASE);
}

static bool split_wants_kick(const VirtqDriver *d, uint16_t old)
{
    const uint16_t *event = (const uint16_t *)(const void *)&d->used->ring[d->c.size];

    if (d->event_idx) {
        return vring_need_event(le16toh(__atomic_load_n(event, __ATOMIC_RELAXED)), d->next_avail,
                                old);
    }
    return !(le16toh(__atomic_load_n(&d->used->flags, __ATOMIC_RELAXED)) & VRING_USED_F_NO_NOTIFY);
}

static bool packed_wants_kick(const VirtqDriver *d, uint16_t n)
{
    const uint32_t *p = (const uint32_t *)(const void *)d->device_event;
    uint32_t event = le32toh(__atomic_load_n(p, __ATOMIC_RELAXED));
    unsigned flags = event >> 16, offset = event & (WRAP_BIT - 1);

    if (flags != VRING_PACKED_EVENT_FLAG_DESC) {
        return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
    }
    g_assert(d->event_idx);
    if (((event & WRAP_BIT) != 0) != d->avail_wrap) {
        offset -= d->c.size;
    }
    return vring_need_event((uint16_t)offset, d->next_avail, (uint16_t)(d->next_avail - n));
}

bool virtq_driver_publish(VirtqDriver *d)
{
    uint16_t old = d->published, n = d->n_added;

    if (n == 0) {
        return false;
    }
    (d->packed ? publish_packed : publish_split)(d);
    d->published = d->next_avail;
    d->published_wrap = d->avail_wrap;
    d->n_added = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with that of virtq_arm() */
    return d->packed ? packed_wants_kick(d, n) : split_wants_kick(d, old);
}

/* --- what comes back --- */

static bool split_used(const VirtqDriver *d)
{
    return le16toh(__atomic_load_n(&d->used->idx, __ATOMIC_ACQUIRE)) != d->next_used;
}

static uint64_t packed_rest(const VirtqDriver *d)
{
    const uint64_t *rest = (const uint64_t *)(const void *)&d->ring[d->next_used] + 1;

    return le64toh(__atomic_load_n(rest, __ATOMIC_ACQUIRE));
}

static bool packed_used(const VirtqDriver *d, uint64_t rest)
{
    unsigned bits = rest >> 48 & (AVAIL_BIT | USED_BIT);

    return bits == (d->used_wrap ? AVAIL_BIT | USED_BIT : 0);
}

static bool get_split(VirtqDriver *d, uint32_t *ret_id, uint32_t *ret_len)
{
    const struct vring_used_elem *e = &d->used->ring[d->next_used & (d->c.size - 1)];

    if (!split_used(d)) {
        return false;
    }
    *ret_id = le32toh(e->id);
    *ret_len = le32toh(e->len);
    d->next_used++;
    return true;
}

static bool get_packed(VirtqDriver *d, uint32_t *ret_id, uint32_t *ret_len)
{
    uint64_t rest = packed_rest(d);

    if (!packed_used(d, rest)) {
        return false;
    }
    *ret_id = rest >> 32 & UINT16_MAX;
    *ret_len = (uint32_t)rest;
    g_assert_cmpuint(*ret_id, <, d->c.size);
    d->next_used = (uint16_t)(d->next_used + d->state[*ret_id].n_slots);
    if (d->next_used >= d->c.size) {
        d->next_used = (uint16_t)(d->next_used - d->c.size);
        d->used_wrap = !d->used_wrap;
    }
    return true;
}

bool virtq_driver_get(VirtqDriver *d, uint16_t *ret_id, uint32_t *ret_len)
{
    uint32_t id;

    if (!(d->packed ? get_packed : get_split)(d, &id, ret_len)) {
        return false;
    }
    g_assert_cmpuint(id, <, d->c.size);
    g_assert_cmpuint(d->state[id].n_slots, >, 0);
    release_id(d, (uint16_t)id);
    *ret_id = (uint16_t)id;
    return true;
}

/* --- calls --- */

static void ask_packed(VirtqDriver *d, uint32_t place, uint32_t flags)
{
    __atomic_store_n((uint32_t *)(void *)d->driver_event, htole32(place | flags << 16),
                     __ATOMIC_RELAXED);
}

bool virtq_driver_arm(VirtqDriver *d)
{
    if (d->packed && d->event_idx) {
        ask_packed(d, d->next_used | (d->used_wrap ? WRAP_BIT : 0), VRING_PACKED_EVENT_FLAG_DESC);
    } else if (d->packed) {
        ask_packed(d, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
    } else if (d->event_idx) {
        __atomic_store_n(&d->avail->ring[d->c.size], htole16(d->next_used), __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&d->avail->flags, 0, __ATOMIC_RELAXED);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with that of virtq_flush() */
    return d->packed ? packed_used(d, packed_rest(d)) : split_used(d);
}

void virtq_driver_disarm(VirtqDriver *d)
{
    if (d->packed) {
        ask_packed(d, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
    } else if (!d->event_idx) {
        __atomic_store_n(&d->avail->flags, htole16(VRING_AVAIL_F_NO_INTERRUPT), __ATOMIC_RELAXED);
    }
}
