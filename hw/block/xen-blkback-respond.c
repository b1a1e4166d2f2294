/*
 * From the disk to the ring: what was done since the last round is answered at once. What was
 * read is copied to the guest in one call, then all responses are written, published together, and
 * told by one event at most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkback-internal.h"

void blkback_request_done(BlkbackRequest *r, int16_t status)
{
    BlkbackQueue *q = r->q;

    r->status = status;
    r->next = NULL;
    *q->done_end = r;
    q->done_end = &r->next;
}

/* --- pages --- */

static void copy_to_guest(BlkbackQueue *q, BlkbackRequest *list)
{
    for (BlkbackRequest *r = list; r; r = r->next) {
        if (r->n_copied > 0 && r->status == BLKIF_RSP_OKAY && r->work.what == XEN_BLKIF_READ) {
            blkback_pages_copy(q, r, true);
        }
    }
    xen_blkback_copy_run(&q->copy);
}

/* --- counters --- */

static XenBlkbackOpStats *op_stats(XenBlkbackStats *s, XenBlkifWhat what)
{
    switch (what) {
    case XEN_BLKIF_READ:
        return &s->read;
    case XEN_BLKIF_WRITE:
        return &s->write;
    case XEN_BLKIF_DISCARD:
        return &s->discard;
    case XEN_BLKIF_FLUSH:
    case XEN_BLKIF_BARRIER:
    default:
        return &s->flush;
    }
}

static void count(BlkbackQueue *q, const BlkbackRequest *r)
{
    XenBlkbackOpStats *s = op_stats(q->stats, r->work.what);

    if (r->status != BLKIF_RSP_OKAY) {
        counter_add(&s->failed, 1);
        return;
    }
    counter_add(&s->requests, 1);
    counter_add(&s->bytes, r->work.bytes);
    counter_add(&s->segments, r->work.n_pieces);
    counter_add(&s->indirect, r->work.n_pieces > XEN_BLKIF_SEGS);
}

/* --- responses --- */

static uint16_t entry_of(const BlkbackQueue *q, const BlkbackRequest *r)
{
    return (uint16_t)(r - q->request);
}

static void respond(BlkbackQueue *q, BlkbackRequest *r)
{
    if (r->failed) {
        r->status = BLKIF_RSP_ERROR;
    }
    count(q, r);
    xen_blkif_write_response(xen_ring_entry(&q->ring, q->ring.prod), r->req.id, r->req.rsp_op,
                             r->status);
    xen_blkback_record_answer(q->record, entry_of(q, r), q->ring.prod);
    q->ring.prod++;
    if (q->barrier == r) {
        q->barrier = NULL;
    }
}

/* Disk to ring: all that was done since the last round. Queue thread only. */
bool blkback_respond(BlkbackQueue *q)
{
    BlkbackRequest *list = q->done;

    if (!list && !q->notify) {
        return false;
    }
    q->done = NULL;
    q->done_end = &q->done;
    copy_to_guest(q, list);
    for (BlkbackRequest *r = list; r; r = r->next) {
        blkback_pages_put(q, r); /* before the response can be seen: the guest has them back */
        respond(q, r);
    }
    if (xen_ring_push_responses(&q->ring) || q->notify) {
        counter_add(&q->stats->ring.events_sent, 1);
        xen_queue_notify(&q->base, 0);
        q->notify = false;
    }
    for (BlkbackRequest *r = list; r; r = r->next) {
        xen_blkback_record_forget(q->record, entry_of(q, r));
        q->n_active--;
    }
    return true;
}

void blkback_drop(BlkbackQueue *q)
{
    for (BlkbackRequest *r = q->done; r; r = r->next) {
        blkback_pages_put(q, r);
    }
    if (q->barrier && q->barrier->step == 0) {
        blkback_pages_put(q, q->barrier);
    }
    q->done = NULL;
    q->barrier = NULL;
}
