/*
 * Where the bytes of a queue's requests are: in pages of the guest that stay mapped (persistent
 * grants), or in a buffer of ours. A request may have some of both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/mman.h>

#include "xen-blkback-internal.h"

/* --- main thread --- */

/*
 * Granted to ourselves, where the host can: copies are cheaper then. There is only so much of that
 * memory, and where few pages are copied, other memory costs nothing until it is used.
 */
static bool make_buffer(BlkbackQueue *q, size_t size, bool grant)
{
    const XenOps *ops = q->base.xen->ops;
    BlkbackPages *p = &q->pages;
    void *buffer = NULL;

    if (grant && ops->gnttab_buffer) {
        buffer = ops->gnttab_buffer(q->base.gnttab, size);
    }

    p->granted = buffer != NULL;
    if (!buffer) {
        buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    p->buffer = buffer == MAP_FAILED ? NULL : buffer;
    return p->buffer;
}

bool blkback_pages_init(BlkbackQueue *q, bool persistent)
{
    BlkbackPages *p = &q->pages;

    xen_blkback_units_init(&p->units, MAX(BLKBACK_UNITS, q->limits.max_indirect));
    p->piece = g_new(XenBlkifPiece, p->units.n);
    p->iov = g_new(struct iovec, p->units.n);
    p->seg = g_new(XenBlkifSeg, p->units.n);
    if (persistent) {
        p->grant = g_new0(XenBlkbackGrant, p->units.n);
        q->grants = xen_blkback_grants_new(q->base.xen, q->base.gnttab, q->base.domid,
                                           XEN_BLKBACK_GRANTS);
    }
    q->copy.xen = q->base.xen;
    q->copy.gnttab = q->base.gnttab;
    q->copy.domid = q->base.domid;
    return make_buffer(q, (size_t)p->units.n * XEN_PAGE_SIZE, !persistent);
}

void blkback_pages_done(BlkbackQueue *q)
{
    BlkbackPages *p = &q->pages;

    if (p->granted) {
        q->base.xen->ops->gnttab_buffer_free(q->base.gnttab, p->buffer);
    } else if (p->buffer) {
        munmap(p->buffer, (size_t)p->units.n * XEN_PAGE_SIZE);
    }
    g_clear_pointer(&q->grants, xen_blkback_grants_free);
    xen_blkback_units_done(&p->units);
    g_free(p->piece);
    g_free(p->iov);
    g_free(p->seg);
    g_free(p->grant);
    *p = (BlkbackPages) { 0 };
}

/* --- the queue's thread --- */

static uint8_t *request_buffer(const BlkbackQueue *q, const BlkbackRequest *r)
{
    return q->pages.buffer + (size_t)r->unit * XEN_PAGE_SIZE;
}

/* Pieces that are copied lie one behind the other in the buffer: as few iovecs as there can be. */
static void place_pieces(BlkbackQueue *q, BlkbackRequest *r)
{
    const XenBlkifPiece *piece = &q->pages.piece[r->unit];
    const XenBlkbackGrant *grant = &q->pages.grant[r->unit];
    struct iovec *iov = &q->pages.iov[r->unit];
    uint8_t *at = request_buffer(q, r);
    unsigned n = 0, in_a_row = 0;

    for (unsigned i = 0; i < r->work.n_pieces; i++) {
        if (grant[i].page) {
            in_a_row = 0;
            iov[n++] = (struct iovec) { (uint8_t *)grant[i].page + piece[i].offset, piece[i].len };
            continue;
        }
        if (in_a_row++ == 0) {
            iov[n++] = (struct iovec) { at, 0 };
        }
        iov[n - 1].iov_len += piece[i].len;
        at += piece[i].len;
        r->n_copied++;
    }
    r->n_iov = n;
}

void blkback_pages_get(BlkbackQueue *q, BlkbackRequest *r)
{
    const XenBlkifPiece *piece = &q->pages.piece[r->unit];
    unsigned n = r->work.n_pieces;
    XenBlkbackGrant *grant;

    if (!q->grants) {
        q->pages.iov[r->unit] = (struct iovec) { request_buffer(q, r), r->work.bytes };
        r->n_iov = 1;
        r->n_copied = n;
        return;
    }
    grant = &q->pages.grant[r->unit];
    for (unsigned i = 0; i < n; i++) {
        grant[i].ref = piece[i].gref;
    }
    xen_blkback_grants_get(q->grants, grant, n, io_clock_ns());
    r->n_mapped = n;
    place_pieces(q, r);
    counter_add(&q->stats->ring.mapped, n - r->n_copied);
}

void blkback_pages_copy(BlkbackQueue *q, BlkbackRequest *r, bool to_guest)
{
    const XenBlkifPiece *piece = &q->pages.piece[r->unit];
    uint8_t *at = request_buffer(q, r);

    counter_add(&q->stats->ring.copied, r->n_copied);
    if (r->n_copied == r->work.n_pieces) {
        xen_blkback_copy_add(&q->copy, to_guest, piece, r->work.n_pieces, at, &r->failed);
        return;
    }
    for (unsigned i = 0; i < r->work.n_pieces; i++) {
        if (!q->pages.grant[r->unit + i].page) {
            xen_blkback_copy_add(&q->copy, to_guest, &piece[i], 1, at, &r->failed);
            at += piece[i].len;
        }
    }
}

void blkback_pages_put(BlkbackQueue *q, BlkbackRequest *r)
{
    if (r->n_mapped > 0) {
        xen_blkback_grants_put(q->grants, &q->pages.grant[r->unit], r->n_mapped, io_clock_ns());
    }
    if (r->n_units > 0) {
        xen_blkback_units_put(&q->pages.units, r->unit, r->n_units);
    }
}

void blkback_pages_read_segs(BlkbackQueue *q, BlkbackRequest *r, unsigned n_pages)
{
    XenBlkbackGrant grant[XEN_BLKIF_PAGES];
    XenBlkifSeg *seg = &q->pages.seg[r->unit];
    uint64_t now;

    if (!q->grants) {
        xen_blkback_copy_add_segs(&q->copy, &r->req, 0, n_pages, seg, &r->failed);
        return;
    }
    now = io_clock_ns();
    for (unsigned i = 0; i < n_pages; i++) {
        grant[i] = (XenBlkbackGrant) { .ref = r->req.page[i] };
    }
    xen_blkback_grants_get(q->grants, grant, n_pages, now);
    for (unsigned i = 0; i < n_pages; i++) {
        XenBlkifSeg *to = seg + i * XEN_BLKIF_SEGS_OF_PAGE;

        if (grant[i].page) {
            xen_blkif_read_indirect(grant[i].page, xen_blkif_page_segs(&r->req, i), to);
        } else {
            xen_blkback_copy_add_segs(&q->copy, &r->req, i, 1, to, &r->failed);
        }
    }
    xen_blkback_grants_put(q->grants, grant, n_pages, now);
}
