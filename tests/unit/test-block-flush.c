/*
 * Flushes: how many calls they take, what each covers, and what is left after one failed. The
 * test is in the way of fdatasync().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block-rig.h"

/* All relaxed or stronger atomics. */
static int sync_calls;  /* that began */
static int sync_let;    /* so many may end; negative: all */
static int sync_errno;  /* of those that end; 0: they succeed */

int fdatasync(int fd)
{
    int call = __atomic_add_fetch(&sync_calls, 1, __ATOMIC_ACQ_REL);

    while (__atomic_load_n(&sync_let, __ATOMIC_ACQUIRE) >= 0 &&
           __atomic_load_n(&sync_let, __ATOMIC_ACQUIRE) < call) {
        g_usleep(100);
    }
    errno = __atomic_load_n(&sync_errno, __ATOMIC_ACQUIRE);
    return errno == 0 ? 0 : -1;
}

static int get(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

static void set(int *n, int to)
{
    __atomic_store_n(n, to, __ATOMIC_RELEASE);
}

static void prepare(int let)
{
    set(&sync_calls, 0);
    set(&sync_let, let);
    set(&sync_errno, 0);
}

static BlockJob flush(void)
{
    return (BlockJob){ .req.op = BLOCK_FLUSH };
}

static void test_one_call_serves_all_who_wait(BlockRig *r, gconstpointer data)
{
    enum { N = 20 };
    BlockJob first = flush();
    BlockJob others[BLOCK_RIG_QUEUES][N];

    prepare(0);
    block_rig_open(r, BLOCK_RIG_QUEUES);
    block_rig_submit(r, 0, &first, 1);
    block_rig_loop_until(&sync_calls, 1);
    for (unsigned q = 0; q < BLOCK_RIG_QUEUES; q++) {
        for (int i = 0; i < N; i++) {
            others[q][i] = flush();
        }
        block_rig_submit(r, q, others[q], N);
    }
    g_usleep(20000);
    g_assert_cmpint(get(&sync_calls), ==, 1);
    set(&sync_let, -1);
    block_rig_wait(&first, 1);
    for (unsigned q = 0; q < BLOCK_RIG_QUEUES; q++) {
        block_rig_wait(others[q], N);
        for (int i = 0; i < N; i++) {
            g_assert_cmpint(others[q][i].res, ==, 0);
            g_assert_cmpint(others[q][i].done, ==, 1);
        }
    }
    g_assert_cmpint(get(&sync_calls), ==, 2);
}

/* Who comes while one is under way may have written after it looked. */
static void test_later_flush_has_a_call_of_its_own(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512] = { 0 };
    BlockJob first = flush();
    BlockJob second = flush();

    prepare(0);
    block_rig_open(r, 2);
    block_rig_submit(r, 0, &first, 1);
    block_rig_loop_until(&sync_calls, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, buf, sizeof(buf)), ==, 0);
    block_rig_submit(r, 1, &second, 1);
    set(&sync_let, 1);
    block_rig_wait(&first, 1);
    block_rig_loop_until(&sync_calls, 2);
    g_assert_cmpint(get(&second.done), ==, 0);
    set(&sync_let, 2);
    block_rig_wait(&second, 1);
}

/* Other requests go on meanwhile. */
static void test_flush_holds_nobody_up(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512] = { 0 };
    BlockJob first = flush();

    prepare(0);
    block_rig_open(r, 1);
    block_rig_submit(r, 0, &first, 1);
    block_rig_loop_until(&sync_calls, 1);
    for (int i = 0; i < 50; i++) {
        g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, buf, sizeof(buf)), ==, 0);
        g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 4096, NULL, 4096), ==, 0);
    }
    g_assert_cmpint(get(&first.done), ==, 0);
    set(&sync_let, -1);
    block_rig_wait(&first, 1);
}

static void test_failed_flush_ends_the_node(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512] = { 0 };
    BlockJob first = flush();
    BlockJob pending = flush();

    prepare(0);
    block_rig_open(r, 2);
    block_rig_submit(r, 0, &first, 1);
    block_rig_loop_until(&sync_calls, 1);
    block_rig_submit(r, 1, &pending, 1);
    g_assert_false(block_node_failed(r->node));
    set(&sync_errno, EIO);
    set(&sync_let, -1);
    block_rig_wait(&first, 1);
    block_rig_wait(&pending, 1);
    g_assert_cmpint(first.res, ==, -EIO);
    g_assert_cmpint(pending.res, ==, -EIO);
    g_assert_true(block_node_failed(r->node));

    set(&sync_errno, 0); /* as Linux does: the next one knows nothing of it */
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, 512), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, buf, 512), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 0, NULL, 512), ==, -EIO);
    g_assert_cmpint(get(&sync_calls), ==, 1);
    block_rig_loop_until(&r->changes, 1);
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    g_assert_cmpint(r->changes, ==, 1);
}

static void test_nothing_to_flush(BlockRig *r, gconstpointer data)
{
    prepare(-1);
    r->config.no_flush = true;
    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    block_rig_close(r);
    r->config.no_flush = false;
    r->config.read_only = true;
    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpint(get(&sync_calls), ==, 0);
}

static const BlockTest tests[] = {
    { "one-call-serves-all-who-wait", test_one_call_serves_all_who_wait },
    { "later-flush-has-a-call-of-its-own", test_later_flush_has_a_call_of_its_own },
    { "flush-holds-nobody-up", test_flush_holds_nobody_up },
    { "failed-flush-ends-the-node", test_failed_flush_ends_the_node },
    { "nothing-to-flush", test_nothing_to_flush },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/flush", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
