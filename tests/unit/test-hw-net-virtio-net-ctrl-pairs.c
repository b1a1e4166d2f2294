/*
 * Pairs of a virtio-net that its driver switches by the control queue, and where that queue is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "virtio-guest.h"

#define BIT(n)   (1ull << (n))
#define SINGLE   (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) |               \
                  BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_NET_F_CTRL_VQ))
#define MULTI    (SINGLE | BIT(VIRTIO_NET_F_MQ))
#define PACKED   BIT(VIRTIO_F_RING_PACKED)

static uint8_t set_pairs(VirtioGuest *g, unsigned n)
{
    uint16_t le = GUINT16_TO_LE((uint16_t)n);

    return virtio_guest_command(g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le,
                                sizeof(le));
}

static FakePkt *packet_new(unsigned seed)
{
    FakePkt *pkt = g_new0(FakePkt, 1);

    pkt->len = 100;
    memset(pkt->data, (int)seed, pkt->len);
    return pkt;
}

static void send_and_take(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(seed);
    g_autofree FakePkt *got = NULL;

    g_assert_true(virtio_guest_send(g, pair, pkt));
    virtio_guest_kick(g, 2 * pair + 1);
    got = fake_netdev_take(g->nd, pair, VIRTIO_GUEST_WAIT_MS);
    g_assert_nonnull(got);
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
    virtio_guest_wait_sent(g, pair, 1);
}

static void give(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(seed);

    fake_netdev_give(g->nd, pair, pkt);
}

static void recv_one(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *got = g_new0(FakePkt, 1);

    g_assert_true(virtio_guest_recv(g, pair, got, VIRTIO_GUEST_WAIT_MS));
    g_assert_cmpuint(got->data[50], ==, seed & 0xff);
    virtio_guest_post(g, pair, 1);
}

static void guest_up(VirtioGuest *g, const VirtioGuestConfig *c)
{
    virtio_guest_up(g, c);
    virtio_guest_enable(g, true);
    for (unsigned i = 0; i < g->n_rings / 2; i++) {
        virtio_guest_post(g, i, 64);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

/* One pair at first; then as many as were asked for, and no others. */
static void test_pairs(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    unsigned now = 1;
    VirtioGuest g;

    guest_up(&g, c);
    g_assert_cmpuint(g.nd->n_active, ==, 1);
    for (unsigned round = 0; round < c->pairs + 2; round++) {
        unsigned n = 1 + round * 5 % c->pairs;

        g_assert_cmpuint(set_pairs(&g, n), ==, VIRTIO_NET_OK);
        g_assert_cmpuint(g.nd->n_active, ==, n);
        now = n;
        for (unsigned pair = 0; pair < now; pair++) {
            send_and_take(&g, pair, round);
            give(&g, pair, round);
            recv_one(&g, pair, round);
        }
        if (now < c->pairs) {
            g_autofree FakePkt *pkt = packet_new(round);

            /* what a pair that is not used sends is taken and forgotten */
            g_assert_true(virtio_guest_send(&g, now, pkt));
            virtio_guest_kick(&g, 2 * now + 1);
            virtio_guest_wait_sent(&g, now, 1);
            g_assert_null(fake_netdev_take(g.nd, now, 0));
        }
    }
    virtio_guest_down(&g);
}

static void test_wrong(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    const unsigned bad[] = { 0, c->pairs + 1, 256, 257, 0x8000, 0x8001, 0xffff };
    VirtioGuest g;

    guest_up(&g, c);
    g_assert_cmpuint(set_pairs(&g, c->pairs), ==, VIRTIO_NET_OK);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpuint(set_pairs(&g, bad[i]), ==, VIRTIO_NET_ERR);
        g_assert_cmpuint(g.nd->n_active, ==, c->pairs);
        send_and_take(&g, c->pairs - 1, i);
    }
    virtio_guest_down(&g);
}

/* What the netdev has for pairs that go is the guest's still, and the others lose nothing. */
static void test_no_loss(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    VirtioGuest g;

    guest_up(&g, c);
    for (unsigned round = 0; round < 5; round++) {
        unsigned n = 1 + round * 3 % c->pairs;

        g_assert_cmpuint(set_pairs(&g, c->pairs), ==, VIRTIO_NET_OK);
        for (unsigned i = 0; i < 8; i++) {
            for (unsigned pair = 0; pair < c->pairs; pair++) {
                give(&g, pair, i);
            }
        }
        g_assert_cmpuint(set_pairs(&g, n), ==, VIRTIO_NET_OK);
        for (unsigned pair = 0; pair < c->pairs; pair++) {
            for (unsigned i = 0; i < 8; i++) {
                recv_one(&g, pair, i);
            }
        }
    }
    virtio_guest_down(&g);
}

/* A reset has one pair again. */
static void test_reset(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    VirtioGuest g;

    guest_up(&g, c);
    g_assert_cmpuint(set_pairs(&g, c->pairs), ==, VIRTIO_NET_OK);
    for (unsigned i = 0; i < g.n_rings; i++) {
        virtio_guest_stop_ring(&g, i);
    }
    g.dev->ops->reset(g.dev);
    g_assert_true(g.dev->ops->set_features(g.dev, g.features, NULL));
    for (unsigned i = 0; i < g.n_rings; i++) {
        virtio_guest_start_ring(&g, i);
    }
    send_and_take(&g, 0, 1);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_cmpuint(g.nd->n_active, ==, 1);
    virtio_guest_down(&g);
}

/* A driver without VIRTIO_NET_F_MQ has the first pair, the control queue as ring 2, no others. */
static void test_single(void)
{
    static const VirtioGuestConfig c = { "single", 4, 64, SINGLE, .ctrl = true, .rx_len = 1536 };
    VirtioRing ring = { .kick_fd = -1, .call_fd = -1, .enabled = true };
    VirtioGuest g;

    guest_up(&g, &c);
    g_assert_cmpuint(g.n_rings, ==, 3);
    g_assert_cmpuint(g.dev->n_rings, ==, 9);
    g_assert_cmpuint(g.nd->n_active, ==, 1);
    send_and_take(&g, 0, 1);
    give(&g, 0, 2);
    recv_one(&g, 0, 2);
    g_assert_cmpuint(set_pairs(&g, 1), ==, VIRTIO_NET_ERR);
    for (unsigned i = 3; i < 9; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strdup_printf(
            "there is no ring %u with the features that were negotiated", i);

        ring.setup = virtq_driver_setup(g.ring[0].driver);
        g_assert_false(g.dev->ops->ring_start(g.dev, i, &ring, &error));
        g_assert_cmpstr(error->message, ==, text);
    }
    virtio_guest_down(&g);
}

/* An old driver: a header of 10 bytes, and a MAC address that it writes byte by byte. */
static void test_legacy(void)
{
    static const VirtioGuestConfig c = {
        "legacy", 2, 64, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX), .ctrl = true,
        .rx_len = 1536
    };
    static const uint8_t mac[6] = { 2, 3, 4, 5, 6, 7 };
    uint8_t config[6];
    uint8_t on = 0;
    VirtioGuest g;

    guest_up(&g, &c);
    g_assert_cmpuint(g.hdr_len, ==, 10);
    for (uint32_t i = 0; i < 6; i++) {
        g_assert_true(g.dev->ops->set_config(g.dev, i, &mac[i], 1));
    }
    g_assert_false(g.dev->ops->set_config(g.dev, 6, &on, 1));
    g_assert_false(g.dev->ops->set_config(g.dev, 5, mac, 2));
    g_assert_false(g.dev->ops->set_config(g.dev, UINT32_MAX, mac, 2));
    g.dev->ops->get_config(g.dev, 0, config, 6);
    g_assert_cmpmem(config, 6, mac, 6);
    g_assert_cmpuint(virtio_guest_command(&g, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &on,
                                          1), ==, VIRTIO_NET_OK);
    give(&g, 0, 0x40); /* to 40:40:40:... */
    give(&g, 0, 0xff); /* to all */
    recv_one(&g, 0, 0xff);
    send_and_take(&g, 0, 7);
    virtio_guest_down(&g);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        GTestDataFunc fn;
    } tests[] = {
        { "pairs", test_pairs },
        { "wrong", test_wrong },
        { "no-loss", test_no_loss },
        { "reset", test_reset },
    };
    static VirtioGuestConfig configs[2 * VIRTIO_GUEST_MAX_PAIRS];

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/net/virtio-net/ctrl-pairs/single", test_single);
    g_test_add_func("/hw/net/virtio-net/ctrl-pairs/legacy", test_legacy);
    for (unsigned i = 0; i < G_N_ELEMENTS(configs); i++) {
        bool packed = i % 2 == 1;

        configs[i] = (VirtioGuestConfig){
            packed ? "packed" : "split", 1 + i / 2, 64, packed ? MULTI | PACKED : MULTI,
            .ctrl = true, .rx_len = 1536
        };
        for (unsigned t = 0; t < G_N_ELEMENTS(tests); t++) {
            g_autofree char *path = g_strdup_printf("/hw/net/virtio-net/ctrl-pairs/%s/%s-%u",
                                                    tests[t].name, configs[i].name,
                                                    configs[i].pairs);

            g_test_add_data_func(path, &configs[i], tests[t].fn);
        }
    }
    return g_test_run();
}
