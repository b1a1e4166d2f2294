/*
 * A slot of a vbd's ring and its indirect pages, in each layout: what is judged of them, against
 * what a second, simpler reader thinks of it.
 *
 *     u64 sectors, u16 indirect segments, u8 log2 of a block, u8 flags (1: read only, 2: discard,
 *     4: secure discard), a slot of 112 bytes, segments of indirect pages
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <glib.h>

#include "blkif-layout.h"
#include "xen-blkif.h"

#define MAX_SEGS XEN_BLKIF_SEGS_INDIRECT
#define PAGE     4096u

typedef struct Header {
    uint64_t sectors;
    uint16_t max_indirect;
    uint8_t block_shift;
    uint8_t flags;
} Header;
_Static_assert(offsetof(Header, flags) == 11, "as above");

/* What a request is to come to. */
typedef struct Model {
    uint64_t id;
    uint8_t op;
    bool refused;
    int16_t status;
    XenBlkifWhat what;
    bool secure;
    uint64_t sector;
    uint64_t n_sectors;
    unsigned n_segs;
    const struct blkif_request_segment *seg;
} Model;

static void model_refuse(Model *m, int16_t status)
{
    if (!m->refused) {
        m->refused = true;
        m->status = status;
    }
}

/* Sums that cannot wrap. */
static void model_check_place(Model *m, const XenBlkifLimits *l)
{
    if ((__int128)m->sector + m->n_sectors > l->sectors || m->sector % l->block_sectors) {
        model_refuse(m, BLKIF_RSP_ERROR);
    }
}

static void model_transfer(Model *m, const XenBlkifLimits *l, unsigned most)
{
    bool may_be_empty = m->what == XEN_BLKIF_FLUSH || m->what == XEN_BLKIF_BARRIER;

    if (m->n_segs > most || (m->n_segs == 0 && !may_be_empty)) {
        model_refuse(m, BLKIF_RSP_ERROR);
        return;
    }
    if (m->n_segs == 0) {
        return;
    }
    if (l->read_only && m->what != XEN_BLKIF_READ) {
        model_refuse(m, BLKIF_RSP_ERROR);
    }
    for (unsigned i = 0; i < m->n_segs; i++) {
        int n = m->seg[i].last_sect - m->seg[i].first_sect + 1;

        if (n < 1 || m->seg[i].last_sect > 7 || (unsigned)n % l->block_sectors) {
            model_refuse(m, BLKIF_RSP_ERROR);
        }
        m->n_sectors += (unsigned)n;
    }
    model_check_place(m, l);
}

static void model_rw(Model *m, const XenBlkifLimits *l, const BlkifSlot *slot, XenBlkifAbi abi)
{
    static const XenBlkifWhat what[] = { XEN_BLKIF_READ, XEN_BLKIF_WRITE, XEN_BLKIF_BARRIER,
                                         XEN_BLKIF_FLUSH };

    m->what = what[m->op];
    m->n_segs = BLKIF_GET(slot, abi, rw, nr_segments);
    m->sector = BLKIF_GET(slot, abi, rw, sector_number);
    m->seg = abi == XEN_BLKIF_ABI_64 ? slot->of64.rw.seg : slot->of32.rw.seg;
    model_transfer(m, l, 11);
}

static void model_indirect(Model *m, const XenBlkifLimits *l, const BlkifSlot *slot,
                           XenBlkifAbi abi, const struct blkif_request_segment *seg)
{
    m->op = BLKIF_GET(slot, abi, indirect, indirect_op);
    if (l->max_indirect == 0) {
        model_refuse(m, BLKIF_RSP_EOPNOTSUPP);
        return;
    }
    if (m->op > BLKIF_OP_WRITE) {
        model_refuse(m, BLKIF_RSP_ERROR);
        return;
    }
    m->what = m->op == BLKIF_OP_READ ? XEN_BLKIF_READ : XEN_BLKIF_WRITE;
    m->n_segs = BLKIF_GET(slot, abi, indirect, nr_segments);
    m->sector = BLKIF_GET(slot, abi, indirect, sector_number);
    m->seg = seg;
    model_transfer(m, l, l->max_indirect);
}

static void model_discard(Model *m, const XenBlkifLimits *l, const BlkifSlot *slot,
                          XenBlkifAbi abi)
{
    m->what = XEN_BLKIF_DISCARD;
    m->sector = BLKIF_GET(slot, abi, discard, sector_number);
    m->n_sectors = BLKIF_GET(slot, abi, discard, nr_sectors);
    m->secure = l->discard_secure && BLKIF_GET(slot, abi, discard, flag) % 2 == 1;
    if (l->read_only || m->n_sectors == 0 || m->n_sectors % l->block_sectors) {
        model_refuse(m, BLKIF_RSP_ERROR);
    }
    model_check_place(m, l);
    if (!l->discard) {
        model_refuse(m, BLKIF_RSP_EOPNOTSUPP);
    }
}

static Model model(const XenBlkifLimits *l, const BlkifSlot *slot, XenBlkifAbi abi,
                   const struct blkif_request_segment *seg)
{
    Model m = { .op = slot->bytes[0], .id = BLKIF_GET(slot, abi, rw, id) };

    if (m.op <= BLKIF_OP_FLUSH_DISKCACHE) {
        model_rw(&m, l, slot, abi);
    } else if (m.op == BLKIF_OP_DISCARD) {
        model_discard(&m, l, slot, abi);
    } else if (m.op == BLKIF_OP_INDIRECT) {
        model_indirect(&m, l, slot, abi, seg);
    } else {
        model_refuse(&m, BLKIF_RSP_EOPNOTSUPP);
    }
    return m;
}

static void check_work(const Model *m, const XenBlkifWork *w, const XenBlkifPiece *piece)
{
    bool empty = m->n_segs == 0 && m->what != XEN_BLKIF_DISCARD;

    g_assert_cmpint(w->what, ==, m->what);
    g_assert_cmpint(w->secure, ==, m->secure);
    g_assert_cmpuint(w->bytes, ==, m->n_sectors * 512);
    g_assert_cmpuint(w->offset, ==, empty ? 0 : m->sector * 512);
    g_assert_cmpuint(w->n_pieces, ==, m->n_segs);
    for (unsigned i = 0; i < m->n_segs; i++) {
        g_assert_cmpuint(piece[i].gref, ==, m->seg[i].gref);
        g_assert_cmpuint(piece[i].offset, ==, m->seg[i].first_sect * 512u);
        g_assert_cmpuint(piece[i].offset + piece[i].len, ==, m->seg[i].last_sect * 512u + 512);
    }
}

/* Over the request, as on a ring: the bytes that are not the response's stay. */
static void check_response(XenBlkifAbi abi, const BlkifSlot *slot, const XenBlkifRequest *r,
                           int16_t status)
{
    uint32_t size = xen_blkif_slot_size(abi);
    uint8_t *shared = g_memdup2(slot->bytes, size); /* exact, for the sanitizer to see */
    blkif_response_t rsp;

    xen_blkif_write_response(shared, r->id, r->rsp_op, status);
    memcpy(&rsp, shared, 12);
    g_assert_cmpuint(rsp.id, ==, r->id);
    g_assert_cmpuint(rsp.operation, ==, r->rsp_op);
    g_assert_cmpint(rsp.status, ==, status);
    g_assert_cmpuint(shared[9], ==, slot->bytes[9]);
    g_assert_cmpmem(shared + 12, size - 12, slot->bytes + 12, size - 12);
    g_free(shared);
}

static void run(XenBlkifAbi abi, const XenBlkifLimits *l, const BlkifSlot *slot,
                const struct blkif_request_segment *seg)
{
    Model m = model(l, slot, abi, seg);
    unsigned room = MAX(l->max_indirect, XEN_BLKIF_SEGS), n = 0;
    g_autofree XenBlkifSeg *indirect = g_new0(XenBlkifSeg, MAX(l->max_indirect, 1));
    g_autofree XenBlkifPiece *piece = g_new(XenBlkifPiece, room);
    g_autofree void *shared = g_memdup2(slot->bytes, xen_blkif_slot_size(abi));
    XenBlkifRequest r;
    XenBlkifWork w;

    xen_blkif_read_request(abi, shared, &r);
    for (unsigned p = 0; p < xen_blkif_n_pages(l, &r); p++) {
        unsigned segs = xen_blkif_page_segs(&r, p);

        g_assert_cmpuint(p, <, XEN_BLKIF_PAGES);
        xen_blkif_read_indirect(&seg[p * (PAGE / 8)], segs, &indirect[n]);
        n += segs;
    }
    g_assert_true(n == 0 || r.sub == BLKIF_OP_READ || !l->read_only); /* no need to read them */
    g_assert_cmpuint(r.id, ==, m.id);
    g_assert_cmpuint(r.rsp_op, ==, m.op);
    g_assert_cmpint(xen_blkif_judge(l, &r, indirect, piece, &w), ==, !m.refused);
    g_assert_cmpint(w.status, ==, m.status);
    if (!m.refused) {
        g_assert_true(n == 0 || n == w.n_pieces);
        check_work(&m, &w, piece);
    }
    check_response(abi, slot, &r, w.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct blkif_request_segment seg[MAX_SEGS];
    FuzzInput in = { data, size };
    XenBlkifLimits l;
    BlkifSlot slot;
    Header h;

    fuzz_take(&in, &h.sectors, 8);
    fuzz_take(&in, &h.max_indirect, 2);
    fuzz_take(&in, &h.block_shift, 1);
    fuzz_take(&in, &h.flags, 1);
    l = (XenBlkifLimits) {
        .sectors = h.sectors & ((1ull << 54) - 1),
        .max_indirect = h.max_indirect % (MAX_SEGS + 1),
        .block_sectors = 1u << h.block_shift % 4,
        .read_only = h.flags & 1,
        .discard = h.flags & 2,
        .discard_secure = h.flags & 4,
    };
    fuzz_take(&in, slot.bytes, sizeof(slot.bytes));
    /* as often as it takes to fill the pages */
    for (size_t i = 0, n = MAX(in.size / sizeof(seg[0]), 1); i < MAX_SEGS; i++) {
        if (i < n) {
            fuzz_take(&in, &seg[i], sizeof(seg[i]));
        } else {
            seg[i] = seg[i % n];
        }
    }
    run(XEN_BLKIF_ABI_64, &l, &slot, seg);
    run(XEN_BLKIF_ABI_X86_32, &l, &slot, seg);
    return 0;
}
