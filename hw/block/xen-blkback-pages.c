/*
 * Where the bytes of a queue's requests are: in pages of the guest that stay mapped (persistent
 * grants), or in a buffer of ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/mman.h>

#include "xen-blkback-internal.h"

/* Granted to ourselves, where the host can: copies are cheaper then. */
static bool make_buffer(BlkbackQueue *q, size_t size)
{
    const XenOps *ops = q->base.xen->ops;
    BlkbackPages *p = &q->pages;
    void *buffer = ops->gnttab_buffer ? ops->gnttab_buffer(q->base.gnttab, size) : NULL;

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
    if (persistent) {
        p->seg = g_new(XenBlkifSeg, p->units.n);
        p->grant = g_new0(XenBlkbackGrant, p->units.n);
        q->grants = xen_blkback_grants_new(q->base.xen, q->base.gnttab, q->base.domid,
                                           XEN_BLKBACK_GRANTS);
        return true;
    }
    q->copy.xen = q->base.xen;
    q->copy.gnttab = q->base.gnttab;
    q->copy.domid = q->base.domid;
    return make_buffer(q, (size_t)p->units.n * XEN_PAGE_SIZE);
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
