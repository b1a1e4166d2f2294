/*
 * Images that a qemu-storage-daemon of ours has: it starts, it fails, it is killed, it is gone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "block-rig.h"
#include "image-server.h"
#include "test-log.h"

#define BYTES (8u << 20) /* of an image */
#define JOBS  16u

typedef struct DaemonTest {
    BlockRig rig;
    ImageServer other; /* of the same image */
    char *options;
    char *image;
} DaemonTest;

static bool have_namespace; /* set by main() */

static void setup(DaemonTest *t, gconstpointer data)
{
    block_rig_init(&t->rig);
    t->image = g_build_filename(t->rig.dir, "image.qcow2", NULL);
    t->options = g_strdup_printf("driver=qcow2,discard=unmap,file.driver=file,file.filename=%s",
                                 t->image);
    t->rig.config.driver = "qcow2";
    t->rig.config.options = t->options;
    t->rig.config.filename = t->image;
}

static void teardown(DaemonTest *t, gconstpointer data)
{
    block_rig_close(&t->rig);
    image_server_kill(&t->other);
    g_unlink(t->image);
    block_rig_done(&t->rig);
    g_free(t->options);
    g_free(t->image);
}

/* False: the test is skipped. */
static bool have_programs(void)
{
    g_autofree char *daemon = g_find_program_in_path("qemu-storage-daemon");
    g_autofree char *img = g_find_program_in_path("qemu-img");

    if (!daemon || !img) {
        g_test_skip("no qemu-storage-daemon or no qemu-img");
    }
    return daemon && img;
}

static void run(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
                 NULL, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

static bool make_image(DaemonTest *t)
{
    const char *argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", t->image, "8M", NULL };

    if (!have_programs()) {
        return false;
    }
    run(argv);
    return true;
}

static void check_image(DaemonTest *t)
{
    const char *argv[] = { "qemu-img", "check", "-q", "-f", "qcow2", t->image, NULL };

    run(argv);
}

/* The only child of this process; 0: there is none. */
static pid_t child(void)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", (int)getpid());
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return (pid_t)g_ascii_strtoll(text, NULL, 10);
}

static int io(DaemonTest *t, unsigned queue, BlockOp op, uint64_t offset, void *buf, size_t n)
{
    struct iovec iov = { buf, n };
    BlockRequest req = { .op = op, .offset = offset, .bytes = n, .iov = &iov, .n_iov = 1 };

    return block_rig_run(&t->rig, queue, &req);
}

/* The daemon ends when it is told to, before it is killed. */
static void close_quickly(DaemonTest *t)
{
    gint64 since = g_get_monotonic_time();

    block_rig_close(&t->rig);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 4 * G_USEC_PER_SEC);
    g_assert_cmpint(child(), ==, 0);
}

static void test_all_operations(DaemonTest *t, gconstpointer data)
{
    uint8_t buf[4096];
    uint8_t want[4096];

    if (!make_image(t)) {
        return;
    }
    for (int again = 0; again < 2; again++) {
        block_rig_open(&t->rig, 4);
        g_assert_cmpuint(block_node_bytes(t->rig.node), ==, BYTES);
        g_assert_true(t->rig.node->discard);
        for (unsigned q = 0; q < 4; q++) {
            memset(want, again ? 0x60 + (int)q : 0, sizeof(want));
            g_assert_cmpint(io(t, q, BLOCK_READ, q * 65536 + 512, buf, sizeof(buf)), ==, 0);
            g_assert_cmpmem(buf, sizeof(buf), want, sizeof(want));
            memset(buf, 0x60 + (int)q, sizeof(buf));
            g_assert_cmpint(io(t, q, BLOCK_WRITE, q * 65536 + 512, buf, sizeof(buf)), ==, 0);
            g_assert_cmpint(io(t, q, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
        }
        close_quickly(t);
        check_image(t);
    }
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(io(t, 0, BLOCK_DISCARD, 0, NULL, 65536), ==, 0);
    memset(want, 0, sizeof(want));
    g_assert_cmpint(io(t, 0, BLOCK_READ, 512, buf, sizeof(buf)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), want, sizeof(want));
}

static void test_read_only(DaemonTest *t, gconstpointer data)
{
    uint8_t buf[512];

    if (!make_image(t)) {
        return;
    }
    t->rig.config.read_only = true;
    block_rig_open(&t->rig, 1);
    g_assert_true(t->rig.node->read_only);
    g_assert_cmpint(io(t, 0, BLOCK_READ, 0, buf, 512), ==, 0);
    g_assert_cmpint(io(t, 0, BLOCK_WRITE, 0, buf, 512), ==, -EROFS);
}

/* Of a node over it: the same daemon, until both are gone. */
static void test_node_over_another_shares_it(DaemonTest *t, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    uint8_t buf[512];
    BlockNode *below;
    pid_t pid;

    if (!make_image(t)) {
        return;
    }
    below = block_node_open(&t->rig.config, &error);
    g_assert_no_error(error);
    pid = child();
    t->rig.config.image = below;
    block_rig_open(&t->rig, 2);
    g_assert_cmpint(child(), ==, pid);
    block_node_free(below);
    g_assert_cmpint(io(t, 1, BLOCK_READ, 0, buf, 512), ==, 0);
    block_rig_close(&t->rig);
    g_assert_cmpint(child(), ==, 0);
}

/* --- it is killed --- */

static void expect_failed(DaemonTest *t, unsigned queues)
{
    uint8_t buf[512];

    for (unsigned q = 0; q < queues; q++) {
        for (BlockOp op = BLOCK_READ; op <= BLOCK_DISCARD; op++) {
            g_assert_cmpint(io(t, q, op, 0, buf, 512), ==, -EIO);
        }
    }
}

typedef struct Load {
    BlockJob jobs[JOBS];
    struct iovec iov[JOBS];
    uint8_t buf[JOBS][65536];
} Load;

static void submit(DaemonTest *t, unsigned queue, Load *l)
{
    for (unsigned i = 0; i < JOBS; i++) {
        l->iov[i] = (struct iovec){ l->buf[i], sizeof(l->buf[i]) };
        l->jobs[i].req = (BlockRequest){ .op = i % 2 ? BLOCK_WRITE : BLOCK_READ,
                                         .offset = (queue * JOBS + i + 1) * sizeof(l->buf[i]),
                                         .bytes = sizeof(l->buf[i]), .iov = &l->iov[i],
                                         .n_iov = 1 };
    }
    block_rig_submit(&t->rig, queue, l->jobs, JOBS);
}

/* It is stopped, so that all is under way when it dies. What was flushed before is there. */
static void test_killed_under_load(DaemonTest *t, gconstpointer data)
{
    g_autofree Load *loads = g_new0(Load, 3);
    g_autofree char *log = test_log_open();
    uint8_t flushed[4096];
    uint8_t buf[4096];

    if (!make_image(t)) {
        return;
    }
    memset(flushed, 0x77, sizeof(flushed));
    block_rig_open(&t->rig, 3);
    g_assert_cmpint(io(t, 0, BLOCK_WRITE, 0, flushed, sizeof(flushed)), ==, 0);
    g_assert_cmpint(io(t, 0, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpint(kill(child(), SIGSTOP), ==, 0);
    for (unsigned q = 0; q < 3; q++) {
        submit(t, q, &loads[q]);
    }
    g_assert_cmpint(kill(child(), SIGKILL), ==, 0);
    for (unsigned q = 0; q < 3; q++) {
        block_rig_wait(loads[q].jobs, JOBS);
        for (unsigned i = 0; i < JOBS; i++) {
            g_assert_cmpint(loads[q].jobs[i].res, ==, -EIO);
        }
    }
    block_rig_loop_until(&t->rig.changes, 1);
    expect_failed(t, 3);
    while (child() != 0) { /* until it is reaped */
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpint(test_log_count(log, "\n"), ==, 2);
    g_assert_cmpint(test_log_count(log, "block node 'disk0': the connection to the image's server "
                                        "is lost: all requests fail from now on\n"), ==, 1);
    g_assert_cmpint(test_log_count(log, "block node 'disk0': qemu-storage-daemon ended: signal 9"),
                    ==, 1);
    block_rig_close(&t->rig);
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(io(t, 0, BLOCK_READ, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), flushed, sizeof(flushed));
    block_rig_close(&t->rig);
    check_image(t);
    test_log_close(log);
}

/* Signals that are for all of a service are not for it: a guest may need its disk still. */
static void test_outlives_the_service(DaemonTest *t, gconstpointer data)
{
    uint8_t buf[512];

    if (!make_image(t)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(kill(child(), SIGTERM), ==, 0);
    g_assert_cmpint(kill(child(), SIGHUP), ==, 0);
    g_assert_cmpint(getpgid(child()), !=, getpgrp());
    g_usleep(50000);
    g_assert_cmpint(io(t, 0, BLOCK_READ, 0, buf, 512), ==, 0);
}

/* --- the image gets another length --- */

static void test_resize(DaemonTest *t, gconstpointer data)
{
    static const uint64_t sizes[] = { 2 * BYTES, BYTES / 2, 3 * BYTES };
    g_autoptr(GError) error = NULL;
    uint8_t want[4096];
    uint8_t buf[4096];

    if (!make_image(t)) {
        return;
    }
    memset(want, 0x31, sizeof(want));
    for (unsigned queues = 0; queues < 3; queues += 2) { /* without any, and with some */
        block_rig_open(&t->rig, queues);
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
            t->rig.changes = 0;
            block_node_resize(t->rig.node, sizes[i], &error);
            g_assert_no_error(error);
            g_assert_cmpuint(block_node_bytes(t->rig.node), ==, sizes[i]);
            g_assert_cmpint(t->rig.changes, ==, 1);
            for (unsigned q = 0; q < queues; q++) {
                uint64_t last = sizes[i] - sizeof(want);

                g_assert_cmpint(io(t, q, BLOCK_WRITE, last, want, sizeof(want)), ==, 0);
                g_assert_cmpint(io(t, q, BLOCK_READ, last, buf, sizeof(buf)), ==, 0);
                g_assert_cmpmem(buf, sizeof(buf), want, sizeof(want));
                g_assert_cmpint(io(t, q, BLOCK_READ, last + 512, buf, sizeof(buf)), ==, -EIO);
            }
        }
        block_rig_close(&t->rig);
        check_image(t);
    }
}

typedef struct Endless {
    BlockRequest req;
    struct iovec iov;
    uint8_t buf[4096];
    DaemonTest *t;
    unsigned queue;
    int stop; /* relaxed atomic, as the following */
    int rounds;
    int errors;
    int ended;
} Endless;

static void endless_submit(void *opaque)
{
    Endless *e = opaque;

    e->iov = (struct iovec){ e->buf, sizeof(e->buf) };
    e->req.iov = &e->iov;
    e->req.n_iov = 1;
    block_submit(&e->t->rig.q[e->queue], &e->req);
}

static void endless_done(BlockRequest *req, int res)
{
    Endless *e = (Endless *)req;

    e->rounds++;
    e->errors += res != 0;
    if (__atomic_load_n(&e->stop, __ATOMIC_RELAXED)) {
        __atomic_store_n(&e->ended, 1, __ATOMIC_RELEASE);
    } else {
        endless_submit(e);
    }
}

static void test_resize_under_load(DaemonTest *t, gconstpointer data)
{
    enum { N = 24, QUEUES = 3 };
    g_autofree Endless *e = g_new0(Endless, N);
    g_autoptr(GError) error = NULL;

    if (!make_image(t)) {
        return;
    }
    block_rig_open(&t->rig, QUEUES);
    for (unsigned i = 0; i < N; i++) {
        e[i].t = t;
        e[i].queue = i % QUEUES;
        e[i].req = (BlockRequest){ .op = i < N / 2 ? BLOCK_WRITE : BLOCK_READ, .bytes = 4096,
                                   .offset = i % (N / 2) * 4096, .done = endless_done };
        io_thread_call(t->rig.t[e[i].queue], endless_submit, &e[i]);
    }
    for (unsigned round = 1; round < 9; round++) {
        block_node_resize(t->rig.node, BYTES + round * 65536, &error);
        g_assert_no_error(error);
        g_usleep(10000);
    }
    for (unsigned i = 0; i < N; i++) {
        __atomic_store_n(&e[i].stop, 1, __ATOMIC_RELAXED);
        block_rig_loop_until(&e[i].ended, 1);
        g_assert_cmpint(e[i].errors, ==, 0);
        g_assert_cmpint(e[i].rounds, >, 8);
    }
    g_assert_false(block_node_failed(t->rig.node));
}

/* A format that cannot: its error, and all goes on. */
static void test_resize_that_fails(DaemonTest *t, gconstpointer data)
{
    const char *argv[] = { "qemu-img", "create", "-q", "-f", "vmdk", t->image, "8M", NULL };
    g_autofree char *options = g_strdup_printf("driver=vmdk,file.driver=file,file.filename=%s",
                                               t->image);
    g_autoptr(GError) error = NULL;
    uint8_t buf[512];

    if (!have_programs()) {
        return;
    }
    run(argv);
    t->rig.config.driver = "vmdk";
    t->rig.config.options = options;
    block_rig_open(&t->rig, 2);
    for (int i = 0; i < 2; i++) {
        g_assert_false(block_node_resize(t->rig.node, 2 * BYTES, &error));
        g_assert_cmpstr(error->message, ==, "Image format driver does not support resize");
        g_clear_error(&error);
        g_assert_false(block_node_resize(t->rig.node, BYTES / 2, NULL));
        g_assert_cmpuint(block_node_bytes(t->rig.node), ==, BYTES);
        g_assert_cmpint(io(t, 1, BLOCK_WRITE, 0, buf, 512), ==, 0);
        g_assert_cmpint(io(t, 0, BLOCK_READ, 0, buf, 512), ==, 0);
    }
}

/* It hangs: after a while the resize is given up, and nothing else. */
static void test_resize_of_a_hung_one(DaemonTest *t, gconstpointer data)
{
    g_autofree Load *l = g_new0(Load, 1);
    g_autoptr(GError) error = NULL;

    if (!make_image(t)) {
        return;
    }
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(kill(child(), SIGSTOP), ==, 0);
    submit(t, 0, l);
    g_assert_false(block_node_resize(t->rig.node, 2 * BYTES, &error));
    g_assert_nonnull(strstr(error->message, "requests do not end"));
    g_assert_cmpint(kill(child(), SIGCONT), ==, 0);
    block_rig_wait(l->jobs, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        g_assert_cmpint(l->jobs[i].res, ==, 0);
    }
    g_clear_error(&error);
    g_assert_true(block_node_resize(t->rig.node, 2 * BYTES, &error));
}

static void test_resize_of_a_dead_one(DaemonTest *t, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    if (!make_image(t)) {
        return;
    }
    block_rig_open(&t->rig, 2);
    g_assert_cmpint(kill(child(), SIGKILL), ==, 0);
    g_assert_false(block_node_resize(t->rig.node, 2 * BYTES, &error));
    g_assert_nonnull(error);
    g_assert_true(block_node_failed(t->rig.node));
    expect_failed(t, 2);
}

/* --- it does not start --- */

static void expect_refused(DaemonTest *t, const char *why)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(block_node_open(&t->rig.config, &error));
    g_assert_cmpstr(error->message, ==, why);
    g_assert_cmpint(child(), ==, t->other.pid);
}

static void test_no_image(DaemonTest *t, gconstpointer data)
{
    g_autofree char *why = g_strdup_printf("Could not open '%s': No such file or directory",
                                           t->image);

    if (have_programs()) {
        expect_refused(t, why);
        g_assert_true(g_file_set_contents(t->image, "text", -1, NULL));
        expect_refused(t, "Image is not in qcow2 format");
        t->rig.config.options = "driver=nosuch";
        expect_refused(t, "Parameter 'driver' does not accept value 'nosuch'");
    }
}

static void test_no_program(DaemonTest *t, gconstpointer data)
{
    g_autofree char *path = g_strdup(g_getenv("PATH"));

    g_assert_true(g_setenv("PATH", "/nowhere", true));
    expect_refused(t, "driver=qcow2 needs qemu-storage-daemon, which is not there: Debian has it "
                      "in qemu-system-common");
    g_assert_true(g_setenv("PATH", path, true));
}

/* Another daemon has the image. */
static bool start_other(DaemonTest *t)
{
    g_autofree char *sock = g_strdup_printf("%s.sock", t->image);
    g_autofree char *listen = g_strdup_printf("addr.type=unix,addr.path=%s", sock);
    g_autofree char *options = g_strdup_printf("%s,node-name=image", t->options);
    const char *argv[] = { "qemu-storage-daemon", "--blockdev", options, "--nbd-server", listen,
                           NULL };

    return make_image(t) && image_server_start(&t->other, sock, argv);
}

static void test_image_in_use(DaemonTest *t, gconstpointer data)
{
    if (start_other(t)) {
        expect_refused(t, "Failed to get \"write\" lock");
    }
}

static gpointer kill_later(gpointer opaque)
{
    DaemonTest *t = opaque;

    g_usleep(400000);
    image_server_kill(&t->other);
    return NULL;
}

/* As by the daemon of a ringtap that was killed: it needs its time to end. */
static void test_image_in_use_a_little_longer(DaemonTest *t, gconstpointer data)
{
    GThread *killer;

    if (!start_other(t)) {
        return;
    }
    killer = g_thread_new("killer", kill_later, t);
    block_rig_open(&t->rig, 1);
    g_thread_join(killer);
    g_assert_cmpuint(block_node_bytes(t->rig.node), ==, BYTES);
}

/* --- its file system --- */

static bool mount_little(DaemonTest *t)
{
    if (!have_namespace || mount("none", t->rig.dir, "tmpfs", 0, "size=1M") < 0) {
        g_test_skip("no namespace of mounts: neither root nor user namespaces");
        return false;
    }
    return true;
}

/* What does not fit fails, with one line; what was flushed stays, and the disk goes on. */
static void test_full(DaemonTest *t, gconstpointer data)
{
    g_autofree uint8_t *buf = g_malloc(65536);
    g_autofree uint8_t *got = g_malloc(65536);
    g_autofree char *log = test_log_open();
    unsigned full = 0;

    memset(buf, 0xab, 65536);
    if (!have_programs() || !mount_little(t)) {
        return;
    }
    g_assert_true(make_image(t));
    block_rig_open(&t->rig, 1);
    g_assert_cmpint(io(t, 0, BLOCK_WRITE, 0, buf, 65536), ==, 0);
    g_assert_cmpint(io(t, 0, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    for (unsigned i = 1; i < 32; i++) {
        int res = io(t, 0, BLOCK_WRITE, i * 65536, buf, 65536);

        g_assert_true(res == 0 || res == -ENOSPC);
        full += res == -ENOSPC;
        while (g_main_context_iteration(NULL, FALSE)) {
            continue;
        }
    }
    g_assert_cmpuint(full, >, 8);
    g_assert_false(block_node_failed(t->rig.node));
    g_assert_cmpint(io(t, 0, BLOCK_READ, 0, got, 65536), ==, 0);
    g_assert_cmpmem(got, 65536, buf, 65536);
    g_assert_cmpint(test_log_count(log, "block node 'disk0': write failed: No space left on "
                                        "device\n"), ==, 1);
    g_assert_cmpint(test_log_count(log, "\n"), ==, 1);
    block_rig_close(&t->rig);
    g_assert_cmpint(umount2(t->rig.dir, MNT_DETACH), ==, 0);
    test_log_close(log);
}

static void test_read_only_if_it_must(DaemonTest *t, gconstpointer data)
{
    uint8_t buf[512];

    if (!have_programs() || !mount_little(t)) {
        return;
    }
    g_assert_true(make_image(t));
    g_assert_cmpint(mount("none", t->rig.dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
    t->rig.config.auto_read_only = true;
    block_rig_open(&t->rig, 1);
    g_assert_true(t->rig.node->read_only);
    g_assert_cmpint(io(t, 0, BLOCK_READ, 0, buf, 512), ==, 0);
    block_rig_close(&t->rig);
    g_assert_cmpint(umount2(t->rig.dir, MNT_DETACH), ==, 0);
}

typedef struct Test {
    const char *name;
    void (*run)(DaemonTest *t, gconstpointer data);
} Test;

static const Test tests[] = {
    { "all-operations", test_all_operations },
    { "read-only", test_read_only },
    { "node-over-another-shares-it", test_node_over_another_shares_it },
    { "killed-under-load", test_killed_under_load },
    { "outlives-the-service", test_outlives_the_service },
    { "resize", test_resize },
    { "resize-under-load", test_resize_under_load },
    { "resize-that-fails", test_resize_that_fails },
    { "resize-of-a-hung-one", test_resize_of_a_hung_one },
    { "resize-of-a-dead-one", test_resize_of_a_dead_one },
    { "no-image", test_no_image },
    { "no-program", test_no_program },
    { "image-in-use", test_image_in_use },
    { "image-in-use-a-little-longer", test_image_in_use_a_little_longer },
    { "full", test_full },
    { "read-only-if-it-must", test_read_only_if_it_must },
};

int main(int argc, char **argv)
{
    have_namespace = (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
                     mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/block/daemon/%s", tests[i].name);

        g_test_add(path, DaemonTest, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
