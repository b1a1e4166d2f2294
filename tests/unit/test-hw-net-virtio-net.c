/*
 * virtio-net between a guest's rings and a netdev: what is sent arrives, in every layout.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "virtio-guest.h"

#define BIT(n)   (1ull << (n))
#define V1       BIT(VIRTIO_F_VERSION_1)
#define MRG      BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT BIT(VIRTIO_RING_F_INDIRECT_DESC)

static const VirtioGuestConfig configs[] = {
    { "split", 1, 256, V1 | MRG | EVENT | INDIRECT, .rx_len = 1536 },
    { "packed", 1, 256, V1 | MRG | EVENT | INDIRECT | PACKED, .rx_len = 1536 },
    { "flags", 1, 64, V1 | MRG, .rx_len = 4096 },
    { "packed-flags", 1, 64, V1 | MRG | PACKED, .rx_len = 4096 },
    { "split-header", 1, 256, V1 | MRG | EVENT, .split_header = true, .rx_len = 1536 },
    { "indirect-header", 1, 256, V1 | MRG | INDIRECT, .split_header = true, .rx_len = 1536 },
    { "legacy", 1, 256, INDIRECT, .split_header = true, .rx_len = 66000, .rx_pieces = 18 },
    { "legacy-mrg", 1, 256, MRG, .rx_len = 1536 },
    { "big-buffers", 1, 256, V1 | INDIRECT, .rx_len = 66000, .rx_pieces = 17 },
    { "no-vnet-hdr", 1, 256, V1 | MRG, .no_vnet_hdr = true, .rx_len = 1536 },
};

static FakePkt *packet_new(uint32_t len, unsigned seed)
{
    FakePkt *pkt = g_new0(FakePkt, 1);

    pkt->len = len;
    for (uint32_t i = 0; i < len; i++) {
        pkt->data[i] = (uint8_t)(i * 7 + seed);
    }
    return pkt;
}

static void assert_same(const FakePkt *a, const FakePkt *b)
{
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

/* More than a ring holds, of all lengths. */
static void test_tx(gconstpointer opaque)
{
    static const uint32_t lens[] = { 14, 60, 127, 128, 129, 1514, 4096, 65550 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < 600; i++) {
        g_autofree FakePkt *pkt = packet_new(lens[i % G_N_ELEMENTS(lens)], i);
        g_autofree FakePkt *got = NULL;

        g_assert_true(virtio_guest_send(&g, 0, pkt));
        virtio_guest_kick(&g, 1);
        got = fake_netdev_take(g.nd, 0, VIRTIO_GUEST_WAIT_MS);
        g_assert_nonnull(got);
        assert_same(pkt, got);
        virtio_guest_wait_sent(&g, 0, 1);
    }
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.packets), ==, 600);
    virtio_guest_down(&g);
}

static void test_tx_batches(gconstpointer opaque)
{
    VirtioGuest g;
    unsigned sent = 0;
    unsigned taken = 0;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    while (taken < 3000) {
        unsigned n = 0;

        while (sent < 3000 && n < 100) {
            g_autofree FakePkt *pkt = packet_new(60 + sent % 100, sent);

            if (!virtio_guest_send(&g, 0, pkt)) {
                break;
            }
            sent++;
            n++;
        }
        virtio_guest_kick(&g, 1);
        for (unsigned i = 0; i < n; i++, taken++) {
            g_autofree FakePkt *pkt = packet_new(60 + taken % 100, taken);
            g_autofree FakePkt *got = fake_netdev_take(g.nd, 0, VIRTIO_GUEST_WAIT_MS);

            g_assert_nonnull(got);
            assert_same(pkt, got);
        }
        virtio_guest_wait_sent(&g, 0, n);
    }
    virtio_guest_down(&g);
}

/* What the guest left undone stands in the header that the netdev gets. */
static void test_tx_header(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    g_autofree FakePkt *pkt = packet_new(2000, 1);
    g_autofree FakePkt *got = NULL;
    VirtioGuest g;

    if (c->no_vnet_hdr) {
        return; /* finished packets: test-net-offload.c */
    }
    virtio_guest_up(&g, c);
    virtio_guest_enable(&g, true);
    pkt->hdr = (struct virtio_net_hdr_v1){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
        .hdr_len = 54,
        .gso_size = 1000,
        .csum_start = 34,
        .csum_offset = 16,
    };
    g_assert_true(virtio_guest_send(&g, 0, pkt));
    virtio_guest_kick(&g, 1);
    got = fake_netdev_take(g.nd, 0, VIRTIO_GUEST_WAIT_MS);
    g_assert_nonnull(got);
    g_assert_cmpmem(&got->hdr, 10, &pkt->hdr, 10);
    virtio_guest_down(&g);
}

static void test_rx(gconstpointer opaque)
{
    static const uint32_t lens[] = { 14, 60, 1514, 60, 9014, 60, 60, 4096, 65550, 1514, 30000 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 256);
    for (unsigned i = 0; i < 300; i++) {
        g_autofree FakePkt *pkt = packet_new(lens[i % G_N_ELEMENTS(lens)], i);
        g_autofree FakePkt *got = g_new0(FakePkt, 1);

        fake_netdev_give(g.nd, 0, pkt);
        g_assert_true(virtio_guest_recv(&g, 0, got, VIRTIO_GUEST_WAIT_MS));
        assert_same(pkt, got);
        virtio_guest_post(&g, 0, 64);
    }
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.packets), ==, 300);
    virtio_guest_down(&g);
}

/* Where none is to be segmented, lengths are known; with two VLAN tags they are a bit longer. */
static void test_rx_plain_reads(gconstpointer opaque)
{
    static const uint32_t lens[] = { 14, 60, 1514, 1522 };
    const VirtioGuestConfig *c = opaque;
    bool plain = !c->no_vnet_hdr && c->features & (V1 | MRG);

    for (unsigned gso = 0; gso < 2; gso++) {
        VirtioGuestConfig config = *c;
        VirtioGuest g;

        config.features |= gso ? BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO6) : 0;
        virtio_guest_up(&g, &config);
        fake_netdev_set_plain(g.nd);
        virtio_guest_enable(&g, true);
        virtio_guest_post(&g, 0, 64);
        for (unsigned i = 0; i < 40; i++) {
            g_autofree FakePkt *pkt = packet_new(gso && i == 0 ? 65550 : lens[i % 4], i);
            g_autofree FakePkt *got = g_new0(FakePkt, 1);

            fake_netdev_give(g.nd, 0, pkt);
            g_assert_true(virtio_guest_recv(&g, 0, got, VIRTIO_GUEST_WAIT_MS));
            assert_same(pkt, got);
            virtio_guest_post(&g, 0, 64);
        }
        g_assert_cmpint(fake_netdev_plain_reads(g.nd) > 0, ==, plain && !gso);
        virtio_guest_down(&g);
    }
}

static void test_rx_header(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    g_autofree FakePkt *pkt = packet_new(2000, 1);
    g_autofree FakePkt *got = g_new0(FakePkt, 1);
    VirtioGuest g;

    if (c->no_vnet_hdr) {
        return; /* then there is nothing in it */
    }
    virtio_guest_up(&g, c);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 16);
    pkt->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    pkt->hdr.csum_start = 34;
    pkt->hdr.csum_offset = 6;
    fake_netdev_give(g.nd, 0, pkt);
    g_assert_true(virtio_guest_recv(&g, 0, got, VIRTIO_GUEST_WAIT_MS));
    g_assert_cmpmem(&got->hdr, 10, &pkt->hdr, 10);
    virtio_guest_down(&g);
}

/* Buffers come one at a time; packets wait for as many as they need. */
static void test_rx_few_buffers(gconstpointer opaque)
{
    static const uint32_t lens[] = { 60, 5000, 60, 65550 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < 40; i++) {
        g_autofree FakePkt *pkt = packet_new(lens[i % G_N_ELEMENTS(lens)], i);

        fake_netdev_give(g.nd, 0, pkt);
    }
    for (unsigned i = 0; i < 40; i++) {
        g_autofree FakePkt *pkt = packet_new(lens[i % G_N_ELEMENTS(lens)], i);
        g_autofree FakePkt *got = g_new0(FakePkt, 1);
        unsigned need = (g.hdr_len + pkt->len + g.c.rx_len - 1) / g.c.rx_len;

        for (unsigned n = 0; n < need; n++) {
            virtio_guest_post(&g, 0, 1);
        }
        g_assert_true(virtio_guest_recv(&g, 0, got, VIRTIO_GUEST_WAIT_MS));
        assert_same(pkt, got);
    }
    virtio_guest_down(&g);
}

static void add(const char *name, void (*fn)(gconstpointer opaque))
{
    for (unsigned i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autofree char *path = g_strdup_printf("/hw/net/virtio-net/%s/%s", name,
                                                configs[i].name);

        g_test_add_data_func(path, &configs[i], fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("tx", test_tx);
    add("tx-batches", test_tx_batches);
    add("tx-header", test_tx_header);
    add("rx", test_rx);
    add("rx-plain-reads", test_rx_plain_reads);
    add("rx-header", test_rx_header);
    add("rx-few-buffers", test_rx_few_buffers);
    return g_test_run();
}
