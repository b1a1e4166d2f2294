/*
 * Guest to guest: an input is the sender's tx ring, how many slots the receiver has, and the
 * sender's memory.
 *
 *     u16 requests, u8 flags (1: the receiver takes no offloads, 2: copies fail, 4: it has no sg),
 *     u8 slots of the receiver, requests of 12 bytes, then the bytes that all pages are filled with
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"
#include "fuzz-netback.h"
#include "xen-netback-direct.h"

#include "util/clock.h"

#define MAX_POLLS 20000 /* each moves the clock by a millisecond, once it waits */

static const uint8_t mac_sender[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t mac_receiver[6] = { 2, 0, 0, 0, 0, 2 };

typedef struct Header {
    uint16_t requests;
    uint8_t flags;
    uint8_t slots;
} Header;

/* A receiver as a sender sees it, and the set of both. */
typedef struct Pair {
    NetbackQueue to;
    NicQueueStats stats;
    FuzzRing rx_page;
    DirectEnd end[2];
    DirectVif vif[2];
    DirectPeer peer[2];
    DirectBatch batch;
    DirectTable *table;
} Pair;

static unsigned take_packets(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    return n;
}

static const NetdevOps netdev_ops = { .type = "fuzz", .send = take_packets };

static Pair *pair_new(FuzzQueue *f)
{
    Pair *p = g_aligned_alloc0(1, sizeof(*p), 4096);

    p->to.base = f->q.base;
    p->to.stats = &p->stats;
    p->table = g_malloc0(sizeof(*p->table) + 2 * sizeof(p->table->vif[0]));
    p->table->n = 2;
    for (unsigned i = 0; i < 2; i++) {
        pthread_mutex_init(&p->end[i].lock, NULL);
        p->end[i].q = i ? &p->to : &f->q;
        p->end[i].max_frame = 1518;
        p->vif[i] = (DirectVif) { .mac = direct_mac(i ? mac_receiver : mac_sender), .n_open = 1,
                                  .n_ends = 1, .end = &p->end[i], .generation = 1 };
        p->table->vif[i] = &p->vif[i]; /* in order: the last byte is the highest one */
    }
    p->batch.table = p->table;
    p->batch.peer = p->peer;
    f->q.end = &p->end[0];
    f->q.direct = &p->batch;
    f->q.mac = direct_mac(mac_sender);
    return p;
}

static void pair_reset(Pair *p, const Header *h)
{
    memset(&p->rx_page, 0, sizeof(p->rx_page));
    g_assert_true(xen_ring_attach_back(&p->to.rx, &p->rx_page, 1, sizeof(netif_rx_request_t)));
    for (unsigned i = 0; i < 256; i++) {
        netif_rx_request_t req = { .id = (uint16_t)i, .gref = FUZZ_REF + i % FUZZ_REFS };

        memcpy(p->rx_page.entries + i * sizeof(req), &req, sizeof(req));
    }
    p->rx_page.h.req_prod = h->slots;
    p->to.sg = !(h->flags & 4);
    p->to.offload = h->flags & 1 ? 0 : ~0u;
    p->batch.n_pkts = 0;
    p->batch.waits = false;
    for (unsigned i = 0; i < 2; i++) {
        p->peer[i] = (DirectPeer) { .patience = DIRECT_PATIENCE_NS };
    }
}

/* As a frontend reads them: whole packets, in as many slots as it had. */
static void check_responses(const Pair *p, const Header *h)
{
    bool more = false, extra = false;

    g_assert_cmpuint(p->rx_page.h.rsp_prod, <=, h->slots);
    for (uint32_t i = 0; i < p->rx_page.h.rsp_prod; i++) {
        DirectResponse r;

        memcpy(&r, p->rx_page.entries + i * sizeof(r), sizeof(r));
        if (extra) {
            g_assert_cmpuint(r.extra.type, ==, XEN_NETIF_EXTRA_TYPE_GSO);
            g_assert_cmpuint(r.extra.flags, ==, 0);
            g_assert_cmpuint(r.extra.u.gso.size, >, 0);
            extra = false;
            continue;
        }
        g_assert_cmpuint(r.rsp.id, ==, i);
        g_assert_cmpint(r.rsp.status, >, 0);
        g_assert_cmpint(r.rsp.status + r.rsp.offset, <=, 4096);
        g_assert_true(!more || !(r.rsp.flags & NETRXF_extra_info)); /* of a first slot only */
        g_assert_true(!(h->flags & 1) || !(r.rsp.flags & (NETRXF_csum_blank | NETRXF_extra_info)));
        g_assert_true(!(h->flags & 4) || !(r.rsp.flags & NETRXF_more_data));
        extra = r.rsp.flags & NETRXF_extra_info;
        more = r.rsp.flags & NETRXF_more_data;
    }
    g_assert_false(more || extra);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Pair *p;
    FuzzQueue *f = fuzz_queue(&netdev_ops);
    FuzzInput in = { data, size };
    uint8_t *memory = (uint8_t *)f->pages;
    netif_tx_request_t req[256];
    Header h;

    p = p ? p : pair_new(f);
    fuzz_queue_reset(f);
    fuzz_take(&in, &h, sizeof(h));
    fuzz_take(&in, req, sizeof(req));
    for (size_t i = 0; in.size > 0 && i < FUZZ_PAGES * sizeof(f->pages[0]); i++) {
        memory[i] = in.data[i % in.size];
    }
    pair_reset(p, &h);
    f->copies_fail = h.flags & 2;
    memcpy(f->tx_page.entries, req, sizeof(req));
    f->tx_page.h.req_prod = h.requests;
    for (unsigned i = 0; i < MAX_POLLS && !f->q.base.q.violation &&
                         f->tx_page.h.rsp_prod != h.requests; i++) {
        if (netback_tx_poll(&f->q) == QUEUE_IDLE) {
            clock_set_virtual_ns(clock_virtual_ns() + 1000000); /* for who waits for slots */
        }
    }
    g_assert_true(f->q.base.q.violation || f->tx_page.h.rsp_prod == h.requests);
    check_responses(p, &h);
    return 0;
}
