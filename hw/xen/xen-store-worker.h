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
 * How long the main loop waits for one call: long against what a xenstored on a busy machine
 * needs. Once the program ends, short against the three seconds in which it promises to.
 */
#define STORE_WAIT_MS     2000
#define STORE_WAIT_END_MS 250

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
/* From now on calls are waited for STORE_WAIT_END_MS. */
void store_worker_end_soon(StoreWorker *w);
/*
 * Runs @last after all that was posted, and ends the thread. Does not wait longer than for a
 * call: a server that does not answer keeps the thread, which then frees everything itself.
 */
void store_worker_free(StoreWorker *w, StoreCall *last);

/*
 * Runs @c and waits for it. False: it takes longer than that, or an earlier one still
 * does, in which case @c is not run; @c was dropped or will be, and is not the caller's any more.
 */
bool store_worker_call(StoreWorker *w, StoreCall *c);
/* Runs @c after those before it, drops it then, and does not wait. */
void store_worker_post(StoreWorker *w, StoreCall *c);
/* A call that was given up has not returned yet. */
bool store_worker_is_stalled(StoreWorker *w);

#endif
