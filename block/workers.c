/*
 * Threads of a node that wait for the kernel: for flushes, discards, requests that need a copy,
 * and all others where there is no io_uring.
 *
 * A flush is one fdatasync() for all who wait at the time it begins, in whichever queue: those
 * who come later share the next one, as what they want flushed may have come too late. Discards
 * may take seconds, so half of the threads is left for the others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "block-internal.h"

#define THREADS_BESIDE_RING 4
#define THREADS_WITHOUT     16

typedef struct RequestList {
    BlockRequest *first;
    BlockRequest **end; /* NULL: &first */
} RequestList;

struct BlockWorkers {
    BlockNode *node;
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t left;     /* a queue's at_workers became 0 */
    pthread_mutex_t rmw_lock;
    RequestList requests;
    RequestList discards;
    RequestList flushes;     /* for the next fdatasync() */
    unsigned discarding;     /* threads that do */
    bool flushing;
    bool stop;
    unsigned n_threads;
    GThread *thread[THREADS_WITHOUT];
};

static void list_add(RequestList *l, BlockRequest *req)
{
    req->next = NULL;
    *(l->end ? l->end : &l->first) = req;
    l->end = &req->next;
}

static BlockRequest *list_take(RequestList *l)
{
    BlockRequest *req = l->first;

    if (req) {
        l->first = req->next;
        l->end = l->first ? l->end : NULL;
    }
    return req;
}

/* Without the lock. @req is its owner's from then on, its queue not until we let go of it. */
static void finish(BlockWorkers *w, BlockRequest *req, int res)
{
    BlockQueue *q = req->queue;

    req->res = res;
    req->task = (IoTask){ .run = block_request_finished };
    io_thread_post(q->thread, &req->task);
    pthread_mutex_lock(&w->lock);
    if (--q->at_workers == 0) {
        pthread_cond_broadcast(&w->left);
    }
    pthread_mutex_unlock(&w->lock);
}

/* The following three: with the lock, which they release meanwhile. */

static void do_flushes(BlockWorkers *w)
{
    RequestList flushes = w->flushes;
    BlockRequest *req;
    int res = -EIO;

    w->flushes = (RequestList){ 0 };
    w->flushing = true;
    pthread_mutex_unlock(&w->lock);
    if (!block_node_failed(w->node)) {
        res = fdatasync(w->node->fd) < 0 ? -errno : 0;
    }
    if (res < 0) {
        block_notice_failed(w->node->notice);
    }
    /* Told before the next one begins: who waits for that one came later. */
    while ((req = list_take(&flushes)) != NULL) {
        finish(w, req, res);
    }
    pthread_mutex_lock(&w->lock);
    w->flushing = false;
}

static void do_discard(BlockWorkers *w, BlockRequest *req)
{
    w->discarding++;
    pthread_mutex_unlock(&w->lock);
    finish(w, req, w->node->driver->discard(w->node, req));
    pthread_mutex_lock(&w->lock);
    w->discarding--;
}

static void do_request(BlockWorkers *w, BlockRequest *req, void *buf)
{
    pthread_mutex_unlock(&w->lock);
    finish(w, req, block_file_io(req, buf, &w->rmw_lock));
    pthread_mutex_lock(&w->lock);
}

/* With the lock. False: there is nothing to do. */
static bool work_once(BlockWorkers *w, void *buf)
{
    BlockRequest *req;

    if (w->flushes.first && !w->flushing) {
        do_flushes(w);
    } else if ((req = list_take(&w->requests)) != NULL) {
        do_request(w, req, buf);
    } else if (w->discarding < w->n_threads / 2 && (req = list_take(&w->discards)) != NULL) {
        do_discard(w, req);
    } else {
        return false;
    }
    return true;
}

static gpointer worker_main(gpointer opaque)
{
    BlockWorkers *w = opaque;
    void *buf = NULL;

    /* Without memory for it, requests that need it fail. */
    if (w->node->request_alignment > 1 || w->node->memory_alignment > 1) {
        size_t align = MAX(w->node->memory_alignment, w->node->request_alignment);

        if (posix_memalign(&buf, MAX(align, 4096), BLOCK_BOUNCE) != 0) {
            buf = NULL;
        }
    }
    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (work_once(w, buf)) {
            continue;
        }
        if (w->stop) {
            break;
        }
        pthread_cond_wait(&w->work, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    free(buf);
    return NULL;
}

void block_workers_add(BlockWorkers *w, BlockRequest *req)
{
    pthread_mutex_lock(&w->lock);
    req->queue->at_workers++;
    list_add(req->op == BLOCK_FLUSH ? &w->flushes :
             req->op == BLOCK_DISCARD ? &w->discards : &w->requests, req);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void block_workers_leave(BlockWorkers *w, const BlockQueue *q)
{
    pthread_mutex_lock(&w->lock);
    while (q->at_workers > 0) {
        pthread_cond_wait(&w->left, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}

BlockWorkers *block_workers_new(BlockNode *node, GError **error)
{
    BlockWorkers *w = g_new0(BlockWorkers, 1);
    unsigned n = node->aio == BLOCK_AIO_THREADS ? THREADS_WITHOUT : THREADS_BESIDE_RING;

    w->node = node;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->rmw_lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->left, NULL);
    for (unsigned i = 0; i < n; i++) {
        w->thread[i] = g_thread_try_new("block", worker_main, w, error);
        if (!w->thread[i]) {
            block_workers_free(w);
            return NULL;
        }
        pthread_mutex_lock(&w->lock);
        w->n_threads++;
        pthread_mutex_unlock(&w->lock);
    }
    return w;
}

void block_workers_free(BlockWorkers *w)
{
    if (!w) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n_threads; i++) {
        g_thread_join(w->thread[i]);
    }
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->left);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->rmw_lock);
    g_free(w);
}
