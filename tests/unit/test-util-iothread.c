/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/iothread.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <liburing.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/container-of.h"

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

static int get(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_RELAXED);
}

static void count(int *n)
{
    __atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

static bool take(int *n)
{
    int v = get(n);

    if (v == 0) {
        return false;
    }
    __atomic_store_n(n, v - 1, __ATOMIC_RELAXED);
    return true;
}

/* Until *@n is at least @want; fails the test if it takes too long. */
static void wait_for(const int *n, int want)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (get(n) < want) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(500);
    }
}

static void source_ready(IoSource *s, uint32_t events)
{
    Work *w = container_of(s, Work, source);
    uint64_t n;

    g_assert_true(events & EPOLLIN);
    g_assert_cmpint(read(s->fd, &n, sizeof(n)), ==, sizeof(n));
    count(&w->ready);
}

static bool poller_poll(IoPoller *p)
{
    Work *w = container_of(p, Work, poller);

    count(&w->polls);
    return take(&w->budget);
}

static bool poller_arm(IoPoller *p)
{
    Work *w = container_of(p, Work, poller);

    count(&w->arms);
    return take(&w->late);
}

static void add_source(void *opaque)
{
    Work *w = opaque;

    g_assert_cmpint(io_thread_add_source(w->t, &w->source, EPOLLIN), ==, 0);
}

static void remove_source(void *opaque)
{
    Work *w = opaque;

    io_thread_remove_source(w->t, &w->source);
}

static void add_poller(void *opaque)
{
    Work *w = opaque;

    io_thread_add_poller(w->t, &w->poller);
}

static void remove_poller(void *opaque)
{
    Work *w = opaque;

    io_thread_remove_poller(w->t, &w->poller);
}

static void who_am_i(void *opaque)
{
    Work *w = opaque;

    w->tid = (int)syscall(SYS_gettid);
    pthread_getname_np(pthread_self(), w->name, sizeof(w->name));
}

static void setup(Work *w, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    w->t = io_thread_new("IO a-long-thread-name", &error);
    g_assert_no_error(error);
    w->source.ready = source_ready;
    w->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->poller.poll = poller_poll;
    w->poller.arm = poller_arm;
}

static void teardown(Work *w, gconstpointer data)
{
    io_thread_free(w->t);
    close(w->source.fd);
}

static void kick(Work *w)
{
    uint64_t one = 1;

    g_assert_cmpint(write(w->source.fd, &one, sizeof(one)), ==, sizeof(one));
}

static void test_call_runs_in_thread(Work *w, gconstpointer data)
{
    io_thread_call(w->t, who_am_i, w);
    g_assert_cmpint(w->tid, ==, io_thread_tid(w->t));
    g_assert_cmpint(w->tid, !=, (int)syscall(SYS_gettid));
    g_assert_cmpstr(w->name, ==, "IO a-long-threa");
}

static void test_source(Work *w, gconstpointer data)
{
    io_thread_call(w->t, add_source, w);
    kick(w);
    wait_for(&w->ready, 1);
    kick(w);
    wait_for(&w->ready, 2);
    io_thread_call(w->t, remove_source, w);
}

static void test_removed_source_is_quiet(Work *w, gconstpointer data)
{
    io_thread_call(w->t, add_source, w);
    io_thread_call(w->t, remove_source, w);
    kick(w);
    io_thread_call(w->t, who_am_i, w);
    g_assert_cmpint(get(&w->ready), ==, 0);
}

/* Two sources, ready in the same wait: whichever comes first removes the other. */
typedef struct Pair {
    IoThread *t;
    IoSource first;
    IoSource second;
    int ready;
} Pair;

static void pair_ready(Pair *p)
{
    count(&p->ready);
    io_thread_remove_source(p->t, &p->first);
    io_thread_remove_source(p->t, &p->second);
}

static void first_ready(IoSource *s, uint32_t events)
{
    pair_ready(container_of(s, Pair, first));
}

static void second_ready(IoSource *s, uint32_t events)
{
    pair_ready(container_of(s, Pair, second));
}

static void add_pair(void *opaque)
{
    Pair *p = opaque;

    g_assert_cmpint(io_thread_add_source(p->t, &p->first, EPOLLIN), ==, 0);
    g_assert_cmpint(io_thread_add_source(p->t, &p->second, EPOLLIN), ==, 0);
}

static void test_removed_source_was_ready(Work *w, gconstpointer data)
{
    Pair p = {
        .t = w->t,
        .first = { .fd = eventfd(1, EFD_CLOEXEC), .ready = first_ready },
        .second = { .fd = eventfd(1, EFD_CLOEXEC), .ready = second_ready },
    };

    io_thread_call(w->t, add_pair, &p);
    wait_for(&p.ready, 1);
    io_thread_call(w->t, who_am_i, w);
    g_assert_cmpint(get(&p.ready), ==, 1);
    close(p.first.fd);
    close(p.second.fd);
}

static void test_poller_polls_while_there_is_work(Work *w, gconstpointer data)
{
    w->budget = 100;
    io_thread_call(w->t, add_poller, w);
    wait_for(&w->arms, 1);
    g_assert_cmpint(get(&w->budget), ==, 0);
    g_assert_cmpint(get(&w->polls), >, 100);
    io_thread_call(w->t, remove_poller, w);
}

static void test_work_found_while_arming(Work *w, gconstpointer data)
{
    w->late = 3;
    io_thread_call(w->t, add_poller, w);
    wait_for(&w->arms, 4);
    g_assert_cmpint(get(&w->late), ==, 0);
    io_thread_call(w->t, remove_poller, w);
}

/* Arming that finds work each time keeps nobody from the descriptors, polling or not. */
static void test_source_beside_late_work(Work *w, gconstpointer data)
{
    io_thread_set_poll_max_ns(w->t, 0);
    w->late = INT_MAX;
    io_thread_call(w->t, add_source, w);
    io_thread_call(w->t, add_poller, w);
    wait_for(&w->arms, 10);
    kick(w);
    wait_for(&w->ready, 1);
    io_thread_call(w->t, remove_poller, w);
    io_thread_call(w->t, remove_source, w);
}

static void test_source_wakes_pollers(Work *w, gconstpointer data)
{
    int before;

    io_thread_call(w->t, add_source, w);
    io_thread_call(w->t, add_poller, w);
    wait_for(&w->arms, 1);
    before = get(&w->polls);
    kick(w);
    wait_for(&w->polls, before + 1);
    io_thread_call(w->t, remove_poller, w);
    io_thread_call(w->t, remove_source, w);
}

static void test_sleeps_without_polling(Work *w, gconstpointer data)
{
    int polls;

    io_thread_set_poll_max_ns(w->t, 0);
    io_thread_call(w->t, add_poller, w);
    wait_for(&w->arms, 1);
    g_usleep(20000);
    polls = get(&w->polls);
    g_usleep(50000);
    g_assert_cmpint(get(&w->polls), ==, polls);
    io_thread_call(w->t, remove_poller, w);
}

static void wake_soon(void *opaque)
{
    Work *w = opaque;

    w->poller.wake_ns = io_clock_ns() + 20000000;
    io_thread_add_poller(w->t, &w->poller);
}

static void test_wake_time(Work *w, gconstpointer data)
{
    gint64 start = g_get_monotonic_time();

    io_thread_call(w->t, wake_soon, w);
    wait_for(&w->arms, 2);
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 15000);
    io_thread_call(w->t, remove_poller, w);
}

/* What an old kernel, or a container's filter, says to a system call; in this thread only. */
static void forbid(Work *w, unsigned nr, unsigned err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = { .len = G_N_ELEMENTS(filter), .filter = filter };

    w->forbidden = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0;
}

static void forbid_with_enosys(void *opaque)
{
    forbid(opaque, SYS_epoll_pwait2, ENOSYS);
}

static void forbid_with_eperm(void *opaque)
{
    forbid(opaque, SYS_epoll_pwait2, EPERM);
}

static void forbid_uring(void *opaque)
{
    forbid(opaque, SYS_io_uring_setup, EPERM);
}

static void wake_late(void *opaque)
{
    Work *w = opaque;

    w->poller.wake_ns = io_clock_ns() + 3600 * 1000000000ull;
    io_thread_add_poller(w->t, &w->poller);
}

static void sleeps_without_pwait2(Work *w, void (*filter)(void *opaque))
{
    int polls;

    io_thread_call(w->t, filter, w);
    if (!w->forbidden) {
        g_test_skip("no seccomp filter can be set");
        return;
    }
    io_thread_set_poll_max_ns(w->t, 0);
    io_thread_call(w->t, wake_late, w);
    wait_for(&w->arms, 1);
    g_usleep(20000);
    polls = get(&w->polls);
    g_usleep(50000);
    g_assert_cmpint(get(&w->polls), ==, polls);
    io_thread_call(w->t, remove_poller, w);
    w->arms = 0;
    test_wake_time(w, NULL);
}

static void test_kernel_without_pwait2(Work *w, gconstpointer data)
{
    sleeps_without_pwait2(w, forbid_with_enosys);
}

static void test_filter_against_pwait2(Work *w, gconstpointer data)
{
    sleeps_without_pwait2(w, forbid_with_eperm);
}

static void test_poll_max(Work *w, gconstpointer data)
{
    g_assert_cmpuint(io_thread_poll_max_ns(w->t), ==, 32768);
    io_thread_set_poll_max_ns(w->t, 5);
    g_assert_cmpuint(io_thread_poll_max_ns(w->t), ==, 5);
}

static gpointer call_often(gpointer opaque)
{
    for (int i = 0; i < 200; i++) {
        io_thread_call(((Work *)opaque)->t, who_am_i, opaque);
    }
    return NULL;
}

static void test_calls_from_many_threads(Work *w, gconstpointer data)
{
    GThread *callers[4];

    for (size_t i = 0; i < G_N_ELEMENTS(callers); i++) {
        callers[i] = g_thread_new("caller", call_often, w);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(callers); i++) {
        g_thread_join(callers[i]);
    }
    g_assert_cmpint(w->tid, ==, io_thread_tid(w->t));
}

static void test_call_while_busy(Work *w, gconstpointer data)
{
    w->budget = G_MAXINT;
    io_thread_call(w->t, add_poller, w);
    io_thread_call(w->t, who_am_i, w);
    g_assert_cmpint(w->tid, ==, io_thread_tid(w->t));
    io_thread_call(w->t, remove_poller, w);
}

/* Work at every other look: each time looking pays, so the window grows to its limit. */
static bool poller_poll_now_and_then(IoPoller *p)
{
    Work *w = container_of(p, Work, poller);

    count(&w->polls);
    return get(&w->polls) % 2 == 0 && take(&w->budget);
}

/* Opens a busy-poll window of a minute. */
static void open_window(Work *w)
{
    io_thread_set_poll_max_ns(w->t, 60 * 1000000000ull);
    w->poller.poll = poller_poll_now_and_then;
    w->budget = 60;
    io_thread_call(w->t, add_poller, w);
    wait_for(&w->polls, 1000);
    g_assert_cmpint(get(&w->budget), ==, 0);
}

static void test_window_ends_with_the_last_poller(Work *w, gconstpointer data)
{
    int64_t end;

    open_window(w);
    io_thread_call(w->t, remove_poller, w);
    w->poller.poll = poller_poll;
    end = g_get_monotonic_time() + WAIT_US;
    io_thread_free(g_steal_pointer(&w->t));
    g_assert_cmpint(g_get_monotonic_time(), <, end);
}

static void test_window_follows_a_smaller_limit(Work *w, gconstpointer data)
{
    open_window(w);
    io_thread_set_poll_max_ns(w->t, 0);
    wait_for(&w->arms, 1);
    io_thread_call(w->t, remove_poller, w);
}

/* With a window of nothing: a limit that no look keeps to closes it at once. */
static void close_window(Work *w)
{
    io_thread_set_poll_max_ns(w->t, 1);
    io_thread_call(w->t, add_source, w);
    io_thread_call(w->t, add_poller, w);
    wait_for(&w->arms, 1);
}

/* Where polling brings nothing there is none: work is looked for once more, then it sleeps. */
static void test_window_closes(Work *w, gconstpointer data)
{
    close_window(w);
    for (int i = 0; i < 40; i++) {
        int polls = get(&w->polls);

        __atomic_store_n(&w->budget, 1, __ATOMIC_RELAXED);
        kick(w);
        wait_for(&w->arms, i + 2);
        g_assert_cmpint(get(&w->polls), ==, polls + 2);
    }
    io_thread_call(w->t, remove_poller, w);
    io_thread_call(w->t, remove_source, w);
}

/* Sleeps that end soon, of which it times some, are better polled away. */
static void test_window_opens_again(Work *w, gconstpointer data)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    close_window(w);
    io_thread_set_poll_max_ns(w->t, 60 * 1000000000ull);
    while (get(&w->polls) < 10000) { /* each wake is two */
        kick(w);
        g_usleep(1000);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    io_thread_set_poll_max_ns(w->t, 0);
    io_thread_call(w->t, remove_poller, w);
    io_thread_call(w->t, remove_source, w);
}

/* --- tasks --- */

typedef struct Posted {
    IoTask task;
    Work *w;
    IoInflight *drains; /* NULL: complete at once */
    int order;          /* of its run among all, from 1 */
    int tid;            /* that it ran in */
    bool done;
} Posted;

static int posted_runs; /* of the test that is running */

static bool posted_run(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    p->order = ++posted_runs;
    p->tid = (int)syscall(SYS_gettid);
    return !p->drains || io_inflight_drain(p->drains, task);
}

static void posted_done(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    g_assert_cmpint(p->tid, ==, io_thread_tid(p->w->t));
    g_assert_cmpint((int)syscall(SYS_gettid), ==, getpid());
    p->done = true;
}

static Posted posted(Work *w)
{
    posted_runs = 0;
    return (Posted){ .task = { .run = posted_run, .done = posted_done }, .w = w };
}

static void loop_until(const bool *done)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (!*done) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        if (!g_main_context_iteration(NULL, FALSE)) {
            g_usleep(500);
        }
    }
}

static void test_post_completes_in_main_loop(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    io_thread_post(w->t, &p.task);
    io_thread_call(w->t, who_am_i, w); /* it has run by now */
    g_assert_cmpint(p.order, ==, 1);
    g_assert_false(p.done);
    loop_until(&p.done);
}

static void test_posts_keep_their_order(Work *w, gconstpointer data)
{
    Posted p[50];

    for (size_t i = 0; i < G_N_ELEMENTS(p); i++) {
        p[i] = posted(w);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(p); i++) {
        io_thread_post(w->t, &p[i].task);
    }
    loop_until(&p[49].done);
    for (size_t i = 0; i < G_N_ELEMENTS(p); i++) {
        g_assert_cmpint(p[i].order, ==, i + 1);
        g_assert_true(p[i].done);
    }
}

static void test_post_is_posted_again(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    for (int i = 1; i <= 3; i++) {
        p.done = false;
        io_thread_post(w->t, &p.task);
        loop_until(&p.done);
        g_assert_cmpint(p.order, ==, i);
    }
}

static void test_post_runs_beside_a_busy_poller(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    w->budget = G_MAXINT;
    io_thread_call(w->t, add_poller, w);
    io_thread_post(w->t, &p.task);
    loop_until(&p.done);
    io_thread_call(w->t, remove_poller, w);
}

static bool post_another(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    io_thread_post(p->w->t, &p[1].task);
    return true;
}

static void test_post_from_the_thread(Work *w, gconstpointer data)
{
    Posted p[2] = { posted(w), posted(w) };

    p[0].task = (IoTask){ .run = post_another };
    io_thread_post(w->t, &p[0].task);
    loop_until(&p[1].done);
}

static void test_free_runs_what_was_posted(Work *w, gconstpointer data)
{
    Posted p[2] = { posted(w), posted(w) };

    p[0].task = (IoTask){ .run = post_another };
    p[1].task.done = NULL;
    io_thread_post(w->t, &p[0].task);
    io_thread_free(w->t);
    w->t = NULL;
    g_assert_cmpint(p[1].order, ==, 1);
}

static void free_thread(IoTask *task)
{
    Posted *p = container_of(task, Posted, task);

    io_thread_free(g_steal_pointer(&p->w->t));
    p->done = true;
}

static void test_completion_frees_the_thread(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    p.task.done = free_thread;
    io_thread_post(w->t, &p.task);
    loop_until(&p.done);
    g_assert_null(w->t);
}

/* A completion that is due when the thread ends is told, and not later. */
static void test_free_tells_completions(Work *w, gconstpointer data)
{
    Posted p = posted(w);

    p.task.done = free_thread; /* NULL by then: nothing to free */
    io_thread_post(w->t, &p.task);
    io_thread_free(g_steal_pointer(&w->t));
    g_assert_true(p.done);
    p.done = false;
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    g_assert_false(p.done);
}

typedef struct Flight {
    IoInflight f;
    bool begin; /* else end */
} Flight;

static void flight_step(void *opaque)
{
    Flight *fl = opaque;

    if (fl->begin) {
        io_inflight_begin(&fl->f);
    } else {
        io_inflight_end(&fl->f);
    }
}

static void test_drain_completes_with_the_last(Work *w, gconstpointer data)
{
    Posted p = posted(w);
    Flight fl = { .begin = true };

    p.drains = &fl.f;
    io_thread_call(w->t, flight_step, &fl);
    io_thread_call(w->t, flight_step, &fl);
    io_thread_post(w->t, &p.task);
    fl.begin = false;
    for (int i = 0; i < 2; i++) {
        io_thread_call(w->t, who_am_i, w);
        g_main_context_iteration(NULL, FALSE);
        g_assert_false(p.done);
        io_thread_call(w->t, flight_step, &fl);
    }
    loop_until(&p.done);
}

static void test_drain_of_nothing(Work *w, gconstpointer data)
{
    Posted p = posted(w);
    IoInflight f = { 0 };

    p.drains = &f;
    io_thread_post(w->t, &p.task);
    loop_until(&p.done);
    g_assert_null(f.drain);
}

/* --- timers --- */

typedef struct Alarm {
    IoTimer timer;
    struct Alarms *all;
    uint64_t in_ns; /* 0: not set */
    int rang;       /* the how many-th it was, from 1; relaxed atomic */
    int again;      /* times to set it again */
} Alarm;

typedef struct Alarms {
    Work *w;
    Alarm a[4];
    int n;         /* rung; relaxed atomic */
    Alarm *cancel; /* when the first rings; NULL: none */
} Alarms;

static void alarm_fire(IoTimer *timer)
{
    Alarm *a = container_of(timer, Alarm, timer);
    Alarms *all = a->all;

    count(&all->n);
    __atomic_store_n(&a->rang, get(&all->n), __ATOMIC_RELAXED);
    if (a->again > 0) {
        a->again--;
        io_thread_set_timer(all->w->t, timer, clock_ns()); /* over already: next round */
    }
    if (all->cancel) {
        io_thread_clear_timer(all->w->t, &all->cancel->timer);
    }
}

static void alarms_set(void *opaque)
{
    Alarms *all = opaque;
    uint64_t now = clock_ns();

    for (int i = 0; i < 4; i++) {
        all->a[i].all = all;
        all->a[i].timer.fire = alarm_fire;
        if (all->a[i].in_ns != 0) {
            io_thread_set_timer(all->w->t, &all->a[i].timer, now + all->a[i].in_ns);
        }
    }
}

static void alarms_clear(void *opaque)
{
    Alarms *all = opaque;

    for (int i = 0; i < 4; i++) {
        io_thread_clear_timer(all->w->t, &all->a[i].timer);
    }
}

static void test_timers_fire_in_order(Work *w, gconstpointer data)
{
    Alarms all = { .w = w };

    all.a[0].in_ns = 3000000;
    all.a[1].in_ns = 1000000;
    all.a[2].in_ns = 2000000;
    io_thread_call(w->t, alarms_set, &all);
    wait_for(&all.n, 3);
    g_assert_cmpint(get(&all.a[1].rang), ==, 1);
    g_assert_cmpint(get(&all.a[2].rang), ==, 2);
    g_assert_cmpint(get(&all.a[0].rang), ==, 3);
}

static void test_timer_is_set_again(Work *w, gconstpointer data)
{
    Alarms all = { .w = w };

    all.a[0].in_ns = 1000000;
    all.a[0].again = 5;
    io_thread_call(w->t, alarms_set, &all);
    wait_for(&all.n, 6);
    io_thread_call(w->t, who_am_i, w);
    g_assert_cmpint(get(&all.n), ==, 6);
}

/* Set a second time it has one time only; cleared by another that is due with it, none. */
static void test_cleared_timer_is_quiet(Work *w, gconstpointer data)
{
    Alarms all = { .w = w, .cancel = &all.a[2] };

    all.a[0].in_ns = 1000000;
    all.a[2].in_ns = 1000001;
    io_thread_call(w->t, alarms_set, &all);
    io_thread_call(w->t, alarms_set, &all);
    wait_for(&all.n, 1);
    g_usleep(5000);
    io_thread_call(w->t, alarms_clear, &all);
    g_assert_cmpint(get(&all.n), ==, 1);
}

static void test_timer_beside_a_busy_poller(Work *w, gconstpointer data)
{
    Alarms all = { .w = w };

    w->budget = G_MAXINT;
    io_thread_call(w->t, add_poller, w);
    all.a[0].in_ns = 1000000;
    io_thread_call(w->t, alarms_set, &all);
    wait_for(&all.n, 1);
    io_thread_call(w->t, remove_poller, w);
}

/* --- requests --- */

#define READS 1000u /* more than can be in flight */

typedef struct Read {
    IoRequest req;
    struct Reads *all;
    int res;
    uint32_t data;
} Read;

typedef struct Reads {
    Work *w;
    IoInflight flight;
    int fd;
    unsigned next;    /* to be asked for */
    unsigned full;    /* how often there was no room */
    int no_ring;      /* errno */
    Read r[READS];
} Reads;

static void reads_ask(Reads *all)
{
    while (all->next < READS) {
        Read *r = &all->r[all->next];
        struct io_uring_sqe *sqe = io_thread_get_sqe(all->w->t, &r->req);

        if (!sqe && errno == EAGAIN && all->flight.n > 0) {
            all->full++;
            return;
        }
        if (!sqe) {
            all->no_ring = errno;
            return;
        }
        io_uring_prep_read(sqe, all->fd, &r->data, sizeof(r->data),
                           (uint64_t)all->next * sizeof(r->data));
        io_inflight_begin(&all->flight);
        all->next++;
    }
}

static void read_done(IoRequest *req, int res)
{
    Read *r = container_of(req, Read, req);

    r->res = res;
    reads_ask(r->all);
    io_inflight_end(&r->all->flight);
}

static void reads_start(void *opaque)
{
    Reads *all = opaque;

    for (unsigned i = 0; i < READS; i++) {
        all->r[i].all = all;
        all->r[i].req.done = read_done;
    }
    reads_ask(all);
}

/* A file whose words count; NULL: this kernel has no io_uring, and the test is skipped. */
static Reads *reads_new(Work *w)
{
    g_autofree Reads *all = g_new0(Reads, 1);
    struct io_uring ring;

    if (io_uring_queue_init(2, &ring, 0) < 0) {
        g_test_skip("this kernel has no io_uring for us");
        return NULL;
    }
    io_uring_queue_exit(&ring);
    all->w = w;
    all->fd = memfd_create("reads", MFD_CLOEXEC);
    for (uint32_t i = 0; i < READS; i++) {
        g_assert_cmpint(pwrite(all->fd, &i, sizeof(i), i * (off_t)sizeof(i)), ==, sizeof(i));
    }
    return g_steal_pointer(&all);
}

static void reads_drain(Reads *all)
{
    Posted p = posted(all->w);

    p.drains = &all->flight;
    io_thread_post(all->w->t, &p.task);
    loop_until(&p.done);
}

static void reads_check(Reads *all)
{
    reads_drain(all);
    g_assert_cmpint(all->no_ring, ==, 0);
    g_assert_cmpuint(all->full, >, 0);
    for (unsigned i = 0; i < READS; i++) {
        g_assert_cmpint(all->r[i].res, ==, sizeof(uint32_t));
        g_assert_cmpuint(all->r[i].data, ==, i);
    }
    close(all->fd);
}

static void test_requests(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (all) {
        io_thread_call(w->t, reads_start, all);
        reads_check(all);
    }
}

static void test_requests_beside_a_busy_poller(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (all) {
        w->budget = G_MAXINT;
        io_thread_call(w->t, add_poller, w);
        io_thread_call(w->t, reads_start, all);
        reads_check(all);
        io_thread_call(w->t, remove_poller, w);
    }
}

static void test_request_that_fails(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (all) {
        close(all->fd);
        all->fd = -1;
        all->next = READS - 2;
        io_thread_call(w->t, reads_start, all);
        reads_drain(all);
        g_assert_cmpint(all->r[READS - 2].res, ==, -EBADF);
        g_assert_cmpint(all->r[READS - 1].res, ==, -EBADF);
    }
}

static void test_no_ring(Work *w, gconstpointer data)
{
    g_autofree Reads *all = reads_new(w);

    if (!all) {
        return;
    }
    io_thread_call(w->t, forbid_uring, w);
    if (!w->forbidden) {
        g_test_skip("no seccomp filter can be set");
    } else {
        io_thread_call(w->t, reads_start, all);
        g_assert_cmpint(all->no_ring, ==, EPERM);
        io_thread_call(w->t, reads_start, all); /* asked again, it is not tried again */
        g_assert_cmpint(all->no_ring, ==, EPERM);
    }
    close(all->fd);
}

static void test_free_of_nothing(void)
{
    io_thread_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Work *w, gconstpointer data);
    } tests[] = {
        { "call-runs-in-thread", test_call_runs_in_thread },
        { "source", test_source },
        { "removed-source-is-quiet", test_removed_source_is_quiet },
        { "removed-source-was-ready", test_removed_source_was_ready },
        { "poller-polls-while-there-is-work", test_poller_polls_while_there_is_work },
        { "work-found-while-arming", test_work_found_while_arming },
        { "source-beside-late-work", test_source_beside_late_work },
        { "source-wakes-pollers", test_source_wakes_pollers },
        { "sleeps-without-polling", test_sleeps_without_polling },
        { "wake-time", test_wake_time },
        { "kernel-without-pwait2", test_kernel_without_pwait2 },
        { "filter-against-pwait2", test_filter_against_pwait2 },
        { "poll-max", test_poll_max },
        { "calls-from-many-threads", test_calls_from_many_threads },
        { "call-while-busy", test_call_while_busy },
        { "window-ends-with-the-last-poller", test_window_ends_with_the_last_poller },
        { "window-follows-a-smaller-limit", test_window_follows_a_smaller_limit },
        { "window-closes", test_window_closes },
        { "window-opens-again", test_window_opens_again },
        { "post-completes-in-main-loop", test_post_completes_in_main_loop },
        { "posts-keep-their-order", test_posts_keep_their_order },
        { "post-is-posted-again", test_post_is_posted_again },
        { "post-runs-beside-a-busy-poller", test_post_runs_beside_a_busy_poller },
        { "post-from-the-thread", test_post_from_the_thread },
        { "free-runs-what-was-posted", test_free_runs_what_was_posted },
        { "completion-frees-the-thread", test_completion_frees_the_thread },
        { "free-tells-completions", test_free_tells_completions },
        { "drain-completes-with-the-last", test_drain_completes_with_the_last },
        { "drain-of-nothing", test_drain_of_nothing },
        { "timers-fire-in-order", test_timers_fire_in_order },
        { "timer-is-set-again", test_timer_is_set_again },
        { "cleared-timer-is-quiet", test_cleared_timer_is_quiet },
        { "timer-beside-a-busy-poller", test_timer_beside_a_busy_poller },
        { "requests", test_requests },
        { "requests-beside-a-busy-poller", test_requests_beside_a_busy_poller },
        { "request-that-fails", test_request_that_fails },
        { "no-ring", test_no_ring },
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/iothread/free-of-nothing", test_free_of_nothing);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/util/iothread/%s", tests[i].name);

        g_test_add(path, Work, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
