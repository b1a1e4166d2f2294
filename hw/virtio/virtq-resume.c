/*
 * The inflight region of a ring that starts: new, or what a former process left of it. What it
 * had popped comes again, in the order in which it had, but what it had done comes as such.
 *
 * The VMM can have written anything there. Each field is read once, into memory of our own; a list
 * has at most as many steps as the ring has descriptors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "virtq-track.h"

#define GET(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

static int by_counter(const void *a, const void *b)
{
    uint64_t x = ((const ResumedChain *)a)->counter, y = ((const ResumedChain *)b)->counter;

    return x < y ? -1 : x > y;
}

/* The @done of a chain counts if all before it are done. */
static void sort_resumed(VirtqTrack *t)
{
    bool done = true;

    qsort(t->resumed, t->n_resumed, sizeof(t->resumed[0]), by_counter);
    for (unsigned i = 0; i < t->n_resumed; i++) {
        done = done && t->resumed[i].done;
        t->resumed[i].done = done;
        t->counter = t->resumed[i].counter + 1;
    }
}

static bool known_version(uint16_t version, const char **ret_why)
{
    if (version > VIRTQ_INFLIGHT_VERSION) {
        *ret_why = "an inflight region of another version";
        return false;
    }
    return true;
}

/* --- split --- */

/* The last batch is visible, but its chains may not have been marked so. */
static bool split_finish_batch(VirtqInflightSplit *s, uint16_t size, uint16_t used_idx)
{
    uint16_t n = (uint16_t)(used_idx - GET(s->used_idx)), at = GET(s->last_batch_head);

    if (n > size) {
        return false;
    }
    for (; n > 0; n--) {
        if (at >= size) {
            return false;
        }
        TRACK_PUT(s->desc[at].inflight, 0);
        at = GET(s->desc[at].next);
    }
    TRACK_PUT(s->used_idx, used_idx);
    return true;
}

static uint32_t split_written(const Virtq *vq, uint16_t place, uint16_t head)
{
    const struct vring_used *used = vq->s.device;
    const vring_used_elem_t *e = &used->ring[track_offset(vq, place)];
    uint32_t id = le32toh(GET(e->id)), len = le32toh(GET(e->len));

    return id == head ? len : 0;
}

static void split_collect(Virtq *vq)
{
    VirtqTrack *t = vq->track;

    for (unsigned i = 0; i < vq->s.size; i++) {
        VirtqInflightSplitDesc *d = &t->split->desc[i];
        uint64_t counter = GET(d->counter);

        if (GET(d->inflight)) {
            t->resumed[t->n_resumed++] = (ResumedChain){
                .counter = counter, .entry = (uint16_t)i, .n_slots = 1,
                .done = GET(d->done) == track_mark(counter),
            };
        }
    }
    sort_resumed(t);
    for (unsigned i = 0; i < t->n_resumed; i++) {
        t->resumed[i].written = split_written(vq, (uint16_t)(vq->used + i), t->resumed[i].entry);
    }
}

static bool split_start(Virtq *vq, const char **ret_why)
{
    VirtqInflightSplit *s = vq->track->split;
    uint16_t version = GET(s->version);

    if (!known_version(version, ret_why)) {
        return false;
    }
    if (version == 0) {
        s->desc_num = vq->s.size;
        s->used_idx = vq->used;
        TRACK_PUT(s->version, VIRTQ_INFLIGHT_VERSION);
    }
    if (GET(s->desc_num) < vq->s.size || !split_finish_batch(s, vq->s.size, vq->used)) {
        *ret_why = "an inflight region that makes no sense";
        return false;
    }
    vq->track->last_batch_head = GET(s->last_batch_head);
    split_collect(vq);
    if ((uint16_t)(vq->avail_seen - vq->used) < vq->track->n_resumed) {
        *ret_why = "more chains are under way than the driver added";
        return false;
    }
    return true;
}

/* --- packed --- */

static void packed_format(const Virtq *vq, VirtqInflightPacked *p)
{
    uint16_t offset = (uint16_t)packed_offset(vq->used);
    uint8_t wrap = (vq->used & PACKED_WRAP) != 0;

    p->desc_num = vq->s.size;
    p->used_idx = p->old_used_idx = offset;
    p->used_wrap_counter = p->old_used_wrap_counter = wrap;
    for (unsigned i = 0; i < vq->s.size; i++) {
        p->desc[i].next = (uint16_t)(i + 1);
    }
    TRACK_PUT(p->version, VIRTQ_INFLIGHT_VERSION);
}

/* A batch that was being published: either it is visible by now, or it never was. */
static bool packed_finish_batch(Virtq *vq)
{
    VirtqInflightPacked *p = vq->track->packed;
    uint16_t old = GET(p->old_used_idx), new = GET(p->used_idx);
    uint16_t free_head = GET(p->old_free_head);

    if (old >= vq->s.size || new >= vq->s.size) {
        return false;
    }
    old |= GET(p->old_used_wrap_counter) & 1 ? PACKED_WRAP : 0;
    new |= GET(p->used_wrap_counter) & 1 ? PACKED_WRAP : 0;
    if (old != new && !packed_is_available(packed_load_rest(vq, old), old)) {
        old = new;
        free_head = GET(p->free_head);
    }
    TRACK_PUT(p->old_free_head, free_head);
    TRACK_PUT(p->old_used_idx, (uint16_t)packed_offset(old));
    TRACK_PUT(p->old_used_wrap_counter, (old & PACKED_WRAP) != 0);
    TRACK_PUT(p->free_head, free_head);
    TRACK_PUT(p->used_idx, (uint16_t)packed_offset(old));
    TRACK_PUT(p->used_wrap_counter, (old & PACKED_WRAP) != 0);
    vq->track->free_head = free_head;
    vq->avail = vq->used = vq->used_flushed = old;
    return true;
}

/* What is free is not under way. The list ends beyond the last entry, or where it has been. */
static void packed_sweep(const Virtq *vq)
{
    VirtqInflightPacked *p = vq->track->packed;
    bool *seen = vq->track->taken;
    uint16_t at = vq->track->free_head;

    while (at < vq->s.size && !seen[at]) {
        seen[at] = true;
        TRACK_PUT(p->desc[at].inflight, 0);
        at = GET(p->desc[at].next);
    }
    memset(seen, 0, vq->s.size);
}

/* Copies a chain's descriptors behind those of the chains before it; each entry is in one. */
static bool packed_take(VirtqTrack *t, unsigned size, ResumedChain *c, unsigned *n)
{
    uint16_t at = c->entry;

    c->desc = &t->desc[*n];
    for (unsigned i = 0; i < c->n_slots; i++) {
        const VirtqInflightPackedDesc *e;

        if (at >= size || t->taken[at]) {
            return false;
        }
        e = &t->packed->desc[at];
        t->taken[at] = true;
        if (i > 0) {
            t->next[c->last] = at; /* as they will be free again */
        }
        t->desc[(*n)++] = (VirtqDesc){ GET(e->addr), GET(e->len), GET(e->flags), GET(e->id) };
        c->last = at;
        at = GET(e->next);
    }
    return c->n_slots > 0;
}

static bool packed_collect(Virtq *vq)
{
    VirtqTrack *t = vq->track;
    uint16_t place = vq->used;
    unsigned n = 0;

    for (unsigned i = 0; i < vq->s.size; i++) {
        const VirtqInflightPackedDesc *e = &t->packed->desc[i];
        uint64_t counter = GET(e->counter);

        if (GET(e->inflight)) {
            t->resumed[t->n_resumed++] = (ResumedChain){
                .counter = counter, .entry = (uint16_t)i, .n_slots = GET(e->num),
                .done = GET(e->done) == track_mark(counter),
            };
        }
    }
    sort_resumed(t);
    for (unsigned i = 0; i < t->n_resumed; i++) {
        ResumedChain *c = &t->resumed[i];
        uint64_t rest = packed_load_rest(vq, place);

        if (!packed_take(t, vq->s.size, c, &n)) {
            return false;
        }
        c->written = (rest >> 32 & UINT16_MAX) == c->desc[c->n_slots - 1].next ? (uint32_t)rest : 0;
        place = packed_advance(vq, place, c->n_slots);
    }
    return true;
}

/* Whatever the list was, what no chain has is free. */
static void packed_link_free(VirtqTrack *t, uint16_t size)
{
    uint16_t next = size;

    for (unsigned i = size; i > 0; i--) {
        if (!t->taken[i - 1]) {
            t->next[i - 1] = next;
            TRACK_PUT(t->packed->desc[i - 1].next, next);
            next = (uint16_t)(i - 1);
        }
    }
    t->free_head = next;
    TRACK_PUT(t->packed->old_free_head, next);
    TRACK_PUT(t->packed->free_head, next);
}

static bool packed_start(Virtq *vq, const char **ret_why)
{
    VirtqInflightPacked *p = vq->track->packed;
    uint16_t version = GET(p->version);

    if (!known_version(version, ret_why)) {
        return false;
    }
    if (version == 0) {
        packed_format(vq, p);
    }
    if (GET(p->desc_num) == vq->s.size && packed_finish_batch(vq)) {
        packed_sweep(vq);
        if (packed_collect(vq)) {
            packed_link_free(vq->track, vq->s.size);
            return true;
        }
    }
    *ret_why = "an inflight region that makes no sense";
    return false;
}

/* --- life --- */

/* NULL: no memory. */
static VirtqTrack *track_new(const Virtq *vq)
{
    VirtqTrack *t = g_new0(VirtqTrack, 1);
    size_t n = vq->s.size;

    t->chain = g_try_new0(TrackedChain, n);
    t->resumed = g_try_new0(ResumedChain, n);
    if (vq->packed) {
        t->packed = vq->s.inflight;
        t->next = g_try_new0(uint16_t, n);
        t->taken = g_try_new0(bool, n);
        t->desc = g_try_new0(VirtqDesc, n);
    } else {
        t->split = vq->s.inflight;
    }
    if (!t->chain || !t->resumed || (vq->packed && (!t->next || !t->taken || !t->desc))) {
        virtq_track_free(t);
        return NULL;
    }
    return t;
}

bool virtq_resume_start(Virtq *vq, const char **ret_why)
{
    if ((uintptr_t)vq->s.inflight % sizeof(uint64_t)) {
        *ret_why = "an inflight region that is not aligned";
        return false;
    }
    vq->track = track_new(vq);
    if (!vq->track) {
        *ret_why = "no memory for what is under way";
        return false;
    }
    if (!(vq->packed ? packed_start : split_start)(vq, ret_why)) {
        virtq_track_free(vq->track);
        vq->track = NULL;
        return false;
    }
    return true;
}

/* --- chains that come again --- */

const char virtq_done_before[] = "done before";

static VirtqRead read_done(Virtq *vq, VirtqChain *chain, const ResumedChain *c, struct iovec *iov)
{
    VirtqWalk w;

    virtq_walk_begin(&w, vq, chain, iov, 0);
    chain->bad = virtq_done_before;
    chain->in_len = c->written;
    return VIRTQ_READ;
}

static VirtqRead read_packed(Virtq *vq, VirtqChain *chain, const ResumedChain *c,
                             struct iovec *iov, unsigned n_iov)
{
    VirtqWalk w;

    virtq_walk_begin(&w, vq, chain, iov, n_iov);
    for (unsigned i = 0; i < c->n_slots; i++) {
        virtq_packed_add(&w, &c->desc[i], i == 0);
    }
    return virtq_walk_end(&w);
}

static VirtqRead read_resumed(Virtq *vq, VirtqChain *chain, const ResumedChain *c,
                              struct iovec *iov, unsigned n_iov)
{
    if (c->done) {
        return read_done(vq, chain, c, iov);
    }
    return vq->packed ? read_packed(vq, chain, c, iov, n_iov)
                      : virtq_split_chain(vq, c->entry, chain, iov, n_iov);
}

int virtq_resume_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                     unsigned n_iov)
{
    struct iovec *end = iov + n_iov;
    VirtqTrack *t = vq->track;
    unsigned n;

    for (n = 0; n < max && t->n_handed < t->n_resumed; n++, chain++) {
        const ResumedChain *c = &t->resumed[t->n_handed];

        if (read_resumed(vq, chain, c, iov, (unsigned)(end - iov)) != VIRTQ_READ) {
            break;
        }
        chain->id = vq->packed ? c->desc[c->n_slots - 1].next : c->entry;
        chain->n_slots = c->n_slots;
        chain->pos = vq->avail;
        t->chain[track_offset(vq, vq->avail)] = (TrackedChain){
            .entry = c->entry, .last = c->last, .n_slots = c->n_slots,
            .mark = track_mark(c->counter), .resumed = true,
        };
        t->n_handed++;
        vq->avail = track_advance(vq, vq->avail, c->n_slots);
        vq->in_flight = (uint16_t)(vq->in_flight + c->n_slots);
        iov += chain->n_out + chain->n_in;
    }
    return (int)n;
}
