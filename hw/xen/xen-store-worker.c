/*
 * libxenstore knows no time-out and nothing asynchronous: a call returns when the server has
 * answered. Here each is handed to a thread; who handed it over waits for a bounded time. One
 * that takes longer is abandoned: until it has returned the store is stalled, and every other
 * call fails at once. So a server that stopped costs the main loop one wait, however much is
 * asked of it then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-store-worker.h"

#include <pthread.h>
#include <time.h>

struct StoreWorker {
    GThread *thread;
    unsigned wait_ms; /* its owner's */
    unsigned refs; /* atomic: the thread, its owner */
    pthread_mutex_t lock; /* for what follows; not GMutex: TSan cannot see into glib */
    pthread_cond_t work;
    pthread_cond_t done;
    GQueue calls;  /* StoreCall: to be run */
    bool stalled;
    bool ending;
};

static void worker_unref(StoreWorker *w)
{
    if (__atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    g_assert(g_queue_is_empty(&w->calls));
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->done);
    g_free(w);
}

/* With the lock. */
static void worker_run(StoreWorker *w, StoreCall *c)
{
    bool posted = c->posted;
    bool abandoned;

    pthread_mutex_unlock(&w->lock);
    c->run(c);
    pthread_mutex_lock(&w->lock);
    c->done = true;
    abandoned = c->abandoned;
    pthread_cond_broadcast(&w->done);
    if (abandoned) {
        /* what is taken back needs the server, too: still stalled */
        pthread_mutex_unlock(&w->lock);
        c->drop(c, true);
        pthread_mutex_lock(&w->lock);
        w->stalled &= posted;
    }
}

static gpointer worker_thread(gpointer opaque)
{
    StoreWorker *w = opaque;

    pthread_mutex_lock(&w->lock);
    while (!w->ending || !g_queue_is_empty(&w->calls)) {
        StoreCall *c = g_queue_pop_head(&w->calls);

        if (c) {
            worker_run(w, c);
        } else {
            pthread_cond_wait(&w->work, &w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
    worker_unref(w);
    return NULL;
}

StoreWorker *store_worker_new(void)
{
    StoreWorker *w = g_new0(StoreWorker, 1);
    pthread_condattr_t attr;

    w->refs = 2;
    w->wait_ms = STORE_WAIT_MS;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->done, &attr);
    pthread_condattr_destroy(&attr);
    g_queue_init(&w->calls);
    w->thread = g_thread_new("xenstore", worker_thread, w);
    return w;
}

void store_worker_end_soon(StoreWorker *w)
{
    w->wait_ms = STORE_WAIT_END_MS;
}

/* With the lock. True: it is done; else the worker drops it. */
static bool worker_wait(StoreWorker *w, StoreCall *c)
{
    gint64 end = g_get_monotonic_time() + w->wait_ms * G_TIME_SPAN_MILLISECOND;
    struct timespec ts = {
        .tv_sec = end / G_USEC_PER_SEC,
        .tv_nsec = end % G_USEC_PER_SEC * 1000,
    };

    g_queue_push_tail(&w->calls, c);
    pthread_cond_signal(&w->work);
    while (!c->done && pthread_cond_timedwait(&w->done, &w->lock, &ts) == 0) {
    }
    if (!c->done) {
        c->abandoned = true;
        w->stalled = true;
    }
    return c->done;
}

bool store_worker_call(StoreWorker *w, StoreCall *c)
{
    bool ok = false;
    bool run;

    pthread_mutex_lock(&w->lock);
    run = !w->stalled;
    if (run) {
        ok = worker_wait(w, c);
    }
    pthread_mutex_unlock(&w->lock);
    if (!run) {
        c->drop(c, false);
    }
    return ok;
}

void store_worker_post(StoreWorker *w, StoreCall *c)
{
    pthread_mutex_lock(&w->lock);
    c->abandoned = true;
    c->posted = true;
    g_queue_push_tail(&w->calls, c);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

bool store_worker_is_stalled(StoreWorker *w)
{
    bool stalled;

    pthread_mutex_lock(&w->lock);
    stalled = w->stalled;
    pthread_mutex_unlock(&w->lock);
    return stalled;
}

void store_worker_free(StoreWorker *w, StoreCall *last)
{
    bool ended = false;

    pthread_mutex_lock(&w->lock);
    if (w->stalled) {
        last->abandoned = true;
        g_queue_push_tail(&w->calls, last);
    } else {
        ended = worker_wait(w, last);
    }
    w->ending = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    if (ended) {
        last->drop(last, true);
        g_thread_join(w->thread);
    } else {
        g_thread_unref(w->thread);
    }
    worker_unref(w);
}
