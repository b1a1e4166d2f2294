/*
 * Blkfront's requests, against a backend in this process whose disk is memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "hw/core/counter.h"
#include "vbd-test.h"

static void up(VbdTest *t, const VbdBackConfig *c)
{
    vbd_test_up(t);
    vbd_test_back(t, c);
}

/* --- data --- */

/* Written at an odd place in two pieces of memory, and read back in three others. */
static void write_and_read(VbdTest *t, uint64_t offset, size_t n)
{
    g_autofree uint8_t *back = g_malloc0(n);
    struct iovec out[] = { { t->buf, n / 3 }, { t->buf + n / 3, n - n / 3 } };
    struct iovec in[] = { { back, 1 }, { back, 0 }, { back + 1, n / 2 },
                          { back + 1 + n / 2, n - 1 - n / 2 } };
    VbdJob w = { .req = { .op = BLOCK_WRITE, .offset = offset, .bytes = n, .iov = out,
                          .n_iov = G_N_ELEMENTS(out) } };
    VbdJob r = { .req = { .op = BLOCK_READ, .offset = offset, .bytes = n, .iov = in,
                          .n_iov = G_N_ELEMENTS(in) } };

    vbd_submit_job(&t->v, 0, &w);
    vbd_expect(&w, 1, 0);
    g_assert_cmpmem(vbd_back_image(&t->b) + offset, n, t->buf, n);
    vbd_submit_job(&t->v, 0, &r);
    vbd_expect(&r, 1, 0);
    g_assert_cmpmem(back, n, t->buf, n);
    memset(vbd_back_image(&t->b) + offset, 0, n);
    vbd_back_image(&t->b);
}

static const size_t sizes[] = { 512, 1024, 4096, 4608, 11 * 4096, 11 * 4096 + 512, 12 * 4096,
                                128 * KIB, MIB, MIB + 512, 3 * MIB };

static void test_data(gconstpointer data)
{
    const XenBlkfrontConfig *config = data;
    VbdTest t;

    up(&t, &vbd_full);
    t.v.config = *config;
    vbd_front_connect(&t.v);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        write_and_read(&t, 512 * (i + 1), sizes[i]);
    }
    g_assert_cmpuint(VBD_COUNT(&t.v, errors), ==, 0);
    g_assert_cmpuint(VBD_COUNT(&t.v, requests), ==, vbd_back_seen(&t.b, 0));
    g_assert_cmpuint(VBD_COUNT(&t.v, indirect), ==, vbd_back_ops(&t.b, BLKIF_OP_INDIRECT));
    vbd_test_down(&t);
}

/* How large requests of the ring are: of 1 MiB, what the limits allow at a time. */
static void check_split(const XenBlkfrontConfig *config, unsigned max_indirect, unsigned max_segs)
{
    VbdBackConfig c = vbd_full;
    XenBlkfrontInfo info;
    VbdTest t;

    c.max_indirect = max_indirect;
    up(&t, &c);
    t.v.config = *config;
    vbd_front_connect(&t.v);
    xen_blkfront_info(t.v.bf, &info);
    g_assert_cmpuint(info.max_segs, ==, max_segs);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_WRITE, 0, t.buf, 4 * MIB), ==, 0);
    g_assert_cmpuint(vbd_back_seen(&t.b, 0), ==, (1024 + max_segs - 1) / max_segs);
    g_assert_cmpuint(vbd_back_max_segs(&t.b), ==, MIN(max_segs, 1024));
    g_assert_cmpuint(VBD_COUNT(&t.v, segments), ==, 1024);
    g_assert_cmpuint(VBD_COUNT(&t.v, written_bytes), ==, 4 * MIB);
    g_assert_cmpmem(vbd_back_image(&t.b), 4 * MIB, t.buf, 4 * MIB);
    vbd_test_down(&t);
}

static void test_split(void)
{
    static const struct {
        unsigned front;
        unsigned back;
        unsigned both;
    } cases[] = {
        { 0, 256, 11 }, { 256, 0, 11 }, { 11, 256, 11 }, { 256, 11, 11 }, { 12, 256, 12 },
        { 32, 256, 32 }, { 256, 32, 32 }, { 256, 256, 256 }, { 512, 1024, 512 },
        { 513, 4096, 513 }, { 4096, 4096, 4096 },
    };
    XenBlkfrontConfig config = { .vdev = VBD_DEV, .queues = 1 };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        config.max_indirect = cases[i].front;
        check_split(&config, cases[i].back, cases[i].both);
    }
}

/* More than the ring and the pool have room for, in any order. */
static void test_many(void)
{
    enum { N = 300 };
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    VbdTest t;

    up(&t, &vbd_full);
    t.v.config.max_indirect = 32;
    vbd_front_connect(&t.v);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++) {
            uint64_t at = i * 48 * KIB;

            vbd_submit(&t.v, 0, &jobs[i], round == 0 ? BLOCK_WRITE : BLOCK_READ, at, t.buf + at,
                       48 * KIB);
        }
        vbd_expect(jobs, N, 0);
    }
    g_assert_cmpmem(vbd_back_image(&t.b), N * 48 * KIB, t.buf, N * 48 * KIB);
    vbd_test_down(&t);
}

/* No lane has been given two slots more than another one. */
static void check_turns(const VbdTest *t)
{
    uint64_t least = UINT64_MAX, most = 0;

    for (unsigned i = 0; i < t->v.config.queues; i++) {
        uint64_t n = counter_read(&xen_blkfront_stats(t->v.bf, i)->requests);

        least = MIN(least, n);
        most = MAX(most, n);
    }
    g_assert_cmpuint(most - least, <=, 1);
}

/* One ring serves all queues, and is never empty: each has its turn, whenever it is looked at. */
static void test_turns(void)
{
    enum { LANES = 3, N = 40 * LANES, RING = 32 };
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    VbdBackConfig one = { .max_queues = 1 };
    VbdTest t;

    vbd_test_up(&t);
    t.v.config.queues = LANES;
    vbd_front_start(&t.v);
    for (unsigned i = 0; i < N; i++) {
        vbd_submit(&t.v, i * LANES / N, &jobs[i], BLOCK_WRITE, i * KIB, t.buf + i * KIB, KIB);
    }
    vbd_test_back(&t, &one);
    vbd_back_set_budget(&t.b, 0);
    for (unsigned n = RING; n <= N; n++) {
        VBD_WAIT(VBD_COUNT(&t.v, requests) == n);
        check_turns(&t);
        vbd_back_set_budget(&t.b, 1);
    }
    vbd_back_set_budget(&t.b, -1);
    vbd_expect(jobs, N, 0);
    vbd_test_expect(&t, 0, N * KIB);
    vbd_test_down(&t);
}

/* A load that has no use for the data. */
static void test_without_data(void)
{
    VbdTest t;

    up(&t, &vbd_full);
    memset(vbd_back_image(&t.b), 0x5a, 64 * KIB);
    vbd_front_connect(&t.v);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, NULL, 64 * KIB), ==, 0);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_WRITE, MIB, NULL, 64 * KIB), ==, 0);
    g_assert_cmpuint(VBD_COUNT(&t.v, read_bytes), ==, 64 * KIB);
    vbd_test_down(&t);
}

/* --- other requests --- */

static void test_flush(void)
{
    VbdBackConfig c = vbd_full;
    VbdTest t;

    up(&t, &c);
    vbd_front_connect(&t.v);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 8 * KIB, t.buf, 44 * KIB), ==, 0); /* with data */
    g_assert_cmpmem(vbd_back_image(&t.b) + 8 * KIB, 44 * KIB, t.buf, 44 * KIB);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 8 * KIB, t.buf, 45 * KIB), ==, -EINVAL);
    g_assert_cmpuint(vbd_back_ops(&t.b, BLKIF_OP_FLUSH_DISKCACHE), ==, 2);
    g_assert_cmpuint(VBD_COUNT(&t.v, flushes), ==, 2);
    vbd_test_down(&t);

    c.flush = false; /* a barrier flushes, too */
    up(&t, &c);
    vbd_front_connect(&t.v);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(vbd_back_ops(&t.b, BLKIF_OP_WRITE_BARRIER), ==, 1);
    vbd_test_down(&t);

    c.barrier = false; /* neither: nothing is cached */
    up(&t, &c);
    vbd_front_connect(&t.v);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(vbd_back_seen(&t.b, 0), ==, 0);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 0, t.buf, 4 * KIB), ==, 0);
    g_assert_cmpuint(vbd_back_ops(&t.b, BLKIF_OP_WRITE), ==, 1);
    vbd_test_down(&t);
}

static int barrier(VbdTest *t, uint64_t offset, size_t n)
{
    VbdJob job = { .req = { .barrier = true } };

    vbd_submit(&t->v, 0, &job, BLOCK_WRITE, offset, n ? t->buf : NULL, n);
    VBD_WAIT(vbd_is_done(&job, 1));
    return job.res;
}

static void test_barrier(void)
{
    VbdBackConfig c = vbd_full;
    VbdTest t;

    up(&t, &c);
    t.v.config.max_indirect = 256; /* none of these is */
    vbd_front_connect(&t.v);
    g_assert_cmpint(barrier(&t, 0, 0), ==, 0);
    g_assert_cmpint(barrier(&t, 512, 44 * KIB), ==, 0);
    g_assert_cmpint(barrier(&t, 512, 44 * KIB + 512), ==, -EINVAL);
    g_assert_cmpmem(vbd_back_image(&t.b) + 512, 44 * KIB, t.buf, 44 * KIB);
    g_assert_cmpuint(vbd_back_ops(&t.b, BLKIF_OP_WRITE_BARRIER), ==, 2);
    vbd_test_down(&t);

    c.barrier = false;
    up(&t, &c);
    vbd_front_connect(&t.v);
    g_assert_cmpint(barrier(&t, 0, 512), ==, -EOPNOTSUPP);
    vbd_test_down(&t);
}

static int discard(VbdTest *t, bool secure)
{
    VbdJob job = { .req = { .secure = secure } };

    vbd_submit(&t->v, 0, &job, BLOCK_DISCARD, 4 * KIB, NULL, 8 * MIB);
    VBD_WAIT(vbd_is_done(&job, 1));
    return job.res;
}

static void test_discard(void)
{
    VbdBackConfig c = vbd_full;
    const uint8_t *image;
    VbdTest t;

    up(&t, &c);
    memset(vbd_back_image(&t.b), 1, VBD_BACK_BYTES);
    vbd_front_connect(&t.v);
    g_assert_cmpint(discard(&t, false), ==, 0);
    image = vbd_back_image(&t.b);
    g_assert_cmpuint(image[4 * KIB - 1], ==, 1);
    g_assert_cmpuint(image[4 * KIB], ==, 0);
    g_assert_cmpuint(image[4 * KIB + 8 * MIB - 1], ==, 0);
    g_assert_cmpuint(image[4 * KIB + 8 * MIB], ==, 1);
    vbd_back_image(&t.b);
    g_assert_cmpuint(vbd_back_secure(&t.b), ==, 0);
    g_assert_cmpint(discard(&t, true), ==, 0);
    g_assert_cmpuint(vbd_back_secure(&t.b), ==, 1);
    g_assert_cmpuint(VBD_COUNT(&t.v, discards), ==, 2);
    vbd_test_down(&t);

    c.discard_secure = false;
    up(&t, &c);
    vbd_front_connect(&t.v);
    g_assert_cmpint(discard(&t, true), ==, -EOPNOTSUPP);
    g_assert_cmpint(discard(&t, false), ==, 0);
    vbd_test_down(&t);

    c.discard = false;
    up(&t, &c);
    vbd_front_connect(&t.v);
    g_assert_cmpint(discard(&t, false), ==, -EOPNOTSUPP);
    vbd_test_down(&t);
}

/* What no backend is to be asked. */
static void test_invalid(void)
{
    struct iovec short_iov = { NULL, 512 };
    VbdJob job = { .req = { .op = BLOCK_WRITE, .bytes = 1024, .iov = &short_iov, .n_iov = 1 } };
    VbdTest t;

    up(&t, &vbd_full);
    vbd_front_connect(&t.v);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 0), ==, -EINVAL);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 100), ==, -EINVAL);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 100, t.buf, 512), ==, -EINVAL);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_DISCARD, 0, NULL, 0), ==, -EINVAL);
    g_assert_cmpint(vbd_io(&t.v, (BlockOp)(BLOCK_DISCARD + 1), 0, NULL, 512), ==, -EINVAL);
    vbd_submit_job(&t.v, 0, &job);
    vbd_expect(&job, 1, -EINVAL);
    g_assert_cmpuint(vbd_back_seen(&t.b, 0), ==, 0);
    vbd_test_down(&t);
}

/* What is wrong for this disk, the backend says; of a request in some parts, any of them. */
static void test_errors(void)
{
    VbdTest t;

    up(&t, &vbd_full);
    vbd_front_connect(&t.v);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, VBD_BACK_BYTES, t.buf, 512), ==, -EIO);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, VBD_BACK_BYTES - 64 * KIB, t.buf, 128 * KIB), ==,
                    -EIO);
    vbd_back_lie(&t.b, VBD_LIE_ERROR);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_WRITE, 0, t.buf, 128 * KIB), ==, -EIO);
    vbd_back_lie(&t.b, VBD_LIE_UNSUPPORTED);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 0, NULL, 0), ==, -EOPNOTSUPP);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(VBD_COUNT(&t.v, errors), ==, 5);
    vbd_test_down(&t);
}

/* --- life --- */

/* What is submitted before there is a backend waits for it. */
static void test_early(void)
{
    VbdTest t;
    VbdJob job = { 0 };

    vbd_test_up(&t);
    vbd_front_start(&t.v);
    vbd_submit(&t.v, 0, &job, BLOCK_READ, 0, t.buf, 4096);
    vbd_test_back(&t, &vbd_full);
    vbd_expect(&job, 1, 0);
    vbd_test_down(&t);
}

static void test_never(void)
{
    g_autofree uint8_t *buf = g_malloc0(4096);
    VbdJob job = { 0 };
    Vbd v;

    vbd_up(&v);
    vbd_front_start(&v);
    vbd_submit(&v, 0, &job, BLOCK_READ, 0, buf, 4096);
    vbd_front_close(&v);
    g_assert_cmpint(job.done, ==, 1);
    g_assert_cmpint(job.res, ==, -ECANCELED);
    vbd_down(&v);
}

static void test_resize(void)
{
    XenBlkfrontInfo info;
    VbdTest t;

    up(&t, &vbd_full);
    vbd_front_connect(&t.v);
    xen_blkfront_info(t.v.bf, &info);
    g_assert_cmpuint(info.sectors, ==, VBD_BACK_SECTORS);
    t.b.c.sectors = "1234";
    xenbus_back_republish(&t.b.bus);
    VBD_WAIT(t.v.resized == 1);
    xen_blkfront_info(t.v.bf, &info);
    g_assert_cmpuint(info.sectors, ==, 1234);
    g_assert_true(info.connected);
    g_assert_cmpuint(t.v.disconnected, ==, 0);
    xenbus_back_republish(&t.b.bus); /* the same again */
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 512), ==, 0);
    g_assert_cmpuint(t.v.resized, ==, 1);
    vbd_test_down(&t);
}

static void test_bad_config(void)
{
    XenBlkfrontConfig bad[] = { { .queues = 0 }, { .queues = 65 },
                                { .queues = 1, .ring_order = 5 },
                                { .queues = 1, .max_indirect = 4097 } };
    Vbd v;

    vbd_up(&v);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        XenBlkfrontEnv env = { .xen = v.guest, .store = v.guest_store };
        g_autoptr(GError) error = NULL;

        g_assert_null(xen_blkfront_new(&bad[i], &env, &error));
        g_assert_nonnull(error);
    }
    vbd_down(&v);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        XenBlkfrontConfig config;
    } data[] = {
        { "direct", { .vdev = VBD_DEV, .queues = 1 } },
        { "indirect", { .vdev = VBD_DEV, .queues = 1, .max_indirect = 256 } },
        { "indirect-x86_32", { .vdev = VBD_DEV, .queues = 1, .max_indirect = 256,
                               .x86_32 = true } },
        { "large-ring", { .vdev = VBD_DEV, .queues = 1, .ring_order = 4, .max_indirect = 32,
                          .persistent = true } },
        { "small-pool", { .vdev = VBD_DEV, .queues = 1, .pool = 1, .max_indirect = 32 } },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(data); i++) {
        g_autofree char *path = g_strconcat("/xen-blkfront/data/", data[i].name, NULL);

        g_test_add_data_func(path, &data[i].config, test_data);
    }
#define TEST(name, fn) g_test_add_func("/xen-blkfront/" name, fn)
    TEST("split", test_split);
    TEST("many", test_many);
    TEST("turns", test_turns);
    TEST("without-data", test_without_data);
    TEST("flush", test_flush);
    TEST("barrier", test_barrier);
    TEST("discard", test_discard);
    TEST("invalid", test_invalid);
    TEST("errors", test_errors);
    TEST("early", test_early);
    TEST("never", test_never);
    TEST("resize", test_resize);
    TEST("bad-config", test_bad_config);
    return g_test_run();
}
