/*
 * Requests to a raw image: what each does, what is refused, and how it ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block-rig.h"
#include "iothread-work.h"
#include "util/container-of.h"

#define RING_ROOM 256u /* of an iothread: util/io-ring.c */

static void fill(uint8_t *buf, uint64_t offset, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf[i] = block_rig_byte(offset + i);
    }
}

static void test_read(BlockRig *r, gconstpointer data)
{
    uint8_t want[3000];
    uint8_t got[3000] = { 0 };

    block_rig_open(r, 1);
    fill(want, 511, sizeof(want));
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 511, got, sizeof(got)), ==, 0);
    g_assert_cmpmem(got, sizeof(got), want, sizeof(want));
}

/* As many empty ones as the kernel takes at once are before what is to be read, and behind it. */
static void test_empty_pieces(BlockRig *r, gconstpointer data)
{
    enum { N = IOV_MAX * 2 + 2 };
    g_autofree struct iovec *iov = g_new0(struct iovec, N);
    uint8_t want[100];
    uint8_t got[100] = { 0 };

    block_rig_open(r, 1);
    fill(want, 700, sizeof(want));
    iov[IOV_MAX] = (struct iovec){ .iov_base = got, .iov_len = 60 };
    iov[IOV_MAX + 1] = (struct iovec){ .iov_base = got + 60, .iov_len = 40 };
    g_assert_cmpint(block_rig_iov(r, BLOCK_READ, 700, iov, N), ==, 0);
    g_assert_cmpmem(got, sizeof(got), want, sizeof(want));
    g_assert_cmpint(block_rig_iov(r, BLOCK_WRITE, 700, iov, IOV_MAX), ==, 0);
}

static void test_write(BlockRig *r, gconstpointer data)
{
    uint8_t buf[1024];
    uint8_t neighbours[1];

    block_rig_open(r, 1);
    memset(buf, 0xee, sizeof(buf));
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 4096, buf, sizeof(buf)), ==, 0);
    block_rig_expect(r, 4096, buf, sizeof(buf));
    neighbours[0] = block_rig_byte(4095);
    block_rig_expect(r, 4095, neighbours, 1);
    neighbours[0] = block_rig_byte(4096 + 1024);
    block_rig_expect(r, 4096 + 1024, neighbours, 1);
}

/* More pieces than the kernel takes: each call is short, and goes on. */
static void test_many_pieces(BlockRig *r, gconstpointer data)
{
    enum { N = IOV_MAX * 2 + 5, LEN = 100 };
    g_autofree struct iovec *iov = g_new0(struct iovec, N);
    g_autofree uint8_t *buf = g_malloc0(N * LEN);
    g_autofree uint8_t *want = g_malloc(N * LEN);

    block_rig_open(r, 1);
    fill(want, 1000, N * LEN);
    for (int i = 0; i < N; i++) {
        iov[i] = (struct iovec){ .iov_base = buf + i * LEN, .iov_len = LEN };
    }
    g_assert_cmpint(block_rig_iov(r, BLOCK_READ, 1000, iov, N), ==, 0);
    g_assert_cmpmem(buf, N * LEN, want, N * LEN);
    for (int i = 0; i < N; i++) {
        iov[i] = (struct iovec){ .iov_base = buf + i * LEN, .iov_len = LEN };
    }
    g_assert_cmpint(block_rig_iov(r, BLOCK_WRITE, 300000, iov, N), ==, 0);
    block_rig_expect(r, 300000, want, N * LEN);
}

static void test_flush(BlockRig *r, gconstpointer data)
{
    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
}

static void test_discard(BlockRig *r, gconstpointer data)
{
    static const uint8_t zeros[8192];
    uint8_t byte = block_rig_byte(8192 + 8192);

    block_rig_open(r, 1);
    g_assert_true(r->node->discard);
    g_assert_cmpint(r->node->discard_granularity, >=, 512);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 8192, NULL, 8192), ==, 0);
    block_rig_expect(r, 8192, zeros, sizeof(zeros));
    block_rig_expect(r, 8192 + 8192, &byte, 1);
    g_assert_cmpint(block_node_bytes(r->node), ==, BLOCK_RIG_BYTES);
}

static void test_discard_is_off(BlockRig *r, gconstpointer data)
{
    uint8_t byte = block_rig_byte(8192);

    r->config.discard = false;
    block_rig_open(r, 1);
    g_assert_false(r->node->discard);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 8192, NULL, 8192), ==, -EOPNOTSUPP);
    block_rig_expect(r, 8192, &byte, 1);
}

static void test_range(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512] = { 0 };
    static const uint64_t beyond[] = { BLOCK_RIG_BYTES - 511, BLOCK_RIG_BYTES, BLOCK_RIG_BYTES + 1,
                                       UINT64_MAX, UINT64_MAX - 511, (uint64_t)INT64_MAX + 1 };

    block_rig_open(r, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(beyond); i++) {
        g_assert_cmpint(block_rig_io(r, BLOCK_READ, beyond[i], buf, 512), ==, -EIO);
        g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, beyond[i], buf, 512), ==, -EIO);
        g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, beyond[i], NULL, 512), ==, -EIO);
    }
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 512, NULL, UINT64_MAX), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, BLOCK_RIG_BYTES - 512, buf, 512), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, BLOCK_RIG_BYTES, NULL, 0), ==, 0);
}

static void test_memory_of_another_length(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512];
    struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
    BlockRequest req = { .op = BLOCK_READ, .bytes = 1024, .iov = &iov, .n_iov = 1 };

    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_run(r, 0, &req), ==, -EINVAL);
}

static void test_read_only(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512] = { 0 };
    uint8_t byte = block_rig_byte(0);

    r->config.read_only = true;
    block_rig_open(r, 1);
    g_assert_false(r->node->discard);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 0, buf, 512), ==, -EROFS);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 0, NULL, 512), ==, -EROFS);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, 512), ==, 0);
    block_rig_expect(r, 0, &byte, 1);
}

/*
 * The image is made shorter by somebody else: nothing of it is taken for data, whether the file was
 * measured before that or not, as is likely right after another request.
 */
static void test_truncated(BlockRig *r, gconstpointer data)
{
    uint8_t buf[4096];

    block_rig_open(r, 1);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(truncate(r->path, 6144), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 4096, buf, sizeof(buf)), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 8192, buf, sizeof(buf)), ==, -EIO);
}

/* More than the ring of the thread takes. */
static void test_many_requests(BlockRig *r, gconstpointer data)
{
    enum { N = 1500 };
    g_autofree BlockJob *jobs = g_new0(BlockJob, N);
    g_autofree struct iovec *iov = g_new0(struct iovec, N);
    g_autofree uint8_t *buf = g_malloc0(N * 512);
    g_autofree uint8_t *want = g_malloc(N * 512);

    block_rig_open(r, 1);
    fill(want, 0, N * 512);
    for (int i = 0; i < N; i++) {
        iov[i] = (struct iovec){ .iov_base = buf + i * 512, .iov_len = 512 };
        jobs[i].req = (BlockRequest){ .op = BLOCK_READ, .offset = (uint64_t)i * 512, .bytes = 512,
                                      .iov = &iov[i], .n_iov = 1 };
    }
    block_rig_submit(r, 0, jobs, N);
    block_rig_wait(jobs, N);
    for (int i = 0; i < N; i++) {
        g_assert_cmpint(jobs[i].res, ==, 0);
        g_assert_cmpint(jobs[i].done, ==, 1);
    }
    g_assert_cmpmem(buf, N * 512, want, N * 512);
}

/* --- an io_uring that others use, or that there is none of --- */

typedef struct Hog {
    IoThread *t;
    unsigned leave; /* so much room */
    int fd;         /* readable: they let go */
    IoRequest req;
    unsigned n;
    int done;       /* atomic */
    Work work;
} Hog;

static void hog_done(IoRequest *req, int res)
{
    Hog *h = container_of(req, Hog, req);

    __atomic_fetch_add(&h->done, 1, __ATOMIC_RELEASE);
}

static void hog_ring(void *opaque)
{
    Hog *h = opaque;
    struct io_uring_sqe *sqe;

    h->req.done = hog_done;
    while (h->n + h->leave < RING_ROOM && (sqe = io_thread_get_sqe(h->t, &h->req)) != NULL) {
        io_uring_prep_poll_add(sqe, h->fd, POLLIN);
        h->n++;
    }
}

static void hog_let_go(Hog *h)
{
    uint64_t one = 1;

    g_assert_cmpint(write(h->fd, &one, sizeof(one)), ==, sizeof(one));
    block_rig_loop_until(&h->done, (int)h->n);
    close(h->fd);
}

/* Others have all of the ring, or all but one place: our requests are done while they wait. */
static void test_ring_is_full_of_others(BlockRig *r, gconstpointer data)
{
    enum { N = 20 };
    uint8_t buf[N][512];
    struct iovec iov[N];
    BlockJob jobs[N];

    for (unsigned leave = 0; leave < 2; leave++) {
        Hog h = { .leave = leave, .fd = eventfd(0, EFD_CLOEXEC) };

        block_rig_open(r, 1);
        h.t = r->t[0];
        io_thread_call(h.t, hog_ring, &h);
        g_assert_cmpint(h.n + leave, ==, RING_ROOM);
        for (int i = 0; i < N; i++) {
            iov[i] = (struct iovec){ .iov_base = buf[i], .iov_len = sizeof(buf[i]) };
            jobs[i].req = (BlockRequest){ .op = BLOCK_READ, .offset = (uint64_t)i * 512,
                                          .bytes = 512, .iov = &iov[i], .n_iov = 1 };
        }
        block_rig_submit(r, 0, jobs, N);
        block_rig_wait(jobs, N);
        for (int i = 0; i < N; i++) {
            g_assert_cmpint(jobs[i].res, ==, 0);
        }
        hog_let_go(&h);
        block_rig_close(r);
    }
}

static void forbid_ring(void *opaque)
{
    Hog *h = opaque;

    work_forbid(&h->work, SYS_io_uring_setup, ENOSYS);
}

static void test_no_ring(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512];
    Hog h = { 0 };

    block_rig_open(r, 1);
    io_thread_call(r->t[0], forbid_ring, &h);
    if (!h.work.forbidden) {
        g_test_skip("no seccomp filters here");
        return;
    }
    memset(buf, 0x99, sizeof(buf));
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, 1024, buf, sizeof(buf)), ==, 0);
    block_rig_expect(r, 1024, buf, sizeof(buf));
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 1024, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
}

/* --- the end --- */

typedef struct Drain {
    IoTask task;
    BlockQueue *q;
    const BlockJob *jobs;
    unsigned n;
    unsigned open; /* of these when it completed */
    int done;
} Drain;

static bool drain_run(IoTask *task)
{
    return block_queue_drain(container_of(task, Drain, task)->q, task);
}

static void drain_done(IoTask *task)
{
    Drain *d = container_of(task, Drain, task);

    for (unsigned i = 0; i < d->n; i++) {
        d->open += __atomic_load_n(&d->jobs[i].done, __ATOMIC_ACQUIRE) != 1;
    }
    d->done = 1;
}

static void test_drain(BlockRig *r, gconstpointer data)
{
    enum { N = 700 };
    g_autofree BlockJob *jobs = g_new0(BlockJob, N);
    g_autofree struct iovec *iov = g_new0(struct iovec, N);
    uint8_t buf[512] = { 0 };
    Drain d = { .task = { .run = drain_run, .done = drain_done }, .jobs = jobs, .n = N };

    block_rig_open(r, 1);
    d.q = &r->q[0];
    for (int i = 0; i < N; i++) {
        iov[i] = (struct iovec){ .iov_base = buf, .iov_len = 512 };
        jobs[i].req = (BlockRequest){ .op = i % 10 == 0 ? BLOCK_FLUSH : BLOCK_WRITE,
                                      .offset = (uint64_t)i * 512, .bytes = 512, .iov = &iov[i],
                                      .n_iov = 1 };
    }
    block_rig_submit(r, 0, jobs, N);
    io_thread_post(r->t[0], &d.task);
    block_rig_loop_until(&d.done, 1);
    g_assert_cmpint(d.open, ==, 0);
}

static const BlockTest tests[] = {
    { "read", test_read },
    { "empty-pieces", test_empty_pieces },
    { "write", test_write },
    { "many-pieces", test_many_pieces },
    { "flush", test_flush },
    { "discard", test_discard },
    { "discard-is-off", test_discard_is_off },
    { "range", test_range },
    { "memory-of-another-length", test_memory_of_another_length },
    { "read-only", test_read_only },
    { "truncated", test_truncated },
    { "many-requests", test_many_requests },
    { "ring-is-full-of-others", test_ring_is_full_of_others },
    { "no-ring", test_no_ring },
    { "drain", test_drain },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_rig_add_tests("/block/queue", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
