/*
 * Blkfront's ring: requests are put, responses taken.
 *
 * Data goes through the pool's pages, which are granted as long as the connection lasts: so a
 * backend may keep them mapped (feature-persistent), and one that maps or copies for each request
 * finds no difference. It is copied to a page before the request is put, and from it when it was
 * answered; what lies in a page meanwhile may change at any moment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkfront-internal.h"

#include <errno.h>
#include <string.h>

#define INDEX_BITS 16 /* of an id: the slot's number. Above it, that of the request */

/* --- data --- */

/* A place in a request's memory. */
typedef struct IovAt {
    const struct iovec *iov;
    size_t offset;
} IovAt;

static IovAt iov_seek(const XenBlkfrontRequest *req, uint64_t pos)
{
    IovAt at = { req->iov, 0 };

    while (pos >= at.iov->iov_len) {
        pos -= at.iov->iov_len;
        at.iov++;
    }
    at.offset = pos;
    return at;
}

/* @n bytes between @page and what is at @at, which moves on; there are as many. */
static void iov_copy(IovAt *at, uint8_t *page, size_t n, bool to_page)
{
    while (n > 0) {
        size_t here = MIN(n, at->iov->iov_len - at->offset);
        uint8_t *mem = (uint8_t *)at->iov->iov_base + at->offset;

        if (to_page) {
            memcpy(page, mem, here);
        } else {
            memcpy(mem, page, here);
        }
        page += here;
        n -= here;
        at->offset += here;
        if (at->offset == at->iov->iov_len && n > 0) {
            at->iov++;
            at->offset = 0;
        }
    }
}

static uint8_t *pool_page(const BlkfrontQueue *q, uint32_t page)
{
    return q->pool + (size_t)page * XEN_RING_PAGE_SIZE;
}

static void slot_copy(BlkfrontQueue *q, const BlkfrontSlot *slot, bool to_page)
{
    uint64_t left = slot->part.left;
    IovAt at;

    if (slot->part.req->n_iov == 0 || left == 0) {
        return;
    }
    at = iov_seek(slot->part.req, slot->part.pos);
    for (unsigned i = 0; i < slot->n_segs; i++) {
        size_t here = MIN(left, XEN_RING_PAGE_SIZE);

        iov_copy(&at, pool_page(q, slot->page[i]), here, to_page);
        left -= here;
    }
}

/* --- what is asked for --- */

static bool is_whole(const XenBlkfrontRequest *req)
{
    return req->op == BLOCK_FLUSH || (req->op == BLOCK_WRITE && req->barrier);
}

static bool is_valid(const XenBlkfrontRequest *req)
{
    uint64_t sum = 0;

    if (req->op > BLOCK_DISCARD || (req->offset | req->bytes) % XEN_BLKIF_SECTOR != 0) {
        return false;
    }
    if (is_whole(req) ? req->bytes > XEN_BLKFRONT_WHOLE : req->bytes == 0) {
        return false;
    }
    for (unsigned i = 0; i < req->n_iov; i++) {
        sum += req->iov[i].iov_len;
    }
    return req->op == BLOCK_DISCARD || req->n_iov == 0 || sum == req->bytes;
}

/* How it is put to this backend: an operation. -errno: not at all. */
static int choose_op(const XenBlkfrontInfo *d, const XenBlkfrontRequest *req)
{
    switch (req->op) {
    case BLOCK_READ:
        return BLKIF_OP_READ;
    case BLOCK_WRITE:
        return !req->barrier ? BLKIF_OP_WRITE : d->barrier ? BLKIF_OP_WRITE_BARRIER : -EOPNOTSUPP;
    case BLOCK_FLUSH: /* as Linux: rather a flush; neither of them says that nothing is cached */
        return d->flush ? BLKIF_OP_FLUSH_DISKCACHE
               : d->barrier ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_WRITE;
    case BLOCK_DISCARD:
        return d->discard && (!req->secure || d->discard_secure) ? BLKIF_OP_DISCARD : -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

/* --- put --- */

static unsigned indirect_pages(unsigned n_segs)
{
    return n_segs > XEN_BLKIF_SEGS
           ? (n_segs + XEN_BLKIF_SEGS_OF_PAGE - 1) / XEN_BLKIF_SEGS_OF_PAGE : 0;
}

/* For the first of @cur's bytes: as many as one request may have. NULL: there is no room now. */
static BlkfrontSlot *slot_new(BlkfrontQueue *q, const BlkfrontPart *cur, uint8_t op)
{
    unsigned max = op == BLKIF_OP_READ || op == BLKIF_OP_WRITE ? q->bf->disk.max_segs
                                                               : XEN_BLKIF_SEGS;
    uint64_t bytes = op == BLKIF_OP_DISCARD
                     ? cur->left : MIN(cur->left, (uint64_t)max * XEN_RING_PAGE_SIZE);
    unsigned n_segs = op == BLKIF_OP_DISCARD
                      ? 0 : (unsigned)((bytes + XEN_RING_PAGE_SIZE - 1) / XEN_RING_PAGE_SIZE);
    unsigned n_pages = n_segs + indirect_pages(n_segs);
    BlkfrontSlot *slot;

    if (q->n_free_slots == 0 || q->n_free_pages < n_pages) {
        return NULL;
    }
    slot = &q->slot[q->free_slots[--q->n_free_slots]];
    slot->part = *cur;
    slot->part.left = bytes;
    slot->part.id = q->seq++ << INDEX_BITS | (uint64_t)(slot - q->slot);
    slot->rsp_op = op;
    slot->n_segs = (uint16_t)n_segs;
    slot->n_pages = (uint16_t)n_pages;
    for (unsigned i = 0; i < n_pages; i++) {
        slot->page[i] = q->free_pages[--q->n_free_pages];
    }
    return slot;
}

static void slot_free(BlkfrontQueue *q, BlkfrontSlot *slot)
{
    for (unsigned i = slot->n_pages; i > 0; i--) {
        q->free_pages[q->n_free_pages++] = slot->page[i - 1];
    }
    slot->part.req = NULL;
    q->free_slots[q->n_free_slots++] = (uint16_t)(slot - q->slot);
}

/* Each page from its beginning; the last one may be less than full. */
static void slot_segs(const BlkfrontQueue *q, const BlkfrontSlot *slot, XenBlkifSeg *ret)
{
    uint64_t left = slot->part.left;

    for (unsigned i = 0; i < slot->n_segs; i++) {
        uint64_t here = MIN(left, XEN_RING_PAGE_SIZE);

        ret[i] = (XenBlkifSeg) {
            .gref = q->pool_refs[slot->page[i]],
            .last = (uint8_t)(here / XEN_BLKIF_SECTOR - 1),
        };
        left -= here;
    }
}

static void slot_indirect(BlkfrontQueue *q, const BlkfrontSlot *slot, XenBlkifRequest *r)
{
    slot_segs(q, slot, q->segs);
    r->sub = r->op;
    r->op = BLKIF_OP_INDIRECT;
    for (unsigned i = 0; i < indirect_pages(slot->n_segs); i++) {
        uint32_t page = slot->page[slot->n_segs + i];

        r->page[i] = q->pool_refs[page];
        xen_blkif_write_indirect(&q->segs[i * XEN_BLKIF_SEGS_OF_PAGE], xen_blkif_page_segs(r, i),
                                 pool_page(q, page));
    }
    counter_add(&slot->lane->stats.indirect, 1);
}

static void slot_put(BlkfrontQueue *q, BlkfrontSlot *slot)
{
    const XenBlkfrontRequest *req = slot->part.req;
    XenBlkifRequest r = {
        .id = slot->part.id,
        .sector = (req->offset + slot->part.pos) / XEN_BLKIF_SECTOR,
        .op = slot->rsp_op,
        .n_segs = slot->n_segs,
    };
    _Alignas(uint64_t) uint8_t copy[sizeof(blkif_request_t)];

    if (r.op == BLKIF_OP_DISCARD) {
        r.n_sectors = slot->part.left / XEN_BLKIF_SECTOR;
        r.sub = req->secure ? BLKIF_DISCARD_SECURE : 0;
    } else if (r.n_segs > XEN_BLKIF_SEGS) {
        slot_indirect(q, slot, &r);
    } else {
        slot_segs(q, slot, r.seg);
    }
    if (req->op != BLOCK_READ && req->op != BLOCK_DISCARD) {
        slot_copy(q, slot, true);
    }
    xen_blkif_write_request(q->bf->abi, &r, (uint16_t)q->bf->config.vdev, copy);
    xen_ring_put_request(&q->ring, copy);
    counter_add(&slot->lane->stats.requests, 1);
    counter_add(&slot->lane->stats.segments, r.n_segs);
}

/* What is first on a lane, or as much of it as one request takes. False: there is no room. */
static bool ring_put_part(BlkfrontQueue *q, BlkfrontLane *l)
{
    XenBlkfrontRequest *req = l->cur.req;
    int op = is_valid(req) ? choose_op(&q->bf->disk, req) : -EINVAL;
    BlkfrontSlot *slot;

    if (op < 0 || (op == BLKIF_OP_WRITE && req->bytes == 0)) {
        l->cur.req = NULL;
        blkfront_part_done(req, MIN(op, 0));
        return true;
    }
    slot = slot_new(q, &l->cur, (uint8_t)op);
    if (!slot) {
        return false;
    }
    slot->lane = l;
    l->cur.pos += slot->part.left;
    l->cur.left -= slot->part.left;
    if (l->cur.left > 0) {
        req->parts++;
    } else {
        l->cur.req = NULL;
    }
    slot_put(q, slot);
    return true;
}

/* What its lanes have, a slot of each in turn, until there is no room. How many. */
static unsigned ring_put_lanes(BlkfrontQueue *q, unsigned n_lanes)
{
    const XenBlkfront *bf = q->bf;
    unsigned n = 0, empty = 0;

    while (empty < n_lanes) {
        BlkfrontLane *l = &bf->lane[q->base.q.index + q->turn * bf->plan.n_queues];

        if (!blkfront_lane_next(l)) {
            empty++;
        } else if (ring_put_part(q, l)) {
            empty = 0;
            n++;
        } else {
            break; /* it is its turn still: who comes later does not get the room first */
        }
        q->turn = q->turn + 1 < n_lanes ? q->turn + 1 : 0;
    }
    return n;
}

unsigned blkfront_ring_put(BlkfrontQueue *q)
{
    const XenBlkfront *bf = q->bf;
    unsigned n_rings = bf->plan.n_queues;
    unsigned n_lanes = (bf->n_lanes - q->base.q.index + n_rings - 1) / n_rings;
    unsigned n;

    for (unsigned i = q->base.q.index; i < bf->n_lanes; i += n_rings) {
        blkfront_lane_refill(&bf->lane[i]);
    }
    n = ring_put_lanes(q, n_lanes);
    if (n > 0 && xen_ring_push_requests(&q->ring)) {
        xen_queue_notify(&q->base, 0);
        counter_add(&bf->lane[q->base.q.index].stats.events_sent, 1);
    }
    return n;
}

/* --- take --- */

static int status_errno(int16_t status)
{
    return status == BLKIF_RSP_OKAY ? 0 : status == BLKIF_RSP_EOPNOTSUPP ? -EOPNOTSUPP : -EIO;
}

static void slot_count(const BlkfrontSlot *slot, int res)
{
    XenBlkfrontStats *s = &slot->lane->stats;

    switch (slot->part.req->op) {
    case BLOCK_READ:
        counter_add(&s->read_bytes, slot->part.left);
        break;
    case BLOCK_DISCARD:
        counter_add(&s->discards, 1);
        break;
    default:
        counter_add(&s->written_bytes, slot->part.left);
        counter_add(&s->flushes, is_whole(slot->part.req));
    }
    counter_add(&s->errors, res < 0);
}

/*
 * Without persistence a page is the guest's again once its request is answered, so nothing of it
 * may be mapped then. Linux disables the disk for it (XSA-396).
 */
static bool slot_is_unmapped(const BlkfrontQueue *q, const BlkfrontSlot *slot)
{
    const XenbusFront *f = &q->bf->bus;

    if (q->bf->disk.persistent || !f->xen->ops->share_in_use) {
        return true;
    }
    for (unsigned i = 0; i < slot->n_pages; i++) {
        if (f->xen->ops->share_in_use(f->share, q->pool_refs[slot->page[i]])) {
            return false;
        }
    }
    return true;
}

/* The same checks as Linux' blkif_interrupt(); of the id all bits. */
static bool ring_take_response(BlkfrontQueue *q)
{
    _Alignas(uint64_t) uint8_t copy[XEN_BLKIF_RESPONSE];
    XenBlkfrontRequest *req;
    XenBlkifResponse rsp;
    BlkfrontSlot *slot;
    uint64_t index;
    int res;

    xen_ring_take_response(&q->ring, copy, sizeof(copy));
    xen_blkif_read_response(copy, &rsp);
    index = rsp.id & ((1u << INDEX_BITS) - 1);
    slot = index < q->n_slots ? &q->slot[index] : NULL;
    if (!slot || !slot->part.req || slot->part.id != rsp.id) {
        return xen_queue_violation(&q->base, "a response to no request that is under way");
    }
    if (rsp.op != slot->rsp_op) {
        return xen_queue_violation(&q->base, "a response of another operation than its request");
    }
    if (!slot_is_unmapped(q, slot)) {
        return xen_queue_violation(&q->base, "a request is answered, and a page of it mapped");
    }
    res = status_errno(rsp.status);
    req = slot->part.req;
    if (req->op == BLOCK_READ && res == 0) {
        slot_copy(q, slot, false);
    }
    slot_count(slot, res);
    slot_free(q, slot);
    blkfront_part_done(req, res);
    return true;
}

int blkfront_ring_take(BlkfrontQueue *q)
{
    int n = xen_ring_responses(&q->ring);

    if (n < 0) {
        xen_queue_violation(&q->base, "more responses than there are requests");
        return -1;
    }
    for (int i = 0; i < n; i++) {
        if (!ring_take_response(q)) {
            return -1;
        }
    }
    return n;
}
