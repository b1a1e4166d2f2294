/*
 * virtio-net-pci of the whole program, whose pairs the kernel's vhost-net serves: each pair sends,
 * all frames of the host arrive, and a link that goes off and a machine that stops have the rings
 * back for that long.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frames.h"
#include "virtio-pci-program.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#define BIT(n) (1ull << (n))
#define CTRL   (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS))
#define MQ     BIT(VIRTIO_NET_F_MQ)
#define EVENT  BIT(VIRTIO_RING_F_EVENT_IDX)
#define MERGE  BIT(VIRTIO_NET_F_MRG_RXBUF)

/* The kernel has that many pairs: each is a line of it. */
static unsigned pairs_of_kernel(Vpp *f)
{
    json_object *ret = qtest_qmp_ok(f->qt, "{'execute': 'human-monitor-command', 'arguments': "
                                           "{'command-line': 'info network'}}");
    unsigned n = 0;

    for (const char *at = json_object_get_string(ret); (at = strstr(at, "vhost=on")); at++) {
        n++;
    }
    json_object_put(ret);
    return n;
}

static void send_from(Vpp *f, unsigned pair, unsigned number)
{
    g_autofree uint8_t *got = g_malloc(FRAME_MAX);
    uint8_t frame[VPG_PACKET];
    struct virtio_net_hdr hdr;
    size_t len;

    vpp_frame(frame, number);
    vpg_send(&f->g, pair, frame, 100);
    do {
        len = host_tap_recv(f->tap, &hdr, got, VPP_WAIT_MS);
        g_assert_cmpuint(len, !=, 0);
    } while (len != 100 || memcmp(got, frame, 100) != 0); /* the kernel has frames of its own */
}

/* Which pair gets it is for the tap to say. */
static bool arrived(Vpp *f, unsigned pairs, const uint8_t *frame)
{
    uint8_t got[VPG_PACKET];

    for (unsigned pair = 0; pair < pairs; pair++) {
        size_t len;

        while ((len = vpg_try_recv(&f->g, pair, got)) > 0) {
            vpg_post(&f->g, pair, 1);
            if (len == 200 && memcmp(got, frame, 200) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void send_to(Vpp *f, unsigned pairs, unsigned number)
{
    uint8_t frame[VPG_PACKET];

    vpp_frame(frame, number);
    host_tap_send(f->tap, NULL, frame, 200);
    vpg_wait_for(&f->g, arrived(f, pairs, frame));
}

static void both_ways(Vpp *f, unsigned pairs, unsigned number)
{
    host_tap_wait_running(f->tap);
    for (unsigned i = 0; i < 300; i++) { /* more than a ring has room for */
        send_from(f, i % pairs, number + i);
    }
    for (unsigned i = 0; i < 300; i++) {
        send_to(f, pairs, number + i);
    }
}

static void start(Vpp *f, const VppCase *c)
{
    vpg_start(&f->g);
    if (c->pairs > 1) {
        g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)c->pairs), ==, VIRTIO_NET_OK);
    }
    for (unsigned pair = 0; pair < c->pairs; pair++) {
        vpg_post(&f->g, pair, 16);
    }
    vpg_wait_for(&f->g, pairs_of_kernel(f) == c->pairs);
}

static void test_both_ways(Vpp *f, gconstpointer data)
{
    const VppCase *c = data;

    if (!f->qt) {
        return; /* skipped */
    }
    for (unsigned i = 0; i < 3; i++) {
        start(f, c);
        both_ways(f, c->pairs, i);
        vpg_reset(&f->g);
        g_assert_cmpuint(pairs_of_kernel(f), ==, 0);
    }
}

static void test_pairs_are_set(Vpp *f, gconstpointer data)
{
    const VppCase *c = data;

    if (!f->qt) {
        return;
    }
    start(f, c);
    for (unsigned i = 0; i < 5; i++) {
        unsigned n = i % 2 ? c->pairs : 1;

        g_assert_cmpuint(vpg_set_pairs(&f->g, (uint16_t)n), ==, VIRTIO_NET_OK);
        vpg_wait_for(&f->g, pairs_of_kernel(f) == n);
        both_ways(f, n, i);
    }
}

static void test_stopped(Vpp *f, gconstpointer data)
{
    const VppCase *c = data;
    static const char *const ways[][2] = {
        { "{'execute': 'stop'}", "{'execute': 'cont'}" },
        { "{'execute': 'set_link', 'arguments': {'name': 'nic0', 'up': false}}",
          "{'execute': 'set_link', 'arguments': {'name': 'nic0', 'up': true}}" },
    };

    if (!f->qt) {
        return;
    }
    start(f, c);
    for (unsigned i = 0; i < 6; i++) {
        json_object_put(qtest_qmp_ok(f->qt, "%s", ways[i % 2][0]));
        vpg_wait_for(&f->g, pairs_of_kernel(f) == 0);
        json_object_put(qtest_qmp_ok(f->qt, "%s", ways[i % 2][1]));
        vpg_wait_for(&f->g, pairs_of_kernel(f) == c->pairs);
        both_ways(f, c->pairs, i);
    }
}

static const VppCase one = { "", CTRL, .pairs = 1, .vhost = VPP_VHOST };
static const VppCase two = { ",mq=on", CTRL | MQ | EVENT, .pairs = 2, .msix = true,
                             .vhost = VPP_VHOST };
/* Headers of 10 bytes are not for vhost. */
static const VppCase two_legacy = { ",mq=on,disable-modern=on", CTRL | MQ | MERGE, .pairs = 2,
                                    .legacy = true, .vhost = VPP_VHOST };
static const VppCase two_fds = { ",mq=on", CTRL | MQ, .pairs = 2, .vhost = VPP_VHOSTFDS };
static const VppCase four_fds = { ",mq=on", CTRL | MQ | EVENT, .pairs = 4, .msix = true,
                                  .vhost = VPP_VHOSTFDS };

#define ADD(name, data, fn) \
    g_test_add("/virtio-net-pci-vhost/" name, Vpp, &data, vpp_setup, fn, vpp_teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("both-ways/1", one, test_both_ways);
    ADD("both-ways/2-msix", two, test_both_ways);
    ADD("both-ways/2-legacy", two_legacy, test_both_ways);
    ADD("both-ways/2-vhostfds", two_fds, test_both_ways);
    ADD("both-ways/4-vhostfds", four_fds, test_both_ways);
    ADD("pairs-are-set/2", two, test_pairs_are_set);
    ADD("pairs-are-set/4-vhostfds", four_fds, test_pairs_are_set);
    ADD("stopped/2", two, test_stopped);
    ADD("stopped/4-vhostfds", four_fds, test_stopped);
    return g_test_run();
}
