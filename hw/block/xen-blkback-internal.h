/*
 * Blkback's own structures: one vbd, its queues, their requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_INTERNAL_H
#define HW_BLOCK_XEN_BLKBACK_INTERNAL_H

#include "hw/block/xen-blkback.h"
#include "hw/xen/xen-back-queues.h"
#include "hw/xen/xen-queue.h"
#include "hw/xen/xenbus-back.h"
#include "util/container-of.h"
#include "xen-blkback-copy.h"
#include "xen-blkback-grants.h"
#include "xen-blkback-record.h"
#include "xen-blkback-units.h"
#include "xen-blkif.h"

#define BLKBACK_BATCH     64u   /* requests: the budget of a round */
#define BLKBACK_UNITS     4096u /* pages of requests under way: 16 MiB of a queue */
#define BLKBACK_MAX_ORDER 4u    /* of a ring's pages */

typedef struct BlkbackQueue BlkbackQueue;

/*
 * What the frontend was told, and counts on while it is connected: also if the backend that told
 * it died and we have other options. xen-blkback-store.c.
 */
typedef struct BlkbackOffer {
    unsigned max_queues;
    unsigned max_order;
    unsigned max_indirect;
    unsigned block_size;  /* sector-size */
    bool persistent;
    bool discard;
    bool discard_secure;
} BlkbackOffer;

/* What a frontend says in XenStore, validated. */
typedef struct BlkbackKeys {
    XenKeys base;
    unsigned max_order;   /* that was offered */
    int order;            /* -1: it has rings of one page and does not say so */
    XenBlkifAbi abi;
    bool persistent;      /* it has it, too */
} BlkbackKeys;

/* A request, from the ring to its response; it has the number of its entry in the record. */
typedef struct BlkbackRequest {
    BlockRequest block;
    BlkbackQueue *q;
    struct BlkbackRequest *next; /* of those that are done */
    XenBlkifRequest req;
    XenBlkifWork work;
    unsigned unit;        /* the first of its units */
    unsigned n_units;     /* 0: it has none */
    unsigned n_mapped;    /* pages that grants were asked for */
    unsigned n_iov;
    unsigned n_copied;    /* pages */
    unsigned step;        /* of what is to be done for it: xen-blkback-request.c */
    bool failed;          /* a page could not be copied */
    int16_t status;       /* BLKIF_RSP_* */
} BlkbackRequest;

/* Arrays with an element for each unit. */
typedef struct BlkbackPages {
    XenBlkbackUnits units;
    XenBlkifPiece *piece;
    struct iovec *iov;
    XenBlkifSeg *seg;
    XenBlkbackGrant *grant; /* NULL: all pages are copied */
    uint8_t *buffer;        /* for those that are: a page for each */
    bool granted;           /* to ourselves: XenOps.gnttab_buffer */
} BlkbackPages;

struct BlkbackQueue {
    XenQueue base;
    XenBlkback *disk;
    XenRing ring;
    XenBlkifAbi abi;
    XenBlkifLimits limits;
    XenBlkbackStats *stats;
    BlockQueue block;
    bool block_ready;

    XenBlkbackRecord *record;
    uint16_t *left;           /* entries of requests that a backend left when it died */
    unsigned n_left;
    unsigned next_left;
    BlkbackRequest *request;  /* one for each slot */
    BlkbackPages pages;
    XenBlkbackGrants *grants; /* NULL: pages are copied */
    XenBlkbackCopy copy;

    /* the thread's */
    bool hold;                /* nothing is taken off the ring */
    bool lacks_units;         /* the first on the ring does */
    bool notify;              /* the frontend may have missed an event */
    unsigned n_active;        /* taken and not answered */
    BlkbackRequest *barrier;  /* nothing is taken behind it, until it is answered */
    BlkbackRequest *done;
    BlkbackRequest **done_end;

    /* the main thread's */
    bool want_hold;
    bool stopping;            /* it is held until its end */
    bool drained;             /* held, and nothing is under way */
    struct BlkbackDrain *drain;
};

struct XenBlkback {
    XenbusBack bus;
    char *id;
    XenBlkbackEnv env;
    BlkbackOffer options;  /* what we would offer */
    BlkbackOffer offer;    /* what the frontend knows */
    unsigned physical_block_size;
    unsigned discard_granularity;
    bool removable;
    bool read_only;
    bool paused;
    bool pausing;          /* env.drained() was not called yet */
    bool failed;           /* that of the node was reported */
    DeviceFaults faults;
    XenBackQueues queues;
    XenBlkbackStats *stats;
};

static inline BlkbackQueue *blkback_queue(const XenBlkback *d, unsigned i)
{
    return container_of(d->queues.run.queue[i], BlkbackQueue, base);
}

GQuark blkback_error_quark(void);
#define BLKBACK_FAIL(error, ...) g_set_error(error, blkback_error_quark(), 0, __VA_ARGS__)

/* --- xen-blkback-store.c: main thread --- */

/* As the callbacks of XenbusBackOps. */
bool blkback_store_write_nodes(XenBlkback *d, XenTx tx);
bool blkback_store_take_over(XenBlkback *d, GError **error);
bool blkback_store_publish(XenBlkback *d, XenTx tx);
bool blkback_store_publish_connected(XenBlkback *d, XenTx tx);
/* For XenBackQueuesOps. */
XenKeys *blkback_store_keys_new(const XenBlkback *d);
void blkback_store_keys_free(XenKeys *k);

/* --- xen-blkback-queue.c: main thread --- */

/* Maps, binds, and hands the queue to its thread. On failure nothing is left. */
BlkbackQueue *blkback_queue_start(XenBlkback *d, unsigned index, const BlkbackKeys *keys,
                                  GError **error);
/* False: not yet, what the disk has under way ends first; blkback_drained() follows. */
bool blkback_queue_stop(BlkbackQueue *q);
/* Nothing is taken off the ring any more; blkback_drained() follows unless q->drained. */
void blkback_queue_hold(BlkbackQueue *q);
void blkback_queue_go_on(BlkbackQueue *q);

/* xen-blkback.c: a queue that was to be held is, and nothing of it is under way. */
void blkback_drained(XenBlkback *d);

/* --- xen-blkback-pages.c: main thread --- */

/* False: no memory. */
bool blkback_pages_init(BlkbackQueue *q, bool persistent);
void blkback_pages_done(BlkbackQueue *q); /* fine for a zeroed queue */

/*
 * The queue's thread: finds where the pages of @r are, which was judged: those that are mapped, and
 * a buffer for the others, which are to be copied.
 */
void blkback_pages_get(BlkbackQueue *q, BlkbackRequest *r);
/* What is to be copied; it is when q->copy runs. */
void blkback_pages_copy(BlkbackQueue *q, BlkbackRequest *r, bool to_guest);
/* Nothing of it is used any more. */
void blkback_pages_put(BlkbackQueue *q, BlkbackRequest *r);
/* The segments of an indirect request, into its q->pages.seg: there when q->copy has run. */
void blkback_pages_read_segs(BlkbackQueue *q, BlkbackRequest *r, unsigned n_pages);

/* --- the queue's thread --- */

/* xen-blkback-request.c: takes what is on the ring, and has the disk do it. */
QueueVerdict blkback_request_poll(BlkbackQueue *q);
/* Asks for an event, if the ring has the next request. True: there is work already. */
bool blkback_request_arm(BlkbackQueue *q);

/* xen-blkback-respond.c: answers what is done. True: there was something. */
bool blkback_respond(BlkbackQueue *q);
/* At the end: pages of requests that are not answered any more are given back. */
void blkback_drop(BlkbackQueue *q);
/* @r is done, and answered in the next round. */
void blkback_request_done(BlkbackRequest *r, int16_t status);

#endif
