/*
 * See util/iothread.h for what an iothread is. One round of the loop:
 *
 *     timers that are due -> poll every poller, submit what they queued, run what was put
 *     off to the end of the round -> while there was work, or for a bounded time after:
 *     again, with a look at the file descriptors every so often -> arm every poller ->
 *     sleep in epoll_wait() until a descriptor is ready or the earliest timer or wake time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/iothread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "iothread-internal.h"
#include "util/container-of.h"
#include "util/fd.h"

#define POLL_MIN_NS      4096u
#define POLL_DEFAULT_NS  32768u
#define SLEEPS_PER_TRIAL 16 /* without polling; the last one shows whether it would pay */
#define ROUNDS_PER_CHECK 4 /* busy rounds of one poller between two looks at the descriptors */
#define SUBMIT_RETRY_NS  1000000 /* where the kernel did not take our requests */

uint64_t io_clock_ns(void)
{
    return clock_ns();
}

/* --- timers --- */

void io_thread_clear_timer(IoThread *t, IoTimer *timer)
{
    for (IoTimer **link = &t->timers; *link; link = &(*link)->next) {
        if (*link == timer) {
            *link = timer->next;
            timer->next = NULL;
            return;
        }
    }
}

void io_thread_set_timer(IoThread *t, IoTimer *timer, uint64_t at_ns)
{
    IoTimer **link = &t->timers;

    io_thread_clear_timer(t, timer);
    timer->at_ns = at_ns;
    while (*link && (*link)->at_ns <= at_ns) {
        link = &(*link)->next;
    }
    timer->next = *link;
    *link = timer;
}

/* A timer that sets itself again for a time that is over fires in the next round. */
static void io_run_timers(IoThread *t)
{
    uint64_t now;
    unsigned due = 0;

    if (!t->timers) {
        return;
    }
    now = clock_ns();
    for (const IoTimer *timer = t->timers; timer && timer->at_ns <= now; timer = timer->next) {
        due++;
    }
    while (due-- > 0 && t->timers && t->timers->at_ns <= now) {
        IoTimer *timer = t->timers;

        t->timers = timer->next;
        timer->next = NULL;
        timer->fire(timer);
    }
}

/* --- late work --- */

void io_thread_run_late(IoThread *t, IoLate *late)
{
    late->next = NULL;
    *t->late_end = late;
    t->late_end = &late->next;
}

/* What is asked for meanwhile waits for the next round. False: there was nothing. */
static bool io_late_run(IoThread *t)
{
    IoLate *late = t->late;
    bool any = late != NULL;

    t->late = NULL;
    t->late_end = &t->late;
    while (late) {
        IoLate *next = late->next;

        late->run(late);
        late = next;
    }
    return any;
}

/* --- requests --- */

static void io_ring_ready(IoSource *s, uint32_t events)
{
    io_ring_reap(container_of(s, IoThread, ring_source)->ring);
}

static void io_thread_make_ring(IoThread *t)
{
    int r;

    t->ring = io_ring_new();
    if (!t->ring) {
        t->ring_errno = errno;
        return;
    }
    t->ring_source.fd = io_ring_fd(t->ring);
    t->ring_source.ready = io_ring_ready;
    r = io_thread_add_source(t, &t->ring_source, EPOLLIN);
    if (r < 0) {
        g_clear_pointer(&t->ring, io_ring_free);
        t->ring_errno = -r;
    }
}

struct io_uring_sqe *io_thread_get_sqe(IoThread *t, IoRequest *req)
{
    struct io_uring_sqe *sqe = NULL;

    if (!t->ring && t->ring_errno == 0) {
        io_thread_make_ring(t);
    }
    if (t->ring) {
        sqe = io_ring_get_sqe(t->ring, req);
    }
    if (!sqe) {
        errno = t->ring ? EAGAIN : t->ring_errno;
    }
    return sqe;
}

/* --- the loop --- */

/*
 * epoll_pwait2, as a drain time is milliseconds and a pacing time may be less than one. A kernel
 * before 5.11 does not have it, a container's filter may refuse it: rather late than busy.
 */
static int io_sleep(IoThread *t, int64_t ns)
{
    struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    int n = epoll_pwait2(t->epoll_fd, t->ready, IO_MAX_EVENTS, &ts, NULL);

    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        n = epoll_wait(t->epoll_fd, t->ready, IO_MAX_EVENTS,
                       (int)MIN((ns + 999999) / 1000000, INT_MAX));
    }
    return n;
}

static void io_control_ready(IoSource *s, uint32_t events)
{
    IoThread *t = container_of(s, IoThread, control);
    uint64_t n;

    if (read(s->fd, &n, sizeof(n)) < 0 && errno != EAGAIN) {
        return;
    }
    io_tasks_run(t);
}

/* Waits at most @timeout_ns (-1: for ever), runs what is ready. */
static bool io_wait(IoThread *t, int64_t timeout_ns)
{
    int n;

    if (timeout_ns <= 0) {
        n = epoll_wait(t->epoll_fd, t->ready, IO_MAX_EVENTS, timeout_ns < 0 ? -1 : 0);
    } else {
        n = io_sleep(t, timeout_ns);
    }
    t->n_ready = n > 0 ? n : 0;
    for (int i = 0; i < t->n_ready; i++) {
        IoSource *s = t->ready[i].data.ptr;

        if (s) {
            s->ready(s, t->ready[i].events);
        }
    }
    t->n_ready = 0;
    return n > 0;
}

static bool io_poll(IoThread *t)
{
    bool work = t->ring && io_ring_reap(t->ring);

    for (IoPoller *p = t->pollers; p; p = p->next) {
        work |= p->poll(p);
    }
    if (t->ring) {
        io_ring_submit(t->ring);
    }
    return io_late_run(t) || work;
}

static bool io_arm(IoThread *t)
{
    bool work = false;

    for (IoPoller *p = t->pollers; p; p = p->next) {
        work |= p->arm(p);
    }
    return work;
}

/* How long to sleep; -1: until something happens, which may be that the clock was moved. */
static int64_t io_timeout_ns(IoThread *t)
{
    uint64_t wake = t->timers ? t->timers->at_ns : 0;
    uint64_t now;

    for (const IoPoller *p = t->pollers; p; p = p->next) {
        if (p->wake_ns != 0 && (wake == 0 || p->wake_ns < wake)) {
            wake = p->wake_ns;
        }
    }
    __atomic_store_n(&t->waiter.deadline_ns, wake, __ATOMIC_RELAXED);
    if (wake == 0) {
        return -1;
    }
    now = clock_ns();
    if (wake <= now) {
        return 0;
    }
    return clock_is_virtual() ? -1 : (int64_t)(wake - now);
}

/* How long looking is worth now; the limit may have been changed meanwhile. */
static uint64_t io_window_ns(const IoThread *t)
{
    return MIN(t->poll_ns, __atomic_load_n(&t->poll_max_ns, __ATOMIC_RELAXED));
}

static void io_window_grow(IoThread *t)
{
    if (t->poll_ns < __atomic_load_n(&t->poll_max_ns, __ATOMIC_RELAXED)) {
        t->poll_ns *= 2;
    }
}

/* Down to nothing: where a look costs as much as the window, as in a PV domain, none pays. */
static void io_window_shrink(IoThread *t)
{
    uint64_t ns = io_window_ns(t) / 2;

    t->poll_ns = ns < POLL_MIN_NS ? 0 : ns;
}

/* Sleeps. One that ends so soon that polling would have seen its end opens the window again. */
static void io_idle(IoThread *t)
{
    uint64_t max = __atomic_load_n(&t->poll_max_ns, __ATOMIC_RELAXED);
    uint64_t since;

    if (!t->pollers || max == 0 || t->poll_ns != 0 || ++t->sleeps % SLEEPS_PER_TRIAL != 0) {
        io_wait(t, io_timeout_ns(t));
        return;
    }
    since = clock_monotonic_ns();
    io_wait(t, io_timeout_ns(t));
    if (clock_monotonic_ns() - since < max) {
        t->poll_ns = max;
    }
}

/* Whoever shares the thread waits for at most one round of the others. */
static unsigned io_rounds_per_check(const IoThread *t)
{
    return t->pollers && t->pollers->next ? 1 : ROUNDS_PER_CHECK;
}

/*
 * Polls while there is work and poll_ns longer. The window follows what it brings, and ends
 * with the last poller.
 */
static void io_busy(IoThread *t)
{
    uint64_t since = 0; /* when the work ended; 0: it has not */
    unsigned round = 0;

    while (t->pollers) {
        if (io_poll(t)) {
            if (since != 0) {
                io_window_grow(t);
            }
            since = 0;
            if (++round % io_rounds_per_check(t) == 0) {
                io_run_timers(t);
                io_wait(t, 0);
            }
            continue;
        }
        if (io_window_ns(t) == 0) {
            break;
        }
        io_run_timers(t);
        if (io_wait(t, 0)) {
            continue;
        }
        if (since == 0) {
            since = clock_monotonic_ns();
        } else if (clock_monotonic_ns() - since >= io_window_ns(t)) {
            io_window_shrink(t);
            break;
        }
    }
}

static bool io_stopped(IoThread *t)
{
    bool stop;

    pthread_mutex_lock(&t->lock);
    stop = t->stop;
    pthread_mutex_unlock(&t->lock);
    return stop;
}

static gpointer io_thread_main(gpointer opaque)
{
    IoThread *t = opaque;

    pthread_mutex_lock(&t->lock);
    t->tid = (int)syscall(SYS_gettid);
    pthread_setname_np(pthread_self(), t->name);
    pthread_cond_broadcast(&t->cond);
    pthread_mutex_unlock(&t->lock);

    while (!io_stopped(t)) {
        io_run_timers(t);
        if (t->pollers) {
            io_busy(t);
            /* busy rounds look at the descriptors, too: the wakeup may be used up by now */
            if (io_stopped(t) || !t->pollers) {
                continue;
            }
            if (io_arm(t)) {
                io_wait(t, 0); /* without polling this is the only look at them */
                continue;
            }
        }
        if (io_late_run(t)) {
            continue; /* asked for by what was not a poller */
        }
        if (t->ring && !io_ring_submit(t->ring)) {
            io_wait(t, SUBMIT_RETRY_NS);
            continue;
        }
        io_idle(t);
    }
    while (io_tasks_run(t)) { /* posted before it was told to stop */
        continue;
    }
    return NULL;
}

static void io_clock_moved(ClockWaiter *w)
{
    io_wake_fd(container_of(w, IoThread, waiter)->control.fd);
}

IoThread *io_thread_new(const char *name, GError **error)
{
    g_autoptr(IoThread) t = g_new0(IoThread, 1);

    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->cond, NULL);
    g_strlcpy(t->name, name, sizeof(t->name));
    t->poll_max_ns = POLL_DEFAULT_NS;
    t->late_end = &t->late;
    t->control.ready = io_control_ready;
    t->control.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (t->control.fd < 0 || t->finished_fd < 0 || t->epoll_fd < 0 ||
        io_thread_add_source(t, &t->control, EPOLLIN) < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot create iothread %s: %s", name, g_strerror(errno));
        return NULL;
    }
    t->thread = g_thread_try_new(t->name, io_thread_main, t, error);
    if (!t->thread) {
        return NULL;
    }
    pthread_mutex_lock(&t->lock);
    while (t->tid == 0) {
        pthread_cond_wait(&t->cond, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    t->waiter.wake = io_clock_moved;
    clock_add_waiter(&t->waiter);
    io_tasks_follow(t);
    return g_steal_pointer(&t);
}

void io_thread_free(IoThread *t)
{
    if (!t) {
        return;
    }
    if (t->thread) {
        clock_remove_waiter(&t->waiter);
        pthread_mutex_lock(&t->lock);
        t->stop = true;
        pthread_mutex_unlock(&t->lock);
        io_wake_fd(t->control.fd);
        g_thread_join(t->thread);
        g_assert(!t->pollers && !t->timers && !t->late && t->open_tasks == 0);
        io_tasks_unfollow(t);
        io_tasks_deliver(t);
        io_ring_free(t->ring);
    }
    fd_close(&t->control.fd);
    fd_close(&t->finished_fd);
    fd_close(&t->epoll_fd);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->cond);
    g_free(t);
}

void io_thread_set_poll_max_ns(IoThread *t, uint64_t ns)
{
    __atomic_store_n(&t->poll_max_ns, ns, __ATOMIC_RELAXED);
}

uint64_t io_thread_poll_max_ns(const IoThread *t)
{
    return __atomic_load_n(&t->poll_max_ns, __ATOMIC_RELAXED);
}

int io_thread_tid(const IoThread *t)
{
    return t->tid;
}

int io_thread_add_source(IoThread *t, IoSource *s, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = s };

    return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

void io_thread_modify_source(IoThread *t, IoSource *s, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = s };

    (void)epoll_ctl(t->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev); /* fails if it is not a source */
}

void io_thread_remove_source(IoThread *t, IoSource *s)
{
    epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    for (int i = 0; i < t->n_ready; i++) {
        if (t->ready[i].data.ptr == s) {
            t->ready[i].data.ptr = NULL;
        }
    }
}

void io_thread_add_poller(IoThread *t, IoPoller *p)
{
    p->next = t->pollers;
    t->pollers = p;
    t->poll_ns = POLL_MIN_NS;
}

void io_thread_remove_poller(IoThread *t, IoPoller *p)
{
    for (IoPoller **link = &t->pollers; *link; link = &(*link)->next) {
        if (*link == p) {
            *link = p->next;
            p->next = NULL;
            return;
        }
    }
}
