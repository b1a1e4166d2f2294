/*
 * virtio-net's rings and pairs: they come, go, are switched off, and lie.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio-guest.h"

#define BIT(n)   (1ull << (n))
#define V1       BIT(VIRTIO_F_VERSION_1)
#define MRG      BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED   BIT(VIRTIO_F_RING_PACKED)
#define EVENT    BIT(VIRTIO_RING_F_EVENT_IDX)

static const VirtioGuestConfig split = { "split", 1, 64, V1 | MRG | EVENT, .rx_len = 1536 };
static const VirtioGuestConfig packed = {
    "packed", 1, 64, V1 | MRG | EVENT | PACKED, .rx_len = 1536
};
static const VirtioGuestConfig split_inflight = {
    "split-inflight", 1, 64, V1 | MRG | EVENT, .inflight = true, .rx_len = 1536
};
static const VirtioGuestConfig packed_inflight = {
    "packed-inflight", 1, 64, V1 | MRG | EVENT | PACKED, .inflight = true, .rx_len = 1536
};
static const VirtioGuestConfig pairs = { "pairs", 4, 64, V1 | MRG | EVENT, .rx_len = 1536 };

static FakePkt *packet_new(uint32_t len, unsigned seed)
{
    FakePkt *pkt = g_new0(FakePkt, 1);

    pkt->len = len;
    for (uint32_t i = 0; i < len; i++) {
        pkt->data[i] = (uint8_t)(i * 3 + seed);
    }
    return pkt;
}

static void send_packet(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(100, seed);

    g_assert_true(virtio_guest_send(g, pair, pkt));
    virtio_guest_kick(g, 2 * pair + 1);
}

static void take_packet(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(100, seed);
    g_autofree FakePkt *got = fake_netdev_take(g->nd, pair, VIRTIO_GUEST_WAIT_MS);

    g_assert_nonnull(got);
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
}

static void give_packet(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(100, seed);

    fake_netdev_give(g->nd, pair, pkt);
}

static void recv_packet(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(100, seed);
    g_autofree FakePkt *got = g_new0(FakePkt, 1);

    g_assert_true(virtio_guest_recv(g, pair, got, VIRTIO_GUEST_WAIT_MS));
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
}

/* What a disabled ring is given it takes and forgets; the guest gets nothing. */
static void test_disabled(void)
{
    g_autofree FakePkt *got = g_new0(FakePkt, 1);
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    virtio_guest_post(&g, 0, 8);
    give_packet(&g, 0, 1);
    for (unsigned i = 0; i < 5; i++) {
        send_packet(&g, 0, i);
        virtio_guest_wait_sent(&g, 0, 1);
    }
    g_assert_null(fake_netdev_take(g.nd, 0, 0));
    g_assert_false(virtio_guest_recv(&g, 0, got, 20));
    virtio_guest_enable(&g, true);
    recv_packet(&g, 0, 1); /* it waited in the netdev */
    send_packet(&g, 0, 9);
    take_packet(&g, 0, 9);
    virtio_guest_wait_sent(&g, 0, 1); /* counted before it comes back */
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.drop_peer), ==, 5);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.packets), ==, 1);
    virtio_guest_down(&g);
}

/* Frames that came before the guest are not its own, and leave no trace in those that are. */
static void test_frames_before(gconstpointer opaque)
{
    g_autoptr(GError) error = NULL;
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    for (unsigned i = 0; i < 2; i++) {
        virtio_guest_stop_ring(&g, i);
    }
    g.dev->ops->reset(g.dev);
    for (unsigned i = 0; i < 20; i++) {
        give_packet(&g, 0, 200 + i);
    }
    g_assert_true(g.dev->ops->set_features(g.dev, g.features, &error));
    for (unsigned i = 0; i < 2; i++) {
        virtio_guest_start_ring(&g, i);
    }
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 64);
    for (unsigned i = 0; i < 60; i++) {
        g_autofree FakePkt *pkt = packet_new(100 + i * 100, i);
        g_autofree FakePkt *got = g_new0(FakePkt, 1);

        pkt->hdr.csum_offset = (uint16_t)(i + 1);
        fake_netdev_give(g.nd, 0, pkt);
        g_assert_true(virtio_guest_recv(&g, 0, got, VIRTIO_GUEST_WAIT_MS));
        g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
        g_assert_cmpuint(got->hdr.csum_offset, ==, i + 1);
        virtio_guest_post(&g, 0, 64);
    }
    virtio_guest_down(&g);
}

/* Rings are stopped and started at any point, as when memory is plugged: all arrives once. */
static void test_restart(gconstpointer opaque)
{
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 64);
    for (unsigned i = 0; i < 200; i++) {
        send_packet(&g, 0, i);
        give_packet(&g, 0, i);
        if (i % 3 == 0) {
            virtio_guest_stop_ring(&g, i % 2);
            virtio_guest_start_ring(&g, i % 2);
        }
        take_packet(&g, 0, i);
        virtio_guest_wait_sent(&g, 0, 1);
        recv_packet(&g, 0, i);
        virtio_guest_post(&g, 0, 1);
    }
    virtio_guest_down(&g);
}

/* The netdev is full: packets wait, also over a stop of their ring. */
static void test_full(gconstpointer opaque)
{
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    fake_netdev_set_full(g.nd, 0, true);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < 20; i++) {
        send_packet(&g, 0, i);
    }
    while (fake_netdev_refused(g.nd, 0) == 0) {
        g_usleep(1000);
    }
    virtio_guest_stop_ring(&g, 1);
    virtio_guest_start_ring(&g, 1);
    fake_netdev_set_full(g.nd, 0, false);
    for (unsigned i = 0; i < 20; i++) {
        take_packet(&g, 0, i);
    }
    virtio_guest_wait_sent(&g, 0, 20);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.packets), ==, 20);
    virtio_guest_down(&g);
}

/* The netdev had taken some of a batch when we were killed: these are not sent again. */
static void test_killed(gconstpointer opaque)
{
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    fake_netdev_set_room(g.nd, 0, 7);
    for (unsigned i = 0; i < 20; i++) {
        g_autofree FakePkt *pkt = packet_new(100, i);

        g_assert_true(virtio_guest_send(&g, 0, pkt));
    }
    virtio_guest_enable(&g, true);
    virtio_guest_kick(&g, 1);
    while (fake_netdev_refused(g.nd, 0) == 0) {
        g_usleep(1000);
    }
    virtio_guest_kill(&g);
    for (unsigned i = 7; i < 20; i++) {
        take_packet(&g, 0, i);
    }
    virtio_guest_wait_sent(&g, 0, 20);
    g_assert_null(fake_netdev_take(g.nd, 0, 0));
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.packets), ==, 13);
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.drop_malformed), ==, 0);
    virtio_guest_post(&g, 0, 4);
    give_packet(&g, 0, 1);
    recv_packet(&g, 0, 1);
    virtio_guest_down(&g);
}

/* Packets wait while it is paused. */
static void test_paused(void)
{
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    virtio_guest_post(&g, 0, 8);
    virtio_net_pause(g.vn, true);
    send_packet(&g, 0, 1);
    give_packet(&g, 0, 2);
    g_assert_null(fake_netdev_take(g.nd, 0, 20));
    virtio_net_pause(g.vn, false);
    take_packet(&g, 0, 1);
    recv_packet(&g, 0, 2);
    virtio_guest_down(&g);
}

/* As many queues of the netdev carry packets as pairs are enabled; the others' packets stay. */
static void test_pairs(void)
{
    static const unsigned numbers[] = { 4, 1, 2, 3, 4 };
    VirtioGuest g;

    virtio_guest_up(&g, &pairs);
    g_assert_cmpuint(fake_netdev_active(g.nd), ==, 1);
    g_assert_false(fake_netdev_carrier(g.nd));
    for (unsigned i = 0; i < 4; i++) {
        virtio_guest_post(&g, i, 64);
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(numbers); n++) {
        for (unsigned i = 0; i < 8; i++) {
            g.dev->ops->ring_enable(g.dev, i, i / 2 < numbers[n]);
        }
        g_assert_cmpuint(fake_netdev_active(g.nd), ==, numbers[n]);
        g_assert_true(fake_netdev_carrier(g.nd));
        for (unsigned i = 0; i < numbers[n]; i++) {
            send_packet(&g, i, n + i);
            take_packet(&g, i, n + i);
            virtio_guest_wait_sent(&g, i, 1);
            give_packet(&g, i, n);
            recv_packet(&g, i, n);
        }
    }
    g.dev->ops->ring_enable(g.dev, 0, false);
    g_assert_cmpuint(fake_netdev_active(g.nd), ==, 4); /* the last one decides */
    virtio_guest_enable(&g, false);
    g_assert_cmpuint(fake_netdev_active(g.nd), ==, 1);
    g_assert_false(fake_netdev_carrier(g.nd));
    virtio_guest_down(&g);
}

/* A packet that makes no sense costs itself. */
static void test_malformed(gconstpointer opaque)
{
    static const VirtqDriverPiece bad[] = {
        { 0x4000000, 25 },                    /* no frame of 14 bytes */
        { 0x4000000, 12 + PKT_MAX_LEN + 1 },  /* more than a packet can be */
        { 1ull << 40, 100 },                  /* not the guest's memory */
        { UINT64_MAX - 10, 100 },
        { 0x4000000, 0 },
    };
    VirtioGuest g;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpint(virtq_driver_add(g.ring[1].driver, &bad[i], 1, 0), >=, 0);
        send_packet(&g, 0, i);
        take_packet(&g, 0, i);
        virtio_guest_wait_sent(&g, 0, 2);
        g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.drop_malformed), ==, i + 1);
    }
    virtio_guest_down(&g);
}

/* So does an rx buffer, wherever it stands among others. */
static void test_malformed_buffers(gconstpointer opaque)
{
    static const VirtqDriverPiece bad[] = { { 0x8000000, 20 }, { 1ull << 40, 2000 } };
    VirtioGuest g;
    uint16_t id;
    uint32_t len;

    virtio_guest_up(&g, opaque);
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpint(virtq_driver_add(g.ring[0].driver, &bad[i], 0, 1), >=, 0);
        virtio_guest_post(&g, 0, 1);
        give_packet(&g, 0, 1);
        while (!virtq_driver_get(g.ring[0].driver, &id, &len)) {
            g_usleep(1000);
        }
        g_assert_cmpuint(len, ==, 0);
        recv_packet(&g, 0, 1);
        /* and behind a good one */
        virtio_guest_post(&g, 0, 1);
        g_assert_cmpint(virtq_driver_add(g.ring[0].driver, &bad[i], 0, 1), >=, 0);
        virtio_guest_post(&g, 0, 1);
        give_packet(&g, 0, 2);
        give_packet(&g, 0, 3);
        recv_packet(&g, 0, 2);
        while (!virtq_driver_get(g.ring[0].driver, &id, &len)) {
            g_usleep(1000);
        }
        g_assert_cmpuint(len, ==, 0);
        recv_packet(&g, 0, 3);
    }
    g_assert_cmpuint(counter_read(&g.vn_stats[0].rx.drop_malformed), ==, 4);
    virtio_guest_down(&g);
}

typedef struct Told {
    unsigned broken;
    unsigned index;
    unsigned config;
} Told;

static void told_config(void *opaque)
{
    ((Told *)opaque)->config++;
}

static void told_broken(void *opaque, unsigned index, const char *reason)
{
    Told *t = opaque;

    g_assert_nonnull(reason);
    t->broken++;
    t->index = index;
}

static const VirtioTransportOps told_ops = { told_config, told_broken };

/* A ring that makes no sense stops; stopped and set up anew, it works. */
static void test_broken(void)
{
    VirtioGuest g;
    Told told = { 0 };
    uint64_t one = 1;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    g.dev->transport = &told_ops;
    g.dev->transport_opaque = &told;
    __atomic_store_n(&g.ring[1].driver->avail->idx, 1000, __ATOMIC_RELEASE);
    g_assert_cmpint(write(g.ring[1].kick_fd, &one, sizeof(one)), ==, sizeof(one));
    while (told.broken == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpuint(told.index, ==, 1);
    virtio_guest_enable(&g, true);
    g_main_context_iteration(NULL, FALSE);
    __atomic_store_n(&g.ring[1].driver->avail->idx, 0, __ATOMIC_RELEASE);
    virtio_guest_stop_ring(&g, 0);
    virtio_guest_stop_ring(&g, 1);
    virtio_guest_start_ring(&g, 0);
    virtio_guest_start_ring(&g, 1);
    send_packet(&g, 0, 1);
    take_packet(&g, 0, 1);
    g_assert_cmpuint(told.broken, ==, 1);
    virtio_guest_down(&g);
}

/* The pages of packets to the guest are marked, and those of the ring. */
static void test_dirty_log(gconstpointer opaque)
{
    g_autoptr(GError) error = NULL;
    VirtioGuest g;
    int fd = memfd_create("log", MFD_CLOEXEC);
    uint64_t slot;
    uint8_t *log;
    size_t size;

    virtio_guest_up(&g, opaque);
    size = 0x10000000 / GUEST_MEM_LOG_PAGE / 8;
    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    log = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    g_assert_true(log != MAP_FAILED);
    virtio_guest_stop_ring(&g, 0);
    g_assert_true(guest_mem_set_log(g.mem, fd, size, 0, &error));
    virtio_guest_start_ring(&g, 0);
    virtio_guest_enable(&g, true);
    slot = g.ring[0].gpa + g.ring[0].driver->free_id * VIRTIO_GUEST_SLOT;
    virtio_guest_post(&g, 0, 1);
    give_packet(&g, 0, 1);
    recv_packet(&g, 0, 1);
    g_assert_cmphex(log[slot / 4096 / 8], ==, 1 << (slot / 4096 % 8));
    munmap(log, size);
    close(fd);
    virtio_guest_down(&g);
}

/* A VMM tells where its guest is now, and the host's switches hear it. */
static void test_announce(void)
{
    static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
    g_autofree FakePkt *got = NULL;
    VirtioGuest g;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    g.dev->ops->announce(g.dev, mac);
    got = fake_netdev_take(g.nd, 0, VIRTIO_GUEST_WAIT_MS);
    g_assert_nonnull(got);
    g_assert_cmpuint(got->len, ==, 60);
    g_assert_cmpmem(got->data, 6, "\xff\xff\xff\xff\xff\xff", 6);
    g_assert_cmpmem(got->data + 6, 6, mac, 6);
    g_assert_cmpmem(got->data + 12, 10, "\x80\x35\0\1\10\0\6\4\0\3", 10);
    g_assert_cmpmem(got->data + 22, 6, mac, 6);
    g_assert_cmpmem(got->data + 32, 6, mac, 6);
    virtio_guest_down(&g);
}

/* What a netdev without a vnet header can't leave to the guest is not offered. */
static void test_features(void)
{
    static const VirtioGuestConfig plain = {
        "plain", 2, 64, UINT64_MAX, .no_vnet_hdr = true, .rx_len = 1536
    };
    uint64_t guest = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
                     BIT(VIRTIO_NET_F_GUEST_TSO6);
    uint64_t host = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
                    BIT(VIRTIO_NET_F_HOST_TSO6);
    VirtioGuest g;

    virtio_guest_up(&g, &plain);
    g_assert_cmphex(g.features & guest, ==, 0);
    g_assert_cmphex(g.features & host, ==, host); /* finished here */
    g_assert_cmpuint(fake_netdev_offload(g.nd), ==, 0);
    virtio_guest_down(&g);
    virtio_guest_up(&g, &pairs);
    g_assert_cmpuint(fake_netdev_offload(g.nd), ==, 0); /* it wants none */
    g_assert_cmphex(g.dev->ops->features(g.dev) & (guest | host), ==, guest | host);
    virtio_guest_down(&g);
}

/* set_link: the config space says so, and packets are lost both ways. */
static void test_link(void)
{
    VirtioGuest g;
    Told told = { 0 };
    struct virtio_net_config c;

    virtio_guest_up(&g, &split);
    virtio_guest_enable(&g, true);
    g.dev->transport = &told_ops;
    g.dev->transport_opaque = &told;
    netdev_set_link(g.nd, false);
    g_assert_cmpuint(told.config, ==, 1);
    g.dev->ops->get_config(g.dev, 0, (uint8_t *)&c, sizeof(c));
    g_assert_cmpuint(c.status, ==, 0);
    g_assert_cmpmem(c.mac, 6, "\x52\x54\x00\x12\x34\x56", 6);
    send_packet(&g, 0, 1);
    virtio_guest_wait_sent(&g, 0, 1);
    g_assert_null(fake_netdev_take(g.nd, 0, 0));
    netdev_set_link(g.nd, true);
    g_assert_cmpuint(told.config, ==, 2);
    g.dev->ops->get_config(g.dev, 6, (uint8_t *)&c.status, 2);
    g_assert_cmpuint(c.status, ==, VIRTIO_NET_S_LINK_UP);
    virtio_guest_down(&g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/net/virtio-net/disabled", test_disabled);
    g_test_add_data_func("/hw/net/virtio-net/frames-before/split", &split, test_frames_before);
    g_test_add_data_func("/hw/net/virtio-net/frames-before/packed", &packed, test_frames_before);
    g_test_add_data_func("/hw/net/virtio-net/restart/split", &split, test_restart);
    g_test_add_data_func("/hw/net/virtio-net/restart/packed", &packed, test_restart);
    g_test_add_data_func("/hw/net/virtio-net/full/split", &split, test_full);
    g_test_add_data_func("/hw/net/virtio-net/full/packed", &packed, test_full);
    g_test_add_data_func("/hw/net/virtio-net/killed/split", &split_inflight, test_killed);
    g_test_add_data_func("/hw/net/virtio-net/killed/packed", &packed_inflight, test_killed);
    g_test_add_func("/hw/net/virtio-net/paused", test_paused);
    g_test_add_func("/hw/net/virtio-net/pairs", test_pairs);
    g_test_add_data_func("/hw/net/virtio-net/malformed/split", &split, test_malformed);
    g_test_add_data_func("/hw/net/virtio-net/malformed/packed", &packed, test_malformed);
    g_test_add_data_func("/hw/net/virtio-net/malformed-buffers/split", &split,
                         test_malformed_buffers);
    g_test_add_data_func("/hw/net/virtio-net/malformed-buffers/packed", &packed,
                         test_malformed_buffers);
    g_test_add_func("/hw/net/virtio-net/broken", test_broken);
    g_test_add_data_func("/hw/net/virtio-net/dirty-log/split", &split, test_dirty_log);
    g_test_add_data_func("/hw/net/virtio-net/dirty-log/packed", &packed, test_dirty_log);
    g_test_add_func("/hw/net/virtio-net/announce", test_announce);
    g_test_add_func("/hw/net/virtio-net/features", test_features);
    g_test_add_func("/hw/net/virtio-net/link", test_link);
    return g_test_run();
}
