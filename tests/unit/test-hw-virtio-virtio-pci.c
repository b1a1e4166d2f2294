/*
 * A virtio-net on PCI, with its driver: both layouts, modern and legacy registers, any number of
 * pairs, interrupts of both kinds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-pci-rig.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define BIT(n)   (1ull << (n))
#define CTRL     (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC))
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)
#define MQ       BIT(VIRTIO_NET_F_MQ)

static const VirtioPciRigConfig modern = { .pairs = 1, .wanted = CTRL };
static const VirtioPciRigConfig packed = { .pairs = 1, .wanted = CTRL | PACKED | EVENT };
static const VirtioPciRigConfig legacy = { .pairs = 1, .wanted = CTRL, .legacy = true };
static const VirtioPciRigConfig msix = { .pairs = 1, .wanted = CTRL | EVENT, .msix = true };
static const VirtioPciRigConfig legacy_msix = {
    .pairs = 1, .wanted = CTRL | EVENT, .legacy = true, .msix = true,
};
static const VirtioPciRigConfig pairs2 = { .pairs = 2, .wanted = CTRL | MQ, .msix = true };
static const VirtioPciRigConfig pairs4 = { .pairs = 4, .wanted = CTRL | MQ | PACKED };
static const VirtioPciRigConfig pairs8 = { .pairs = 8, .wanted = CTRL | MQ | EVENT };
static const VirtioPciRigConfig legacy8 = { .pairs = 8, .wanted = CTRL | MQ, .legacy = true };
static const VirtioPciRigConfig no_mq = { .pairs = 4, .wanted = CTRL };

static void setup(VirtioPciRig *r, gconstpointer data)
{
    virtio_pci_rig_up(r, data);
}

static void teardown(VirtioPciRig *r, gconstpointer data)
{
    virtio_pci_rig_down(r);
}

/* --- packets --- */

static void test_packets(VirtioPciRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 64);
    for (unsigned i = 0; i < 40; i++) {
        virtio_pci_rig_pass(r, 0);
    }
    g_assert_cmpuint(r->running, ==, 3);
}

/* All pairs, as the control queue switches them. */
static void test_pairs(VirtioPciRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    g_assert_cmpuint(r->g.n_rings, ==, 2 * r->c.pairs + 1);
    for (unsigned n = 1; n <= r->c.pairs; n *= 2) {
        g_assert_cmpuint(vpg_set_pairs(&r->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        g_assert_cmpuint(fake_netdev_active(r->nd), ==, n);
        for (unsigned pair = 0; pair < n; pair++) {
            vpg_post(&r->g, pair, 2);
            virtio_pci_rig_pass(r, pair);
        }
    }
    g_assert_cmpuint(vpg_set_pairs(&r->g, 0), ==, VIRTIO_NET_ERR);
    g_assert_cmpuint(vpg_set_pairs(&r->g, (uint16_t)(r->c.pairs + 1)), ==, VIRTIO_NET_ERR);
    g_assert_cmpuint(vpg_set_pairs(&r->g, 1), ==, VIRTIO_NET_OK);
    virtio_pci_rig_pass(r, 0);
}

/* Without MQ there are three rings, whatever the device could have. */
static void test_no_mq(VirtioPciRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    g_assert_cmpuint(r->g.n_rings, ==, 3);
    g_assert_cmpuint(vpg_ring_size(&r->g, 2), ==, 64);
    g_assert_cmpuint(vpg_ring_size(&r->g, 3), ==, 0);
    g_assert_cmpuint(vpg_in(&r->g, r->g.common + VIRTIO_PCI_COMMON_NUMQ, 2), ==, 3);
    vpg_post(&r->g, 0, 2);
    virtio_pci_rig_pass(r, 0);
    g_assert_cmpuint(vpg_set_pairs(&r->g, 2), ==, VIRTIO_NET_ERR);
}

/* --- interrupts --- */

static void give(VirtioPciRig *r)
{
    g_autofree FakePkt *in = g_new0(FakePkt, 1);

    in->len = 60;
    memset(in->data, 0xff, in->len);
    fake_netdev_give(r->nd, 0, in);
}

static void test_intx(VirtioPciRig *r, gconstpointer data)
{
    uint8_t frame[VPG_PACKET];

    vpg_start(&r->g);
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 0);
    vpg_post(&r->g, 0, 1);
    give(r);
    g_assert_cmpuint(vpg_recv(&r->g, 0, frame), ==, 60);
    vpg_wait_for(&r->g, vpg_config_in(&r->g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 1);
    g_assert_false(vpg_config_in(&r->g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 0);
}

/* A message of the ring's vector, or it is pending as long as that or the function is masked. */
static void test_msix(VirtioPciRig *r, gconstpointer data)
{
    uint8_t frame[VPG_PACKET];

    vpg_start(&r->g);
    vpg_post(&r->g, 0, 8);
    for (unsigned masks = 0; masks < 4; masks++) {
        vpg_msix_mask(&r->g, 0, masks & 1);
        vpg_msix_mask_all(&r->g, masks & 2);
        virtq_driver_arm(r->g.ring[0]);
        give(r);
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

static void test_no_vector(VirtioPciRig *r, gconstpointer data)
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
    virtio_pci_rig_pass(r, 0);
    g_assert_false(vpg_msix_came(&r->g, 0));
}

/* --- it begins anew --- */

static void test_reset(VirtioPciRig *r, gconstpointer data)
{
    for (unsigned i = 0; i < 10; i++) {
        vpg_start(&r->g);
        vpg_post(&r->g, 0, 16);
        virtio_pci_rig_pass(r, 0);
        give(r);
    }
    vpg_reset(&r->g);
    g_assert_cmpuint(r->running, ==, 0);
    g_assert_cmphex(vpg_take_isr(&r->g), ==, 0);
    vpg_select(&r->g, 0);
    g_assert_cmphex(vpg_in(&r->g, r->g.common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), ==, 0);
    g_assert_cmphex(vpg_in(&r->g, r->g.common + VIRTIO_PCI_COMMON_Q_DESCLO, 4), ==, 0);
}

/* One ring by itself, the others go on. */
static void test_reset_ring(VirtioPciRig *r, gconstpointer data)
{
    uint64_t at;

    r->g.wanted |= BIT(VIRTIO_F_RING_RESET);
    vpg_start(&r->g);
    at = r->g.common;
    vpg_post(&r->g, 0, 4);
    for (unsigned i = 0; i < 5; i++) {
        virtio_pci_rig_pass(r, 0);
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
static void test_bus_master(VirtioPciRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 32);
    for (unsigned i = 0; i < 5; i++) {
        virtio_pci_rig_pass(r, 0);
        vpg_config_out(&r->g, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
        g_assert_cmpuint(r->running, ==, 0);
        vpg_config_out(&r->g, PCI_COMMAND,
                       PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
        g_assert_cmpuint(r->running, ==, 3);
    }
}

/* A bus that is reset takes all of it back, at any moment. */
static void test_reset_bus(VirtioPciRig *r, gconstpointer data)
{
    for (unsigned i = 0; i < 3; i++) {
        vpg_start(&r->g);
        vpg_post(&r->g, 0, 4);
        virtio_pci_rig_pass(r, 0);
        pci_bus_reset(r->bus);
        g_assert_cmpuint(r->running, ==, 0);
        vpg_find(&r->g);
        g_assert_cmphex(vpg_status(&r->g), ==, 0);
    }
}

/* --- what a driver does wrong --- */

/* Addresses outside of memory: nothing runs, and it is told to reset. */
static void test_bad_address(VirtioPciRig *r, gconstpointer data)
{
    uint64_t at;

    vpg_reset(&r->g);
    g_assert_true(vpg_negotiate(&r->g));
    at = r->g.common;
    vpg_select(&r->g, 0);
    vpg_out(&r->g, at + VIRTIO_PCI_COMMON_Q_DESCLO, VPG_RAM - 16, 8);
    vpg_out(&r->g, at + VIRTIO_PCI_COMMON_Q_AVAILLO, 0x10000, 8);
    vpg_out(&r->g, at + VIRTIO_PCI_COMMON_Q_USEDLO, 0x20000, 8);
    vpg_out(&r->g, at + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
    vpg_set_status(&r->g, 15);
    g_assert_cmphex(vpg_status(&r->g), ==, 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmpuint(r->running, ==, 0);
    g_assert_cmpuint(r->warnings, ==, 1);
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 1);
    virtio_pci_rig_pass(r, 0);
}

static void test_bad_features(VirtioPciRig *r, gconstpointer data)
{
    vpg_reset(&r->g);
    vpg_set_status(&r->g, 3);
    vpg_out(&r->g, r->g.common + VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
    vpg_out(&r->g, r->g.common + VIRTIO_PCI_COMMON_GF, UINT32_MAX, 4);
    vpg_set_status(&r->g, 11);
    g_assert_cmphex(vpg_status(&r->g), ==, 3);
    vpg_out(&r->g, r->g.common + VIRTIO_PCI_COMMON_GF, 1, 4);
    vpg_set_status(&r->g, 11);
    g_assert_cmphex(vpg_status(&r->g), ==, 11);
}

/* A ring that lies: an index further ahead than it is long. */
static void test_broken_ring(VirtioPciRig *r, gconstpointer data)
{
    vpg_start(&r->g);
    r->g.ring[1]->avail->idx = 1000;
    vpg_out(&r->g, r->g.notify + r->g.notify_step, 1, 2);
    vpg_wait_for(&r->g, vpg_status(&r->g) & VIRTIO_CONFIG_S_NEEDS_RESET);
    g_assert_cmphex(vpg_take_isr(&r->g) & VIRTIO_PCI_ISR_CONFIG, !=, 0);
    vpg_start(&r->g);
    vpg_post(&r->g, 0, 1);
    virtio_pci_rig_pass(r, 0);
}

/* --- registers --- */

/* The registers, by way of the configuration space. */
static void test_pci_cfg(VirtioPciRig *r, gconstpointer data)
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

static void test_identity(VirtioPciRig *r, gconstpointer data)
{
    g_assert_cmphex(vpg_config_in(&r->g, PCI_DEVICE_ID, 2), ==, 0x1000);
    g_assert_cmphex(vpg_config_in(&r->g, PCI_SUBSYSTEM_ID, 2), ==, 1);
    g_assert_cmphex(vpg_config_in(&r->g, PCI_CLASS_REVISION, 4), ==, 0x02000000);
    g_assert_cmphex(vpg_net_config(&r->g, 0), ==, 0x52);
    g_assert_cmphex(vpg_net_config(&r->g, 5), ==, 0x56);
}

/* Any register, any value, any width: nothing breaks, and a reset brings all back. */
static void test_random_registers(VirtioPciRig *r, gconstpointer data)
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
        virtio_pci_rig_pass(r, 0);
    }
}

#define ADD(name, config, fn) \
    g_test_add("/hw/virtio/virtio-pci/" name, VirtioPciRig, &config, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("packets/modern", modern, test_packets);
    ADD("packets/packed", packed, test_packets);
    ADD("packets/legacy", legacy, test_packets);
    ADD("packets/msix", msix, test_packets);
    ADD("packets/legacy-msix", legacy_msix, test_packets);
    ADD("pairs/2", pairs2, test_pairs);
    ADD("pairs/4-packed", pairs4, test_pairs);
    ADD("pairs/8", pairs8, test_pairs);
    ADD("pairs/8-legacy", legacy8, test_pairs);
    ADD("pairs/no-mq", no_mq, test_no_mq);
    ADD("intx/modern", modern, test_intx);
    ADD("intx/legacy", legacy, test_intx);
    ADD("msix/modern", msix, test_msix);
    ADD("msix/legacy", legacy_msix, test_msix);
    ADD("msix/no-vector", msix, test_no_vector);
    ADD("reset/device", modern, test_reset);
    ADD("reset/packed", packed, test_reset);
    ADD("reset/ring", modern, test_reset_ring);
    ADD("reset/ring-packed", packed, test_reset_ring);
    ADD("reset/bus-master", modern, test_bus_master);
    ADD("reset/bus-master-packed", packed, test_bus_master);
    ADD("reset/bus", packed, test_reset_bus);
    ADD("wrong/address", modern, test_bad_address);
    ADD("wrong/features", modern, test_bad_features);
    ADD("wrong/ring", modern, test_broken_ring);
    ADD("registers/pci-cfg", modern, test_pci_cfg);
    ADD("registers/identity", modern, test_identity);
    ADD("registers/random", modern, test_random_registers);
    return g_test_run();
}
