/*
 * Requests of a vbd, as good and as bad frontends write them. Where a test has the name of an
 * advisory, it is what that was about.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkif.h"

#include <glib.h>
#include <string.h>

#include "blkif-layout.h"
#include "hw/xen/ring.h"

#define SECTORS 1000u
#define ID      0xfedcba9876543210ull

static const XenBlkifLimits limits = {
    .sectors = SECTORS, .block_sectors = 1, .max_indirect = 1024, .discard = true,
};

/* A request, and what became of it. */
typedef struct Case {
    XenBlkifAbi abi;
    XenBlkifLimits l;
    BlkifSlot slot;
    XenBlkifSeg indirect[XEN_BLKIF_SEGS_INDIRECT];
    XenBlkifPiece piece[XEN_BLKIF_SEGS_INDIRECT];
    XenBlkifRequest r;
    XenBlkifWork w;
} Case;

static Case *case_new(XenBlkifAbi abi)
{
    Case *c = g_new0(Case, 1);

    c->abi = abi;
    c->l = limits;
    return c;
}

/* @n segments of two sectors each, 3 and 4; more than fit into a slot are only said to be there. */
static void case_rw(Case *c, uint8_t op, uint8_t n, uint64_t sector)
{
    memset(&c->slot, 0, sizeof(c->slot));
    BLKIF_SET(&c->slot, c->abi, rw, operation, op);
    BLKIF_SET(&c->slot, c->abi, rw, nr_segments, n);
    BLKIF_SET(&c->slot, c->abi, rw, handle, 0x7777);
    BLKIF_SET(&c->slot, c->abi, rw, id, ID);
    BLKIF_SET(&c->slot, c->abi, rw, sector_number, sector);
    for (unsigned i = 0; i < XEN_BLKIF_SEGS; i++) {
        BLKIF_SET(&c->slot, c->abi, rw, seg[i].gref, 0x80000100 + i);
        BLKIF_SET(&c->slot, c->abi, rw, seg[i].first_sect, 3);
        BLKIF_SET(&c->slot, c->abi, rw, seg[i].last_sect, 4);
    }
}

static void case_discard(Case *c, uint8_t flag, uint64_t sector, uint64_t n)
{
    memset(&c->slot, 0, sizeof(c->slot));
    BLKIF_SET(&c->slot, c->abi, discard, operation, BLKIF_OP_DISCARD);
    BLKIF_SET(&c->slot, c->abi, discard, flag, flag);
    BLKIF_SET(&c->slot, c->abi, discard, handle, 0x7777);
    BLKIF_SET(&c->slot, c->abi, discard, id, ID);
    BLKIF_SET(&c->slot, c->abi, discard, sector_number, sector);
    BLKIF_SET(&c->slot, c->abi, discard, nr_sectors, n);
}

/* @n segments of a sector each. */
static void case_indirect(Case *c, uint8_t op, uint16_t n, uint64_t sector)
{
    memset(&c->slot, 0, sizeof(c->slot));
    BLKIF_SET(&c->slot, c->abi, indirect, operation, BLKIF_OP_INDIRECT);
    BLKIF_SET(&c->slot, c->abi, indirect, indirect_op, op);
    BLKIF_SET(&c->slot, c->abi, indirect, nr_segments, n);
    BLKIF_SET(&c->slot, c->abi, indirect, handle, 0x7777);
    BLKIF_SET(&c->slot, c->abi, indirect, id, ID);
    BLKIF_SET(&c->slot, c->abi, indirect, sector_number, sector);
    for (unsigned i = 0; i < XEN_BLKIF_PAGES; i++) {
        BLKIF_SET(&c->slot, c->abi, indirect, indirect_grefs[i], 0x90000000 + i);
    }
    for (unsigned i = 0; i < XEN_BLKIF_SEGS_INDIRECT; i++) {
        c->indirect[i] = (XenBlkifSeg) { .gref = 50 + i, .first = i % 8, .last = i % 8 };
    }
}

static bool judge(Case *c)
{
    xen_blkif_read_request(c->abi, &c->slot, &c->r);
    return xen_blkif_judge(&c->l, &c->r, c->indirect, c->piece, &c->w);
}

static void expect_status(Case *c, int16_t status)
{
    g_assert_false(judge(c));
    g_assert_cmpint(c->w.status, ==, status);
    g_assert_cmpuint(c->r.id, ==, ID);
}

/* Something to do, and what holds of all such. */
static void expect_work(Case *c, XenBlkifWhat what)
{
    uint64_t sum = 0;

    g_assert_true(judge(c));
    g_assert_cmpint(c->w.what, ==, what);
    g_assert_cmpint(c->w.status, ==, BLKIF_RSP_OKAY);
    g_assert_cmpuint(c->r.id, ==, ID);
    g_assert_cmpuint(c->w.offset + c->w.bytes, <=, c->l.sectors * XEN_BLKIF_SECTOR);
    for (unsigned i = 0; i < c->w.n_pieces; i++) {
        g_assert_cmpuint(c->piece[i].len, >, 0);
        g_assert_cmpuint(c->piece[i].offset + c->piece[i].len, <=, XEN_RING_PAGE_SIZE);
        sum += c->piece[i].len;
    }
    g_assert_cmpuint(sum, ==, what == XEN_BLKIF_DISCARD ? 0 : c->w.bytes);
}

/* --- layouts --- */

static void test_protocols(void)
{
#if defined(__x86_64__) || defined(__i386__)
    const XenBlkifAbi absent = XEN_BLKIF_ABI_X86_32;
#else
    const XenBlkifAbi absent = XEN_BLKIF_ABI_64;
#endif
    XenBlkifAbi abi;

    g_assert_true(xen_blkif_abi("x86_32-abi", &abi));
    g_assert_cmpint(abi, ==, XEN_BLKIF_ABI_X86_32);
    g_assert_true(xen_blkif_abi("x86_64-abi", &abi));
    g_assert_cmpint(abi, ==, XEN_BLKIF_ABI_64);
    g_assert_true(xen_blkif_abi(NULL, &abi));
    g_assert_cmpint(abi, ==, absent);
    g_assert_true(xen_blkif_abi("arm-abi", &abi));
    g_assert_cmpint(abi, ==, XEN_BLKIF_ABI_64);
    g_assert_false(xen_blkif_abi("", &abi));
    g_assert_false(xen_blkif_abi("x86_32", &abi));
    g_assert_false(xen_blkif_abi("x86_64-abi ", &abi));
}

/* The same in both, although there would be room for more small slots. */
static void test_slots(void)
{
    g_assert_cmpuint(xen_blkif_slot_size(XEN_BLKIF_ABI_64), ==, sizeof(blkif_request_t));
    g_assert_cmpuint(xen_blkif_slot_size(XEN_BLKIF_ABI_X86_32), ==, sizeof(Blkif32));
    for (unsigned order = 0; order <= 4; order++) {
        g_assert_cmpuint(xen_blkif_slots(XEN_BLKIF_ABI_64, order), ==, 32u << order);
        g_assert_cmpuint(xen_blkif_slots(XEN_BLKIF_ABI_X86_32, order), ==, 32u << order);
    }
}

static void test_rw_slot(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    case_rw(c, BLKIF_OP_WRITE, 11, 0x8000000000000123);
    xen_blkif_read_request(c->abi, &c->slot, &c->r);
    g_assert_cmpuint(c->r.op, ==, BLKIF_OP_WRITE);
    g_assert_cmpuint(c->r.rsp_op, ==, BLKIF_OP_WRITE);
    g_assert_cmpuint(c->r.id, ==, ID);
    g_assert_cmpuint(c->r.sector, ==, 0x8000000000000123);
    g_assert_cmpuint(c->r.n_segs, ==, 11);
    for (unsigned i = 0; i < 11; i++) {
        g_assert_cmpuint(c->r.seg[i].gref, ==, 0x80000100 + i);
        g_assert_cmpuint(c->r.seg[i].first, ==, 3);
        g_assert_cmpuint(c->r.seg[i].last, ==, 4);
    }
}

static void test_discard_slot(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    case_discard(c, 1, 0x123456789, 0x8000000000000321);
    xen_blkif_read_request(c->abi, &c->slot, &c->r);
    g_assert_cmpuint(c->r.rsp_op, ==, BLKIF_OP_DISCARD);
    g_assert_cmpuint(c->r.id, ==, ID);
    g_assert_cmpuint(c->r.sub, ==, 1);
    g_assert_cmpuint(c->r.sector, ==, 0x123456789);
    g_assert_cmpuint(c->r.n_sectors, ==, 0x8000000000000321);
}

/* Answered as what it does: a Linux frontend disables the disk for anything else. */
static void test_indirect_slot(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    case_indirect(c, BLKIF_OP_WRITE, 0xabcd, 77);
    xen_blkif_read_request(c->abi, &c->slot, &c->r);
    g_assert_cmpuint(c->r.op, ==, BLKIF_OP_INDIRECT);
    g_assert_cmpuint(c->r.rsp_op, ==, BLKIF_OP_WRITE);
    g_assert_cmpuint(c->r.id, ==, ID);
    g_assert_cmpuint(c->r.sector, ==, 77);
    g_assert_cmpuint(c->r.n_segs, ==, 0xabcd);
    for (unsigned i = 0; i < XEN_BLKIF_PAGES; i++) {
        g_assert_cmpuint(c->r.page[i], ==, 0x90000000 + i);
    }
}

/* Its id comes back, and its operation. */
static void test_unknown_op(gconstpointer abi)
{
    static const uint8_t ops[] = { 4, 7, 8, 127, 128, 255 };
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        case_rw(c, ops[i], 255, 0);
        expect_status(c, BLKIF_RSP_EOPNOTSUPP);
        g_assert_cmpuint(c->r.rsp_op, ==, ops[i]);
    }
}

/* --- transfers --- */

static void test_read_write(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    case_rw(c, BLKIF_OP_READ, 3, 10);
    BLKIF_SET(&c->slot, c->abi, rw, seg[1].first_sect, 0);
    BLKIF_SET(&c->slot, c->abi, rw, seg[1].last_sect, 7);
    expect_work(c, XEN_BLKIF_READ);
    g_assert_cmpuint(c->w.offset, ==, 5120);
    g_assert_cmpuint(c->w.bytes, ==, 12 * 512);
    g_assert_cmpuint(c->w.n_pieces, ==, 3);
    g_assert_cmpuint(c->piece[0].gref, ==, 0x80000100);
    g_assert_cmpuint(c->piece[0].offset, ==, 1536);
    g_assert_cmpuint(c->piece[0].len, ==, 1024);
    g_assert_cmpuint(c->piece[1].gref, ==, 0x80000101);
    g_assert_cmpuint(c->piece[1].offset, ==, 0);
    g_assert_cmpuint(c->piece[1].len, ==, 4096);
    case_rw(c, BLKIF_OP_WRITE, 1, 0);
    expect_work(c, XEN_BLKIF_WRITE);
}

/* With data and without; without it, where is of no matter. */
static void test_flush_barrier(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    for (unsigned barrier = 0; barrier < 2; barrier++) {
        uint8_t op = barrier ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_FLUSH_DISKCACHE;
        XenBlkifWhat what = barrier ? XEN_BLKIF_BARRIER : XEN_BLKIF_FLUSH;

        case_rw(c, op, 0, UINT64_MAX);
        expect_work(c, what);
        g_assert_cmpuint(c->w.n_pieces, ==, 0);
        g_assert_cmpuint(c->w.bytes, ==, 0);
        g_assert_cmpuint(c->w.offset, ==, 0);
        case_rw(c, op, 11, 20);
        expect_work(c, what);
        g_assert_cmpuint(c->w.offset, ==, 20 * 512);
        g_assert_cmpuint(c->w.n_pieces, ==, 11);
        case_rw(c, op, 12, 20);
        expect_status(c, BLKIF_RSP_ERROR);
        case_rw(c, op, 1, SECTORS);
        expect_status(c, BLKIF_RSP_ERROR);
    }
}

static void test_end_of_disk(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    case_rw(c, BLKIF_OP_WRITE, 2, SECTORS - 4);
    expect_work(c, XEN_BLKIF_WRITE);
    case_rw(c, BLKIF_OP_WRITE, 2, SECTORS - 3);
    expect_status(c, BLKIF_RSP_ERROR);
    case_rw(c, BLKIF_OP_READ, 1, UINT64_MAX); /* the sum wraps */
    expect_status(c, BLKIF_RSP_ERROR);
    case_rw(c, BLKIF_OP_READ, 1, UINT64_MAX - 1);
    expect_status(c, BLKIF_RSP_ERROR);
    case_rw(c, BLKIF_OP_READ, 1, (1ull << 55) + 1); /* as bytes it does */
    expect_status(c, BLKIF_RSP_ERROR);
    c->l.sectors = 0; /* a drive without a medium: CVE-2010-4238 */
    case_rw(c, BLKIF_OP_READ, 1, 0);
    expect_status(c, BLKIF_RSP_ERROR);
    case_rw(c, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
    expect_work(c, XEN_BLKIF_FLUSH);
}

/* XSA-142, XSA-266: nothing writes, whatever it is called; a flush alone does not. */
static void test_read_only(gconstpointer abi)
{
    static const uint8_t ops[] = { BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER,
                                   BLKIF_OP_FLUSH_DISKCACHE };
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    c->l.read_only = true;
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        case_rw(c, ops[i], 1, 0);
        expect_status(c, BLKIF_RSP_ERROR);
    }
    case_indirect(c, BLKIF_OP_WRITE, 20, 0);
    expect_status(c, BLKIF_RSP_ERROR);
    g_assert_cmpuint(xen_blkif_n_pages(&c->l, &c->r), ==, 0);
    case_indirect(c, BLKIF_OP_READ, 20, 0);
    expect_work(c, XEN_BLKIF_READ);
    case_rw(c, BLKIF_OP_READ, 1, 0);
    expect_work(c, XEN_BLKIF_READ);
    case_rw(c, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
    expect_work(c, XEN_BLKIF_FLUSH);
    case_rw(c, BLKIF_OP_WRITE_BARRIER, 0, 0);
    expect_work(c, XEN_BLKIF_BARRIER);
}

/* Sectors stay sectors; where a request begins and each segment's length are whole blocks. */
static void test_logical_block(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    c->l.block_sectors = 8;
    case_rw(c, BLKIF_OP_READ, 1, 16);
    BLKIF_SET(&c->slot, c->abi, rw, seg[0].first_sect, 0);
    BLKIF_SET(&c->slot, c->abi, rw, seg[0].last_sect, 7);
    expect_work(c, XEN_BLKIF_READ);
    g_assert_cmpuint(c->w.offset, ==, 16 * 512);
    BLKIF_SET(&c->slot, c->abi, rw, sector_number, 12);
    expect_status(c, BLKIF_RSP_ERROR);
    case_rw(c, BLKIF_OP_READ, 4, 16); /* a block in sum, but in quarters */
    expect_status(c, BLKIF_RSP_ERROR);
    c->l.block_sectors = 2;
    expect_work(c, XEN_BLKIF_READ);
    g_assert_cmpuint(c->piece[3].offset, ==, 3 * 512);
    g_assert_cmpuint(c->piece[3].len, ==, 1024);
    g_assert_cmpuint(c->w.offset, ==, 16 * 512);
    g_assert_cmpuint(c->w.bytes, ==, 4096);
    c->l.block_sectors = 8;
    case_discard(c, 0, 8, 16);
    expect_work(c, XEN_BLKIF_DISCARD);
    case_discard(c, 0, 4, 16);
    expect_status(c, BLKIF_RSP_ERROR);
    case_discard(c, 0, 8, 12);
    expect_status(c, BLKIF_RSP_ERROR);
}

/* More segments than a slot has, and segments beyond their page. */
static void test_ca_429650(gconstpointer abi)
{
    static const uint8_t n[] = { 0, 12, 13, 32, 128, 255 };
    static const uint8_t seg[][3] = {
        { 0, 7, true }, { 7, 7, true }, { 0, 0, true }, { 0, 8, false }, { 8, 8, false },
        { 0, 255, false }, { 255, 255, false }, { 4, 3, false }, { 7, 0, false }, { 255, 0, false },
    };
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    for (unsigned i = 0; i < G_N_ELEMENTS(n); i++) {
        case_rw(c, BLKIF_OP_READ, n[i], 0);
        expect_status(c, BLKIF_RSP_ERROR);
        case_rw(c, BLKIF_OP_WRITE, n[i], 0);
        expect_status(c, BLKIF_RSP_ERROR);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(seg); i++) {
        case_rw(c, BLKIF_OP_WRITE, 11, 0);
        BLKIF_SET(&c->slot, c->abi, rw, seg[10].first_sect, seg[i][0]);
        BLKIF_SET(&c->slot, c->abi, rw, seg[10].last_sect, seg[i][1]);
        if (seg[i][2]) {
            expect_work(c, XEN_BLKIF_WRITE);
        } else {
            expect_status(c, BLKIF_RSP_ERROR);
        }
        case_indirect(c, BLKIF_OP_READ, 513, 0);
        c->indirect[512].first = seg[i][0];
        c->indirect[512].last = seg[i][1];
        if (seg[i][2]) {
            expect_work(c, XEN_BLKIF_READ);
        } else {
            expect_status(c, BLKIF_RSP_ERROR);
        }
    }
}

/* --- indirect requests --- */

static void test_indirect(gconstpointer abi)
{
    static const uint16_t n[] = { 1, 11, 12, 511, 512, 513, 1000 };
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    for (unsigned i = 0; i < G_N_ELEMENTS(n); i++) {
        unsigned pages, segs = 0;

        case_indirect(c, BLKIF_OP_READ, n[i], 0);
        expect_work(c, XEN_BLKIF_READ);
        g_assert_cmpuint(c->w.n_pieces, ==, n[i]);
        g_assert_cmpuint(c->w.bytes, ==, n[i] * 512u);
        g_assert_cmpuint(c->piece[n[i] - 1].gref, ==, 49 + n[i]);
        g_assert_cmpuint(c->piece[n[i] - 1].offset, ==, (n[i] - 1) % 8 * 512);
        pages = xen_blkif_n_pages(&c->l, &c->r);
        g_assert_cmpuint(pages, ==, n[i] <= 512 ? 1 : 2);
        for (unsigned p = 0; p < pages; p++) {
            segs += xen_blkif_page_segs(&c->r, p);
            g_assert_cmpuint(xen_blkif_page_segs(&c->r, p), <=, 512);
        }
        g_assert_cmpuint(segs, ==, n[i]);
    }
    case_indirect(c, BLKIF_OP_WRITE, 1000, 0);
    expect_work(c, XEN_BLKIF_WRITE);
    case_indirect(c, BLKIF_OP_WRITE, 1000, 1);
    expect_status(c, BLKIF_RSP_ERROR);
}

/* The most that the protocol knows: 16 MiB. */
static void test_indirect_most(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    c->l.max_indirect = XEN_BLKIF_SEGS_INDIRECT;
    c->l.sectors = XEN_BLKIF_SEGS_INDIRECT * 8;
    case_indirect(c, BLKIF_OP_READ, XEN_BLKIF_SEGS_INDIRECT, 0);
    for (unsigned i = 0; i < XEN_BLKIF_SEGS_INDIRECT; i++) {
        c->indirect[i].first = 0;
        c->indirect[i].last = 7;
    }
    expect_work(c, XEN_BLKIF_READ);
    g_assert_cmpuint(c->w.bytes, ==, 16u << 20);
    g_assert_cmpuint(xen_blkif_n_pages(&c->l, &c->r), ==, XEN_BLKIF_PAGES);
    g_assert_cmpuint(xen_blkif_page_segs(&c->r, XEN_BLKIF_PAGES - 1), ==, 512);
    case_indirect(c, BLKIF_OP_READ, XEN_BLKIF_SEGS_INDIRECT + 1, 0);
    expect_status(c, BLKIF_RSP_ERROR);
}

/* Their pages are not read, either. */
static void test_indirect_refused(gconstpointer abi)
{
    static const struct {
        uint16_t n;
        uint8_t op;
    } bad[] = {
        { 0, BLKIF_OP_READ }, { 1025, BLKIF_OP_READ }, { 65535, BLKIF_OP_WRITE },
        { 20, BLKIF_OP_WRITE_BARRIER }, { 20, BLKIF_OP_FLUSH_DISKCACHE },
        { 0, BLKIF_OP_FLUSH_DISKCACHE }, { 20, BLKIF_OP_DISCARD }, { 20, BLKIF_OP_INDIRECT },
        { 20, 255 },
    };
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        case_indirect(c, bad[i].op, bad[i].n, 0);
        expect_status(c, BLKIF_RSP_ERROR);
        g_assert_cmpuint(c->r.rsp_op, ==, bad[i].op);
        g_assert_cmpuint(xen_blkif_n_pages(&c->l, &c->r), ==, 0);
    }
    case_rw(c, BLKIF_OP_READ, 11, 0);
    expect_work(c, XEN_BLKIF_READ);
    g_assert_cmpuint(xen_blkif_n_pages(&c->l, &c->r), ==, 0);
    c->l.max_indirect = 0; /* not offered: not known */
    case_indirect(c, BLKIF_OP_READ, 1, 0);
    expect_status(c, BLKIF_RSP_EOPNOTSUPP);
    g_assert_cmpuint(c->r.rsp_op, ==, BLKIF_OP_READ);
    g_assert_cmpuint(xen_blkif_n_pages(&c->l, &c->r), ==, 0);
}

static void test_read_indirect(void)
{
    g_autofree struct blkif_request_segment *page = g_new0(struct blkif_request_segment, 512);
    XenBlkifSeg seg[512];

    for (unsigned i = 0; i < 512; i++) {
        page[i].gref = 0x80000000 + i;
        page[i].first_sect = (uint8_t)i;
        page[i].last_sect = (uint8_t)(i >> 1);
    }
    memset(seg, 0xaa, sizeof(seg));
    xen_blkif_read_indirect(page, 511, seg);
    for (unsigned i = 0; i < 511; i++) {
        g_assert_cmpuint(seg[i].gref, ==, 0x80000000 + i);
        g_assert_cmpuint(seg[i].first, ==, i & 0xff);
        g_assert_cmpuint(seg[i].last, ==, i >> 1);
    }
    g_assert_cmpuint(seg[511].gref, ==, 0xaaaaaaaa);
}

/* --- discards --- */

static void test_discard(gconstpointer abi)
{
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    case_discard(c, 0, 10, 990);
    expect_work(c, XEN_BLKIF_DISCARD);
    g_assert_cmpuint(c->w.offset, ==, 5120);
    g_assert_cmpuint(c->w.bytes, ==, 990 * 512);
    g_assert_cmpuint(c->w.n_pieces, ==, 0);
    g_assert_false(c->w.secure);
    case_discard(c, BLKIF_DISCARD_SECURE, 0, 1);
    expect_work(c, XEN_BLKIF_DISCARD);
    g_assert_false(c->w.secure); /* not offered: ignored */
    c->l.discard_secure = true;
    expect_work(c, XEN_BLKIF_DISCARD);
    g_assert_true(c->w.secure);
    case_discard(c, (uint8_t)~BLKIF_DISCARD_SECURE, 0, 1);
    expect_work(c, XEN_BLKIF_DISCARD);
    g_assert_false(c->w.secure);
    c->l.discard = false;
    expect_status(c, BLKIF_RSP_EOPNOTSUPP);
}

/* A discard of what is read only, or not there at all. */
static void test_cve_2013_2140(gconstpointer abi)
{
    static const uint64_t bad[][2] = {
        { 0, SECTORS + 1 }, { 1, SECTORS }, { SECTORS, 1 }, { SECTORS + 1, 1 }, { 0, 0 },
        { UINT64_MAX, 1 }, { UINT64_MAX, 2 }, { 1, UINT64_MAX }, { 2, UINT64_MAX },
        { 0, UINT64_MAX }, { UINT64_MAX, UINT64_MAX }, { 1ull << 63, 1ull << 63 },
        { 0, 1ull << 55 },
    };
    g_autofree Case *c = case_new(GPOINTER_TO_INT(abi));

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        case_discard(c, 0, bad[i][0], bad[i][1]);
        expect_status(c, BLKIF_RSP_ERROR);
    }
    c->l.read_only = true;
    case_discard(c, 0, 0, 8);
    expect_status(c, BLKIF_RSP_ERROR);
    c->l.discard = false;
    expect_status(c, BLKIF_RSP_ERROR);
}

/* --- responses --- */

/* The bytes between and behind are what they were, in the last slot of a ring, too. */
static void test_xsa_216(gconstpointer abi)
{
    const uint32_t size = xen_blkif_slot_size(GPOINTER_TO_INT(abi));
    XenRingHeader *page = g_aligned_alloc0(1, XEN_RING_PAGE_SIZE, XEN_RING_PAGE_SIZE);
    uint8_t expected[112];
    XenRing ring;

    xen_ring_init(&ring, page, 1, size);
    memset(ring.entries, 0xaa, XEN_RING_PAGE_SIZE - sizeof(*page));
    memset(expected, 0xaa, sizeof(expected));
    memcpy(expected, &(uint64_t){ ID }, 8);
    expected[8] = BLKIF_OP_WRITE;
    memcpy(expected + 10, &(int16_t){ BLKIF_RSP_EOPNOTSUPP }, 2);
    for (uint32_t i = 31; i < 32; i--) {
        xen_blkif_write_response(xen_ring_entry(&ring, i), ID, BLKIF_OP_WRITE,
                                 BLKIF_RSP_EOPNOTSUPP);
        g_assert_cmpmem(xen_ring_entry(&ring, i), size, expected, size);
        g_assert_true(i == 0 || *(uint8_t *)xen_ring_entry(&ring, i - 1) == 0xaa);
    }
    g_aligned_free(page);
    g_assert_cmpuint(expected[9], ==, 0xaa);
}

/* A frontend of 32 bits has 12 bytes for one: the sanitizer sees any beyond. */
static void test_response_of_12_bytes(void)
{
    g_autofree uint8_t *slot = g_malloc(12);

    xen_blkif_write_response(slot, ID, BLKIF_OP_READ, BLKIF_RSP_ERROR);
    g_assert_cmpuint(slot[8], ==, BLKIF_OP_READ);
    g_assert_cmpuint(slot[10], ==, 0xff);
    g_assert_cmpuint(slot[11], ==, 0xff);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(gconstpointer abi);
    } tests[] = {
        { "rw-slot", test_rw_slot },
        { "discard-slot", test_discard_slot },
        { "indirect-slot", test_indirect_slot },
        { "unknown-op", test_unknown_op },
        { "read-write", test_read_write },
        { "flush-barrier", test_flush_barrier },
        { "end-of-disk", test_end_of_disk },
        { "read-only", test_read_only },
        { "logical-block", test_logical_block },
        { "ca-429650", test_ca_429650 },
        { "indirect", test_indirect },
        { "indirect-most", test_indirect_most },
        { "indirect-refused", test_indirect_refused },
        { "discard", test_discard },
        { "cve-2013-2140", test_cve_2013_2140 },
        { "xsa-216", test_xsa_216 },
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xen-blkif/protocols", test_protocols);
    g_test_add_func("/xen-blkif/slots", test_slots);
    g_test_add_func("/xen-blkif/read-indirect", test_read_indirect);
    g_test_add_func("/xen-blkif/response-of-12-bytes", test_response_of_12_bytes);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path64 = g_strconcat("/xen-blkif/64/", tests[i].name, NULL);
        g_autofree char *path32 = g_strconcat("/xen-blkif/x86_32/", tests[i].name, NULL);

        g_test_add_data_func(path64, GINT_TO_POINTER(XEN_BLKIF_ABI_64), tests[i].fn);
        g_test_add_data_func(path32, GINT_TO_POINTER(XEN_BLKIF_ABI_X86_32), tests[i].fn);
    }
    return g_test_run();
}
