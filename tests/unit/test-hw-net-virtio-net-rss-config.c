/*
 * What a driver may say of receive-side scaling, each wrong form of it, and what else ends it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "rss-guest.h"
#include "virtio-net-slots.h"

#define BIT(n)   (1ull << (n))
#define RSS      (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |              \
                  BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_RSS))
#define MQ       BIT(VIRTIO_NET_F_MQ)
#define HASH     BIT(VIRTIO_NET_F_HASH_REPORT)
#define PAIRS    4u

static const VirtioGuestConfig configs[] = {
    { "plain", PAIRS, 64, RSS, .ctrl = true, .rx_len = 2048 },
    { "all", PAIRS, 64, RSS | MQ | HASH | BIT(VIRTIO_F_RING_PACKED), .ctrl = true,
      .rx_len = 2048 },
};

static const VirtioNetRss *rss_of(const VirtioGuest *g)
{
    return &g->vn->ctrl->rss;
}

static void guest_up(VirtioGuest *g, gconstpointer config)
{
    virtio_guest_up(g, config);
    virtio_guest_enable(g, true);
    g_assert_null(virtio_net_live_steering(g->vn));
    g_assert_cmpuint(g->n_rings, ==, 2 * PAIRS + 1);
}

/* The threads have it. */
static void expect(const VirtioGuest *g, const RssCommand *c)
{
    const VirtioNetSteering *st = virtio_net_live_steering(g->vn);

    g_assert_nonnull(st);
    g_assert_nonnull(virtio_net_live_slots(g->vn));
    g_assert_null(virtio_net_live_hash(g->vn)); /* it is computed once */
    g_assert_cmphex(st->hash.types, ==, c->types);
    g_assert_cmpmem(st->hash.key, c->key_len, rss_key, c->key_len);
    g_assert_cmpuint(st->rss.len, ==, c->mask + 1u);
    g_assert_cmpuint(st->rss.unclassified, ==, c->unclassified % c->pairs);
    for (unsigned i = 0; i < st->rss.len; i++) {
        g_assert_cmpuint(st->rss.table[i], ==, c->table[i] % c->pairs);
    }
    g_assert_cmpuint(g->nd->n_active, ==, c->pairs);
    for (unsigned i = 0; i < PAIRS; i++) {
        g_assert_cmpint(slots_is_open(virtio_net_live_slots(g->vn)->pair[i]), ==, i < c->pairs);
    }
}

static void expect_off(const VirtioGuest *g)
{
    g_assert_false(rss_of(g)->on);
    g_assert_null(virtio_net_live_steering(g->vn));
    g_assert_null(virtio_net_live_slots(g->vn));
    g_assert_null(g->vn->ctrl->slots); /* nor any memory for it */
}

static void configure(VirtioGuest *g, const RssCommand *c)
{
    g_assert_cmpuint(rss_configure(g, c), ==, VIRTIO_NET_OK);
}

static void test_tables(gconstpointer opaque)
{
    VirtioGuest g;

    guest_up(&g, opaque);
    for (unsigned len = 1; len <= 128; len *= 2) {
        for (unsigned pairs = 1; pairs <= PAIRS; pairs++) {
            RssCommand c = rss_command(pairs, len);

            c.unclassified = (uint16_t)((len + pairs) % PAIRS);
            configure(&g, &c);
            expect(&g, &c);
        }
    }
    virtio_guest_down(&g);
}

/* As in QEMU an entry is taken modulo the pairs that are used. */
static void test_entries_of_other_pairs(gconstpointer opaque)
{
    RssCommand c = rss_command(3, 8);
    VirtioGuest g;

    for (unsigned i = 0; i < 8; i++) {
        c.table[i] = (uint16_t)(i * 9000 + 2);
    }
    c.unclassified = 3; /* one that there is */
    guest_up(&g, opaque);
    configure(&g, &c);
    expect(&g, &c);
    virtio_guest_down(&g);
}

static void test_keys(gconstpointer opaque)
{
    RssCommand c = rss_command(2, 4);
    VirtioGuest g;

    guest_up(&g, opaque);
    for (unsigned len = 1; len <= RSS_KEY; len += 13) {
        c.key_len = (uint8_t)len;
        c.key_bytes = len + 3; /* what is behind it is nothing to us */
        configure(&g, &c);
        expect(&g, &c);
    }
    virtio_guest_down(&g);
}

/* What is refused changes nothing. */
static void test_wrong(gconstpointer opaque)
{
    RssCommand good = rss_command(3, 8), bad[18];
    unsigned n = 0;
    VirtioGuest g;

    good.unclassified = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        bad[i] = rss_command(2, 16);
    }
    bad[n++].types = VIRTIO_NET_HASH_TYPES + 1; /* types that there are not */
    bad[n++].types = 1u << 31;
    bad[n++].mask = 128;                 /* a longer table, though it is there */
    bad[n - 1].n_table = 129;
    bad[n++].mask = 0xffff;
    bad[n++].mask = 2;                   /* no power of 2 */
    bad[n++].mask = 14;
    bad[n++].unclassified = PAIRS;       /* a pair that there is not */
    bad[n++].unclassified = 0xffff;
    bad[n++].pairs = 0;
    bad[n++].pairs = PAIRS + 1;
    bad[n++].pairs = 0x8001;
    bad[n++].key_len = RSS_KEY + 1;      /* a longer key, though it is there */
    bad[n - 1].key_bytes = RSS_KEY + 1;
    bad[n++].key_len = 0xff;
    bad[n++].key_bytes = RSS_KEY - 1;    /* it is not all there */
    bad[n++].key_len = 0;                /* none */
    bad[n++].n_table = 15;               /* the table is not all there */
    bad[n - 1].key_len = 0xff;
    bad[n++].n_table = 0;
    bad[n - 1].key_bytes = 0;
    bad[n++].types = 0;
    bad[n - 1].key_bytes = 1;
    g_assert_cmpuint(n, ==, G_N_ELEMENTS(bad));
    guest_up(&g, opaque);
    for (unsigned i = 0; i < n; i++) {   /* before there is any, too */
        g_assert_cmpuint(rss_configure(&g, &bad[i]), ==, VIRTIO_NET_ERR);
        expect_off(&g);
    }
    configure(&g, &good);
    for (unsigned i = 0; i < n; i++) {
        g_test_message("command %u", i);
        g_assert_cmpuint(rss_configure(&g, &bad[i]), ==, VIRTIO_NET_ERR);
        expect(&g, &good);
    }
    virtio_guest_down(&g);
}

/* Each byte that a command lacks at its end makes it a wrong one; and it may come in pieces. */
static void test_cut(gconstpointer opaque)
{
    RssCommand good = rss_command(3, 8), other = rss_command(2, 4);
    g_autoptr(GByteArray) a = rss_command_bytes(&other);
    VirtioGuest g;

    guest_up(&g, opaque);
    configure(&g, &good);
    for (unsigned len = 0; len < a->len; len++) {
        g_assert_cmpuint(virtio_guest_command(&g, VIRTIO_NET_CTRL_MQ,
                                              VIRTIO_NET_CTRL_MQ_RSS_CONFIG, a->data, len), ==,
                         VIRTIO_NET_ERR);
        expect(&g, &good);
    }
    g_byte_array_prepend(a, (const uint8_t[]){ VIRTIO_NET_CTRL_MQ,
                                               VIRTIO_NET_CTRL_MQ_RSS_CONFIG }, 2);
    for (unsigned piece = 3; piece < a->len; piece += 2) {
        configure(&g, &good);
        g_assert_true(virtio_guest_command_add(&g, a->data, a->len, piece, 1));
        g_assert_cmpuint(virtio_guest_command_wait(&g, 1), ==, VIRTIO_NET_OK);
        expect(&g, &other);
    }
    virtio_guest_down(&g);
}

/* Neither types nor a key: pairs alone. With a key all is unclassified. */
static void test_no_types(gconstpointer opaque)
{
    RssCommand on = rss_command(2, 4), none = rss_command(3, 4), off = rss_command(3, 4);
    VirtioGuest g;

    none.types = 0;
    off.types = 0;
    off.key_len = 0;
    guest_up(&g, opaque);
    for (unsigned i = 0; i < 3; i++) {
        configure(&g, &on);
        expect(&g, &on);
        configure(&g, &off);
        expect_off(&g);
        g_assert_cmpuint(g.nd->n_active, ==, 3);
        configure(&g, &none);
        expect(&g, &none);
    }
    virtio_guest_down(&g);
}

/* The command for the number of pairs alone leaves it to us where a frame goes. */
static void test_pairs_alone(gconstpointer opaque)
{
    RssCommand on = rss_command(4, 4);
    VirtioGuest g;

    guest_up(&g, opaque);
    for (uint16_t n = 1; n <= PAIRS; n++) {
        uint16_t wrong = 0, le = GUINT16_TO_LE(n);
        bool mq = g.features & MQ;

        configure(&g, &on);
        g_assert_cmpuint(virtio_guest_command(&g, VIRTIO_NET_CTRL_MQ,
                                              VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &wrong, 2), ==,
                         VIRTIO_NET_ERR);
        expect(&g, &on);
        g_assert_cmpuint(virtio_guest_command(&g, VIRTIO_NET_CTRL_MQ,
                                              VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le, 2), ==,
                         mq ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
        if (mq) {
            expect_off(&g);
            g_assert_cmpuint(g.nd->n_active, ==, n);
            g_assert_nonnull(virtio_net_live_hash(g.vn)); /* it is reported still */
        } else {
            expect(&g, &on);
        }
    }
    virtio_guest_down(&g);
}

/* So does that for what is hashed. */
static void test_hash_alone(gconstpointer opaque)
{
    static const uint8_t config[4 + 8 + 1 + 1] = { VIRTIO_NET_RSS_HASH_TYPE_IPv4, [12] = 1 };
    RssCommand on = rss_command(4, 4);
    VirtioGuest g;

    guest_up(&g, opaque);
    configure(&g, &on);
    g_assert_cmpuint(virtio_guest_command(&g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG,
                                          config, sizeof(config)), ==,
                     g.features & HASH ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
    if (g.features & HASH) {
        expect_off(&g);
        g_assert_cmphex(virtio_net_live_hash(g.vn)->types, ==, VIRTIO_NET_RSS_HASH_TYPE_IPv4);
    } else {
        expect(&g, &on);
    }
    virtio_guest_down(&g);
}

/* Another driver has not asked. */
static void test_reset(gconstpointer opaque)
{
    RssCommand on = rss_command(4, 4);
    VirtioGuest g;

    guest_up(&g, opaque);
    for (unsigned round = 0; round < 3; round++) {
        configure(&g, &on);
        expect(&g, &on);
        for (unsigned i = 0; i < g.n_rings; i++) {
            virtio_guest_stop_ring(&g, i);
        }
        g.dev->ops->reset(g.dev);
        expect_off(&g);
        g_assert_true(g.dev->ops->set_features(g.dev, g.features, NULL));
        for (unsigned i = 0; i < g.n_rings; i++) {
            virtio_guest_start_ring(&g, i);
        }
        expect_off(&g);
    }
    virtio_guest_down(&g);
}

static void config_space(VirtioGuest *g, unsigned *ret_table, uint32_t *ret_types)
{
    struct virtio_net_config c;

    g->dev->ops->get_config(g->dev, 0, (uint8_t *)&c, sizeof(c));
    *ret_table = GUINT16_FROM_LE(c.rss_max_indirection_table_length);
    *ret_types = GUINT32_FROM_LE(c.supported_hash_types);
    g_assert_cmpuint(c.rss_max_key_size, ==, *ret_types ? 40 : 0);
}

static void test_config_space(gconstpointer opaque)
{
    unsigned table;
    uint32_t types;
    VirtioGuest g;

    guest_up(&g, opaque);
    config_space(&g, &table, &types);
    g_assert_cmpuint(table, ==, 128);
    g_assert_cmphex(types, ==, VIRTIO_NET_HASH_TYPES);
    g.vn->config.f.rss = false; /* one that hashes alone has a table of one, as in QEMU */
    config_space(&g, &table, &types);
    g_assert_cmpuint(table, ==, 1);
    g_assert_cmphex(types, ==, VIRTIO_NET_HASH_TYPES);
    g.vn->config.f.hash = false;
    config_space(&g, &table, &types);
    g_assert_cmpuint(table, ==, 0);
    g_assert_cmphex(types, ==, 0);
    virtio_guest_down(&g);
}

/* Where somebody else has the control queue, nobody could tell us of it. */
static void test_not_offered(void)
{
    const VirtioGuestConfig c = { "no-ctrl", 1, 64, ~0ull, .rx_len = 2048 };
    unsigned table;
    uint32_t types;
    VirtioGuest g;

    virtio_guest_up(&g, &c);
    g_assert_cmpint(g.features & BIT(VIRTIO_NET_F_RSS), ==, 0);
    config_space(&g, &table, &types);
    g_assert_cmpuint(table, ==, 0);
    virtio_guest_down(&g);
}

static void add(const char *name, void (*fn)(gconstpointer))
{
    for (unsigned i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autofree char *path = g_strdup_printf("/virtio-net-rss-config/%s/%s", configs[i].name,
                                                name);

        g_test_add_data_func(path, &configs[i], fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("tables", test_tables);
    add("entries-of-other-pairs", test_entries_of_other_pairs);
    add("keys", test_keys);
    add("wrong", test_wrong);
    add("cut", test_cut);
    add("no-types", test_no_types);
    add("pairs-alone", test_pairs_alone);
    add("hash-alone", test_hash_alone);
    add("reset", test_reset);
    add("config-space", test_config_space);
    g_test_add_func("/virtio-net-rss-config/not-offered", test_not_offered);
    return g_test_run();
}
