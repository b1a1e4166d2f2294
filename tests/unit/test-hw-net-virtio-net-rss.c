/*
 * Receive-side scaling: each frame reaches the pair that the driver's table says, whatever queue of
 * the netdev had it, and none is lost or left behind while pairs come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"

#include <arpa/inet.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns.h"
#include "open-tap.h"
#include "rss-guest.h"
#include "virtio-net-slots.h"

#define BIT(n)   (1ull << (n))
#define RSS      (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |              \
                  BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |               \
                  BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_RSS))
#define HASH     BIT(VIRTIO_NET_F_HASH_REPORT)
#define MRG      BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define PAIRS    4u
#define SIZE     128u /* of rings */

static const VirtioGuestConfig configs[] = {
    { "split", PAIRS, SIZE, RSS, .ctrl = true, .rx_len = 2048 },
    { "split-hash", PAIRS, SIZE, RSS | HASH, .ctrl = true, .rx_len = 2048 },
    { "split-mrg", PAIRS, SIZE, RSS | HASH | MRG, .ctrl = true, .rx_len = 400 },
    { "packed", PAIRS, SIZE, RSS | PACKED, .ctrl = true, .rx_len = 2048, .rx_pieces = 3 },
    { "packed-mrg", PAIRS, SIZE, RSS | MRG | PACKED, .ctrl = true, .rx_len = 1000 },
    { "no-vnet-hdr", PAIRS, SIZE, RSS | HASH, .no_vnet_hdr = true, .ctrl = true, .rx_len = 2048 },
};

static const VirtioGuestConfig one = { "one", PAIRS, SIZE, RSS | HASH, .ctrl = true,
                                       .rx_len = 2048 };

static void guest_up(VirtioGuest *g, const VirtioGuestConfig *config)
{
    virtio_guest_up(g, config);
    virtio_guest_enable(g, true);
    for (unsigned i = 0; i < PAIRS; i++) {
        virtio_guest_post(g, i, SIZE);
    }
}

static void configure(VirtioGuest *g, const RssCommand *c)
{
    g_assert_cmpuint(rss_configure(g, c), ==, VIRTIO_NET_OK);
}

static void give(VirtioGuest *g, unsigned queue, uint32_t i)
{
    g_autofree FakePkt *pkt = g_new(FakePkt, 1);

    rss_frame(pkt, i);
    fake_netdev_give(g->nd, queue, pkt);
}

static uint64_t sum(const VirtioGuest *g, size_t counter)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < PAIRS; i++) {
        n += counter_read((const uint64_t *)(const void *)((const char *)&g->vn_stats[i].rx +
                                                           counter));
    }
    return n;
}

#define SUM(g, name) sum(g, offsetof(NicDirStats, name))

static void wait_dropped(const VirtioGuest *g, uint64_t n)
{
    gint64 end = g_get_monotonic_time() + VIRTIO_GUEST_WAIT_MS * 1000;

    while (SUM(g, drop_full) < n && g_get_monotonic_time() < end) {
        g_usleep(100);
    }
    g_assert_cmpuint(SUM(g, drop_full), ==, n);
}

/* A frame of @pair's ring is the one that it should be, and is where it should be. */
static uint32_t check_frame(const VirtioGuest *g, const RssCommand *c, unsigned pair,
                            const FakePkt *got)
{
    g_autofree FakePkt *sent = g_new(FakePkt, 1);
    uint32_t i = rss_frame_number(got);
    uint32_t hash;
    uint16_t report;

    rss_frame(sent, i);
    g_assert_cmpmem(got->data, got->len, sent->data, sent->len);
    if (c) {
        g_assert_cmpuint(rss_expect(c, sent, &hash, &report), ==, pair);
    }
    if (c && g->features & HASH) {
        g_assert_cmpuint(GUINT16_FROM_LE(g->hash.hash_report), ==, report);
        g_assert_cmphex(GUINT32_FROM_LE(g->hash.hash_value), ==, hash);
    }
    return i;
}

/* So many frames reach @pair, each queue's in its order: frame i is from queue i / 16 % PAIRS. */
static void recv_all(VirtioGuest *g, const RssCommand *c, unsigned pair, unsigned n)
{
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    uint32_t next[PAIRS] = { 0 };

    while (n-- > 0) {
        uint32_t i;

        g_assert_true(virtio_guest_recv(g, pair, got, VIRTIO_GUEST_WAIT_MS));
        virtio_guest_post(g, pair, SIZE);
        i = check_frame(g, c, pair, got);
        g_assert_cmpuint(i, >=, next[i / 16 % PAIRS]);
        next[i / 16 % PAIRS] = i + 1;
    }
}

#define CHUNK 30u /* frames that fit any ring, in whatever buffers */

static void pass_chunk(VirtioGuest *g, const RssCommand *c, uint32_t from, uint32_t to)
{
    g_autofree FakePkt *pkt = g_new(FakePkt, 1);
    unsigned expected[PAIRS] = { 0 };

    for (uint32_t i = from; i < to; i++) {
        uint32_t hash;
        uint16_t report;

        rss_frame(pkt, i);
        expected[rss_expect(c, pkt, &hash, &report)]++;
        fake_netdev_give(g->nd, i / 16 % PAIRS % c->pairs, pkt);
    }
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        recv_all(g, c, pair, expected[pair]);
    }
}

/* Frames [@from, @to) from all queues, as far as these are used; each arrives. */
static void pass(VirtioGuest *g, const RssCommand *c, uint32_t from, uint32_t to)
{
    for (; from < to; from += CHUNK) {
        pass_chunk(g, c, from, MIN(from + CHUNK, to));
    }
}

/* --- where frames go --- */

static void test_steered(gconstpointer opaque)
{
    VirtioGuest g;

    guest_up(&g, opaque);
    for (unsigned len = 1; len <= 128; len = len == 4 ? 128 : 2 * len) {
        for (unsigned pairs = 1; pairs <= PAIRS; pairs++) {
            RssCommand c = rss_command(pairs, len);

            c.unclassified = (uint16_t)((len + 1) % PAIRS); /* perhaps of a pair not used */
            configure(&g, &c);
            pass(&g, &c, len * 1000, len * 1000 + 150);
        }
    }
    g_assert_cmpuint(SUM(&g, drop_full), ==, 0);
    virtio_guest_down(&g);
}

/* Of "Verifying the RSS Hash Calculation": TCP over IPv4. */
static const struct {
    const char *dst;
    uint16_t dst_port;
    const char *src;
    uint16_t src_port;
    uint32_t hash;
} vectors[] = {
    { "161.142.100.80", 1766, "66.9.149.187", 2794, 0x51ccc178 },
    { "65.69.140.83", 4739, "199.92.111.2", 14230, 0xc626b0ea },
    { "12.22.207.184", 38024, "24.19.198.95", 12898, 0x5c2b394a },
    { "209.142.163.6", 2217, "38.27.205.30", 48228, 0xafc7327f },
    { "202.188.127.2", 1303, "153.39.163.191", 44251, 0x10e828a2 },
};

static void vector_frame(FakePkt *pkt, unsigned i)
{
    uint16_t ports[2] = { htons(vectors[i].src_port), htons(vectors[i].dst_port) };

    rss_frame(pkt, 0); /* TCP over IPv4 */
    g_assert_cmpint(inet_pton(AF_INET, vectors[i].src, pkt->data + 14 + 12), ==, 1);
    g_assert_cmpint(inet_pton(AF_INET, vectors[i].dst, pkt->data + 14 + 16), ==, 1);
    memcpy(pkt->data + 14 + 20, ports, sizeof(ports));
}

static void test_vectors(void)
{
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    RssCommand c = rss_command(PAIRS, 128);
    VirtioGuest g;

    guest_up(&g, &one);
    configure(&g, &c);
    for (unsigned i = 0; i < G_N_ELEMENTS(vectors); i++) {
        for (unsigned queue = 0; queue < PAIRS; queue++) {
            vector_frame(pkt, i);
            fake_netdev_give(g.nd, queue, pkt);
            g_assert_true(virtio_guest_recv(&g, vectors[i].hash % 128 % PAIRS, got,
                                            VIRTIO_GUEST_WAIT_MS));
            g_assert_cmphex(GUINT32_FROM_LE(g.hash.hash_value), ==, vectors[i].hash);
            g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
        }
    }
    virtio_guest_down(&g);
}

/* Without types all is unclassified. */
static void test_unclassified(gconstpointer opaque)
{
    RssCommand c = rss_command(PAIRS, 128);
    VirtioGuest g;

    guest_up(&g, opaque);
    c.types = 0;
    for (uint16_t pair = 0; pair < PAIRS; pair++) {
        c.unclassified = pair;
        configure(&g, &c);
        pass(&g, &c, 0, 60);
    }
    virtio_guest_down(&g);
}

/* A frame stays where it came from. */
static void test_off_again(gconstpointer opaque)
{
    RssCommand c = rss_command(PAIRS, 128), off = rss_command(PAIRS, 1);
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    VirtioGuest g;

    off.types = 0;
    off.key_len = 0;
    guest_up(&g, opaque);
    for (unsigned round = 0; round < 3; round++) {
        configure(&g, &c);
        pass(&g, &c, 0, 30);
        configure(&g, &off);
        for (uint32_t i = 0; i < 40; i++) {
            give(&g, i % PAIRS, i);
            g_assert_true(virtio_guest_recv(&g, i % PAIRS, got, VIRTIO_GUEST_WAIT_MS));
            g_assert_cmpuint(check_frame(&g, NULL, i % PAIRS, got), ==, i);
            virtio_guest_post(&g, i % PAIRS, SIZE);
        }
    }
    virtio_guest_down(&g);
}

/* Of up to 64 KiB, which takes many buffers; its header is the netdev's. */
static void test_large(void)
{
    static const VirtioGuestConfig config = { "large", PAIRS, SIZE, RSS | HASH | MRG,
                                              .ctrl = true, .rx_len = 4000 };
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    RssCommand c = rss_command(PAIRS, 128);
    VirtioGuest g;

    guest_up(&g, &config);
    configure(&g, &c);
    for (unsigned i = 0; i < 40; i++) {
        vector_frame(pkt, i % G_N_ELEMENTS(vectors));
        pkt->len = i % 3 == 2 ? 5000 : PKT_MAX_LEN;
        pkt->data[pkt->len - 1] = (uint8_t)i;
        pkt->hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        pkt->hdr.gso_size = (uint16_t)(1000 + i);
        fake_netdev_give(g.nd, i % PAIRS, pkt);
        g_assert_true(virtio_guest_recv(&g, vectors[i % G_N_ELEMENTS(vectors)].hash % PAIRS, got,
                                        VIRTIO_GUEST_WAIT_MS));
        g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
        g_assert_cmpuint(got->hdr.gso_type, ==, VIRTIO_NET_HDR_GSO_TCPV4);
        g_assert_cmpuint(got->hdr.gso_size, ==, 1000 + i);
        virtio_guest_post(&g, vectors[i % G_N_ELEMENTS(vectors)].hash % PAIRS, SIZE);
    }
    virtio_guest_down(&g);
}

/* What the guest does not want goes to no pair. */
static void test_filter(void)
{
    g_autofree FakePkt *pkt = g_new0(FakePkt, 1);
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    RssCommand c = rss_command(PAIRS, 128);
    uint8_t off = 0;
    VirtioGuest g;

    guest_up(&g, &one);
    configure(&g, &c);
    g_assert_cmpuint(virtio_guest_command(&g, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off,
                                          1), ==, VIRTIO_NET_OK);
    for (unsigned i = 0; i < 20; i++) {
        vector_frame(pkt, 0);
        memset(pkt->data, i % 2 ? 0xff : 0x02, 6); /* to all; to somebody else */
        fake_netdev_give(g.nd, 1, pkt);
    }
    for (unsigned i = 0; i < 10; i++) {
        g_assert_true(virtio_guest_recv(&g, 0, got, VIRTIO_GUEST_WAIT_MS));
        g_assert_cmphex(got->data[0], ==, 0xff);
    }
    g_assert_cmpuint(SUM(&g, drop_filter), ==, 10);
    virtio_guest_down(&g);
}

/* --- a guest that is slow, rings that come and go --- */

/* The first frame from @i on that goes to @pair. */
static uint32_t frame_for(const RssCommand *c, unsigned pair, uint32_t i)
{
    g_autofree FakePkt *pkt = g_new(FakePkt, 1);
    uint32_t hash;
    uint16_t report;

    do {
        rss_frame(pkt, i++);
    } while (rss_expect(c, pkt, &hash, &report) != pair);
    return i - 1;
}

/* A frame for @pair passes, whatever else there is. */
static void pass_one(VirtioGuest *g, const RssCommand *c, unsigned queue, unsigned pair,
                     uint32_t number)
{
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    uint32_t i = frame_for(c, pair, number);

    give(g, queue, i);
    g_assert_true(virtio_guest_recv(g, pair, got, VIRTIO_GUEST_WAIT_MS));
    g_assert_cmpuint(check_frame(g, c, pair, got), ==, i);
    virtio_guest_post(g, pair, SIZE);
}

/* One whose guest takes nothing has its frames dropped, and others get theirs. */
static void test_flood_of_a_slow_one(void)
{
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    RssCommand c = rss_command(PAIRS, 128);
    const unsigned flood = 1500;
    const unsigned kept = SIZE + SLOTS_OF_PAIR / 2 / PAIRS;
    VirtioGuest g;

    guest_up(&g, &one);
    configure(&g, &c);
    for (unsigned n = 0; n < flood; n++) {
        give(&g, n % PAIRS, frame_for(&c, 1, n * 10));
        if (n % 50 == 0) {
            pass_one(&g, &c, n / 50 % PAIRS, n / 100 % 2 ? 3 : 2, n);
            pass_one(&g, &c, n / 50 % PAIRS, 0, n);
        }
    }
    wait_dropped(&g, flood - kept); /* the others are the oldest */
    for (unsigned i = 0; i < kept; i++) {
        g_assert_true(virtio_guest_recv(&g, 1, got, VIRTIO_GUEST_WAIT_MS));
        check_frame(&g, &c, 1, got);
        virtio_guest_post(&g, 1, 1);
    }
    pass(&g, &c, 0, 200);
    virtio_guest_down(&g);
}

static void stop_rx(VirtioGuest *g, unsigned pair)
{
    virtio_guest_stop_ring(g, 2 * pair);
}

/* A queue that is reset, disabled, not there yet: its frames are dropped, and then not any more. */
static void test_ring_comes_and_goes(void)
{
    RssCommand c = rss_command(PAIRS, 128);
    VirtioGuest g;

    guest_up(&g, &one);
    configure(&g, &c);
    for (unsigned round = 0; round < 4; round++) {
        uint64_t dropped = SUM(&g, drop_full);

        stop_rx(&g, 2);
        for (unsigned n = 0; n < 700; n++) { /* more than a pair has slots */
            give(&g, 1, frame_for(&c, 2, n * 10));
        }
        pass_one(&g, &c, 1, 3, round); /* behind them */
        wait_dropped(&g, dropped + 700);
        virtio_guest_start_ring(&g, 4);
        g.dev->ops->ring_enable(g.dev, 4, false);
        give(&g, 0, frame_for(&c, 2, 5));
        pass_one(&g, &c, 0, 1, round);
        wait_dropped(&g, dropped + 701);
        g.dev->ops->ring_enable(g.dev, 4, true);
        pass_one(&g, &c, 1, 2, round);
    }
    virtio_guest_down(&g);
}

/* What is there already when a pair goes is its guest's still. */
static void test_table_under_traffic(gconstpointer opaque)
{
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    g_autofree bool *seen = g_new0(bool, 5000);
    RssCommand off = rss_command(PAIRS, 1);
    unsigned n = 0;
    VirtioGuest g;

    off.types = 0;
    off.key_len = 0;
    guest_up(&g, opaque);
    for (unsigned round = 0; round < 60; round++) {
        unsigned pairs = 1 + round * 3 % PAIRS;
        RssCommand c = rss_command(pairs, 1u << round % 8);

        configure(&g, round % 7 == 6 ? &off : &c);
        for (unsigned i = 0; i < 40; i++) {
            give(&g, i % g.nd->n_active, n++);
        }
        for (unsigned pair = 0; round % 3 == 2 && pair < PAIRS; pair++) {
            while (virtio_guest_recv(&g, pair, got, 0)) {
                uint32_t i = check_frame(&g, NULL, pair, got);

                g_assert_false(seen[i]);
                seen[i] = true;
                virtio_guest_post(&g, pair, SIZE);
            }
        }
        for (unsigned pair = 0; pair < PAIRS; pair++) {
            virtio_guest_post(&g, pair, SIZE);
        }
    }
    for (unsigned left = n, pair = 0; left > 0; pair = (pair + 1) % PAIRS) {
        left = n - (unsigned)SUM(&g, packets) - (unsigned)SUM(&g, drop_full);
        while (virtio_guest_recv(&g, pair, got, 1)) {
            uint32_t i = check_frame(&g, NULL, pair, got);

            g_assert_false(seen[i]);
            seen[i] = true;
            virtio_guest_post(&g, pair, SIZE);
        }
    }
    /* 120 frames at most wait for a guest that has as many buffers */
    g_assert_true((g.c.features & MRG) || g.c.rx_pieces > 0 || SUM(&g, drop_full) == 0);
    virtio_guest_down(&g);
}

static void endless(Netdev *nd)
{
    fake_netdev_set_endless(nd, 60);
}

static void stop_all(VirtioGuest *g)
{
    for (unsigned i = 0; i < g->n_rings; i++) {
        if (g->ring[i].running) {
            virtio_guest_stop_ring(g, i);
        }
    }
}

/* Frames without an end, for one pair, whose guest has buffers or has none. */
static void test_reset_under_a_flood(void)
{
    static const VirtioGuestConfig config = { "flood", PAIRS, SIZE, RSS, .ctrl = true,
                                              .rx_len = 2048, .prepare = endless };
    VirtioGuest g;

    guest_up(&g, &config);
    for (unsigned round = 0; round < 12; round++) {
        RssCommand c = rss_command(PAIRS, 1u << round % 8);
        uint64_t before = SUM(&g, drop_full);

        c.unclassified = (uint16_t)(round % PAIRS);
        configure(&g, &c);
        while (SUM(&g, drop_full) < before + 1000) {
            g_usleep(100);
        }
        c.unclassified = (uint16_t)((round + 1) % PAIRS);
        configure(&g, &c);
        stop_all(&g);
        g.dev->ops->reset(g.dev);
        g_assert_true(g.dev->ops->set_features(g.dev, g.features, NULL));
        for (unsigned i = 0; i < g.n_rings; i++) {
            virtio_guest_start_ring(&g, i);
        }
    }
    virtio_guest_down(&g);
}

/* Stopped and started as by QMP's stop and cont. */
static void test_pause(void)
{
    RssCommand c = rss_command(PAIRS, 128);
    VirtioGuest g;

    guest_up(&g, &one);
    configure(&g, &c);
    for (unsigned round = 0; round < 5; round++) {
        virtio_net_pause(g.vn, true);
        for (unsigned n = 0; n < 20; n++) {
            give(&g, n % PAIRS, frame_for(&c, 1, n * 10));
        }
        virtio_net_pause(g.vn, false);
        recv_all(&g, &c, 1, 0);
        for (unsigned n = 0; n < 20; n++) {
            g_autofree FakePkt *got = g_new(FakePkt, 1);

            g_assert_true(virtio_guest_recv(&g, 1, got, VIRTIO_GUEST_WAIT_MS));
            check_frame(&g, &c, 1, got);
        }
        virtio_guest_post(&g, 1, SIZE);
        pass(&g, &c, 0, 100);
    }
    virtio_guest_down(&g);
}

/* All pairs in one thread. */
static void test_one_thread(void)
{
    g_autoptr(IoThread) t = io_thread_new("all", NULL);
    IoThread *threads[PAIRS] = { t, t, t, t };
    RssCommand c = rss_command(PAIRS, 128);
    VirtioGuestConfig config = one;
    VirtioGuest g;

    config.threads = threads;
    guest_up(&g, &config);
    configure(&g, &c);
    pass(&g, &c, 0, 400);
    virtio_guest_down(&g);
}

/* --- a tap --- */

static Netdev *open_a_tap(unsigned pairs)
{
    return open_tap("rss0", pairs, ON_OFF_AUTO_AUTO);
}

/* The kernel chooses a queue by a hash of its own, and each packet is where the table says. */
static void test_tap(void)
{
    static const VirtioGuestConfig config = { "tap", PAIRS, SIZE, RSS | HASH, .ctrl = true,
                                              .rx_len = 2048, .open = open_a_tap };
    g_autofree FakePkt *pkt = g_new(FakePkt, 1);
    g_autofree FakePkt *got = g_new(FakePkt, 1);
    RssCommand c = rss_command(PAIRS, 128);
    unsigned pairs_seen = 0;
    VirtioGuest g;
    int sock;

    if (!netns_enter()) {
        return;
    }
    c.unclassified = 3;
    guest_up(&g, &config);
    configure(&g, &c);
    sock = netns_packet_socket("rss0", false);
    for (uint32_t i = 0; i < 300; i++) {
        unsigned pair;
        uint32_t hash;
        uint16_t report;

        rss_frame(pkt, i);
        pair = rss_expect(&c, pkt, &hash, &report);
        g_assert_cmpint(send(sock, pkt->data, pkt->len, 0), ==, pkt->len);
        do { /* the kernel may have news of its own */
            g_assert_true(virtio_guest_recv(&g, pair, got, VIRTIO_GUEST_WAIT_MS));
            virtio_guest_post(&g, pair, SIZE);
        } while (rss_frame_number(got) != i);
        check_frame(&g, &c, pair, got);
        pairs_seen |= 1u << pair;
    }
    g_assert_cmphex(pairs_seen, ==, 0xf);
    close(sock);
    virtio_guest_down(&g);
}

static void add(const char *name, void (*fn)(gconstpointer))
{
    for (unsigned i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autofree char *path = g_strdup_printf("/virtio-net-rss/%s/%s", configs[i].name, name);

        g_test_add_data_func(path, &configs[i], fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("steered", test_steered);
    add("unclassified", test_unclassified);
    add("off-again", test_off_again);
    add("table-under-traffic", test_table_under_traffic);
    g_test_add_func("/virtio-net-rss/vectors", test_vectors);
    g_test_add_func("/virtio-net-rss/large", test_large);
    g_test_add_func("/virtio-net-rss/filter", test_filter);
    g_test_add_func("/virtio-net-rss/flood-of-a-slow-one", test_flood_of_a_slow_one);
    g_test_add_func("/virtio-net-rss/ring-comes-and-goes", test_ring_comes_and_goes);
    g_test_add_func("/virtio-net-rss/reset-under-a-flood", test_reset_under_a_flood);
    g_test_add_func("/virtio-net-rss/pause", test_pause);
    g_test_add_func("/virtio-net-rss/one-thread", test_one_thread);
    g_test_add_func("/virtio-net-rss/tap", test_tap);
    return g_test_run();
}
