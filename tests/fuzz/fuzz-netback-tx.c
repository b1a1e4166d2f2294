/*
 * Guest to host: an input is a tx ring and the guest's memory.
 *
 *     u16 requests, u8 flags (1: the netdev is slow, 2: copies fail), u8 spare,
 *     requests of 12 bytes, then the bytes that all pages are filled with, again and again
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"
#include "fuzz-netback.h"

#include "util/container-of.h"

#define MAX_POLLS 2000 /* of a ring of 256: it must be empty by then */

typedef struct Header {
    uint16_t requests;
    uint8_t flags;
    uint8_t spare;
} Header;

static bool slow; /* the netdev takes one packet of two calls */

/* What a tap, or the kernel behind it, would stumble over. */
static void check_packet(const Pkt *pkt)
{
    const struct virtio_net_hdr_v1 *hdr = pkt->hdr;
    uint32_t len = 0;

    g_assert_cmpuint(pkt->n_iov, >, 0);
    g_assert_cmpuint(pkt->n_iov, <=, PKT_MAX_IOV);
    for (uint32_t i = 0; i < pkt->n_iov; i++) {
        const uint8_t *bytes = pkt->iov[i].iov_base;
        uint8_t sum = 0;

        for (size_t b = 0; b < pkt->iov[i].iov_len; b++) {
            sum ^= bytes[b]; /* touches each byte: the memory is there */
        }
        len += (uint32_t)pkt->iov[i].iov_len + (sum & 0);
    }
    g_assert_cmpuint(len, ==, pkt->len);
    g_assert_cmpuint(len, >=, 14);
    g_assert_cmpuint(len, <=, PKT_MAX_LEN);
    if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        g_assert_cmpuint((uint32_t)hdr->csum_start + hdr->csum_offset + 2, <=, len);
    }
    if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
        g_assert_true(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
        g_assert_cmpuint(hdr->gso_size, >, 0);
        g_assert_cmpuint(hdr->hdr_len, <=, pkt->iov[0].iov_len);
    }
}

static unsigned take_packets(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    static unsigned calls;

    if (slow) {
        n = ++calls % 2;
    }
    for (unsigned i = 0; i < n; i++) {
        check_packet(&pkt[i]);
    }
    return n;
}

static const NetdevOps netdev_ops = { .type = "fuzz", .send = take_packets };

/* The slots of extras, as a frontend knows them: their responses have no id. */
static void check_responses(const FuzzQueue *f, const netif_tx_request_t *req, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        netif_tx_response_t rsp;

        memcpy(&rsp, f->tx_page.entries + (size_t)i * sizeof(*req), sizeof(rsp));
        if (rsp.status == NETIF_RSP_NULL) {
            continue;
        }
        g_assert_true(rsp.status == NETIF_RSP_OKAY || rsp.status == NETIF_RSP_ERROR);
        g_assert_cmpuint(rsp.id, ==, req[i].id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzQueue *f = fuzz_queue(&netdev_ops);
    FuzzInput in = { data, size };
    uint8_t *memory = (uint8_t *)f->pages;
    netif_tx_request_t req[256];
    Header h;

    fuzz_queue_reset(f);
    fuzz_take(&in, &h, sizeof(h));
    fuzz_take(&in, req, sizeof(req));
    for (size_t p = 0; in.size > 0 && p < FUZZ_PAGES * sizeof(f->pages[0]); p++) {
        memory[p] = in.data[p % in.size];
    }
    slow = h.flags & 1;
    f->copies_fail = h.flags & 2;
    memcpy(f->tx_page.entries, req, sizeof(req));
    f->tx_page.h.req_prod = h.requests;
    for (unsigned i = 0; i < MAX_POLLS && !f->q.base.q.violation; i++) {
        unsigned before = f->notified;

        netback_tx_poll(&f->q);
        g_assert_cmpuint(f->notified, <=, before + 1);
        g_assert_cmpuint(f->tx_page.h.rsp_prod, <=, h.requests);
        if (f->tx_page.h.rsp_prod == h.requests) {
            break;
        }
    }
    g_assert_true(f->q.base.q.violation || f->tx_page.h.rsp_prod == h.requests);
    g_assert_true(h.requests <= 256 || f->q.base.q.violation);
    check_responses(f, req, f->tx_page.h.rsp_prod);
    return 0;
}
