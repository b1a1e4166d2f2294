/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "block-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "util/container-of.h"

#define WAIT_US (20 * G_USEC_PER_SEC)

uint8_t block_rig_byte(uint64_t offset)
{
    return (uint8_t)(offset / 512 * 7 + offset % 512 + 1);
}

void block_rig_init(BlockRig *r)
{
    bool memory = g_file_test("/dev/shm", G_FILE_TEST_IS_DIR) && access("/dev/shm", W_OK) == 0;
    g_autofree uint8_t *image = g_malloc(BLOCK_RIG_BYTES);
    g_autoptr(GError) error = NULL;

    *r = (BlockRig){ 0 };
    r->dir = g_build_filename(memory ? "/dev/shm" : g_get_tmp_dir(), "ringtap-block-XXXXXX", NULL);
    g_assert_nonnull(g_mkdtemp(r->dir));
    r->path = g_build_filename(r->dir, "image", NULL);
    for (size_t i = 0; i < BLOCK_RIG_BYTES; i++) {
        image[i] = block_rig_byte(i);
    }
    g_file_set_contents(r->path, (const char *)image, BLOCK_RIG_BYTES, &error);
    g_assert_no_error(error);
    r->config = (BlockConfig){ .driver = "file", .node_name = "disk0", .filename = r->path,
                               .discard = true };
}

static void rig_changed(void *opaque)
{
    BlockRig *r = opaque;

    r->changes++;
}

void block_rig_open_node(BlockRig *r)
{
    g_autoptr(GError) error = NULL;

    r->node = block_node_open(&r->config, &error);
    g_assert_no_error(error);
    block_node_claim(r->node, !r->node->read_only, false, &error);
    g_assert_no_error(error);
    r->node->changed = rig_changed;
    r->node->changed_opaque = r;
}

void block_rig_start(BlockRig *r, unsigned n)
{
    g_autoptr(GError) error = NULL;

    for (r->n_queues = 0; r->n_queues < n; r->n_queues++) {
        r->t[r->n_queues] = io_thread_new("block-test", &error);
        g_assert_no_error(error);
        block_queue_init(&r->q[r->n_queues], r->node, r->t[r->n_queues], &error);
        g_assert_no_error(error);
    }
}

void block_rig_open(BlockRig *r, unsigned n)
{
    block_rig_open_node(r);
    block_rig_start(r, n);
}

typedef struct Drain {
    IoTask task;
    BlockQueue *q;
    int done;
} Drain;

static bool drain_run(IoTask *task)
{
    return block_queue_drain(container_of(task, Drain, task)->q, task);
}

static void drain_done(IoTask *task)
{
    container_of(task, Drain, task)->done = 1;
}

static void drain(BlockRig *r, unsigned queue)
{
    Drain d = { .task = { .run = drain_run, .done = drain_done }, .q = &r->q[queue] };

    io_thread_post(r->t[queue], &d.task);
    block_rig_loop_until(&d.done, 1);
}

void block_rig_close(BlockRig *r)
{
    while (r->n_queues > 0) {
        r->n_queues--;
        drain(r, r->n_queues);
        block_queue_done(&r->q[r->n_queues]);
        g_clear_pointer(&r->t[r->n_queues], io_thread_free);
    }
    if (r->node && r->node->in_use) {
        block_node_release(r->node);
    }
    g_clear_pointer(&r->node, block_node_free);
}

void block_rig_done(BlockRig *r)
{
    block_rig_close(r);
    g_unlink(r->path);
    g_rmdir(r->dir);
    g_free(r->path);
    g_free(r->dir);
}

void block_rig_expect(const BlockRig *r, uint64_t offset, const void *data, size_t n)
{
    g_autofree uint8_t *now = g_malloc(n + 1);
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pread(fd, now, n, (off_t)offset), ==, (ssize_t)n);
    g_assert_cmpmem(now, n, data, n);
    close(fd);
}

/* --- requests --- */

typedef struct Submission {
    BlockQueue *q;
    BlockJob *jobs;
    unsigned n;
} Submission;

static void job_done(BlockRequest *req, int res)
{
    BlockJob *j = container_of(req, BlockJob, req);

    j->res = res;
    __atomic_fetch_add(&j->done, 1, __ATOMIC_RELEASE);
}

static void submit_all(void *opaque)
{
    Submission *s = opaque;

    for (unsigned i = 0; i < s->n; i++) {
        block_submit(s->q, &s->jobs[i].req);
        g_assert_cmpint(__atomic_load_n(&s->jobs[i].done, __ATOMIC_RELAXED), ==, 0);
    }
}

void block_rig_submit(BlockRig *r, unsigned queue, BlockJob *jobs, unsigned n)
{
    Submission s = { .q = &r->q[queue], .jobs = jobs, .n = n };

    for (unsigned i = 0; i < n; i++) {
        jobs[i].done = 0;
        jobs[i].req.done = job_done;
    }
    io_thread_call(r->t[queue], submit_all, &s);
}

void block_rig_wait(BlockJob *jobs, unsigned n)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    for (unsigned i = 0; i < n; i++) {
        while (__atomic_load_n(&jobs[i].done, __ATOMIC_ACQUIRE) == 0) {
            g_assert_cmpint(g_get_monotonic_time(), <, end);
            g_usleep(50);
        }
    }
}

int block_rig_run(BlockRig *r, unsigned queue, BlockRequest *req)
{
    BlockJob j = { .req = *req };

    block_rig_submit(r, queue, &j, 1);
    block_rig_wait(&j, 1);
    return j.res;
}

int block_rig_iov(BlockRig *r, BlockOp op, uint64_t offset, struct iovec *iov, unsigned n)
{
    BlockRequest req = { .op = op, .offset = offset, .iov = iov, .n_iov = n };

    for (unsigned i = 0; i < n; i++) {
        req.bytes += iov[i].iov_len;
    }
    return block_rig_run(r, 0, &req);
}

int block_rig_io(BlockRig *r, BlockOp op, uint64_t offset, void *buf, uint64_t bytes)
{
    struct iovec iov = { .iov_base = buf, .iov_len = bytes };
    BlockRequest req = { .op = op, .offset = offset, .bytes = bytes };

    if (buf) {
        req.iov = &iov;
        req.n_iov = 1;
    }
    return block_rig_run(r, 0, &req);
}

void block_rig_loop_until(const int *n, int want)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (__atomic_load_n(n, __ATOMIC_ACQUIRE) < want) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        if (!g_main_context_iteration(NULL, FALSE)) {
            g_usleep(200);
        }
    }
}

/* --- tests --- */

static void setup(BlockRig *r, gconstpointer data)
{
    block_rig_init(r);
    r->config.aio = (BlockAio)GPOINTER_TO_INT(data);
}

static void teardown(BlockRig *r, gconstpointer data)
{
    block_rig_done(r);
}

void block_rig_add_tests(const char *prefix, const BlockTest *tests, size_t n)
{
    static const char *const engines[] = { "io_uring", "threads" };

    for (size_t i = 0; i < n; i++) {
        for (int aio = 0; aio < 2; aio++) {
            g_autofree char *path = g_strdup_printf("%s/%s/%s", prefix, tests[i].name,
                                                    engines[aio]);

            g_test_add(path, BlockRig, GINT_TO_POINTER(aio), setup, tests[i].run, teardown);
        }
    }
}
