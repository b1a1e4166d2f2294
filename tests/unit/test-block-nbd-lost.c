/*
 * Servers that die: the disk fails, with errors for whatever was under way and for all that comes
 * after it, also when there is a new server at the same place. What was flushed is in the image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "block-rig.h"
#include "image-server.h"
#include "test-log.h"

#define JOBS 24u /* of each queue; more than there are buffers */

typedef struct LostTest {
    BlockRig rig;
    ImageServer server;
    BlockServer where;
    char *socket;
    uint8_t buf[BLOCK_RIG_QUEUES][JOBS][1024];
    struct iovec iov[BLOCK_RIG_QUEUES][JOBS][2];
    BlockJob jobs[BLOCK_RIG_QUEUES][JOBS];
} LostTest;

static void setup(LostTest *t, gconstpointer data)
{
    block_rig_init(&t->rig);
    t->socket = g_strdup_printf("%s.sock", t->rig.path);
    t->where = (BlockServer){ .path = t->socket, .export = "" };
    t->rig.config.driver = "nbd";
    t->rig.config.server = &t->where;
    t->rig.config.filename = "the server";
}

static void teardown(LostTest *t, gconstpointer data)
{
    block_rig_close(&t->rig);
    image_server_kill(&t->server);
    block_rig_done(&t->rig);
    g_free(t->socket);
}

/* @slow: requests take so long that they are under way when it is killed. */
static bool start_many(LostTest *t, bool slow)
{
    const char *argv[] = { "nbdkit", "-f", "-U", t->socket, "file", t->rig.path,
                           slow ? "--filter=delay" : NULL, "rdelay=60", "wdelay=60", NULL };

    return image_server_start(&t->server, t->socket, argv);
}

/* One that takes a single connection, with its requests held up. */
static bool start_single(LostTest *t, bool slow)
{
    g_autofree char *image = g_strdup_printf("driver=throttle,throttle-group=g,file.driver=raw,"
                                             "file.file.driver=file,file.file.filename=%s",
                                             t->rig.path);
    const char *quick[] = { "qemu-nbd", "-t", "-f", "raw", "-k", t->socket, t->rig.path, NULL };
    const char *held[] = { "qemu-nbd", "-t", "-k", t->socket, "--object",
                           "throttle-group,id=g,x-iops-total=1", "--image-opts", image, NULL };

    return image_server_start(&t->server, t->socket, slow ? held : quick);
}

/* Reads and writes, of one piece and of two. */
static void submit_all(LostTest *t, unsigned queues)
{
    for (unsigned q = 0; q < queues; q++) {
        for (unsigned i = 0; i < JOBS; i++) {
            uint8_t *buf = t->buf[q][i];

            t->iov[q][i][0] = (struct iovec){ buf, i % 4 < 2 ? 1024 : 100 };
            t->iov[q][i][1] = (struct iovec){ buf + 100, 924 };
            t->jobs[q][i] = (BlockJob){
                .req = { .op = i % 2 ? BLOCK_WRITE : BLOCK_READ, .offset = (q * JOBS + i) * 1024,
                         .bytes = 1024, .iov = t->iov[q][i], .n_iov = i % 4 < 2 ? 1 : 2 },
            };
        }
        block_rig_submit(&t->rig, q, t->jobs[q], JOBS);
    }
}

static void expect_all_fail(LostTest *t, unsigned queues)
{
    uint8_t buf[512];
    struct iovec iov;

    for (unsigned q = 0; q < queues; q++) {
        for (BlockOp op = BLOCK_READ; op <= BLOCK_DISCARD; op++) {
            BlockRequest req = { .op = op, .bytes = 512, .iov = &iov, .n_iov = 1 };

            iov = (struct iovec){ buf, 512 };
            g_assert_cmpint(block_rig_run(&t->rig, q, &req), ==, -EIO);
        }
    }
}

/* A server at the same place, and still errors, until the image is opened again. */
static void expect_lost(LostTest *t, unsigned queues, bool (*start)(LostTest *t, bool slow))
{
    BlockQueue q;
    g_autoptr(GError) error = NULL;
    uint8_t buf[512];

    g_assert_true(block_node_failed(t->rig.node));
    expect_all_fail(t, queues);
    g_assert_true(start(t, false));
    expect_all_fail(t, queues);
    g_assert_false(block_queue_init(&q, t->rig.node, t->rig.t[0], &error));
    g_assert_cmpstr(error->message, ==, "The connection to 'the server' is lost");
    block_queue_done(&q);
    block_rig_close(&t->rig);
    block_rig_open(&t->rig, queues);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 0, buf, 512), ==, 0);
}

static void kill_under_load(LostTest *t, unsigned queues, bool (*start)(LostTest *t, bool slow))
{
    g_autofree char *log = test_log_open();

    if (start(t, true)) {
        block_rig_open(&t->rig, queues);
        submit_all(t, queues);
        g_usleep(100000);
        image_server_kill(&t->server);
        for (unsigned q = 0; q < queues; q++) {
            block_rig_wait(t->jobs[q], JOBS);
            for (unsigned i = 4; i < JOBS; i++) { /* the first ones may have gone through */
                g_assert_cmpint(t->jobs[q][i].res, ==, -EIO);
                g_assert_cmpint(t->jobs[q][i].done, ==, 1);
            }
        }
        block_rig_loop_until(&t->rig.changes, 1);
        g_assert_cmpint(t->rig.changes, ==, 1);
        expect_lost(t, queues, start);
        g_assert_cmpint(test_log_count(log, "\n"), ==, 1);
        g_assert_cmpint(test_log_count(log, "block node 'disk0': the connection to the image's "
                                            "server is lost: all requests fail from now on\n"),
                        ==, 1);
    }
    test_log_close(log);
}

static void test_killed_under_load(LostTest *t, gconstpointer data)
{
    kill_under_load(t, 3, start_many);
}

static void test_only_connection_under_load(LostTest *t, gconstpointer data)
{
    kill_under_load(t, 3, start_single);
}

/* It is known before anybody asks. */
static void test_killed_without_load(LostTest *t, gconstpointer data)
{
    if (!start_many(t, false)) {
        return;
    }
    block_rig_open(&t->rig, 2);
    image_server_kill(&t->server);
    block_rig_loop_until(&t->rig.changes, 1);
    expect_lost(t, 2, start_many);
}

/* Nobody had a connection when the server died, and there is a new one by now. */
static void test_killed_without_queues(LostTest *t, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    BlockQueue q;

    if (!start_many(t, false)) {
        return;
    }
    block_rig_open_node(&t->rig);
    t->rig.t[0] = io_thread_new("lost", &error);
    g_assert_true(block_queue_init(&q, t->rig.node, t->rig.t[0], &error));
    block_queue_done(&q);
    image_server_kill(&t->server);
    g_assert_true(start_many(t, false));
    g_assert_false(block_queue_init(&q, t->rig.node, t->rig.t[0], &error));
    g_assert_cmpstr(error->message, ==, "The connection to 'the server' is lost");
    g_assert_true(block_node_failed(t->rig.node));
    g_clear_pointer(&t->rig.t[0], io_thread_free);
}

static void test_flushed_is_in_the_image(LostTest *t, gconstpointer data)
{
    uint8_t buf[4096];

    memset(buf, 0x5a, sizeof(buf));
    if (!start_many(t, false)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_WRITE, 8192, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    image_server_kill(&t->server);
    block_rig_expect(&t->rig, 8192, buf, sizeof(buf));
    g_assert_cmpint(block_rig_io(&t->rig, BLOCK_FLUSH, 0, NULL, 0), ==, -EIO);
}

/* One that only takes its time is waited for. */
static void test_stopped(LostTest *t, gconstpointer data)
{
    if (!start_many(t, false)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    image_server_signal(&t->server, SIGSTOP);
    submit_all(t, 1);
    g_usleep(200000);
    for (unsigned i = 0; i < JOBS; i++) {
        g_assert_cmpint(__atomic_load_n(&t->jobs[0][i].done, __ATOMIC_RELAXED), ==, 0);
    }
    image_server_signal(&t->server, SIGCONT);
    block_rig_wait(t->jobs[0], JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        g_assert_cmpint(t->jobs[0][i].res, ==, 0);
    }
}

/* The image gets shorter below the server: what is not there any more is an error. */
static void test_truncated(LostTest *t, gconstpointer data)
{
    g_autofree char *log = test_log_open();
    uint8_t buf[512];

    if (start_many(t, false)) {
        block_rig_open(&t->rig, 1);
        g_assert_cmpint(truncate(t->rig.path, 65536), ==, 0);
        for (int i = 0; i < 5; i++) {
            g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 131072, buf, 512), ==, -EIO);
            while (g_main_context_iteration(NULL, FALSE)) {
                continue;
            }
        }
        g_assert_cmpint(block_rig_io(&t->rig, BLOCK_READ, 0, buf, 512), ==, 0);
        g_assert_false(block_node_failed(t->rig.node));
        g_assert_cmpint(test_log_count(log, "block node 'disk0': read failed: Input/output error"),
                        ==, 1);
        g_assert_cmpint(test_log_count(log, "\n"), ==, 1);
    }
    test_log_close(log);
}

typedef struct Test {
    const char *name;
    void (*run)(LostTest *t, gconstpointer data);
} Test;

static const Test tests[] = {
    { "killed-under-load", test_killed_under_load },
    { "only-connection-under-load", test_only_connection_under_load },
    { "killed-without-load", test_killed_without_load },
    { "killed-without-queues", test_killed_without_queues },
    { "flushed-is-in-the-image", test_flushed_is_in_the_image },
    { "stopped", test_stopped },
    { "truncated", test_truncated },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/block/nbd-lost/%s", tests[i].name);

        g_test_add(path, LostTest, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
