/*
 * Small requests that the thread of a queue does itself, at the end of its round.
 *
 * A write to the host's cache is a copy. Many file systems (ext4, tmpfs) and block devices have no
 * way to do it without the right to wait, RWF_NOWAIT, so io_uring hands each to a kernel thread,
 * which costs more than the copy. Where there is that way, io_uring does it at once, and better.
 * Reads have it nearly everywhere; where not, several kernel threads do them at a time, which
 * writes to one file cannot have. What tmpfs reads (without that way since Linux 6.5) is a copy at
 * all times, so that is done here.
 *
 * A copy may have to wait all the same: for the disk, room in the cache, or another writer. Others
 * of the thread must not wait with it: the share of a round is bounded, in time as well, and after
 * a round that waited io_uring has all for a hundred times as long.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "block-internal.h"
#include "util/container-of.h"

/* A queue's share of a round: requests, and bytes of each, or of one with nothing beside it. */
#define ROUND_REQUESTS 16u
#define MEMORY_ROUND_REQUESTS 64u /* of a file in memory, where a copy seldom waits */
#define REQUEST_MAX    (16u << 10)
#define ALONE_MAX      (128u << 10)
#define ROUND_NS       500000u /* no other one begins after it */

#define PAUSE_FACTOR 100u
#define PAUSE_MIN_NS 10000000u
#define PAUSE_MAX_NS 1000000000u

/* How often the thread has waited in the kernel, for something else than a processor. */
static long thread_waits(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

static ssize_t copy_once(const BlockRequest *req, bool may_wait)
{
    off_t at = (off_t)(req->offset + req->pos);
    int n = (int)MIN(req->n_at, (unsigned)IOV_MAX);
    int fd = req->queue->node->fd;

    if (req->op == BLOCK_READ) {
        return may_wait ? preadv(fd, req->at, n, at) : preadv2(fd, req->at, n, at, RWF_NOWAIT);
    }
    return may_wait ? pwritev(fd, req->at, n, at) : pwritev2(fd, req->at, n, at, RWF_NOWAIT);
}

/* Bytes or -errno. */
static int copy_result(const BlockRequest *req, bool may_wait)
{
    ssize_t r = copy_once(req, may_wait);

    return r < 0 ? -errno : (int)r;
}

static enum BlockHereUse *use_of(struct BlockHere *h, const BlockRequest *req)
{
    return req->op == BLOCK_READ ? &h->reads : &h->writes;
}

/* Bytes or -errno; -EAGAIN: a worker finds out. The first one shows if there is a way for it. */
static int copy_here(enum BlockHereUse *use, const BlockRequest *req)
{
    if (*use == BLOCK_HERE_TRY) {
        int r = copy_result(req, false);

        if (r != -EOPNOTSUPP) {
            *use = BLOCK_HERE_NEVER;
            return r < 0 ? -EAGAIN : r;
        }
        *use = BLOCK_HERE_YES;
    }
    return *use == BLOCK_HERE_YES ? copy_result(req, true) : -EAGAIN;
}

/* Returns the first that is not done, to which there is no time; NULL: all are. */
static BlockRequest *copy_list(struct BlockHere *h, BlockRequest *req)
{
    uint64_t begin = io_clock_ns(), now = begin;
    long waits = thread_waits();

    for (; req && now - begin < ROUND_NS; req = req->next) {
        req->res = copy_here(use_of(h, req), req);
        now = io_clock_ns();
    }
    if (thread_waits() != waits) {
        h->pause_end = now + CLAMP((now - begin) * PAUSE_FACTOR, PAUSE_MIN_NS, PAUSE_MAX_NS);
    }
    return req;
}

/* With the last request the queue may go. */
static void here_run(IoLate *late)
{
    struct BlockHere *h = container_of(late, struct BlockHere, late);
    BlockRequest *req = h->first;
    BlockRequest *next, *left;

    h->first = NULL;
    h->end = &h->first;
    h->n = 0;
    left = copy_list(h, req);
    for (; req != left; req = next) {
        next = req->next;
        block_request_went(req, req->res);
    }
    for (; req; req = next) {
        next = req->next;
        req->queue->under_way--;
        block_request_start(req);
    }
}

void block_here_init(BlockQueue *q)
{
    const BlockNode *node = q->node;
    bool io_uring = node->fd >= 0 && node->aio == BLOCK_AIO_IO_URING;

    q->here = (struct BlockHere){
        .reads = io_uring && node->in_memory ? BLOCK_HERE_TRY : BLOCK_HERE_NEVER,
        .writes = io_uring && (node->in_memory || !node->direct) ? BLOCK_HERE_TRY :
                                                                   BLOCK_HERE_NEVER,
        .max = node->in_memory ? MEMORY_ROUND_REQUESTS : ROUND_REQUESTS,
        .late.run = here_run,
    };
    q->here.end = &q->here.first;
}

static bool paused(struct BlockHere *h)
{
    if (h->pause_end != 0 && io_clock_ns() >= h->pause_end) {
        h->pause_end = 0;
    }
    return h->pause_end != 0;
}

static bool is_copy(const BlockRequest *req)
{
    return req->op == BLOCK_READ || req->op == BLOCK_WRITE;
}

bool block_here_add(BlockQueue *q, BlockRequest *req)
{
    struct BlockHere *h = &q->here;
    uint64_t max = q->inflight.n == 1 ? ALONE_MAX : REQUEST_MAX;

    if (!is_copy(req) || *use_of(h, req) == BLOCK_HERE_NEVER || req->bytes > max ||
        h->n == h->max || !block_request_aligned(req) || paused(h)) {
        return false;
    }
    q->under_way++;
    req->next = NULL;
    *h->end = req;
    h->end = &req->next;
    if (h->n++ == 0) {
        io_thread_run_late(q->thread, &h->late);
    }
    return true;
}
