/*
 * What hostile guests have done to backends of disks, under the names by which it is known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "vbd-raw.h"
#include "xenemu.h"

#define GNTST_NO_DEVICE_SPACE (-7)
#define GNTST_BAD_PAGE        (-9)

static void setup(VbdRaw *r, gconstpointer data)
{
    vbd_raw_init(r);
    r->held = true;
    r->config.max_indirect_segments = 512;
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

static void begin_anew(VbdRaw *r, bool persistent)
{
    if (r->d) {
        vbd_raw_close(r);
        vbd_raw_state(r, 1);
        VBD_WAIT(vbd_raw_back_is(r, 2));
    } else {
        vbd_raw_back(r);
    }
    r->persistent = persistent;
    vbd_raw_front(r);
    vbd_raw_connect(r);
}

/* --- what requests say --- */

/* Numbers of segments between those of a slot and of blktap's array; sectors beyond a page. */
static void test_ca_429650(VbdRaw *r, gconstpointer data)
{
    static const unsigned counts[] = { 0, 12, 13, 32, 33, 128, 255 };
    static const uint8_t sectors[][2] = { { 0, 8 }, { 0, 255 }, { 7, 8 }, { 255, 255 }, { 1, 0 },
                                          { 7, 6 }, { 255, 0 } };
    static const uint8_t ops[] = { BLKIF_OP_READ, BLKIF_OP_WRITE };

    for (unsigned persistent = 0; persistent < 2; persistent++) {
        begin_anew(r, persistent);
        for (unsigned o = 0; o < 2; o++) {
            g_assert_cmpint(do_rw(r, 0, ops[o], 0, 11), ==, BLKIF_RSP_OKAY);
            for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
                XenBlkifRequest req = vbd_raw_rw(r, ops[o], 0, 11, 10);

                req.n_segs = (uint16_t)counts[i];
                g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
            }
            for (unsigned i = 0; i < G_N_ELEMENTS(sectors); i++) {
                XenBlkifRequest req = vbd_raw_rw(r, ops[o], 0, 3, 10);
                XenBlkifRequest indirect = vbd_raw_indirect(r, ops[o], 0, 30, 10, 0);
                XenBlkifSeg *seg = (XenBlkifSeg *)(void *)vbd_raw_page(r, 0);

                req.seg[2].first = seg[29].first = sectors[i][0];
                req.seg[2].last = seg[29].last = sectors[i][1];
                g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
                g_assert_cmpint(vbd_raw_do(r, 0, &indirect), ==, BLKIF_RSP_ERROR);
            }
        }
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_READ), ==, 2);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 2);
}

/* A discard that erases what its sender may not write, or what is not there. */
static void test_cve_2013_2140(VbdRaw *r, gconstpointer data)
{
    static const uint64_t bad[][2] = {
        { VBD_RAW_BYTES / 512, 1 }, { 1, VBD_RAW_BYTES / 512 }, { UINT64_MAX, 2 },
        { 2, UINT64_MAX }, { UINT64_MAX - 1, UINT64_MAX - 1 }, { 1ull << 55, 1 }, { 0, 0 },
        { 8, 1ull << 55 },
    };
    XenBlkifRequest req;

    vbd_raw_up(r);
    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(bad); i++) {
        req = vbd_raw_discard(bad[i / 2][0], bad[i / 2][1], i % 2);
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_DISCARD), ==, 0);
    vbd_raw_close(r);
    vbd_raw_back_close(r);
    block_rig_close(&r->rig);
    r->rig.config.read_only = true;
    vbd_raw_up(r);
    req = vbd_raw_discard(0, 8, 0);
    g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_DISCARD), ==, 0);
}

/* The bytes of a response that say nothing are not written: what stands there is the guest's. */
static void test_xsa_216(VbdRaw *r, gconstpointer data)
{
    static const char *const protocols[] = { XEN_IO_PROTO_ABI_X86_64, XEN_IO_PROTO_ABI_X86_32,
                                             XEN_IO_PROTO_ABI_ARM };

    vbd_raw_back(r);
    for (unsigned p = 0; p < G_N_ELEMENTS(protocols); p++) {
        XenBlkifRequest req;
        const uint8_t *slot;
        unsigned size;

        r->protocol = protocols[p];
        VBD_WAIT(vbd_raw_back_is(r, 2));
        vbd_raw_front(r);
        vbd_raw_connect(r);
        size = r->queue[0].ring.entry_size;
        slot = xen_ring_entry(&r->queue[0].ring, r->queue[0].ring.prod);
        req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 10);
        held_disk_hold(&r->disk, true);
        vbd_raw_put(r, 0, &req);
        vbd_raw_push(r, 0);
        VBD_WAIT(held_disk_held(&r->disk) == 1);
        memset(xen_ring_entry(&r->queue[0].ring, r->queue[0].ring.cons), 0xaa, size);
        held_disk_hold(&r->disk, false);
        vbd_raw_wait(r, 0, 1);
        g_assert_cmpuint(slot[9], ==, 0xaa);
        for (unsigned i = 12; i < size; i++) {
            g_assert_cmpuint(slot[i], ==, 0xaa);
        }
        vbd_raw_close(r);
        vbd_raw_state(r, 1);
    }
}

/* What lies beside the sectors of a request is neither read nor written. */
static void test_xsa_403(VbdRaw *r, gconstpointer data)
{
    uint8_t before[4 * 512];

    for (unsigned i = 0; i < sizeof(before); i++) {
        before[i] = block_rig_byte(i);
    }
    for (unsigned persistent = 0; persistent < 2; persistent++) {
        XenBlkifRequest req;

        begin_anew(r, persistent);
        memset(vbd_raw_page(r, 10), 0xaa, XEN_PAGE_SIZE);
        req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 10);
        req.seg[0].first = 2;
        req.seg[0].last = 5;
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
        g_assert_cmpmem(vbd_raw_page(r, 10) + 2 * 512, sizeof(before), before, sizeof(before));
        for (unsigned i = 0; i < XEN_PAGE_SIZE; i++) {
            g_assert_true((i >= 2 * 512 && i < 6 * 512) || vbd_raw_page(r, 10)[i] == 0xaa);
        }
        memset(vbd_raw_page(r, 10), 0xaa, 3 * 512);
        req.op = BLKIF_OP_WRITE;
        req.rsp_op = BLKIF_OP_WRITE;
        req.seg[0].first = req.seg[0].last = 3; /* of those of the disk, that is the second */
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
        block_rig_expect(&r->rig, 0, before + 512, 512);
        block_rig_expect(&r->rig, 512, before + 512, 3 * 512);
        req.seg[0].first = req.seg[0].last = 2;
        memcpy(vbd_raw_page(r, 10) + 2 * 512, before, 512);
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    }
}

/* --- rings --- */

/* CPU time of a thread, in ns. */
static uint64_t thread_ns(int tid)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/schedstat", tid);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return g_ascii_strtoull(text, NULL, 10);
}

/*
 * More requests than a ring holds ("insane amounts on the ring"): it stands still, once and for
 * all, without a loop; another one goes on, and so does the frontend's farewell.
 */
static void test_cve_2010_4247(VbdRaw *r, gconstpointer data)
{
    static const uint32_t jumps[] = { 33, 0x7fffffff, 0x80000000, 0xffffffff };

    r->n_queues = 2;
    r->start = 0xfffffff0;
    vbd_raw_back(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(jumps); i++) {
        XenBlkbackInfo info;
        uint64_t before;

        VBD_WAIT(vbd_raw_back_is(r, 2));
        vbd_raw_front(r);
        vbd_raw_connect(r);
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_OKAY);
        xen_blkback_info(r->d, &info);
        r->queue[0].ring.page->req_prod = r->queue[0].ring.cons + jumps[i];
        vbd_raw_notify(r, 0);
        VBD_WAIT(r->warnings == i + 1);
        g_assert_nonnull(strstr(r->error, "this ring stands still"));
        r->queue[0].ring.page->req_prod = r->queue[0].ring.prod; /* too late */
        before = thread_ns(info.tids[0]);
        for (unsigned k = 0; k < 20; k++) {
            vbd_raw_notify(r, 0);
            g_usleep(5000);
            g_assert_cmpint(do_rw(r, 1, BLKIF_OP_WRITE, 8, 2), ==, BLKIF_RSP_OKAY);
        }
        g_assert_cmpuint(thread_ns(info.tids[0]) - before, <, 50 * 1000000);
        g_assert_cmpint(xen_ring_responses(&r->queue[0].ring), ==, 0);
        g_assert_cmpuint(r->warnings, ==, i + 1);
        vbd_raw_close(r);
        vbd_raw_state(r, 1);
    }
}

/* With requests under way when it happens: they have pages, which come back. */
static void test_cve_2010_4247_under_load(VbdRaw *r, gconstpointer data)
{
    for (unsigned persistent = 0; persistent < 2; persistent++) {
        begin_anew(r, persistent);
        held_disk_hold(&r->disk, true);
        for (unsigned i = 0; i < 4; i++) {
            XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 11, 11 * i);

            vbd_raw_put(r, 0, &req);
        }
        vbd_raw_push(r, 0);
        VBD_WAIT(held_disk_held(&r->disk) == 4);
        r->queue[0].ring.page->req_prod += 1000;
        vbd_raw_notify(r, 0);
        VBD_WAIT(r->warnings == persistent + 1);
        r->queue[0].ring.page->req_prod = r->queue[0].ring.prod;
        held_disk_hold(&r->disk, false);
        g_usleep(5000);
        g_assert_cmpint(xen_ring_responses(&r->queue[0].ring), ==, 0);
    }
}

/* Events are for those who ask for them: at most one for a response. */
static void test_xsa_391(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    for (unsigned i = 0; i < 200; i++) {
        r->queue[0].ring.page->rsp_event = r->queue[0].ring.cons + 1;
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_OKAY);
    }
    for (unsigned i = 0; i < 200; i++) { /* nobody has asked */
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_OKAY);
    }
    g_usleep(2000);
    g_assert_cmpuint(VBD_RAW_COUNT(r, ring.events_sent), <=, 200);
}

/* --- grants --- */

/* Without persistent grants no page is mapped any more when the response can be seen. */
static void test_xsa_396(VbdRaw *r, gconstpointer data)
{
    r->persistent = false;
    vbd_raw_up(r);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 1); /* the ring */
    for (unsigned i = 0; i < 50; i++) {
        XenBlkifRequest req = vbd_raw_indirect(r, i % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE, 0, 100,
                                               10, 0);

        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
        g_assert_cmpuint(vbd_raw_mapped(r), ==, 1);
    }
}

/* A million requests that fail: of each kind that a guest can make fail. */
static void bad_requests(VbdRaw *r, unsigned n)
{
    XenBlkifRequest bad[6];
    XenRing *ring = &r->queue[0].ring;
    XenBlkifSeg *seg = (XenBlkifSeg *)(void *)vbd_raw_page(r, 0);

    bad[0] = vbd_raw_rw(r, BLKIF_OP_READ, VBD_RAW_BYTES / 512, 2, 10);
    bad[1] = vbd_raw_rw(r, BLKIF_OP_WRITE, 0, 3, 10);
    bad[1].seg[2].gref = 60000;
    bad[2] = vbd_raw_rw(r, BLKIF_OP_READ, 0, 3, 10);
    bad[2].seg[1].gref = UINT32_MAX;
    bad[3] = vbd_raw_rw(r, BLKIF_OP_WRITE, 0, 3, 10);
    bad[3].seg[2].last = 8;
    bad[4] = vbd_raw_indirect(r, BLKIF_OP_WRITE, 0, 20, 10, 0);
    seg[19].gref = 0;
    bad[5] = vbd_raw_indirect(r, BLKIF_OP_READ, 0, 20, 10, 1);
    bad[5].page[0] = 61234;
    for (unsigned done = 0; done < n; done += ring->size) {
        for (unsigned i = 0; i < ring->size; i++) {
            vbd_raw_put(r, 0, &bad[i % G_N_ELEMENTS(bad)]);
        }
        vbd_raw_push(r, 0);
        vbd_raw_wait(r, 0, ring->size);
        for (unsigned i = 0; i < ring->size; i++) {
            g_assert_cmpint(vbd_raw_get(r, 0).status, ==, BLKIF_RSP_ERROR);
        }
    }
}

static void test_xsa_71(VbdRaw *r, gconstpointer data)
{
    const unsigned n = g_test_quick() ? 20000 : 1000000;

    r->order = 4;
    for (unsigned persistent = 0; persistent < 2; persistent++) {
        unsigned rings = 1u << r->order, good = 22; /* pages that they name, and that there are */

        begin_anew(r, persistent);
        g_assert_cmpuint(vbd_raw_mapped(r), ==, rings);
        bad_requests(r, n / 2);
        g_assert_cmpuint(vbd_raw_mapped(r), <=, rings + (persistent ? good : 0));
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 11), ==, BLKIF_RSP_OKAY);
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 0);
}

/*
 * Each operation of a request on grants fails in its turn. What is not mapped is copied, so that a
 * map that fails does not show; a copy that fails is the request's error, and nothing that was not
 * copied is written.
 */
static void fail_each(VbdRaw *r, XenemuOp op, int status, bool shows)
{
    enum { SEGS = 70 }; /* across the borders of batches */
    unsigned writes = held_disk_submitted(&r->disk, BLOCK_WRITE), failed = 0;
    bool met = true;

    for (unsigned k = 1; met && k < 4 * SEGS; k += shows ? 1 : 9) {
        XenBlkifRequest req = vbd_raw_indirect(r, k % 2 ? BLKIF_OP_WRITE : BLKIF_OP_READ, 0, SEGS,
                                               10 + k * SEGS % 900, 0);
        uint64_t copied = VBD_RAW_COUNT(r, ring.copied);

        xenemu_host_fail(r->v.host->opaque, op, k, status);
        met = vbd_raw_do(r, 0, &req) != BLKIF_RSP_OKAY;
        failed += met;
        if (!shows) {
            met = k < SEGS;
            g_assert_true(!met || VBD_RAW_COUNT(r, ring.copied) > copied);
            g_usleep(110000); /* for so long no other page is mapped */
        }
        xenemu_host_fail(r->v.host->opaque, op, 0, 0);
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_OKAY);
    }
    g_assert_true(shows == (failed > 0));
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE) - writes, >, 0);
}

/* Copies of each segment, and of the page of segments before them. */
static void test_xsa_362(VbdRaw *r, gconstpointer data)
{
    begin_anew(r, false);
    fail_each(r, XENEMU_OP_GNTTAB_COPY, GNTST_BAD_PAGE, true);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 1);
}

/* The call as a whole. */
static void test_xsa_361(VbdRaw *r, gconstpointer data)
{
    begin_anew(r, false);
    fail_each(r, XENEMU_OP_GNTTAB_BATCH, -EFAULT, true);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 1);
}

/* A map that fails, before others that do not. */
static void test_xsa_365(VbdRaw *r, gconstpointer data)
{
    begin_anew(r, true);
    fail_each(r, XENEMU_OP_GNTTAB_MAP, GNTST_NO_DEVICE_SPACE, false);
}

/* The segment that cannot be copied is one of many, and no write begins with what was. */
static void test_xsa_365_copied(VbdRaw *r, gconstpointer data)
{
    enum { SEGS = 512 };

    begin_anew(r, false);
    for (unsigned k = 0; k < SEGS; k += k < 20 ? 1 : 37) {
        XenBlkifRequest req = vbd_raw_indirect(r, BLKIF_OP_WRITE, 0, SEGS, 10, 0);
        XenBlkifSeg *seg = (XenBlkifSeg *)(void *)vbd_raw_page(r, 0);

        seg[k].gref = 60000;
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 0);
}

/* Persistent ones of a request that fails are not in use afterwards: the connection ends. */
static void test_xsa_371(VbdRaw *r, gconstpointer data)
{
    for (unsigned k = 0; k < 40; k += 3) {
        XenBlkifRequest req;
        XenBlkifSeg *seg;
        unsigned mapped;

        begin_anew(r, true);
        req = vbd_raw_indirect(r, BLKIF_OP_WRITE, 0, 40, 10, 0);
        seg = (XenBlkifSeg *)(void *)vbd_raw_page(r, 0);
        seg[k].gref = 60000;
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
        mapped = vbd_raw_mapped(r);
        g_assert_cmpuint(mapped, <=, 1 + 1 + 40);
        g_assert_cmpint(vbd_raw_do(r, 0, &req), ==, BLKIF_RSP_ERROR);
        g_assert_cmpuint(vbd_raw_mapped(r), <=, MAX(mapped, 42));
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 0);
}

/* Its rings and queues and segments as large as they may be: 16 MiB of a queue. */
static void test_resource_ceiling(VbdRaw *r, gconstpointer data)
{
    r->n_queues = 4;
    r->order = 4;
    r->persistent = false;
    vbd_raw_up(r);
    held_disk_hold(&r->disk, true);
    for (unsigned q = 0; q < 4; q++) {
        for (unsigned i = 0; i < r->queue[q].ring.size; i++) {
            XenBlkifRequest req = vbd_raw_indirect(r, BLKIF_OP_READ, 0, 512, 100, 0);

            vbd_raw_put(r, q, &req);
        }
        vbd_raw_push(r, q);
    }
    VBD_WAIT(held_disk_held(&r->disk) == 4 * 8);
    g_usleep(50000);
    g_assert_cmpuint(held_disk_held(&r->disk), ==, 4 * 8);
    for (unsigned q = 0; q < 4; q++) { /* what it did not take it need not do */
        r->queue[q].ring.page->req_prod = r->queue[q].ring.cons + 8;
        r->queue[q].ring.prod = r->queue[q].ring.cons + 8;
    }
    held_disk_hold(&r->disk, false);
    for (unsigned q = 0; q < 4; q++) {
        vbd_raw_wait(r, q, 8);
    }
}

/* --- images --- */

/* A drive without a medium. */
static void test_cve_2010_4238(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest discard = vbd_raw_discard(0, 1, 0);

    r->env.cdrom = true;
    r->bytes = 0;
    vbd_raw_up(r);
    g_assert_true(vbd_is(&r->v, r->v.be, "sectors", "0"));
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_ERROR);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_WRITE, 0, 1), ==, BLKIF_RSP_ERROR);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_FLUSH_DISKCACHE, 0, 0), ==, BLKIF_RSP_OKAY);
    g_assert_cmpint(vbd_raw_do(r, 0, &discard), ==, BLKIF_RSP_ERROR);
}

/* What a guest writes does not decide how its image is read. */
static void test_cve_2008_2004(VbdRaw *r, gconstpointer data)
{
    static const uint8_t headers[][8] = { { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 3 },
                                          { 'c', 'o', 'n', 'e', 'c', 't', 'i', 'x' },
                                          { 'K', 'D', 'M', 'V', 1, 0, 0, 0 } };

    r->held = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(headers); i++) {
        vbd_raw_up(r);
        memset(vbd_raw_page(r, 10), 0, XEN_PAGE_SIZE);
        memcpy(vbd_raw_page(r, 10), headers[i], 8);
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_WRITE, 0, 1), ==, BLKIF_RSP_OKAY);
        vbd_raw_close(r);
        vbd_raw_back_close(r);
        block_rig_close(&r->rig);
        vbd_raw_up(r);
        g_assert_true(vbd_is(&r->v, r->v.be, "sectors", "65536"));
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 1), ==, BLKIF_RSP_OKAY);
        g_assert_cmpmem(vbd_raw_page(r, 10), 8, headers[i], 8);
        vbd_raw_close(r);
        vbd_raw_back_close(r);
        block_rig_close(&r->rig);
    }
}

/* Read-only: the image is not even open for writing, whatever the frontend's directory says. */
static void test_xsa_142(VbdRaw *r, gconstpointer data)
{
    r->rig.config.read_only = true;
    vbd_raw_back(r);
    g_assert_cmpint(fcntl(r->rig.node->fd, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
    vbd_raw_front(r);
    vbd_raw_key(r, "mode", "w");
    vbd_raw_key(r, "read-only", "0");
    vbd_raw_connect(r);
    g_assert_true(vbd_is(&r->v, r->v.be, "mode", "r"));
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_WRITE, 0, 1), ==, BLKIF_RSP_ERROR);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 0);
}

/* The same where a toolstack says so, of an image that could be written to. */
static void test_xsa_142_toolstack(VbdRaw *r, gconstpointer data)
{
    static const char *const modes[] = { "r", "", "ro", "W", NULL };

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        XenStore *s = r->v.host_store;

        g_assert_true(xen_store_mkdir(s, 0, r->v.be, 0, r->v.guest->domid));
        g_assert_true(xen_store_mkdir(s, 0, r->v.fe, r->v.guest->domid, 0));
        vbd_put(&r->v, r->v.be, "frontend", r->v.fe);
        vbd_put(&r->v, r->v.be, "params", "/image");
        vbd_put(&r->v, r->v.be, "online", "1");
        vbd_put(&r->v, r->v.be, "state", "1");
        vbd_put(&r->v, r->v.fe, "backend", r->v.be);
        vbd_put(&r->v, r->v.fe, "state", "1");
        if (modes[i]) {
            vbd_put(&r->v, r->v.be, "mode", modes[i]);
        }
        vbd_raw_up(r);
        g_assert_true(vbd_is(&r->v, r->v.be, "info", "4"));
        g_assert_cmpint(do_rw(r, 0, BLKIF_OP_WRITE, 0, 1), ==, BLKIF_RSP_ERROR);
        vbd_raw_close(r);
        vbd_raw_back_free(r);
        g_assert_true(xen_store_clear(s, 0, r->v.be));
        g_assert_true(xen_store_clear(s, 0, r->v.fe));
    }
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 0);
}

/* --- a frontend that does not do its part --- */

static unsigned count_names(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

/* It holds its device open: we go all the same, and leave no thread and no descriptor. */
static void test_cve_2010_3699(VbdRaw *r, gconstpointer data)
{
    unsigned threads, files;
    gint64 start;

    vbd_raw_back(r); /* whatever is made once */
    threads = count_names("/proc/self/task");
    files = count_names("/proc/self/fd");
    vbd_raw_front(r);
    r->n_queues = 1;
    vbd_raw_connect(r);
    g_assert_cmpuint(count_names("/proc/self/task"), >, threads);
    g_assert_cmpint(do_rw(r, 0, BLKIF_OP_READ, 0, 11), ==, BLKIF_RSP_OKAY);
    start = g_get_monotonic_time();
    xen_blkback_close(r->d, 200);
    VBD_WAIT(r->closed);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 5 * G_USEC_PER_SEC);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 0);
    vbd_raw_front_free(r);
    g_assert_cmpuint(count_names("/proc/self/task"), <=, threads);
    g_assert_cmpuint(count_names("/proc/self/fd"), <=, files);
    vbd_raw_back_free(r);
}

typedef struct Test {
    const char *name;
    void (*run)(VbdRaw *r, gconstpointer data);
} Test;

static const Test tests[] = {
    { "CA-429650", test_ca_429650 },
    { "CVE-2008-2004", test_cve_2008_2004 },
    { "CVE-2010-3699", test_cve_2010_3699 },
    { "CVE-2010-4238", test_cve_2010_4238 },
    { "CVE-2010-4247", test_cve_2010_4247 },
    { "CVE-2010-4247-under-load", test_cve_2010_4247_under_load },
    { "CVE-2013-2140", test_cve_2013_2140 },
    { "XSA-71", test_xsa_71 },
    { "XSA-142", test_xsa_142 },
    { "XSA-142-toolstack", test_xsa_142_toolstack },
    { "XSA-216", test_xsa_216 },
    { "XSA-361", test_xsa_361 },
    { "XSA-362", test_xsa_362 },
    { "XSA-365", test_xsa_365 },
    { "XSA-365-copied", test_xsa_365_copied },
    { "XSA-371", test_xsa_371 },
    { "XSA-391", test_xsa_391 },
    { "XSA-396", test_xsa_396 },
    { "XSA-403", test_xsa_403 },
    { "resource-ceiling", test_resource_ceiling },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/advisories/%s", tests[i].name);

        g_test_add(path, VbdRaw, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
