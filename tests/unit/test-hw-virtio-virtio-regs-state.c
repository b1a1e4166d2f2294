/*
 * A virtio-net, on PCI or MMIO, whose state goes to another one, while its driver goes on with its
 * rings: as a migration, whose memory did not move.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-regs-rig.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#define BIT(n)   (1ull << (n))
#define CTRL     (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CTRL_RX))
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)
#define MQ       BIT(VIRTIO_NET_F_MQ)
#define OFFLOADS (BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT(VIRTIO_NET_F_GUEST_CSUM) | \
                  BIT(VIRTIO_NET_F_GUEST_TSO4))

static const VirtioRegsRigConfig modern = { .pairs = 1, .wanted = CTRL };
static const VirtioRegsRigConfig packed = { .pairs = 1, .wanted = CTRL | PACKED | EVENT };
static const VirtioRegsRigConfig legacy = { .pairs = 1, .wanted = CTRL, .legacy = true };
static const VirtioRegsRigConfig msix = { .pairs = 1, .wanted = CTRL | EVENT, .msix = true };
static const VirtioRegsRigConfig offloads = { .pairs = 1, .wanted = CTRL | OFFLOADS };
static const VirtioRegsRigConfig hash = {
    .pairs = 1, .wanted = CTRL | BIT(VIRTIO_NET_F_HASH_REPORT) | BIT(VIRTIO_F_VERSION_1),
};
static const VirtioRegsRigConfig pairs2 = { .pairs = 2, .wanted = CTRL | MQ, .msix = true };
static const VirtioRegsRigConfig pairs4 = { .pairs = 4, .wanted = CTRL | MQ | PACKED };
static const VirtioRegsRigConfig pairs8 = { .pairs = 8, .wanted = CTRL | MQ | EVENT };
static const VirtioRegsRigConfig few_vectors = { .pairs = 4, .vectors = 3, .wanted = CTRL | MQ };
static const VirtioRegsRigConfig mmio = { .pairs = 1, .wanted = CTRL, .mmio = true };
static const VirtioRegsRigConfig mmio_packed = {
    .pairs = 1, .wanted = CTRL | PACKED | EVENT, .mmio = true,
};
static const VirtioRegsRigConfig mmio_legacy = {
    .pairs = 1, .wanted = CTRL, .legacy = true, .mmio = true,
};
static const VirtioRegsRigConfig mmio8 = { .pairs = 8, .wanted = CTRL | MQ | PACKED, .mmio = true };
static const VirtioRegsRigConfig mmio_legacy4 = {
    .pairs = 4, .wanted = CTRL | MQ, .legacy = true, .mmio = true,
};
static const VirtioRegsRigConfig no_mq = { .pairs = 4, .wanted = CTRL };

static void setup(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_up(r, data);
}

static void teardown(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_down(r);
}

static void test_packets(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 100);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned k = 0; k < 7; k++) {
            virtio_regs_rig_pass(r, 0);
        }
        virtio_regs_rig_move(r);
    }
    virtio_regs_rig_pass(r, 0);
}

/* What the driver left there while nobody looked, and what was taken for it, is not lost. */
static void test_under_way(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = NULL;
    g_autofree FakePkt *out = NULL;
    uint8_t frame[60] = { 0xfe };

    vpg_start(&r->g);
    vpg_post(&r->g, 0, 10);
    virtio_regs_rig_pass(r, 0);
    state = virtio_regs_rig_save(r);
    vpg_post(&r->g, 0, 1); /* its kick goes nowhere */
    virtio_regs_rig_replace(r);
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, NULL));
    virtio_regs_rig_hold(r, false);
    vpg_send(&r->g, 0, frame, sizeof(frame));
    out = fake_netdev_take(r->nd, 0, 10000);
    g_assert_nonnull(out);
    for (unsigned i = 0; i < 10; i++) {
        virtio_regs_rig_pass(r, 0);
    }
}

/* One whose migration failed goes on, and its driver has seen nothing. */
static void test_stays_here(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 20);
    for (unsigned i = 0; i < 3; i++) {
        virtio_regs_rig_pass(r, 0);
        g_byte_array_unref(virtio_regs_rig_save(r));
        virtio_regs_rig_hold(r, false);
    }
    virtio_regs_rig_pass(r, 0);
}

static void test_pairs(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    for (unsigned n = 1; n <= r->c.pairs; n *= 2) {
        g_assert_cmpuint(vpg_set_pairs(&r->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        for (unsigned pair = 0; pair < n; pair++) {
            vpg_post(&r->g, pair, 4);
            virtio_regs_rig_pass(r, pair);
        }
        virtio_regs_rig_move(r);
        g_assert_cmpuint(fake_netdev_active(r->nd), ==, n);
        for (unsigned pair = 0; pair < n; pair++) {
            virtio_regs_rig_pass(r, pair);
        }
    }
}

static void test_no_mq(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 4);
    virtio_regs_rig_pass(r, 0);
    virtio_regs_rig_move(r);
    virtio_regs_rig_pass(r, 0);
}

static void test_filter(VirtioRegsRig *r, gconstpointer data)
{
    g_autofree FakePkt *in = g_new0(FakePkt, 1);
    uint8_t off = 0, frame[VPG_PACKET];

    vpg_start(&r->g);
    vpg_post(&r->g, 0, 8);
    g_assert_cmpuint(vpg_command(&r->g, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1),
                     ==, VIRTIO_NET_OK);
    virtio_regs_rig_move(r);
    in->len = 60;
    in->data[0] = 0x02; /* to somebody else */
    fake_netdev_give(r->nd, 0, in);
    memset(in->data, 0xff, 6);
    in->data[20] = 7;
    fake_netdev_give(r->nd, 0, in);
    g_assert_cmpuint(vpg_recv(&r->g, 0, frame), ==, 60);
    g_assert_cmpuint(frame[20], ==, 7);
}

static void test_offloads(VirtioRegsRig *r, gconstpointer data)
{
    uint64_t csum = BIT(VIRTIO_NET_F_GUEST_CSUM);

    vpg_start(&r->g);
    g_assert_cmpuint(fake_netdev_offload(r->nd) & NETDEV_TSO4, ==, NETDEV_TSO4);
    virtio_regs_rig_move(r);
    g_assert_cmpuint(fake_netdev_offload(r->nd) & NETDEV_TSO4, ==, NETDEV_TSO4);
    g_assert_cmpuint(vpg_command(&r->g, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
                                 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &csum, sizeof(csum)), ==,
                     VIRTIO_NET_OK);
    virtio_regs_rig_move(r);
    g_assert_cmpuint(fake_netdev_offload(r->nd), ==, NETDEV_CSUM4 | NETDEV_CSUM6);
}

/* virtio_regs_rig_move() compares what the other one has of it. */
static void test_hash(VirtioRegsRig *r, gconstpointer data)
{
    uint8_t config[4 + 8 + 1 + 40] = { VIRTIO_NET_RSS_HASH_TYPE_IPv4 };

    config[12] = 40;
    memset(config + 13, 0x5a, 40);
    vpg_start(&r->g);
    g_assert_true(r->g.features & BIT(VIRTIO_NET_F_HASH_REPORT));
    g_assert_cmpuint(vpg_command(&r->g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, config,
                                 sizeof(config)), ==, VIRTIO_NET_OK);
    virtio_regs_rig_move(r);
    virtio_regs_rig_move(r);
}

static void test_interrupts(VirtioRegsRig *r, gconstpointer data)
{
    g_autofree FakePkt *in = g_new0(FakePkt, 1);
    uint8_t frame[VPG_PACKET];

    vpg_start(&r->g);
    vpg_post(&r->g, 0, 4);
    vpg_msix_mask(&r->g, 0, true);
    in->len = 60;
    memset(in->data, 0xff, in->len);
    fake_netdev_give(r->nd, 0, in);
    g_assert_cmpuint(vpg_recv(&r->g, 0, frame), ==, 60);
    vpg_wait_for(&r->g, vpg_msix_is_pending(&r->g, 0));
    virtio_regs_rig_move(r);
    g_assert_true(vpg_msix_is_pending(&r->g, 0));
    g_assert_false(vpg_msix_came(&r->g, 0));
    vpg_msix_mask(&r->g, 0, false);
    g_assert_true(vpg_msix_came(&r->g, 0));
}

/* One that no driver has, or that is half set up. */
static void test_without_driver(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = virtio_regs_rig_save(r);

    virtio_regs_rig_replace(r);
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, NULL));
    virtio_regs_rig_hold(r, false);
    vpg_set_status(&r->g, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    g_byte_array_unref(g_steal_pointer(&state));
    state = virtio_regs_rig_save(r);
    virtio_regs_rig_replace(r);
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, NULL));
    virtio_regs_rig_hold(r, false);
    g_assert_cmpuint(vpg_status(&r->g), ==, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_pass(r, 0);
}

/* --- what is not right --- */

static void test_cut(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = NULL;

    vpg_start(&r->g);
    vpg_post(&r->g, 0, 4);
    virtio_regs_rig_pass(r, 0);
    state = virtio_regs_rig_save(r);
    virtio_regs_rig_replace(r);
    for (size_t len = 0; len < state->len; len++) {
        g_autoptr(GError) error = NULL;
        g_autofree uint8_t *copy = g_memdup2(state->data, len);

        g_assert_false(virtio_regs_rig_load(r, copy, len, &error));
        g_assert_nonnull(error);
        g_assert_cmpuint(r->running, ==, 0);
    }
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, NULL));
    virtio_regs_rig_hold(r, false);
    virtio_regs_rig_pass(r, 0);
}

/* Whatever it says: refused, or a driver's wish like another one. */
static void test_flipped(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = NULL;

    vpg_start(&r->g);
    vpg_post(&r->g, 0, 4);
    virtio_regs_rig_pass(r, 0);
    state = virtio_regs_rig_save(r);
    for (size_t bit = (size_t)g_test_rand_int_range(0, 8); bit < (size_t)state->len * 8;
         bit += 5) {
        state->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (virtio_regs_rig_load(r, state->data, state->len, NULL)) {
            virtio_regs_rig_hold(r, false);
            g_main_context_iteration(NULL, FALSE);
            virtio_regs_rig_hold(r, true);
        }
        state->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    virtio_regs_rig_hold(r, false);
    virtio_regs_rig_find(r);
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_pass(r, 0);
}

static void expect_refused(VirtioRegsRig *r, const GByteArray *state, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(virtio_regs_rig_load(r, state->data, state->len, &error));
    g_assert_cmpstr(error->message, ==, text);
}

static void test_other_pairs(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = virtio_regs_rig_save(r);

    r->c.pairs = 2;
    virtio_regs_rig_replace(r);
    expect_refused(r, state, "4 != 2: queue pairs");
}

static void test_version(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = virtio_regs_rig_save(r);

    state->data[0] = 2;
    expect_refused(r, state, "version 2 of its state is not known");
    state->data[0] = 1;
    g_byte_array_append(state, (const guint8 *)"", 1);
    expect_refused(r, state, "its state has another length");
}

static void test_other_device(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = virtio_regs_rig_save(r);

    state->data[1] = 0; /* the vendor */
    expect_refused(r, state, "Bad config data: i=0x0 read: 0 device: f4");
}

static void test_mmio_registers(VirtioRegsRig *r, gconstpointer data)
{
    g_autoptr(GByteArray) state = virtio_regs_rig_save(r);

    state->data[1] ^= 1;
    expect_refused(r, state, "one of them has legacy registers, the other has not");
    state->data[1] ^= 1;
    state->data[15] = 32;
    expect_refused(r, state, "a page of 2^32 bytes is too large");
    state->data[15] = 31;
    memset(state->data + state->len - 4, 0, 4);
    expect_refused(r, state, "VQ 2 has no alignment");
    state->data[state->len - 1] = 1;
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, NULL));
}

/* A line that was high is, where it comes, and a driver takes note of it there. */
static void test_mmio_irq(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_give(r);
    vpg_wait_for(&r->g, virtio_regs_rig_irq(r));
    virtio_regs_rig_move(r);
    g_assert_true(virtio_regs_rig_irq(r));
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 1);
    g_assert_false(virtio_regs_rig_irq(r));
    virtio_regs_rig_move(r);
    g_assert_false(virtio_regs_rig_irq(r));
}

#define ADD(name, config, fn) \
    g_test_add("/hw/virtio/virtio-regs-state/" name, VirtioRegsRig, &config, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("packets/modern", modern, test_packets);
    ADD("packets/packed", packed, test_packets);
    ADD("packets/legacy", legacy, test_packets);
    ADD("packets/msix", msix, test_packets);
    ADD("under-way/split", modern, test_under_way);
    ADD("under-way/packed", packed, test_under_way);
    ADD("stays-here/split", modern, test_stays_here);
    ADD("stays-here/packed", packed, test_stays_here);
    ADD("pairs/2", pairs2, test_pairs);
    ADD("pairs/4-packed", pairs4, test_pairs);
    ADD("pairs/8", pairs8, test_pairs);
    ADD("pairs/no-mq", no_mq, test_no_mq);
    ADD("set/filter", modern, test_filter);
    ADD("set/offloads", offloads, test_offloads);
    ADD("set/hash", hash, test_hash);
    ADD("set/interrupts", msix, test_interrupts);
    ADD("set/nothing", modern, test_without_driver);
    ADD("wrong/cut", modern, test_cut);
    ADD("wrong/cut-packed", packed, test_cut);
    ADD("wrong/flipped", msix, test_flipped);
    ADD("wrong/cut-hash", hash, test_cut);
    ADD("wrong/flipped-packed", packed, test_flipped);
    ADD("wrong/pairs", few_vectors, test_other_pairs);
    ADD("wrong/version", modern, test_version);
    ADD("wrong/other-device", modern, test_other_device);
    ADD("mmio/packets", mmio, test_packets);
    ADD("mmio/packets-packed", mmio_packed, test_packets);
    ADD("mmio/packets-legacy", mmio_legacy, test_packets);
    ADD("mmio/under-way", mmio_legacy, test_under_way);
    ADD("mmio/stays-here", mmio_packed, test_stays_here);
    ADD("mmio/pairs-8", mmio8, test_pairs);
    ADD("mmio/pairs-4-legacy", mmio_legacy4, test_pairs);
    ADD("mmio/filter", mmio_legacy, test_filter);
    ADD("mmio/irq", mmio, test_mmio_irq);
    ADD("mmio/irq-legacy", mmio_legacy, test_mmio_irq);
    ADD("mmio/nothing", mmio, test_without_driver);
    ADD("mmio/cut", mmio, test_cut);
    ADD("mmio/cut-legacy", mmio_legacy, test_cut);
    ADD("mmio/flipped", mmio_packed, test_flipped);
    ADD("mmio/flipped-legacy", mmio_legacy, test_flipped);
    ADD("mmio/version", mmio, test_version);
    ADD("mmio/registers", mmio, test_mmio_registers);
    return g_test_run();
}
