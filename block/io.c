/*
 * Reads and writes by calls that wait, in a worker: those that io_uring does not do, and those
 * that direct I/O does not do as they are. The latter go by an aligned buffer, and a write that
 * begins or ends within a block reads that block first. Two of these could lose each other's
 * half, so there is one at a time of a node. (A write of whole blocks cannot come between unless
 * it overlaps the other one, and then the guest has asked for either.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "block-internal.h"

void block_request_advance(BlockRequest *req, uint64_t n)
{
    req->pos += n;
    while (req->n_at > 0 && n >= req->at->iov_len) { /* empty ones go, too: none is first */
        n -= req->at->iov_len;
        req->at++;
        req->n_at--;
    }
    if (n > 0) {
        req->at->iov_base = (char *)req->at->iov_base + n;
        req->at->iov_len -= n;
    }
}

bool block_request_aligned(const BlockRequest *req)
{
    const BlockNode *node = req->queue->node;
    uint64_t length = node->request_alignment - 1;
    uint64_t memory = node->memory_alignment - 1;
    uint64_t lengths = req->offset + req->pos;
    uint64_t places = 0;

    if ((length | memory) == 0) {
        return true;
    }
    for (unsigned i = 0; i < req->n_at; i++) {
        lengths |= req->at[i].iov_len;
        places |= (uintptr_t)req->at[i].iov_base;
    }
    return (lengths & length) == 0 && (places & memory) == 0;
}

/* --- by a buffer --- */

/* Part of a request: bytes @head to @head + @want of the blocks at @start. */
typedef struct Bounce {
    uint64_t start;
    size_t head;
    size_t want;
    size_t len; /* of the blocks */
    char *buf;
} Bounce;

static Bounce bounce_of(const BlockRequest *req, void *buf)
{
    uint64_t align = req->queue->node->request_alignment;
    uint64_t from = req->offset + req->pos;
    uint64_t left = req->bytes - req->pos;
    Bounce b = { .start = from / align * align, .buf = buf };

    b.head = from - b.start;
    b.len = MIN((b.head + left + align - 1) / align * align, BLOCK_BOUNCE);
    b.want = MIN(left, b.len - b.head);
    return b;
}

/* Reads the blocks; how much there was, less at the end of the file; or -errno. */
static ssize_t bounce_read(const BlockNode *node, const Bounce *b)
{
    size_t n = 0;

    while (n < b->len && n % node->request_alignment == 0) {
        ssize_t r = pread(node->fd, b->buf + n, b->len - n, (off_t)(b->start + n));

        if (r < 0 && errno != EINTR) {
            return -errno;
        }
        if (r == 0) {
            break;
        }
        n += r > 0 ? (size_t)r : 0;
    }
    return (ssize_t)n;
}

static int bounce_write(const BlockNode *node, const Bounce *b)
{
    size_t n = 0;

    while (n < b->len) {
        ssize_t r = pwrite(node->fd, b->buf + n, b->len - n, (off_t)(b->start + n));

        if (r == 0 || (r < 0 && errno != EINTR)) {
            return r == 0 ? -EIO : -errno;
        }
        n += r > 0 ? (size_t)r : 0;
    }
    return 0;
}

/* Moves what @b wants between its buffer and the memory of @req, which comes behind it. */
static void bounce_copy(BlockRequest *req, const Bounce *b, size_t want)
{
    char *buf = b->buf + b->head;

    while (want > 0) {
        size_t n = MIN(want, req->at->iov_len);

        if (req->op == BLOCK_READ) {
            memcpy(req->at->iov_base, buf, n);
        } else {
            memcpy(buf, req->at->iov_base, n);
        }
        block_request_advance(req, n);
        buf += n;
        want -= n;
    }
}

static int bounced_read(BlockRequest *req, const Bounce *b)
{
    ssize_t r = bounce_read(req->queue->node, b);

    if (r < 0) {
        return (int)r;
    }
    if ((size_t)r <= b->head) {
        return -EIO;
    }
    bounce_copy(req, b, MIN(b->want, (size_t)r - b->head));
    return 0;
}

/* A file that ends within its last block is as long as that block afterwards. */
static int bounced_write(BlockRequest *req, const Bounce *b, pthread_mutex_t *rmw_lock)
{
    const BlockNode *node = req->queue->node;
    ssize_t r;
    int err;

    if (b->head == 0 && b->want == b->len) {
        bounce_copy(req, b, b->want);
        return bounce_write(node, b);
    }
    pthread_mutex_lock(rmw_lock);
    r = bounce_read(node, b);
    err = (int)MIN(r, 0);
    if (r >= 0) {
        memset(b->buf + r, 0, b->len - (size_t)r);
        bounce_copy(req, b, b->want);
        err = bounce_write(node, b);
    }
    pthread_mutex_unlock(rmw_lock);
    return err;
}

static int bounce(BlockRequest *req, void *buf, pthread_mutex_t *rmw_lock)
{
    Bounce b = bounce_of(req, buf);

    if (!buf) {
        return -ENOMEM;
    }
    return req->op == BLOCK_READ ? bounced_read(req, &b) : bounced_write(req, &b, rmw_lock);
}

/* --- all of it --- */

/* One call. 0 or -errno. */
static int plain_io(BlockRequest *req)
{
    off_t at = (off_t)(req->offset + req->pos);
    int fd = req->queue->node->fd;
    int n = (int)MIN(req->n_at, (unsigned)IOV_MAX);
    ssize_t r = req->op == BLOCK_READ ? preadv(fd, req->at, n, at) : pwritev(fd, req->at, n, at);

    if (r > 0) {
        block_request_advance(req, (uint64_t)r);
    } else if (r == 0) {
        return -EIO;
    } else if (errno != EINTR) {
        return -errno;
    }
    return 0;
}

int block_file_io(BlockRequest *req, void *buf, pthread_mutex_t *rmw_lock)
{
    int r = 0;

    while (r == 0 && req->pos < req->bytes) {
        r = block_request_aligned(req) ? plain_io(req) : bounce(req, buf, rmw_lock);
    }
    return r;
}
