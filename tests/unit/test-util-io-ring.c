/*
 * Requests to a kernel that does not take all of them at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "io-ring.h"

#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>

#include "util/container-of.h"

#define REQUESTS 300u /* more than a ring takes */

/* --- a kernel that takes fewer requests than it is given, as when memory is short --- */

/*
 * What it says to the submissions to come: so many are taken, or an error and none. Then it takes
 * all. Used by the thread whose ring it is, while the test waits.
 */
static struct {
    const int *says;
    unsigned n;
    unsigned calls;
} kernel;

/* In the place of liburing's. */
int io_uring_submit(struct io_uring *ring)
{
    int (*submit)(struct io_uring *ring) =
        (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");
    unsigned left;
    int r;

    if (kernel.calls++ >= kernel.n) {
        return submit(ring);
    }
    r = kernel.says[kernel.calls - 1];
    if (r < 0) {
        return r;
    }
    g_assert_cmpuint(io_uring_sq_ready(ring), >, r);
    left = io_uring_sq_ready(ring) - (unsigned)r;
    ring->sq.sqe_tail -= left;
    r = submit(ring);
    ring->sq.sqe_tail += left; /* there they are still */
    return r;
}

static void kernel_says(const int *says, unsigned n)
{
    kernel = (typeof(kernel)){ says, n, 0 };
}

/* --- requests that note the order in which they end --- */

typedef struct Ask {
    IoRequest req;
    struct Asks *all;
    unsigned done; /* how often */
} Ask;

typedef struct Asks {
    IoRing *ring;
    IoThread *thread;
    Ask a[REQUESTS];
    unsigned asked;
    unsigned done; /* atomic */
} Asks;

static void ask_done(IoRequest *req, int res)
{
    Ask *a = container_of(req, Ask, req);

    g_assert_cmpint(res, ==, 0);
    g_assert_true(a == &a->all->a[a->all->done]); /* in the order in which they were asked */
    a->done++;
    __atomic_store_n(&a->all->done, a->all->done + 1, __ATOMIC_RELEASE);
}

/* A request that does nothing. False: there is no room. */
static bool ask(Asks *all)
{
    Ask *a = &all->a[all->asked];

    *a = (Ask){ .req.done = ask_done, .all = all };
    if (!(all->ring ? io_ring_get_sqe(all->ring, &a->req)
                    : io_thread_get_sqe(all->thread, &a->req))) {
        return false;
    }
    all->asked++;
    return true;
}

static void ask_some(Asks *all, unsigned n)
{
    while (n-- > 0) {
        g_assert_true(ask(all));
    }
}

static void reap(Asks *all, unsigned want)
{
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (all->done < want && g_get_monotonic_time() < end) {
        io_ring_reap(all->ring);
    }
    g_assert_false(io_ring_reap(all->ring));
    g_assert_cmpuint(all->done, ==, want);
}

static Asks *up(void)
{
    g_autofree Asks *all = g_new0(Asks, 1);

    all->ring = io_ring_new();
    kernel_says(NULL, 0);
    if (!all->ring) {
        g_test_skip("this kernel has no io_uring for us");
        return NULL;
    }
    return g_steal_pointer(&all);
}

static void down(Asks *all)
{
    for (unsigned i = 0; i < all->asked; i++) {
        g_assert_cmpuint(all->a[i].done, ==, 1);
    }
    io_ring_free(all->ring);
}

/* --- tests --- */

/* A few at a time: all are taken by one call. */
static void test_few_at_a_time(void)
{
    static const int says[] = { 3, 1, 4 };
    g_autofree Asks *all = up();

    if (all) {
        ask_some(all, 10);
        kernel_says(says, G_N_ELEMENTS(says));
        g_assert_true(io_ring_submit(all->ring));
        g_assert_cmpuint(kernel.calls, ==, 4);
        reap(all, 10);
        down(all);
    }
}

/* What was not taken waits, and is not taken twice. */
static void test_none(void)
{
    static const int says[] = { -EAGAIN, 3, -ENOMEM, -EBUSY };
    g_autofree Asks *all = up();

    if (all) {
        ask_some(all, 10);
        kernel_says(says, G_N_ELEMENTS(says));
        g_assert_false(io_ring_submit(all->ring));
        reap(all, 0);
        g_assert_false(io_ring_submit(all->ring));
        reap(all, 3);
        ask_some(all, 2); /* behind the others */
        g_assert_false(io_ring_submit(all->ring));
        reap(all, 3);
        g_assert_true(io_ring_submit(all->ring));
        reap(all, 12);
        down(all);
    }
}

/* A signal says nothing of the requests. */
static void test_interrupted(void)
{
    static const int says[] = { -EINTR, -EINTR };
    g_autofree Asks *all = up();

    if (all) {
        ask_some(all, 10);
        kernel_says(says, G_N_ELEMENTS(says));
        g_assert_true(io_ring_submit(all->ring));
        reap(all, 10);
        down(all);
    }
}

/* No more can be asked for than the ring takes; later, all can. */
static void test_full(void)
{
    static const int says[] = { -EAGAIN };
    g_autofree Asks *all = up();
    unsigned n;

    if (!all) {
        return;
    }
    kernel_says(says, G_N_ELEMENTS(says));
    while (ask(all)) {
        g_assert_cmpuint(all->asked, <, REQUESTS);
    }
    n = all->asked;
    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(kernel.calls, ==, 1);
    g_assert_true(io_ring_submit(all->ring));
    reap(all, n);
    ask_some(all, 20);
    g_assert_true(io_ring_submit(all->ring));
    reap(all, n + 20);
    down(all);
}

static void ask_in_thread(void *opaque)
{
    ask_some(opaque, 10);
}

/* A thread that has nothing else to do tries again by itself. */
static void test_thread_tries_again(void)
{
    static const int says[] = { -EAGAIN, -EAGAIN, 3, -EAGAIN };
    g_autoptr(IoThread) thread = NULL;
    g_autofree Asks *all = up();
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    if (!all) {
        return;
    }
    g_clear_pointer(&all->ring, io_ring_free);
    all->thread = thread = io_thread_new("asks", NULL);
    g_assert_nonnull(thread);
    kernel_says(says, G_N_ELEMENTS(says));
    io_thread_call(thread, ask_in_thread, all);
    while (__atomic_load_n(&all->done, __ATOMIC_ACQUIRE) < 10 && g_get_monotonic_time() < end) {
        g_usleep(100);
    }
    g_clear_pointer(&thread, io_thread_free);
    g_assert_cmpuint(all->done, ==, 10);
    g_assert_cmpuint(kernel.calls, ==, 5);
    down(all);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/util/io-ring/" name, fn)
    TEST("few-at-a-time", test_few_at_a_time);
    TEST("none", test_none);
    TEST("interrupted", test_interrupted);
    TEST("full", test_full);
    TEST("thread-tries-again", test_thread_tries_again);
    return g_test_run();
}
