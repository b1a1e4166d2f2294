/*
 * What blkfront and its backend tell each other in XenStore, and that requests flow behind it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/core/counter.h"
#include "vbd-test.h"

static bool has_key(VbdTest *t, const char *dir, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);
    g_autofree char *value = xen_store_read(t->v.host_store, 0, path);

    return value != NULL;
}

/* A ring's keys in @dir, as they are for its size. */
static void expect_ring(VbdTest *t, const char *dir, unsigned order)
{
    for (unsigned i = 0; i < 16; i++) {
        g_autofree char *key = g_strdup_printf("ring-ref%u", i);

        g_assert_cmpint(has_key(t, dir, key), ==, order > 0 && i < 1u << order);
    }
    g_assert_cmpint(has_key(t, dir, "ring-ref"), ==, order == 0);
    g_assert_true(has_key(t, dir, "event-channel"));
}

static void expect_keys(VbdTest *t, unsigned queues, unsigned order)
{
    g_autofree char *n = g_strdup_printf("%u", queues), *o = g_strdup_printf("%u", order);

    g_assert_true(vbd_is(&t->v, t->v.fe, "multi-queue-num-queues", queues > 1 ? n : NULL));
    g_assert_true(vbd_is(&t->v, t->v.fe, "ring-page-order", order > 0 ? o : NULL));
    if (queues == 1) {
        expect_ring(t, t->v.fe, order);
    } else {
        g_assert_false(has_key(t, t->v.fe, "ring-ref"));
        g_assert_false(has_key(t, t->v.fe, "ring-ref0"));
        g_assert_false(has_key(t, t->v.fe, "event-channel"));
    }
    for (unsigned i = 0; i < 9; i++) {
        g_autofree char *dir = g_strdup_printf("%s/queue-%u", t->v.fe, i);

        if (queues > 1 && i < queues) {
            expect_ring(t, dir, order);
        } else {
            g_assert_false(has_key(t, dir, "event-channel"));
        }
    }
}

/* Requests on each queue of the user's, which the rings share. */
static void use_queues(VbdTest *t)
{
    VbdJob jobs[8] = { { .done = 0 } };
    unsigned n = t->v.config.queues;
    XenBlkfrontInfo info;

    for (unsigned i = 0; i < n; i++) {
        vbd_submit(&t->v, i, &jobs[i], BLOCK_WRITE, i * 64 * KIB, t->buf + i * 64 * KIB, 64 * KIB);
    }
    vbd_expect(jobs, n, 0);
    vbd_test_expect(t, 0, n * 64 * KIB);
    xen_blkfront_info(t->v.bf, &info);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(vbd_back_seen(&t->b, i) > 0, ==, i < info.queues);
        g_assert_cmpuint(counter_read(&xen_blkfront_stats(t->v.bf, i)->written_bytes), ==,
                         64 * KIB);
    }
}

/* One connection; those before it have left their keys. */
static void check_negotiation(VbdTest *t, unsigned front_queues, unsigned back_queues,
                              unsigned front_order, unsigned back_order)
{
    VbdBackConfig c = { .max_queues = back_queues, .max_order = back_order, .max_indirect = 64 };
    unsigned queues = MIN(front_queues, MAX(back_queues, 1));
    unsigned order = MIN(front_order, back_order);
    XenBlkfrontInfo info;

    t->v.config = (XenBlkfrontConfig) { .vdev = VBD_DEV, .queues = front_queues, .pool = 64,
                                        .ring_order = front_order, .max_indirect = 32,
                                        .x86_32 = (front_queues + back_order) % 2 };
    vbd_test_connect(t, &c);
    xen_blkfront_info(t->v.bf, &info);
    g_assert_cmpuint(info.queues, ==, queues);
    g_assert_cmpuint(info.ring_order, ==, order);
    expect_keys(t, queues, order);
    use_queues(t);
    vbd_front_close(&t->v);
}

static void test_queues(void)
{
    static const unsigned numbers[] = { 1, 2, 4, 8 };
    VbdTest t;

    vbd_test_up(&t);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        for (unsigned back = 0; back <= 4; back++) {
            check_negotiation(&t, numbers[i], back, 0, 0);
        }
    }
    vbd_test_down(&t);
}

static void test_orders(void)
{
    VbdTest t;

    vbd_test_up(&t);
    for (unsigned front = 0; front <= 4; front++) {
        for (unsigned back = 0; back <= 4; back++) {
            check_negotiation(&t, front % 2 + 1, 2, front, back);
        }
    }
    vbd_test_down(&t);
}

/* What somebody else, firmware or another kernel, left there. */
static void test_stale_keys(void)
{
    VbdTest t;

    vbd_test_up(&t);
    vbd_test_back(&t, &vbd_full);
    vbd_put(&t.v, t.v.fe, "ring-ref0", "100");
    vbd_put(&t.v, t.v.fe, "ring-ref15", "101");
    vbd_put(&t.v, t.v.fe, "ring-page-order", "4");
    vbd_put(&t.v, t.v.fe, "num-ring-pages", "16");
    vbd_put(&t.v, t.v.fe, "multi-queue-num-queues", "4");
    vbd_put(&t.v, t.v.fe, "queue-3/event-channel", "9");
    vbd_front_connect(&t.v);
    expect_keys(&t, 1, 0);
    g_assert_false(has_key(&t, t.v.fe, "num-ring-pages"));
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 512), ==, 0);
    vbd_test_down(&t);
}

static void test_features(void)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        VbdBackConfig c = { .persistent = bits & 1, .flush = bits & 2, .barrier = bits & 4,
                            .discard = bits & 8, .discard_secure = bits & 16 };
        XenBlkfrontInfo info;
        VbdTest t;

        vbd_test_up(&t);
        t.v.config.persistent = bits & 32;
        vbd_test_connect(&t, &c);
        xen_blkfront_info(t.v.bf, &info);
        g_assert_cmpint(info.persistent, ==, (bits & 33) == 33);
        g_assert_cmpint(info.flush, ==, c.flush);
        g_assert_cmpint(info.barrier, ==, c.barrier);
        g_assert_cmpint(info.discard, ==, c.discard);
        g_assert_cmpint(info.discard_secure, ==, c.discard && c.discard_secure);
        g_assert_true(vbd_is(&t.v, t.v.fe, "feature-persistent", bits & 32 ? "1" : "0"));
        vbd_test_down(&t);
    }
}

static void test_protocol(void)
{
    VbdTest t;

    vbd_test_up(&t);
    for (unsigned i = 0; i < 2; i++) {
        t.v.config.x86_32 = i == 1;
        vbd_test_connect(&t, &vbd_full);
        g_assert_true(vbd_is(&t.v, t.v.fe, "protocol",
                             i == 1 ? "x86_32-abi" : XEN_IO_PROTO_ABI_NATIVE));
        vbd_front_close(&t.v);
    }
    vbd_test_down(&t);
}

/* What a backend says of the disk, and what it need not say. */
static void test_disk(void)
{
    VbdBackConfig c = { .sectors = "18014398509481984", .sector_size = "4096" };
    XenBlkfrontInfo info;
    VbdTest t;

    vbd_test_up(&t);
    vbd_test_connect(&t, &vbd_full);
    xen_blkfront_info(t.v.bf, &info);
    g_assert_cmpuint(info.sectors, ==, VBD_BACK_SECTORS);
    g_assert_cmpuint(info.sector_size, ==, 512);
    g_assert_cmpuint(info.physical_sector_size, ==, 512);
    g_assert_cmpuint(info.discard_granularity, ==, 512);
    g_assert_cmpuint(info.flags, ==, 0);
    g_assert_cmpstr(info.state, ==, "connected");
    vbd_front_close(&t.v);

    vbd_test_back(&t, &c);
    vbd_put(&t.v, t.v.be, "physical-sector-size", "8192");
    vbd_put(&t.v, t.v.be, "discard-granularity", "65536");
    vbd_put(&t.v, t.v.be, "info", "5");
    vbd_front_connect(&t.v);
    xen_blkfront_info(t.v.bf, &info);
    g_assert_cmpuint(info.sectors, ==, 1ull << 54);
    g_assert_cmpuint(info.sector_size, ==, 4096);
    g_assert_cmpuint(info.physical_sector_size, ==, 8192);
    g_assert_cmpuint(info.discard_granularity, ==, 65536);
    g_assert_cmpuint(info.flags, ==, 5);
    vbd_test_down(&t);
}

/* Nonsense: what is offered is used as far as it makes sense, a disk without a size not at all. */
static void test_bad_offers(void)
{
    static const char *const bad[] = { "0", "-1", "4294967295", "4294967296", "many", "" };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        VbdBackConfig c = { .max_queues = 4 };
        XenBlkfrontInfo info;
        VbdTest t;

        vbd_test_up(&t);
        t.v.config.queues = 4;
        vbd_test_back(&t, &c);
        vbd_put(&t.v, t.v.be, "multi-queue-max-queues", bad[i]);
        vbd_put(&t.v, t.v.be, "max-ring-page-order", bad[i]);
        vbd_put(&t.v, t.v.be, "feature-max-indirect-segments", bad[i]);
        vbd_front_connect(&t.v);
        xen_blkfront_info(t.v.bf, &info);
        g_assert_cmpuint(info.queues, ==, i == 2 ? 4 : 1);
        g_assert_cmpuint(info.max_segs, ==, 11);
        g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, MIB), ==, 0);
        vbd_test_down(&t);
    }
}

static void test_bad_disk(void)
{
    static const struct {
        const char *sectors;
        const char *sector_size;
    } bad[] = {
        { "18014398509481985", NULL }, { "none", NULL }, { "-1", NULL },
        { "8", "0" }, { "8", "256" }, { "8", "1000" }, { "8", "8192" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        VbdBackConfig c = { .sectors = bad[i].sectors, .sector_size = bad[i].sector_size };
        VbdTest t;

        vbd_test_up(&t);
        vbd_test_back(&t, &c);
        vbd_front_start(&t.v);
        VBD_WAIT(t.v.errors > 0);
        g_assert_nonnull(strstr(t.v.error, bad[i].sector_size ? "/sector-size: " : "/sectors: "));
        g_assert_cmpuint(t.v.connected, ==, 0);
        vbd_test_down(&t);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/xen-blkfront/store/" name, fn)
    TEST("queues", test_queues);
    TEST("orders", test_orders);
    TEST("stale-keys", test_stale_keys);
    TEST("features", test_features);
    TEST("protocol", test_protocol);
    TEST("disk", test_disk);
    TEST("bad-offers", test_bad_offers);
    TEST("bad-disk", test_bad_disk);
    return g_test_run();
}
