/*
 * What the parts of the block layer share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BLOCK_INTERNAL_H
#define BLOCK_BLOCK_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "block/block.h"

/* A kind of image. Main thread, but for what says otherwise. */
typedef struct BlockDriver {
    const char *name;
    /* Opens what @config says; the limits of @node, read_only and discard are right then. */
    bool (*open)(BlockNode *node, const BlockConfig *config, GError **error);
    /* Also of one that is half open. Optional. */
    void (*close)(BlockNode *node);
    /* How long it is, in bytes; or -errno. */
    int64_t (*measure)(const BlockNode *node);
    bool (*resize)(BlockNode *node, uint64_t bytes, GError **error);
    bool may_shrink; /* anybody may make it shorter meanwhile, and a write longer again */
    /* A device has it from now on. Optional. */
    void (*claimed)(BlockNode *node);

    /* Of an image that has a descriptor, node->fd, for io_uring and workers: */
    /* Whether a file of this kind is one; sets @error. */
    bool (*accepts)(const BlockNode *node, const struct stat *st, GError **error);
    /* Fills in the limits of @node, whose file is open. */
    bool (*find_limits)(BlockNode *node, GError **error);
    /* In a worker, which waits: 0 or -errno. */
    int (*discard)(BlockNode *node, const BlockRequest *req);

    /* Of one that has its own way for requests; else all three are NULL: */
    bool (*queue_init)(BlockQueue *q, GError **error);
    void (*queue_done)(BlockQueue *q); /* nothing is under way */
    /* Takes on @req, which was checked, and ends it by block_request_end(). The queue's thread. */
    void (*submit)(BlockQueue *q, BlockRequest *req);
} BlockDriver;

extern const BlockDriver block_file;
extern const BlockDriver block_host_device;
extern const BlockDriver block_nbd;
extern const BlockDriver block_daemon; /* all that qemu-storage-daemon has */

/* What direct I/O asks for: node->request_alignment and memory_alignment. */
bool block_find_alignment(BlockNode *node, GError **error);

/* --- requests --- */

/* @n more bytes are done: what comes next is not empty. */
void block_request_advance(BlockRequest *req, uint64_t n);
/* Whether what is left of a read or write can be done without a copy. */
bool block_request_aligned(const BlockRequest *req);
/* In a worker: all that is left of a read or write. 0 or -errno. @buf: of BLOCK_BOUNCE bytes. */
int block_file_io(BlockRequest *req, void *buf, pthread_mutex_t *rmw_lock);
#define BLOCK_BOUNCE (256u * 1024)

/* What is left of a read or write goes to io_uring or to a worker. Thread of the queue. */
void block_request_start(BlockRequest *req);
/*
 * A call for @req, which counted as under way, did @res bytes or failed with -errno: @req ends, or
 * what is left of it goes on. Thread of the queue, where nothing of it is used afterwards.
 */
void block_request_went(BlockRequest *req, int res);

/* --- here: what the thread of a queue does itself --- */

void block_here_init(BlockQueue *q);
/* Takes on @req for the end of the round. False: it is not for us. Thread of the queue. */
bool block_here_add(BlockQueue *q, BlockRequest *req);

/* --- workers: threads of a node for what io_uring does not do --- */

typedef struct BlockWorkers BlockWorkers;

BlockWorkers *block_workers_new(BlockNode *node, GError **error);
void block_workers_free(BlockWorkers *w); /* nothing is under way; NULL is fine */
/* Does @req, and has its queue's thread finish it. Thread of the queue. */
void block_workers_add(BlockWorkers *w, BlockRequest *req);
/* Returns when no worker touches @q any more, nothing of which is under way. Main thread. */
void block_workers_leave(BlockWorkers *w, const BlockQueue *q);

/* In the thread of the queue, by way of its task: req->res says how it ended. */
bool block_request_finished(IoTask *task);
/* For a driver's submit(), in the thread of the queue, but not from within submit() itself. */
void block_request_end(BlockRequest *req, int res);

/* --- what other threads tell the main thread --- */

typedef struct BlockNotice BlockNotice;

BlockNotice *block_notice_new(BlockNode *node, GError **error);
void block_notice_free(BlockNotice *n); /* NULL is fine */
/* A request failed by no fault of its owner's: for the log. Any thread. */
void block_notice_error(BlockNotice *n, BlockOp op, int err);
/* The node has failed: a flush did. Any thread. */
void block_notice_failed(BlockNotice *n);
/* The node has failed: its server is gone. Any thread. */
void block_notice_lost(BlockNotice *n);
/* The node has failed: somebody else made its file shorter. Any thread. */
void block_notice_shrunk(BlockNotice *n);

/* --- locks --- */

bool block_lock_available(void);
/* Takes those that QEMU would: see lock.c. False: none are held. */
bool block_lock(BlockNode *node, bool writes, bool share_rw, GError **error);
void block_unlock(BlockNode *node);

#endif
