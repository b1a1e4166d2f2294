/*
 * announce-self of a virtio-net-pci: what the netdev gets, what the driver is asked, and when.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-pci-program.h"

#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define BIT(n)   (1ull << (n))
#define FEATURES (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_STATUS) |           \
                  BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))
#define ANNOUNCE BIT(VIRTIO_NET_F_GUEST_ANNOUNCE)
#define QUIET_MS 100

static void announce(Vpp *f, const char *args)
{
    json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'announce-self', 'arguments': {%s}}", args));
}

/* False: none comes. */
static bool wait_rarp(Vpp *f, const uint8_t mac[6], int timeout_ms)
{
    static const uint8_t zeros[18];
    struct pollfd p = { .fd = f->other, .events = POLLIN };
    uint8_t got[100];

    if (poll(&p, 1, timeout_ms) == 0) {
        return false;
    }
    g_assert_cmpint(recv(f->other, got, sizeof(got), 0), ==, 60);
    g_assert_cmpmem(got, 6, "\xff\xff\xff\xff\xff\xff", 6);
    g_assert_cmpmem(got + 6, 6, mac, 6);
    g_assert_cmpmem(got + 12, 10, "\x80\x35\0\1\10\0\6\4\0\3", 10);
    g_assert_cmpmem(got + 22, 6, mac, 6);
    g_assert_cmpmem(got + 28, 4, zeros, 4);
    g_assert_cmpmem(got + 32, 6, mac, 6);
    g_assert_cmpmem(got + 38, 18, zeros, 18);
    return true;
}

static const uint8_t first_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

static void expect_rarps(Vpp *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_true(wait_rarp(f, first_mac, VPP_WAIT_MS));
    }
    g_assert_false(wait_rarp(f, first_mac, QUIET_MS));
}

static bool is_asked(Vpp *f)
{
    return vpg_net_config(&f->g, 6) & VIRTIO_NET_S_ANNOUNCE;
}

static void acknowledge(Vpp *f, uint8_t answer)
{
    g_assert_cmpuint(vpg_command(&f->g, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK,
                                 "", 0), ==, answer);
}

/* The driver is told each time, until it says that it did. */
static void test_asked(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    for (unsigned i = 0; i < 3; i++) {
        acknowledge(f, VIRTIO_NET_ERR);
        announce(f, "'initial': 1, 'max': 1, 'rounds': 1, 'step': 1");
        expect_rarps(f, 1);
        vpg_wait_for(&f->g, vpg_msix_came(&f->g, f->g.n_rings));
        g_assert_true(is_asked(f));
        acknowledge(f, VIRTIO_NET_OK);
        g_assert_false(is_asked(f));
    }
}

/* One at once, one after @initial, then each after a wait that is longer by @step, up to @max. */
static void test_waits(Vpp *f, gconstpointer data)
{
    gint64 start = g_get_monotonic_time();

    announce(f, "'initial': 20, 'max': 50, 'rounds': 5, 'step': 20");
    expect_rarps(f, 5);
    g_assert_cmpint((g_get_monotonic_time() - start) / 1000, >=, 20 + 40 + 50 + 50 + QUIET_MS);
    announce(f, "'initial': 100000, 'max': 100000, 'rounds': 5, 'step': 0");
    expect_rarps(f, 1);
    announce(f, "'initial': 0, 'max': 100000, 'rounds': 5, 'step': 100000");
    expect_rarps(f, 2);
    announce(f, "'initial': 100000, 'max': 1, 'rounds': 5, 'step': 100000");
    expect_rarps(f, 5);
}

/* Of a driver that can't, or of none, switches hear all the same; of a new address, too. */
static void test_not_asked(Vpp *f, gconstpointer data)
{
    static const uint8_t mac[6] = { 0x02, 1, 2, 3, 4, 5 };

    announce(f, "'initial': 1, 'max': 1, 'rounds': 3, 'step': 1");
    expect_rarps(f, 3);
    vpg_start(&f->g);
    announce(f, "'initial': 1, 'max': 1, 'rounds': 2, 'step': 1");
    expect_rarps(f, 2);
    g_assert_false(is_asked(f));
    g_assert_cmpuint(vpg_command(&f->g, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6),
                     ==, VIRTIO_NET_OK);
    announce(f, "'initial': 1, 'max': 1, 'rounds': 1, 'step': 1");
    g_assert_true(wait_rarp(f, mac, VPP_WAIT_MS));
}

static void test_interfaces(Vpp *f, gconstpointer data)
{
    announce(f, "'initial': 1, 'max': 1, 'rounds': 3, 'step': 1, 'interfaces': ['n0', 'nic1']");
    expect_rarps(f, 0);
    announce(f, "'initial': 1, 'max': 1, 'rounds': 3, 'step': 1, 'interfaces': []");
    expect_rarps(f, 0);
    announce(f, "'initial': 1, 'max': 1, 'rounds': 3, 'step': 1, 'interfaces': ['x', 'nic0']");
    expect_rarps(f, 3);
}

/* One takes the place of another of its id; 0 rounds end it. */
static void test_ids(Vpp *f, gconstpointer data)
{
    announce(f, "'initial': 60000, 'max': 60000, 'rounds': 9, 'step': 1, 'id': 'a'");
    expect_rarps(f, 1);
    announce(f, "'initial': 60000, 'max': 60000, 'rounds': 9, 'step': 1");
    expect_rarps(f, 1);
    announce(f, "'initial': 1, 'max': 2, 'rounds': 2000000000, 'step': 1, 'id': 'a'");
    for (unsigned i = 0; i < 20; i++) {
        g_assert_true(wait_rarp(f, first_mac, VPP_WAIT_MS));
    }
    announce(f, "'initial': 1, 'max': 2, 'rounds': 0, 'step': 1, 'id': 'a'");
    while (wait_rarp(f, first_mac, QUIET_MS)) { /* were sent before */
    }
    announce(f, "'initial': 1, 'max': 2, 'rounds': 0, 'step': 1, 'id': 'never there'");
    expect_rarps(f, 0);
}

/* The NIC goes and comes meanwhile; the program ends in the middle of it. */
static void test_unplug(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    announce(f, "'initial': 1, 'max': 1, 'rounds': 2000000000, 'step': 0");
    for (unsigned i = 0; i < 5; i++) {
        g_assert_true(wait_rarp(f, first_mac, VPP_WAIT_MS));
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'device_del', 'arguments': "
                                            "{'id': 'nic0'}}"));
        qtest_do(f->qt, "outl 0xae08 0x%x", 1u << VPP_SLOT);
        json_object_put(qtest_event(f->qt, "DEVICE_DELETED"));
        while (wait_rarp(f, first_mac, QUIET_MS)) { /* were sent before */
        }
        json_object_put(qtest_qmp_ok(f->qt, "{'execute': 'device_add', 'arguments': {'driver': "
                                            "'virtio-net-pci', 'id': 'nic0', 'netdev': 'n0', "
                                            "'addr': '4'}}"));
    }
    g_assert_true(wait_rarp(f, first_mac, VPP_WAIT_MS));
}

/*
 * As often as the parameters say where it has come to. Some were sent before the test looks: that
 * the driver is asked several times it sees as once.
 */
static void test_migrate(Vpp *f, gconstpointer data)
{
    vpg_start(&f->g);
    vpp_migrate(f, data);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_true(wait_rarp(f, first_mac, VPP_WAIT_MS));
    }
    g_assert_true(is_asked(f));
    acknowledge(f, VIRTIO_NET_OK);
    g_assert_false(wait_rarp(f, first_mac, 600));
    g_assert_false(is_asked(f));
}

static const VppCase msix = { "", FEATURES | ANNOUNCE, .msix = true };
static const VppCase modern = { "", FEATURES | ANNOUNCE };
static const VppCase old = { ",disable-modern=on", FEATURES, .legacy = true };

#define ADD(name, data, fn) \
    g_test_add("/virtio-net-pci/announce/" name, Vpp, &data, vpp_setup, fn, vpp_teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("asked", msix, test_asked);
    ADD("waits", modern, test_waits);
    ADD("not-asked", old, test_not_asked);
    ADD("interfaces", modern, test_interfaces);
    ADD("ids", modern, test_ids);
    ADD("unplug", modern, test_unplug);
    ADD("migrate", modern, test_migrate);
    return g_test_run();
}
