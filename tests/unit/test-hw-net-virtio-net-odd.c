/*
 * virtio-net and what drivers do that is allowed, and rare: chains of very many pieces, rings that
 * are too small, buffers of both kinds, rings that are not kicked, features one by one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "frames.h"
#include "net/netdev-impl.h"
#include "virtio-guest.h"

#define BIT(n)   (1ull << (n))
#define V1       BIT(VIRTIO_F_VERSION_1)
#define MRG      BIT(VIRTIO_NET_F_MRG_RXBUF)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)
#define DATA     0x4000000ull /* rings' buffers, anywhere in them */

static const VirtioGuestConfig split = { "split", 1, 256, V1 | MRG | EVENT, .rx_len = 1536 };
static const VirtioGuestConfig plain = {
    "plain", 1, 256, V1 | MRG | EVENT | BIT(VIRTIO_NET_F_CSUM), .no_vnet_hdr = true,
    .rx_len = 1536
};
static const VirtioGuestConfig small = { "small", 1, 4, V1 | MRG | EVENT, .rx_len = 1536 };

static FakePkt *packet_new(uint32_t len, unsigned seed)
{
    FakePkt *pkt = g_new0(FakePkt, 1);

    pkt->len = len;
    for (uint32_t i = 0; i < len; i++) {
        pkt->data[i] = (uint8_t)(i * 5 + seed);
    }
    return pkt;
}

/* A chain of a header and @n pieces of 100 bytes, not one behind the other. */
static void send_pieces(VirtioGuest *g, unsigned n, unsigned seed)
{
    VirtqDriverPiece piece[64];
    uint64_t gpa = DATA + 0x2000000 + seed * 0x10000;

    g_assert_cmpuint(n, <, G_N_ELEMENTS(piece));
    memset(virtio_guest_host(g, gpa), 0, 12);
    piece[0] = (VirtqDriverPiece){ gpa, 12 };
    for (unsigned i = 0; i < n; i++) {
        piece[i + 1] = (VirtqDriverPiece){ gpa + 0x100 + i * 0x200, 100 };
        memset(virtio_guest_host(g, piece[i + 1].gpa), (int)(seed + i), 100);
    }
    g_assert_cmpint(virtq_driver_add(g->ring[1].driver, piece, n + 1, 0), >=, 0);
}

static void take_pieces(VirtioGuest *g, unsigned n, unsigned seed)
{
    g_autofree FakePkt *got = fake_netdev_take(g->nd, 0, VIRTIO_GUEST_WAIT_MS);

    g_assert_nonnull(got);
    g_assert_cmpuint(got->len, ==, n * 100);
    for (unsigned i = 0; i < got->len; i++) {
        g_assert_cmpuint(got->data[i], ==, (uint8_t)(seed + i / 100));
    }
}

/* In one batch, so that there is not room for all of them in one piece at a time. */
static void test_many_pieces(gconstpointer opaque)
{
    static const unsigned pieces[] = { 40, 18, 19, 20, 21, 50, 1 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        send_pieces(&g, pieces[i], i);
    }
    virtio_guest_kick(&g, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        take_pieces(&g, pieces[i], i);
    }
    virtio_guest_wait_sent(&g, 0, G_N_ELEMENTS(pieces));
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.packets), ==, G_N_ELEMENTS(pieces));
    virtio_guest_down(&g);
}

/* A checksum that is left to us is completed in our memory: the guest's stays as it is. */
static void test_completed_checksum(void)
{
    const FrameSpec spec = { .ip_version = 4, .payload = 500 };
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);
    g_autofree FakePkt *got = NULL;
    VirtioGuest g;
    uint8_t *at;

    pkt->len = (uint32_t)frame_build(pkt->data, &spec);
    pkt->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    pkt->hdr.csum_start = (uint16_t)frame_l4_off(&spec);
    pkt->hdr.csum_offset = 16;
    virtio_guest_up(&g, &plain);
    g_assert_true(netdev_add_scratch(g.nd, NULL)); /* it finishes packets, as a plain tap does */
    virtio_guest_enable(&g, true);
    at = virtio_guest_host(&g, g.ring[1].gpa + g.ring[1].driver->free_id * VIRTIO_GUEST_SLOT);
    g_assert_true(virtio_guest_send(&g, 0, pkt));
    virtio_guest_kick(&g, 1);
    got = fake_netdev_take(g.nd, 0, VIRTIO_GUEST_WAIT_MS);
    g_assert_nonnull(got);
    g_assert_cmpuint(got->hdr.flags, ==, 0);
    g_assert_cmpmem(at + 12, pkt->len, pkt->data, pkt->len);
    g_assert_false(memcmp(got->data, pkt->data, pkt->len) == 0);
    virtio_guest_stop_ring(&g, 1);
    netdev_remove_scratch(g.nd);
    virtio_guest_down(&g);
}

static void wait_buffer(VirtioGuest *g, uint32_t want)
{
    uint16_t id;
    uint32_t len;

    while (!virtq_driver_get(g->ring[0].driver, &id, &len)) {
        g_usleep(1000);
    }
    g_assert_cmpuint(len, ==, want);
}

static void give(VirtioGuest *g, uint32_t len, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(len, seed);

    fake_netdev_give(g->nd, 0, pkt);
}

static void receive(VirtioGuest *g, uint32_t len, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(len, seed);
    g_autofree FakePkt *got = g_new0(FakePkt, 1);

    g_assert_true(virtio_guest_recv(g, 0, got, VIRTIO_GUEST_WAIT_MS));
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
}

/* A buffer with something to read in it is none to write to: it comes back empty. */
static void test_rx_chain_to_read(void)
{
    const VirtqDriverPiece piece[] = { { DATA, 100 }, { DATA + 4096, 2000 } };
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    g_assert_cmpint(virtq_driver_add(g.ring[0].driver, piece, 1, 1), >=, 0);
    virtio_guest_post(&g, 0, 1);
    give(&g, 100, 1);
    wait_buffer(&g, 0);
    receive(&g, 100, 1);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_malformed), ==, 1);
    virtio_guest_down(&g);
}

/* A packet that needs more buffers than the ring has can't wait for them: it is lost, once. */
static void test_rx_ring_too_small(void)
{
    VirtioGuest g;

    virtio_guest_up(&g, &small);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 4);
    for (unsigned i = 0; i < 3; i++) {
        give(&g, 60000, 1);
        give(&g, 100, i);
        receive(&g, 100, i);
        virtio_guest_post(&g, 0, 1);
    }
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_full), ==, 3);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.packets), ==, 3);
    virtio_guest_down(&g);
}

/* All buffers were here, and some are with the driver: it waits for them. */
static void test_rx_packet_waits_for_used_buffers(void)
{
    static const VirtioGuestConfig config = { "tiny", 1, 128, V1 | MRG | EVENT, .rx_len = 100 };
    VirtioGuest g;

    virtio_guest_up(&g, &config);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 128);
    for (unsigned i = 0; i < 40; i++) {
        give(&g, 60, i);
        receive(&g, 60, i);
    }
    give(&g, 10000, 1); /* more than the other 88 have */
    while (fake_netdev_unread(g.nd, 0) > 0) {
        g_usleep(1000);
    }
    virtio_guest_post(&g, 0, 40);
    receive(&g, 10000, 1);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_full), ==, 0);
    virtio_guest_down(&g);
}

/* Nor for more pieces than are popped ahead. */
static void test_rx_too_many_pieces(void)
{
    static const VirtioGuestConfig config = {
        "pieces", 1, 256, V1 | MRG | EVENT | BIT(VIRTIO_RING_F_INDIRECT_DESC), .rx_len = 200,
        .rx_pieces = 20
    };
    VirtioGuest g;

    virtio_guest_up(&g, &config);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 256);
    give(&g, 10000, 1);
    receive(&g, 10000, 1);
    give(&g, 60000, 2);
    give(&g, 100, 3);
    receive(&g, 100, 3);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_full), ==, 1);
    virtio_guest_down(&g);
}

/* Nor for one that stands behind a buffer which can't be used. */
static void test_rx_packet_before_bad_buffer(void)
{
    const VirtqDriverPiece bad = { 1ull << 40, 2000 };
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 1);
    g_assert_cmpint(virtq_driver_add(g.ring[0].driver, &bad, 0, 1), >=, 0);
    virtio_guest_post(&g, 0, 1);
    give(&g, 2000, 1); /* would need two */
    give(&g, 100, 2);
    receive(&g, 100, 2);
    give(&g, 100, 3);
    wait_buffer(&g, 0);
    receive(&g, 100, 3);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_full), ==, 1);
    virtio_guest_down(&g);
}

/* A packet waits for buffers while its ring is stopped: it is lost, and nothing is mixed up. */
static void test_rx_stopped_in_a_packet(void)
{
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 1);
    give(&g, 3000, 1);
    while (fake_netdev_unread(g.nd, 0) > 0) {
        g_usleep(1000);
    }
    virtio_guest_stop_ring(&g, 0);
    virtio_guest_start_ring(&g, 0);
    virtio_guest_post(&g, 0, 2);
    give(&g, 100, 2);
    receive(&g, 100, 2);
    virtio_guest_down(&g);
}

/* A driver that polls and is polled: no descriptors of events at all. */
static void test_no_events(void)
{
    g_autofree FakePkt *pkt = packet_new(100, 1);
    g_autofree FakePkt *got = NULL;
    VirtioGuest g;
    int kick[2], call[2];

    virtio_guest_up(&g, &split);
    for (unsigned i = 0; i < 2; i++) {
        virtio_guest_stop_ring(&g, i);
        kick[i] = g.ring[i].kick_fd;
        call[i] = g.ring[i].call_fd;
        g.ring[i].kick_fd = g.ring[i].call_fd = -1;
        virtio_guest_start_ring(&g, i);
    }
    virtio_guest_enable(&g, true);
    g_assert_true(virtio_guest_send(&g, 0, pkt));
    (void)virtq_driver_publish(g.ring[1].driver);
    got = fake_netdev_take(g.nd, 0, VIRTIO_GUEST_WAIT_MS);
    g_assert_nonnull(got);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.events_sent), ==, 0);
    for (unsigned i = 0; i < 2; i++) {
        virtio_guest_stop_ring(&g, i);
        g.ring[i].kick_fd = kick[i];
        g.ring[i].call_fd = call[i];
    }
    virtio_guest_down(&g);
}

/* Kicks and calls are counted, and a driver that sleeps is called. */
static void test_events(void)
{
    g_autofree FakePkt *pkt = packet_new(100, 1);
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_true(virtio_guest_send(&g, 0, pkt));
        virtio_guest_kick(&g, 1);
        virtio_guest_wait_sent(&g, 0, 1);
    }
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.events_sent), >, 0);
    virtio_guest_down(&g);
}

/* An MTU fits both ends, and is forgotten by a reset. */
static void test_mtu(void)
{
    VirtioGuest g;
    uint16_t mtu;

    virtio_guest_up(&g, &split);
    g_assert_false(g.dev->ops->set_mtu(g.dev, 9000, NULL));
    g_assert_false(g.dev->ops->set_mtu(g.dev, 20, NULL));
    g_assert_true(g.dev->ops->set_mtu(g.dev, 1400, NULL));
    g.dev->ops->get_config(g.dev, 10, (uint8_t *)&mtu, 2);
    g_assert_cmpuint(mtu, ==, 1400);
    virtio_guest_stop_ring(&g, 0);
    virtio_guest_stop_ring(&g, 1);
    g.dev->ops->reset(g.dev);
    g.dev->ops->get_config(g.dev, 10, (uint8_t *)&mtu, 2);
    g_assert_cmpuint(mtu, ==, 1500);
    virtio_guest_down(&g);
}

/* One that the netdev's frames do not have is refused at once; 0 is none. */
static void test_mtu_of_options(void)
{
    static const struct {
        uint16_t mtu;
        bool fits;
    } rows[] = { { 0, true }, { 1500, true }, { 68, true }, { 1501, false }, { 67, false } };
    g_autoptr(Netdev) peer = fake_netdev_new(1, true);
    const VirtioNetEnv env = { .name = "nic0", .peer = peer };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        const VirtioNetConfig config = { .host_mtu = rows[i].mtu };
        g_autoptr(GError) error = NULL;
        VirtioNet *vn = virtio_net_new(&config, &env, &error);

        g_assert_cmpint(vn != NULL, ==, rows[i].fits);
        g_assert_true(rows[i].fits || strstr(error->message, "does not fit the netdev's of 1500"));
        virtio_net_free(vn);
    }
}

/* The config space ends, and of it only a legacy driver's MAC address may be written. */
static void test_config(void)
{
    static const uint8_t mac[6] = { 2, 3, 4, 5, 6, 7 };
    static const uint8_t zeros[300];
    uint8_t data[300];
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    g_assert_cmphex(g.dev->ops->features(g.dev) & BIT(VIRTIO_NET_F_MAC), !=, 0);
    g_assert_true(g.dev->ops->set_config(g.dev, 0, mac, 6));
    g_assert_false(g.dev->ops->set_config(g.dev, 6, mac, 2));
    g_assert_false(g.dev->ops->set_config(g.dev, 0, mac, 4));
    memset(data, 0xee, sizeof(data));
    g.dev->ops->get_config(g.dev, 0, data, sizeof(data));
    g_assert_cmpmem(data, 6, mac, 6);
    g_assert_cmpmem(data + sizeof(struct virtio_net_config),
                    sizeof(data) - sizeof(struct virtio_net_config), zeros,
                    sizeof(data) - sizeof(struct virtio_net_config));
    g.dev->ops->get_config(g.dev, 1000, data, 4);
    g_assert_cmpmem(data, 4, zeros, 4);
    virtio_guest_down(&g);
}

/* Without checksums there is no segmentation to offer, either way. */
static void test_features_without_csum(void)
{
    g_autoptr(GError) error = NULL;
    VirtioNetConfig config = { .f = { .host_tso4 = true, .host_tso6 = true, .guest_tso4 = true } };
    Netdev *nd = fake_netdev_new(1, true);
    VirtioNetEnv env = { .name = "nic", .peer = nd };
    VirtioNet *vn = virtio_net_new(&config, &env, &error);
    VirtioDevice *dev = virtio_net_device(vn);

    g_assert_cmphex(dev->ops->features(dev) &
                    (BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
                     BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_MAC)), ==, 0);
    virtio_net_free(vn);
    netdev_free(nd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/hw/net/virtio-net/many-pieces/tap", &split, test_many_pieces);
    g_test_add_data_func("/hw/net/virtio-net/many-pieces/plain", &plain, test_many_pieces);
    g_test_add_func("/hw/net/virtio-net/completed-checksum", test_completed_checksum);
    g_test_add_func("/hw/net/virtio-net/rx-chain-to-read", test_rx_chain_to_read);
    g_test_add_func("/hw/net/virtio-net/rx-ring-too-small", test_rx_ring_too_small);
    g_test_add_func("/hw/net/virtio-net/rx-packet-waits-for-used-buffers",
                    test_rx_packet_waits_for_used_buffers);
    g_test_add_func("/hw/net/virtio-net/rx-too-many-pieces", test_rx_too_many_pieces);
    g_test_add_func("/hw/net/virtio-net/rx-packet-before-bad-buffer",
                    test_rx_packet_before_bad_buffer);
    g_test_add_func("/hw/net/virtio-net/rx-stopped-in-a-packet", test_rx_stopped_in_a_packet);
    g_test_add_func("/hw/net/virtio-net/no-events", test_no_events);
    g_test_add_func("/hw/net/virtio-net/events", test_events);
    g_test_add_func("/hw/net/virtio-net/mtu", test_mtu);
    g_test_add_func("/hw/net/virtio-net/mtu-of-options", test_mtu_of_options);
    g_test_add_func("/hw/net/virtio-net/config", test_config);
    g_test_add_func("/hw/net/virtio-net/features-without-csum", test_features_without_csum);
    return g_test_run();
}
