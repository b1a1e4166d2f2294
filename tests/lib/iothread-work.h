/*
 * For tests of iothreads: one with a source and a poller that count what they see.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_IOTHREAD_WORK_H
#define TESTS_LIB_IOTHREAD_WORK_H

#include "util/iothread.h"

#define WAIT_US (5 * G_USEC_PER_SEC) /* long enough for a loaded machine */

/* What a thread under test has: a source and a poller that count. */
typedef struct Work {
    IoThread *t;
    IoSource source;
    IoPoller poller;
    int ready;      /* calls; the following are all relaxed atomics */
    int polls;
    int arms;
    int budget;     /* polls that find work */
    int late;       /* work that arm finds */
    int tid;
    char name[16];
    bool forbidden; /* the system call that the test wants to fail */
} Work;

int work_get(const int *n);
void work_count(int *n);
/* One less of *@n; false: there are none. */
bool work_take(int *n);
/* Until *@n is at least @want; fails the test if it takes too long. */
void work_wait_for(const int *n, int want);

/* For io_thread_call(), with a Work. */
void work_add_source(void *opaque);
void work_remove_source(void *opaque);
void work_add_poller(void *opaque);
void work_remove_poller(void *opaque);
void work_who_am_i(void *opaque); /* ->tid, ->name */

bool work_poll(IoPoller *p); /* finds work as often as ->budget says */
void work_kick(Work *w);     /* makes its source ready */
/* In the thread: the system call @nr fails with @err from now on, if ->forbidden says so. */
void work_forbid(Work *w, unsigned nr, unsigned err);

typedef struct WorkTest {
    const char *name;
    void (*run)(Work *w, gconstpointer data);
} WorkTest;

/* Each with a Work of its own. */
void work_add_tests(const WorkTest *tests, size_t n);

#endif
