/*
 * A virtio-net that its driver sets up by registers: PCI's modern and legacy ones, and MMIO's; both
 * layouts, any number of pairs, resets at any time, and what a driver does wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-regs-rig.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define BIT(n)   (1ull << (n))
#define CTRL     (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC))
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)
#define MQ       BIT(VIRTIO_NET_F_MQ)

static void setup(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_up(r, data);
}

static void teardown(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_down(r);
}

/* --- packets --- */

static void test_packets(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 64);
    for (unsigned i = 0; i < 40; i++) {
        virtio_regs_rig_pass(r, 0);
    }
    g_assert_cmpuint(r->running, ==, 3);
}

/* All pairs, as the control queue switches them. */
static void test_pairs(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    g_assert_cmpuint(r->g.n_rings, ==, 2 * r->c.pairs + 1);
    for (unsigned n = 1; n <= r->c.pairs; n *= 2) {
        g_assert_cmpuint(vpg_set_pairs(&r->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        g_assert_true(r->c.pairs == 1 || fake_netdev_active(r->nd) == n);
        for (unsigned pair = 0; pair < n; pair++) {
            vpg_post(&r->g, pair, 2);
            virtio_regs_rig_pass(r, pair);
        }
    }
    g_assert_cmpuint(vpg_set_pairs(&r->g, 0), ==, VIRTIO_NET_ERR);
    g_assert_cmpuint(vpg_set_pairs(&r->g, (uint16_t)(r->c.pairs + 1)), ==, VIRTIO_NET_ERR);
    g_assert_cmpuint(vpg_set_pairs(&r->g, 1), ==, VIRTIO_NET_OK);
    virtio_regs_rig_pass(r, 0);
}

/* Without MQ there are three rings, whatever the device could have. */
static void test_no_mq(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    g_assert_cmpuint(r->g.n_rings, ==, 3);
    g_assert_cmpuint(vpg_ring_size(&r->g, 2), ==, 64);
    g_assert_cmpuint(vpg_ring_size(&r->g, 3), ==, 0);
    vpg_post(&r->g, 0, 2);
    virtio_regs_rig_pass(r, 0);
    g_assert_cmpuint(vpg_set_pairs(&r->g, 2), ==, VIRTIO_NET_ERR);
}

/* --- interrupts --- */

/* A line, until the driver takes note. */
static void test_irq(VirtioRegsRig *r, gconstpointer data)
{
    uint8_t frame[VPG_PACKET];

    vpg_start(&r->g);
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 0);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_give(r);
    g_assert_cmpuint(vpg_recv(&r->g, 0, frame), ==, 60);
    vpg_wait_for(&r->g, virtio_regs_rig_irq(r));
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 1);
    g_assert_false(virtio_regs_rig_irq(r));
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 0);
    netdev_set_link(r->nd, false);
    vpg_wait_for(&r->g, virtio_regs_rig_irq(r));
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 1 | VIRTIO_PCI_ISR_CONFIG);
    g_assert_false(virtio_regs_rig_irq(r));
}

/* --- it begins anew --- */

/* At any moment: frames are on their way, buffers are half used, the line may be high. */
static void test_reset(VirtioRegsRig *r, gconstpointer data)
{
    for (unsigned i = 0; i < 10; i++) {
        vpg_start(&r->g);
        vpg_post(&r->g, 0, 16);
        virtio_regs_rig_pass(r, 0);
        virtio_regs_rig_give(r);
        if (i % 2) {
            vpg_wait_for(&r->g, virtio_regs_rig_irq(r));
        }
    }
    vpg_reset(&r->g);
    g_assert_cmpuint(r->running, ==, 0);
    g_assert_false(virtio_regs_rig_irq(r));
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 0);
}

/* A machine that is reset takes all of it back. */
static void test_reset_machine(VirtioRegsRig *r, gconstpointer data)
{
    for (unsigned i = 0; i < 3; i++) {
        vpg_start(&r->g);
        vpg_post(&r->g, 0, 4);
        virtio_regs_rig_pass(r, 0);
        virtio_regs_rig_reset(r);
        g_assert_cmpuint(r->running, ==, 0);
        virtio_regs_rig_find(r);
        g_assert_cmphex(vpg_status(&r->g), ==, 0);
        g_assert_false(virtio_regs_rig_irq(r));
    }
}

/* --- what a driver does wrong --- */

/* A ring outside of memory: nothing runs, and the driver is told to reset. */
static void test_bad_address(VirtioRegsRig *r, gconstpointer data)
{
    g_autofree uint8_t *mem = g_malloc0(1u << 20);
    VirtqDriverConfig c = {
        .size = 256, .mem = mem, .gpa = r->g.a.ram_base + VPG_RAM - 4096, .legacy = r->c.legacy,
    };
    VirtqDriver *d = virtq_driver_new(&c);

    vpg_reset(&r->g);
    g_assert_true(vpg_negotiate(&r->g));
    vpg_select(&r->g, 0);
    r->g.way->set_up(&r->g, 0, d);
    vpg_set_status(&r->g, 15);
    g_assert_cmphex(vpg_status(&r->g), ==, 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmpuint(r->running, ==, 0);
    g_assert_cmpuint(r->warnings, ==, 1);
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_pass(r, 0);
    virtq_driver_free(d);
}

static void test_bad_features(VirtioRegsRig *r, gconstpointer data)
{
    vpg_reset(&r->g);
    vpg_set_status(&r->g, 3);
    r->g.way->accept(&r->g, UINT64_MAX);
    vpg_set_status(&r->g, 11);
    g_assert_cmphex(vpg_status(&r->g), ==, 3);
    r->g.way->accept(&r->g, BIT(VIRTIO_F_VERSION_1));
    vpg_set_status(&r->g, 11);
    g_assert_cmphex(vpg_status(&r->g), ==, 11);
}

/* A ring that lies: an index further ahead than it is long. */
static void test_broken_ring(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    r->g.ring[1]->avail->idx = 1000;
    r->g.way->notify(&r->g, 1);
    vpg_wait_for(&r->g, vpg_status(&r->g) & VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmphex(vpg_take_isr(&r->g) & VIRTIO_PCI_ISR_CONFIG, !=, 0);
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_pass(r, 0);
}

static const struct Way {
    const char *name;
    VirtioRegsRigConfig c; /* what it has for all tests */
} ways[] = {
    { "pci", { 0 } },
    { "pci-legacy", { .legacy = true } },
    { "pci-msix", { .msix = true } },
    { "pci-legacy-msix", { .legacy = true, .msix = true } },
    { "mmio", { .mmio = true } },
    { "mmio-legacy", { .mmio = true, .legacy = true } },
};

typedef struct Row {
    const char *name;
    void (*fn)(VirtioRegsRig *r, gconstpointer data);
    unsigned pairs;
    uint64_t wanted;
    bool modern;     /* only: of registers */
    bool line;       /* only: of interrupts */
} Row;

static const Row rows[] = {
    { "packets", test_packets, 1, CTRL },
    { "packets-event", test_packets, 1, CTRL | EVENT },
    { "packets-packed", test_packets, 1, CTRL | PACKED, .modern = true },
    { "pairs-1", test_pairs, 1, CTRL | MQ },
    { "pairs-2", test_pairs, 2, CTRL | MQ | EVENT },
    { "pairs-4-packed", test_pairs, 4, CTRL | MQ | PACKED | EVENT, .modern = true },
    { "pairs-8", test_pairs, 8, CTRL | MQ },
    { "no-mq", test_no_mq, 4, CTRL },
    { "irq", test_irq, 1, CTRL, .line = true },
    { "irq-packed", test_irq, 1, CTRL | PACKED, .modern = true, .line = true },
    { "reset", test_reset, 1, CTRL, .line = true },
    { "reset-packed", test_reset, 1, CTRL | PACKED, .modern = true, .line = true },
    { "reset-machine", test_reset_machine, 1, CTRL },
    { "reset-machine-packed", test_reset_machine, 1, CTRL | PACKED | EVENT, .modern = true },
    { "wrong-address", test_bad_address, 1, CTRL },
    { "wrong-features", test_bad_features, 1, CTRL, .modern = true },
    { "wrong-ring", test_broken_ring, 1, CTRL },
};

/* @c is the test's until the end. */
static void add(const Row *row, const struct Way *way, VirtioRegsRigConfig *c)
{
    g_autofree char *path = g_strdup_printf("/hw/virtio/virtio-regs/%s/%s", way->name, row->name);

    *c = way->c;
    c->pairs = row->pairs;
    c->wanted = row->wanted;
    g_test_add_vtable(path, sizeof(VirtioRegsRig), c, (GTestFixtureFunc)(void *)setup,
                      (GTestFixtureFunc)(void *)row->fn, (GTestFixtureFunc)(void *)teardown);
}

int main(int argc, char **argv)
{
    static VirtioRegsRigConfig config[G_N_ELEMENTS(ways)][G_N_ELEMENTS(rows)];

    g_test_init(&argc, &argv, NULL);
    for (size_t w = 0; w < G_N_ELEMENTS(ways); w++) {
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
            if (!(rows[i].modern && ways[w].c.legacy) && !(rows[i].line && ways[w].c.msix)) {
                add(&rows[i], &ways[w], &config[w][i]);
            }
        }
    }
    return g_test_run();
}
