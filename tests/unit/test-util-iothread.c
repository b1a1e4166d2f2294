/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/iothread.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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
    bool forbidden; /* epoll_pwait2() */
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

/* What a kernel before 5.11, or a container's filter, says to it; in this thread only. */
static void forbid_pwait2(Work *w, unsigned err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = { .len = G_N_ELEMENTS(filter), .filter = filter };

    w->forbidden = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0;
}

static void forbid_with_enosys(void *opaque)
{
    forbid_pwait2(opaque, ENOSYS);
}

static void forbid_with_eperm(void *opaque)
{
    forbid_pwait2(opaque, EPERM);
}

static void wake_late(void *opaque)
{
    Work *w = opaque;

    w->poller.wake_ns = io_clock_ns() + 3600 * 1000000000ull;
    io_thread_add_poller(w->t, &w->poller);
}

static void sleeps_without_pwait2(Work *w, void (*forbid)(void *opaque))
{
    int polls;

    io_thread_call(w->t, forbid, w);
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
        { "poller-polls-while-there-is-work", test_poller_polls_while_there_is_work },
        { "work-found-while-arming", test_work_found_while_arming },
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
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/iothread/free-of-nothing", test_free_of_nothing);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/util/iothread/%s", tests[i].name);

        g_test_add(path, Work, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
