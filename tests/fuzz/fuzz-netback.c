/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz-netback.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/container-of.h"

struct XenGnttab {
    FuzzQueue *f;
};

struct XenEvtchn {
    FuzzQueue *f;
};

static bool within(const void *at, size_t len, const void *base, size_t size)
{
    uintptr_t a = (uintptr_t)at, b = (uintptr_t)base;

    return a >= b && a - b <= size && len <= size - (a - b);
}

/* Private memory of the batches: nothing else may be copied from or to. */
static bool is_buffer(const NetbackQueue *q, const void *at, size_t len)
{
    const RxBatch *rx = &q->rx_batch;

    return within(at, len, q->tx_batch.buffer.base, q->tx_batch.buffer.size) ||
           within(at, len, rx->arena.base, rx->arena.size) ||
           within(at, len, rx->seg_arena.base, rx->seg_arena.size);
}

static int fuzz_copy(XenGnttab *g, uint16_t domid, bool to_guest, XenCopySeg *seg, unsigned n)
{
    FuzzQueue *f = g->f;

    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(n, <=, XEN_COPY_MAX);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpuint(seg[i].offset + seg[i].len, <=, 4096); /* else all of it would fail */
        g_assert_true(is_buffer(&f->q, seg[i].local, seg[i].len));
    }
    if (f->copies_fail) {
        return -EFAULT;
    }
    for (unsigned i = 0; i < n; i++) {
        uint8_t *page;

        if (seg[i].ref - FUZZ_REF >= FUZZ_REFS) {
            seg[i].status = -3; /* GNTST_bad_gntref */
            continue;
        }
        page = f->pages[(seg[i].ref - FUZZ_REF) % FUZZ_PAGES] + seg[i].offset;
        if (to_guest) {
            memcpy(page, seg[i].local, seg[i].len);
        } else {
            memcpy(seg[i].local, page, seg[i].len);
        }
        seg[i].status = 0;
    }
    return 0;
}

/* A page of the guest; NULL: it is not granted. */
static uint8_t *fuzz_page(const FuzzQueue *f, uint32_t ref)
{
    return ref - FUZZ_REF < FUZZ_REFS ? f->pages[(ref - FUZZ_REF) % FUZZ_PAGES] : NULL;
}

/* Both guests have the same pages. */
static int fuzz_copy_between(XenGnttab *g, uint16_t from, uint16_t to, XenCopyBetween *seg,
                             unsigned n)
{
    FuzzQueue *f = g->f;

    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(n, <=, XEN_COPY_MAX);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *source = seg[i].local ? seg[i].local : fuzz_page(f, seg[i].from_ref);
        uint8_t *dest = fuzz_page(f, seg[i].to_ref);

        g_assert_cmpuint(seg[i].to_offset + seg[i].len, <=, 4096);
        g_assert_cmpuint(seg[i].from_offset + seg[i].len, <=, 4096);
        g_assert_true(!seg[i].local || is_buffer(&f->q, seg[i].local, seg[i].len));
        seg[i].status = source && dest ? 0 : -3;
        if (seg[i].status == 0 && !f->copies_fail) {
            memmove(dest + seg[i].to_offset, source + seg[i].from_offset, seg[i].len);
        }
    }
    return f->copies_fail ? -EFAULT : 0;
}

static int fuzz_notify(XenEvtchn *e, uint32_t port)
{
    e->f->notified++;
    return 0;
}

static const XenOps fuzz_ops = {
    .name = "fuzz",
    .evtchn_notify = fuzz_notify,
    .gnttab_copy = fuzz_copy,
    .gnttab_copy_between = fuzz_copy_between,
};

FuzzQueue *fuzz_queue(const NetdevOps *ops)
{
    static XenGnttab gnttab;
    static Xen xen;
    static XenEvtchn evtchn;
    static FuzzQueue *f;

    if (f) {
        return f;
    }
    clock_start_virtual();
    f = g_aligned_alloc0(1, sizeof(*f), 4096);
    f->pages = g_aligned_alloc0(FUZZ_PAGES, 4096, 4096);
    f->nd.ops = ops;
    f->nd.has_vnet_hdr = true;
    f->nd.n_queues = 1;
    f->peer.nd = &f->nd;
    gnttab.f = evtchn.f = f;
    xen.ops = &fuzz_ops;
    f->q.base.xen = &xen;
    f->q.base.gnttab = &gnttab;
    f->q.base.evtchn = &evtchn;
    f->q.base.n_ports = 2;
    f->q.base.port[0].port = 1;
    f->q.base.port[1].port = 2;
    f->q.peer = &f->peer;
    nic_peer_init(&f->q.peer_end, &f->peer, &f->q.base.q);
    f->q.stats = &f->stats;
    g_assert_true(netback_tx_init(&f->q));
    g_assert_true(netback_rx_init(&f->q));
    return f;
}

void fuzz_queue_reset(FuzzQueue *f)
{
    NetbackQueue *q = &f->q;

    memset(&f->tx_page, 0, sizeof(f->tx_page));
    memset(&f->rx_page, 0, sizeof(f->rx_page));
    g_assert_true(xen_ring_attach_back(&q->tx, &f->tx_page, 1, sizeof(netif_tx_request_t)));
    g_assert_true(xen_ring_attach_back(&q->rx, &f->rx_page, 1, sizeof(netif_rx_request_t)));
    q->base.q.violation = NULL;
    q->base.q.poller.wake_ns = 0;
    q->peer_end.ready = true;
    q->offload = 0;
    q->sg = true;
    q->rx_notify = true;
    q->tx_batch.n_pkts = q->tx_batch.n_out = q->tx_batch.n_sent = 0;
    q->rx_batch.n_pkts = q->rx_batch.next = 0;
    q->rx_batch.n_seg = q->rx_batch.next_seg = 0;
    pkt_segmenter_stop(&q->rx_batch.segmenter);
    q->rx_batch.held_since = 0;
    f->notified = 0;
    f->copies_fail = false;
}
