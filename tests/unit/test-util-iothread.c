/*
 * An iothread's calls, sources and polling.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "iothread-work.h"
#include "util/clock.h"
#include "util/container-of.h"

static void test_call_runs_in_thread(Work *w, gconstpointer data)
{
    io_thread_call(w->t, work_who_am_i, w);
    g_assert_cmpint(w->tid, ==, io_thread_tid(w->t));
    g_assert_cmpint(w->tid, !=, (int)syscall(SYS_gettid));
    g_assert_cmpstr(w->name, ==, "IO a-long-threa");
}

static void test_source(Work *w, gconstpointer data)
{
    io_thread_call(w->t, work_add_source, w);
    work_kick(w);
    work_wait_for(&w->ready, 1);
    work_kick(w);
    work_wait_for(&w->ready, 2);
    io_thread_call(w->t, work_remove_source, w);
}

static void test_removed_source_is_quiet(Work *w, gconstpointer data)
{
    io_thread_call(w->t, work_add_source, w);
    io_thread_call(w->t, work_remove_source, w);
    work_kick(w);
    io_thread_call(w->t, work_who_am_i, w);
    g_assert_cmpint(work_get(&w->ready), ==, 0);
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
    work_count(&p->ready);
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
    work_wait_for(&p.ready, 1);
    io_thread_call(w->t, work_who_am_i, w);
    g_assert_cmpint(work_get(&p.ready), ==, 1);
    close(p.first.fd);
    close(p.second.fd);
}

static void test_poller_polls_while_there_is_work(Work *w, gconstpointer data)
{
    w->budget = 100;
    io_thread_call(w->t, work_add_poller, w);
    work_wait_for(&w->arms, 1);
    g_assert_cmpint(work_get(&w->budget), ==, 0);
    g_assert_cmpint(work_get(&w->polls), >, 100);
    io_thread_call(w->t, work_remove_poller, w);
}

/* --- work for the end of a round --- */

typedef struct Late {
    IoLate late;
    Work *w;
    int again; /* it asks for so many more */
    int runs;  /* atomic */
    int polls; /* of the poller, when it ran last; the thread's */
} Late;

static void late_run(IoLate *late)
{
    Late *l = container_of(late, Late, late);

    l->polls = work_get(&l->w->polls);
    if (work_take(&l->again)) {
        io_thread_run_late(l->w->t, late);
    }
    work_count(&l->runs);
}

static void late_ask(void *opaque)
{
    Late *l = opaque;

    l->late.run = late_run;
    io_thread_run_late(l->w->t, &l->late);
    g_assert_cmpint(work_get(&l->runs), ==, 0);
}

/* Also if there is no poller: the thread does not sleep before. */
static void test_late_work(Work *w, gconstpointer data)
{
    Late l = { .w = w, .again = 5 };

    io_thread_call(w->t, late_ask, &l);
    work_wait_for(&l.runs, 6);
    io_thread_call(w->t, work_who_am_i, w);
    g_assert_cmpint(work_get(&l.runs), ==, 6);
}

static void late_ask_beside_poller(void *opaque)
{
    Late *l = opaque;

    work_add_poller(l->w);
    late_ask(l);
}

/* Behind the pollers, once a round; and as it is work, they have another round after it. */
static void test_late_work_is_behind_pollers(Work *w, gconstpointer data)
{
    Late l = { .w = w, .again = 5 };

    io_thread_set_poll_max_ns(w->t, 0);
    io_thread_call(w->t, late_ask_beside_poller, &l);
    work_wait_for(&w->arms, 1);
    g_assert_cmpint(work_get(&l.runs), ==, 6);
    g_assert_cmpint(work_get(&w->polls), ==, 7);
    io_thread_call(w->t, work_remove_poller, w);
    g_assert_cmpint(l.polls, ==, 6); /* the thread's own, until the call came back */
}

static void test_work_found_while_arming(Work *w, gconstpointer data)
{
    w->late = 3;
    io_thread_call(w->t, work_add_poller, w);
    work_wait_for(&w->arms, 4);
    g_assert_cmpint(work_get(&w->late), ==, 0);
    io_thread_call(w->t, work_remove_poller, w);
}

/* Arming that finds work each time keeps nobody from the descriptors, polling or not. */
static void test_source_beside_late_work(Work *w, gconstpointer data)
{
    io_thread_set_poll_max_ns(w->t, 0);
    w->late = INT_MAX;
    io_thread_call(w->t, work_add_source, w);
    io_thread_call(w->t, work_add_poller, w);
    work_wait_for(&w->arms, 10);
    work_kick(w);
    work_wait_for(&w->ready, 1);
    io_thread_call(w->t, work_remove_poller, w);
    io_thread_call(w->t, work_remove_source, w);
}

/* A poller with work in each round, in which the Work's source becomes ready. */
typedef struct Busy {
    Work *w;
    IoPoller poller;
    int rounds; /* relaxed atomics */
    int seen;   /* of them those before whose end the source had its turn */
    int before;
} Busy;

static bool busy_poll(IoPoller *p)
{
    Busy *b = container_of(p, Busy, poller);

    if (work_get(&b->rounds) == 100) {
        return false;
    }
    if (b->rounds > 0 && work_get(&b->w->ready) > b->before) {
        work_count(&b->seen);
    }
    b->before = work_get(&b->w->ready);
    work_kick(b->w);
    work_count(&b->rounds);
    return true;
}

static bool busy_arm(IoPoller *p)
{
    return false;
}

static void busy_add(void *opaque)
{
    Busy *b = opaque;

    io_thread_add_poller(b->w->t, &b->poller);
}

static void busy_remove(void *opaque)
{
    Busy *b = opaque;

    io_thread_remove_poller(b->w->t, &b->poller);
}

/* Else it would wait for several batches of the other. */
static void test_source_beside_a_busy_poller(Work *w, gconstpointer data)
{
    Busy b = { .w = w, .poller = { .poll = busy_poll, .arm = busy_arm } };

    io_thread_call(w->t, work_add_source, w);
    io_thread_call(w->t, work_add_poller, w);
    io_thread_call(w->t, busy_add, &b);
    work_wait_for(&b.rounds, 100);
    io_thread_call(w->t, busy_remove, &b);
    io_thread_call(w->t, work_remove_poller, w);
    io_thread_call(w->t, work_remove_source, w);
    g_assert_cmpint(b.seen, ==, 99);
}

static void test_source_wakes_pollers(Work *w, gconstpointer data)
{
    int before;

    io_thread_call(w->t, work_add_source, w);
    io_thread_call(w->t, work_add_poller, w);
    work_wait_for(&w->arms, 1);
    before = work_get(&w->polls);
    work_kick(w);
    work_wait_for(&w->polls, before + 1);
    io_thread_call(w->t, work_remove_poller, w);
    io_thread_call(w->t, work_remove_source, w);
}

static void test_sleeps_without_polling(Work *w, gconstpointer data)
{
    int polls;

    io_thread_set_poll_max_ns(w->t, 0);
    io_thread_call(w->t, work_add_poller, w);
    work_wait_for(&w->arms, 1);
    g_usleep(20000);
    polls = work_get(&w->polls);
    g_usleep(50000);
    g_assert_cmpint(work_get(&w->polls), ==, polls);
    io_thread_call(w->t, work_remove_poller, w);
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
    work_wait_for(&w->arms, 2);
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 15000);
    io_thread_call(w->t, work_remove_poller, w);
}

static void forbid_with_enosys(void *opaque)
{
    work_forbid(opaque, SYS_epoll_pwait2, ENOSYS);
}

static void forbid_with_eperm(void *opaque)
{
    work_forbid(opaque, SYS_epoll_pwait2, EPERM);
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
    work_wait_for(&w->arms, 1);
    g_usleep(20000);
    polls = work_get(&w->polls);
    g_usleep(50000);
    g_assert_cmpint(work_get(&w->polls), ==, polls);
    io_thread_call(w->t, work_remove_poller, w);
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
        io_thread_call(((Work *)opaque)->t, work_who_am_i, opaque);
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
    io_thread_call(w->t, work_add_poller, w);
    io_thread_call(w->t, work_who_am_i, w);
    g_assert_cmpint(w->tid, ==, io_thread_tid(w->t));
    io_thread_call(w->t, work_remove_poller, w);
}

/* Work at every other look: each time looking pays, so the window grows to its limit. */
static bool poller_poll_now_and_then(IoPoller *p)
{
    Work *w = container_of(p, Work, poller);

    work_count(&w->polls);
    return work_get(&w->polls) % 2 == 0 && work_take(&w->budget);
}

/* Opens a busy-poll window of a minute. */
static void open_window(Work *w)
{
    io_thread_set_poll_max_ns(w->t, 60 * 1000000000ull);
    w->poller.poll = poller_poll_now_and_then;
    w->budget = 60;
    io_thread_call(w->t, work_add_poller, w);
    work_wait_for(&w->polls, 1000);
    g_assert_cmpint(work_get(&w->budget), ==, 0);
}

static void test_window_ends_with_the_last_poller(Work *w, gconstpointer data)
{
    int64_t end;

    open_window(w);
    io_thread_call(w->t, work_remove_poller, w);
    w->poller.poll = work_poll;
    end = g_get_monotonic_time() + WAIT_US;
    io_thread_free(g_steal_pointer(&w->t));
    g_assert_cmpint(g_get_monotonic_time(), <, end);
}

static void test_window_follows_a_smaller_limit(Work *w, gconstpointer data)
{
    open_window(w);
    io_thread_set_poll_max_ns(w->t, 0);
    work_wait_for(&w->arms, 1);
    io_thread_call(w->t, work_remove_poller, w);
}

/* With a window of nothing: a limit that no look keeps to closes it at once. */
static void close_window(Work *w)
{
    io_thread_set_poll_max_ns(w->t, 1);
    io_thread_call(w->t, work_add_source, w);
    io_thread_call(w->t, work_add_poller, w);
    work_wait_for(&w->arms, 1);
}

/* Where polling brings nothing there is none: work is looked for once more, then it sleeps. */
static void test_window_closes(Work *w, gconstpointer data)
{
    close_window(w);
    for (int i = 0; i < 40; i++) {
        int polls = work_get(&w->polls);

        __atomic_store_n(&w->budget, 1, __ATOMIC_RELAXED);
        work_kick(w);
        work_wait_for(&w->arms, i + 2);
        g_assert_cmpint(work_get(&w->polls), ==, polls + 2);
    }
    io_thread_call(w->t, work_remove_poller, w);
    io_thread_call(w->t, work_remove_source, w);
}

/* Sleeps that end soon, of which it times some, are better polled away. */
static void test_window_opens_again(Work *w, gconstpointer data)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    close_window(w);
    io_thread_set_poll_max_ns(w->t, 60 * 1000000000ull);
    while (work_get(&w->polls) < 10000) { /* each wake is two */
        work_kick(w);
        g_usleep(1000);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    io_thread_set_poll_max_ns(w->t, 0);
    io_thread_call(w->t, work_remove_poller, w);
    io_thread_call(w->t, work_remove_source, w);
}

static void test_free_of_nothing(void)
{
    io_thread_free(NULL);
}

int main(int argc, char **argv)
{
    static const WorkTest tests[] = {
        { "call-runs-in-thread", test_call_runs_in_thread },
        { "source", test_source },
        { "removed-source-is-quiet", test_removed_source_is_quiet },
        { "removed-source-was-ready", test_removed_source_was_ready },
        { "poller-polls-while-there-is-work", test_poller_polls_while_there_is_work },
        { "late-work", test_late_work },
    { "late-work-is-behind-pollers", test_late_work_is_behind_pollers },
    { "work-found-while-arming", test_work_found_while_arming },
        { "source-beside-late-work", test_source_beside_late_work },
        { "source-beside-a-busy-poller", test_source_beside_a_busy_poller },
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
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/iothread/free-of-nothing", test_free_of_nothing);
    work_add_tests(tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
