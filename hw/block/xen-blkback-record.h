/*
 * What a ring has under way, where a kill -9 leaves it: in a file in memory. The frontend does not
 * see that its backend died, so the next one has to answer each request once, those that were
 * taken and not answered among them; and the ring does not have these any more, because answers
 * come in another order than requests and lie where requests were.
 *
 * A request is copied off the ring into an entry, which it has until its answer can be seen. Of
 * each step the order of its stores is such that a kill between any two of them leaves the request
 * either there or answered: we need no more, as memory is all of it that the next one reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_RECORD_H
#define HW_BLOCK_XEN_BLKBACK_RECORD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/xen/ring.h"

#define XEN_BLKBACK_RECORD_SLOT 112u /* bytes of the largest request */

typedef struct XenBlkbackRecord XenBlkbackRecord;

/* Which ring it is: another frontend's has other grants, or another port. */
typedef struct XenBlkbackRecordRing {
    uint32_t n_slots;
    uint32_t slot_size;
    uint32_t port;
    uint32_t n_refs;
    uint32_t ref[XEN_RING_MAX_PAGES];
} XenBlkbackRecordRing;

/*
 * The directory for such files, which only we can enter: a descriptor of the caller's. -1: there
 * is none. @make: then it is made.
 */
int xen_blkback_record_dir(bool make, GError **error);

/* A file's name, of the queue @queue of the disk @number of the domain @domid. Free it. */
char *xen_blkback_record_name(uint16_t domid, unsigned number, unsigned queue);
/* Removes the files of its queues from @first on, if there are any. @dir -1 is fine. */
void xen_blkback_record_remove(int dir, uint16_t domid, unsigned number, unsigned first);
/* False: @name is not one of these. */
bool xen_blkback_record_domid(const char *name, uint16_t *ret);

/*
 * A new record, the file @name of the directory @dir, which has to stay open; @dir -1: in memory
 * of ours alone. The ring was taken up to @cons, and all of that is answered. NULL: no room for
 * it. Main thread, as the next two.
 */
XenBlkbackRecord *xen_blkback_record_new(int dir, const char *name,
                                         const XenBlkbackRecordRing *ring, uint32_t cons,
                                         GError **error);
/* The one that was left. NULL: there is none of this ring. */
XenBlkbackRecord *xen_blkback_record_open(int dir, const char *name,
                                          const XenBlkbackRecordRing *ring, GError **error);
/* The file is gone then. NULL is fine. */
void xen_blkback_record_free(XenBlkbackRecord *r);

/*
 * Of one that was left, with the ring's rsp_prod: how many requests are under way, their entries in
 * @ret (room for n_slots), in the order of the ring, and how far it was taken. -1: it does not fit
 * the ring. Main thread.
 */
int xen_blkback_record_recover(XenBlkbackRecord *r, uint32_t rsp_prod, uint16_t *ret,
                               uint32_t *ret_cons);

/* --- the queue's thread --- */

/* The entry that the next request will have; UINT16_MAX: all are taken. */
uint16_t xen_blkback_record_next(const XenBlkbackRecord *r);
/* The copy of its slot, to be filled before it is taken. */
void *xen_blkback_record_slot(XenBlkbackRecord *r, uint16_t entry);
/* The request at @index of the ring is @entry, the next one, from now on. */
void xen_blkback_record_take(XenBlkbackRecord *r, uint16_t entry, uint32_t index);
/* Its response is written at @index of the ring, and not to be seen yet. */
void xen_blkback_record_answer(XenBlkbackRecord *r, uint16_t entry, uint32_t index);
/* It can be seen. */
void xen_blkback_record_forget(XenBlkbackRecord *r, uint16_t entry);

#endif
