/*
 * The bytes of a request, between pages of the guest and one piece of our memory: by grant copies,
 * for which nothing is mapped. So nothing has to be unmapped before the request is answered, and
 * the disk sees one long buffer instead of one for each page.
 *
 * All of it is the queue's thread's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_COPY_H
#define HW_BLOCK_XEN_BLKBACK_COPY_H

#include "hw/xen/xen-ops.h"
#include "xen-blkif.h"

/* Whose pages, and room for the pieces of a call: one for each queue. */
typedef struct XenBlkbackCopy {
    Xen *xen;
    XenGnttab *gnttab;
    uint16_t domid;
    XenCopySeg seg[XEN_COPY_MAX]; /* private */
} XenBlkbackCopy;

/*
 * @n pieces of a request that was judged, from or to @buffer, where they lie one behind the other.
 * It is best granted to ourselves (XenOps.gnttab_buffer), and begins on a page. False: not all of
 * them could be copied, and any of them may have been.
 */
bool xen_blkback_copy(XenBlkbackCopy *c, bool to_guest, const XenBlkifPiece *piece, unsigned n,
                      void *buffer);

/*
 * The segments of an indirect request: @n_pages is what xen_blkif_n_pages() says, @ret has room
 * for @r->n_segs. False: a page could not be read.
 */
bool xen_blkback_copy_segs(XenBlkbackCopy *c, const XenBlkifRequest *r, unsigned n_pages,
                           XenBlkifSeg *ret);

#endif
