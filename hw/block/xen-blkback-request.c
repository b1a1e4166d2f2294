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

static XenBlkifSeg *request_segs(const BlkbackQueue *q, const BlkbackRequest *r)
{
    /* of a copy, the room for the data will do: it is larger, and comes later */
    return q->grants ? &q->pages.seg[r->unit]
                     : (XenBlkifSeg *)(void *)(q->pages.buffer + (size_t)r->unit * XEN_PAGE_SIZE);
}

static void read_mapped_segs(BlkbackQueue *q, BlkbackRequest *r, unsigned n_pages)
{
    XenBlkbackGrant grant[XEN_BLKIF_PAGES];
    uint64_t now = io_clock_ns();

    for (unsigned i = 0; i < n_pages; i++) {
        grant[i] = (XenBlkbackGrant) { .ref = r->req.page[i] };
    }
    if (!xen_blkback_grants_get(q->grants, grant, n_pages, now)) {
        r->failed = true;
        return;
    }
    for (unsigned i = 0; i < n_pages; i++) {
        xen_blkif_read_indirect(grant[i].page, xen_blkif_page_segs(&r->req, i),
                                request_segs(q, r) + i * XEN_BLKIF_SEGS_OF_PAGE);
    }
    xen_blkback_grants_put(q->grants, grant, n_pages, now);
}

static void read_indirect(BlkbackQueue *q, const Batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        BlkbackRequest *r = b->r[i];
        unsigned n_pages = r->n_units > 0 ? xen_blkif_n_pages(&q->limits, &r->req) : 0;

        if (n_pages > 0 && q->grants) {
            read_mapped_segs(q, r, n_pages);
        } else if (n_pages > 0) {
            xen_blkback_copy_add_segs(&q->copy, &r->req, n_pages, request_segs(q, r),
                                      &r->failed);
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
        } else if (xen_blkif_judge(&q->limits, &r->req, request_segs(q, r),
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

static void map_pages(BlkbackQueue *q, BlkbackRequest *r)
{
    XenBlkbackGrant *grant = &q->pages.grant[r->unit];
    const XenBlkifPiece *piece = &q->pages.piece[r->unit];
    struct iovec *iov = &q->pages.iov[r->unit];
    unsigned n = r->work.n_pieces;

    for (unsigned i = 0; i < n; i++) {
        grant[i].ref = piece[i].gref;
    }
    if (!xen_blkback_grants_get(q->grants, grant, n, io_clock_ns())) {
        r->failed = true;
        return;
    }
    r->n_mapped = n;
    for (unsigned i = 0; i < n; i++) {
        iov[i].iov_base = (uint8_t *)grant[i].page + piece[i].offset;
        iov[i].iov_len = piece[i].len;
    }
    counter_add(&q->stats->ring.mapped, n);
}

static void copy_pages(BlkbackQueue *q, BlkbackRequest *r)
{
    uint8_t *buffer = q->pages.buffer + (size_t)r->unit * XEN_PAGE_SIZE;

    q->pages.iov[r->unit] = (struct iovec) { buffer, r->work.bytes };
    if (r->work.what != XEN_BLKIF_READ) {
        xen_blkback_copy_add(&q->copy, false, &q->pages.piece[r->unit], r->work.n_pieces, buffer,
                             &r->failed);
        counter_add(&q->stats->ring.copied, r->work.n_pieces);
    }
}

static void fetch(BlkbackQueue *q, const Batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        BlkbackRequest *r = b->r[i];

        if (r->work.n_pieces > 0 && q->grants) {
            map_pages(q, r);
        } else if (r->work.n_pieces > 0) {
            copy_pages(q, r);
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
    block->n_iov = 0;
    if (op == BLOCK_READ || op == BLOCK_WRITE) {
        block->n_iov = q->grants ? r->work.n_pieces : 1;
    }
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

QueueVerdict blkback_request_poll(BlkbackQueue *q)
{
    Batch b = { .n = 0 };

    if (!q->hold && !q->barrier) {
        q->limits.sectors = block_node_bytes(q->disk->env.node) / XEN_BLKIF_SECTOR;
        if (!take_batch(q, &b)) {
            return QUEUE_VIOLATION;
        }
    }
    if (b.n > 0) {
        counter_add(&q->stats->ring.batches, 1);
        read_indirect(q, &b);
        judge(q, &b);
        fetch(q, &b);
        submit(q, &b);
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
