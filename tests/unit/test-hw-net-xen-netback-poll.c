/*
 * The poll functions of a netback queue, called one by one: no thread, no clock, the rings and
 * the guest's pages are this process's memory. What depends on where a batch ends is seen here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "frames.h"
#include "fuzz-netback.h"

#define MSS   1000
#define PAGES 65u /* packets that the netdev remembers, and one more */

/* The netdev: what it has for the guest, what it got and how much of it takes in a call. */
static struct {
    uint8_t (*give)[FRAME_MAX];
    struct virtio_net_hdr_v1 give_hdr;
    size_t give_len;
    unsigned n_give;
    unsigned room;      /* packets that it takes before it is full */
    unsigned n_sent;
    uint32_t sent_len[PAGES];
    uint8_t sent[PAGES][FRAME_MAX];
    struct virtio_net_hdr_v1 sent_hdr;
    size_t sent_head;   /* bytes in the last one's first piece */
} dev;

static unsigned take_packets(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    unsigned taken = MIN(n, dev.room);

    for (unsigned i = 0; i < taken; i++) {
        uint32_t at = 0;

        g_assert_cmpuint(dev.n_sent, <, PAGES);
        g_assert_cmpuint(pkt[i].n_iov, ==, 1);
        for (uint32_t v = 0; v < pkt[i].n_iov; v++) {
            memcpy(dev.sent[dev.n_sent] + at, pkt[i].iov[v].iov_base, pkt[i].iov[v].iov_len);
            at += (uint32_t)pkt[i].iov[v].iov_len;
        }
        dev.sent_hdr = *pkt[i].hdr;
        dev.sent_head = pkt[i].iov[0].iov_len;
        dev.sent_len[dev.n_sent++] = at;
    }
    dev.room -= taken;
    return taken;
}

static unsigned give_packets(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                             unsigned max)
{
    unsigned n;
    uint8_t *at;

    for (n = 0; n < max && n < dev.n_give && (at = pkt_arena_next(arena)); n++) {
        memcpy(at - PKT_HDR_LEN, &dev.give_hdr, PKT_HDR_LEN);
        memcpy(at, dev.give[n], dev.give_len);
        iov[n] = (struct iovec){ .iov_base = at, .iov_len = dev.give_len };
        pkt[n] = (Pkt){ .hdr = (void *)(at - PKT_HDR_LEN), .iov = &iov[n], .n_iov = 1,
                        .len = (uint32_t)dev.give_len };
        pkt_arena_take(arena, dev.give_len);
    }
    dev.n_give -= n;
    return n;
}

static const NetdevOps netdev_ops = { .type = "test", .send = take_packets, .recv = give_packets };

static FuzzQueue *fresh_queue(void)
{
    FuzzQueue *f = fuzz_queue(&netdev_ops);

    fuzz_queue_reset(f);
    memset(&dev, 0, sizeof(dev));
    dev.room = UINT32_MAX;
    return f;
}

static void put_tx(FuzzQueue *f, const void *slot)
{
    memcpy(f->tx_page.entries + (size_t)f->tx_page.h.req_prod * 12, slot, 12);
    f->tx_page.h.req_prod++;
}

/*
 * Segments of two packets, each of three, with room for all: those of the second must not be
 * made where the first one's still wait to be copied.
 */
static void test_segmented_behind_segmented(void)
{
    FrameSpec spec = { .ip_version = 4, .payload = 3 * MSS };
    FuzzQueue *f = fresh_queue();
    g_autofree uint8_t *frames = g_malloc0(2 * FRAME_MAX);
    size_t headers = frame_payload_off(&spec);

    dev.give = (void *)frames;
    dev.n_give = 2;
    dev.give_len = frame_build(dev.give[0], &spec);
    frame_build(dev.give[1], &spec);
    for (size_t i = headers; i < dev.give_len; i++) {
        dev.give[1][i] ^= 0xff;
    }
    dev.give_hdr = (struct virtio_net_hdr_v1){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
        .gso_size = MSS, .hdr_len = (uint16_t)headers,
        .csum_start = (uint16_t)frame_l4_off(&spec), .csum_offset = 16,
    };
    for (unsigned i = 0; i < 6; i++) {
        netif_rx_request_t req = { .id = (uint16_t)i, .gref = FUZZ_REF + i };

        memcpy(f->rx_page.entries + i * sizeof(req), &req, sizeof(req));
    }
    f->rx_page.h.req_prod = 6;
    f->q.offload = NETDEV_CSUM4; /* no TSO */
    for (unsigned i = 0; i < 6; i++) {
        netback_rx_poll(&f->q);
    }
    g_assert_cmpuint(f->rx_page.h.rsp_prod, ==, 6);
    for (unsigned i = 0; i < 6; i++) {
        g_assert_cmpmem(f->pages[i] + headers, MSS, dev.give[i / 3] + headers + i % 3 * MSS, MSS);
    }
}

/* Each byte of a response is ours, its padding too: nothing of our memory leaks (XSA-216). */
static void test_responses_without_padding(void)
{
    FrameSpec spec = { .ip_version = 4, .payload = 3 * MSS };
    struct netif_extra_info gso = {
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = { .size = MSS, .type = XEN_NETIF_GSO_TYPE_TCPV4 },
    };
    netif_rx_response_t data = { .id = 7, .flags = NETRXF_csum_blank | NETRXF_data_validated |
                                                   NETRXF_extra_info };
    g_autofree uint8_t *frame = g_malloc0(FRAME_MAX);
    FuzzQueue *f = fresh_queue();

    dev.give = (void *)frame;
    dev.n_give = 1;
    dev.give_len = frame_build(frame, &spec);
    dev.give_hdr = (struct virtio_net_hdr_v1){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
        .gso_size = MSS, .hdr_len = (uint16_t)frame_payload_off(&spec),
        .csum_start = (uint16_t)frame_l4_off(&spec), .csum_offset = 16,
    };
    for (unsigned i = 0; i < 2; i++) {
        netif_rx_request_t req = { .id = 7, .pad = 0xffff, .gref = FUZZ_REF };

        memcpy(f->rx_page.entries + i * sizeof(req), &req, sizeof(req));
    }
    f->rx_page.h.req_prod = 2;
    f->q.offload = NETDEV_CSUM4 | NETDEV_TSO4;
    memset(f->q.rx_batch.rsp, 0xff, sizeof(f->q.rx_batch.rsp));
    netback_rx_poll(&f->q);
    data.status = (int16_t)dev.give_len;
    g_assert_cmpuint(f->rx_page.h.rsp_prod, ==, 2);
    g_assert_cmpmem(f->rx_page.entries, 8, &data, sizeof(data));
    g_assert_cmpmem(f->rx_page.entries + 8, 8, &gso, sizeof(gso));
}

/* A netdev that is full in the middle of a batch: the rest follows, in order and once each. */
static void test_full_netdev(void)
{
    FuzzQueue *f = fresh_queue();

    for (unsigned i = 0; i < 5; i++) {
        netif_tx_request_t req = { .gref = FUZZ_REF + i, .id = (uint16_t)i, .size = 60 };

        memset(f->pages[i], (int)i, 60);
        put_tx(f, &req);
    }
    dev.room = 2;
    g_assert_cmpint(netback_tx_poll(&f->q), ==, QUEUE_IDLE);
    g_assert_cmpuint(dev.n_sent, ==, 2);
    g_assert_cmpuint(f->tx_page.h.rsp_prod, ==, 0);
    g_assert_cmpuint(f->q.base.q.poller.wake_ns, !=, 0); /* nothing else would try again */
    dev.room = 1;
    g_assert_cmpint(netback_tx_poll(&f->q), ==, QUEUE_IDLE);
    g_assert_cmpuint(dev.n_sent, ==, 3);
    dev.room = UINT32_MAX;
    g_assert_cmpint(netback_tx_poll(&f->q), ==, QUEUE_WORK);
    g_assert_cmpuint(f->tx_page.h.rsp_prod, ==, 5);
    g_assert_cmpuint(dev.n_sent, ==, 5);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpuint(dev.sent_len[i], ==, 60);
        g_assert_cmpuint(dev.sent[i][59], ==, i);
    }
}

/* Headers of 186 bytes in slots of 100: more than is looked for at first (PKT_HEAD_LEN). */
static void test_long_headers_in_pieces(void)
{
    FrameSpec spec = { .ip_version = 6, .vlans = 2, .ip_extra = 64, .tcp_extra = 40,
                       .payload = 3 * MSS };
    struct netif_extra_info gso = { .type = XEN_NETIF_EXTRA_TYPE_GSO };
    FuzzQueue *f = fresh_queue();
    g_autofree uint8_t *frame = g_malloc0(FRAME_MAX);
    size_t len = frame_build(frame, &spec);
    size_t headers = frame_payload_off(&spec);
    netif_tx_request_t req = { .gref = FUZZ_REF, .size = (uint16_t)len };
    uint8_t slot[12] = { 0 };

    g_assert_cmpuint(headers, >, PKT_HEAD_LEN);
    g_assert_cmpuint(len, <=, 4096);
    memcpy(f->pages[0], frame, len);
    req.flags = NETTXF_csum_blank | NETTXF_data_validated | NETTXF_extra_info | NETTXF_more_data;
    put_tx(f, &req);
    gso.u.gso.size = MSS;
    gso.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV6;
    memcpy(slot, &gso, sizeof(gso));
    put_tx(f, slot);
    req = (netif_tx_request_t){ .gref = FUZZ_REF, .offset = 100, .size = 100,
                                .flags = NETTXF_more_data };
    put_tx(f, &req);
    req = (netif_tx_request_t){ .gref = FUZZ_REF, .offset = 200, .size = (uint16_t)(len - 200) };
    put_tx(f, &req);
    netback_tx_poll(&f->q);
    g_assert_cmpuint(dev.n_sent, ==, 1);
    g_assert_cmpuint(dev.sent_len[0], ==, len);
    g_assert_cmpuint(dev.sent_hdr.gso_type, ==, VIRTIO_NET_HDR_GSO_TCPV6);
    g_assert_cmpuint(dev.sent_hdr.hdr_len, ==, headers);
    g_assert_cmpuint(dev.sent_head, >=, headers);
    g_assert_cmpmem(dev.sent[0] + headers, len - headers, frame + headers, len - headers);
}

/* A packet of @n slots, @size of each. */
static void put_tx_packet(FuzzQueue *f, const uint16_t *size, unsigned n)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < n; i++) {
        total += size[i];
    }
    for (unsigned i = 0; i < n; i++) {
        netif_tx_request_t req = { .gref = FUZZ_REF + i, .size = i == 0 ? (uint16_t)total : size[i],
                                   .flags = i + 1 < n ? NETTXF_more_data : 0 };

        put_tx(f, &req);
    }
}

/* One behind the other, whole pages on pages, and within the room that is made for a packet. */
static void assert_placed(const FuzzQueue *f, const uint16_t *size, unsigned n)
{
    const TxBatch *b = &f->q.tx_batch;

    g_assert_cmpuint(b->n_segs, ==, n);
    g_assert_cmpuint(b->pages, <=, n + 1);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *local = b->seg[i].local;

        g_assert_cmpuint(b->seg[i].len, ==, size[i]);
        if (size[i] == 4096) {
            g_assert_cmpuint((uintptr_t)local % 4096, ==, 0);
        }
        if (i > 0) {
            g_assert_true(local == (uint8_t *)b->seg[i - 1].local + size[i - 1]);
        }
    }
    g_assert_true((uint8_t *)b->seg[0].local - b->buffer.base >= NETBACK_HEAD_OFFSET);
    g_assert_true((uint8_t *)b->seg[n - 1].local + size[n - 1] <=
                  b->buffer.base + b->pages * 4096);
}

static void test_where_a_packet_lies(void)
{
    for (unsigned first = 14; first < 4096; first += first < 200 || first > 3900 ? 1 : 97) {
        uint16_t sizes[][4] = {
            { (uint16_t)first, 4096, 4096, 1 },
            { (uint16_t)first, 1000, 4096, 4096 },
            { (uint16_t)first, 4095, 4095, 4096 },
            { (uint16_t)first, 17, 2000, 4095 },
        };

        for (unsigned k = 0; k < G_N_ELEMENTS(sizes); k++) {
            for (unsigned n = 1; n <= 4; n++) {
                FuzzQueue *f = fresh_queue();

                put_tx_packet(f, sizes[k], n);
                netback_tx_poll(&f->q);
                g_assert_cmpuint(dev.n_sent, ==, 1);
                assert_placed(f, sizes[k], n);
            }
        }
    }
}

/* A ring full of packets of any size goes in batches that the buffer has room for. */
static void test_full_rings(void)
{
    static const uint16_t sizes[][17] = {
        { 66, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096,
          4096, 3000 },
        { 4095, 4095, 4095, 4095, 4095, 4095, 4095, 4095 },
        { 4096 },
        { 4090, 4096 },
        { 14, 1 },
    };

    for (unsigned k = 0; k < G_N_ELEMENTS(sizes); k++) {
        FuzzQueue *f = fresh_queue();
        unsigned n = 0, pkts = 0;

        while (n < 17 && sizes[k][n] > 0) {
            n++;
        }
        for (; (pkts + 1) * n <= 256; pkts++) {
            put_tx_packet(f, sizes[k], n);
        }
        for (unsigned left = pkts; left > 0; left -= dev.n_sent) {
            dev.n_sent = 0;
            g_assert_cmpint(netback_tx_poll(&f->q), ==, QUEUE_WORK);
            g_assert_cmpuint(dev.n_sent, >=, MIN(left, 8));
            g_assert_cmpuint(f->q.tx_batch.pages, <=, NETBACK_TX_PAGES);
        }
        g_assert_cmpuint(f->tx_page.h.rsp_prod, ==, pkts * n);
        g_assert_cmpint(netback_tx_poll(&f->q), ==, QUEUE_IDLE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netback/poll/segmented-behind-segmented", test_segmented_behind_segmented);
    g_test_add_func("/netback/poll/responses-without-padding", test_responses_without_padding);
    g_test_add_func("/netback/poll/full-netdev", test_full_netdev);
    g_test_add_func("/netback/poll/long-headers-in-pieces", test_long_headers_in_pieces);
    g_test_add_func("/netback/poll/where-a-packet-lies", test_where_a_packet_lies);
    g_test_add_func("/netback/poll/full-rings", test_full_rings);
    return g_test_run();
}
