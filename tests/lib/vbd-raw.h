/*
 * A vbd with blkback on an emulated Xen, whose frontend does nothing by itself: keys, rings,
 * requests and states are the test's, in each ABI.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VBD_RAW_H
#define TESTS_LIB_VBD_RAW_H

#include "block-rig.h"
#include "held-disk.h"
#include "hw/block/xen-blkback.h"
#include "hw/xen/ring.h"
#include "vbd.h"
#include "xen-blkif.h"

#define VBD_RAW_QUEUES 8u
#define VBD_RAW_PAGES  1200u         /* of the guest, for data and segments */
#define VBD_RAW_BYTES  (32u << 20)   /* of the image: that of a BlockRig, then zeros */

typedef struct VbdRawQueue {
    void *pages;
    uint32_t refs[XEN_RING_MAX_PAGES];
    XenRing ring;
    uint32_t port;
} VbdRawQueue;

typedef struct VbdRaw {
    Vbd v;
    BlockRig rig;
    HeldDisk disk;           /* if it is held */

    /* for vbd_raw_back() */
    XenBlkbackConfig config;
    XenBlkbackEnv env;
    bool held;
    uint64_t bytes;          /* of the image */
    /* for vbd_raw_front() */
    const char *protocol;    /* NULL: it does not say */
    unsigned n_queues;
    int order;               /* of the rings' pages; -1: one, and it does not say so */
    bool persistent;
    uint32_t start;          /* where the rings begin */

    XenBlkback *d;
    XenBlkifAbi abi;
    unsigned connected;      /* events so far */
    unsigned disconnected;
    unsigned errors;
    unsigned warnings;
    unsigned drained;
    bool closed;
    bool gone;
    char *error;             /* the last detail */

    const XenOps *ops;
    XenShare *share;
    XenEvtchn *evtchn;
    unsigned n_rings;        /* that there are */
    VbdRawQueue queue[VBD_RAW_QUEUES];
    uint8_t *pages;
    uint32_t refs[VBD_RAW_PAGES];
    uint64_t next_id;
} VbdRaw;

/* A host, a guest, an image: nothing else yet. One queue of 64 bits, all features. */
void vbd_raw_init(VbdRaw *r);
/* The same, with the host of @first, which goes down after it; NULL: one of its own. */
void vbd_raw_init_beside(VbdRaw *r, const VbdRaw *first);
/* The backend, on a node that it opens. False: it refuses. */
bool vbd_raw_try_back(VbdRaw *r, GError **error);
void vbd_raw_back(VbdRaw *r);
/* Rings, ports and keys. */
void vbd_raw_front(VbdRaw *r);
/* The frontend's rings go: nobody has them mapped. */
void vbd_raw_front_free(VbdRaw *r);
/* Initialised, and once the backend is Connected, so is the frontend. */
void vbd_raw_connect(VbdRaw *r);
/* All of that. */
void vbd_raw_up(VbdRaw *r);
/* The frontend is Closed, the backend too, its rings are free. */
void vbd_raw_close(VbdRaw *r);
/* The backend ends: properly, or at once. */
void vbd_raw_back_close(VbdRaw *r);
void vbd_raw_back_free(VbdRaw *r);
/* Whatever there is: nothing of the guest's is mapped any more. */
void vbd_raw_down(VbdRaw *r);

/* The frontend writes its state, or another key of its directory. */
void vbd_raw_state(VbdRaw *r, int state);
void vbd_raw_key(VbdRaw *r, const char *key, const char *value);
bool vbd_raw_back_is(VbdRaw *r, int state);
/* Pages of the guest that the host has mapped. */
unsigned vbd_raw_mapped(const VbdRaw *r);
/* The sum of a counter over all queues. */
uint64_t vbd_raw_count(const VbdRaw *r, size_t offset);
#define VBD_RAW_COUNT(r, field) vbd_raw_count(r, offsetof(XenBlkbackStats, field))

/* --- requests --- */

static inline uint8_t *vbd_raw_page(const VbdRaw *r, unsigned i)
{
    return r->pages + (size_t)(i % VBD_RAW_PAGES) * XEN_PAGE_SIZE;
}

/* Of @n_segs <= 11 whole pages, from @page on. */
XenBlkifRequest vbd_raw_rw(const VbdRaw *r, uint8_t op, uint64_t sector, unsigned n_segs,
                           unsigned page);
/* Indirect, its segments in the pages from @table on. */
XenBlkifRequest vbd_raw_indirect(const VbdRaw *r, uint8_t op, uint64_t sector, unsigned n_segs,
                                 unsigned page, unsigned table);
XenBlkifRequest vbd_raw_discard(uint64_t sector, uint64_t n_sectors, uint8_t flag);

/* Onto the ring, with an id of its own, which is returned; not seen before vbd_raw_push(). */
uint64_t vbd_raw_put(VbdRaw *r, unsigned queue, const XenBlkifRequest *req);
void vbd_raw_push(VbdRaw *r, unsigned queue);
void vbd_raw_notify(VbdRaw *r, unsigned queue);
/* Waits for @n responses. */
void vbd_raw_wait(VbdRaw *r, unsigned queue, unsigned n);
/* The next response, waited for. */
XenBlkifResponse vbd_raw_get(VbdRaw *r, unsigned queue);
/* One request, to its end: its status. */
int vbd_raw_do(VbdRaw *r, unsigned queue, const XenBlkifRequest *req);

#endif
