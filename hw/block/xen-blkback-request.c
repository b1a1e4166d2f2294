/*
 * From the ring to the disk. A round takes what is there and goes through it in stages, so that
 * each is one call for all of it:
 *
 *     take      slots are copied into the record, which survives us, and units found for pages
 *     look      pages of indirect requests are read, and requests judged
 *     fetch     pages are mapped (persistent grants), or what is to be written is copied
 *     submit    the disk has them; what it has done comes to xen-blkback-respond.c
 *
 * A request that lacks units stays on the ring, and all behind it, until others are answered. So
 * does what is behind a barrier, which waits for all in front of it. Both are of this ring alone:
 * rings have no order between them, and a flush covers what was answered on any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "xen-blkback-internal.h"

typedef struct Batch {
    unsigned n;
    BlkbackRequest *r[BLKBACK_BATCH];
} Batch;

/* --- take --- */

/* Segments that it may have: as many as will be judged. */
static unsigned wanted_units(const BlkbackQueue *q, const XenBlkifRequest *req)
{
    if (req->op == BLKIF_OP_INDIRECT) {
        return xen_blkif_n_pages(&q->limits, req) > 0 ? req->n_segs : 0;
    }
    return MIN(req->n_segs, XEN_BLKIF_SEGS);
}

/* The request in the record's @entry. NULL: it lacks units. */
static BlkbackRequest *read_entry(BlkbackQueue *q, uint16_t entry)
{
    BlkbackRequest *r = &q->request[entry];
    int unit = 0;

    xen_blkif_read_request(q->abi, xen_blkback_record_slot(q->record, entry), &r->req);
    r->n_units = wanted_units(q, &r->req);
    if (r->n_units > 0) {
        unit = xen_blkback_units_get(&q->pages.units, r->n_units);
    }
    if (unit < 0) {
        q->lacks_units = true;
        counter_add(&q->stats->ring.waits, 1);
        return NULL;
    }
    r->unit = (unsigned)unit;
    r->n_mapped = 0;
    r->n_copied = 0;
    r->step = 0;
    r->failed = false;
    r->status = BLKIF_RSP_OKAY;
    return r;
}

static BlkbackRequest *take_left(BlkbackQueue *q)
{
    BlkbackRequest *r = read_entry(q, q->left[q->next_left]);

    q->next_left += r != NULL;
    return r;
}

static BlkbackRequest *take_next(BlkbackQueue *q)
{
    uint16_t entry = xen_blkback_record_next(q->record);
    BlkbackRequest *r;

    g_assert(entry != UINT16_MAX); /* there are as many as slots */
    xen_ring_copy_out(xen_blkback_record_slot(q->record, entry),
                      xen_ring_entry(&q->ring, q->ring.cons), q->ring.entry_size);
    r = read_entry(q, entry);
    if (r) {
        xen_blkback_record_take(q->record, entry, q->ring.cons);
        q->ring.cons++;
    }
    return r;
}

/* False: the ring is broken. */
static bool take_batch(BlkbackQueue *q, Batch *b)
{
    int waiting = xen_ring_requests(&q->ring);
    bool barrier = false;

    b->n = 0;
    if (waiting < 0) {
        return xen_queue_violation(&q->base, "the ring's req_prod is impossible");
    }
    q->lacks_units = false;
    while (b->n < BLKBACK_BATCH && !barrier && (q->next_left < q->n_left || waiting > 0)) {
        bool left = q->next_left < q->n_left;
        BlkbackRequest *r = left ? take_left(q) : take_next(q);

        if (!r) {
            break;
        }
        waiting -= !left;
        q->n_active++;
        b->r[b->n++] = r;
        barrier = r->req.op == BLKIF_OP_WRITE_BARRIER;
    }
    return true;
}

/* --- look --- */

static void read_indirect(BlkbackQueue *q, const Batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        BlkbackRequest *r = b->r[i];

        if (r->req.op == BLKIF_OP_INDIRECT && r->n_units > 0) {
            blkback_pages_read_segs(q, r, xen_blkif_n_pages(&q->limits, &r->req));
        }
    }
    xen_blkback_copy_run(&q->copy);
}

/* Those that are refused are done. */
static void judge(BlkbackQueue *q, Batch *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->n; i++) {
        BlkbackRequest *r = b->r[i];

        if (r->failed) {
            r->work = (XenBlkifWork) { .what = XEN_BLKIF_READ };
            blkback_request_done(r, BLKIF_RSP_ERROR);
        } else if (xen_blkif_judge(&q->limits, &r->req, &q->pages.seg[r->unit],
                                   &q->pages.piece[r->unit], &r->work)) {
            b->r[n++] = r;
        } else {
            counter_add(&q->stats->ring.refused, 1);
            blkback_request_done(r, r->work.status);
        }
    }
    b->n = n;
}

/* --- fetch --- */

static void fetch(BlkbackQueue *q, const Batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        BlkbackRequest *r = b->r[i];

        if (r->work.n_pieces > 0) {
            blkback_pages_get(q, r);
        }
        if (r->n_copied > 0 && r->work.what != XEN_BLKIF_READ) {
            blkback_pages_copy(q, r, false);
        }
    }
    xen_blkback_copy_run(&q->copy);
}

/* --- submit --- */

#define END UINT8_MAX

/* What the disk does for a request, one after the other; without bytes there is no write. */
static const uint8_t steps[][4] = {
    [XEN_BLKIF_READ] = { BLOCK_READ, END },
    [XEN_BLKIF_WRITE] = { BLOCK_WRITE, END },
    [XEN_BLKIF_FLUSH] = { BLOCK_FLUSH, BLOCK_WRITE, END },
    [XEN_BLKIF_BARRIER] = { BLOCK_FLUSH, BLOCK_WRITE, BLOCK_FLUSH, END },
    [XEN_BLKIF_DISCARD] = { BLOCK_DISCARD, END },
};

/* False: there is nothing left to do. */
static bool next_step(BlkbackRequest *r, BlockOp *ret)
{
    const uint8_t *step = steps[r->work.what];

    if (step[r->step] == BLOCK_WRITE && r->work.bytes == 0) {
        return false; /* nor what comes behind it */
    }
    *ret = (BlockOp)step[r->step];
    return step[r->step++] != END;
}

static void step_done(BlockRequest *block, int res);

static void submit_step(BlkbackRequest *r, BlockOp op)
{
    BlkbackQueue *q = r->q;
    BlockRequest *block = &r->block;

    block->op = op;
    block->secure = r->work.secure;
    block->offset = r->work.offset;
    block->bytes = op == BLOCK_FLUSH ? 0 : r->work.bytes;
    block->iov = &q->pages.iov[r->unit];
    block->n_iov = op == BLOCK_READ || op == BLOCK_WRITE ? r->n_iov : 0;
    block->done = step_done;
    block_submit(&q->block, block);
}

static void step_done(BlockRequest *block, int res)
{
    BlkbackRequest *r = container_of(block, BlkbackRequest, block);
    BlockOp op;

    if (res < 0) {
        blkback_request_done(r, res == -EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR);
    } else if (next_step(r, &op)) {
        submit_step(r, op);
    } else {
        blkback_request_done(r, BLKIF_RSP_OKAY);
    }
}

static void submit(BlkbackQueue *q, const Batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        BlkbackRequest *r = b->r[i];
        BlockOp op;

        if (r->failed) {
            blkback_request_done(r, BLKIF_RSP_ERROR);
        } else if (r->work.what == XEN_BLKIF_BARRIER) {
            q->barrier = r;
        } else if (next_step(r, &op)) {
            submit_step(r, op);
        }
    }
}

static bool start_barrier(BlkbackQueue *q)
{
    BlkbackRequest *r = q->barrier;
    BlockOp op;

    if (!r || r->step > 0 || q->n_active > 1 || q->hold || !next_step(r, &op)) {
        return false;
    }
    submit_step(r, op);
    return true;
}

/* --- all of it --- */

/* Nothing is taken for now: what is under way has to end first, or whoever holds it goes on. */
static bool waits(const BlkbackQueue *q)
{
    return q->hold || q->barrier || q->lacks_units;
}

/* Ring to disk, one batch. Queue thread only. */
QueueVerdict blkback_request_poll(BlkbackQueue *q)
{
    Batch b = { .n = 0 };

    if (!q->hold && !q->barrier) {
        q->limits.sectors = block_node_bytes(q->disk->env.node) / XEN_BLKIF_SECTOR;
        if (!take_batch(q, &b)) { /* ring: each slot is copied out once */
            return QUEUE_VIOLATION;
        }
    }
    if (b.n > 0) {
        counter_add(&q->stats->ring.batches, 1);
        read_indirect(q, &b);     /* segments that have no room in a slot */
        judge(q, &b);             /* the copies are validated */
        fetch(q, &b);             /* pages that are mapped, else one batched grant copy */
        submit(q, &b);            /* the image has them */
    }
    return start_barrier(q) || b.n > 0 ? QUEUE_WORK : QUEUE_IDLE;
}

bool blkback_request_arm(BlkbackQueue *q)
{
    if (q->done) {
        return true;
    }
    return !waits(q) && (q->next_left < q->n_left || xen_ring_arm_requests(&q->ring, 0));
}
