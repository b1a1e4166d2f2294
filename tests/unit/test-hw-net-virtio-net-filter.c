/*
 * Which frames a virtio-net's driver wants, and what becomes of the others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "hw/net/virtio-net-filter.h"
#include "virtio-guest.h"

#define BIT(n)   (1ull << (n))
#define FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |              \
                  BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |               \
                  BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_VLAN) |       \
                  BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))
#define MRG      BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED   BIT(VIRTIO_F_RING_PACKED)

static const uint8_t own[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static const uint8_t other[6] = { 0x52, 0x54, 0x00, 0x65, 0x43, 0x21 };
static const uint8_t group[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* --- the rules --- */

/* Of a frame without a tag (@vid < 0), or with one. */
static bool takes(const VirtioNetFilter *f, const uint8_t *mac, int vid)
{
    uint8_t frame[VIRTIO_NET_FILTER_BYTES] = { 0 };

    memcpy(frame, mac, ETH_ALEN);
    frame[12] = vid < 0 ? 0x08 : 0x81;
    frame[14] = (uint8_t)(0xe0 | (vid >> 8 & 0xf)); /* a priority, too */
    frame[15] = (uint8_t)vid;
    return virtio_net_filter_takes(f, frame);
}

static void test_rules(void)
{
    static const struct {
        const char *set; /* flags, by letter */
        bool own, other, group, all;
    } rules[] = {
        { "p", true, true, true, true },
        { "", true, false, false, true },
        { "m", true, false, true, true },
        { "u", true, true, false, true },
        { "um", true, true, true, true },
        { "Mm", true, false, false, true },  /* no is more than all */
        { "Uu", false, false, false, true },
        { "B", true, false, false, false },
        { "Bm", true, false, true, false },
        { "pUMB", true, true, true, true },
        { "o", true, true, false, true },    /* overflow */
        { "O", true, false, true, true },
        { "oU", false, false, false, true },
        { "OM", true, false, false, true },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rules); i++) {
        const char *s = rules[i].set;
        VirtioNetFilter f;

        virtio_net_filter_init(&f, own);
        f.promisc = strchr(s, 'p') != NULL;
        f.allmulti = strchr(s, 'm') != NULL;
        f.alluni = strchr(s, 'u') != NULL;
        f.nomulti = strchr(s, 'M') != NULL;
        f.nouni = strchr(s, 'U') != NULL;
        f.nobcast = strchr(s, 'B') != NULL;
        f.uni_overflow = strchr(s, 'o') != NULL;
        f.multi_overflow = strchr(s, 'O') != NULL;
        g_test_message("'%s'", s);
        g_assert_cmpint(takes(&f, own, -1), ==, rules[i].own);
        g_assert_cmpint(takes(&f, other, -1), ==, rules[i].other);
        g_assert_cmpint(takes(&f, group, -1), ==, rules[i].group);
        g_assert_cmpint(takes(&f, all, -1), ==, rules[i].all);
    }
}

/* Unicast addresses are in the table's first part, those of groups in the second. */
static void test_table(void)
{
    VirtioNetFilter f;

    virtio_net_filter_init(&f, own);
    f.promisc = false;
    f.n_uni = 1;
    f.n_multi = 1;
    memcpy(f.table[0], other, 6);
    memcpy(f.table[1], group, 6);
    g_assert_true(takes(&f, other, -1));
    g_assert_true(takes(&f, group, -1));
    f.n_multi = 0;
    g_assert_false(takes(&f, group, -1));
    f.n_uni = 0;
    f.n_multi = 1;
    memcpy(f.table[0], group, 6);
    g_assert_false(takes(&f, other, -1));
    g_assert_true(takes(&f, group, -1));
}

static void test_vlans(void)
{
    VirtioNetFilter f;

    virtio_net_filter_init(&f, own);
    f.by_vlan = true;
    g_assert_true(takes(&f, own, 5)); /* promiscuous */
    f.promisc = false;
    for (unsigned vid = 0; vid < VIRTIO_NET_FILTER_VLANS; vid++) {
        g_assert_false(takes(&f, own, (int)vid));
        virtio_net_filter_set_vlan(&f, vid, true);
        g_assert_true(takes(&f, own, (int)vid));
        g_assert_false(takes(&f, own, (int)(vid ^ 1)));
        g_assert_false(takes(&f, other, (int)vid));
        virtio_net_filter_set_vlan(&f, vid, false);
        g_assert_false(virtio_net_filter_has_vlan(&f, vid));
    }
    g_assert_true(takes(&f, own, -1));
    f.by_vlan = false;
    g_assert_true(takes(&f, own, 5));
}

/* --- packets --- */

static void give(VirtioGuest *g, const uint8_t *mac, uint32_t len, unsigned seed)
{
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);

    pkt->len = len;
    memset(pkt->data, (int)seed, len);
    memcpy(pkt->data, mac, ETH_ALEN);
    fake_netdev_give(g->nd, 0, pkt);
}

static void take(VirtioGuest *g, const uint8_t *mac, uint32_t len, unsigned seed)
{
    g_autofree FakePkt *got = g_new0(FakePkt, 1);

    g_assert_true(virtio_guest_recv(g, 0, got, VIRTIO_GUEST_WAIT_MS));
    g_assert_cmpuint(got->len, ==, len);
    g_assert_cmpmem(got->data, ETH_ALEN, mac, ETH_ALEN);
    g_assert_cmpuint(got->data[len - 1], ==, seed & 0xff);
    virtio_guest_post(g, 0, 64);
}

static void set_mode(VirtioGuest *g, uint8_t mode, uint8_t on)
{
    g_assert_cmpuint(virtio_guest_command(g, VIRTIO_NET_CTRL_RX, mode, &on, 1), ==, VIRTIO_NET_OK);
}

/*
 * Frames that are not wanted leave no trace, whatever their length and the buffers that they were
 * read into, and take none of the guest's.
 */
static void test_dropped(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    uint32_t max = c->features & MRG ? 5000 : c->rx_len - 12;
    unsigned dropped = 0;
    VirtioGuest g;

    virtio_guest_up(&g, c);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 64);
    set_mode(&g, VIRTIO_NET_CTRL_RX_PROMISC, 0);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 24; i++) {
            uint32_t len = 60 + (round * 211 + i * 379) % (max - 60);

            give(&g, i % 3 == round % 3 ? own : other, len, i);
            dropped += i % 3 != round % 3;
        }
        for (unsigned i = round % 3; i < 24; i += 3) {
            take(&g, own, 60 + (round * 211 + i * 379) % (max - 60), i);
        }
    }
    give(&g, own, 60, 1); /* behind it there is nothing that is not counted */
    take(&g, own, 60, 1);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_filter), ==, dropped);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.packets), ==, 20 * 8 + 1);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_full), ==, 0);
    virtio_guest_down(&g);
}

/* Each command is true of what comes after its answer. */
static void test_modes(gconstpointer opaque)
{
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 64);
    for (unsigned i = 0; i < 50; i++) {
        set_mode(&g, VIRTIO_NET_CTRL_RX_PROMISC, 1);
        give(&g, other, 60, i);
        take(&g, other, 60, i);
        set_mode(&g, VIRTIO_NET_CTRL_RX_PROMISC, 0);
        give(&g, other, 60, i);
        give(&g, group, 60, i);
        give(&g, all, 60, i);
        take(&g, all, 60, i);
        set_mode(&g, VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
        give(&g, group, 60, i);
        take(&g, group, 60, i);
        set_mode(&g, VIRTIO_NET_CTRL_RX_ALLMULTI, 0);
        set_mode(&g, VIRTIO_NET_CTRL_RX_NOBCAST, 1);
        give(&g, all, 60, i);
        give(&g, own, 60, i);
        take(&g, own, 60, i);
        set_mode(&g, VIRTIO_NET_CTRL_RX_NOBCAST, 0);
        set_mode(&g, VIRTIO_NET_CTRL_RX_NOUNI, 1);
        give(&g, own, 60, i);
        give(&g, all, 60, i);
        take(&g, all, 60, i);
        set_mode(&g, VIRTIO_NET_CTRL_RX_NOUNI, 0);
    }
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_filter), ==, 50 * 4);
    virtio_guest_down(&g);
}

/* After a reset all is wanted. */
static void test_reset(gconstpointer opaque)
{
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    set_mode(&g, VIRTIO_NET_CTRL_RX_PROMISC, 0);
    for (unsigned i = 0; i < g.n_rings; i++) {
        virtio_guest_stop_ring(&g, i);
    }
    g.dev->ops->reset(g.dev);
    g_assert_true(g.dev->ops->set_features(g.dev, g.features, NULL));
    for (unsigned i = 0; i < g.n_rings; i++) {
        virtio_guest_start_ring(&g, i);
    }
    virtio_guest_post(&g, 0, 64);
    give(&g, other, 60, 3);
    take(&g, other, 60, 3);
    virtio_guest_down(&g);
}

/* Where none of 64 buffers is left, what is dropped still is, and the rest arrives. */
static void test_few_buffers(gconstpointer opaque)
{
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 1);
    set_mode(&g, VIRTIO_NET_CTRL_RX_PROMISC, 0);
    for (unsigned i = 0; i < 200; i++) {
        give(&g, other, 60, i);
        give(&g, own, 60, i);
    }
    for (unsigned i = 0; i < 200; i++) {
        g_autofree FakePkt *got = g_new0(FakePkt, 1);

        g_assert_true(virtio_guest_recv(&g, 0, got, VIRTIO_GUEST_WAIT_MS));
        g_assert_cmpuint(got->data[59], ==, i & 0xff);
        virtio_guest_post(&g, 0, 1);
    }
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_full), ==, 0);
    virtio_guest_down(&g);
}

/* A frame that needs nearly the whole ring waits for the buffer that one before it has. */
static void test_whole_ring(void)
{
    static const VirtioGuestConfig c = {
        "whole-ring", 1, 16, FEATURES | MRG, .ctrl = true, .rx_len = 300
    };
    VirtioGuest g;

    virtio_guest_up(&g, &c);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 16);
    set_mode(&g, VIRTIO_NET_CTRL_RX_PROMISC, 0);
    virtio_net_pause(g.vn, true);
    give(&g, other, 60, 1);
    give(&g, own, 60, 2);
    give(&g, own, 15 * 300, 3); /* with its header in 16 */
    virtio_net_pause(g.vn, false);
    take(&g, own, 60, 2);
    take(&g, own, 15 * 300, 3);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_full), ==, 0);
    virtio_guest_down(&g);
}

int main(int argc, char **argv)
{
    static const VirtioGuestConfig configs[] = {
        { "split", 1, 64, FEATURES | MRG, .ctrl = true, .rx_len = 1536 },
        { "packed", 1, 64, FEATURES | MRG | PACKED, .ctrl = true, .rx_len = 1536 },
        { "small-buffers", 1, 64, FEATURES | MRG, .ctrl = true, .rx_len = 300 },
        { "in-pieces", 1, 128, FEATURES, .ctrl = true, .rx_len = 2000, .rx_pieces = 3 },
        { "no-vnet-hdr", 1, 64, FEATURES | MRG, .no_vnet_hdr = true, .ctrl = true, .rx_len = 1536 },
    };
    static const struct {
        const char *name;
        GTestDataFunc fn;
    } tests[] = {
        { "dropped", test_dropped },
        { "modes", test_modes },
        { "reset", test_reset },
        { "few-buffers", test_few_buffers },
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/net/virtio-net/filter/rules", test_rules);
    g_test_add_func("/hw/net/virtio-net/filter/table", test_table);
    g_test_add_func("/hw/net/virtio-net/filter/vlans", test_vlans);
    g_test_add_func("/hw/net/virtio-net/filter/whole-ring", test_whole_ring);
    for (unsigned i = 0; i < G_N_ELEMENTS(configs); i++) {
        for (unsigned t = 0; t < G_N_ELEMENTS(tests); t++) {
            g_autofree char *path = g_strdup_printf("/hw/net/virtio-net/filter/%s/%s",
                                                    tests[t].name, configs[i].name);

            g_test_add_data_func(path, &configs[i], tests[t].fn);
        }
    }
    return g_test_run();
}
