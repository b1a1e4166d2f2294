/*
 * The inflight region of a ring that runs: the steps of vhost-user's document, in its order, so
 * that whoever finds the region after a kill, in the middle of any of them, knows what to do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtq-track.h"

static TrackedChain *tracked(const Virtq *vq, uint16_t place)
{
    return &vq->track->chain[track_offset(vq, place)];
}

/* --- chains come --- */

static void split_popped(VirtqTrack *t, uint16_t head)
{
    VirtqInflightSplitDesc *d = &t->split->desc[head];

    TRACK_PUT(d->done, 0);
    TRACK_PUT(d->counter, t->counter);
    TRACK_PUT(d->inflight, 1);
}

/* Copies the chain's descriptors to the first free entries, of which there is one a slot. */
static void packed_popped(const Virtq *vq, TrackedChain *c, uint16_t place)
{
    VirtqTrack *t = vq->track;
    VirtqInflightPackedDesc *head = &t->packed->desc[t->free_head];

    c->entry = t->free_head;
    for (unsigned i = 0; i < c->n_slots; i++, place = packed_advance(vq, place, 1)) {
        VirtqInflightPackedDesc *e = &t->packed->desc[t->free_head];
        VirtqDesc d = packed_make(packed_desc(vq, place), packed_load_rest(vq, place));

        e->addr = d.addr;
        e->len = d.len;
        e->flags = d.flags;
        e->id = d.next;
        c->last = t->free_head;
        t->free_head = t->next[t->free_head];
    }
    head->last = c->last;
    head->num = c->n_slots;
    TRACK_PUT(head->done, 0);
    TRACK_PUT(head->counter, t->counter);
    TRACK_PUT(head->inflight, 1);
    TRACK_PUT(t->packed->free_head, t->free_head);
    TRACK_PUT(t->packed->old_free_head, t->free_head);
}

void virtq_track_popped(Virtq *vq, const VirtqChain *chain, unsigned n)
{
    VirtqTrack *t = vq->track;

    for (unsigned i = 0; i < n; i++, t->counter++) {
        TrackedChain *c = tracked(vq, chain[i].pos);

        *c = (TrackedChain){ .entry = chain[i].id, .n_slots = chain[i].n_slots,
                             .mark = track_mark(t->counter) };
        if (vq->packed) {
            packed_popped(vq, c, chain[i].pos);
        } else {
            split_popped(t, c->entry);
        }
    }
}

/* --- and go again --- */

/* The entries of @c are the first free ones. */
static void packed_release(VirtqTrack *t, const TrackedChain *c)
{
    t->next[c->last] = t->free_head;
    TRACK_PUT(t->packed->desc[c->last].next, t->free_head);
    t->free_head = c->entry;
    TRACK_PUT(t->packed->free_head, c->entry);
}

/* @c is the driver's again as if it had never been popped. */
static void forget(VirtqTrack *t, const TrackedChain *c)
{
    if (t->packed) {
        packed_release(t, c);
        TRACK_PUT(t->packed->old_free_head, t->free_head);
        TRACK_PUT(t->packed->desc[c->entry].inflight, 0);
    } else {
        TRACK_PUT(t->split->desc[c->entry].inflight, 0);
    }
}

void virtq_track_unpop(Virtq *vq, const VirtqChain *chain, unsigned n)
{
    for (unsigned i = n; i > 0; i--) {
        TrackedChain *c = tracked(vq, chain[i - 1].pos);

        if (c->resumed) {
            vq->track->n_handed--; /* and is still under way */
        } else {
            g_assert(!c->done);
            forget(vq->track, c);
        }
    }
}

/* How much was written is where the driver will look for it, which it does not do yet. */
void virtq_track_done(Virtq *vq, const VirtqChain *chain, uint32_t written)
{
    TrackedChain *c = tracked(vq, chain->pos);
    VirtqTrack *t = vq->track;

    if (vq->packed) {
        uint64_t rest = packed_load_rest(vq, chain->pos) & (uint64_t)UINT16_MAX << 48;

        rest |= written | (uint64_t)chain->id << 32;
        TRACK_PUT(packed_desc(vq, chain->pos)[1], htole64(rest));
        TRACK_PUT(t->packed->desc[c->entry].done, c->mark);
    } else {
        struct vring_used *used = vq->s.device;

        used->ring[track_offset(vq, chain->pos)] = (struct vring_used_elem){
            htole32(chain->id), htole32(written)
        };
        TRACK_PUT(t->split->desc[c->entry].done, c->mark);
    }
    c->done = true;
}

void virtq_track_publish(Virtq *vq)
{
    VirtqTrack *t = vq->track;
    const TrackedChain *c;

    for (uint16_t at = vq->used_flushed; at != vq->used; at = track_advance(vq, at, c->n_slots)) {
        c = tracked(vq, at);
        if (t->packed) {
            packed_release(t, c);
        } else {
            TRACK_PUT(t->split->desc[c->entry].next, t->last_batch_head);
            t->last_batch_head = c->entry;
            TRACK_PUT(t->split->last_batch_head, c->entry);
        }
    }
    if (t->packed) {
        TRACK_PUT(t->packed->used_idx, (uint16_t)packed_offset(vq->used));
        TRACK_PUT(t->packed->used_wrap_counter, (vq->used & PACKED_WRAP) != 0);
    }
}

void virtq_track_published(Virtq *vq, uint16_t from)
{
    VirtqTrack *t = vq->track;
    const TrackedChain *c;

    for (uint16_t at = from; at != vq->used; at = track_advance(vq, at, c->n_slots)) {
        c = tracked(vq, at);
        if (t->packed) {
            TRACK_PUT(t->packed->desc[c->entry].inflight, 0);
        } else {
            TRACK_PUT(t->split->desc[c->entry].inflight, 0);
        }
    }
    if (t->packed) {
        TRACK_PUT(t->packed->old_free_head, t->free_head);
        TRACK_PUT(t->packed->old_used_idx, (uint16_t)packed_offset(vq->used));
        TRACK_PUT(t->packed->old_used_wrap_counter, (vq->used & PACKED_WRAP) != 0);
    } else {
        TRACK_PUT(t->split->used_idx, vq->used);
    }
}

void virtq_track_stop(Virtq *vq)
{
    const TrackedChain *c;

    for (uint16_t at = vq->used; at != vq->avail; at = track_advance(vq, at, c->n_slots)) {
        c = tracked(vq, at);
        if (!c->done && !c->resumed) {
            forget(vq->track, c);
        }
    }
    virtq_track_free(vq->track);
    vq->track = NULL;
}

void virtq_track_free(VirtqTrack *t)
{
    if (t) {
        g_free(t->next);
        g_free(t->chain);
        g_free(t->resumed);
        g_free(t->desc);
        g_free(t->taken);
        g_free(t);
    }
}
