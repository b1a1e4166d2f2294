/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-blkif.h"

#include <glib.h>
#include <string.h>

#include "hw/xen/ring.h"

#define PAGE_SECTORS (XEN_RING_PAGE_SIZE / XEN_BLKIF_SECTOR)
#define SEG_BYTES    8u

_Static_assert(XEN_BLKIF_SEGS_OF_PAGE * SEG_BYTES == XEN_RING_PAGE_SIZE, "segments of a page");
_Static_assert(sizeof(XenBlkifSeg) == SEG_BYTES && offsetof(XenBlkifSeg, last) == 5, "as they lie");

/*
 * A slot begins with the operation (0), and the number of segments, an indirect request's
 * operation or a discard's flag (1); an indirect request has the number of segments at 2. The rest
 * is where a 64-bit number's alignment puts it, which is 4 in x86_32.
 */
typedef struct Layout {
    uint8_t size;
    uint8_t id;
    uint8_t sector;
    uint8_t rest; /* segments, or the number of sectors of a discard */
    uint8_t pages;
} Layout;

static const Layout layouts[] = {
    [XEN_BLKIF_ABI_64] = { .size = 112, .id = 8, .sector = 16, .rest = 24, .pages = 28 },
    [XEN_BLKIF_ABI_X86_32] = { .size = 108, .id = 4, .sector = 12, .rest = 20, .pages = 24 },
};
#define MAX_SLOT 112u

bool xen_blkif_abi(const char *protocol, XenBlkifAbi *ret_abi)
{
    if (!protocol) {
#if defined(__x86_64__) || defined(__i386__)
        *ret_abi = XEN_BLKIF_ABI_X86_32;
#else
        *ret_abi = XEN_BLKIF_ABI_64;
#endif
        return true;
    }
    if (strcmp(protocol, XEN_IO_PROTO_ABI_X86_32) == 0) {
        *ret_abi = XEN_BLKIF_ABI_X86_32;
        return true;
    }
    if (strcmp(protocol, XEN_IO_PROTO_ABI_X86_64) == 0 ||
        strcmp(protocol, XEN_IO_PROTO_ABI_ARM) == 0) {
        *ret_abi = XEN_BLKIF_ABI_64;
        return true;
    }
    return false;
}

uint32_t xen_blkif_slot_size(XenBlkifAbi abi)
{
    return layouts[abi].size;
}

uint32_t xen_blkif_slots(XenBlkifAbi abi, unsigned order)
{
    return xen_ring_entries(layouts[abi].size, 1u << order);
}

/* --- read --- */

/* @from is private. */
static void read_segs(const uint8_t *from, unsigned n, XenBlkifSeg *ret)
{
    for (unsigned i = 0; i < n; i++, from += SEG_BYTES) {
        memcpy(&ret[i].gref, from, sizeof(ret[i].gref));
        ret[i].first = from[4];
        ret[i].last = from[5];
    }
}

void xen_blkif_read_request(XenBlkifAbi abi, const void *slot, XenBlkifRequest *ret)
{
    const Layout *l = &layouts[abi];
    uint8_t copy[MAX_SLOT];

    xen_ring_copy_out(copy, slot, l->size);
    *ret = (XenBlkifRequest) { .op = copy[0], .rsp_op = copy[0] };
    memcpy(&ret->id, copy + l->id, sizeof(ret->id));
    memcpy(&ret->sector, copy + l->sector, sizeof(ret->sector));
    switch (ret->op) {
    case BLKIF_OP_INDIRECT:
        ret->sub = copy[1];
        ret->rsp_op = ret->sub;
        memcpy(&ret->n_segs, copy + 2, sizeof(ret->n_segs));
        memcpy(ret->page, copy + l->pages, sizeof(ret->page));
        break;
    case BLKIF_OP_DISCARD:
        ret->sub = copy[1];
        memcpy(&ret->n_sectors, copy + l->rest, sizeof(ret->n_sectors));
        break;
    default:
        ret->n_segs = copy[1];
        read_segs(copy + l->rest, MIN(ret->n_segs, XEN_BLKIF_SEGS), ret->seg);
    }
}

unsigned xen_blkif_n_pages(const XenBlkifLimits *l, const XenBlkifRequest *r)
{
    if (r->op != BLKIF_OP_INDIRECT || r->n_segs > l->max_indirect ||
        (r->sub != BLKIF_OP_READ && (r->sub != BLKIF_OP_WRITE || l->read_only))) {
        return 0;
    }
    return (r->n_segs + XEN_BLKIF_SEGS_OF_PAGE - 1) / XEN_BLKIF_SEGS_OF_PAGE;
}

unsigned xen_blkif_page_segs(const XenBlkifRequest *r, unsigned i)
{
    return MIN(r->n_segs - i * XEN_BLKIF_SEGS_OF_PAGE, XEN_BLKIF_SEGS_OF_PAGE);
}

void xen_blkif_read_indirect(const void *page, unsigned n, XenBlkifSeg *ret)
{
    uint8_t copy[SEG_BYTES];

    for (unsigned i = 0; i < n; i++) {
        xen_ring_copy_out(copy, (const uint8_t *)page + i * SEG_BYTES, SEG_BYTES);
        read_segs(copy, 1, &ret[i]);
    }
}

/* --- judge --- */

static bool refuse(XenBlkifWork *w, int16_t status)
{
    w->status = status;
    return false;
}

/* @n > 0 sectors from @sector on are on the disk: without a sum that may wrap. */
static bool on_disk(const XenBlkifLimits *l, uint64_t sector, uint64_t n)
{
    return n <= l->sectors && sector <= l->sectors - n;
}

static bool in_blocks(const XenBlkifLimits *l, uint64_t sectors)
{
    return (sectors & (l->block_sectors - 1)) == 0;
}

/* False: a segment leaves its page, or splits a logical block. */
static bool judge_segs(const XenBlkifLimits *l, const XenBlkifSeg *seg, unsigned n,
                       XenBlkifPiece *ret_pieces, uint64_t *ret_sectors)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned sectors;

        if (seg[i].first > seg[i].last || seg[i].last >= PAGE_SECTORS) {
            return false;
        }
        sectors = seg[i].last - seg[i].first + 1u;
        if (!in_blocks(l, sectors)) {
            return false;
        }
        ret_pieces[i] = (XenBlkifPiece) {
            .gref = seg[i].gref,
            .offset = (uint16_t)(seg[i].first * XEN_BLKIF_SECTOR),
            .len = (uint16_t)(sectors * XEN_BLKIF_SECTOR),
        };
        sum += sectors;
    }
    *ret_sectors = sum;
    return true;
}

/* @seg: the @r->n_segs segments, wherever they stood. */
static bool judge_transfer(const XenBlkifLimits *l, const XenBlkifRequest *r,
                           const XenBlkifSeg *seg, XenBlkifPiece *ret_pieces, XenBlkifWork *ret)
{
    uint64_t sectors;

    if (r->n_segs == 0) { /* of nothing at all, and wherever */
        return ret->what == XEN_BLKIF_FLUSH || ret->what == XEN_BLKIF_BARRIER ||
               refuse(ret, BLKIF_RSP_ERROR);
    }
    if ((ret->what != XEN_BLKIF_READ && l->read_only) ||
        !judge_segs(l, seg, r->n_segs, ret_pieces, &sectors) ||
        !on_disk(l, r->sector, sectors) || !in_blocks(l, r->sector)) {
        return refuse(ret, BLKIF_RSP_ERROR);
    }
    ret->n_pieces = r->n_segs;
    ret->offset = r->sector * XEN_BLKIF_SECTOR;
    ret->bytes = sectors * XEN_BLKIF_SECTOR;
    return true;
}

static bool judge_direct(const XenBlkifLimits *l, const XenBlkifRequest *r,
                         XenBlkifPiece *ret_pieces, XenBlkifWork *ret)
{
    static const XenBlkifWhat what[] = {
        [BLKIF_OP_READ] = XEN_BLKIF_READ,
        [BLKIF_OP_WRITE] = XEN_BLKIF_WRITE,
        [BLKIF_OP_WRITE_BARRIER] = XEN_BLKIF_BARRIER,
        [BLKIF_OP_FLUSH_DISKCACHE] = XEN_BLKIF_FLUSH,
    };

    if (r->n_segs > XEN_BLKIF_SEGS) {
        return refuse(ret, BLKIF_RSP_ERROR);
    }
    ret->what = what[r->op];
    return judge_transfer(l, r, r->seg, ret_pieces, ret);
}

static bool judge_indirect(const XenBlkifLimits *l, const XenBlkifRequest *r,
                           const XenBlkifSeg *indirect, XenBlkifPiece *ret_pieces,
                           XenBlkifWork *ret)
{
    if (l->max_indirect == 0) {
        return refuse(ret, BLKIF_RSP_EOPNOTSUPP);
    }
    if (xen_blkif_n_pages(l, r) == 0) {
        return refuse(ret, BLKIF_RSP_ERROR);
    }
    ret->what = r->sub == BLKIF_OP_READ ? XEN_BLKIF_READ : XEN_BLKIF_WRITE;
    return judge_transfer(l, r, indirect, ret_pieces, ret);
}

/* EOPNOTSUPP is the end of discards for a Linux guest: only of a disk that did not offer them. */
static bool judge_discard(const XenBlkifLimits *l, const XenBlkifRequest *r, XenBlkifWork *ret)
{
    if (l->read_only || r->n_sectors == 0 || !on_disk(l, r->sector, r->n_sectors) ||
        !in_blocks(l, r->sector | r->n_sectors)) {
        return refuse(ret, BLKIF_RSP_ERROR);
    }
    if (!l->discard) {
        return refuse(ret, BLKIF_RSP_EOPNOTSUPP);
    }
    ret->what = XEN_BLKIF_DISCARD;
    ret->secure = l->discard_secure && (r->sub & BLKIF_DISCARD_SECURE);
    ret->offset = r->sector * XEN_BLKIF_SECTOR;
    ret->bytes = r->n_sectors * XEN_BLKIF_SECTOR;
    return true;
}

bool xen_blkif_judge(const XenBlkifLimits *l, const XenBlkifRequest *r,
                     const XenBlkifSeg *indirect, XenBlkifPiece *ret_pieces, XenBlkifWork *ret)
{
    *ret = (XenBlkifWork) { .status = BLKIF_RSP_OKAY };
    switch (r->op) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE:
    case BLKIF_OP_WRITE_BARRIER:
    case BLKIF_OP_FLUSH_DISKCACHE:
        return judge_direct(l, r, ret_pieces, ret);
    case BLKIF_OP_DISCARD:
        return judge_discard(l, r, ret);
    case BLKIF_OP_INDIRECT:
        return judge_indirect(l, r, indirect, ret_pieces, ret);
    default:
        return refuse(ret, BLKIF_RSP_EOPNOTSUPP);
    }
}

/* --- write --- */

void xen_blkif_write_response(void *slot, uint64_t id, uint8_t op, int16_t status)
{
    uint8_t *s = slot; /* of 108 bytes it is not aligned to 8 */

    memcpy(s, &id, sizeof(id));
    s[8] = op;
    memcpy(s + 10, &status, sizeof(status));
}

/* --- a frontend's --- */

/* @to is private, or nobody reads it yet. */
static void write_segs(const XenBlkifSeg *seg, unsigned n, uint8_t *to)
{
    for (unsigned i = 0; i < n; i++, to += SEG_BYTES) {
        memcpy(to, &seg[i].gref, sizeof(seg[i].gref));
        to[4] = seg[i].first;
        to[5] = seg[i].last;
    }
}

void xen_blkif_write_request(XenBlkifAbi abi, const XenBlkifRequest *r, uint16_t handle,
                             void *ret_slot)
{
    const Layout *l = &layouts[abi];
    uint8_t *s = ret_slot;

    memset(s, 0, l->size);
    s[0] = r->op;
    memcpy(s + l->id, &r->id, sizeof(r->id));
    memcpy(s + l->sector, &r->sector, sizeof(r->sector));
    switch (r->op) {
    case BLKIF_OP_INDIRECT:
        s[1] = r->sub;
        memcpy(s + 2, &r->n_segs, sizeof(r->n_segs));
        memcpy(s + l->rest, &handle, sizeof(handle));
        memcpy(s + l->pages, r->page, sizeof(r->page));
        break;
    case BLKIF_OP_DISCARD:
        s[1] = r->sub;
        memcpy(s + 2, &handle, sizeof(handle));
        memcpy(s + l->rest, &r->n_sectors, sizeof(r->n_sectors));
        break;
    default:
        s[1] = (uint8_t)r->n_segs;
        memcpy(s + 2, &handle, sizeof(handle));
        write_segs(r->seg, MIN(r->n_segs, XEN_BLKIF_SEGS), s + l->rest);
    }
}

void xen_blkif_write_indirect(const XenBlkifSeg *seg, unsigned n, void *page)
{
    write_segs(seg, n, page);
}

void xen_blkif_read_response(const void *copy, XenBlkifResponse *ret)
{
    const uint8_t *s = copy;

    memcpy(&ret->id, s, sizeof(ret->id));
    ret->op = s[8];
    memcpy(&ret->status, s + 10, sizeof(ret->status));
}
