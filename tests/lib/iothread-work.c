/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "iothread-work.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/container-of.h"

int work_get(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_RELAXED);
}

void work_count(int *n)
{
    __atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

bool work_take(int *n)
{
    int v = work_get(n);

    if (v == 0) {
        return false;
    }
    __atomic_store_n(n, v - 1, __ATOMIC_RELAXED);
    return true;
}

/* Until *@n is at least @want; fails the test if it takes too long. */
void work_wait_for(const int *n, int want)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (work_get(n) < want) {
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
    work_count(&w->ready);
}

bool work_poll(IoPoller *p)
{
    Work *w = container_of(p, Work, poller);

    work_count(&w->polls);
    return work_take(&w->budget);
}

static bool poller_arm(IoPoller *p)
{
    Work *w = container_of(p, Work, poller);

    work_count(&w->arms);
    return work_take(&w->late);
}

void work_add_source(void *opaque)
{
    Work *w = opaque;

    g_assert_cmpint(io_thread_add_source(w->t, &w->source, EPOLLIN), ==, 0);
}

void work_remove_source(void *opaque)
{
    Work *w = opaque;

    io_thread_remove_source(w->t, &w->source);
}

void work_add_poller(void *opaque)
{
    Work *w = opaque;

    io_thread_add_poller(w->t, &w->poller);
}

void work_remove_poller(void *opaque)
{
    Work *w = opaque;

    io_thread_remove_poller(w->t, &w->poller);
}

void work_who_am_i(void *opaque)
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
    w->poller.poll = work_poll;
    w->poller.arm = poller_arm;
}

static void teardown(Work *w, gconstpointer data)
{
    io_thread_free(w->t);
    close(w->source.fd);
}

void work_kick(Work *w)
{
    uint64_t one = 1;

    g_assert_cmpint(write(w->source.fd, &one, sizeof(one)), ==, sizeof(one));
}

void work_forbid(Work *w, unsigned nr, unsigned err)
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

void work_add_tests(const WorkTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_autofree char *path = g_strdup_printf("/util/iothread/%s", tests[i].name);

        g_test_add(path, Work, NULL, setup, tests[i].run, teardown);
    }
}
