/*
 * What bounds a vbd: its rings, of whatever size and wherever they stand; what is under way, how
 * many events are sent; what its image allows, and what becomes of errors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vbd-raw.h"

static int sync_errno; /* atomic: of each fdatasync(); 0: none */

/* The test is in its way: nothing of the host's is synced. */
int fdatasync(int fd)
{
    errno = __atomic_load_n(&sync_errno, __ATOMIC_ACQUIRE);
    return errno == 0 ? 0 : -1;
}

static void setup(VbdRaw *r, gconstpointer data)
{
    __atomic_store_n(&sync_errno, 0, __ATOMIC_RELEASE);
    vbd_raw_init(r);
}

static void setup_held(VbdRaw *r, gconstpointer data)
{
    setup(r, data);
    r->held = true;
}

static void teardown(VbdRaw *r, gconstpointer data)
{
    vbd_raw_down(r);
}

static int do_rw(VbdRaw *r, unsigned queue, uint8_t op, uint64_t sector, unsigned n_segs)
{
    XenBlkifRequest req = vbd_raw_rw(r, op, sector, n_segs, 10);

    return vbd_raw_do(r, queue, &req);
}

static int do_discard(VbdRaw *r, uint64_t sector, uint64_t n)
{
    XenBlkifRequest req = vbd_raw_discard(sector, n, 0);

    return vbd_raw_do(r, 0, &req);
}

/* As many responses as @n, all of them well. */
static void expect_okay(VbdRaw *r, unsigned queue, unsigned n)
{
    vbd_raw_wait(r, queue, n);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(vbd_raw_get(r, queue).status, ==, BLKIF_RSP_OKAY);
    }
}

/* --- rings --- */

/* All slots at once, beyond the end of the indices. */
static void fill_ring(VbdRaw *r, unsigned queue)
{
    unsigned n = r->queue[queue].ring.size;

    for (unsigned i = 0; i < n; i++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, i % 2000, 1, i);

        vbd_raw_put(r, queue, &req);
    }
    vbd_raw_push(r, queue);
    expect_okay(r, queue, n);
    for (unsigned i = n - MIN(n, 500); i < n; i++) {
        g_assert_cmpuint(vbd_raw_page(r, i)[0], ==, block_rig_byte(i % 2000 * 512));
    }
}

static void test_rings(VbdRaw *r, gconstpointer data)
{
    static const char *const protocols[] = { XEN_IO_PROTO_ABI_X86_64, XEN_IO_PROTO_ABI_X86_32 };

    vbd_raw_back(r);
    r->start = 0xfffffff0;
    for (unsigned p = 0; p < G_N_ELEMENTS(protocols); p++) {
        for (r->order = -1; r->order <= 4; r->order++) {
            r->protocol = protocols[p];
            r->persistent = r->order % 2;
            r->n_queues = r->order == 2 ? 4 : 1;
            VBD_WAIT(vbd_raw_back_is(r, 2));
            vbd_raw_front(r);
            vbd_raw_connect(r);
            g_assert_cmpuint(r->queue[0].ring.size, ==, 32u << MAX(r->order, 0));
            for (unsigned q = 0; q < r->n_queues; q++) {
                fill_ring(r, q);
                fill_ring(r, q);
            }
            vbd_raw_close(r);
            vbd_raw_state(r, 1);
        }
    }
    g_assert_cmpuint(VBD_RAW_COUNT(r, ring.refused), ==, 0);
}

/* Each has its own thread and counters; one that stands still holds up none. */
static void test_queues(VbdRaw *r, gconstpointer data)
{
    XenBlkbackInfo info;

    r->n_queues = 4;
    vbd_raw_up(r);
    xen_blkback_info(r->d, &info);
    g_assert_cmpuint(info.n_queues, ==, 4);
    for (unsigned q = 0; q < 4; q++) {
        for (unsigned p = 0; p < q; p++) {
            g_assert_cmpint(info.tids[q], !=, info.tids[p]);
        }
        for (unsigned i = 0; i <= q; i++) {
            g_assert_cmpint(do_rw(r, q, BLKIF_OP_READ, 8, 1), ==, BLKIF_RSP_OKAY);
        }
        g_assert_cmpuint(counter_read(&info.stats[q].read.requests), ==, q + 1);
    }
    held_disk_hold(&r->disk, true);
    for (unsigned q = 0; q < 2; q++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_WRITE_BARRIER, 8, 1, 10);

        vbd_raw_put(r, q, &req);
        vbd_raw_push(r, q);
        VBD_WAIT(held_disk_held(&r->disk) == q + 1); /* no barrier of another ring's */
    }
    held_disk_hold(&r->disk, false);
    expect_okay(r, 0, 1);
    expect_okay(r, 1, 1);
}

/* --- what is under way --- */

/* 16 MiB of a queue: the rest stays on the ring, in its order, and comes when there is room. */
static void test_units(VbdRaw *r, gconstpointer data)
{
    static const bool persistent[] = { false, true };

    r->config.max_indirect_segments = 1024;
    vbd_raw_back(r);
    for (unsigned p = 0; p < 2; p++) {
        r->persistent = persistent[p];
        VBD_WAIT(vbd_raw_back_is(r, 2));
        vbd_raw_front(r);
        vbd_raw_connect(r);
        held_disk_hold(&r->disk, true);
        for (unsigned i = 0; i < 8; i++) {
            XenBlkifRequest req = vbd_raw_indirect(r, BLKIF_OP_READ, i, 1000, 100, 10 * i);

            vbd_raw_put(r, 0, &req);
        }
        for (unsigned i = 0; i < 8; i++) { /* behind them, and small */
            XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, i, 11, 1100);

            vbd_raw_put(r, 0, &req);
        }
        vbd_raw_push(r, 0);
        VBD_WAIT(held_disk_held(&r->disk) == 4);
        g_usleep(20000);
        g_assert_cmpuint(held_disk_held(&r->disk), ==, 4);
        g_assert_cmpuint(VBD_RAW_COUNT(r, ring.waits), >, p);
        held_disk_end(&r->disk, 1, true);
        VBD_WAIT(held_disk_held(&r->disk) == 4);
        held_disk_end(&r->disk, 4, false);
        VBD_WAIT(held_disk_held(&r->disk) >= 3);
        held_disk_hold(&r->disk, false);
        expect_okay(r, 0, 16);
        vbd_raw_close(r);
        vbd_raw_state(r, 1);
    }
}

static void put_reads(VbdRaw *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 8 * i, 1, i);

        vbd_raw_put(r, 0, &req);
    }
    vbd_raw_push(r, 0);
    VBD_WAIT(held_disk_held(&r->disk) == n);
}

/* One, of all that ended in a round; none, if the frontend does not ask for it. */
static void test_events(VbdRaw *r, gconstpointer data)
{
    static const struct {
        uint32_t ahead;
        unsigned events;
    } cases[] = { { 1, 1 }, { 16, 1 }, { 32, 1 }, { 33, 0 }, { 0, 0 } };
    XenRing *ring;

    vbd_raw_up(r);
    ring = &r->queue[0].ring;
    held_disk_hold(&r->disk, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t before = VBD_RAW_COUNT(r, ring.events_sent);

        put_reads(r, 32);
        ring->page->rsp_event = ring->cons + cases[i].ahead;
        held_disk_end(&r->disk, 32, i % 2);
        expect_okay(r, 0, 32);
        VBD_WAIT(VBD_RAW_COUNT(r, read.requests) == 32 * (i + 1));
        g_usleep(2000); /* it is counted behind the responses */
        g_assert_cmpuint(VBD_RAW_COUNT(r, ring.events_sent) - before, ==, cases[i].events);
    }
    held_disk_hold(&r->disk, false);
}

/* --- what its image allows --- */

static void test_read_only(VbdRaw *r, gconstpointer data)
{
    static const uint8_t ops[] = { BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER,
                                   BLKIF_OP_FLUSH_DISKCACHE };
    uint8_t want[512];
    XenBlkifRequest indirect;

    for (unsigned i = 0; i < sizeof(want); i++) {
        want[i] = block_rig_byte(i);
    }
    r->rig.config.read_only = true;
    vbd_raw_up(r);
    g_assert_true(vbd_is(&r->v, r->v.be, "mode", "r"));
    g_assert_true(vbd_is(&r->v, r->v.be, "info", "4"));
    g_assert_true(vbd_is(&r->v, r->v.be, "feature-discard", "0"));
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_assert_cmpint(do_rw(r, 0, ops[i], 0, 1), ==, BLKIF_RSP_ERROR);
    }
    indirect = vbd_raw_indirect(r, BLKIF_OP_WRITE, 0, 20, 10, 0);
    g_assert_cmpint(vbd_raw_do(r, 0, &indirect), ==, BLKIF_RSP_ERROR);
    g_assert_cmpint(do_discard(r, 0, 8), ==, BLKIF_RSP_ERROR);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_FLUSH_DISKCACHE, 0, 0), ==, BLKIF_RSP_OKAY);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_OKAY);
    block_rig_expect(&r->rig, 0, want, sizeof(want));
}

/* A CD-ROM cannot be written to, even if its image can. */
static void test_cdrom(VbdRaw *r, gconstpointer data)
{
    r->env.cdrom = true;
    vbd_raw_up(r);
    g_assert_true(vbd_is(&r->v, r->v.be, "device-type", "cdrom"));
    g_assert_true(vbd_is(&r->v, r->v.fe, "device-type", "cdrom"));
    g_assert_true(vbd_is(&r->v, r->v.be, "info", "7"));
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_WRITE, 0, 1), ==, BLKIF_RSP_ERROR);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_OKAY);
}

/* Sectors on the ring and in "sectors" are of 512 bytes all the same. */
static void test_blocks_of_4096(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest part;

    r->config.logical_block_size = 4096;
    vbd_raw_up(r);
    g_assert_true(vbd_is(&r->v, r->v.be, "sector-size", "4096"));
    g_assert_true(vbd_is(&r->v, r->v.be, "sectors", "65536"));
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 16, 2), ==, BLKIF_RSP_OKAY);
    g_assert_cmpuint(vbd_raw_page(r, 10)[3], ==, block_rig_byte(16 * 512 + 3));
    for (unsigned sector = 1; sector < 8; sector++) {
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, sector, 1), ==, BLKIF_RSP_ERROR);
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_WRITE, sector, 1), ==, BLKIF_RSP_ERROR);
        g_assert_cmpint(do_discard(r, sector, 8), ==, BLKIF_RSP_ERROR);
        g_assert_cmpint(do_discard(r, 8, sector), ==, BLKIF_RSP_ERROR);
    }
    part = vbd_raw_rw(r, BLKIF_OP_WRITE, 0, 2, 10);
    part.seg[0].last = 3;
    part.seg[1].first = 4;
    g_assert_cmpint(vbd_raw_do(r, 0, &part), ==, BLKIF_RSP_ERROR);
    g_assert_cmpint(do_discard(r, 8, 8), ==, BLKIF_RSP_OKAY);
}

/* What it says before Connected, and with it; a frontend takes the former for good. */
static void test_keys_that_it_writes(VbdRaw *r, gconstpointer data)
{
    static const char *const early[][2] = {
        { "feature-max-indirect-segments", "256" }, { "multi-queue-max-queues", "4" },
        { "max-ring-page-order", "4" }, { "feature-persistent", "1" },
        { "feature-flush-cache", "1" }, { "feature-barrier", "1" }, { "feature-discard", "1" },
        { "discard-secure", "1" }, { "sector-size", "512" }, { "mode", "w" }, { "dev", "xvda" },
    };
    static const char *const late[][2] = {
        { "sectors", "65536" }, { "info", "0" }, { "discard-alignment", "0" },
        { "discard-granularity", "8192" }, { "physical-sector-size", "2048" },
    };

    r->config.discard_granularity = 8192;
    r->config.physical_block_size = 2048;
    vbd_raw_back(r);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    for (unsigned i = 0; i < G_N_ELEMENTS(early); i++) {
        g_assert_true(vbd_is(&r->v, r->v.be, early[i][0], early[i][1]));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(late); i++) {
        g_assert_true(vbd_is(&r->v, r->v.be, late[i][0], NULL));
    }
    vbd_raw_front(r);
    vbd_raw_connect(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(late); i++) {
        g_assert_true(vbd_is(&r->v, r->v.be, late[i][0], late[i][1]));
    }
}

/* Off: not offered, and refused if it is used all the same. */
static void test_features_off(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest indirect;

    r->config.max_indirect_segments = 0;
    r->config.max_ring_page_order = 0;
    r->config.persistent_grants = false;
    r->config.num_queues = 1;
    r->rig.config.discard = false;
    vbd_raw_up(r);
    g_assert_true(vbd_is(&r->v, r->v.be, "feature-max-indirect-segments", NULL));
    g_assert_true(vbd_is(&r->v, r->v.be, "max-ring-page-order", NULL));
    g_assert_true(vbd_is(&r->v, r->v.be, "feature-persistent", "0"));
    g_assert_true(vbd_is(&r->v, r->v.be, "feature-discard", "0"));
    indirect = vbd_raw_indirect(r, BLKIF_OP_READ, 0, 20, 10, 0);
    g_assert_cmpint(vbd_raw_do(r, 0, &indirect), ==, BLKIF_RSP_EOPNOTSUPP);
    g_assert_cmpint(do_discard(r, 0, 8), ==, BLKIF_RSP_EOPNOTSUPP);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 3), ==, BLKIF_RSP_OKAY);
    g_assert_cmpuint(VBD_RAW_COUNT(r, ring.mapped), ==, 0); /* whatever the frontend has */
}

/* --- errors of the image --- */

static void test_errors(VbdRaw *r, gconstpointer data)
{
    static const uint8_t ops[] = { BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE,
                                   BLKIF_OP_WRITE_BARRIER };

    vbd_raw_up(r);
    for (unsigned op = 0; op < HELD_DISK_OPS; op++) {
        held_disk_fail(&r->disk, (BlockOp)op, op == BLOCK_DISCARD ? -EOPNOTSUPP : -EIO);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_assert_cmpint(do_rw(r, 0, ops[i], 0, 2), ==, BLKIF_RSP_ERROR);
    }
    g_assert_cmpint(do_discard(r, 0, 8), ==, BLKIF_RSP_EOPNOTSUPP);
    g_assert_cmpuint(VBD_RAW_COUNT(r, read.failed), ==, 1);
    g_assert_cmpuint(VBD_RAW_COUNT(r, flush.failed), ==, 2);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 1); /* none after a flush */
    for (unsigned op = 0; op < HELD_DISK_OPS; op++) {
        held_disk_fail(&r->disk, (BlockOp)op, 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_assert_cmpint(do_rw(r, 0, ops[i], 0, 2), ==, BLKIF_RSP_OKAY);
    }
    g_assert_cmpint(do_discard(r, 0, 8), ==, BLKIF_RSP_OKAY);
}

/*
 * A Linux guest takes the error of an empty flush for success: so no request succeeds any more, nor
 * once its frontend has begun anew.
 */
static void test_failed_flush(VbdRaw *r, gconstpointer data)
{
    static const uint8_t ops[] = { BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE,
                                   BLKIF_OP_WRITE_BARRIER };

    vbd_raw_up(r);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_FLUSH_DISKCACHE, 0, 0), ==, BLKIF_RSP_OKAY);
    __atomic_store_n(&sync_errno, EIO, __ATOMIC_RELEASE);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_FLUSH_DISKCACHE, 0, 0), ==, BLKIF_RSP_ERROR);
    __atomic_store_n(&sync_errno, 0, __ATOMIC_RELEASE);
    for (unsigned again = 0; again < 2; again++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
            g_assert_cmpint(do_rw(r, 0, ops[i], 0, 1), ==, BLKIF_RSP_ERROR);
        }
        g_assert_cmpint(do_discard(r, 0, 8), ==, BLKIF_RSP_ERROR);
        vbd_raw_close(r);
        vbd_raw_state(r, 1);
        VBD_WAIT(vbd_raw_back_is(r, 2));
        vbd_raw_front(r);
        vbd_raw_connect(r);
    }
    g_assert_cmpuint(r->errors, ==, 1); /* people are told once */
    g_assert_nonnull(strstr(r->error, "the disk has failed"));
}

/* The image is shorter than it was: errors, and no stale bytes, whatever is there of it. */
static void test_truncated_image(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    g_assert_cmpint(truncate(r->rig.path, 4096), ==, 0);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 16, 1), ==, BLKIF_RSP_ERROR);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_ERROR);
    VBD_WAIT(r->errors == 1);
}

/* Each ring's are written by a thread of its own, for each request. */
static void test_counters_share_no_line_of_the_cache(VbdRaw *r, gconstpointer data)
{
    XenBlkbackInfo info;

    vbd_raw_back(r);
    xen_blkback_info(r->d, &info);
    for (unsigned i = 0; i < info.max_queues; i++) {
        g_assert_cmpuint((uintptr_t)&info.stats[i] % 64, ==, 0);
    }
}

typedef struct Test {
    const char *name;
    void (*run)(VbdRaw *r, gconstpointer data);
    bool held;
} Test;

static const Test tests[] = {
    { "rings", test_rings, false },
    { "queues", test_queues, true },
    { "units", test_units, true },
    { "events", test_events, true },
    { "read-only", test_read_only, false },
    { "cdrom", test_cdrom, false },
    { "blocks-of-4096", test_blocks_of_4096, false },
    { "keys-that-it-writes", test_keys_that_it_writes, false },
    { "features-off", test_features_off, false },
    { "errors", test_errors, true },
    { "failed-flush", test_failed_flush, false },
    { "truncated-image", test_truncated_image, false },
    { "counters-share-no-line-of-the-cache", test_counters_share_no_line_of_the_cache, false },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/limits/%s", tests[i].name);

        g_test_add(path, VbdRaw, NULL, tests[i].held ? setup_held : setup, tests[i].run, teardown);
    }
    return g_test_run();
}
