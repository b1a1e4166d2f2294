/*
 * A connection to an NBD server, which one thread has. Requests of its own queue start at once,
 * those of other threads' come and go by tasks.
 *
 * libnbd takes one piece of memory: requests of more go by a buffer, of which there are few. It
 * tells of an end from within a call of ours, and so also from within block_submit(): what has
 * ended is put on a list, and the list is gone through later.
 *
 * A connection that ends takes the node with it. Nobody knows what the server has lost of what it
 * had acknowledged, and a flush of a new connection would be said to have written it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "nbd.h"
#include "util/container-of.h"

#define TRIM_BYTES (1u << 30) /* of one command */
#define REPLIES    64u        /* in a row, before others of the thread have their turn */

static void list_add(NbdList *l, BlockRequest *req)
{
    req->next = NULL;
    *(l->end ? l->end : &l->first) = req;
    l->end = &req->next;
}

static BlockRequest *list_take(NbdList *l)
{
    BlockRequest *req = l->first;

    if (req) {
        l->first = req->next;
        l->end = l->first ? l->end : NULL;
    }
    return req;
}

/* --- buffers --- */

static bool conn_take_buffer(NbdConn *conn, BlockRequest *req)
{
    unsigned i;

    if (conn->free == 0) {
        return false;
    }
    i = (unsigned)__builtin_ctz(conn->free);
    conn->free &= ~(1u << i);
    req->bounce = conn->buffers + (size_t)i * NBD_BOUNCE_BYTES;
    return true;
}

static void conn_put_buffer(NbdConn *conn, BlockRequest *req)
{
    if (req->bounce) {
        conn->free |= 1u << (unsigned)(((char *)req->bounce - conn->buffers) / NBD_BOUNCE_BYTES);
        req->bounce = NULL;
    }
}

/* The part that is under way, between the buffer and the memory of @req. */
static void copy_part(const BlockRequest *req)
{
    const struct iovec *at = req->at;
    char *buf = req->bounce;

    for (size_t left = req->part; left > 0; at++) {
        size_t n = MIN(left, at->iov_len);

        if (req->op == BLOCK_READ) {
            memcpy(at->iov_base, buf, n);
        } else {
            memcpy(buf, at->iov_base, n);
        }
        buf += n;
        left -= n;
    }
}

/* --- what begins --- */

void nbd_conn_watch(NbdConn *conn)
{
    uint32_t events = EPOLLRDHUP;
    unsigned direction;

    if (conn->events == 0) {
        return;
    }
    direction = nbd_aio_get_direction(conn->nbd);
    events |= direction & LIBNBD_AIO_DIRECTION_READ ? EPOLLIN : 0;
    events |= direction & LIBNBD_AIO_DIRECTION_WRITE ? EPOLLOUT : 0;
    if (events != conn->events) {
        conn->events = events;
        io_thread_modify_source(conn->thread, &conn->source, events);
    }
}

static void conn_finished(NbdConn *conn, BlockRequest *req, int res)
{
    req->res = res;
    list_add(&conn->finished, req);
    if (!conn->posted) {
        conn->posted = true;
        io_thread_post(conn->thread, &conn->task);
    }
}

/* By libnbd, with its lock of the handle. 1: it may forget the command. */
static int conn_done(void *opaque, int *error)
{
    BlockRequest *req = opaque;
    NbdConn *conn = req->queue->nbd;

    conn->under_way--;
    conn_finished(conn, req, -*error);
    return 1;
}

/* Chooses the next part. False: it takes a buffer, and there is none. */
static bool conn_prepare(NbdConn *conn, BlockRequest *req)
{
    uint64_t left = req->bytes - req->pos;

    req->part = 0;
    req->bounce = NULL;
    if (req->op == BLOCK_DISCARD) {
        req->part = (unsigned)MIN(left, TRIM_BYTES);
    } else if (req->op != BLOCK_FLUSH && req->n_at == 1) {
        req->part = (unsigned)MIN(left, conn->info->max);
    } else if (req->op != BLOCK_FLUSH) {
        if (!conn_take_buffer(conn, req)) {
            return false;
        }
        req->part = (unsigned)MIN(left, MIN(conn->info->max, NBD_BOUNCE_BYTES));
        if (req->op == BLOCK_WRITE) {
            copy_part(req);
        }
    }
    return true;
}

static int64_t conn_issue(NbdConn *conn, BlockRequest *req)
{
    nbd_completion_callback done = { .callback = conn_done, .user_data = req };
    void *memory = req->bounce || req->n_at == 0 ? req->bounce : req->at->iov_base;
    uint64_t at = req->offset + req->pos;

    switch (req->op) {
    case BLOCK_READ:
        return nbd_aio_pread(conn->nbd, memory, req->part, at, done, 0);
    case BLOCK_WRITE:
        return nbd_aio_pwrite(conn->nbd, memory, req->part, at, done, 0);
    case BLOCK_FLUSH:
        return nbd_aio_flush(conn->nbd, done, 0);
    default:
        return nbd_aio_trim(conn->nbd, req->part, at, done, 0);
    }
}

/* What the server is asked for; where that is not possible, it ends here. */
static void conn_ask(NbdConn *conn, BlockRequest *req)
{
    conn->under_way++;
    if (conn_issue(conn, req) < 0) {
        conn->under_way--;
        conn_finished(conn, req, -EIO);
    }
}

static void conn_start(NbdConn *conn, BlockRequest *req)
{
    if (conn->held) {
        list_add(&conn->waiting, req);
    } else if (conn->dead) {
        conn_finished(conn, req, -EIO);
    } else if (req->op == BLOCK_FLUSH && !conn->info->can_flush) {
        conn_finished(conn, req, 0);
    } else if (req->op == BLOCK_DISCARD && req->secure) {
        conn_finished(conn, req, -EOPNOTSUPP);
    } else if (!conn_prepare(conn, req)) {
        list_add(&conn->waiting, req);
    } else {
        conn_ask(conn, req);
    }
}

static bool conn_start_task(IoTask *task)
{
    BlockRequest *req = container_of(task, BlockRequest, task);
    NbdConn *conn = req->queue->nbd;

    conn_start(conn, req);
    nbd_conn_watch(conn);
    return true;
}

void nbd_conn_submit(NbdConn *conn, BlockRequest *req)
{
    if (conn->thread == req->queue->thread) {
        conn_start(conn, req);
        nbd_conn_watch(conn);
        return;
    }
    req->task = (IoTask){ .run = conn_start_task };
    io_thread_post(conn->thread, &req->task);
}

/* --- what ends --- */

static bool conn_end_task(IoTask *task)
{
    BlockRequest *req = container_of(task, BlockRequest, task);

    block_request_end(req, req->res);
    return true;
}

static void conn_end(NbdConn *conn, BlockRequest *req)
{
    BlockQueue *q = req->queue;

    if (req->op == BLOCK_FLUSH && req->res < 0 && !conn->dead) {
        block_notice_error(q->node->notice, BLOCK_FLUSH, -req->res);
        block_notice_failed(q->node->notice);
    }
    if (conn->thread == q->thread) {
        block_request_end(req, req->res);
        return;
    }
    req->task = (IoTask){ .run = conn_end_task };
    io_thread_post(q->thread, &req->task);
}

/* A part of @req is done, or failed. */
static void conn_part_done(NbdConn *conn, BlockRequest *req)
{
    if (req->res == 0 && req->bounce && req->op == BLOCK_READ) {
        copy_part(req);
    }
    conn_put_buffer(conn, req);
    if (req->res == 0 && req->op == BLOCK_DISCARD) {
        req->pos += req->part;
    } else if (req->res == 0 && req->op != BLOCK_FLUSH) {
        block_request_advance(req, req->part);
    }
    if (req->res == 0 && req->op != BLOCK_FLUSH && req->pos < req->bytes) {
        conn_start(conn, req);
    } else {
        conn_end(conn, req);
    }
}

/* First of all, the node: nothing that is told of its requests may be taken for the last word. */
static void conn_look_if_dead(NbdConn *conn)
{
    BlockRequest *req;

    if (conn->events == 0 || !(nbd_aio_is_dead(conn->nbd) || nbd_aio_is_closed(conn->nbd))) {
        return;
    }
    __atomic_store_n(&conn->dead, true, __ATOMIC_RELAXED);
    io_thread_remove_source(conn->thread, &conn->source);
    conn->events = 0;
    block_notice_lost(conn->node->notice);
    while ((req = list_take(&conn->waiting)) != NULL) {
        conn_finished(conn, req, -EIO);
    }
}

/* Goes through what has ended. Errors of a dead connection are the connection's. */
static void conn_settle(NbdConn *conn)
{
    BlockRequest *req;

    conn_look_if_dead(conn);
    while ((req = list_take(&conn->finished)) != NULL) {
        if (conn->dead && req->res < 0) {
            req->res = -EIO;
        }
        conn_part_done(conn, req);
        if (!conn->held && conn->free != 0 && (req = list_take(&conn->waiting)) != NULL) {
            conn_start(conn, req);
        }
    }
    nbd_conn_watch(conn);
}

bool nbd_conn_task(IoTask *task)
{
    NbdConn *conn = container_of(task, NbdConn, task);

    conn->posted = false;
    conn_settle(conn);
    return true;
}

static bool conn_has_input(const NbdConn *conn)
{
    struct pollfd p = { .fd = conn->source.fd, .events = POLLIN };

    return poll(&p, 1, 0) > 0;
}

/*
 * One call takes one reply, or a part of it, and must not be made when there is nothing to read:
 * libnbd waits for the rest of a reply then, and sends no request meanwhile.
 */
static void conn_read(NbdConn *conn)
{
    unsigned n = 0;

    do {
        if ((nbd_aio_get_direction(conn->nbd) & LIBNBD_AIO_DIRECTION_READ) == 0 ||
            nbd_aio_notify_read(conn->nbd) < 0) {
            return;
        }
    } while (++n < REPLIES && conn_has_input(conn));
}

void nbd_conn_ready(IoSource *s, uint32_t events)
{
    NbdConn *conn = container_of(s, NbdConn, source);

    if ((events & EPOLLOUT) != 0 &&
        (nbd_aio_get_direction(conn->nbd) & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
        (void)nbd_aio_notify_write(conn->nbd);
    }
    if ((events & ~EPOLLOUT) != 0) {
        conn_read(conn);
    }
    conn_settle(conn);
}

/* --- as long as it is in a thread --- */

void nbd_conn_enter(NbdConn *conn)
{
    conn->events = EPOLLRDHUP;
    if (io_thread_add_source(conn->thread, &conn->source, conn->events) < 0) {
        conn->dead = true; /* no memory for it: requests fail */
        conn->events = 0;
    }
    nbd_conn_watch(conn);
}

void nbd_conn_leave(NbdConn *conn)
{
    if (conn->events != 0) {
        io_thread_remove_source(conn->thread, &conn->source);
        conn->events = 0;
    }
}

void nbd_conn_set_held(NbdConn *conn, bool held)
{
    NbdList waiting = conn->waiting;
    BlockRequest *req;

    conn->held = held;
    if (held) {
        return;
    }
    conn->waiting = (NbdList){ 0 };
    while ((req = list_take(&waiting)) != NULL) {
        conn_start(conn, req);
    }
    nbd_conn_watch(conn);
}

bool nbd_conn_is_idle(const NbdConn *conn)
{
    return conn->under_way == 0 && !conn->finished.first && !conn->posted;
}
