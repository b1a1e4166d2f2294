/*
 * An iothread: a thread with an epoll loop that owns the queues put on it.
 *
 * Ownership is the whole point: whatever a queue's poller or source touches is
 * touched by this thread only, so a data path needs no lock. Others reach into it
 * by io_thread_call(), which runs a function in the thread, between two rounds.
 *
 * The loop polls before it sleeps, because waking a sleeper costs more than twenty
 * packets: after work was found it looks again for a bounded time (poll_max_ns,
 * adapted: it grows while looking pays and shrinks when it does not), then asks each
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

/* A file descriptor of the loop. Embedded in its owner; not copied, not freed. */
struct IoSource {
    int fd;
    void (*ready)(IoSource *s, uint32_t events); /* in the thread; EPOLL* bits */
};

/* Work that is found by looking. Embedded in its owner; not copied, not freed. */
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

/* Starts a thread named @name (cut to 15 bytes). Free with io_thread_free(). */
IoThread *io_thread_new(const char *name, GError **error);

/* Stops and joins the thread; its sources and pollers must be gone. NULL is fine. Not from it. */
void io_thread_free(IoThread *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoThread, io_thread_free)

/* How long to look before sleeping, at most. 0: sleep at once. Default 32768. Any thread. */
void io_thread_set_poll_max_ns(IoThread *t, uint64_t ns);
uint64_t io_thread_poll_max_ns(const IoThread *t);
int io_thread_tid(const IoThread *t);

/*
 * Runs @fn(@opaque) in the thread and returns after it returned. From any thread but
 * @t. @fn must not block on the caller.
 */
void io_thread_call(IoThread *t, void (*fn)(void *opaque), void *opaque);

/*
 * The following: in the thread itself only (so from a function given to
 * io_thread_call()).
 */
int io_thread_add_source(IoThread *t, IoSource *s, uint32_t events); /* 0 or -errno */
void io_thread_remove_source(IoThread *t, IoSource *s);
void io_thread_add_poller(IoThread *t, IoPoller *p);
void io_thread_remove_poller(IoThread *t, IoPoller *p);

/* The time of wake_ns: clock_ns(), see util/clock.h. */
uint64_t io_clock_ns(void);

#endif
