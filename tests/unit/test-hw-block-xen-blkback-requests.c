/*
 * What a guest asks for and what comes of it: each kind of request, in each ABI, by persistent
 * grants and by copies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vbd-raw.h"

typedef struct Variant {
    const char *name;
    const char *protocol;
    bool persistent;
} Variant;

static const Variant variants[] = {
    { "x86-64/persistent", XEN_IO_PROTO_ABI_X86_64, true },
    { "x86-64/copied", XEN_IO_PROTO_ABI_X86_64, false },
    { "x86-32/persistent", XEN_IO_PROTO_ABI_X86_32, true },
    { "x86-32/copied", XEN_IO_PROTO_ABI_X86_32, false },
    { "arm/persistent", XEN_IO_PROTO_ABI_ARM, true },
    { "arm/copied", XEN_IO_PROTO_ABI_ARM, false },
    { "no-protocol/copied", NULL, false }, /* of 32 bits on x86: frontends before the key */
};

static void setup(VbdRaw *r, gconstpointer data)
{
    const Variant *v = data;

    vbd_raw_init(r);
    r->held = true;
    r->protocol = v->protocol;
    r->persistent = v->persistent;
    r->config.max_indirect_segments = XEN_BLKIF_SEGS_INDIRECT;
    vbd_raw_up(r);
}

static void teardown(VbdRaw *r, gconstpointer data)
{
    vbd_raw_down(r);
}

static void expect_page(const VbdRaw *r, unsigned page, unsigned from, unsigned to, uint64_t at)
{
    for (unsigned i = from; i < to; i++) {
        g_assert_cmpuint(vbd_raw_page(r, page)[i], ==, block_rig_byte(at + i - from));
    }
}

static void fill_page(VbdRaw *r, unsigned page, uint8_t seed)
{
    for (unsigned i = 0; i < XEN_PAGE_SIZE; i++) {
        vbd_raw_page(r, page)[i] = (uint8_t)(seed + i + i / 256);
    }
}

static void test_read(VbdRaw *r, gconstpointer data)
{
    for (unsigned n = 1; n <= XEN_BLKIF_SEGS; n++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, n, n, 20);

        memset(vbd_raw_page(r, 20), 0xee, (n + 1) * XEN_PAGE_SIZE);
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
        for (unsigned i = 0; i < n; i++) {
            expect_page(r, 20 + i, 0, XEN_PAGE_SIZE, n * 512 + i * XEN_PAGE_SIZE);
        }
        g_assert_cmpuint(vbd_raw_page(r, 20 + n)[0], ==, 0xee);
    }
    g_assert_cmpuint(VBD_RAW_COUNT(r, read.requests), ==, 11);
    g_assert_cmpuint(VBD_RAW_COUNT(r, read.segments), ==, 66);
    g_assert_cmpuint(VBD_RAW_COUNT(r, read.bytes), ==, 66 * XEN_PAGE_SIZE);
    g_assert_cmpuint(VBD_RAW_COUNT(r, ring.refused), ==, 0);
}

/* Some sectors of each page, and not a byte beside them. */
static void test_read_parts(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 5, 3, 20);

    req.seg[0].first = 7;
    req.seg[1].first = 2;
    req.seg[1].last = 2;
    req.seg[2].last = 4;
    memset(vbd_raw_page(r, 20), 0xee, 3 * XEN_PAGE_SIZE);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    expect_page(r, 20, 7 * 512, 4096, 5 * 512);
    expect_page(r, 21, 2 * 512, 3 * 512, 6 * 512);
    expect_page(r, 22, 0, 5 * 512, 7 * 512);
    for (unsigned i = 0; i < XEN_PAGE_SIZE; i++) {
        g_assert_true(i >= 7 * 512 || vbd_raw_page(r, 20)[i] == 0xee);
        g_assert_true(i / 512 == 2 || vbd_raw_page(r, 21)[i] == 0xee);
        g_assert_true(i < 5 * 512 || vbd_raw_page(r, 22)[i] == 0xee);
    }
}

static void test_write(VbdRaw *r, gconstpointer data)
{
    for (unsigned n = 1; n <= XEN_BLKIF_SEGS; n++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_WRITE, 100 * n, n, 30);

        for (unsigned i = 0; i < n; i++) {
            fill_page(r, 30 + i, (uint8_t)(n + i));
        }
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
        block_rig_expect(&r->rig, 100 * n * 512, vbd_raw_page(r, 30), n * XEN_PAGE_SIZE);
    }
    g_assert_cmpuint(VBD_RAW_COUNT(r, write.requests), ==, 11);
    g_assert_cmpuint(VBD_RAW_COUNT(r, write.bytes), ==, 66 * XEN_PAGE_SIZE);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), ==, 0);
}

/* The last sector is the disk's, the next one is not. */
static void test_end_of_the_disk(VbdRaw *r, gconstpointer data)
{
    static const struct {
        uint64_t sector;
        int status;
    } cases[] = {
        { VBD_RAW_BYTES / 512 - 8, BLKIF_RSP_OKAY },
        { VBD_RAW_BYTES / 512 - 7, BLKIF_RSP_ERROR },
        { VBD_RAW_BYTES / 512, BLKIF_RSP_ERROR },
        { UINT64_MAX, BLKIF_RSP_ERROR },
        { UINT64_MAX - 7, BLKIF_RSP_ERROR },
        { UINT64_MAX / 512 + 1, BLKIF_RSP_ERROR },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        XenBlkifRequest read = vbd_raw_rw(r, BLKIF_OP_READ, cases[i].sector, 1, 20);
        XenBlkifRequest write = vbd_raw_rw(r, BLKIF_OP_WRITE, cases[i].sector, 1, 20);

        g_assert_cmpint(vbd_raw_do(r, 0, &read), ==, cases[i].status);
        g_assert_cmpint(vbd_raw_do(r, 0, &write), ==, cases[i].status);
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 1);
}

/* @n segments, which may name a page more than once. */
static void do_indirect(VbdRaw *r, unsigned n)
{
    const unsigned table = 580, page = 10;
    const unsigned distinct = MIN(n, 500);
    g_autofree uint8_t *want = g_malloc(n * XEN_PAGE_SIZE);
    XenBlkifRequest req;

    for (unsigned i = 0; i < distinct; i++) {
        fill_page(r, page + i, (uint8_t)(i * 3 + n));
    }
    req = vbd_raw_indirect(r, BLKIF_OP_WRITE, 64, n, page, table);
    for (unsigned i = 0; i < n; i++) { /* the tables are no data */
        XenBlkifSeg *segs = (XenBlkifSeg *)(void *)vbd_raw_page(r, table + i / 512);

        segs[i % 512].gref = r->refs[page + i % distinct];
        memcpy(want + (size_t)i * XEN_PAGE_SIZE, vbd_raw_page(r, page + i % distinct),
               XEN_PAGE_SIZE);
    }
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    block_rig_expect(&r->rig, 64 * 512, want, (size_t)n * XEN_PAGE_SIZE);
    req.sub = req.rsp_op = BLKIF_OP_READ;
    for (unsigned i = 0; i < distinct; i++) {
        memset(vbd_raw_page(r, page + i), 0, XEN_PAGE_SIZE);
    }
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    for (unsigned i = 0; n == distinct && i < n; i++) {
        g_assert_cmpmem(vbd_raw_page(r, page + i), XEN_PAGE_SIZE,
                        want + (size_t)i * XEN_PAGE_SIZE, XEN_PAGE_SIZE);
    }
}

static void test_indirect(VbdRaw *r, gconstpointer data)
{
    static const unsigned counts[] = { 1, 2, 11, 12, 16, 17, 32, 33, 255, 256, 500, 511, 512, 513,
                                       1024, 1025, 4095, 4096 };

    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        do_indirect(r, counts[i]);
    }
    g_assert_cmpuint(VBD_RAW_COUNT(r, write.requests), ==, G_N_ELEMENTS(counts));
    g_assert_cmpuint(VBD_RAW_COUNT(r, write.indirect), ==, G_N_ELEMENTS(counts) - 3);
    g_assert_cmpuint(VBD_RAW_COUNT(r, read.indirect), ==, G_N_ELEMENTS(counts) - 3);
    g_assert_cmpuint(VBD_RAW_COUNT(r, ring.refused), ==, 0);
}

static void test_flush(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);

    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    req.sector = UINT64_MAX; /* Linux leaves there what was there: (sector_t)-1 */
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), ==, 2);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 0);
    g_assert_cmpuint(VBD_RAW_COUNT(r, flush.requests), ==, 2);
}

/* First what was there is flushed, then the data is written. */
static void test_flush_with_data(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_FLUSH_DISKCACHE, 16, 2, 30);

    fill_page(r, 30, 1);
    fill_page(r, 31, 2);
    held_disk_hold(&r->disk, true);
    vbd_raw_put(r, 0, &req);
    vbd_raw_push(r, 0);
    VBD_WAIT(held_disk_held(&r->disk) == 1);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), ==, 1);
    held_disk_end(&r->disk, 1, false);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 1);
    g_assert_cmpint(xen_ring_responses(&r->queue[0].ring), ==, 0);
    held_disk_hold(&r->disk, false);
    g_assert_cmpint(vbd_raw_get(r, 0).status, ==, BLKIF_RSP_OKAY);
    block_rig_expect(&r->rig, 16 * 512, vbd_raw_page(r, 30), 2 * XEN_PAGE_SIZE);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), ==, 1);
}

/* Behind all before it, before all behind it, and durable when it is answered. */
static void test_barrier(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest before = vbd_raw_rw(r, BLKIF_OP_WRITE, 0, 1, 30);
    XenBlkifRequest barrier = vbd_raw_rw(r, BLKIF_OP_WRITE_BARRIER, 8, 1, 31);
    XenBlkifRequest after = vbd_raw_rw(r, BLKIF_OP_READ, 8, 1, 32);
    uint64_t ids[4];

    fill_page(r, 31, 9);
    held_disk_hold(&r->disk, true);
    ids[0] = vbd_raw_put(r, 0, &before);
    ids[1] = vbd_raw_put(r, 0, &before);
    ids[2] = vbd_raw_put(r, 0, &barrier);
    ids[3] = vbd_raw_put(r, 0, &after);
    vbd_raw_push(r, 0);
    VBD_WAIT(held_disk_held(&r->disk) == 2);
    held_disk_end(&r->disk, 1, false);
    g_assert_cmpuint(vbd_raw_get(r, 0).id, ==, ids[0]);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), ==, 0);
    held_disk_end(&r->disk, 1, false);
    g_assert_cmpuint(vbd_raw_get(r, 0).id, ==, ids[1]);
    for (unsigned flushes = 1; flushes <= 2; flushes++) {
        VBD_WAIT(held_disk_held(&r->disk) == 1);
        g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), ==, flushes);
        g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 1 + flushes);
        held_disk_end(&r->disk, 1, false);
        if (flushes == 1) {
            VBD_WAIT(held_disk_held(&r->disk) == 1);
            g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 3);
            held_disk_end(&r->disk, 1, false);
        }
    }
    g_assert_cmpuint(vbd_raw_get(r, 0).id, ==, ids[2]);
    held_disk_hold(&r->disk, false);
    g_assert_cmpuint(vbd_raw_get(r, 0).id, ==, ids[3]);
    g_assert_cmpmem(vbd_raw_page(r, 32), XEN_PAGE_SIZE, vbd_raw_page(r, 31), XEN_PAGE_SIZE);
}

static void test_barrier_alone(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest empty = vbd_raw_rw(r, BLKIF_OP_WRITE_BARRIER, 0, 0, 0);

    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(vbd_raw_do(r, 0, &empty), ==, BLKIF_RSP_OKAY);
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 0);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_FLUSH), ==, 3);
}

static void test_discard(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req = vbd_raw_discard(8, 8, 0);

    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    g_assert_cmpuint(__atomic_load_n(&r->disk.secure, __ATOMIC_ACQUIRE), ==, 0);
    req = vbd_raw_discard(1, VBD_RAW_BYTES / 512 - 1, BLKIF_DISCARD_SECURE);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    g_assert_cmpuint(__atomic_load_n(&r->disk.secure, __ATOMIC_ACQUIRE), ==, 1);
    req = vbd_raw_discard(1, VBD_RAW_BYTES / 512, 0);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_DISCARD), ==, 2);
    g_assert_cmpuint(VBD_RAW_COUNT(r, discard.requests), ==, 2);
    g_assert_cmpuint(VBD_RAW_COUNT(r, discard.bytes), ==, VBD_RAW_BYTES + 7 * 512);
}

/* As blkback answers, so that a frontend may try: those have the place of a reserved one. */
static void test_unknown(VbdRaw *r, gconstpointer data)
{
    static const uint8_t ops[] = { 4, 7, 8, 127, 255 };

    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        XenBlkifRequest req = vbd_raw_rw(r, ops[i], 0, 11, 20);

        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_EOPNOTSUPP);
    }
    g_assert_cmpuint(VBD_RAW_COUNT(r, ring.refused), ==, G_N_ELEMENTS(ops));
}

/* Each in its own order, and each has its own answer. */
static void test_out_of_order(VbdRaw *r, gconstpointer data)
{
    uint64_t ids[8];

    held_disk_hold(&r->disk, true);
    for (unsigned i = 0; i < 8; i++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 8 * i, 1, 20 + i);

        ids[i] = vbd_raw_put(r, 0, &req);
    }
    vbd_raw_push(r, 0);
    VBD_WAIT(held_disk_held(&r->disk) == 8);
    held_disk_end(&r->disk, 8, true);
    for (unsigned i = 8; i-- > 0;) {
        g_assert_cmpuint(vbd_raw_get(r, 0).id, ==, ids[i]);
        expect_page(r, 20 + i, 0, XEN_PAGE_SIZE, 8 * i * 512);
    }
}

typedef struct Test {
    const char *name;
    void (*run)(VbdRaw *r, gconstpointer data);
} Test;

static const Test tests[] = {
    { "read", test_read },
    { "read-parts", test_read_parts },
    { "write", test_write },
    { "end-of-the-disk", test_end_of_the_disk },
    { "indirect", test_indirect },
    { "flush", test_flush },
    { "flush-with-data", test_flush_with_data },
    { "barrier", test_barrier },
    { "barrier-alone", test_barrier_alone },
    { "discard", test_discard },
    { "unknown", test_unknown },
    { "out-of-order", test_out_of_order },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        for (unsigned v = 0; v < G_N_ELEMENTS(variants); v++) {
            g_autofree char *path = g_strdup_printf("/xen-blkback/requests/%s/%s", tests[i].name,
                                                    variants[v].name);

            g_test_add(path, VbdRaw, &variants[v], setup, tests[i].run, teardown);
        }
    }
    return g_test_run();
}
