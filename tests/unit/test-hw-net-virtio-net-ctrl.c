/*
 * virtio-net's control queue: each command, and each wrong form of one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "virtio-guest.h"

#define BIT(n)   (1ull << (n))
#define RX       (BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA))
#define OFFLOADS (BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4))
#define ALL      (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |              \
                  BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ) | RX |        \
                  BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |       \
                  BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |             \
                  BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT(VIRTIO_NET_F_HASH_REPORT) | \
                  BIT(VIRTIO_NET_F_RSS) | OFFLOADS)
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define INDIRECT BIT(VIRTIO_RING_F_INDIRECT_DESC)

static const VirtioGuestConfig configs[] = {
    { "split", 2, 64, ALL, .ctrl = true, .rx_len = 1536 },
    { "split-indirect", 2, 64, ALL | INDIRECT, .ctrl = true, .rx_len = 1536 },
    { "packed", 2, 64, ALL | PACKED, .ctrl = true, .rx_len = 1536 },
    { "packed-indirect", 2, 64, ALL | PACKED | INDIRECT, .ctrl = true, .rx_len = 1536 },
};

static const VirtioNetFilter *filter_of(const VirtioGuest *g)
{
    return &g->vn->ctrl->filter;
}

static void command(VirtioGuest *g, uint8_t class, uint8_t cmd, const void *data, size_t len,
                    uint8_t ack)
{
    g_assert_cmpuint(virtio_guest_command(g, class, cmd, data, len), ==, ack);
}

/* The data of MAC_TABLE_SET; what the counts say, and as many addresses. */
static GByteArray *mac_tables(uint32_t say_uni, unsigned uni, uint32_t say_multi, unsigned multi)
{
    GByteArray *a = g_byte_array_new();
    uint32_t counts[2] = { GUINT32_TO_LE(say_uni), GUINT32_TO_LE(say_multi) };
    unsigned n[2] = { uni, multi };

    for (unsigned list = 0; list < 2; list++) {
        g_byte_array_append(a, (const uint8_t *)&counts[list], sizeof(counts[list]));
        for (unsigned i = 0; i < n[list]; i++) {
            uint8_t mac[6] = { (uint8_t)(list ? 0x33 : 0x52), 0x33, 0, 0, (uint8_t)(i >> 8),
                               (uint8_t)i };

            g_byte_array_append(a, mac, sizeof(mac));
        }
    }
    return a;
}

static void set_macs(VirtioGuest *g, unsigned uni, unsigned multi)
{
    g_autoptr(GByteArray) a = mac_tables(uni, uni, multi, multi);

    command(g, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, a->data, a->len,
            VIRTIO_NET_OK);
}

static void test_modes(gconstpointer opaque)
{
    static const size_t mode[] = {
        [VIRTIO_NET_CTRL_RX_PROMISC] = offsetof(VirtioNetFilter, promisc),
        [VIRTIO_NET_CTRL_RX_ALLMULTI] = offsetof(VirtioNetFilter, allmulti),
        [VIRTIO_NET_CTRL_RX_ALLUNI] = offsetof(VirtioNetFilter, alluni),
        [VIRTIO_NET_CTRL_RX_NOMULTI] = offsetof(VirtioNetFilter, nomulti),
        [VIRTIO_NET_CTRL_RX_NOUNI] = offsetof(VirtioNetFilter, nouni),
        [VIRTIO_NET_CTRL_RX_NOBCAST] = offsetof(VirtioNetFilter, nobcast),
    };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    g_assert_true(filter_of(&g)->promisc);
    for (uint8_t i = 0; i < G_N_ELEMENTS(mode); i++) {
        const bool *now = (const bool *)filter_of(&g) + mode[i];

        for (unsigned n = 0; n < 4; n++) {
            uint8_t on = n == 2 ? 0x80 : n & 1; /* any but 0 is on */

            command(&g, VIRTIO_NET_CTRL_RX, i, &on, 1, VIRTIO_NET_OK);
            g_assert_cmpint(*now, ==, on != 0);
        }
    }
    virtio_guest_down(&g);
}

static void test_mac(gconstpointer opaque)
{
    static const uint8_t mac[6] = { 0x02, 1, 2, 3, 4, 5 };
    uint8_t config[6];
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    command(&g, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6, VIRTIO_NET_OK);
    g.dev->ops->get_config(g.dev, 0, config, 6);
    g_assert_cmpmem(config, 6, mac, 6);
    g_assert_cmpmem(filter_of(&g)->mac, 6, mac, 6);
    g_assert_false(g.dev->ops->set_config(g.dev, 0, mac, 6)); /* the old way is shut */
    for (unsigned i = 0; i < g.n_rings; i++) {
        virtio_guest_stop_ring(&g, i);
    }
    g.dev->ops->reset(g.dev);
    g.dev->ops->get_config(g.dev, 0, config, 6);
    g_assert_cmpuint(config[5], ==, 0x56); /* what it was given */
    virtio_guest_down(&g);
}

static void test_mac_table(gconstpointer opaque)
{
    static const struct {
        unsigned uni, multi;
        bool uni_overflow, multi_overflow;
    } t[] = {
        { 0, 0, false, false }, { 3, 5, false, false }, { 64, 0, false, false },
        { 0, 64, false, false }, { 32, 32, false, false }, { 65, 3, true, false },
        { 3, 62, false, true }, { 64, 1, false, true }, { 200, 300, true, true },
        { 1, 1, false, false },
    };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
        const VirtioNetFilter *f = filter_of(&g);

        set_macs(&g, t[i].uni, t[i].multi);
        g_assert_cmpint(f->uni_overflow, ==, t[i].uni_overflow);
        g_assert_cmpint(f->multi_overflow, ==, t[i].multi_overflow);
        g_assert_cmpuint(f->n_uni, ==, t[i].uni_overflow ? 0 : t[i].uni);
        g_assert_cmpuint(f->n_multi, ==, t[i].multi_overflow ? 0 : t[i].multi);
        for (unsigned m = 0; m < f->n_uni + (unsigned)f->n_multi; m++) {
            bool uni = m < f->n_uni;

            g_assert_cmpuint(f->table[m][0], ==, uni ? 0x52 : 0x33);
            g_assert_cmpuint(f->table[m][5], ==, uni ? m : m - f->n_uni);
        }
    }
    virtio_guest_down(&g);
}

/* A table that makes no sense leaves the former one. */
static void test_bad_mac_table(gconstpointer opaque)
{
    static const struct {
        uint32_t say_uni, uni, say_multi, multi;
        unsigned cut; /* bytes off its end */
    } t[] = {
        { 1, 0, 0, 0, 0 }, { 0, 0, 1, 0, 0 }, { 0, 0, 0, 1, 0 }, { 2, 3, 1, 1, 0 },
        { UINT32_MAX, 3, 1, 1, 0 }, { 1, 1, UINT32_MAX, 1, 0 }, { 0x2aaaaaab, 1, 0, 0, 0 },
        { 65, 64, 0, 0, 0 }, { 1, 1, 1, 1, 1 }, { 0, 0, 0, 0, 4 }, { 0, 0, 0, 0, 5 },
        { 0, 0, 0, 0, 8 }, { 2, 2, 0, 0, 4 },
    };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    set_macs(&g, 3, 4);
    for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
        g_autoptr(GByteArray) a = mac_tables(t[i].say_uni, t[i].uni, t[i].say_multi, t[i].multi);

        g_test_message("table %u", i);
        command(&g, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, a->data,
                a->len - t[i].cut, VIRTIO_NET_ERR);
        g_assert_cmpuint(filter_of(&g)->n_uni, ==, 3);
        g_assert_cmpuint(filter_of(&g)->n_multi, ==, 4);
        g_assert_false(filter_of(&g)->uni_overflow || filter_of(&g)->multi_overflow);
    }
    virtio_guest_down(&g);
}

static void test_vlans(gconstpointer opaque)
{
    static const uint16_t good[] = { 0, 1, 7, 8, 100, 4094, 4095 };
    static const uint16_t bad[] = { 4096, 5000, 65535 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    g_assert_true(filter_of(&g)->by_vlan);
    for (unsigned on = 2; on-- > 0;) {
        uint8_t cmd = on ? VIRTIO_NET_CTRL_VLAN_ADD : VIRTIO_NET_CTRL_VLAN_DEL;

        for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
            uint16_t vid = GUINT16_TO_LE(good[i]);

            command(&g, VIRTIO_NET_CTRL_VLAN, cmd, &vid, 2, VIRTIO_NET_OK);
            g_assert_cmpint(virtio_net_filter_has_vlan(filter_of(&g), good[i]), ==, on);
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
            uint16_t vid = GUINT16_TO_LE(bad[i]);

            command(&g, VIRTIO_NET_CTRL_VLAN, cmd, &vid, 2, VIRTIO_NET_ERR);
        }
    }
    virtio_guest_down(&g);
}

static void test_offloads(gconstpointer opaque)
{
    static const uint64_t bad[] = {
        BIT(VIRTIO_NET_F_GUEST_TSO6), BIT(VIRTIO_NET_F_CSUM), BIT(VIRTIO_NET_F_MQ), UINT64_MAX,
        BIT(63), OFFLOADS | 1 << 2,
    };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t want = i % 2 ? OFFLOADS : 0;

        want = GUINT64_TO_LE(i == 2 ? BIT(VIRTIO_NET_F_GUEST_CSUM) : want);
        command(&g, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &want, 8,
                VIRTIO_NET_OK);
        g_assert_cmpint((fake_netdev_offload(g.nd) & NETDEV_CSUM4) != 0, ==, i > 0);
        g_assert_cmpint((fake_netdev_offload(g.nd) & NETDEV_TSO4) != 0, ==, i % 2);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        uint64_t want = GUINT64_TO_LE(bad[i]);

        command(&g, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &want, 8,
                VIRTIO_NET_ERR);
        g_assert_true(fake_netdev_offload(g.nd) & NETDEV_TSO4);
    }
    virtio_guest_down(&g);
}

/* Every command with each number of bytes but the right one, and without its feature. */
static const struct Form {
    uint8_t class, cmd;
    uint8_t len;
    bool more;     /* bytes behind it are nothing to us */
    uint64_t feature;
} forms[] = {
    { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1, true, VIRTIO_NET_F_CTRL_RX },
    { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1, true, VIRTIO_NET_F_CTRL_RX },
    { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, 1, true, VIRTIO_NET_F_CTRL_RX_EXTRA },
    { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, 1, true, VIRTIO_NET_F_CTRL_RX_EXTRA },
    { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, 1, true, VIRTIO_NET_F_CTRL_RX_EXTRA },
    { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, 1, true, VIRTIO_NET_F_CTRL_RX_EXTRA },
    { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 8, false, VIRTIO_NET_F_CTRL_RX },
    { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6, false, VIRTIO_NET_F_CTRL_MAC_ADDR },
    { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 2, true, VIRTIO_NET_F_CTRL_VLAN },
    { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, 2, true, VIRTIO_NET_F_CTRL_VLAN },
    { VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 0, true,
      VIRTIO_NET_F_GUEST_ANNOUNCE },
    { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, true, VIRTIO_NET_F_MQ },
    { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, 13 + 1 /* of a key */, true,
      VIRTIO_NET_F_HASH_REPORT },
    { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, 13 + 1 /* as well */, true,
      VIRTIO_NET_F_RSS },
    { VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, 8, true,
      VIRTIO_NET_F_CTRL_GUEST_OFFLOADS },
};

/* As short as it is good, of zeros but where that is wrong; "the guest announced itself" is due. */
static void form_data(VirtioGuest *g, const struct Form *f, uint8_t *data)
{
    memset(data, 0, 64);
    data[0] = f->class == VIRTIO_NET_CTRL_MQ;
    data[10] = f->cmd == VIRTIO_NET_CTRL_MQ_RSS_CONFIG; /* pairs, behind a table of one */
    data[12] = 1; /* bytes of a key */
    g->vn->status |= VIRTIO_NET_S_ANNOUNCE;
}

static void test_lengths(gconstpointer opaque)
{
    uint8_t data[64];
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        const struct Form *f = &forms[i];

        for (unsigned len = 0; len < f->len + 5u; len++) {
            bool ok = len == f->len || (len > f->len && f->more);

            form_data(&g, f, data);
            g_test_message("class %u, command %u, %u bytes", f->class, f->cmd, len);
            command(&g, f->class, f->cmd, data, len, ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
        }
    }
    virtio_guest_down(&g);
}

static void test_features(gconstpointer opaque)
{
    const VirtioGuestConfig *c = opaque;
    uint8_t data[64];

    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        const struct Form *f = &forms[i];
        VirtioGuestConfig without = *c;
        VirtioGuest g;

        without.features &= ~BIT(f->feature);
        virtio_guest_up(&g, &without);
        virtio_guest_enable(&g, true);
        form_data(&g, f, data);
        command(&g, f->class, f->cmd, data, f->len, VIRTIO_NET_ERR);
        virtio_guest_down(&g);
    }
}

static bool is_form(unsigned class, unsigned cmd)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        if (forms[i].class == class && forms[i].cmd == cmd) {
            return true;
        }
    }
    return false;
}

static void test_unknown(gconstpointer opaque)
{
    static const uint8_t data[64] = { 1 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned class = 0; class < 256; class += class < 9 ? 1 : 41) {
        for (unsigned cmd = 0; cmd < 256; cmd += cmd < 9 ? 1 : 41) {
            if (!is_form(class, cmd)) {
                command(&g, (uint8_t)class, (uint8_t)cmd, data, sizeof(data), VIRTIO_NET_ERR);
            }
        }
    }
    virtio_guest_down(&g);
}

/* A command may come in any pieces, and less than its header, too. */
static void test_pieces(gconstpointer opaque)
{
    static const uint8_t vlan[] = { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 0x23, 0x01 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned piece = 1; piece <= sizeof(vlan); piece++) {
        virtio_net_filter_set_vlan(&g.vn->ctrl->filter, 0x123, false);
        g_assert_true(virtio_guest_command_add(&g, vlan, sizeof(vlan), piece, 1 + piece));
        g_assert_cmpuint(virtio_guest_command_wait(&g, 1), ==, VIRTIO_NET_OK);
        g_assert_true(virtio_net_filter_has_vlan(filter_of(&g), 0x123));
        g_assert_true(virtio_guest_command_add(&g, vlan, piece - 1, 0, 1));
        g_assert_cmpuint(virtio_guest_command_wait(&g, 1), ==, VIRTIO_NET_ERR);
    }
    virtio_guest_down(&g);
}

/* More than a round has, at one kick. */
static void test_many(gconstpointer opaque)
{
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned round = 0; round < 20; round++) {
        unsigned n = 0;

        for (;;) {
            uint8_t vlan[] = { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, (uint8_t)n,
                               (uint8_t)(round % 16) };

            if (!virtio_guest_command_add(&g, vlan, sizeof(vlan), 0, 1)) {
                break;
            }
            n++;
        }
        g_assert_cmpuint(n, >=, 32);
        g_assert_cmpuint(virtio_guest_command_wait(&g, n), ==, VIRTIO_NET_OK);
        for (unsigned i = 0; i < n; i++) {
            g_assert_true(virtio_net_filter_has_vlan(filter_of(&g), round % 16 << 8 | i));
        }
    }
    virtio_guest_down(&g);
}

/* While the device is paused, or the ring disabled, nothing is answered; then all of it is. */
static void test_paused(gconstpointer opaque)
{
    static const uint8_t vlan[] = { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 5, 0 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    for (unsigned way = 0; way < 2; way++) {
        virtio_guest_enable(&g, way == 0);
        virtio_net_pause(g.vn, way == 0);
        virtio_net_filter_set_vlan(&g.vn->ctrl->filter, 5, false);
        g_assert_true(virtio_guest_command_add(&g, vlan, sizeof(vlan), 0, 1));
        virtio_guest_kick(&g, g.n_rings - 1);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        g_assert_false(virtio_net_filter_has_vlan(filter_of(&g), 5));
        virtio_net_pause(g.vn, false);
        virtio_guest_enable(&g, true);
        g_assert_cmpuint(virtio_guest_command_wait(&g, 1), ==, VIRTIO_NET_OK);
        g_assert_true(virtio_net_filter_has_vlan(filter_of(&g), 5));
    }
    virtio_guest_down(&g);
}

/* The ring is stopped with commands on it, and started again: each is answered once. */
static void test_restart(gconstpointer opaque)
{
    static const uint8_t vlan[] = { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 5, 0 };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 12; i++) {
            g_assert_true(virtio_guest_command_add(&g, vlan, sizeof(vlan), 0, 1));
        }
        virtio_guest_kick(&g, g.n_rings - 1);
        for (unsigned i = 0; i < round % 4; i++) {
            g_main_context_iteration(NULL, FALSE);
        }
        virtio_guest_stop_ring(&g, g.n_rings - 1);
        virtio_guest_start_ring(&g, g.n_rings - 1);
        g_assert_cmpuint(virtio_guest_command_wait(&g, 12), ==, VIRTIO_NET_OK);
    }
    virtio_guest_down(&g);
}

/* --- what ends the ring --- */

static void on_broken(void *opaque, unsigned index, const char *reason)
{
    char **text = opaque;

    g_assert_null(*text);
    *text = g_strdup_printf("%u %s", index, reason);
}

static void on_config(void *opaque)
{
}

static void on_config_counted(void *opaque)
{
    (*(unsigned *)opaque)++;
}

static void on_never_broken(void *opaque, unsigned index, const char *reason)
{
    g_assert_not_reached();
}

static bool announce_is_due(VirtioGuest *g)
{
    uint16_t status;

    g->dev->ops->get_config(g->dev, offsetof(struct virtio_net_config, status), (uint8_t *)&status,
                            sizeof(status));
    g_assert_true(GUINT16_FROM_LE(status) & VIRTIO_NET_S_LINK_UP);
    return GUINT16_FROM_LE(status) & VIRTIO_NET_S_ANNOUNCE;
}

/* The guest is asked to announce itself until it says that it did. */
static void test_announce(gconstpointer opaque)
{
    static const VirtioTransportOps counting = {
        .config_changed = on_config_counted, .ring_broken = on_never_broken,
    };
    VirtioGuestConfig c = *(const VirtioGuestConfig *)opaque;
    unsigned changes = 0;
    VirtioGuest g;

    virtio_guest_up(&g, &c);
    g.dev->transport = &counting;
    g.dev->transport_opaque = &changes;
    virtio_guest_enable(&g, true);
    for (unsigned i = 1; i < 4; i++) {
        command(&g, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0,
                VIRTIO_NET_ERR);
        g.dev->ops->announce(g.dev, g.vn->mac);
        g_assert_cmpuint(changes, ==, i);
        g_assert_true(announce_is_due(&g));
        command(&g, VIRTIO_NET_CTRL_ANNOUNCE, 1, NULL, 0, VIRTIO_NET_ERR);
        g_assert_true(announce_is_due(&g));
        command(&g, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0,
                VIRTIO_NET_OK);
        g_assert_false(announce_is_due(&g));
    }
    virtio_guest_down(&g);
    c.features &= ~BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
    virtio_guest_up(&g, &c);
    g.dev->ops->announce(g.dev, g.vn->mac);
    g_assert_false(announce_is_due(&g));
    virtio_guest_down(&g);
}

static const VirtioTransportOps transport = {
    .config_changed = on_config, .ring_broken = on_broken,
};

static void test_no_room(gconstpointer opaque)
{
    static const uint8_t vlan[] = { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 5, 0 };
    g_autofree char *text = NULL;
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    g.dev->transport = &transport;
    g.dev->transport_opaque = &text;
    virtio_guest_enable(&g, true);
    g_assert_true(virtio_guest_command_add(&g, vlan, sizeof(vlan), 0, 0));
    virtio_guest_kick(&g, g.n_rings - 1);
    while (!text) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpstr(text, ==, "4 virtio-net ctrl missing headers");
    virtio_guest_kick(&g, g.n_rings - 1);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_false(virtio_net_filter_has_vlan(filter_of(&g), 5));
    virtio_guest_down(&g);
}

static void on_filter(void *opaque)
{
    (*(unsigned *)opaque)++;
}

/* Once, whatever the driver does, until somebody looks; and not for what filters nothing. */
static void test_filter_is_told(gconstpointer opaque)
{
    static const uint8_t vid[2] = { 5, 0 }, pairs[2] = { 1, 0 }, off = 0, bad[2] = { 0, 0x10 };
    unsigned told = 0;
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    g.vn->env.filter_changed = on_filter;
    g.vn->env.opaque = &told;
    virtio_guest_enable(&g, true);
    for (unsigned i = 1; i < 4; i++) {
        command(&g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs, 2, VIRTIO_NET_OK);
        command(&g, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, bad, 2, VIRTIO_NET_ERR);
        g_assert_cmpuint(told, ==, i - 1);
        command(&g, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1, VIRTIO_NET_OK);
        g_assert_cmpuint(told, ==, i);
        command(&g, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, vid, 2, VIRTIO_NET_OK);
        set_macs(&g, i, 1);
        g_assert_cmpuint(told, ==, i);
        g_assert_true(virtio_net_rx_filter(g.vn) == filter_of(&g));
        g_assert_cmpuint(filter_of(&g)->n_uni, ==, i);
    }
    virtio_guest_down(&g);
    g_assert_cmpuint(told, ==, 3); /* nor for a reset */
}

static void test_bad_address(gconstpointer opaque)
{
    VirtqDriverPiece piece[2] = { { UINT64_MAX - 100, 4 }, { 0x1000, 1 } };
    VirtqDriver *driver;
    uint16_t id;
    uint32_t len;
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    driver = g.ring[g.n_rings - 1].driver;
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpint(virtq_driver_add(driver, piece, 1, 1), >=, 0);
        virtio_guest_kick(&g, g.n_rings - 1);
        while (!virtq_driver_get(driver, &id, &len)) {
            g_main_context_iteration(NULL, TRUE);
        }
        g_assert_cmpuint(len, ==, 0);
    }
    set_macs(&g, 1, 1);
    virtio_guest_down(&g);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        GTestDataFunc fn;
    } tests[] = {
        { "modes", test_modes },
        { "mac", test_mac },
        { "mac-table", test_mac_table },
        { "bad-mac-table", test_bad_mac_table },
        { "vlans", test_vlans },
        { "offloads", test_offloads },
        { "announce", test_announce },
        { "lengths", test_lengths },
        { "features", test_features },
        { "unknown", test_unknown },
        { "pieces", test_pieces },
        { "many", test_many },
        { "paused", test_paused },
        { "restart", test_restart },
        { "no-room", test_no_room },
        { "filter-is-told", test_filter_is_told },
        { "bad-address", test_bad_address },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(configs); i++) {
        for (unsigned t = 0; t < G_N_ELEMENTS(tests); t++) {
            g_autofree char *path = g_strdup_printf("/hw/net/virtio-net/ctrl/%s/%s",
                                                    tests[t].name, configs[i].name);

            g_test_add_data_func(path, &configs[i], tests[t].fn);
        }
    }
    return g_test_run();
}
