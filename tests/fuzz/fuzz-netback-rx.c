/*
 * Host to guest: an input is an rx ring, what the guest takes, and what the netdev has.
 *
 *     u16 requests, u8 offload, u8 flags (1: no sg, 2: no rx events, 4: copies fail),
 *     requests of 8 bytes, then packets: a Packet and the bytes that it is filled with
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"
#include "fuzz-netback.h"

#include "util/clock.h"

#define MAX_POLLS   3000
#define MAX_PACKETS 64
#define STALL_NS 11000000000ull

typedef struct Header {
    uint16_t requests;
    uint8_t offload;
    uint8_t flags;
} Header;

typedef struct Packet {
    uint16_t len;
    uint8_t flags;
    uint8_t gso_type;
    uint16_t gso_size;
    uint16_t hdr_len;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t n_bytes;
} Packet;

static FuzzInput packets; /* of the input under way */
static unsigned n_packets;

static void packet_make(uint8_t *at, const Packet *p)
{
    struct virtio_net_hdr_v1 hdr = {
        .flags = p->flags,
        .gso_type = p->gso_type,
        .hdr_len = p->hdr_len,
        .gso_size = p->gso_size,
        .csum_start = p->csum_start,
        .csum_offset = p->csum_offset,
    };
    size_t n = MIN((size_t)p->n_bytes, packets.size);

    memcpy(at - PKT_HDR_LEN, &hdr, sizeof(hdr));
    for (uint32_t i = 0; i < p->len; i++) {
        at[i] = n > 0 ? packets.data[i % n] : 0;
    }
    packets.data += n;
    packets.size -= n;
}

static unsigned give_packets(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                             unsigned max)
{
    unsigned n = 0;
    uint8_t *at;

    while (n < max && packets.size > 0 && n_packets < MAX_PACKETS &&
           (at = pkt_arena_next(arena)) != NULL) {
        Packet p;

        fuzz_take(&packets, &p, sizeof(p));
        p.len = (uint16_t)MAX(p.len, 14); /* no tap reads less */
        packet_make(at, &p);
        iov[n] = (struct iovec){ .iov_base = at, .iov_len = p.len };
        pkt[n] = (Pkt){ .hdr = (void *)(at - PKT_HDR_LEN), .iov = &iov[n], .n_iov = 1,
                        .len = p.len };
        pkt_arena_take(arena, p.len);
        n++;
        n_packets++;
    }
    return n;
}

static const NetdevOps netdev_ops = { .type = "fuzz", .recv = give_packets };

/* The grammar of netif.h, as a frontend walks it. Returns the next packet's first slot. */
static uint32_t check_packet(const FuzzQueue *f, const netif_rx_request_t *req, uint32_t i,
                             uint32_t end)
{
    netif_rx_response_t rsp;
    unsigned data = 0;

    do {
        g_assert_cmpuint(i, <, end);
        memcpy(&rsp, f->rx_page.entries + (size_t)i * sizeof(rsp), sizeof(rsp));
        g_assert_cmpuint(rsp.id, ==, req[i].id);
        g_assert_cmpuint(rsp.offset, ==, 0);
        g_assert_cmpint(rsp.status, <=, 4096);
        g_assert_true(rsp.status < 0 || data > 0 || rsp.status >= 14);
        i++;
        if (rsp.flags & NETRXF_extra_info) {
            struct netif_extra_info extra;

            g_assert_cmpuint(data, ==, 0);
            g_assert_cmpuint(i, <, end);
            memcpy(&extra, f->rx_page.entries + (size_t)i * sizeof(rsp), sizeof(extra));
            g_assert_cmpuint(extra.type, ==, XEN_NETIF_EXTRA_TYPE_GSO);
            g_assert_cmpuint(extra.flags, ==, 0);
            g_assert_cmpuint(extra.u.gso.size, >, 0);
            i++;
        }
        data++;
    } while (rsp.flags & NETRXF_more_data);
    g_assert_cmpuint(data, <=, f->q.sg ? XEN_NETIF_NR_SLOTS_MIN : 1);
    return i;
}

static void run(FuzzQueue *f, uint16_t requests)
{
    for (unsigned i = 0; i < MAX_POLLS && !f->q.base.q.violation; i++) {
        unsigned before = f->notified;
        QueueVerdict v = netback_rx_poll(&f->q);

        g_assert_cmpuint(f->notified, <=, before + 1);
        g_assert_cmpuint(f->rx_page.h.rsp_prod, <=, requests);
        if (v == QUEUE_IDLE && !netback_rx_arm(&f->q)) {
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzQueue *f = fuzz_queue(&netdev_ops);
    netif_rx_request_t req[256];
    uint32_t i = 0;
    Header h;

    packets = (FuzzInput){ data, size };
    n_packets = 0;
    fuzz_queue_reset(f);
    fuzz_take(&packets, &h, sizeof(h));
    fuzz_take(&packets, req, MIN(h.requests, 256u) * sizeof(req[0]));
    f->q.offload = h.offload & (NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6);
    f->q.sg = !(h.flags & 1);
    f->q.rx_notify = !(h.flags & 2);
    f->copies_fail = h.flags & 4;
    memcpy(f->rx_page.entries, req, sizeof(req));
    f->rx_page.h.req_prod = h.requests;
    run(f, h.requests);
    clock_set_virtual_ns(clock_virtual_ns() + STALL_NS); /* what waits is dropped */
    run(f, h.requests);
    g_assert_true(h.requests <= 256 || f->q.base.q.violation);
    while (i < f->rx_page.h.rsp_prod) {
        i = check_packet(f, req, i, f->rx_page.h.rsp_prod);
    }
    return 0;
}
