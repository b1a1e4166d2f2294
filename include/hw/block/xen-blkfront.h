/*
 * Xen's blkfront in userspace: a disk of the domain that this process is (or plays), whose backend
 * is elsewhere. For tests and measurements of backends, so it takes all that blkif.h has: indirect
 * segments, rings of some pages, several of them, persistent grants.
 *
 * Requests wait for a connection, and outlive it: what the backend has not answered when it goes
 * is asked of the next one, split anew to what that one takes. So a write may be done twice, as
 * with Linux' blkfront.
 *
 * Threads: everything is the main thread's but xen_blkfront_submit() and done().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKFRONT_H
#define HW_BLOCK_XEN_BLKFRONT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "block/block.h"
#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-event.h"
#include "util/iothread.h"

#define XEN_BLKFRONT_MAX_QUEUES   64u
#define XEN_BLKFRONT_MAX_ORDER    4u
#define XEN_BLKFRONT_MAX_INDIRECT 4096u
/* What a request may have that is not split: a flush or a barrier with data. */
#define XEN_BLKFRONT_WHOLE        (11u * 4096u)

typedef struct XenBlkfront XenBlkfront;
typedef struct XenBlkfrontRequest XenBlkfrontRequest;

typedef struct XenBlkfrontConfig {
    uint32_t vdev;         /* device/vbd/VDEV */
    unsigned queues;       /* rings, if the backend has as many: 1 to XEN_BLKFRONT_MAX_QUEUES */
    unsigned ring_order;   /* 2^this pages for each, if the backend takes them */
    unsigned max_indirect; /* segments of a request, likewise; less than 12: none is indirect */
    unsigned pool;         /* pages for the data of each ring; 0: 1056. A request fits, always */
    bool persistent;       /* the backend may keep pages mapped, if it wants to */
    bool x86_32;           /* the layout of an old 32-bit guest */
} XenBlkfrontConfig;

typedef struct XenBlkfrontEnv {
    Xen *xen;              /* with share ops */
    XenStore *store;
    IoThread *const *threads; /* ring i runs in threads[i % n_threads] */
    unsigned n_threads;       /* 0: each has one of its own */
    void (*event)(void *opaque, XenbusEvent event, const char *detail);
    void (*resized)(void *opaque); /* of a connected disk; optional */
    void *opaque;
} XenBlkfrontEnv;

/* Embedded in its owner, who keeps it, iov and memory until @done. */
struct XenBlkfrontRequest {
    BlockOp op;        /* BLOCK_FLUSH may have data: it is written behind the flush */
    bool secure;       /* of a discard */
    bool barrier;      /* of a write: not before those that ended, durable when it ends */
    /*
     * In bytes, both multiples of 512. What this disk does not take, beyond its end or less than
     * a block, the backend is left to refuse.
     */
    uint64_t offset;
    uint64_t bytes;
    struct iovec *iov; /* @bytes in all */
    unsigned n_iov;    /* 0: whatever it reads is dropped, and whatever it writes is old data */
    /*
     * @res: 0, -EIO, -EOPNOTSUPP, or -EINVAL for what is no request at all. In the thread of the
     * ring that the request was on, never from within xen_blkfront_submit(); in the main thread,
     * if the device failed or is freed (-ECANCELED). It may submit, but not while it is freed.
     */
    void (*done)(XenBlkfrontRequest *req, int res);

    /* the frontend's own */
    XenBlkfrontRequest *next;
    unsigned parts;    /* that are on a ring, or are not yet */
    int res;
};

/* Of a queue, over all connections. Of its thread; others read with counter_read(). */
typedef struct XenBlkfrontStats {
    uint64_t requests;  /* on the ring */
    uint64_t indirect;  /* of them */
    uint64_t segments;
    uint64_t read_bytes;
    uint64_t written_bytes;
    uint64_t flushes;   /* and barriers */
    uint64_t discards;
    uint64_t errors;    /* responses that were none of success */
    uint64_t replayed;  /* were not answered, and asked again */
    uint64_t events_sent;
    uint64_t events_received;
} XenBlkfrontStats;

/* Waits for device/vbd/VDEV to appear, once started. NULL: a number that is none, or no memory. */
XenBlkfront *xen_blkfront_new(const XenBlkfrontConfig *config, const XenBlkfrontEnv *env,
                              GError **error);
void xen_blkfront_start(XenBlkfront *bf);
/*
 * Closing, waits for the backend at most @timeout_ms, Closed; then XENBUS_CLOSED. Requests that are
 * under way are not waited for.
 */
void xen_blkfront_close(XenBlkfront *bf, unsigned timeout_ms);
/* What is under way ends with -ECANCELED, from within. NULL is fine. */
void xen_blkfront_free(XenBlkfront *bf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XenBlkfront, xen_blkfront_free)

/*
 * Takes on @req, whether there is a connection or not. @queue, below config.queues, is a hint: ring
 * @queue modulo the rings of the connection. No order among requests that are under way together.
 * Never waits. Any thread.
 */
void xen_blkfront_submit(XenBlkfront *bf, unsigned queue, XenBlkfrontRequest *req);

/* What the disk is like, and the connection; of one that is over, if there is none. */
typedef struct XenBlkfrontInfo {
    const char *state;    /* a literal */
    const char *error;    /* the last reason; NULL: all is well */
    bool connected;
    bool failed;          /* the backend broke the protocol: all requests fail */
    unsigned queues;
    unsigned ring_order;
    unsigned max_segs;    /* of a request: 11, or more if they may be indirect */
    bool persistent;      /* both ends want it */
    bool flush;
    bool barrier;
    bool discard;
    bool discard_secure;
    uint32_t discard_granularity;
    uint64_t sectors;     /* of 512 bytes */
    uint32_t sector_size;
    uint32_t physical_sector_size;
    uint32_t flags;       /* VDISK_* */
} XenBlkfrontInfo;

void xen_blkfront_info(const XenBlkfront *bf, XenBlkfrontInfo *ret);
/* Of queue @queue < config.queues. Any thread, as long as the device lives. */
const XenBlkfrontStats *xen_blkfront_stats(const XenBlkfront *bf, unsigned queue);

#endif
