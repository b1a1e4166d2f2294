/*
 * virtio-net-pci in the whole program: a driver by qtest, with rings in the guest's memory, and the
 * other end of a socket or of a tap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frames.h"
#include "virtio-pci-program.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>

#define BIT(n) (1ull << (n))
#define CTRL   (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS))
#define PACKED BIT(VIRTIO_F_RING_PACKED)
#define EVENT  BIT(VIRTIO_RING_F_EVENT_IDX)
#define MQ     BIT(VIRTIO_NET_F_MQ)

static void test_packets(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    for (unsigned i = 0; i < 300; i++) { /* more than a ring holds */
        vpp_there_and_back(f, i);
    }
}

static void pass_all(Vpp *f, unsigned n)
{
    g_autofree uint8_t *got = g_malloc(FRAME_MAX);
    uint8_t frame[VPG_PACKET];
    struct virtio_net_hdr hdr;

    host_tap_wait_running(f->tap);
    for (unsigned pair = 0; pair < n; pair++) {
        vpp_frame(frame, 16 * n + pair);
        vpg_send(&f->g, pair, frame, 100);
        do {
            size_t len = host_tap_recv(f->tap, &hdr, got, VPP_WAIT_MS);

            g_assert_cmpuint(len, !=, 0);
        } while (memcmp(got, frame, 100) != 0); /* the kernel has frames of its own */
    }
}

/* From all pairs, in any number that the control queue sets. */
static void test_pairs(Vpp *f, gconstpointer data)
{
    const VppCase *c = data;

    if (!f->qt) {
        return; /* skipped */
    }
    vpg_start(&f->g);
    g_assert_cmpuint(f->g.n_rings, ==, 2 * c->pairs + 1);
    for (unsigned n = 1; n <= c->pairs; n *= 2) {
        g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        pass_all(f, n);
    }
    g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)(c->pairs + 1)), ==, VIRTIO_NET_ERR);
}

/* --- interrupts --- */

static void test_msix(Vpp *f, gconstpointer data)
{
    uint8_t frame[VPG_PACKET];

    vpg_start(&f->g);
    vpp_frame(frame, 1);
    for (unsigned i = 0; i < 6; i++) {
        bool masked = i % 2;

        vpg_msix_mask(&f->g, 0, masked);
        virtq_driver_arm(f->g.ring[0]);
        vpg_post(&f->g, 0, 1);
        g_assert_cmpint(send(f->other, frame, 60, 0), ==, 60);
        g_assert_cmpuint(vpg_recv(&f->g, 0, frame), ==, 60);
        if (masked) {
            vpg_wait_for(&f->g, vpg_msix_is_pending(&f->g, 0));
            g_assert_false(vpg_msix_came(&f->g, 0));
            vpg_msix_mask(&f->g, 0, false);
        }
        vpg_wait_for(&f->g, vpg_msix_came(&f->g, 0));
    }
}

/* The link's state is the config space's, and told. */
static void test_link(Vpp *f, gconstpointer data)
{
    unsigned config = f->g.n_rings;

    vpg_start(&f->g);
    config = f->g.n_rings;
    g_assert_cmpuint(vpg_net_config(&f->g, 6), ==, VIRTIO_NET_S_LINK_UP);
    for (unsigned up = 0; up < 2; up++) {
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'set_link', 'arguments': {'name': "
                                            "'nic0', 'up': %s}}", up ? "true" : "false"));
        vpg_wait_for(&f->g, vpg_msix_came(&f->g, config));
        g_assert_cmpuint(vpg_net_config(&f->g, 6), ==, up);
    }
}

/* --- it comes and goes --- */

/* More than a driver takes is on its way, and something is always going on. */
static void flood(Vpp *f)
{
    uint8_t frame[VPG_PACKET];

    vpp_frame(frame, 0xee);
    while (send(f->other, frame, 300, MSG_DONTWAIT) > 0) {
    }
    g_assert_true(errno == EAGAIN);
}

static void test_reset(Vpp *f, gconstpointer data)
{
    for (unsigned i = 0; i < 20; i++) {
        vpg_start(&f->g);
        vpg_post(&f->g, 0, 1 + 10 * i);
        flood(f);
        if (i % 3 == 1) {
            vpg_config_out(&f->g, 4, 0, 2); /* nothing is enabled any more */
            vpg_config_out(&f->g, 4, 7, 2);
        }
        g_usleep(g_test_rand_int_range(0, 2000));
        vpg_reset(&f->g);
    }
    vpg_start(&f->g);
    vpp_there_and_back(f, 1);
}

static void test_hot_plug(Vpp *f, gconstpointer data)
{
    for (unsigned i = 0; i < 6; i++) {
        vpg_start(&f->g);
        vpp_there_and_back(f, i);
        vpg_post(&f->g, 0, 100);
        flood(f);
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'device_del', 'arguments': "
                                            "{'id': 'nic0'}}"));
        g_assert_cmpuint(vpg_config_in(&f->g, 0, 2), ==, 0x1af4); /* it is the guest's still */
        qtest_do(f->qt, "outl 0xae08 0x%x", 1u << VPP_SLOT);
        json_object_put(qtest_event(f->qt, "DEVICE_DELETED"));
        g_assert_cmpuint(vpg_config_in(&f->g, 0, 2), ==, 0xffff);
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'device_add', 'arguments': {'driver': "
                                            "'virtio-net-pci', 'id': 'nic0', 'netdev': 'n0', "
                                            "'addr': '4'}}"));
        vpg_find(&f->g);
    }
}

/* --- it goes to another program, and its driver with it --- */

static void test_migrate(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    for (unsigned i = 0; i < 4; i++) {
        vpp_there_and_back(f, i);
        vpg_post(&f->g, 0, 20); /* they are filled there */
        flood(f);
        vpp_migrate(f, data);
        vpp_there_and_back(f, 100 + i);
    }
}

static void test_migrate_pairs(Vpp *f, gconstpointer data)
{
    const VppCase *c = data;

    if (!f->qt) {
        return; /* skipped */
    }
    vpg_start(&f->g);
    for (unsigned n = 1; n <= c->pairs; n *= 2) {
        g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        pass_all(f, n);
        vpp_migrate(f, c);
        pass_all(f, n);
    }
}

static const VppCase modern = { "", CTRL, .legacy = false };
static const VppCase packed = { ",packed=on,disable-legacy=on", CTRL | PACKED | EVENT };
static const VppCase legacy = { ",disable-modern=on", CTRL, .legacy = true };
static const VppCase msix = { "", CTRL | EVENT, .msix = true };
static const VppCase legacy_msix = { "", CTRL | EVENT, .legacy = true, .msix = true };
static const VppCase pairs1 = { ",mq=on", CTRL | MQ, .pairs = 1 };
static const VppCase pairs2 = { ",mq=on", CTRL | MQ, .pairs = 2, .msix = true };
static const VppCase pairs4 = { ",mq=on,packed=on", CTRL | MQ | PACKED | EVENT, .pairs = 4 };
static const VppCase pairs8 = { ",mq=on", CTRL | MQ, .pairs = 8, .legacy = true };

#define ADD(name, data, fn) \
    g_test_add("/virtio-net-pci/" name, Vpp, &data, vpp_setup, fn, vpp_teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("packets/modern", modern, test_packets);
    ADD("packets/packed", packed, test_packets);
    ADD("packets/legacy", legacy, test_packets);
    ADD("packets/msix", msix, test_packets);
    ADD("pairs/1", pairs1, test_pairs);
    ADD("pairs/2-msix", pairs2, test_pairs);
    ADD("pairs/4-packed", pairs4, test_pairs);
    ADD("pairs/8-legacy", pairs8, test_pairs);
    ADD("msix/modern", msix, test_msix);
    ADD("msix/legacy", legacy_msix, test_msix);
    ADD("msix/link", msix, test_link);
    ADD("reset/modern", modern, test_reset);
    ADD("reset/packed", packed, test_reset);
    ADD("reset/legacy", legacy, test_reset);
    ADD("hot-plug", modern, test_hot_plug);
    ADD("migrate/modern", modern, test_migrate);
    ADD("migrate/packed", packed, test_migrate);
    ADD("migrate/legacy-msix", legacy_msix, test_migrate);
    ADD("migrate/pairs-1", pairs1, test_migrate_pairs);
    ADD("migrate/pairs-2", pairs2, test_migrate_pairs);
    ADD("migrate/pairs-4", pairs4, test_migrate_pairs);
    ADD("migrate/pairs-8", pairs8, test_migrate_pairs);
    return g_test_run();
}
