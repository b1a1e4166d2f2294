/*
 * A virtio-net on MMIO, with its driver: what is not as on PCI. test-hw-virtio-virtio-regs has the
 * rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-regs-rig.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <string.h>

#define BIT(n)      (1ull << (n))
#define CTRL        (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC))
#define PACKED      BIT(VIRTIO_F_RING_PACKED)
#define QUEUE_RESET 0x0c0

static const VirtioRegsRigConfig modern = { .pairs = 1, .wanted = CTRL, .mmio = true };
static const VirtioRegsRigConfig packed = { .pairs = 1, .wanted = CTRL | PACKED, .mmio = true };
static const VirtioRegsRigConfig legacy = {
    .pairs = 1, .wanted = CTRL, .legacy = true, .mmio = true,
};

static void setup(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_up(r, data);
}

static void teardown(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_down(r);
}

static uint32_t in(VirtioRegsRig *r, unsigned offset)
{
    return (uint32_t)vpg_in(&r->g, r->g.base + offset, 4);
}

static void out(VirtioRegsRig *r, unsigned offset, uint32_t value)
{
    vpg_out(&r->g, r->g.base + offset, value, 4);
}

/* --- transports --- */

/* One without a device says what it is, and that there is none. */
static void test_no_device(VirtioRegsRig *r, gconstpointer data)
{
    for (unsigned i = 0; i < VIRTIO_REGS_RIG_SLOTS; i++) {
        uint64_t at = VIRTIO_REGS_RIG_BASE + i * VIRTIO_MMIO_SLOT_SIZE;

        if (i == VIRTIO_REGS_RIG_SLOT) {
            g_assert_false(virtio_mmio_bus_is_free(r->mmio_bus, i));
            continue;
        }
        g_assert_true(virtio_mmio_bus_is_free(r->mmio_bus, i));
        g_assert_cmphex(vpg_in(&r->g, at, 8), ==, r->c.legacy ? 0x174726976 : 0x274726976);
        g_assert_cmphex(vpg_in(&r->g, at + VIRTIO_MMIO_VENDOR_ID, 4), ==, 0x554d4551);
        vpg_out(&r->g, at + VIRTIO_MMIO_STATUS, 1, 4);
        for (unsigned offset = 0x10; offset < VIRTIO_MMIO_SLOT_SIZE; offset += 4) {
            g_assert_cmphex(vpg_in(&r->g, at + offset, 4), ==, 0);
        }
    }
    g_assert_false(virtio_mmio_bus_is_free(r->mmio_bus, VIRTIO_REGS_RIG_SLOTS));
    g_assert_cmphex(vpg_in(&r->g, VIRTIO_REGS_RIG_BASE +
                                  VIRTIO_REGS_RIG_SLOTS * VIRTIO_MMIO_SLOT_SIZE, 4), ==, 0);
}

static void test_identity(VirtioRegsRig *r, gconstpointer data)
{
    g_assert_cmphex(in(r, VIRTIO_MMIO_MAGIC_VALUE), ==, 0x74726976);
    g_assert_cmphex(in(r, VIRTIO_MMIO_VERSION), ==, r->c.legacy ? 1 : 2);
    g_assert_cmphex(in(r, VIRTIO_MMIO_DEVICE_ID), ==, 1);
    g_assert_cmphex(in(r, VIRTIO_MMIO_VENDOR_ID), ==, 0x554d4551);
    g_assert_cmphex(vpg_net_config(&r->g, 0), ==, 0x52);
    g_assert_cmphex(vpg_net_config(&r->g, 5), ==, 0x56);
    g_assert_cmphex(vpg_in(&r->g, r->g.base + VIRTIO_MMIO_CONFIG, 8), ==, 0x0001563412005452);
}

/* A register is 32 bits: of another width it is none. Their names are not those of the others. */
static void test_width(VirtioRegsRig *r, gconstpointer data)
{
    vpg_out(&r->g, r->g.base + VIRTIO_MMIO_STATUS, 1, 1);
    vpg_out(&r->g, r->g.base + VIRTIO_MMIO_STATUS, 1, 2);
    g_assert_cmphex(in(r, VIRTIO_MMIO_STATUS), ==, 0);
    g_assert_cmphex(vpg_in(&r->g, r->g.base, 1), ==, 0);
    g_assert_cmphex(vpg_in(&r->g, r->g.base, 2), ==, 0);
}

static void test_modern_only(VirtioRegsRig *r, gconstpointer data)
{
    g_assert_cmphex(in(r, VIRTIO_MMIO_SHM_LEN_LOW), ==, UINT32_MAX); /* there is none */
    g_assert_cmphex(in(r, VIRTIO_MMIO_SHM_BASE_HIGH), ==, UINT32_MAX);
    out(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    g_assert_cmphex(in(r, VIRTIO_MMIO_DEVICE_FEATURES) & BIT(VIRTIO_F_ANY_LAYOUT), ==, 0);
    out(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    g_assert_cmphex(in(r, VIRTIO_MMIO_DEVICE_FEATURES), ==, 0);
    out(r, VIRTIO_MMIO_QUEUE_PFN, 1);
    g_assert_cmphex(in(r, VIRTIO_MMIO_QUEUE_PFN) | in(r, VIRTIO_MMIO_QUEUE_READY), ==, 0);
}

static void test_legacy_only(VirtioRegsRig *r, gconstpointer data)
{
    g_assert_cmphex(in(r, VIRTIO_MMIO_SHM_LEN_LOW), ==, 0);
    g_assert_cmphex(in(r, VIRTIO_MMIO_DEVICE_FEATURES) & BIT(VIRTIO_F_ANY_LAYOUT), !=, 0);
    out(r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    g_assert_cmphex(in(r, VIRTIO_MMIO_DEVICE_FEATURES), ==, 0);
    out(r, VIRTIO_MMIO_QUEUE_READY, 1);
    g_assert_cmphex(in(r, VIRTIO_MMIO_QUEUE_READY) | in(r, VIRTIO_MMIO_QUEUE_PFN), ==, 0);
}

/* --- a ring --- */

/* The longest is what the device has, a legacy driver may take a shorter one, too. */
static void test_ring_size(VirtioRegsRig *r, gconstpointer data)
{
    vpg_select(&r->g, 0);
    g_assert_cmpuint(in(r, VIRTIO_MMIO_QUEUE_NUM_MAX), ==, 256);
    out(r, VIRTIO_MMIO_QUEUE_NUM, 16);
    g_assert_cmpuint(in(r, VIRTIO_MMIO_QUEUE_NUM_MAX), ==, 256);
    vpg_select(&r->g, 2);
    g_assert_cmpuint(in(r, VIRTIO_MMIO_QUEUE_NUM_MAX), ==, 64);
    vpg_select(&r->g, 3);
    g_assert_cmpuint(in(r, VIRTIO_MMIO_QUEUE_NUM_MAX), ==, 0);
    vpg_select(&r->g, 1024); /* is not selected */
    vpg_select(&r->g, 2);
    vpg_select(&r->g, UINT32_MAX);
    g_assert_cmpuint(in(r, VIRTIO_MMIO_QUEUE_NUM_MAX), ==, 64);
}

/* Short rings, with small pages and another alignment. */
static void test_legacy_layout(VirtioRegsRig *r, gconstpointer data)
{
    const VirtqDriver *d;

    out(r, VIRTIO_MMIO_GUEST_PAGE_SIZE, 512);
    vpg_reset(&r->g); /* which leaves it, as Linux does it in this order */
    g_assert_true(vpg_negotiate(&r->g));
    vpg_select(&r->g, 0);
    out(r, VIRTIO_MMIO_QUEUE_ALIGN, 0); /* is none */
    out(r, VIRTIO_MMIO_QUEUE_PFN, 0x40100000 / 512);
    g_assert_cmphex(in(r, VIRTIO_MMIO_QUEUE_PFN), ==, 0x40100000 / 512);
    out(r, VIRTIO_MMIO_QUEUE_PFN, 0);
    g_assert_cmphex(in(r, VIRTIO_MMIO_QUEUE_PFN), ==, 0);
    virtio_regs_rig_find(r);
    vpg_start(&r->g);
    d = r->g.ring[0];
    g_assert_cmphex(in(r, VIRTIO_MMIO_QUEUE_PFN), ==, r->g.ring[2]->c.gpa / 4096);
    g_assert_cmpuint(d->c.size, ==, 256);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_pass(r, 0);
}

/* One ring by itself, by both ways to say it, while the others go on. */
static void test_reset_ring(VirtioRegsRig *r, gconstpointer data)
{
    r->g.wanted |= BIT(VIRTIO_F_RING_RESET);
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 4);
    for (unsigned i = 0; i < 6; i++) {
        virtio_regs_rig_pass(r, 0);
        vpg_select(&r->g, 0);
        if (i % 2) {
            out(r, QUEUE_RESET, 1);
            g_assert_cmphex(in(r, QUEUE_RESET), ==, 0);
        } else {
            out(r, VIRTIO_MMIO_QUEUE_READY, 0);
        }
        g_assert_cmphex(in(r, VIRTIO_MMIO_QUEUE_READY), ==, 0);
        g_assert_cmpuint(r->running, ==, 2);
        vpg_add_ring(&r->g, 0);
        g_assert_cmpuint(r->running, ==, 3);
        vpg_post(&r->g, 0, 4);
    }
}

/* What was not negotiated is not there. */
static void test_no_reset_ring(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_select(&r->g, 0);
    out(r, QUEUE_RESET, 1);
    g_assert_cmphex(in(r, VIRTIO_MMIO_QUEUE_READY), ==, 1);
    g_assert_cmpuint(r->running, ==, 3);
}

/* --- interrupts --- */

/* Bit by bit; the line is low when none is left. */
static void test_acknowledge(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    netdev_set_link(r->nd, false);
    vpg_wait_for(&r->g, in(r, VIRTIO_MMIO_INTERRUPT_STATUS) == 3);
    g_assert_true(virtio_regs_rig_irq(r));
    out(r, VIRTIO_MMIO_INTERRUPT_ACK, 1);
    g_assert_cmphex(in(r, VIRTIO_MMIO_INTERRUPT_STATUS), ==, 2);
    g_assert_true(virtio_regs_rig_irq(r));
    out(r, VIRTIO_MMIO_INTERRUPT_ACK, 0xfffffffd);
    g_assert_true(virtio_regs_rig_irq(r));
    out(r, VIRTIO_MMIO_INTERRUPT_ACK, 2);
    g_assert_false(virtio_regs_rig_irq(r));
}

/* A device that goes takes its interrupt along. */
static void test_gone(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    netdev_set_link(r->nd, false);
    vpg_wait_for(&r->g, virtio_regs_rig_irq(r));
    g_clear_pointer(&r->mmio, virtio_mmio_free);
    g_assert_false(irq_lines_level(r->irq, VIRTIO_REGS_RIG_IRQ + VIRTIO_REGS_RIG_SLOT));
    g_assert_cmphex(in(r, VIRTIO_MMIO_DEVICE_ID), ==, 0);
    g_assert_true(virtio_mmio_bus_is_free(r->mmio_bus, VIRTIO_REGS_RIG_SLOT));
}

/* --- any register, any value, any width --- */

static void test_random_registers(VirtioRegsRig *r, gconstpointer data)
{
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 500; i++) {
            unsigned len = g_test_rand_int_range(0, 4) ? 4 : 1u << g_test_rand_int_range(0, 4);
            uint32_t value = g_test_rand_int_range(0, 4) ? (uint32_t)g_test_rand_int_range(0, 8)
                                                        : (uint32_t)g_test_rand_int();
            uint64_t at = r->g.base + 4 * (uint32_t)g_test_rand_int_range(0, 0x50);

            if (g_test_rand_int_range(0, 3)) {
                vpg_out(&r->g, at, value, len);
            } else {
                vpg_in(&r->g, at, len);
            }
        }
        virtio_regs_rig_reset(r);
        virtio_regs_rig_find(r);
        vpg_start(&r->g);
        vpg_post(&r->g, 0, 1);
        virtio_regs_rig_pass(r, 0);
    }
}

#define ADD(name, config, fn) \
    g_test_add("/hw/virtio/virtio-mmio/" name, VirtioRegsRig, &config, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("no-device/modern", modern, test_no_device);
    ADD("no-device/legacy", legacy, test_no_device);
    ADD("identity/modern", modern, test_identity);
    ADD("identity/legacy", legacy, test_identity);
    ADD("width", modern, test_width);
    ADD("only/modern", modern, test_modern_only);
    ADD("only/legacy", legacy, test_legacy_only);
    ADD("ring/size-modern", modern, test_ring_size);
    ADD("ring/size-legacy", legacy, test_ring_size);
    ADD("ring/legacy-layout", legacy, test_legacy_layout);
    ADD("ring/reset", modern, test_reset_ring);
    ADD("ring/reset-packed", packed, test_reset_ring);
    ADD("ring/reset-not-negotiated", modern, test_no_reset_ring);
    ADD("irq/acknowledge", modern, test_acknowledge);
    ADD("irq/acknowledge-legacy", legacy, test_acknowledge);
    ADD("irq/gone", modern, test_gone);
    ADD("random/modern", modern, test_random_registers);
    ADD("random/legacy", legacy, test_random_registers);
    return g_test_run();
}
