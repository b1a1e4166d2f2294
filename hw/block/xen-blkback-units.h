/*
 * Room for the pages of requests that are under way: each has as many units next to each other as
 * it has segments, and is not taken off the ring before there are so many. It bounds what a queue
 * has under way, whatever its ring and its guest's requests are like.
 *
 * The queue's thread's, but for its beginning and end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_UNITS_H
#define HW_BLOCK_XEN_BLKBACK_UNITS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct XenBlkbackUnits {
    unsigned n;     /* a multiple of 64 */
    unsigned next;  /* where the last one that was found ends */
    uint64_t *used; /* bits */
} XenBlkbackUnits;

void xen_blkback_units_init(XenBlkbackUnits *u, unsigned n); /* rounded up */
void xen_blkback_units_done(XenBlkbackUnits *u);             /* fine for a zeroed one */

/* The first of @count > 0 units in a row; -1: there are not so many for now. */
int xen_blkback_units_get(XenBlkbackUnits *u, unsigned count);
void xen_blkback_units_put(XenBlkbackUnits *u, unsigned first, unsigned count);

#endif
