/*
 * virtio-net over vhost-user, from a front end's messages to the netdev: pairs, layouts, memory
 * that comes and goes, connections that end, a log.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake-netdev.h"
#include "hw/net/virtio-net.h"
#include "hw/virtio/vhost-user.h"
#include "vhost-user-front.h"

#define BIT(n)     (1ull << (n))
#define MODERN     (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | \
                    BIT(VIRTIO_RING_F_EVENT_IDX))
#define PACKED     (MODERN | BIT(VIRTIO_F_RING_PACKED))
#define LEGACY     0ull
#define MAX_PAIRS  8u
#define RING_SIZE  64u
#define RINGS      0x0ull        /* 128 KiB each */
#define DATA       0x40000000ull /* 1 MiB a ring: 64 buffers of 16 KiB */
#define MIB        0x100000ull
#define BUFFER     0x4000u
#define WAIT_MS    10000u

typedef struct Nic {
    unsigned pairs;
    uint64_t features;
    uint32_t hdr_len;
    Netdev *nd;
    VirtioNet *vn;
    const NicQueueStats *stats;
    VhostUser *back;
    VhostUserFront *front;
    VhostUserFrontRing ring[2 * MAX_PAIRS];
    uint64_t data[2 * MAX_PAIRS]; /* where the buffers of a ring are */
    unsigned running;
    char *reason;
    bool ended;
} Nic;

static void nic_rings(void *opaque, unsigned running)
{
    ((Nic *)opaque)->running = running;
}

static void nic_ended(void *opaque, const char *reason)
{
    Nic *n = opaque;

    n->ended = true;
    g_free(n->reason);
    n->reason = g_strdup(reason);
}

static void nic_warned(void *opaque, const char *text)
{
    g_test_message("warned: %s", text);
}

static const VhostUserEvents nic_events = { nic_rings, nic_ended, nic_warned };

static int nic_serve(Nic *n)
{
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), ==, 0);
    vhost_user_serve(n->back, fd[0]);
    return fd[1];
}

static void nic_up(Nic *n, unsigned pairs, uint64_t features)
{
    g_autoptr(GError) error = NULL;
    VirtioNetConfig config = { 0 };
    VirtioNetEnv env = { .name = "nic" };
    VirtioNetInfo info;

    memset(n, 0, sizeof(*n));
    memset(&config.f, 1, sizeof(config.f)); /* all of them */
    n->pairs = pairs;
    n->features = features;
    n->hdr_len = features == LEGACY ? sizeof(struct virtio_net_hdr) : PKT_HDR_LEN;
    n->nd = env.peer = fake_netdev_new(pairs, true);
    n->vn = virtio_net_new(&config, &env, &error);
    g_assert_no_error(error);
    virtio_net_info(n->vn, &info);
    n->stats = info.stats;
    n->back = vhost_user_new(virtio_net_device(n->vn), &nic_events, n);
    n->front = vhost_user_front_new(nic_serve(n));
    n->front->pump = vhost_user_front_pump_main;
}

static void nic_down(Nic *n)
{
    for (unsigned i = 0; i < 2 * n->pairs; i++) {
        vhost_user_front_ring_done(&n->ring[i]);
    }
    vhost_user_front_free(n->front);
    vhost_user_free(n->back);
    virtio_net_free(n->vn);
    netdev_free(n->nd);
    g_free(n->reason);
}

static void nic_negotiate(Nic *n)
{
    vhost_user_front_negotiate(n->front,
                               n->features | BIT(VHOST_USER_F_PROTOCOL_FEATURES) |
                                   BIT(VHOST_F_LOG_ALL),
                               VHOST_USER_FRONT_PROTOCOL);
}

static void nic_start_rings(Nic *n)
{
    for (unsigned i = 0; i < 2 * n->pairs; i++) {
        vhost_user_front_ring_start(n->front, &n->ring[i]);
        vhost_user_front_ring_enable(n->front, &n->ring[i], true);
    }
    g_assert_true(vhost_user_front_sync(n->front));
    g_assert_cmpuint(n->running, ==, 2 * n->pairs);
}

/* Memory, rings, all of them running. */
static void nic_connect(Nic *n)
{
    nic_negotiate(n);
    vhost_user_front_make_region(n->front, RINGS, 2 * MAX_PAIRS * 0x20000);
    vhost_user_front_make_region(n->front, DATA, 2 * MAX_PAIRS * MIB);
    vhost_user_front_share(n->front);
    for (unsigned i = 0; i < 2 * n->pairs; i++) {
        VirtqDriverConfig c = { .size = RING_SIZE, .gpa = RINGS + i * 0x20000 };

        vhost_user_front_ring_init(n->front, &n->ring[i], i, &c);
        n->data[i] = DATA + i * MIB;
    }
    nic_start_rings(n);
}

/* --- packets --- */

static FakePkt *packet_new(uint32_t len, unsigned seed)
{
    FakePkt *pkt = g_new0(FakePkt, 1);

    pkt->len = len;
    for (uint32_t i = 0; i < len; i++) {
        pkt->data[i] = (uint8_t)(i * 3 + seed);
    }
    return pkt;
}

static uint64_t nic_buffer(const Nic *n, unsigned ring, unsigned id)
{
    return n->data[ring] + id * BUFFER;
}

static void nic_add(Nic *n, unsigned ring, uint32_t len, bool out)
{
    VirtqDriver *d = n->ring[ring].driver;
    VirtqDriverPiece piece = { nic_buffer(n, ring, d->free_id), len };

    g_assert_cmpint(virtq_driver_add(d, &piece, out, !out), >=, 0);
    if (virtq_driver_publish(d)) {
        vhost_user_front_kick(&n->ring[ring]);
    }
}

static uint32_t nic_get(Nic *n, unsigned ring, uint16_t *ret_id)
{
    uint32_t len;

    for (unsigned i = 0; i < WAIT_MS; i++) {
        if (virtq_driver_get(n->ring[ring].driver, ret_id, &len)) {
            return len;
        }
        vhost_user_front_pump_main();
        g_usleep(1000);
    }
    g_assert_not_reached();
}

static void nic_send(Nic *n, unsigned pair, unsigned seed)
{
    unsigned ring = 2 * pair + 1;
    g_autofree FakePkt *pkt = packet_new(100, seed);
    uint8_t *at = vhost_user_front_host(n->front,
                                        nic_buffer(n, ring, n->ring[ring].driver->free_id));

    memset(at, 0, n->hdr_len);
    memcpy(at + n->hdr_len, pkt->data, pkt->len);
    nic_add(n, ring, n->hdr_len + pkt->len, true);
}

static void nic_sent(Nic *n, unsigned pair)
{
    uint16_t id;

    g_assert_cmpuint(nic_get(n, 2 * pair + 1, &id), ==, 0);
}

static void nic_take(Nic *n, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(100, seed);
    g_autofree FakePkt *got = fake_netdev_take(n->nd, pair, WAIT_MS);

    g_assert_nonnull(got);
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
}

static void nic_post(Nic *n, unsigned pair)
{
    nic_add(n, 2 * pair, BUFFER, false);
}

static void nic_give(Nic *n, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(100, seed);

    fake_netdev_give(n->nd, pair, pkt);
}

static void nic_recv(Nic *n, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(100, seed);
    uint16_t id;
    uint32_t len = nic_get(n, 2 * pair, &id);
    const uint8_t *at = vhost_user_front_host(n->front, nic_buffer(n, 2 * pair, id));

    g_assert_cmpmem(at + n->hdr_len, len - n->hdr_len, pkt->data, pkt->len);
}

/* A packet each way on each pair. */
static void nic_exchange(Nic *n, unsigned seed)
{
    for (unsigned i = 0; i < n->pairs; i++) {
        nic_send(n, i, seed + i);
        nic_take(n, i, seed + i);
        nic_sent(n, i);
        nic_post(n, i);
        nic_give(n, i, seed + i);
        nic_recv(n, i, seed + i);
    }
}

/* --- tests --- */

static void test_pairs(gconstpointer opaque)
{
    const uint64_t *features = opaque;

    for (unsigned pairs = 1; pairs <= MAX_PAIRS; pairs++) {
        Nic n;

        nic_up(&n, pairs, *features);
        nic_connect(&n);
        g_assert_cmpuint(vhost_user_front_get_u64(n.front, VHOST_USER_GET_QUEUE_NUM), ==, pairs);
        for (unsigned i = 0; i < 3 * RING_SIZE / pairs; i++) {
            nic_exchange(&n, i);
        }
        for (unsigned i = 0; i < pairs; i++) {
            g_assert_cmpuint(counter_read(&n.stats[i].tx.packets), ==, 3 * RING_SIZE / pairs);
            g_assert_cmpuint(counter_read(&n.stats[i].rx.packets), ==, 3 * RING_SIZE / pairs);
        }
        nic_down(&n);
    }
}

/* ethtool -L: rings are enabled and disabled by pairs; a pair that is off carries nothing. */
static void test_pairs_in_use(gconstpointer opaque)
{
    static const unsigned numbers[] = { 4, 1, 2, 3, 4 };
    const uint64_t *features = opaque;
    Nic n;

    nic_up(&n, 4, *features);
    nic_connect(&n);
    for (unsigned k = 0; k < G_N_ELEMENTS(numbers); k++) {
        for (unsigned i = 0; i < 8; i++) {
            vhost_user_front_ring_enable(n.front, &n.ring[i], i / 2 < numbers[k]);
        }
        g_assert_true(vhost_user_front_sync(n.front));
        g_assert_cmpuint(fake_netdev_active(n.nd), ==, numbers[k]);
        for (unsigned i = 0; i < numbers[k]; i++) {
            nic_send(&n, i, k);
            nic_take(&n, i, k);
            nic_sent(&n, i);
        }
    }
    nic_down(&n);
}

/* Memory is plugged and unplugged while packets flow; buffers may be in what came last. */
static void test_memory_slots(gconstpointer opaque)
{
    const uint64_t *features = opaque;
    VhostUserFrontRegion *slot;
    Nic n;

    nic_up(&n, 2, *features);
    nic_connect(&n);
    for (unsigned k = 0; k < 20; k++) {
        uint64_t gpa = 0x100000000ull + k % 3 * 8 * MIB;

        nic_post(&n, 0); /* popped already, or not: it is good after as it was before */
        slot = vhost_user_front_make_region(n.front, gpa, 8 * MIB);
        vhost_user_front_add_slot(n.front, slot);
        g_assert_true(vhost_user_front_sync(n.front));
        for (unsigned i = 0; i < 4; i++) {
            n.data[i] = gpa + i * MIB;
        }
        nic_send(&n, 0, k);
        nic_take(&n, 0, k);
        nic_sent(&n, 0);
        nic_send(&n, 1, k);
        nic_take(&n, 1, k);
        nic_sent(&n, 1);
        for (unsigned i = 0; i < 4; i++) {
            n.data[i] = DATA + i * MIB;
        }
        vhost_user_front_remove_slot(n.front, slot);
        g_assert_true(vhost_user_front_sync(n.front));
        vhost_user_front_drop_region(n.front, slot);
        nic_give(&n, 0, k);
        nic_recv(&n, 0, k);
    }
    nic_down(&n);
}

/* The VMM is another one, or connects again: rings go on where they are. */
static void test_reconnect(gconstpointer opaque)
{
    const uint64_t *features = opaque;
    Nic n;

    nic_up(&n, 2, *features);
    nic_connect(&n);
    for (unsigned k = 0; k < 10; k++) {
        nic_exchange(&n, k);
        nic_post(&n, 0);
        for (unsigned i = 0; i < 4; i++) {
            g_assert_true(vhost_user_front_ring_stop(n.front, &n.ring[i]));
        }
        n.ended = false;
        vhost_user_front_close(n.front);
        while (!n.ended) {
            vhost_user_front_pump_main();
        }
        g_assert_cmpuint(n.running, ==, 0);
        vhost_user_front_pump_main();
        g_assert_false(fake_netdev_carrier(n.nd));
        vhost_user_front_reconnect(n.front, nic_serve(&n));
        nic_negotiate(&n);
        vhost_user_front_share(n.front);
        nic_start_rings(&n);
        nic_give(&n, 0, 77);
        nic_recv(&n, 0, 77);
    }
    nic_down(&n);
}

/* Migration begins while rings run: from then on each page that is written is marked. */
static void test_log(gconstpointer opaque)
{
    const uint64_t *features = opaque;
    uint64_t page;
    Nic n;

    nic_up(&n, 1, *features);
    nic_connect(&n);
    nic_exchange(&n, 1);
    vhost_user_front_open_log(n.front, 2 * MAX_PAIRS * MIB + DATA);
    n.ring[0].log = n.ring[1].log = true;
    vhost_user_front_send_u64(n.front, VHOST_USER_SET_FEATURES,
                              n.front->features | BIT(VHOST_F_LOG_ALL));
    for (unsigned i = 0; i < 2; i++) {
        vhost_user_front_ring_send_addr(n.front, &n.ring[i]);
    }
    g_assert_true(vhost_user_front_sync(n.front));
    for (unsigned k = 0; k < 20; k++) {
        page = nic_buffer(&n, 0, n.ring[0].driver->free_id);
        nic_post(&n, 0);
        nic_give(&n, 0, k);
        nic_recv(&n, 0, k);
        g_assert_true(vhost_user_front_take_dirty(n.front, page));
        g_assert_false(vhost_user_front_take_dirty(n.front, page + 4096));
        nic_send(&n, 0, k);
        nic_take(&n, 0, k);
        nic_sent(&n, 0);
    }
    nic_down(&n);
}

static void add(const char *name, void (*fn)(gconstpointer opaque))
{
    static const struct {
        const char *name;
        uint64_t features;
    } kinds[] = { { "split", MODERN }, { "packed", PACKED }, { "legacy", LEGACY } };

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strdup_printf("/hw/net/vhost-user-net/%s/%s", name,
                                                kinds[i].name);

        g_test_add_data_func(path, &kinds[i].features, fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("pairs", test_pairs);
    add("pairs-in-use", test_pairs_in_use);
    add("memory-slots", test_memory_slots);
    add("reconnect", test_reconnect);
    add("log", test_log);
    return g_test_run();
}
