/*
 * The host's side of a disk: a block node, as QEMU calls it, is an image that one device has; a
 * block queue is the way to it from one iothread. Nothing here knows of guests.
 *
 * Threads: a node belongs to the main thread, a queue's requests to the queue's. Formats are
 * never probed: what a guest writes must not decide how its image is read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/iothread.h"
#include "util/options.h"

#define BLOCK_SECTOR 512u /* sizes of nodes are multiples of it */

typedef struct FdSets FdSets;
typedef struct BlockNode BlockNode;
typedef struct BlockQueue BlockQueue;
typedef struct BlockRequest BlockRequest;

typedef enum BlockAio {
    BLOCK_AIO_IO_URING, /* the iothread's; threads where the kernel has none for us */
    BLOCK_AIO_THREADS,
} BlockAio;

/* Where an NBD server listens, and which of its exports is meant. */
typedef struct BlockServer {
    const char *path;   /* a unix socket's; NULL: host and port */
    const char *host;
    const char *port;
    const char *export; /* "": the server's default */
} BlockServer;

/* What a node is opened with. Nothing of it is kept. */
typedef struct BlockConfig {
    const char *driver;    /* "file", "host_device", "nbd", or one of qemu-storage-daemon's */
    const char *node_name;
    const char *filename;  /* of nbd and a daemon's: what the image is called in what is said */
    const BlockServer *server; /* of nbd */
    const char *options;   /* --blockdev of a daemon, but node-name, as key=value; else NULL */
    const char *const *objects; /* --object of a daemon; NULL: none */
    const BlockNode *image; /* if not NULL: what this one has open, whatever has that name now */
    const FdSets *fd_sets; /* where /dev/fdset/N is opened; NULL: nowhere */
    bool read_only;
    bool auto_read_only;   /* read-only, too, if it may not be written to */
    bool direct;           /* cache.direct: past the host's page cache */
    bool no_flush;         /* cache.no-flush: a flush does nothing */
    bool discard;          /* discard=unmap */
    BlockAio aio;
    OnOffAuto locking;     /* auto: where the kernel has locks of open files */
    bool at_start;         /* no option: the caller may wait for a program that is just ending */
} BlockConfig;

struct BlockNode {
    char *node_name;
    char *filename;
    const struct BlockDriver *driver;
    uint64_t bytes;               /* block_node_bytes() */
    uint32_t logical_block_size;  /* of the device below; 512 for a file */
    uint32_t physical_block_size; /* what is written at once */
    uint32_t request_alignment;   /* of offset and length; others cost a copy in another thread */
    uint32_t memory_alignment;    /* of each piece of memory; likewise */
    uint32_t discard_granularity;
    bool discard;                 /* BLOCK_DISCARD is done; else -EOPNOTSUPP */
    bool read_only;
    bool direct;
    bool in_memory;               /* of tmpfs, where direct I/O is a copy like any other */
    bool no_flush;
    bool failed;                  /* block_node_failed() */
    bool in_use;                  /* a device has claimed it */
    BlockAio aio;
    /* Main thread: the size, or failed, is another. Set by the device. */
    void (*changed)(void *opaque);
    void *changed_opaque;

    /* the block layer's own */
    int fd;
    bool lock;                    /* locking= */
    bool at_start;                /* of the config */
    struct NbdClient *nbd;        /* of a driver that has connections; NULL else */
    struct ImageDaemon *daemon;   /* its server, if that is a child of ours */
    unsigned n_queues;
    struct BlockWorkers *workers; /* NULL before there is a queue */
    struct BlockNotice *notice;
};

typedef enum BlockOp {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,   /* what was written, and completed, in any queue of the node is on the disk */
    BLOCK_DISCARD, /* what the range holds is undefined */
} BlockOp;

/* Embedded in its owner, who keeps it, iov and memory until @done. */
struct BlockRequest {
    BlockOp op;
    bool secure;       /* a discard that leaves no copy: block devices only, if they can */
    uint64_t offset;
    uint64_t bytes;    /* not of a flush */
    struct iovec *iov; /* of a read or write: @bytes in all; changed until @done */
    unsigned n_iov;
    /* In the queue's thread, never from within block_submit(). @res: 0 or -errno. */
    void (*done)(BlockRequest *req, int res);

    /* the block layer's own */
    BlockQueue *queue;
    BlockRequest *next;
    IoRequest io;
    IoTask task;
    uint64_t pos;      /* so many bytes are done */
    struct iovec *at;  /* what comes next of @iov */
    unsigned n_at;
    int res;
    unsigned part;     /* bytes under way, where it is done in parts */
    void *bounce;      /* a copy of those; NULL: none */
};

/* Embedded in its owner; not copied. All of it is the block layer's own. */
struct BlockQueue {
    BlockNode *node;
    IoThread *thread;
    IoInflight inflight;
    bool use_ring;
    uint64_t measured_ns;  /* io_clock_ns() at which the file was as long as it should be */
    unsigned under_way;    /* in the ring, with the workers, or in here */
    BlockRequest *waiting; /* for room in the ring */
    BlockRequest **waiting_end;
    struct BlockHere {     /* what the queue's thread does itself: see here.c */
        enum BlockHereUse { BLOCK_HERE_NEVER, BLOCK_HERE_TRY, BLOCK_HERE_YES } reads, writes;
        IoLate late;
        BlockRequest *first; /* for the end of the round */
        BlockRequest **end;
        unsigned n, max;
        uint64_t pause_end;  /* io_clock_ns(); 0: there is none */
    } here;
    unsigned at_workers;   /* under their lock: requests they have, until they let go of us */
    struct NbdConn *nbd;   /* of a node with connections */
};

/* Opens an image. NULL: it says why, in QEMU's words where QEMU has them. Main thread. */
BlockNode *block_node_open(const BlockConfig *config, GError **error);
void block_node_free(BlockNode *node); /* without queues; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockNode, block_node_free)

/*
 * A device has the node from now on, which must not be in use; @writes: and writes to it. Locks
 * the image as QEMU does: nobody else writes to it, unless @share_rw, and those that mind our
 * writing have not opened it. False: another process has it. Main thread.
 */
bool block_node_claim(BlockNode *node, bool writes, bool share_rw, GError **error);
/* The device has it no more. Its queues are gone, and nothing of it is under way. */
void block_node_release(BlockNode *node);

/*
 * A file becomes @bytes long, a multiple of 512; a block device has that size already. Tells the
 * device by changed(). Main thread; requests may be under way, those beyond the end fail.
 */
bool block_node_resize(BlockNode *node, uint64_t bytes, GError **error);
/* Looks what size it is, as somebody else may have changed it, and tells the device. Likewise. */
bool block_node_refresh(BlockNode *node, GError **error);

/* In bytes, a multiple of 512. Any thread. */
static inline uint64_t block_node_bytes(const BlockNode *node)
{
    return __atomic_load_n(&node->bytes, __ATOMIC_RELAXED);
}

/* Bytes that a file takes of its file system, which may be less; -1: not known. Main thread. */
int64_t block_node_allocated(const BlockNode *node);

/*
 * A flush failed, the server of the image is gone, or its file was made shorter by somebody else:
 * what was written before may be lost, and a later flush would not know of it.
 * All requests fail from then on, until the image is opened again. Any thread.
 */
static inline bool block_node_failed(const BlockNode *node)
{
    return __atomic_load_n(&node->failed, __ATOMIC_RELAXED);
}

/*
 * A way to @node for the thread @t; any number of them. False: no threads for it, or no
 * connection, for which it waits a bounded time. Main thread.
 */
bool block_queue_init(BlockQueue *q, BlockNode *node, IoThread *t, GError **error);
/* Nothing is under way, its thread is still there. Main thread; all zeros, or twice, is fine. */
void block_queue_done(BlockQueue *q);

/*
 * Takes on @req. Never waits, allocates nothing; any number may be under way. There is no order
 * among requests that are under way together, and none between them where they overlap.
 * Thread of @q.
 */
void block_submit(BlockQueue *q, BlockRequest *req);

/*
 * What a task's run() returns: it completes once no request is under way. The owner submits
 * nothing meanwhile. Thread of @q.
 */
static inline bool block_queue_drain(BlockQueue *q, IoTask *drain)
{
    return io_inflight_drain(&q->inflight, drain);
}

#endif
