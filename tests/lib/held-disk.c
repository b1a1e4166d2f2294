/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "held-disk.h"

#include <unistd.h>

#include "util/container-of.h"

static HeldDisk *disk_of(const BlockQueue *q)
{
    return container_of(q->node->driver, HeldDisk, driver);
}

/* --- in the thread of the queue --- */

static int disk_io(const BlockRequest *req)
{
    off_t at = (off_t)req->offset;

    for (unsigned i = 0; i < req->n_iov; i++) {
        const struct iovec *v = &req->iov[i];
        int fd = req->queue->node->fd;
        ssize_t n = req->op == BLOCK_READ ? pread(fd, v->iov_base, v->iov_len, at)
                                          : pwrite(fd, v->iov_base, v->iov_len, at);

        g_assert_cmpint(n, ==, (ssize_t)v->iov_len);
        at += n;
    }
    return 0;
}

static void disk_end(BlockRequest *req)
{
    HeldDisk *d = disk_of(req->queue);
    int res = __atomic_load_n(&d->error[req->op], __ATOMIC_ACQUIRE);

    if (res == 0 && (req->op == BLOCK_READ || req->op == BLOCK_WRITE)) {
        res = disk_io(req);
    }
    block_request_end(req, res);
}

static bool disk_run(IoTask *task)
{
    disk_end(container_of(task, BlockRequest, task));
    return true;
}

typedef struct Delayed {
    IoTimer timer;
    BlockRequest *req;
} Delayed;

static void delay_over(IoTimer *timer)
{
    Delayed *t = container_of(timer, Delayed, timer);
    BlockRequest *req = t->req;

    __atomic_fetch_sub(&disk_of(req->queue)->held, 1, __ATOMIC_RELEASE);
    g_free(t);
    disk_end(req);
}

static void disk_delay(BlockRequest *req, unsigned ms)
{
    Delayed *t = g_new0(Delayed, 1);

    t->timer.fire = delay_over;
    t->req = req;
    __atomic_fetch_add(&disk_of(req->queue)->held, 1, __ATOMIC_RELEASE);
    io_thread_set_timer(req->queue->thread, &t->timer, io_clock_ns() + ms * 1000000ull);
}

static void disk_submit(BlockQueue *q, BlockRequest *req)
{
    HeldDisk *d = disk_of(q);
    unsigned delay_ms = __atomic_load_n(&d->delay_ms, __ATOMIC_ACQUIRE);
    bool hold;

    __atomic_fetch_add(&d->submitted[req->op], 1, __ATOMIC_RELEASE);
    if (req->op == BLOCK_DISCARD && req->secure) {
        __atomic_fetch_add(&d->secure, 1, __ATOMIC_RELEASE);
    }
    if (delay_ms > 0) {
        disk_delay(req, delay_ms);
        return;
    }
    pthread_mutex_lock(&d->lock);
    hold = d->hold;
    if (hold) {
        req->next = NULL;
        *d->end = req;
        d->end = &req->next;
        __atomic_fetch_add(&d->held, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&d->lock);
    if (!hold) {
        req->task = (IoTask) { .run = disk_run };
        io_thread_post(q->thread, &req->task);
    }
}

/* --- the test's --- */

static bool disk_queue_init(BlockQueue *q, GError **error)
{
    return true;
}

static void disk_queue_done(BlockQueue *q)
{
}

void held_disk_init(HeldDisk *d, BlockNode *node)
{
    *d = (HeldDisk) { .driver = *node->driver };
    pthread_mutex_init(&d->lock, NULL);
    d->end = &d->first;
    d->driver.queue_init = disk_queue_init;
    d->driver.queue_done = disk_queue_done;
    d->driver.submit = disk_submit;
    node->driver = &d->driver;
}

/* One that is held no more; NULL: there is none. */
static BlockRequest *disk_take(HeldDisk *d, bool last)
{
    BlockRequest **at = &d->first, *req;

    while (last && *at && (*at)->next) {
        at = &(*at)->next;
    }
    req = *at;
    if (req) {
        *at = req->next;
        d->end = *at ? d->end : at;
        __atomic_fetch_sub(&d->held, 1, __ATOMIC_RELEASE);
    }
    return req;
}

typedef struct Ending {
    IoThread *thread;
    GPtrArray *reqs;
} Ending;

static void end_all(void *opaque)
{
    const Ending *e = opaque;

    for (unsigned i = 0; i < e->reqs->len; i++) {
        BlockRequest *req = g_ptr_array_index(e->reqs, i);

        if (req && req->queue->thread == e->thread) {
            g_ptr_array_index(e->reqs, i) = NULL; /* another one may be in its place soon */
            disk_end(req);
        }
    }
}

void held_disk_end(HeldDisk *d, unsigned n, bool last)
{
    g_autoptr(GPtrArray) reqs = g_ptr_array_new();

    pthread_mutex_lock(&d->lock);
    for (; n > 0 && d->first; n--) {
        g_ptr_array_add(reqs, disk_take(d, last));
    }
    pthread_mutex_unlock(&d->lock);
    for (unsigned i = 0; i < reqs->len; i++) {
        BlockRequest *req = g_ptr_array_index(reqs, i);

        if (req) {
            Ending e = { req->queue->thread, reqs };

            io_thread_call(e.thread, end_all, &e);
        }
    }
}

void held_disk_hold(HeldDisk *d, bool hold)
{
    pthread_mutex_lock(&d->lock);
    d->hold = hold;
    pthread_mutex_unlock(&d->lock);
    if (!hold) {
        held_disk_end(d, UINT_MAX, false);
    }
}

void held_disk_delay(HeldDisk *d, unsigned ms)
{
    __atomic_store_n(&d->delay_ms, ms, __ATOMIC_RELEASE);
}

unsigned held_disk_held(const HeldDisk *d)
{
    return __atomic_load_n(&d->held, __ATOMIC_ACQUIRE);
}

unsigned held_disk_submitted(const HeldDisk *d, BlockOp op)
{
    return __atomic_load_n(&d->submitted[op], __ATOMIC_ACQUIRE);
}

void held_disk_fail(HeldDisk *d, BlockOp op, int err)
{
    __atomic_store_n(&d->error[op], err, __ATOMIC_RELEASE);
}
