/*
 * Netfront against a hostile backend: an input is its options and rounds; in each the netdev
 * gets packets, and the backend writes responses into both rings.
 *
 *     u8 options (1: the backend takes no offloads), u8 spare,
 *     then a Round, and behind it its responses: tx of 4 bytes, rx of 8
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <glib.h>

#include "fake-xen.h"
#include "util/clock.h"
#include "xen-netfront-internal.h"
#include "xenbus-front-internal.h"

#define MAX_ROUNDS 24

typedef struct Round {
    uint8_t flags;      /* 1: rx ids, 2: tx ids as requested, 4: the netdev is slow */
    uint8_t packets;    /* that the netdev has, of @len bytes */
    uint16_t len;
    uint8_t gso;        /* their gso_type */
    uint8_t byte;       /* what they are filled with, behind the headers */
    uint16_t gso_size;
    uint8_t n_tx;       /* responses written */
    uint8_t n_rx;
    int16_t more_tx;    /* rsp_prod moves by so many more: beyond what was written, or back */
    int16_t more_rx;
} Round;

static Round now;

static unsigned take_packets(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t len = 0;
        uint8_t sum = 0;

        g_assert_cmpuint(pkt[i].n_iov, >, 0);
        g_assert_cmpuint(pkt[i].n_iov, <=, NETFRONT_RX_IOV);
        for (uint32_t v = 0; v < pkt[i].n_iov; v++) {
            const uint8_t *bytes = pkt[i].iov[v].iov_base;

            for (size_t b = 0; b < pkt[i].iov[v].iov_len; b++) {
                sum ^= bytes[b]; /* touches each byte: the memory is there */
            }
            len += (uint32_t)pkt[i].iov[v].iov_len;
        }
        g_assert_cmpuint(len + (sum & 0), ==, pkt[i].len);
        g_assert_cmpuint(len, >=, 14);
        g_assert_cmpuint(len, <=, NETFRONT_RX_MAX);
        if (pkt[i].hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
            g_assert_cmpuint(pkt[i].hdr->csum_start + pkt[i].hdr->csum_offset + 2u, <=, len);
        }
    }
    return now.flags & 4 ? n / 2 : n;
}

/* IPv4 and TCP without options, so that GSO can be meant. */
static void make_packet(uint8_t *at, uint16_t len)
{
    static const uint8_t headers[] = {
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
        0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        4, 0, 5, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
    };

    memset(at, now.byte, len);
    memcpy(at, headers, MIN(len, sizeof(headers)));
    if (len >= 18) {
        at[16] = (uint8_t)((len - 14) >> 8);
        at[17] = (uint8_t)(len - 14);
    }
    memset(at - PKT_HDR_LEN, 0, PKT_HDR_LEN);
}

static unsigned give_packets(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                             unsigned max)
{
    unsigned n;
    uint8_t *at;

    for (n = 0; n < max && now.packets > 0 && (at = pkt_arena_next(arena)); n++) {
        uint16_t len = MAX(now.len, 14);
        struct virtio_net_hdr_v1 *hdr = (void *)(at - PKT_HDR_LEN);

        make_packet(at, len);
        if (now.gso != 0) {
            *hdr = (struct virtio_net_hdr_v1){
                .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = now.gso,
                .gso_size = now.gso_size, .hdr_len = 54, .csum_start = 34, .csum_offset = 16,
            };
        }
        iov[n] = (struct iovec){ .iov_base = at, .iov_len = len };
        pkt[n] = (Pkt){ .hdr = hdr, .iov = &iov[n], .n_iov = 1, .len = len };
        pkt_arena_take(arena, len);
        now.packets--;
    }
    return n;
}

static const NetdevOps netdev_ops = { .type = "fuzz", .send = take_packets, .recv = give_packets };

/* The backend: where it stands in both rings. */
typedef struct Peer {
    NetfrontQueue *q;
    uint32_t tx_prod;
    uint32_t rx_prod;
} Peer;

static void check_requests(const Peer *p, Xen *xen, uint32_t from)
{
    const XenRing *r = &p->q->tx.ring;

    bool extra = false;

    g_assert_cmpuint(r->page->req_prod - from, <=, NETFRONT_SLOTS);
    for (uint32_t i = from; i != r->page->req_prod; i++) {
        struct netif_tx_request req;
        bool writable;

        memcpy(&req, xen_ring_entry(r, i), sizeof(req));
        if (!extra) { /* that one is a GSO extra, without a reference */
            g_assert_nonnull(fake_xen_page(xen, req.gref, &writable));
            g_assert_false(writable);
            g_assert_cmpuint(req.id, <, NETFRONT_SLOTS);
        }
        extra = !extra && (req.flags & NETTXF_extra_info) != 0;
    }
    g_assert_false(extra);
}

static void answer(Peer *p, FuzzInput *in)
{
    XenRing *tx = &p->q->tx.ring, *rx = &p->q->rx.ring;

    for (unsigned i = 0; i < now.n_tx; i++, p->tx_prod++) {
        struct netif_tx_request *slot = xen_ring_entry(tx, p->tx_prod);
        struct netif_tx_response rsp;

        fuzz_take(in, &rsp, sizeof(rsp));
        if (now.flags & 2) {
            rsp.id = slot->id;
        }
        memcpy(slot, &rsp, sizeof(rsp));
    }
    for (unsigned i = 0; i < now.n_rx; i++, p->rx_prod++) {
        struct netif_rx_response rsp;

        fuzz_take(in, &rsp, sizeof(rsp));
        if (now.flags & 1) {
            rsp.id = (uint16_t)(p->rx_prod % NETFRONT_SLOTS);
        }
        memcpy(xen_ring_entry(rx, p->rx_prod), &rsp, sizeof(rsp));
    }
    p->tx_prod += (uint32_t)now.more_tx;
    p->rx_prod += (uint32_t)now.more_rx;
    tx->page->rsp_prod = p->tx_prod;
    rx->page->rsp_prod = p->rx_prod;
}

static void run(NetfrontQueue *q, Xen *xen, FuzzInput *in)
{
    Peer p = { .q = q };

    for (unsigned i = 0; i < MAX_ROUNDS && in->size > 0; i++) {
        uint32_t before = q->tx.ring.page->req_prod;

        fuzz_take(in, &now, sizeof(now));
        q->peer_end.ready = true;
        answer(&p, in);
        if (netfront_rx_poll(q) == QUEUE_VIOLATION || netfront_tx_poll(q) == QUEUE_VIOLATION) {
            g_assert_nonnull(q->base.q.violation);
            break;
        }
        check_requests(&p, xen, before);
        g_assert_cmpuint(q->rx.ring.prod - q->rx.ring.cons, <=, NETFRONT_SLOTS);
        g_assert_cmpuint(q->tx.n_ids, <=, NETFRONT_SLOTS);
        netfront_rx_arm(q);
        netfront_tx_arm(q);
    }
}

/* Made once; each input begins with a copy of what it was then. */
typedef struct Fixture {
    Xen *xen;
    Netdev nd;
    NetdevQueue peer;
    NetdevQueue *queues[1];
    NicQueueStats stats;
    Netfront nf;
    NetfrontQueue *q;
    NetfrontQueue fresh;
    uint8_t fresh_rings[2 * XEN_PAGE_SIZE];
} Fixture;

static void ignore_fault(void *opaque)
{
}

static Fixture *fixture_new(void)
{
    g_autoptr(GError) error = NULL;
    Fixture *f = g_aligned_alloc0(1, sizeof(*f), 64);
    NetfrontPlan plan = { .max_queues = 1, .n_queues = 1, .tx_max_len = XEN_NETIF_MAX_TX_SIZE };

    clock_start_virtual();
    f->xen = fake_xen_new();
    f->nd = (Netdev){ .ops = &netdev_ops, .n_queues = 1, .queue = f->queues, .has_vnet_hdr = true };
    f->peer = (NetdevQueue){ .nd = &f->nd, .fd = -1 };
    f->queues[0] = &f->peer;
    f->nf = (Netfront){ .env = { .xen = f->xen, .peer = &f->nd }, .stats = &f->stats,
                        .bus = { .xen = f->xen } };
    f->nf.bus.pages = xenbus_front_pages_new();
    f->nf.bus.share = f->xen->ops->share_open(f->xen, &error);
    g_assert_no_error(error);
    g_assert_true(device_faults_init(&f->nf.faults, ignore_fault, NULL, &error));
    f->q = netfront_queue_new(&f->nf, 0, &plan, &error);
    g_assert_no_error(error);
    f->fresh = *f->q;
    memcpy(f->fresh_rings, f->q->rings, sizeof(f->fresh_rings));
    return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fixture *f;
    FuzzInput in = { data, size };
    uint8_t options[2];

    if (!f) {
        f = fixture_new();
    }
    *f->q = f->fresh;
    memcpy(f->q->rings, f->fresh_rings, sizeof(f->fresh_rings));
    fuzz_take(&in, options, sizeof(options));
    if (!(options[0] & 1)) {
        f->q->tx_offload = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6;
    }
    run(f->q, f->xen, &in);
    return 0;
}
