/*
 * A request's way: checked, then by the thread itself (here.c), its io_uring, or by a worker where
 * that does not do it; what was done in part goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <liburing.h>
#include <limits.h>

#include "block-internal.h"
#include "util/container-of.h"

#define IO_MAX (1u << 30) /* of one piece in one go; the result is an int */
#define MEASURE_NS 1000000u /* a file is measured so often */

/* --- its end --- */

static void run_waiting(BlockQueue *q);

/* The end of a drain comes last: @q may be gone after it. */
static void complete(BlockRequest *req, int res)
{
    BlockQueue *q = req->queue;

    req->done(req, res);
    run_waiting(q);
    io_inflight_end(&q->inflight);
}

/* After something was tried: an error that the operator should know. */
static void complete_tried(BlockRequest *req, int res)
{
    if (res < 0 && res != -EOPNOTSUPP) {
        block_notice_error(req->queue->node->notice, req->op, -res);
    }
    complete(req, res);
}

bool block_request_finished(IoTask *task)
{
    BlockRequest *req = container_of(task, BlockRequest, task);

    req->queue->under_way--;
    complete_tried(req, req->res);
    return true;
}

/* Of a node that has failed there is nothing more to say. */
void block_request_end(BlockRequest *req, int res)
{
    if (block_node_failed(req->queue->node)) {
        complete(req, res);
    } else {
        complete_tried(req, res);
    }
}

static void give_to_workers(BlockQueue *q, BlockRequest *req)
{
    q->under_way++;
    block_workers_add(q->node->workers, req);
}

/* --- reads and writes by io_uring --- */

static void prepare(const BlockRequest *req, struct io_uring_sqe *sqe)
{
    const struct iovec *at = req->at;
    uint64_t offset = req->offset + req->pos;
    unsigned len = (unsigned)MIN(at->iov_len, IO_MAX);
    unsigned n = MIN(req->n_at, (unsigned)IOV_MAX);
    int fd = req->queue->node->fd;

    if (n == 1 && req->op == BLOCK_READ) {
        io_uring_prep_read(sqe, fd, at->iov_base, len, offset);
    } else if (n == 1) {
        io_uring_prep_write(sqe, fd, at->iov_base, len, offset);
    } else if (req->op == BLOCK_READ) {
        io_uring_prep_readv(sqe, fd, at, n, offset);
    } else {
        io_uring_prep_writev(sqe, fd, at, n, offset);
    }
}

/*
 * What is left of @req. False: there is no room for now. If others have filled the ring, and
 * nothing of ours is under way whose end we would hear of, a worker does it.
 */
static bool start(BlockQueue *q, BlockRequest *req)
{
    struct io_uring_sqe *sqe = NULL;

    if (q->use_ring && block_request_aligned(req)) {
        sqe = io_thread_get_sqe(q->thread, &req->io);
        q->use_ring = sqe || errno == EAGAIN;
        if (!sqe && q->use_ring && q->under_way > 0) {
            return false;
        }
    }
    if (!sqe) {
        give_to_workers(q, req);
        return true;
    }
    q->under_way++;
    prepare(req, sqe);
    return true;
}

void block_request_start(BlockRequest *req)
{
    BlockQueue *q = req->queue;

    if (!start(q, req)) {
        req->next = NULL;
        *q->waiting_end = req;
        q->waiting_end = &req->next;
    }
}

static void run_waiting(BlockQueue *q)
{
    while (q->waiting) {
        BlockRequest *next = q->waiting->next;

        if (!start(q, q->waiting)) {
            return;
        }
        q->waiting = next;
        if (!next) {
            q->waiting_end = &q->waiting;
        }
    }
}

void block_request_went(BlockRequest *req, int res)
{
    BlockQueue *q = req->queue;

    q->under_way--;
    if (res > 0) {
        block_request_advance(req, (uint64_t)res);
    }
    if (res == -EINTR || res == -EAGAIN) {
        give_to_workers(q, req);
    } else if (res == 0) {
        complete_tried(req, -EIO); /* the file ends here: somebody made it shorter */
    } else if (res < 0 || req->pos == req->bytes) {
        complete_tried(req, MIN(res, 0));
    } else {
        block_request_start(req);
    }
}

static void ring_done(IoRequest *io, int res)
{
    block_request_went(container_of(io, BlockRequest, io), res);
}

/* --- its beginning --- */

/* 0 or -errno. */
static int check_range(const BlockRequest *req)
{
    uint64_t size = block_node_bytes(req->queue->node);

    return req->offset > size || req->bytes > size - req->offset ? -EIO : 0;
}

/* The device made it: that its memory has another length than it is a fault of the device's. */
static int check_memory(const BlockRequest *req)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < req->n_iov; i++) {
        bytes += req->iov[i].iov_len;
    }
    return bytes == req->bytes ? 0 : -EINVAL;
}

/*
 * Somebody made the file shorter. What was behind its new end is lost, and the next write there
 * makes a hole before it, which reads as zeros. Nothing tells of it, so the file is measured: not
 * for each request, which would cost too much, but before those that would hide it. A write up to
 * the end makes the file as long as it was, a flush says that all is there.
 */
static bool has_shrunk(BlockQueue *q, const BlockRequest *req)
{
    const BlockNode *node = q->node;
    uint64_t before = block_node_bytes(node);
    bool hides = req->op == BLOCK_FLUSH ||
                 (req->op == BLOCK_WRITE && req->offset + req->bytes == before);
    uint64_t now;
    int64_t bytes;

    if (!node->driver->may_shrink) {
        return false;
    }
    now = io_clock_ns();
    if (!hides && now - q->measured_ns < MEASURE_NS) {
        return false;
    }
    q->measured_ns = now;
    bytes = node->driver->measure(node);
    /* twice: a resize is no fault, whichever of length and node->bytes it changes first */
    return bytes >= 0 && (uint64_t)bytes < MIN(before, block_node_bytes(node));
}

/* 1: go on; 0 or -errno: that is its result. */
static int check(const BlockRequest *req)
{
    const BlockNode *node = req->queue->node;
    int r;

    if (block_node_failed(node)) {
        return -EIO;
    }
    if (has_shrunk(req->queue, req)) {
        block_notice_shrunk(node->notice);
        return -EIO;
    }
    if (req->op == BLOCK_FLUSH) {
        return !node->read_only && !node->no_flush;
    }
    if (req->op != BLOCK_READ && node->read_only) {
        return -EROFS;
    }
    r = check_range(req);
    if (r == 0 && req->op == BLOCK_DISCARD && !node->discard) {
        r = -EOPNOTSUPP;
    }
    if (r == 0 && req->op != BLOCK_DISCARD) {
        r = check_memory(req);
    }
    return r < 0 ? r : req->bytes > 0;
}

static bool refused(IoTask *task)
{
    BlockRequest *req = container_of(task, BlockRequest, task);

    complete(req, req->res);
    return true;
}

void block_submit(BlockQueue *q, BlockRequest *req)
{
    req->queue = q;
    req->io.done = ring_done;
    req->pos = 0;
    req->at = req->iov;
    req->n_at = req->n_iov;
    block_request_advance(req, 0);
    io_inflight_begin(&q->inflight);
    req->res = check(req);
    if (req->res <= 0) {
        req->task = (IoTask){ .run = refused };
        io_thread_post(q->thread, &req->task);
    } else if (q->node->driver->submit) {
        q->node->driver->submit(q, req);
    } else if (req->op == BLOCK_FLUSH || req->op == BLOCK_DISCARD) {
        give_to_workers(q, req);
    } else if (!block_here_add(q, req)) {
        block_request_start(req);
    }
}
