/*
 * Reads and writes that a queue's thread does itself: which ones, how much of a round, and that
 * nothing else of them is different. The test is in the way of the calls, and says what a file
 * system can do, how long a call takes, and whether it waited. Time is virtual.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block-rig.h"
#include "util/clock.h"
#include "util/container-of.h"

#define MS 1000000ull

/* Atomics, as workers make these calls, too. */
static int the_thread;     /* tid; what is counted and injected is its own alone */
static int nowait_errno;   /* of a call that must not wait; 0: there is a way for it */
static int nowait_calls;
static int calls;          /* that may wait */
static int call_errno;     /* of the next one; 0: it succeeds */
static int call_part;      /* so many bytes of the next one, at most; negative: none; 0: all */
static int call_ms;        /* so long each takes */
static int call_waits;     /* each: the thread sleeps */
static int waits;          /* so often it slept */

static int get(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

static void set(int *n, int to)
{
    __atomic_store_n(n, to, __ATOMIC_RELEASE);
}

static void move_clock(uint64_t ns)
{
    clock_set_virtual_ns(clock_virtual_ns() + ns);
}

static bool is_the_thread(void)
{
    return (int)syscall(SYS_gettid) == get(&the_thread);
}

static ssize_t nowait_call(long number, int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    g_assert_cmpint(flags, ==, RWF_NOWAIT);
    g_assert_true(is_the_thread());
    __atomic_fetch_add(&nowait_calls, 1, __ATOMIC_RELAXED);
    errno = get(&nowait_errno);
    return errno != 0 ? -1 : syscall(number, fd, iov, n, at, 0);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    return nowait_call(SYS_pwritev, fd, iov, n, at, flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    return nowait_call(SYS_preadv, fd, iov, n, at, flags);
}

static ssize_t waiting_call(long number, int fd, const struct iovec *iov, int n, off_t at)
{
    struct iovec first = *iov;
    int part;

    if (!is_the_thread()) {
        return syscall(number, fd, iov, n, at, 0);
    }
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    move_clock((uint64_t)get(&call_ms) * MS);
    __atomic_fetch_add(&waits, get(&call_waits), __ATOMIC_RELAXED);
    errno = __atomic_exchange_n(&call_errno, 0, __ATOMIC_ACQ_REL);
    if (errno != 0) {
        return -1;
    }
    part = __atomic_exchange_n(&call_part, 0, __ATOMIC_ACQ_REL);
    if (part != 0) {
        first.iov_len = (size_t)MAX(part, 0);
        n = 1;
    }
    return syscall(number, fd, part != 0 ? &first : iov, n, at, 0);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    return waiting_call(SYS_pwritev, fd, iov, n, at);
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t at)
{
    return waiting_call(SYS_preadv, fd, iov, n, at);
}

int getrusage(__rusage_who_t who, struct rusage *usage)
{
    g_assert_cmpint(who, ==, RUSAGE_THREAD);
    *usage = (struct rusage){ .ru_nvcsw = get(&waits) };
    return 0;
}

/* --- a queue, and requests --- */

#define JOBS_MAX 80

typedef struct Jobs {
    BlockJob jobs[JOBS_MAX];
    struct iovec iov[JOBS_MAX];
    uint8_t buf[256 << 10];
} Jobs;

/* Wherever the image is. */
static void open_node(BlockRig *r, bool in_memory)
{
    block_rig_open_node(r);
    r->node->in_memory = in_memory;
}

static void open_queue(BlockRig *r)
{
    set(&nowait_errno, EOPNOTSUPP);
    set(&nowait_calls, 0);
    set(&calls, 0);
    set(&call_errno, 0);
    set(&call_part, 0);
    set(&call_ms, 0);
    set(&call_waits, 0);
    if (!r->node) {
        open_node(r, false);
    }
    block_rig_start(r, 1);
    set(&the_thread, io_thread_tid(r->t[0]));
}

/* It is io_uring's work that is done here, and not that of threads which somebody asked for. */
static bool has_here(const BlockRig *r)
{
    return r->config.aio == BLOCK_AIO_IO_URING;
}

static void fill(Jobs *w, uint8_t with)
{
    for (size_t i = 0; i < sizeof(w->buf); i++) {
        w->buf[i] = (uint8_t)(block_rig_byte(i) ^ with);
    }
}

/* @n of @bytes each, side by side, in one round of @q. */
static void submit(BlockRig *r, BlockOp op, Jobs *w, unsigned n, size_t bytes)
{
    g_assert_cmpuint(n, <=, G_N_ELEMENTS(w->jobs));
    g_assert_cmpuint(n * bytes, <=, sizeof(w->buf));
    for (unsigned i = 0; i < n; i++) {
        w->iov[i] = (struct iovec){ .iov_base = w->buf + i * bytes, .iov_len = bytes };
        w->jobs[i].req = (BlockRequest){ .op = op, .offset = i * bytes, .bytes = bytes,
                                         .iov = &w->iov[i], .n_iov = 1 };
    }
    block_rig_submit(r, 0, w->jobs, n);
}

/* The same, to their end: all are well, each is told once. Returns how many were done here. */
static int run_some(BlockRig *r, BlockOp op, Jobs *w, unsigned n, size_t bytes)
{
    int before = get(&calls);

    submit(r, op, w, n, bytes);
    block_rig_wait(w->jobs, n);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(w->jobs[i].res, ==, 0);
        g_assert_cmpint(get(&w->jobs[i].done), ==, 1);
    }
    block_rig_expect(r, 0, w->buf, n * bytes);
    return get(&calls) - before;
}

static int write_some(BlockRig *r, unsigned n, size_t bytes)
{
    g_autofree Jobs *w = g_new0(Jobs, 1);

    fill(w, (uint8_t)(n * 3 + bytes / 512 + (unsigned)get(&calls)));
    return run_some(r, BLOCK_WRITE, w, n, bytes);
}

static int read_some(BlockRig *r, unsigned n, size_t bytes)
{
    g_autofree Jobs *w = g_new0(Jobs, 1);

    return run_some(r, BLOCK_READ, w, n, bytes);
}

/* --- which ones --- */

static void test_writes_of_a_round(BlockRig *r, gconstpointer data)
{
    open_queue(r);
    for (int i = 0; i < 5; i++) {
        g_assert_cmpint(write_some(r, 1, 512), ==, has_here(r));
        g_assert_cmpint(write_some(r, 16, 4096), ==, has_here(r) * 16);
    }
    g_assert_cmpint(get(&nowait_calls), ==, has_here(r));
}

/* Sixteen of a round, however many there are; the others are io_uring's. */
static void test_share_of_a_round(BlockRig *r, gconstpointer data)
{
    open_queue(r);
    for (int i = 0; i < 5; i++) {
        g_assert_cmpint(write_some(r, 40, 4096), ==, has_here(r) * 16);
    }
    g_assert_cmpint(write_some(r, 16, 16 << 10), ==, has_here(r) * 16);
    /* the first one does not see that it is not alone */
    g_assert_cmpint(write_some(r, 12, (16 << 10) + 512), ==, has_here(r));
    g_assert_cmpint(write_some(r, 1, 128 << 10), ==, has_here(r));
    g_assert_cmpint(write_some(r, 1, (128 << 10) + 512), ==, 0);
}

/* Where a write need not wait io_uring does it at once; errors are others' to find. */
static void test_there_is_a_way(BlockRig *r, gconstpointer data)
{
    static const int errors[] = { 0, EAGAIN, EPERM, ENOSPC };

    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        open_queue(r);
        set(&nowait_errno, errors[i]);
        g_assert_cmpint(write_some(r, 20, 4096), ==, 0);
        g_assert_cmpint(write_some(r, 1, 4096), ==, 0);
        g_assert_cmpint(get(&nowait_calls), ==, has_here(r));
        block_rig_close(r);
    }
}

static void test_direct(BlockRig *r, gconstpointer data)
{
    open_node(r, false);
    r->node->direct = true;
    open_queue(r);
    g_assert_cmpint(write_some(r, 16, 4096), ==, 0);
    g_assert_cmpint(get(&nowait_calls), ==, 0);
}

/* --- a file in memory --- */

/* What it reads is a copy, too, and more of them are a round's share. */
static void test_memory(BlockRig *r, gconstpointer data)
{
    open_node(r, true);
    open_queue(r);
    for (int i = 0; i < 5; i++) {
        g_assert_cmpint(write_some(r, JOBS_MAX, 2048), ==, has_here(r) * 64);
        g_assert_cmpint(read_some(r, JOBS_MAX, 2048), ==, has_here(r) * 64);
        g_assert_cmpint(read_some(r, 1, 128 << 10), ==, has_here(r));
        g_assert_cmpint(read_some(r, 1, (128 << 10) + 512), ==, 0);
    }
    g_assert_cmpint(get(&nowait_calls), ==, has_here(r) * 2); /* for each direction */
}

static void test_memory_direct(BlockRig *r, gconstpointer data)
{
    open_node(r, true);
    r->node->direct = true;
    open_queue(r);
    g_assert_cmpint(write_some(r, 16, 4096), ==, has_here(r) * 16);
    g_assert_cmpint(read_some(r, 16, 4096), ==, has_here(r) * 16);
}

/* Linux before 6.5 reads it at once. That says nothing of writes. */
static void test_memory_reads_at_once(BlockRig *r, gconstpointer data)
{
    open_node(r, true);
    open_queue(r);
    set(&nowait_errno, 0);
    g_assert_cmpint(read_some(r, 20, 4096), ==, 0);
    g_assert_cmpint(read_some(r, 1, 4096), ==, 0);
    g_assert_cmpint(get(&nowait_calls), ==, has_here(r));
    set(&nowait_errno, EOPNOTSUPP);
    g_assert_cmpint(write_some(r, 1, 4096), ==, has_here(r));
}

/* A file in memory is found to be one; what it is else does not matter. */
static void test_memory_is_found(BlockRig *r, gconstpointer data)
{
    struct statfs fs;

    block_rig_open_node(r);
    g_assert_cmpint(statfs(r->path, &fs), ==, 0);
    g_assert_cmpint(r->node->in_memory, ==, fs.f_type == TMPFS_MAGIC);
}

/* What somebody made shorter is not read as if it were whole. */
static void test_memory_truncated(BlockRig *r, gconstpointer data)
{
    uint8_t buf[4096];

    open_node(r, true);
    open_queue(r);
    g_assert_cmpint(read_some(r, 1, 4096), ==, has_here(r));
    g_assert_cmpint(truncate(r->path, 6144), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 4096, buf, sizeof(buf)), ==, -EIO);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 8192, buf, sizeof(buf)), ==, -EIO);
}

/* --- others --- */

static void test_others_are_not_here(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512];

    open_queue(r);
    g_assert_cmpint(block_rig_io(r, BLOCK_READ, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_DISCARD, 0, NULL, 4096), ==, 0);
    g_assert_cmpint(get(&calls) + get(&nowait_calls), ==, 0);
}

/* --- a disk that has us wait --- */

/* A hundred times as long as it took, 10 ms at least, a second at most. */
static void test_pause(BlockRig *r, gconstpointer data)
{
    static const struct {
        int ms;
        uint64_t pause;
    } cases[] = { { 0, 10 * MS }, { 3, 300 * MS }, { 50, 1000 * MS } };

    open_queue(r);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        set(&call_waits, 1);
        set(&call_ms, cases[i].ms);
        g_assert_cmpint(write_some(r, 1, 4096), ==, has_here(r));
        set(&call_waits, 0);
        set(&call_ms, 0);
        g_assert_cmpint(write_some(r, 20, 4096), ==, 0);
        move_clock(cases[i].pause - 1);
        g_assert_cmpint(write_some(r, 20, 4096), ==, 0);
        move_clock(1);
        g_assert_cmpint(write_some(r, 20, 4096), ==, has_here(r) * 16);
    }
}

/* One that takes its time is the last of the round; that alone is no reason for a pause. */
static void test_time_of_a_round(BlockRig *r, gconstpointer data)
{
    open_queue(r);
    set(&call_ms, 1);
    for (int i = 0; i < 5; i++) {
        g_assert_cmpint(write_some(r, 16, 4096), ==, has_here(r));
    }
}

static void init_queue_beside(BlockRig *r, BlockQueue *q)
{
    g_autoptr(GError) error = NULL;

    block_queue_init(q, r->node, r->t[0], &error);
    g_assert_no_error(error);
}

typedef struct Beside {
    BlockJob job;
    BlockQueue *q;
} Beside;

static void beside_done(BlockRequest *req, int res)
{
    Beside *b = container_of(req, Beside, job.req);

    b->job.res = res;
    __atomic_fetch_add(&b->job.done, 1, __ATOMIC_RELEASE);
}

static void beside_submit(void *opaque)
{
    Beside *b = opaque;

    block_submit(b->q, &b->job.req);
}

static void beside_ended(void *opaque)
{
    const Beside *b = opaque;

    g_assert_cmpuint(b->q->inflight.n, ==, 0);
}

/* The pause is of the queue that waited, and not of another one of its thread. */
static void test_queues_of_a_thread(BlockRig *r, gconstpointer data)
{
    uint8_t buf[512] = { 0 };
    struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
    BlockQueue other;
    Beside b = { .q = &other, .job.req = { .op = BLOCK_WRITE, .bytes = sizeof(buf), .iov = &iov,
                                           .n_iov = 1, .done = beside_done } };

    open_queue(r);
    init_queue_beside(r, &other);
    set(&call_waits, 1);
    g_assert_cmpint(write_some(r, 1, 4096), ==, has_here(r));
    set(&call_waits, 0);
    g_assert_cmpint(write_some(r, 1, 4096), ==, 0);
    set(&calls, 0);
    io_thread_call(r->t[0], beside_submit, &b);
    block_rig_wait(&b.job, 1);
    g_assert_cmpint(b.job.res, ==, 0);
    g_assert_cmpint(get(&calls), ==, has_here(r));
    io_thread_call(r->t[0], beside_ended, &b); /* the queue is used a moment longer than that */
    block_queue_done(&other);
}

/* --- its end --- */

static int write_one(BlockRig *r)
{
    g_autofree Jobs *w = g_new0(Jobs, 1);

    fill(w, 0x55);
    submit(r, BLOCK_WRITE, w, 1, 4096);
    block_rig_wait(w->jobs, 1);
    if (w->jobs[0].res == 0) {
        block_rig_expect(r, 0, w->buf, 4096);
    }
    return w->jobs[0].res;
}

static void test_failures(BlockRig *r, gconstpointer data)
{
    static const int errors[] = { ENOSPC, EIO, EINTR, EAGAIN };

    open_queue(r);
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        bool again = errors[i] == EINTR || errors[i] == EAGAIN || !has_here(r);

        set(&call_errno, errors[i]);
        g_assert_cmpint(write_one(r), ==, again ? 0 : -errors[i]);
        g_assert_cmpint(write_one(r), ==, 0);
    }
}

static void test_in_parts(BlockRig *r, gconstpointer data)
{
    open_queue(r);
    set(&call_part, 700);
    g_assert_cmpint(write_one(r), ==, 0);
    set(&call_part, -1);
    g_assert_cmpint(write_one(r), ==, has_here(r) ? -EIO : 0);
}

/* What somebody made shorter does not become longer again by a write up to its end. */
static void test_truncated(BlockRig *r, gconstpointer data)
{
    uint8_t buf[4096] = { 0 };
    struct stat st;

    open_queue(r);
    g_assert_cmpint(write_one(r), ==, 0);
    g_assert_cmpint(truncate(r->path, 6144), ==, 0);
    g_assert_cmpint(block_rig_io(r, BLOCK_WRITE, BLOCK_RIG_BYTES - sizeof(buf), buf, sizeof(buf)),
                    ==, -EIO);
    g_assert_cmpint(stat(r->path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 6144);
    g_assert_cmpint(get(&calls), ==, has_here(r));
}

static void *image_to_check; /* of a flush that is under way */
static BlockRig *rig_to_check;
static int flushes;

int fdatasync(int fd)
{
    if (image_to_check) {
        block_rig_expect(rig_to_check, 0, image_to_check, 16 * 4096);
    }
    __atomic_fetch_add(&flushes, 1, __ATOMIC_RELEASE);
    return (int)syscall(SYS_fdatasync, fd);
}

/* What was told to be written is in the file when a flush that comes later begins. */
static void test_flush_covers_them(BlockRig *r, gconstpointer data)
{
    g_autofree Jobs *w = g_new0(Jobs, 1);

    open_queue(r);
    set(&flushes, 0);
    for (int i = 0; i < 20; i++) {
        fill(w, (uint8_t)i);
        submit(r, BLOCK_WRITE, w, 16, 4096);
        block_rig_wait(w->jobs, 16);
        image_to_check = w->buf;
        rig_to_check = r;
        g_assert_cmpint(block_rig_io(r, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
        image_to_check = NULL;
    }
    g_assert_cmpint(get(&flushes), ==, 20);
    g_assert_cmpint(get(&calls), ==, has_here(r) * 16 * 20);
}

/* --- requests that others follow --- */

typedef struct Chain {
    BlockRequest req;
    BlockQueue *q;
    struct iovec iov;
    uint8_t buf[512];
    bool within; /* block_submit() */
    int n;       /* atomic */
} Chain;

static void chain_next(void *opaque)
{
    Chain *c = opaque;

    c->iov = (struct iovec){ .iov_base = c->buf, .iov_len = sizeof(c->buf) };
    c->within = true;
    block_submit(c->q, &c->req);
    c->within = false;
}

static void chain_done(BlockRequest *req, int res)
{
    Chain *c = container_of(req, Chain, req);

    g_assert_false(c->within);
    g_assert_cmpint(res, ==, 0);
    if (__atomic_add_fetch(&c->n, 1, __ATOMIC_ACQ_REL) < 100) {
        chain_next(c);
    }
}

/* From the end of one the next one begins: never within block_submit(), and none is lost. */
static void test_one_after_the_other(BlockRig *r, gconstpointer data)
{
    Chain c = { .req = { .op = BLOCK_WRITE, .bytes = 512, .iov = &c.iov, .n_iov = 1,
                         .done = chain_done } };

    open_queue(r);
    c.q = &r->q[0];
    io_thread_call(r->t[0], chain_next, &c);
    block_rig_loop_until(&c.n, 100);
    g_assert_cmpint(get(&calls), ==, has_here(r) * 100);
}

static const BlockTest tests[] = {
    { "writes-of-a-round", test_writes_of_a_round },
    { "share-of-a-round", test_share_of_a_round },
    { "there-is-a-way", test_there_is_a_way },
    { "direct", test_direct },
    { "memory", test_memory },
    { "memory-direct", test_memory_direct },
    { "memory-reads-at-once", test_memory_reads_at_once },
    { "memory-is-found", test_memory_is_found },
    { "memory-truncated", test_memory_truncated },
    { "others-are-not-here", test_others_are_not_here },
    { "pause", test_pause },
    { "time-of-a-round", test_time_of_a_round },
    { "queues-of-a-thread", test_queues_of_a_thread },
    { "failures", test_failures },
    { "in-parts", test_in_parts },
    { "truncated", test_truncated },
    { "flush-covers-them", test_flush_covers_them },
    { "one-after-the-other", test_one_after_the_other },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    clock_start_virtual();
    block_rig_add_tests("/block/here", tests, G_N_ELEMENTS(tests));
    return g_test_run();
}
