/*
 * The thread that talks to XenStore, so that a server which does not answer holds that thread
 * and not the main loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_STORE_WORKER_H
#define HW_XEN_XEN_STORE_WORKER_H

#include <glib.h>
#include <stdbool.h>

/*
 * How long the main loop waits for one call. Short against the three seconds in which the
 * program promises to end, long against what a busy xenstored needs (well under 100 ms).
 */
#define STORE_WAIT_MS 500

typedef struct StoreWorker StoreWorker;
typedef struct StoreCall StoreCall;

/* One call; embedded in what has its arguments and its result. */
struct StoreCall {
    void (*run)(StoreCall *c);  /* the worker's thread */
    /*
     * Nobody waits for the result any more: takes back what must not stay, and frees it. The
     * worker's thread, or the caller's if it was never run.
     */
    void (*drop)(StoreCall *c, bool was_run);

    /* the worker's own */
    bool done;
    bool abandoned;
    bool posted;
};

StoreWorker *store_worker_new(void);
/*
 * Runs @last after all that was posted, and ends the thread. Does not wait longer than for a
 * call: a server that does not answer keeps the thread, which then frees everything itself.
 */
void store_worker_free(StoreWorker *w, StoreCall *last);

/*
 * Runs @c and waits for it. False: it takes longer than STORE_WAIT_MS, or an earlier one still
 * does, in which case @c is not run; @c was dropped or will be, and is not the caller's any more.
 */
bool store_worker_call(StoreWorker *w, StoreCall *c);
/* Runs @c after those before it, drops it then, and does not wait. */
void store_worker_post(StoreWorker *w, StoreCall *c);
/* A call that was given up has not returned yet. */
bool store_worker_is_stalled(StoreWorker *w);

#endif
