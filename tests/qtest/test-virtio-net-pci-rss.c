/*
 * Receive-side scaling of virtio-net-pci in the whole program: packets of a tap are where its
 * driver's table says, also when it went to another program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rss-guest.h"
#include "virtio-pci-program.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#define BIT(n) (1ull << (n))
#define CTRL   (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_RSS))
#define PACKED BIT(VIRTIO_F_RING_PACKED)
#define EVENT  BIT(VIRTIO_RING_F_EVENT_IDX)
#define MQ     BIT(VIRTIO_NET_F_MQ)

/* The kernel chose a queue, the table the pair. */
static void pass_steered(Vpp *f, const RssCommand *c)
{
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);

    host_tap_wait_running(f->tap);
    for (uint32_t i = 0; i < 24; i++) {
        uint8_t got[VPG_PACKET];
        unsigned pair;
        uint32_t hash;
        uint16_t report;
        size_t n;

        rss_frame(pkt, i);
        pair = rss_expect(c, pkt, &hash, &report);
        host_tap_send(f->tap, NULL, pkt->data, pkt->len);
        do { /* the kernel has frames of its own */
            vpg_post(&f->g, pair, 1);
            n = vpg_recv(&f->g, pair, got);
            g_assert_cmpuint(n, !=, 0);
        } while (n != pkt->len || memcmp(got, pkt->data, n) != 0);
    }
}

static void test_migrate(Vpp *f, gconstpointer data)
{
    const VppCase *c = data;

    if (!f->qt) {
        return; /* skipped */
    }
    vpg_start(&f->g);
    g_assert_true(f->g.features & BIT(VIRTIO_NET_F_RSS));
    g_assert_cmpuint(f->g.n_rings, ==, 2 * c->pairs + 1);
    for (unsigned n = 1; n <= c->pairs; n *= 2) {
        RssCommand rss = rss_command(n, 64);
        g_autoptr(GByteArray) a = NULL;

        rss.unclassified = (uint16_t)(n - 1);
        a = rss_command_bytes(&rss);
        g_assert_cmpuint(vpg_command(&f->g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG,
                                     a->data, a->len), ==, VIRTIO_NET_OK);
        pass_steered(f, &rss);
        vpp_migrate(f, c);
        pass_steered(f, &rss);
    }
}

/* Without the option nothing is offered, and its command is refused. */
static void test_off(Vpp *f, gconstpointer data)
{
    RssCommand rss = rss_command(1, 1);
    g_autoptr(GByteArray) a = rss_command_bytes(&rss);

    vpg_start(&f->g);
    g_assert_false(f->g.features & BIT(VIRTIO_NET_F_RSS));
    g_assert_cmpuint(vpg_net_config(&f->g, offsetof(struct virtio_net_config, rss_max_key_size)),
                     ==, 0);
    g_assert_cmpuint(vpg_command(&f->g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, a->data,
                                 a->len), ==, VIRTIO_NET_ERR);
}

static const VppCase rss1 = { ",rss=on", CTRL, .pairs = 1 };
static const VppCase rss2 = { ",rss=on", CTRL, .pairs = 2, .msix = true };
static const VppCase rss4 = { ",mq=on,rss=on,packed=on", CTRL | MQ | PACKED, .pairs = 4 };
static const VppCase rss8 = { ",mq=on,rss=on,hash=on", CTRL | MQ | EVENT, .pairs = 8 };
static const VppCase off = { ",mq=on", CTRL | MQ };

#define ADD(name, data, fn) \
    g_test_add("/virtio-net-pci-rss/" name, Vpp, &data, vpp_setup, fn, vpp_teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("migrate/1", rss1, test_migrate);
    ADD("migrate/2", rss2, test_migrate);
    ADD("migrate/4", rss4, test_migrate);
    ADD("migrate/8", rss8, test_migrate);
    ADD("off", off, test_off);
    return g_test_run();
}
