/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-blkback-copy.h"

void xen_blkback_copy_run(XenBlkbackCopy *c)
{
    int r;

    if (c->n == 0) {
        return;
    }
    r = c->xen->ops->gnttab_copy(c->gnttab, c->domid, c->to_guest, c->seg, c->n);
    for (unsigned i = 0; i < c->n; i++) {
        if (r < 0 || c->seg[i].status != 0) {
            *c->failed[i] = true;
        }
    }
    c->n = 0;
}

void xen_blkback_copy_add(XenBlkbackCopy *c, bool to_guest, const XenBlkifPiece *piece, unsigned n,
                          void *buffer, bool *failed)
{
    uint8_t *at = buffer;

    g_assert(c->n == 0 || c->to_guest == to_guest);
    c->to_guest = to_guest;
    for (unsigned i = 0; i < n; i++) {
        if (c->n == XEN_COPY_MAX) {
            xen_blkback_copy_run(c);
        }
        c->failed[c->n] = failed;
        c->seg[c->n++] = (XenCopySeg) {
            .local = at,
            .ref = piece[i].gref,
            .offset = piece[i].offset,
            .len = piece[i].len,
        };
        at += piece[i].len;
    }
}

void xen_blkback_copy_add_segs(XenBlkbackCopy *c, const XenBlkifRequest *r, unsigned page,
                               unsigned n, XenBlkifSeg *ret, bool *failed)
{
    XenBlkifPiece piece[XEN_BLKIF_PAGES];

    for (unsigned i = 0; i < n; i++) {
        piece[i] = (XenBlkifPiece) {
            .gref = r->page[page + i],
            .len = (uint16_t)(xen_blkif_page_segs(r, page + i) * sizeof(*ret)),
        };
    }
    xen_blkback_copy_add(c, false, piece, n, ret, failed);
}
