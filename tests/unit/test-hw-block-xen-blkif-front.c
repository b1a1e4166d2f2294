/*
 * Requests of a vbd as we write them, against the compiler's word for where things are; and
 * responses as we read them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkif.h"

#include <glib.h>
#include <string.h>

#include "blkif-layout.h"
#include "hw/xen/ring.h"

#define ID     0xfedcba9876543210ull
#define SECTOR 0x8000000000000123ull
#define HANDLE 0x7788u

/* In a slot that is full of something else; nothing behind it is written to. */
static void write_slot(XenBlkifAbi abi, const XenBlkifRequest *r, BlkifSlot *ret)
{
    memset(ret, 0xaa, sizeof(*ret));
    xen_blkif_write_request(abi, r, HANDLE, ret);
    for (unsigned i = xen_blkif_slot_size(abi); i < sizeof(*ret); i++) {
        g_assert_cmphex(ret->bytes[i], ==, 0xaa);
    }
}

static void test_rw(gconstpointer data)
{
    XenBlkifAbi abi = GPOINTER_TO_INT(data);
    XenBlkifRequest r = { .id = ID, .sector = SECTOR, .op = BLKIF_OP_WRITE, .n_segs = 10 };
    BlkifSlot s;

    for (unsigned i = 0; i < 10; i++) {
        r.seg[i] = (XenBlkifSeg) { .gref = 0x80000100 + i, .first = 3, .last = 4 };
    }
    write_slot(abi, &r, &s);
    g_assert_cmpuint(BLKIF_GET(&s, abi, rw, operation), ==, BLKIF_OP_WRITE);
    g_assert_cmpuint(BLKIF_GET(&s, abi, rw, nr_segments), ==, 10);
    g_assert_cmpuint(BLKIF_GET(&s, abi, rw, handle), ==, HANDLE);
    g_assert_cmpuint(BLKIF_GET(&s, abi, rw, id), ==, ID);
    g_assert_cmpuint(BLKIF_GET(&s, abi, rw, sector_number), ==, SECTOR);
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmpuint(BLKIF_GET(&s, abi, rw, seg[i].gref), ==, 0x80000100 + i);
        g_assert_cmpuint(BLKIF_GET(&s, abi, rw, seg[i].first_sect), ==, 3);
        g_assert_cmpuint(BLKIF_GET(&s, abi, rw, seg[i].last_sect), ==, 4);
    }
    g_assert_cmpuint(BLKIF_GET(&s, abi, rw, seg[10].gref), ==, 0); /* nothing of ours leaks */
}

static void test_discard(gconstpointer data)
{
    XenBlkifAbi abi = GPOINTER_TO_INT(data);
    XenBlkifRequest r = { .id = ID, .sector = SECTOR, .n_sectors = 0x123456789abcdull,
                          .op = BLKIF_OP_DISCARD, .sub = BLKIF_DISCARD_SECURE };
    BlkifSlot s;

    write_slot(abi, &r, &s);
    g_assert_cmpuint(BLKIF_GET(&s, abi, discard, operation), ==, BLKIF_OP_DISCARD);
    g_assert_cmpuint(BLKIF_GET(&s, abi, discard, flag), ==, BLKIF_DISCARD_SECURE);
    g_assert_cmpuint(BLKIF_GET(&s, abi, discard, handle), ==, HANDLE);
    g_assert_cmpuint(BLKIF_GET(&s, abi, discard, id), ==, ID);
    g_assert_cmpuint(BLKIF_GET(&s, abi, discard, sector_number), ==, SECTOR);
    g_assert_cmpuint(BLKIF_GET(&s, abi, discard, nr_sectors), ==, 0x123456789abcdull);
}

static void test_indirect(gconstpointer data)
{
    XenBlkifAbi abi = GPOINTER_TO_INT(data);
    XenBlkifRequest r = { .id = ID, .sector = SECTOR, .n_segs = 0x0f01, .op = BLKIF_OP_INDIRECT,
                          .sub = BLKIF_OP_WRITE };
    BlkifSlot s;

    for (unsigned i = 0; i < XEN_BLKIF_PAGES; i++) {
        r.page[i] = 0x90000000 + i;
    }
    write_slot(abi, &r, &s);
    g_assert_cmpuint(BLKIF_GET(&s, abi, indirect, operation), ==, BLKIF_OP_INDIRECT);
    g_assert_cmpuint(BLKIF_GET(&s, abi, indirect, indirect_op), ==, BLKIF_OP_WRITE);
    g_assert_cmpuint(BLKIF_GET(&s, abi, indirect, nr_segments), ==, 0x0f01);
    g_assert_cmpuint(BLKIF_GET(&s, abi, indirect, handle), ==, HANDLE);
    g_assert_cmpuint(BLKIF_GET(&s, abi, indirect, id), ==, ID);
    g_assert_cmpuint(BLKIF_GET(&s, abi, indirect, sector_number), ==, SECTOR);
    for (unsigned i = 0; i < XEN_BLKIF_PAGES; i++) {
        g_assert_cmpuint(BLKIF_GET(&s, abi, indirect, indirect_grefs[i]), ==, 0x90000000 + i);
    }
}

static void test_indirect_page(void)
{
    XenBlkifSeg seg[XEN_BLKIF_SEGS_OF_PAGE], back[XEN_BLKIF_SEGS_OF_PAGE];
    _Alignas(8) uint8_t page[XEN_RING_PAGE_SIZE] = { 0 };
    const struct blkif_request_segment *s = (const void *)page;

    for (unsigned i = 0; i < XEN_BLKIF_SEGS_OF_PAGE; i++) {
        seg[i] = (XenBlkifSeg) { .gref = 7000 + i, .first = i % 8, .last = 7 };
    }
    xen_blkif_write_indirect(seg, XEN_BLKIF_SEGS_OF_PAGE - 1, page);
    for (unsigned i = 0; i < XEN_BLKIF_SEGS_OF_PAGE - 1; i++) {
        g_assert_cmpuint(s[i].gref, ==, 7000 + i);
        g_assert_cmpuint(s[i].first_sect, ==, i % 8);
        g_assert_cmpuint(s[i].last_sect, ==, 7);
    }
    g_assert_cmpuint(s[XEN_BLKIF_SEGS_OF_PAGE - 1].gref, ==, 0);
    xen_blkif_read_indirect(page, XEN_BLKIF_SEGS_OF_PAGE - 1, back);
    g_assert_cmpuint(back[300].gref, ==, 7300);
}

static void test_response(void)
{
    blkif_response_t rsp = { .id = ID, .operation = BLKIF_OP_DISCARD, .status = -2 };
    XenBlkifResponse r;

    xen_blkif_read_response(&rsp, &r);
    g_assert_cmpuint(r.id, ==, ID);
    g_assert_cmpuint(r.op, ==, BLKIF_OP_DISCARD);
    g_assert_cmpint(r.status, ==, BLKIF_RSP_EOPNOTSUPP);
    g_assert_cmpuint(XEN_BLKIF_RESPONSE, >=, offsetof(blkif_response_t, status) + 2);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(gconstpointer abi);
    } tests[] = {
        { "rw", test_rw },
        { "discard", test_discard },
        { "indirect", test_indirect },
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xen-blkif/front/indirect-page", test_indirect_page);
    g_test_add_func("/xen-blkif/front/response", test_response);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path64 = g_strconcat("/xen-blkif/front/64/", tests[i].name, NULL);
        g_autofree char *path32 = g_strconcat("/xen-blkif/front/x86_32/", tests[i].name, NULL);

        g_test_add_data_func(path64, GINT_TO_POINTER(XEN_BLKIF_ABI_64), tests[i].fn);
        g_test_add_data_func(path32, GINT_TO_POINTER(XEN_BLKIF_ABI_X86_32), tests[i].fn);
    }
    return g_test_run();
}
