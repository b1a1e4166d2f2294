/*
 * The bytes of requests, between pages of the guest and our memory: by grant copies, for which
 * nothing is mapped. So nothing has to be unmapped before a request is answered, and the disk sees
 * one long buffer instead of one for each page. Those of many requests go in one call.
 *
 * All of it is the queue's thread's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_COPY_H
#define HW_BLOCK_XEN_BLKBACK_COPY_H

#include "hw/xen/xen-ops.h"
#include "xen-blkif.h"

/* One for each queue, zeroed but for the first three. */
typedef struct XenBlkbackCopy {
    Xen *xen;
    XenGnttab *gnttab;
    uint16_t domid;

    /* private */
    bool to_guest;
    unsigned n;
    XenCopySeg seg[XEN_COPY_MAX];
    bool *failed[XEN_COPY_MAX];
} XenBlkbackCopy;

/*
 * @n pieces of a request that was judged, from or to @buffer, where they lie one behind the other.
 * It is best granted to ourselves (XenOps.gnttab_buffer), and begins on a page. They are copied
 * when the next xen_blkback_copy_run() returns; *@failed is true then if any was not. Between two
 * runs all go in one direction.
 */
void xen_blkback_copy_add(XenBlkbackCopy *c, bool to_guest, const XenBlkifPiece *piece, unsigned n,
                          void *buffer, bool *failed);

/*
 * The segments of an indirect request, likewise: those in @n pages from @page on, of the
 * xen_blkif_n_pages() that it has, to @ret.
 */
void xen_blkback_copy_add_segs(XenBlkbackCopy *c, const XenBlkifRequest *r, unsigned page,
                               unsigned n, XenBlkifSeg *ret, bool *failed);

void xen_blkback_copy_run(XenBlkbackCopy *c);

#endif
