/*
 * What the files of an iothread share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_IOTHREAD_INTERNAL_H
#define UTIL_IOTHREAD_INTERNAL_H

#include <pthread.h>
#include <sys/epoll.h>

#include "io-ring.h"
#include "util/clock.h"

#define IO_MAX_EVENTS 16

/* First in, first out. */
typedef struct IoTaskList {
    IoTask *first;
    IoTask *last;
} IoTaskList;

struct IoThread {
    GThread *thread;
    char name[16];
    int epoll_fd;
    int tid;
    uint64_t poll_max_ns; /* relaxed atomic */
    IoSource control;     /* an eventfd: there are tasks, or the thread shall stop */
    ClockWaiter waiter;
    int finished_fd;      /* an eventfd: there are finished tasks; */
    GSource *finished_source; /* in the creator's context */

    pthread_mutex_t lock; /* tasks, finished, stop; not GMutex: TSan cannot see into glib */
    pthread_cond_t cond;  /* a call is done, or the thread has started */
    IoTaskList tasks;
    IoTaskList finished;
    bool stop;

    /* the thread's own */
    unsigned open_tasks;  /* that will be completed later */
    IoPoller *pollers;
    IoTimer *timers;      /* the earliest first */
    IoLate *late;         /* for the end of the round */
    IoLate **late_end;
    IoRing *ring;         /* made when it is first asked for */
    IoSource ring_source;
    int ring_errno;       /* why there is none */
    uint64_t poll_ns;     /* how long looking is worth at present, if poll_max_ns is no less */
    unsigned sleeps;      /* since it is worth nothing */
    int n_ready;          /* events of the round being dispatched; */
    struct epoll_event ready[IO_MAX_EVENTS]; /* a removed source's is cleared here */
};

/* Makes the eventfd @fd readable. Any thread. */
void io_wake_fd(int fd);

/* iothread-tasks.c. Runs what was posted; in the thread. False: there was nothing. */
bool io_tasks_run(IoThread *t);

/* Tells what has finished from now on, in the caller's GMainContext; and no longer. */
void io_tasks_follow(IoThread *t);
void io_tasks_unfollow(IoThread *t);

/* Tells what has finished, now. */
void io_tasks_deliver(IoThread *t);

#endif
