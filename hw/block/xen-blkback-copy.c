/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-blkback-copy.h"

/* One call; *@at moves on. False: it failed, or a piece of it. */
static bool copy_batch(XenBlkbackCopy *c, bool to_guest, const XenBlkifPiece *piece, unsigned n,
                       uint8_t **at)
{
    bool bad = false;

    for (unsigned i = 0; i < n; i++) {
        c->seg[i] = (XenCopySeg) {
            .local = *at,
            .ref = piece[i].gref,
            .offset = piece[i].offset,
            .len = piece[i].len,
        };
        *at += piece[i].len;
    }
    if (c->xen->ops->gnttab_copy(c->gnttab, c->domid, to_guest, c->seg, n) < 0) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        bad |= c->seg[i].status != 0;
    }
    return !bad;
}

bool xen_blkback_copy(XenBlkbackCopy *c, bool to_guest, const XenBlkifPiece *piece, unsigned n,
                      void *buffer)
{
    uint8_t *at = buffer;

    for (unsigned done = 0, count; done < n; done += count) {
        count = MIN(n - done, XEN_COPY_MAX);
        if (!copy_batch(c, to_guest, &piece[done], count, &at)) {
            return false;
        }
    }
    return true;
}

bool xen_blkback_copy_segs(XenBlkbackCopy *c, const XenBlkifRequest *r, unsigned n_pages,
                           XenBlkifSeg *ret)
{
    XenBlkifPiece piece[XEN_BLKIF_PAGES];

    for (unsigned i = 0; i < n_pages; i++) {
        piece[i] = (XenBlkifPiece) {
            .gref = r->page[i],
            .len = (uint16_t)(xen_blkif_page_segs(r, i) * sizeof(*ret)),
        };
    }
    return xen_blkback_copy(c, false, piece, n_pages, ret);
}
