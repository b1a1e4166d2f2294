/*
 * Grant copies of a request, on an emulated Xen. Where a test has the name of an advisory, it is
 * what that was about.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkback-copy.h"

#include <errno.h>
#include <string.h>

#include "xen-pair.h"
#include "xenemu.h"

#define PAGES          600u
#define SECTORS        (PAGES * 8)
#define BYTES          ((size_t)PAGES * XEN_PAGE_SIZE)
#define MOST           XEN_BLKIF_SEGS_INDIRECT
#define BAD_REF        7777u /* never granted */
#define GNTST_BAD_PAGE -9
#define CANARY         0x5a

typedef struct Fixture {
    XenPair xen;
    XenOps ops;           /* the host's, with calls counted */
    XenBlkbackCopy copy;
    uint8_t *buffer;      /* with a page of canaries behind it */
    XenBlkifPiece piece[MOST];
} Fixture;

static struct {
    const XenOps *real;
    unsigned calls;
    unsigned segs;
} count;

static int count_copy(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg, unsigned n)
{
    count.calls++;
    count.segs += n;
    return count.real->gnttab_copy(g, domid, to_guest, seg, n);
}

static void setup(Fixture *f, gconstpointer data)
{
    xen_pair_up(&f->xen);
    xen_pair_grant(&f->xen, PAGES);
    f->buffer = g_malloc(BYTES + XEN_PAGE_SIZE);
    memset(f->xen.pages, CANARY, BYTES);
    memset(f->buffer, CANARY, BYTES + XEN_PAGE_SIZE);
    f->copy.xen = f->xen.host;
    f->copy.gnttab = f->xen.gnttab;
    f->copy.domid = XEN_PAIR_DOMID;
    count.real = f->xen.host->ops;
    count.calls = count.segs = 0;
    f->ops = *f->xen.host->ops;
    f->ops.gnttab_copy = count_copy;
    f->xen.host->ops = &f->ops;
}

static void teardown(Fixture *f, gconstpointer data)
{
    f->xen.host->ops = count.real;
    xen_pair_down(&f->xen);
    g_free(f->buffer);
}

/* The sector of the guest's that piece @i is: in an order of its own, and none twice. */
static unsigned sector_of(unsigned i)
{
    return i * 7 % SECTORS;
}

static uint8_t *guest_sector(const Fixture *f, unsigned i)
{
    return f->xen.pages + (size_t)sector_of(i) * XEN_BLKIF_SECTOR;
}

static void make_pieces(Fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned s = sector_of(i);

        f->piece[i] = (XenBlkifPiece) {
            .gref = f->xen.refs[s / 8],
            .offset = (uint16_t)(s % 8 * XEN_BLKIF_SECTOR),
            .len = XEN_BLKIF_SECTOR,
        };
    }
}

static void fill_sector(uint8_t *bytes, unsigned i)
{
    for (unsigned b = 0; b < XEN_BLKIF_SECTOR; b++) {
        bytes[b] = (uint8_t)(i * 31 + b + (i >> 8));
    }
}

static void check_canaries(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_assert_cmpuint(bytes[i], ==, CANARY);
    }
}

static bool copy(Fixture *f, bool to_guest, unsigned n)
{
    bool failed = false;

    xen_blkback_copy_add(&f->copy, to_guest, f->piece, n, f->buffer, &failed);
    xen_blkback_copy_run(&f->copy);
    return !failed;
}

static bool copy_segs(Fixture *f, const XenBlkifRequest *r, unsigned n_pages, XenBlkifSeg *ret)
{
    bool failed = false;

    xen_blkback_copy_add_segs(&f->copy, r, 0, n_pages, ret, &failed);
    xen_blkback_copy_run(&f->copy);
    return !failed;
}

/* --- tests --- */

static const unsigned numbers[] = { 1, 2, 11, 511, 512, 513, 1024, 1025, MOST };

/* XSA-403: what was asked for, and not a byte beside it. */
static void test_to_guest(Fixture *f, gconstpointer data)
{
    for (unsigned k = 0; k < G_N_ELEMENTS(numbers); k++) {
        unsigned n = numbers[k];

        memset(f->xen.pages, CANARY, BYTES);
        make_pieces(f, n);
        for (unsigned i = 0; i < n; i++) {
            fill_sector(f->buffer + (size_t)i * XEN_BLKIF_SECTOR, i);
        }
        g_assert_true(copy(f, true, n));
        for (unsigned i = 0; i < n; i++) {
            uint8_t sector[XEN_BLKIF_SECTOR];

            fill_sector(sector, i);
            g_assert_cmpmem(guest_sector(f, i), sizeof(sector), sector, sizeof(sector));
        }
        for (unsigned i = n; i < SECTORS; i++) {
            check_canaries(guest_sector(f, i), XEN_BLKIF_SECTOR);
        }
    }
}

static void test_from_guest(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < MOST; i++) {
        fill_sector(guest_sector(f, i), i);
    }
    make_pieces(f, MOST);
    for (unsigned k = 0; k < G_N_ELEMENTS(numbers); k++) {
        size_t bytes = (size_t)numbers[k] * XEN_BLKIF_SECTOR;

        memset(f->buffer, CANARY, BYTES);
        g_assert_true(copy(f, false, numbers[k]));
        for (unsigned i = 0; i < numbers[k]; i++) {
            g_assert_cmpmem(f->buffer + (size_t)i * XEN_BLKIF_SECTOR, XEN_BLKIF_SECTOR,
                            guest_sector(f, i), XEN_BLKIF_SECTOR);
        }
        check_canaries(f->buffer + bytes, XEN_PAGE_SIZE);
    }
}

/* Pieces of all lengths lie one behind the other. */
static void test_lengths(Fixture *f, gconstpointer data)
{
    uint8_t *at = f->buffer;

    for (unsigned i = 0; i < 36; i++) {
        unsigned first = i % 8, n = i / 8 % (8 - first) + 1;

        f->piece[i] = (XenBlkifPiece) {
            f->xen.refs[i], (uint16_t)(first * 512), (uint16_t)(n * 512),
        };
        memset(f->xen.pages + i * XEN_PAGE_SIZE + first * 512, (int)i, n * 512);
    }
    g_assert_true(copy(f, false, 36));
    for (unsigned i = 0; i < 36; i++) {
        for (unsigned b = 0; b < f->piece[i].len; b++) {
            g_assert_cmpuint(*at++, ==, i);
        }
    }
    check_canaries(at, XEN_PAGE_SIZE);
}

/* As few calls as there can be, and none for nothing. */
static void test_calls(Fixture *f, gconstpointer data)
{
    g_assert_true(copy(f, false, 0));
    g_assert_cmpuint(count.calls, ==, 0);
    make_pieces(f, MOST);
    for (unsigned k = 0; k < G_N_ELEMENTS(numbers); k++) {
        count.calls = count.segs = 0;
        g_assert_true(copy(f, false, numbers[k]));
        g_assert_cmpuint(count.calls, ==, (numbers[k] + XEN_COPY_MAX - 1) / XEN_COPY_MAX);
        g_assert_cmpuint(count.segs, ==, numbers[k]);
    }
}

/* XSA-361, XSA-362, XSA-365: a piece, whichever, fails the request; those behind it do not help. */
static void test_piece_fails(Fixture *f, gconstpointer data)
{
    static const unsigned at[] = { 1, 2, 511, 512, 513, 1024, 1025, MOST };

    make_pieces(f, MOST);
    for (unsigned i = 0; i < G_N_ELEMENTS(at); i++) {
        xenemu_host_fail(f->xen.host->opaque, XENEMU_OP_GNTTAB_COPY, at[i], GNTST_BAD_PAGE);
        g_assert_false(copy(f, i & 1, MOST));
        g_assert_true(copy(f, i & 1, MOST));
    }
    for (unsigned k = 1; k <= 11; k++) { /* each one of a small request */
        xenemu_host_fail(f->xen.host->opaque, XENEMU_OP_GNTTAB_COPY, k, GNTST_BAD_PAGE);
        g_assert_false(copy(f, k & 1, 11));
    }
    f->piece[0].gref = BAD_REF;
    g_assert_false(copy(f, false, MOST));
}

static void test_call_fails(Fixture *f, gconstpointer data)
{
    make_pieces(f, MOST);
    for (unsigned k = 1; k <= MOST / XEN_COPY_MAX; k++) {
        xenemu_host_fail(f->xen.host->opaque, XENEMU_OP_GNTTAB_BATCH, k, -ENOMEM);
        g_assert_false(copy(f, false, MOST));
        g_assert_true(copy(f, false, MOST));
    }
}

/* Requests share calls, and each has its own pieces' fate. */
static void test_together(Fixture *f, gconstpointer data)
{
    bool failed[8] = { false };

    make_pieces(f, 8 * 100);
    f->piece[250].gref = BAD_REF;
    f->piece[777].gref = BAD_REF;
    for (unsigned i = 0; i < 8; i++) {
        xen_blkback_copy_add(&f->copy, false, &f->piece[i * 100], 100,
                             f->buffer + (size_t)i * 100 * XEN_BLKIF_SECTOR, &failed[i]);
    }
    g_assert_cmpuint(count.calls, ==, 1); /* 512 of the 800 */
    xen_blkback_copy_run(&f->copy);
    g_assert_cmpuint(count.calls, ==, 2);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmpint(failed[i], ==, i == 2 || i == 7);
    }
    xen_blkback_copy_run(&f->copy); /* nothing is left */
    g_assert_cmpuint(count.calls, ==, 2);
}

/* As many bytes of each page as there are segments in it. */
static void test_segs(Fixture *f, gconstpointer data)
{
    static const uint16_t n_segs[] = { 1, 11, 511, 512, 513, 1025, MOST };
    const XenBlkifLimits limits = { .max_indirect = MOST, .block_sectors = 1 };
    g_autofree XenBlkifSeg *seg = g_new(XenBlkifSeg, MOST + 1);
    XenBlkifRequest r = { .op = BLKIF_OP_INDIRECT, .sub = BLKIF_OP_WRITE };

    for (unsigned i = 0; i < XEN_BLKIF_PAGES; i++) {
        struct blkif_request_segment *page = (void *)(f->xen.pages + (20 - i) * XEN_PAGE_SIZE);

        r.page[i] = f->xen.refs[20 - i];
        for (unsigned s = 0; s < XEN_BLKIF_SEGS_OF_PAGE; s++) {
            page[s].gref = i * XEN_BLKIF_SEGS_OF_PAGE + s;
            page[s].first_sect = (uint8_t)s;
            page[s].last_sect = (uint8_t)~s;
        }
    }
    for (unsigned k = 0; k < G_N_ELEMENTS(n_segs); k++) {
        unsigned n_pages;

        r.n_segs = n_segs[k];
        n_pages = xen_blkif_n_pages(&limits, &r);
        memset(seg, CANARY, (MOST + 1) * sizeof(*seg));
        g_assert_true(copy_segs(f, &r, n_pages, seg));
        for (unsigned i = 0; i < n_segs[k]; i++) {
            g_assert_cmpuint(seg[i].gref, ==, i);
            g_assert_cmpuint(seg[i].first, ==, i & 0xff);
            g_assert_cmpuint(seg[i].last, ==, ~i & 0xff);
        }
        check_canaries((uint8_t *)&seg[n_segs[k]], sizeof(*seg));
    }
    r.page[7] = BAD_REF;
    g_assert_false(copy_segs(f, &r, XEN_BLKIF_PAGES, seg));
}

int main(int argc, char **argv)
{
#define ADD(name, fn) \
    g_test_add("/xen-blkback-copy/" name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("xsa-403-to-guest", test_to_guest);
    ADD("from-guest", test_from_guest);
    ADD("lengths", test_lengths);
    ADD("calls", test_calls);
    ADD("xsa-361-362-365", test_piece_fails);
    ADD("call-fails", test_call_fails);
    ADD("together", test_together);
    ADD("segs", test_segs);
    return g_test_run();
}
