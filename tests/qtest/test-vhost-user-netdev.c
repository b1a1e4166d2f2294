/*
 * -netdev vhost-user in the whole program, under a virtio-net-pci with a driver by qtest; behind it
 * a second program of ours, whose -device vhost-user-net has the other end of a socket or a tap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frames.h"
#include "virtio-pci-program.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(n) (1ull << (n))
#define CTRL   (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | \
                BIT(VIRTIO_NET_F_MQ))
#define PACKED BIT(VIRTIO_F_RING_PACKED)
#define EVENT  BIT(VIRTIO_RING_F_EVENT_IDX)

typedef struct Case {
    VppCase vpp;
    bool comes;            /* the back end connects */
} Case;

typedef struct Fixture {
    Vpp vpp;
    QTest *back;
    char *dir;
    char *path;
} Fixture;

/* What a driver takes, by turns. */
static const uint64_t wanted[] = { CTRL, CTRL | PACKED | EVENT, CTRL | EVENT, CTRL | PACKED };

/* --- life --- */

static void start_back(Fixture *f, const Case *c)
{
    g_autofree char *args = g_strdup_printf(
        "-chardev socket,id=c0,path=%s,%s "
        "-device vhost-user-net,id=back0,chardev=c0,netdev=n0,packed=on,in_order=on", f->path,
        c->comes ? "reconnect-ms=20" : "server=on,wait=off");

    f->back = vpp_start_with(&f->vpp, &c->vpp, args);
}

static char *netdev_with_back_end(Vpp *vpp, const VppCase *v)
{
    Fixture *f = (Fixture *)vpp;
    const Case *c = (const Case *)v;

    start_back(f, c);
    return g_strdup_printf("-chardev socket,id=c0,path=%s,%s "
                           "-netdev vhost-user,id=n0,chardev=c0,queues=%u", f->path,
                           c->comes ? "server=on,wait=off" : "reconnect-ms=20", MAX(v->pairs, 1));
}

static void setup(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("ringtap-test-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "s", NULL);
    vpp_setup(&f->vpp, &((const Case *)data)->vpp);
}

static void teardown(Fixture *f, gconstpointer data)
{
    vpp_teardown(&f->vpp, data);
    if (f->back) {
        qtest_stop(f->back);
    }
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->path);
    g_free(f->dir);
}

/* --- packets --- */

static void start_driver(Fixture *f, unsigned n)
{
    f->vpp.g.wanted = wanted[n % G_N_ELEMENTS(wanted)];
    vpg_start(&f->vpp.g);
    g_assert_cmphex(f->vpp.g.features & PACKED, ==, f->vpp.g.legacy ? 0 : f->vpp.g.wanted & PACKED);
}

static char *info_network(Fixture *f)
{
    struct json_object *o = qtest_qmp_ok(f->vpp.qt, "{'execute': 'human-monitor-command', "
                                         "'arguments': {'command-line': 'info network'}}");
    char *text = g_strdup(json_object_get_string(o));

    json_object_put(o);
    return text;
}

static void test_packets(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;

    for (unsigned n = 0; n < G_N_ELEMENTS(wanted); n++) {
        start_driver(f, n);
        for (unsigned i = 0; i < 300; i++) { /* more than a ring holds */
            vpp_there_and_back(&f->vpp, i);
        }
    }
    text = info_network(f);
    g_assert_nonnull(strstr(text, " \\ n0: index=0,type=vhost-user,vhost-user0 to c0"));
}

static void pass_all(Fixture *f, unsigned n)
{
    g_autofree uint8_t *got = g_malloc(FRAME_MAX);
    uint8_t frame[VPG_PACKET];
    struct virtio_net_hdr hdr;

    host_tap_wait_running(f->vpp.tap);
    for (unsigned pair = 0; pair < n; pair++) {
        vpp_frame(frame, 16 * n + pair);
        vpg_send(&f->vpp.g, pair, frame, 100);
        do {
            size_t len = host_tap_recv(f->vpp.tap, &hdr, got, VPP_WAIT_MS);

            g_assert_cmpuint(len, !=, 0);
        } while (memcmp(got, frame, 100) != 0); /* the kernel has frames of its own */
    }
}

/* In any number that the control queue sets, also fewer again. */
static void test_pairs(Fixture *f, gconstpointer data)
{
    static const unsigned numbers[] = { 1, 2, 4, 3, 1, 4 };
    const Case *c = data;

    for (unsigned n = 0; f->vpp.qt && n < G_N_ELEMENTS(wanted); n++) { /* not if it is skipped */
        start_driver(f, n);
        g_assert_cmpuint(f->vpp.g.n_rings, ==, 2 * c->vpp.pairs + 1);
        for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
            if (numbers[i] <= c->vpp.pairs) {
                g_assert_cmpuint(vpg_set_pairs(&f->vpp.g, (uint16_t)numbers[i]), ==,
                                 VIRTIO_NET_OK);
                pass_all(f, numbers[i]);
            }
        }
    }
}

/* --- what happens to it --- */

static void flood(Fixture *f)
{
    uint8_t frame[VPG_PACKET];

    vpp_frame(frame, 0xee);
    while (send(f->vpp.other, frame, 300, MSG_DONTWAIT) > 0) {
    }
    g_assert_true(errno == EAGAIN);
}

static void test_reset(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < 12; i++) {
        start_driver(f, i);
        vpg_post(&f->vpp.g, 0, 1 + 10 * i);
        flood(f);
        g_usleep(g_test_rand_int_range(0, 2000));
        vpg_reset(&f->vpp.g);
    }
    start_driver(f, 0);
    vpp_there_and_back(&f->vpp, 1);
}

static void run(Fixture *f, const char *command)
{
    json_object_put(qtest_qmp_ok(f->vpp.qt, "{'execute': '%s'}", command));
}

static void set_link(Fixture *f, bool up)
{
    json_object_put(qtest_qmp_ok(f->vpp.qt, "{'execute': 'set_link', 'arguments': {'name': 'n0', "
                                        "'up': %s}}", up ? "true" : "false"));
}

/* Packets that are on the ring meanwhile go out then. */
static void test_stop(Fixture *f, gconstpointer data)
{
    uint8_t frame[VPG_PACKET];

    for (unsigned i = 0; i < 20; i++) {
        if (i % 5 == 0) {
            start_driver(f, i / 5);
        }
        vpp_there_and_back(&f->vpp, i);
        run(f, "stop");
        vpp_frame(frame, 50 + i);
        vpg_post(&f->vpp.g, 0, 3);
        run(f, "cont");
        vpg_send(&f->vpp.g, 0, frame, 200);
        vpp_expect_out(&f->vpp, frame, 200);
        set_link(f, false);
        g_assert_cmpuint(vpg_net_config(&f->vpp.g, 6), ==, 0);
        set_link(f, true);
        g_assert_cmpuint(vpg_net_config(&f->vpp.g, 6), ==, VIRTIO_NET_S_LINK_UP);
    }
    vpp_there_and_back(&f->vpp, 99);
}

static void test_hot_plug(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < 4; i++) {
        start_driver(f, i);
        vpp_there_and_back(&f->vpp, i);
        json_object_put(qtest_qmp_ok(f->vpp.qt, "{'execute': 'device_del', 'arguments': "
                                            "{'id': 'nic0'}}"));
        qtest_do(f->vpp.qt, "outl 0xae08 0x%x", 1u << VPP_SLOT);
        json_object_put(qtest_event(f->vpp.qt, "DEVICE_DELETED"));
        json_object_put(qtest_qmp_ok(f->vpp.qt, "{'execute': 'device_add', 'arguments': {'driver': "
                                            "'virtio-net-pci', 'id': 'nic0', 'netdev': 'n0', "
                                            "'addr': '4', 'packed': true}}"));
        vpg_find(&f->vpp.g);
    }
}

/* --- the back end goes, and another one comes --- */

/* What was sent to nobody is lost, and comes back to the driver all the same. */
static void lose_back(Fixture *f, unsigned n)
{
    uint8_t frame[VPG_PACKET];

    vpg_post(&f->vpp.g, 0, 20); /* the next one fills them */
    if (n % 2) {
        qtest_kill(f->back);
    } else {
        qtest_stop(f->back);
    }
    json_object_put(qtest_event(f->vpp.qt, "NETDEV_VHOST_USER_DISCONNECTED"));
    vpg_wait_for(&f->vpp.g, vpg_net_config(&f->vpp.g, 6) == 0);
    vpp_frame(frame, 7);
    vpg_send(&f->vpp.g, 0, frame, 100);
}

static void test_back_end_again(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0; i < 4; i++) {
        if (i % 2 == 0) {
            start_driver(f, i / 2);
        }
        vpp_there_and_back(&f->vpp, i);
        flood(f);
        qtest_forget_events(f->vpp.qt);
        lose_back(f, i);
        start_back(f, data);
        json_object_put(qtest_event(f->vpp.qt, "NETDEV_VHOST_USER_CONNECTED"));
        vpg_wait_for(&f->vpp.g, vpg_net_config(&f->vpp.g, 6) == VIRTIO_NET_S_LINK_UP);
        vpp_there_and_back(&f->vpp, 100 + i);
    }
}

/* The driver is reset, and starts, while there is none. */
static void test_start_without(Fixture *f, gconstpointer data)
{
    start_driver(f, 1);
    vpp_there_and_back(&f->vpp, 1);
    lose_back(f, 1);
    vpg_reset(&f->vpp.g);
    start_driver(f, 0);
    start_back(f, data);
    vpg_wait_for(&f->vpp.g, vpg_net_config(&f->vpp.g, 6) == VIRTIO_NET_S_LINK_UP);
    vpp_there_and_back(&f->vpp, 2);
}

#define OPTIONS .options = ",packed=on", .netdev = netdev_with_back_end
#define PAIRS   .options = ",packed=on,mq=on", .netdev = netdev_with_back_end
static const Case modern = { { OPTIONS } };
static const Case legacy = { { OPTIONS, .legacy = true } };
static const Case comes = { { OPTIONS, .msix = true }, .comes = true };
static const Case pairs1 = { { PAIRS, .pairs = 1 } };
static const Case pairs4 = { { PAIRS, .pairs = 4 } };

#define ADD(name, data, fn) \
    g_test_add("/vhost-user-netdev/" name, Fixture, &data, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("packets/modern", modern, test_packets);
    ADD("packets/legacy", legacy, test_packets);
    ADD("packets/comes", comes, test_packets);
    ADD("pairs/1", pairs1, test_pairs);
    ADD("pairs/4", pairs4, test_pairs);
    ADD("reset", modern, test_reset);
    ADD("stop", modern, test_stop);
    ADD("hot-plug", modern, test_hot_plug);
    ADD("back-end-again/modern", modern, test_back_end_again);
    ADD("back-end-again/comes", comes, test_back_end_again);
    ADD("start-without", modern, test_start_without);
    return g_test_run();
}
