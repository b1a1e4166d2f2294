/*
 * The hash that a driver asked for, in the header of each packet; and each wrong way to ask.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "frames.h"
#include "virtio-guest.h"

#define BIT(n)   (1ull << (n))
#define TYPES    VIRTIO_NET_HASH_TYPES
#define HASH     (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |              \
                  BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |               \
                  BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_HASH_REPORT))
#define MRG      BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED   BIT(VIRTIO_F_RING_PACKED)

static const VirtioGuestConfig configs[] = {
    { "split", 2, 64, HASH, .ctrl = true, .rx_len = 2048 },
    { "split-mrg", 2, 64, HASH | MRG, .ctrl = true, .rx_len = 100 },
    { "split-mrg-pieces", 2, 64, HASH | MRG, .ctrl = true, .rx_len = 90, .rx_pieces = 6 },
    { "packed", 2, 64, HASH | PACKED, .ctrl = true, .rx_len = 2048, .rx_pieces = 3 },
    { "packed-mrg", 2, 64, HASH | MRG | PACKED, .ctrl = true, .rx_len = 100 },
    { "no-vnet-hdr", 2, 64, HASH, .no_vnet_hdr = true, .ctrl = true, .rx_len = 2048 },
};

typedef struct HashCommand {
    uint32_t types;
    uint16_t reserved[4];
    uint8_t key_len;
    uint8_t key[VIRTIO_NET_HASH_KEY + 8];
} __attribute__((packed)) HashCommand;

static HashCommand hash_command(uint32_t types, uint8_t key_len)
{
    HashCommand c = { .types = GUINT32_TO_LE(types), .reserved = { 1, 2, 3, 4 },
                      .key_len = key_len };

    for (unsigned i = 0; i < sizeof(c.key); i++) {
        c.key[i] = (uint8_t)(i * 37 + 11);
    }
    return c;
}

static uint8_t configure(VirtioGuest *g, const HashCommand *c, size_t key_bytes)
{
    return virtio_guest_command(g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, c,
                                offsetof(HashCommand, key) + key_bytes);
}

static void give(VirtioGuest *g, FakePkt *pkt, const FrameSpec *s)
{
    memset(&pkt->hdr, 0, sizeof(pkt->hdr));
    pkt->len = (uint32_t)frame_build(pkt->data, s);
    fake_netdev_give(g->nd, 0, pkt);
}

static const FrameSpec specs[] = {
    { .ip_version = 4, .payload = 700 },
    { .ip_version = 4, .udp = true, .vlans = 1, .ip_extra = 8, .payload = 10 },
    { .ip_version = 6, .payload = 300 },
    { .ip_version = 6, .udp = true, .vlans = 2, .payload = 40 },
    { .ip_version = 6, .ip_extra = 16, .payload = 90 },
};

static const uint16_t reports[] = {
    VIRTIO_NET_HASH_REPORT_TCPv4, VIRTIO_NET_HASH_REPORT_UDPv4, VIRTIO_NET_HASH_REPORT_TCPv6,
    VIRTIO_NET_HASH_REPORT_UDPv6, VIRTIO_NET_HASH_REPORT_TCPv6_EX,
};

/* One of each arrives, whole, with the hash by @c's key if @on. */
static void check_packets(VirtioGuest *g, const HashCommand *c, bool on)
{
    g_autofree FakePkt *sent = g_new0(FakePkt, 1);
    g_autofree FakePkt *got = g_new0(FakePkt, 1);
    VirtioNetHash h;

    virtio_net_hash_init(&h, TYPES, c->key, MIN(c->key_len, VIRTIO_NET_HASH_KEY));
    for (unsigned i = 0; i < G_N_ELEMENTS(specs); i++) {
        uint32_t want = 0;
        uint16_t report = 0;

        virtio_guest_post(g, 0, g->c.size);
        give(g, sent, &specs[i]);
        if (on) {
            report = virtio_net_hash_frame(&h, sent->data, sent->len, &want);
            g_assert_cmpuint(report, ==, reports[i]);
        }
        g_assert_true(virtio_guest_recv(g, 0, got, VIRTIO_GUEST_WAIT_MS));
        g_assert_cmpmem(got->data, got->len, sent->data, sent->len);
        g_assert_cmpuint(GUINT16_FROM_LE(g->hash.hash_report), ==, report);
        g_assert_cmphex(GUINT32_FROM_LE(g->hash.hash_value), ==, want);
        g_assert_cmpuint(g->hash.padding, ==, 0);
    }
}

static void test_report(gconstpointer opaque)
{
    HashCommand c = hash_command(TYPES, VIRTIO_NET_HASH_KEY);
    HashCommand off = hash_command(0, 0);
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    g_assert_cmpuint(g.hdr_len, ==, 20);
    virtio_guest_enable(&g, true);
    check_packets(&g, &c, false);
    for (uint8_t len = VIRTIO_NET_HASH_KEY; len > 20; len -= 13) {
        c.key_len = len;
        g_assert_cmpuint(configure(&g, &c, len), ==, VIRTIO_NET_OK);
        check_packets(&g, &c, true);
    }
    g_assert_cmpuint(configure(&g, &off, 0), ==, VIRTIO_NET_OK);
    check_packets(&g, &c, false);
    virtio_guest_down(&g);
}

/* The long header is the driver's, too. */
static void test_tx(gconstpointer opaque)
{
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    pkt->len = (uint32_t)frame_build(pkt->data, &specs[0]);
    for (unsigned i = 0; i < 10; i++) {
        g_autofree FakePkt *got = NULL;

        g_assert_true(virtio_guest_send(&g, 0, pkt));
        virtio_guest_kick(&g, 1);
        got = fake_netdev_take(g.nd, 0, VIRTIO_GUEST_WAIT_MS);
        g_assert_nonnull(got);
        g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
        virtio_guest_wait_sent(&g, 0, 1);
    }
    virtio_guest_down(&g);
}

/* What is refused changes nothing. */
static void test_wrong(gconstpointer opaque)
{
    const HashCommand good = hash_command(TYPES, VIRTIO_NET_HASH_KEY);
    const struct {
        HashCommand c;
        size_t key_bytes;
    } wrong[] = {
        { hash_command(TYPES + 1, 40), 40 },      /* types that there are not */
        { hash_command(BIT(31), 40), 40 },
        { hash_command(TYPES, 41), 41 },          /* a longer key */
        { hash_command(TYPES, 255), 48 },
        { hash_command(TYPES, 40), 39 },          /* a key that is not all there */
        { hash_command(0, 1), 0 },
        { hash_command(1, 0), 0 },                /* none */
    };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    g_assert_cmpuint(configure(&g, &good, 40), ==, VIRTIO_NET_OK);
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_cmpuint(configure(&g, &wrong[i].c, wrong[i].key_bytes), ==, VIRTIO_NET_ERR);
        check_packets(&g, &good, true);
    }
    virtio_guest_down(&g);
}

/* Another driver has not asked. */
static void test_reset(gconstpointer opaque)
{
    const HashCommand c = hash_command(TYPES, VIRTIO_NET_HASH_KEY);
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    g_assert_cmpuint(configure(&g, &c, 40), ==, VIRTIO_NET_OK);
    g_assert_nonnull(virtio_net_live_hash(g.vn));
    for (unsigned i = 0; i < g.n_rings; i++) {
        virtio_guest_stop_ring(&g, i);
    }
    g.dev->ops->reset(g.dev);
    g_assert_null(virtio_net_live_hash(g.vn));
    virtio_guest_down(&g);
}

static void test_config_space(gconstpointer opaque)
{
    struct virtio_net_config c;
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    g.dev->ops->get_config(g.dev, 0, (uint8_t *)&c, sizeof(c));
    g_assert_cmpuint(c.rss_max_key_size, ==, 40);
    g_assert_cmphex(GUINT32_FROM_LE(c.supported_hash_types), ==, TYPES);
    virtio_guest_down(&g);
}

/* Where somebody else has the control queue, nobody could tell us of it. */
static void test_not_offered(void)
{
    const VirtioGuestConfig c = { "no-ctrl", 1, 64, ~0ull, .rx_len = 2048 };
    struct virtio_net_config config;
    VirtioGuest g;

    virtio_guest_up(&g, &c);
    g_assert_cmpint(g.features & BIT(VIRTIO_NET_F_HASH_REPORT), ==, 0);
    g.dev->ops->get_config(g.dev, 0, (uint8_t *)&config, sizeof(config));
    g_assert_cmpuint(config.rss_max_key_size, ==, 0);
    g_assert_cmphex(config.supported_hash_types, ==, 0);
    virtio_guest_down(&g);
}

static void add(const char *name, void (*fn)(gconstpointer))
{
    for (unsigned i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autofree char *path = g_strdup_printf("/virtio-net-report/%s/%s", configs[i].name, name);

        g_test_add_data_func(path, &configs[i], fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("report", test_report);
    add("tx", test_tx);
    add("wrong", test_wrong);
    add("reset", test_reset);
    add("config-space", test_config_space);
    g_test_add_func("/virtio-net-report/not-offered", test_not_offered);
    return g_test_run();
}
