/*
 * An iothread: a thread with an epoll loop that owns the queues put on it.
 *
 * Ownership is the whole point: whatever a queue's poller or source touches is
 * touched by this thread only, so a data path needs no lock. Others reach into it
 * by io_thread_post(), which has a function run in the thread, between two rounds, and
 * its completion told in the main loop; or by io_thread_call(), which waits for it.
 *
 * The loop polls before it sleeps, because waking a sleeper costs more than twenty
 * packets: after work was found it looks again for a bounded time (poll_max_ns,
 * adapted: it grows while looking pays, and shrinks, to nothing, when it does not), then asks each
 * poller to arm its events and sleeps in epoll_wait().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_IOTHREAD_H
#define UTIL_IOTHREAD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct IoThread IoThread;
typedef struct IoSource IoSource;
typedef struct IoPoller IoPoller;
typedef struct IoTask IoTask;
typedef struct IoTimer IoTimer;
typedef struct IoRequest IoRequest;
typedef struct IoLate IoLate;

/* A file descriptor of the loop. Embedded in its owner; not copied, not freed. */
struct IoSource {
    int fd;
    void (*ready)(IoSource *s, uint32_t events); /* in the thread; EPOLL* bits */
};

/* A busy-poll handler. Embedded in its owner; not copied, not freed. */
struct IoPoller {
    /* One bounded round of work. True: there was some, call again soon. */
    bool (*poll)(IoPoller *p);
    /*
     * The thread is about to sleep: ask for events (req_event, unmask) and look
     * once more. True: something arrived meanwhile, do not sleep. The pair of
     * "arm, then look" is what makes a lost wakeup impossible.
     */
    bool (*arm)(IoPoller *p);
    /* Poll again at this io_clock_ns() time even without an event; 0: never. */
    uint64_t wake_ns;
    IoPoller *next; /* the loop's own */
};

/*
 * Something that the thread shall do while the poster goes on. Embedded in its owner, who
 * neither frees nor posts it again before @done.
 */
struct IoTask {
    /*
     * In the thread, between two rounds; tasks run in the order they were posted in. True: it
     * is complete. False: io_task_complete() will say so later, as at the end of a drain.
     */
    bool (*run)(IoTask *task);
    /*
     * In the GMainContext of the thread's creator, which may free the thread here. NULL: the
     * task is not touched once it is complete.
     */
    void (*done)(IoTask *task);
    IoThread *thread; /* the loop's own, as are the following */
    IoTask *next;
    bool complete;
};

/* Fires once. Embedded in its owner; not copied, not freed while it is set. */
struct IoTimer {
    void (*fire)(IoTimer *timer); /* in the thread; may set it again */
    uint64_t at_ns;               /* the loop's own, as is next */
    IoTimer *next;
};

/* Work for the end of a round. Embedded in its owner; not copied, not freed before it ran. */
struct IoLate {
    void (*run)(IoLate *late); /* in the thread; may ask for another run, in the next round */
    IoLate *next;              /* the loop's own */
};

/* A request to io_uring. Embedded in its owner, who keeps it until @done. */
struct IoRequest {
    void (*done)(IoRequest *req, int res); /* in the thread; @res: the call's, or -errno */
};

/* What a queue has under way, and who waits for its end. The thread's own. */
typedef struct IoInflight {
    unsigned n;
    IoTask *drain; /* NULL: nobody waits */
} IoInflight;

/* Starts a thread named @name (its first 15 bytes). Free with io_thread_free(). */
IoThread *io_thread_new(const char *name, GError **error);

/*
 * Stops and joins the thread, in that of its creator; what was posted has run then, and its
 * completions were told. Its sources, pollers and timers must be gone, requests and tasks
 * complete. NULL is fine.
 */
void io_thread_free(IoThread *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoThread, io_thread_free)

/* How long to look before sleeping, at most. 0: sleep at once. Default 32768. Any thread. */
void io_thread_set_poll_max_ns(IoThread *t, uint64_t ns);
uint64_t io_thread_poll_max_ns(const IoThread *t);
int io_thread_tid(const IoThread *t);

/* Has @task run in @t. Any thread, also @t itself; never waits. */
void io_thread_post(IoThread *t, IoTask *task);

/*
 * Runs @fn(@opaque) in the thread and returns after it returned: for teardown, where the
 * caller has nothing else to do. From any thread but @t. @fn must not block on the caller.
 */
void io_thread_call(IoThread *t, void (*fn)(void *opaque), void *opaque);

/*
 * Returns when @task, which was posted and has a done(), is complete; done() follows from the main
 * loop, as ever. For teardown; the thread that made the iothread.
 */
void io_task_wait(IoTask *task);

/*
 * The following: in the thread itself only (so from a function given to
 * io_thread_call()).
 */
int io_thread_add_source(IoThread *t, IoSource *s, uint32_t events); /* 0 or -errno */
void io_thread_remove_source(IoThread *t, IoSource *s);
/* Waits for @events instead; what is true of them already is told even if edge-triggered. */
void io_thread_modify_source(IoThread *t, IoSource *s, uint32_t events);
void io_thread_add_poller(IoThread *t, IoPoller *p);
void io_thread_remove_poller(IoThread *t, IoPoller *p);

/* Says that @task, whose run() said false, is complete. */
void io_task_complete(IoTask *task);

/*
 * A drain is a task whose run() returns io_inflight_drain(): at once if nothing is under way,
 * else it completes when the last of it ends. The owner takes on nothing new meanwhile.
 */
static inline void io_inflight_begin(IoInflight *f)
{
    f->n++;
}
void io_inflight_end(IoInflight *f);
bool io_inflight_drain(IoInflight *f, IoTask *drain);

/* @timer fires at @at_ns of clock_ns() or soon after; set again, at the new time only. */
void io_thread_set_timer(IoThread *t, IoTimer *timer, uint64_t at_ns);
void io_thread_clear_timer(IoThread *t, IoTimer *timer); /* fine if it is not set */

/*
 * An entry of the thread's io_uring for @req, to be filled in by io_uring_prep_...(); the loop
 * submits it at the end of the round, with all others. The ring is made at the first call. NULL
 * and errno: EAGAIN if too much is in flight (again after a completion), else there is no ring
 * and never will be (sysctl, seccomp, RLIMIT_MEMLOCK): use the plain system calls.
 */
struct io_uring_sqe *io_thread_get_sqe(IoThread *t, IoRequest *req);

/*
 * Has @late run once, in the order asked for: behind all pollers of the round, when the kernel has
 * what they asked of io_uring, and before the thread sleeps. The owner asks again after it ran.
 */
void io_thread_run_late(IoThread *t, IoLate *late);

/* The time of wake_ns: clock_ns(), see util/clock.h. */
uint64_t io_clock_ns(void);

#endif
