/*
 * A queue of blkback without a thread, a Xen or a disk: an input is its ring and the guest's
 * memory, from the slots and indirect pages to the responses. Each page and each byte that it gives
 * to the disk is validated, and what it took off the ring is overwritten behind its back.
 *
 *     u32 where the ring begins, u32 sectors of the disk, u16 indirect segments, u8 flags (see
 *     below), u8 log2 of a block's sectors, u8 requests (beyond the ring: as they are), u8 spare,
 *     u16 bytes of slots, the slots; then u16 bytes of segments, which fill the pages that are
 *     indirect ones, again and again; then a byte for each round: what the disk does in it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <errno.h>

#include "util/clock.h"
#include "xen-blkback-internal.h"

enum {
    FLAG_32 = 1,         /* the ABI */
    FLAG_PERSISTENT = 2,
    FLAG_READ_ONLY = 4,
    FLAG_DISCARD = 8,
    FLAG_SECURE = 16,
    FLAG_COPIES_FAIL = 32,
    FLAG_MAPS_FAIL = 64, /* each third one */
    FLAG_DROP = 128,     /* the queue ends before the last requests are answered */
};

#define SLOTS     32u
#define REF       8u     /* the first reference */
#define REFS      64u    /* so many are granted: each page by several */
#define PAGES     16u
#define INDIRECT  2u     /* the first pages are for segments */
#define OLD       0xc5   /* what the others have at first... */
#define NEW       0xd1   /* ...and what is read from the disk */
#define MAX_ROUNDS 5000u /* of a ring of 32: all of it is answered by then */

typedef struct Header {
    uint32_t start;
    uint32_t sectors;
    uint16_t max_indirect;
    uint8_t flags;
    uint8_t block_shift;
    uint8_t requests;
    uint8_t spare;
} Header;

typedef struct FuzzRing {
    XenRingHeader h;
    uint8_t entries[XEN_RING_PAGE_SIZE - sizeof(XenRingHeader)];
} FuzzRing;

typedef struct Expected {
    uint64_t id;
    uint8_t op;
    bool answered;
} Expected;

struct XenGnttab {
    int unused;
};

struct XenEvtchn {
    int unused;
};

static BlkbackQueue q;
static XenBlkback disk;
static BlockNode node;
static XenBlkbackStats stats;
static BlkbackRequest requests[SLOTS];
static FuzzRing page __attribute__((aligned(4096)));
static uint8_t pages[PAGES][4096] __attribute__((aligned(4096)));
static unsigned mapped[PAGES];    /* how often */
static unsigned n_mapped;
static unsigned maps;
static unsigned notified;
static uint8_t flags;
static BlockRequest *pending;     /* of the disk, in their order */
static BlockRequest **pending_end = &pending;

/* What was taken is not looked at again: it may be another one by now. */
static void spoil_slots(void)
{
    for (uint32_t i = q.ring.prod; i != q.ring.cons; i++) {
        memset(xen_ring_entry(&q.ring, i), 0xff, q.ring.entry_size);
    }
}

/* --- the guest's pages --- */

/* NULL: it is not granted. */
static uint8_t *granted(uint32_t ref)
{
    return ref - REF < REFS ? pages[(ref - REF) % PAGES] : NULL;
}

static bool within(const void *at, size_t len, const void *base, size_t size)
{
    uintptr_t a = (uintptr_t)at, b = (uintptr_t)base;

    return a >= b && a - b <= size && len <= size - (a - b);
}

static bool is_buffer(const void *at, size_t len)
{
    size_t size = (size_t)q.pages.units.n * XEN_PAGE_SIZE;

    return q.pages.buffer && within(at, len, q.pages.buffer, size);
}

static int fuzz_copy(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg, unsigned n)
{
    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(n, <=, XEN_COPY_MAX);
    spoil_slots();
    for (unsigned i = 0; i < n; i++) {
        uint8_t *at = granted(seg[i].ref);

        g_assert_cmpuint(seg[i].offset + seg[i].len, <=, 4096);
        g_assert_cmpuint(seg[i].len, >, 0);
        seg[i].status = at ? 0 : -3; /* GNTST_bad_gntref */
        if (!at || (flags & FLAG_COPIES_FAIL)) {
            continue;
        }
        if (to_guest) {
            g_assert_true(is_buffer(seg[i].local, seg[i].len));
            memcpy(at + seg[i].offset, seg[i].local, seg[i].len);
        } else {
            memcpy(seg[i].local, at + seg[i].offset, seg[i].len);
        }
    }
    return flags & FLAG_COPIES_FAIL ? -EFAULT : 0;
}

static void *fuzz_map(XenGnttab *g, uint16_t domid, const uint32_t *refs, unsigned count,
                      bool writable)
{
    uint8_t *at = granted(refs[0]);

    g_assert_cmpuint(count, ==, 1);
    spoil_slots();
    if (!at || ((flags & FLAG_MAPS_FAIL) && ++maps % 3 == 0)) {
        errno = EINVAL;
        return NULL;
    }
    mapped[(refs[0] - REF) % PAGES]++;
    n_mapped++;
    return at;
}

static int fuzz_unmap(XenGnttab *g, void *addr, unsigned count)
{
    size_t i = (size_t)((uint8_t *)addr - pages[0]) / 4096;

    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpuint(i, <, PAGES);
    g_assert_cmpuint(mapped[i], >, 0);
    mapped[i]--;
    n_mapped--;
    return 0;
}

static int fuzz_notify(XenEvtchn *e, uint32_t port)
{
    notified++;
    return 0;
}

static const XenOps fuzz_ops = {
    .name = "fuzz",
    .evtchn_notify = fuzz_notify,
    .gnttab_copy = fuzz_copy,
    .gnttab_map = fuzz_map,
    .gnttab_unmap = fuzz_unmap,
};

/* --- the disk --- */

/* Ours, or a page of the guest's that is mapped. */
static void check_memory(const uint8_t *at, size_t len)
{
    size_t i = (size_t)(at - pages[0]) / 4096;

    g_assert_cmpuint(len, >, 0);
    if (is_buffer(at, len)) {
        return;
    }
    g_assert_cmpuint(i, <, PAGES);
    g_assert_true(within(at, len, pages[i], 4096));
    g_assert_cmpuint(mapped[i], >, 0);
}

static void check_pieces(const BlockRequest *req)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < req->n_iov; i++) {
        check_memory(req->iov[i].iov_base, req->iov[i].iov_len);
        bytes += req->iov[i].iov_len;
    }
    g_assert_cmpuint(bytes, ==, req->bytes);
}

void block_submit(BlockQueue *bq, BlockRequest *req)
{
    uint32_t block = q.limits.block_sectors * XEN_BLKIF_SECTOR;

    g_assert_true(bq == &q.block);
    spoil_slots();
    if (req->op == BLOCK_FLUSH) {
        g_assert_cmpuint(req->bytes, ==, 0);
    } else {
        g_assert_cmpuint(req->bytes, >, 0);
        g_assert_cmpuint(req->offset % block, ==, 0);
        g_assert_cmpuint(req->bytes % block, ==, 0);
        g_assert_cmpuint(req->offset, <=, node.bytes);
        g_assert_cmpuint(req->bytes, <=, node.bytes - req->offset);
    }
    if (req->op == BLOCK_READ || req->op == BLOCK_WRITE) {
        check_pieces(req);
    }
    g_assert_true(req->op == BLOCK_READ || req->op == BLOCK_FLUSH || !(flags & FLAG_READ_ONLY));
    g_assert_true(req->op != BLOCK_DISCARD || (flags & FLAG_DISCARD));
    g_assert_true(req->op != BLOCK_DISCARD || !req->secure || (flags & FLAG_SECURE));
    req->next = NULL;
    *pending_end = req;
    pending_end = &req->next;
}

static void disk_do(BlockRequest *req, int res)
{
    if (req->op == BLOCK_READ || req->op == BLOCK_WRITE) {
        check_pieces(req); /* still: the disk has had them all the time */
    }
    for (unsigned i = 0; req->op == BLOCK_READ && res == 0 && i < req->n_iov; i++) {
        memset(req->iov[i].iov_base, NEW, req->iov[i].iov_len);
    }
    req->done(req, res);
}

/* Of those that are pending, the @n-th or the last. */
static BlockRequest *disk_take(unsigned n)
{
    BlockRequest **at = &pending, *req;

    while (n-- > 0 && (*at)->next) {
        at = &(*at)->next;
    }
    req = *at;
    *at = req->next;
    if (!*at) {
        pending_end = at;
    }
    return req;
}

/* @what: how many (2 bits), which (3), the result (2), a hold of the queue (1). */
static void disk_round(uint8_t what)
{
    static const int results[] = { 0, 0, -EIO, -EOPNOTSUPP };

    q.hold = what & 128;
    for (unsigned n = what & 3; n > 0 && pending; n--) {
        disk_do(disk_take(what >> 2 & 7), results[what >> 5 & 3]);
    }
}

/* --- what comes of it --- */

static void check_responses(Expected *want, unsigned n)
{
    uint32_t from = page.h.req_prod - n;

    g_assert_cmpuint(page.h.rsp_prod - from, <=, n);
    for (uint32_t i = from; i != page.h.rsp_prod; i++) {
        const uint8_t *slot = xen_ring_entry(&q.ring, i);
        XenBlkifResponse rsp;
        unsigned k = 0;

        xen_blkif_read_response(slot, &rsp);
        while (k < n && (want[k].answered || want[k].id != rsp.id || want[k].op != rsp.op)) {
            k++;
        }
        g_assert_cmpuint(k, <, n);
        want[k].answered = true;
        g_assert_true(rsp.status == BLKIF_RSP_OKAY || rsp.status == BLKIF_RSP_ERROR ||
                      rsp.status == BLKIF_RSP_EOPNOTSUPP);
    }
}

/* Sectors are read as a whole or not at all, and nothing else of a page is touched. */
static void check_pages(void)
{
    for (unsigned p = INDIRECT; p < PAGES; p++) {
        for (unsigned s = 0; s < 4096; s += 512) {
            uint8_t first = pages[p][s];

            g_assert_true(first == OLD || first == NEW);
            g_assert_true(memcmp(&pages[p][s], &pages[p][s + 1], 511) == 0);
        }
    }
}

static bool goes_on(unsigned n)
{
    return !q.base.q.violation &&
           (page.h.rsp_prod != page.h.req_prod || q.n_active > 0) && n < MAX_ROUNDS;
}

static void run(FuzzInput *in)
{
    unsigned n = 0;

    for (; goes_on(n); n++) {
        unsigned before = notified;
        uint8_t what;

        fuzz_take(in, &what, 1);
        blkback_respond(&q);
        g_assert_cmpuint(notified, <=, before + 1);
        if (blkback_request_poll(&q) == QUEUE_VIOLATION) {
            g_assert_nonnull(q.base.q.violation);
        }
        blkback_request_arm(&q);
        disk_round(in->size > 0 ? what : 3);
        if (in->size == 0 && (flags & FLAG_DROP)) {
            break;
        }
    }
    g_assert_cmpuint(n, <, MAX_ROUNDS);
    q.hold = true;
    while (pending) {
        disk_do(disk_take(0), 0);
    }
    if (!q.base.q.violation && !(flags & FLAG_DROP)) {
        blkback_respond(&q);
        g_assert_cmpuint(q.n_active, ==, 0);
    }
    blkback_drop(&q);
}

static void queue_up(const Header *h, XenBlkifAbi abi)
{
    static XenGnttab gnttab;
    static XenEvtchn evtchn;
    static Xen xen = { .ops = &fuzz_ops };
    XenBlkbackRecordRing ring = { .n_slots = SLOTS, .slot_size = xen_blkif_slot_size(abi) };

    memset(&q, 0, sizeof(q));
    q.base.xen = &xen;
    q.base.gnttab = &gnttab;
    q.base.evtchn = &evtchn;
    q.base.n_ports = 1;
    q.disk = &disk;
    q.abi = abi;
    q.stats = &stats;
    q.done_end = &q.done;
    q.request = requests;
    for (unsigned i = 0; i < SLOTS; i++) {
        requests[i] = (BlkbackRequest) { .q = &q };
    }
    q.limits = (XenBlkifLimits) {
        .block_sectors = 1u << h->block_shift % 4,
        .max_indirect = h->max_indirect % (XEN_BLKIF_SEGS_INDIRECT + 1),
        .read_only = flags & FLAG_READ_ONLY,
        .discard = flags & FLAG_DISCARD,
        .discard_secure = flags & FLAG_SECURE,
    };
    disk.env.node = &node;
    node.bytes = (uint64_t)h->sectors * XEN_BLKIF_SECTOR;
    page.h.rsp_prod = page.h.req_prod = h->start;
    g_assert_true(xen_ring_attach_back(&q.ring, &page, 1, xen_blkif_slot_size(abi)));
    q.record = xen_blkback_record_new(-1, "fuzz", &ring, q.ring.cons, NULL);
    g_assert_nonnull(q.record);
    g_assert_true(blkback_pages_init(&q, flags & FLAG_PERSISTENT));
}

/* The units are all free, and nothing but what is kept is mapped. */
static void queue_down(void)
{
    for (unsigned i = 0; i < q.pages.units.n / 64; i++) {
        g_assert_cmpuint(q.pages.units.used[i], ==, 0);
    }
    g_assert_true(q.grants || n_mapped == 0);
    g_assert_true(!q.grants || xen_blkback_grants_use(q.grants).busy == 0);
    blkback_pages_done(&q);
    g_assert_cmpuint(n_mapped, ==, 0);
    xen_blkback_record_free(q.record);
}

static unsigned put_requests(FuzzInput *in, unsigned n, Expected *ret)
{
    uint8_t *slots = page.entries;
    XenBlkifRequest r;
    uint16_t bytes;

    fuzz_take(in, &bytes, sizeof(bytes));
    fuzz_take(in, slots, MIN(bytes, sizeof(page.entries)));
    for (unsigned i = 0; i < MIN(n, SLOTS); i++) {
        xen_blkif_read_request(q.abi, xen_ring_entry(&q.ring, q.ring.cons + i), &r);
        ret[i] = (Expected) { .id = r.id, .op = r.rsp_op };
    }
    page.h.req_prod = q.ring.cons + n;
    page.h.rsp_event = q.ring.prod + 1;
    return n;
}

static void fill_pages(FuzzInput *in)
{
    uint8_t segs[1024], *memory = (uint8_t *)pages;
    uint16_t bytes;

    fuzz_take(in, &bytes, sizeof(bytes));
    bytes = (uint16_t)CLAMP(bytes, 8, sizeof(segs));
    fuzz_take(in, segs, bytes);
    memset(pages, OLD, sizeof(pages));
    for (size_t i = 0; i < INDIRECT * sizeof(pages[0]); i++) {
        memory[i] = segs[i % bytes];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };
    Expected want[SLOTS];
    Header h;
    unsigned n;

    if (!clock_is_virtual()) {
        clock_start_virtual();
    }
    fuzz_take(&in, &h.start, 4);
    fuzz_take(&in, &h.sectors, 4);
    fuzz_take(&in, &h.max_indirect, 2);
    fuzz_take(&in, &h.flags, 1);
    fuzz_take(&in, &h.block_shift, 1);
    fuzz_take(&in, &h.requests, 1);
    fuzz_take(&in, &h.spare, 1);
    flags = h.flags;
    maps = 0;
    memset(&page, 0, sizeof(page));
    queue_up(&h, flags & FLAG_32 ? XEN_BLKIF_ABI_X86_32 : XEN_BLKIF_ABI_64);
    n = put_requests(&in, h.requests, want);
    fill_pages(&in);
    run(&in);
    g_assert_true((n > SLOTS) == (q.base.q.violation != NULL));
    if (n <= SLOTS) {
        check_responses(want, n);
    }
    check_pages();
    queue_down();
    return 0;
}
