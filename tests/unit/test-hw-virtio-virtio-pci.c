/*
 * A virtio-net on PCI, with its driver: what MMIO has not. test-hw-virtio-virtio-regs has the rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-regs-rig.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define BIT(n)   (1ull << (n))
#define CTRL     (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC))
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)

static const VirtioRegsRigConfig modern = { .pairs = 1, .wanted = CTRL };
static const VirtioRegsRigConfig packed = { .pairs = 1, .wanted = CTRL | PACKED | EVENT };
static const VirtioRegsRigConfig msix = { .pairs = 1, .wanted = CTRL | EVENT, .msix = true };
static const VirtioRegsRigConfig legacy_msix = {
    .pairs = 1, .wanted = CTRL | EVENT, .legacy = true, .msix = true,
};

static void setup(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_up(r, data);
}

static void teardown(VirtioRegsRig *r, gconstpointer data)
{
    virtio_regs_rig_down(r);
}

/* --- interrupts --- */

/* A message of the ring's vector, or it is pending as long as that or the function is masked. */
static void test_msix(VirtioRegsRig *r, gconstpointer data)
{
    uint8_t frame[VPG_PACKET];

    vpg_start(&r->g);
    vpg_post(&r->g, 0, 8);
    for (unsigned masks = 0; masks < 4; masks++) {
        vpg_msix_mask(&r->g, 0, masks & 1);
        vpg_msix_mask_all(&r->g, masks & 2);
        virtq_driver_arm(r->g.ring[0]);
        virtio_regs_rig_give(r);
        g_assert_cmpuint(vpg_recv(&r->g, 0, frame), ==, 60);
        if (masks) {
            vpg_wait_for(&r->g, vpg_msix_is_pending(&r->g, 0));
            g_assert_false(vpg_msix_came(&r->g, 0));
            vpg_msix_mask_all(&r->g, false);
            g_assert_cmpint(vpg_msix_came(&r->g, 0), ==, !(masks & 1));
            vpg_msix_mask(&r->g, 0, false);
            g_assert_cmpint(vpg_msix_came(&r->g, 0), ==, masks & 1);
        } else {
            vpg_wait_for(&r->g, vpg_msix_came(&r->g, 0));
        }
        g_assert_false(vpg_msix_is_pending(&r->g, 0));
    }
    g_assert_false(vpg_msix_came(&r->g, 3));
    netdev_set_link(r->nd, false);
    vpg_wait_for(&r->g, vpg_msix_came(&r->g, 3)); /* of the config space */
}

static void test_no_vector(VirtioRegsRig *r, gconstpointer data)
{
    uint64_t common = r->g.common;

    vpg_start(&r->g);
    common = r->g.common;
    vpg_out(&r->g, common + VIRTIO_PCI_COMMON_MSIX, 1000, 2);
    g_assert_cmphex(vpg_in(&r->g, common + VIRTIO_PCI_COMMON_MSIX, 2), ==, VPG_NO_VECTOR);
    vpg_select(&r->g, 0);
    vpg_out(&r->g, common + VIRTIO_PCI_COMMON_Q_MSIX, VPG_NO_VECTOR, 2);
    g_assert_cmphex(vpg_in(&r->g, common + VIRTIO_PCI_COMMON_Q_MSIX, 2), ==, VPG_NO_VECTOR);
    vpg_post(&r->g, 0, 1);
    virtio_regs_rig_pass(r, 0);
    g_assert_false(vpg_msix_came(&r->g, 0));
}

/* --- it begins anew --- */

/* One ring by itself, the others go on. */
static void test_reset_ring(VirtioRegsRig *r, gconstpointer data)
{
    uint64_t at;

    r->g.wanted |= BIT(VIRTIO_F_RING_RESET);
    vpg_start(&r->g);
    at = r->g.common;
    vpg_post(&r->g, 0, 4);
    for (unsigned i = 0; i < 5; i++) {
        virtio_regs_rig_pass(r, 0);
        vpg_select(&r->g, 0);
        vpg_out(&r->g, at + 58, 1, 2);
        g_assert_cmphex(vpg_in(&r->g, at + 58, 2), ==, 0);
        g_assert_cmphex(vpg_in(&r->g, at + VIRTIO_PCI_COMMON_Q_ENABLE, 2), ==, 0);
        g_assert_cmpuint(r->running, ==, 2);
        vpg_add_ring(&r->g, 0);
        g_assert_cmpuint(r->running, ==, 3);
        vpg_post(&r->g, 0, 4);
    }
}

/* Rings rest where the device may not reach memory, and go on where they were. */
static void test_bus_master(VirtioRegsRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 32);
    for (unsigned i = 0; i < 5; i++) {
        virtio_regs_rig_pass(r, 0);
        vpg_config_out(&r->g, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
        g_assert_cmpuint(r->running, ==, 0);
        vpg_config_out(&r->g, PCI_COMMAND,
                       PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
        g_assert_cmpuint(r->running, ==, 3);
    }
}

/* --- registers --- */

/* The registers, by way of the configuration space. */
static void test_pci_cfg(VirtioRegsRig *r, gconstpointer data)
{
    unsigned cap = vpg_config_in(&r->g, PCI_CAPABILITY_LIST, 1);

    while (vpg_config_in(&r->g, cap, 1) != PCI_CAP_ID_VNDR ||
           vpg_config_in(&r->g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) != VIRTIO_PCI_CAP_PCI_CFG) {
        cap = vpg_config_in(&r->g, cap + 1, 1);
        g_assert_cmpuint(cap, !=, 0);
    }
    vpg_config_out(&r->g, cap + VIRTIO_PCI_CAP_BAR, 4, 1);
    vpg_config_out(&r->g, cap + VIRTIO_PCI_CAP_OFFSET, VIRTIO_PCI_COMMON_STATUS, 4);
    vpg_config_out(&r->g, cap + VIRTIO_PCI_CAP_LENGTH, 1, 4);
    vpg_config_out(&r->g, cap + 16, 0xffffff03, 4);
    g_assert_cmphex(vpg_status(&r->g), ==, 3);
    g_assert_cmphex(vpg_config_in(&r->g, cap + 16, 4), ==, 3);
    vpg_config_out(&r->g, cap + VIRTIO_PCI_CAP_OFFSET, VIRTIO_PCI_COMMON_STATUS - 2, 4);
    vpg_config_out(&r->g, cap + VIRTIO_PCI_CAP_LENGTH, 4, 4); /* not aligned */
    vpg_config_out(&r->g, cap + 16, 0, 4);
    vpg_config_out(&r->g, cap + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX, 4);
    vpg_config_out(&r->g, cap + VIRTIO_PCI_CAP_LENGTH, 1, 4);
    vpg_config_out(&r->g, cap + 16, 0, 4);
    g_assert_cmphex(vpg_status(&r->g), ==, 3);
}

static void test_identity(VirtioRegsRig *r, gconstpointer data)
{
    g_assert_cmpuint(vpg_in(&r->g, r->g.common + VIRTIO_PCI_COMMON_NUMQ, 2), ==, 3);
    g_assert_cmphex(vpg_config_in(&r->g, PCI_DEVICE_ID, 2), ==, 0x1000);
    g_assert_cmphex(vpg_config_in(&r->g, PCI_SUBSYSTEM_ID, 2), ==, 1);
    g_assert_cmphex(vpg_config_in(&r->g, PCI_CLASS_REVISION, 4), ==, 0x02000000);
    g_assert_cmphex(vpg_net_config(&r->g, 0), ==, 0x52);
    g_assert_cmphex(vpg_net_config(&r->g, 5), ==, 0x56);
}

/* Any register, any value, any width: nothing breaks, and a reset brings all back. */
static void test_random_registers(VirtioRegsRig *r, gconstpointer data)
{
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 500; i++) {
            unsigned len = 1u << g_test_rand_int_range(0, 3);
            uint32_t value = g_test_rand_int_range(0, 4) ? (uint32_t)g_test_rand_int_range(0, 8)
                                                        : (uint32_t)g_test_rand_int();
            uint32_t at = (uint32_t)g_test_rand_int_range(0, 64);

            switch (g_test_rand_int_range(0, 4)) {
            case 0:
                r->g.a.write(r->g.a.opaque, true, r->g.port + at, &value, len);
                break;
            case 1:
                r->g.a.read(r->g.a.opaque, true, r->g.port + at, &value, len);
                break;
            case 2:
                vpg_in(&r->g, r->g.common + g_test_rand_int_range(0, 0x4000), len);
                break;
            default:
                vpg_out(&r->g, r->g.common + at, value, len);
                break;
            }
        }
        pci_bus_reset(r->bus);
        vpg_find(&r->g);
        vpg_start(&r->g);
        vpg_post(&r->g, 0, 1);
        virtio_regs_rig_pass(r, 0);
    }
}

#define ADD(name, config, fn) \
    g_test_add("/hw/virtio/virtio-pci/" name, VirtioRegsRig, &config, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("msix/modern", msix, test_msix);
    ADD("msix/legacy", legacy_msix, test_msix);
    ADD("msix/no-vector", msix, test_no_vector);
    ADD("reset/ring", modern, test_reset_ring);
    ADD("reset/ring-packed", packed, test_reset_ring);
    ADD("reset/bus-master", modern, test_bus_master);
    ADD("reset/bus-master-packed", packed, test_bus_master);
    ADD("registers/pci-cfg", modern, test_pci_cfg);
    ADD("registers/identity", modern, test_identity);
    ADD("registers/random", modern, test_random_registers);
    return g_test_run();
}
