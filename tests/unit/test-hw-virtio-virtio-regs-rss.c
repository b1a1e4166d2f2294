/*
 * The state of a virtio-net whose driver steers its packets, and of those that were written before
 * any did.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rss-guest.h"
#include "virtio-regs-rig.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define BIT(n)   (1ull << (n))
#define CTRL     (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CTRL_RX))
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)
#define MQ       BIT(VIRTIO_NET_F_MQ)
#define RSS      BIT(VIRTIO_NET_F_RSS)
#define HASH     BIT(VIRTIO_NET_F_HASH_REPORT)

static const VirtioRegsRigConfig rss1 = { .pairs = 1, .wanted = CTRL | RSS };
static const VirtioRegsRigConfig rss2 = { .pairs = 2, .wanted = CTRL | RSS | MQ, .msix = true };
static const VirtioRegsRigConfig rss4 = { .pairs = 4, .wanted = CTRL | RSS | PACKED };
static const VirtioRegsRigConfig rss8 = {
    .pairs = 8, .wanted = CTRL | RSS | MQ | EVENT | HASH | BIT(VIRTIO_F_VERSION_1),
};
static const VirtioRegsRigConfig four = { .pairs = 4, .wanted = CTRL };

static void setup(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_up(r, data);
}

static void teardown(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_down(r);
}

static uint8_t configure_rss(VirtioRegsRig *r, const RssCommand *c)
{
    g_autoptr(GByteArray) a = rss_command_bytes(c);

    return vpg_command(&r->g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, a->data, a->len);
}

/* Each frame arrives where @c says. */
static void pass_steered(VirtioRegsRig *r, const RssCommand *c)
{
    g_autofree FakePkt *in = g_new0(FakePkt, 1);
    uint8_t frame[VPG_PACKET];

    for (uint32_t i = 0; i < 24; i++) {
        unsigned pair;
        uint32_t value;
        uint16_t report;

        rss_frame(in, i);
        pair = rss_expect(c, in, &value, &report);
        vpg_post(&r->g, pair, 1);
        fake_netdev_give(r->nd, i % c->pairs, in);
        g_assert_cmpuint(vpg_recv(&r->g, pair, frame), ==, in->len);
        g_assert_cmpmem(frame, in->len, in->data, in->len);
    }
}

/* Where the packets of which flow go is the same there. */
static void test_rss(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    g_assert_true(r->g.features & RSS);
    virtio_regs_rig_move(r); /* one that has not said anything yet */
    for (unsigned n = 1; n <= r->c.pairs; n *= 2) {
        RssCommand c = rss_command(n, n == 2 ? 128 : 16);

        c.unclassified = (uint16_t)(r->c.pairs - 1);
        g_assert_cmpuint(configure_rss(r, &c), ==, VIRTIO_NET_OK);
        pass_steered(r, &c);
        virtio_regs_rig_move(r);
        g_assert_cmpuint(r->nd->n_active, ==, n);
        pass_steered(r, &c);
        virtio_regs_rig_move(r);
        c.unclassified = 0;
        g_assert_cmpuint(configure_rss(r, &c), ==, VIRTIO_NET_OK);
        pass_steered(r, &c);
    }
}

/* A state that was written before there was any of this: it loads, and is still written so. */
static void test_recorded(VirtioRegsRig *r, gconstpointer data)
{
    static const char *const names[] = { "legacy", "no-driver", "packed", "split-msix",
                                         "rss" };

    if (!g_getenv("G_TEST_SRCDIR")) {
        g_test_skip("G_TEST_SRCDIR does not say where the sources are");
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_test_build_filename(G_TEST_DIST, "tests/fuzz/corpus",
                                                      "virtio-pci-state", names[i], NULL);
        g_autoptr(GByteArray) again = NULL;
        g_autoptr(GError) error = NULL;
        g_autofree char *bytes = NULL;
        gsize len;

        virtio_regs_rig_replace(r);
        g_assert_true(g_file_get_contents(path, &bytes, &len, &error));
        g_assert_true(virtio_regs_rig_load(r, (const uint8_t *)bytes, len, &error));
        g_assert_no_error(error);
        again = virtio_regs_rig_save(r);
        g_assert_cmpmem(again->data, again->len, bytes, len);
    }
}

/* Where the table's entries are: 0, 1, 0, 1... */
static size_t rss_at(const GByteArray *state)
{
    static const uint8_t entries[] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    const uint8_t *at = memmem(state->data, state->len, entries, sizeof(entries));

    g_assert_nonnull(at);
    return (size_t)(at - state->data);
}

/* A table that cannot be, at the end of the state. */
static void test_bad_rss(VirtioRegsRig *r, gconstpointer data)
{
    static const struct {
        unsigned before; /* its entries */
        uint8_t byte;
        const char *text;
    } bad[] = {
        { 1, 0, "an indirection table of 0 entries is not possible" },
        { 1, 3, "an indirection table of 3 entries is not possible" },
        { 1, 129, "an indirection table of 129 entries is not possible" },
        { 3, 2, "there is no pair 2 for packets without a hash" },
        { 2, 1, "an indirection table of 272 entries is not possible" },
        { 4, 1, "there is no pair 257 for packets without a hash" },
    };
    RssCommand c = rss_command(2, 16);
    g_autoptr(GByteArray) state = NULL;

    c.unclassified = 1;
    vpg_start(&r->g);
    g_assert_cmpuint(configure_rss(r, &c), ==, VIRTIO_NET_OK);
    state = virtio_regs_rig_save(r);
    virtio_regs_rig_replace(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree uint8_t *copy = g_memdup2(state->data, state->len);
        g_autoptr(GError) error = NULL;

        copy[rss_at(state) - bad[i].before] = bad[i].byte;
        g_assert_false(virtio_regs_rig_load(r, copy, state->len, &error));
        g_assert_cmpstr(error->message, ==, bad[i].text);
    }
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, NULL));
    virtio_regs_rig_hold(r, false);
    pass_steered(r, &c);
}

#define ADD(name, config, fn) \
    g_test_add("/hw/virtio/virtio-regs-rss/" name, VirtioRegsRig, &config, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("1", rss1, test_rss);
    ADD("2", rss2, test_rss);
    ADD("4-packed", rss4, test_rss);
    ADD("8-hash", rss8, test_rss);
    ADD("recorded", four, test_recorded);
    ADD("wrong", rss2, test_bad_rss);
    return g_test_run();
}
