/*
 * The pages of a ring's guest that are kept mapped from one request to the next: persistent
 * grants (feature-persistent in xen/io/blkif.h). The guest copies its data into pages that it
 * granted once, and a request names them again and again.
 *
 * They are found by reference, and given back in the order of their last use: those that were
 * idle for a minute, or for a second when there is no room for another one. Not sooner: of a guest
 * that uses more than there is room for, those that are there serve best if they stay. A page that
 * another request uses at the moment is not to be had, nor one that there is no room for: such are
 * copied. (Linux' blkback maps them for the request alone, which costs a system call or three a
 * page.)
 *
 * All of it is the queue's thread's; there is no allocation but in xen_blkback_grants_new(). Times
 * are clock_ns(), and do not go back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_GRANTS_H
#define HW_BLOCK_XEN_BLKBACK_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/xen/xen-ops.h"

/* 32 requests of 256 segments, each with a page for these. blkback keeps 1056 in a ring. */
#define XEN_BLKBACK_GRANTS      8448u
#define XEN_BLKBACK_GRANTS_IDLE (60 * 1000000000ull) /* ns that one is kept without use */
#define XEN_BLKBACK_GRANTS_FULL (1 * 1000000000ull)  /* the same, if there is no room */
#define XEN_BLKBACK_GRANTS_STEP (100 * 1000000ull)   /* ns between two releases */

typedef struct XenBlkbackGrants XenBlkbackGrants;

/* A page of a request, from xen_blkback_grants_get() to xen_blkback_grants_put(). */
typedef struct XenBlkbackGrant {
    uint32_t ref;   /* in */
    uint32_t entry; /* private */
    void *page;     /* out; may be written. NULL: it is not mapped */
} XenBlkbackGrant;

typedef struct XenBlkbackGrantsUse {
    unsigned kept;  /* mapped */
    unsigned busy;  /* of those: in a request */
} XenBlkbackGrantsUse;

/*
 * At most @limit are kept, and in all rings together what xen_gnttab_reserve() has. @xen and
 * @gnttab outlive it. Main thread, as the next one.
 */
XenBlkbackGrants *xen_blkback_grants_new(Xen *xen, XenGnttab *gnttab, uint16_t domid,
                                         unsigned limit);
/* Unmaps all, which must have been put. NULL is fine. */
void xen_blkback_grants_free(XenBlkbackGrants *g);

/* The pages of a request, @grant[].ref in; those that are not mapped have none. */
void xen_blkback_grants_get(XenBlkbackGrants *g, XenBlkbackGrant *grant, unsigned n, uint64_t now);
/* They are not touched any more: before the request is answered. Twice is fine. */
void xen_blkback_grants_put(XenBlkbackGrants *g, XenBlkbackGrant *grant, unsigned n, uint64_t now);

/*
 * Unmaps what is not needed, at most 5 % of the limit each XEN_BLKBACK_GRANTS_STEP; to be called
 * as often as one likes. When it has something to do next; 0: not before the next put.
 */
uint64_t xen_blkback_grants_release(XenBlkbackGrants *g, uint64_t now);

XenBlkbackGrantsUse xen_blkback_grants_use(const XenBlkbackGrants *g);

#endif
