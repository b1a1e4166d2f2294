/*
 * Blkfront's own structures: one disk, the lanes on which requests come, its rings.
 *
 * A lane is where requests of one queue wait. It is there as long as the device is; rings come and
 * go with connections, and of n rings, ring i serves the lanes i, i + n, ... So a request needs to
 * know nothing of connections, and no two threads have parts of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKFRONT_INTERNAL_H
#define HW_BLOCK_XEN_BLKFRONT_INTERNAL_H

#include <pthread.h>

#include "hw/block/xen-blkfront.h"
#include "hw/core/counter.h"
#include "hw/xen/xen-queues.h"
#include "hw/xen/xenbus-front.h"
#include "util/container-of.h"
#include "xen-blkif.h"

#define BLKFRONT_POOL 1056u /* pages: 32 requests of 32 segments and an indirect page, as Linux' */

typedef struct BlkfrontLane BlkfrontLane;

/* Bytes of a request that are not done, @left of them from @pos on. */
typedef struct BlkfrontPart {
    XenBlkfrontRequest *req; /* NULL: none */
    uint64_t pos;
    uint64_t left;
    uint64_t id;             /* its response's, on a ring: in the order in which they were put */
} BlkfrontPart;

/* xen-blkfront-request.c */
struct BlkfrontLane {
    pthread_mutex_t lock;        /* of these: whoever submits may be in any thread */
    XenBlkfrontRequest *first;   /* submitted, and not looked at */
    XenBlkfrontRequest **end;
    bool asleep;                 /* wake_fd is to be written to */

    int wake_fd;
    guint failed_source;         /* the main loop's: ends what is submitted to a failed device */

    /* the thread's of its ring, or the main thread's */
    IoSource source;
    XenBlkfrontRequest *todo;    /* taken from first, in order */
    XenBlkfrontRequest **todo_end;
    BlkfrontPart cur;            /* what is put next */
    GArray *replay;              /* of BlkfrontPart: the last one is put first */
    XenBlkfrontStats stats;
};

/* What keys are written for a connection. It stays until all its queues are free. */
typedef struct BlkfrontPlan {
    unsigned n_queues;   /* bf->queues.n gets less while they are freed */
    unsigned order;
} BlkfrontPlan;

/* A request on the ring. */
typedef struct BlkfrontSlot {
    BlkfrontPart part;   /* of it: left is what this request does. req NULL: the slot is free */
    BlkfrontLane *lane;
    uint8_t rsp_op;      /* that the response must have */
    uint16_t n_segs;
    uint16_t n_pages;    /* segments, and indirect pages behind them */
    uint32_t *page;      /* numbers in the pool */
} BlkfrontSlot;

/*
 * Its thread has it from blkfront_queue_start() to blkfront_queue_free().
 */
typedef struct BlkfrontQueue {
    XenQueue base;
    XenBlkfront *bf;
    void *ring_pages;
    uint32_t ring_refs[XEN_RING_MAX_PAGES];
    XenRing ring;
    uint64_t seq;          /* of requests */
    unsigned turn;         /* of its lanes, the one whose request is put next */

    /* from blkfront_queue_start() on */
    unsigned n_slots;
    unsigned n_free_slots;
    uint16_t *free_slots;
    BlkfrontSlot *slot;
    uint32_t *slot_pages;  /* the memory of slot[].page */
    unsigned n_pool;
    unsigned n_free_pages;
    uint32_t *free_pages;  /* the last one is taken first: few are used if few are needed */
    uint32_t *pool_refs;
    uint8_t *pool;
    XenBlkifSeg *segs;     /* of the request that is put: max_segs */
} BlkfrontQueue;

struct XenBlkfront {
    XenbusFront bus;
    XenBlkfrontConfig config;
    XenBlkfrontEnv env;
    IoThread **threads;
    XenBlkifAbi abi;
    DeviceFaults faults;
    XenQueues queues;
    BlkfrontPlan plan;
    XenBlkfrontInfo disk; /* rings do not look at sectors, and the rest stays while they run */
    char *fault;          /* what the backend did; NULL: it did not */
    unsigned n_lanes;
    BlkfrontLane *lane;
};

static inline BlkfrontQueue *blkfront_queue(const XenBlkfront *bf, unsigned i)
{
    return container_of(bf->queues.queue[i], BlkfrontQueue, base);
}

/* --- xen-blkfront-store.c: main thread --- */

/* Before keys are written: what the backend in InitWait takes. */
void blkfront_store_plan(XenBlkfront *bf, BlkfrontPlan *ret);
/* All keys in one transaction; what earlier connections left is removed. */
bool blkfront_store_write(XenBlkfront *bf, GError **error);
/* What the backend in Connected says of the disk: fills bf->disk. */
bool blkfront_store_read_disk(XenBlkfront *bf, GError **error);
/* Its size alone. False: it is the same, or makes no sense. */
bool blkfront_store_read_size(XenBlkfront *bf);

/* --- xen-blkfront-queue.c: main thread --- */

/* Shares its ring, allocates its port. NULL: nothing is left. */
BlkfrontQueue *blkfront_queue_new(XenBlkfront *bf, unsigned index, GError **error);
/* Shares pages for data as bf->disk asks for, and hands it to its thread. */
bool blkfront_queue_start(BlkfrontQueue *q, GError **error);
/* Stops it; what was not answered goes back to its lane. NULL is fine. */
void blkfront_queue_free(BlkfrontQueue *q);

/* --- xen-blkfront-ring.c: the queue's thread --- */

/* Takes all responses. How many; -1: a violation. */
int blkfront_ring_take(BlkfrontQueue *q);
/* Puts what its lanes have, as far as there is room. How many. */
unsigned blkfront_ring_put(BlkfrontQueue *q);

/* --- xen-blkfront-request.c --- */

bool blkfront_lane_init(BlkfrontLane *l, GError **error);
/* Ends all that it has with -ECANCELED. Fine for a zeroed one. */
void blkfront_lane_done(BlkfrontLane *l);

/* Main thread, without a ring: all that it has, and gets from now on, ends with -EIO. */
void blkfront_lane_fail(BlkfrontLane *l);
/* Main thread, without a ring: @part was not answered. */
void blkfront_lane_replay(BlkfrontLane *l, const BlkfrontPart *part);
/* When all parts of a ring are there: they will be put in the order in which they were. */
void blkfront_lane_sort(BlkfrontLane *l);

/* Its ring's thread: takes what was submitted so far. */
void blkfront_lane_refill(BlkfrontLane *l);
/* Its ring's thread: l->cur is what is put next. False: nothing is to be put. */
bool blkfront_lane_next(BlkfrontLane *l);
/* Its ring's thread is about to sleep. True: there is something new. */
bool blkfront_lane_arm(BlkfrontLane *l);
/* A part of @req came to an end: with the last one, the request. */
void blkfront_part_done(XenBlkfrontRequest *req, int res);

#endif
