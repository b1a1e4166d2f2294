/*
 * Pairs of a virtio-net that vhost serves, and how they come and go; the vhost is the test's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake-vhost.h"
#include "hw/virtio/vhost-kernel.h"
#include "test-log.h"
#include "virtio-guest.h"

#define BIT(n) (1ull << (n))
#define V1     BIT(VIRTIO_F_VERSION_1)
#define MRG    BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED BIT(VIRTIO_F_RING_PACKED)
#define EVENT  BIT(VIRTIO_RING_F_EVENT_IDX)
/* What Linux 6.1 has: bit 27 is not VIRTIO_F_ANY_LAYOUT there. */
#define KERNEL (V1 | MRG | EVENT | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(27) | BIT(24) | \
                BIT(VHOST_F_LOG_ALL))

static void with_vhost(Netdev *nd)
{
    for (unsigned i = 0; i < nd->n_queues; i++) {
        g_autoptr(GError) error = NULL;

        nd->queue[i]->vhost_fd = fake_vhost_open(KERNEL);
        vhost_kernel_init(nd->queue[i]->vhost_fd, 0, &error);
        g_assert_no_error(error);
    }
}

static void with_packed_vhost(Netdev *nd)
{
    nd->queue[0]->vhost_fd = fake_vhost_open(KERNEL | PACKED);
}

static const VirtioGuestConfig one = {
    "one", 1, 64, V1 | MRG | EVENT | BIT(VIRTIO_F_ANY_LAYOUT), .rx_len = 1536,
    .prepare = with_vhost
};
static const VirtioGuestConfig pairs = {
    "pairs", 3, 64, V1 | MRG | EVENT, .rx_len = 1536, .prepare = with_vhost
};
static const VirtioGuestConfig packed = {
    "packed", 1, 64, V1 | MRG | PACKED, .rx_len = 1536, .prepare = with_packed_vhost
};

static unsigned count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static int vhost_fd(const VirtioGuest *g, unsigned pair)
{
    return g->nd->queue[pair]->vhost_fd;
}

static FakePkt *packet_new(unsigned seed)
{
    FakePkt *pkt = g_new0(FakePkt, 1);

    pkt->len = 100;
    for (uint32_t i = 0; i < pkt->len; i++) {
        pkt->data[i] = (uint8_t)(i * 3 + seed);
    }
    return pkt;
}

static void recv_packet(VirtioGuest *g, unsigned pair, const FakePkt *pkt)
{
    g_autofree FakePkt *got = g_new0(FakePkt, 1);

    g_assert_true(virtio_guest_recv(g, pair, got, VIRTIO_GUEST_WAIT_MS));
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
}

/* A packet each way by the kernel, which is where the pair is. */
static void carry_by_kernel(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(seed);
    g_autofree FakePkt *got = g_new0(FakePkt, 1);

    g_assert_true(fake_vhost_serves(vhost_fd(g, pair)));
    g_assert_true(virtio_guest_send(g, pair, pkt));
    virtio_guest_kick(g, 2 * pair + 1);
    fake_vhost_take(vhost_fd(g, pair), got);
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
    virtio_guest_wait_sent(g, pair, 1);
    virtio_guest_post(g, pair, 1);
    fake_vhost_give(vhost_fd(g, pair), pkt);
    recv_packet(g, pair, pkt);
}

/* By the pair's thread. */
static void carry_by_thread(VirtioGuest *g, unsigned pair, unsigned seed)
{
    g_autofree FakePkt *pkt = packet_new(seed);
    g_autofree FakePkt *got = NULL;

    g_assert_false(fake_vhost_serves(vhost_fd(g, pair)));
    g_assert_true(virtio_guest_send(g, pair, pkt));
    virtio_guest_kick(g, 2 * pair + 1);
    got = fake_netdev_take(g->nd, pair, VIRTIO_GUEST_WAIT_MS);
    g_assert_nonnull(got);
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
    virtio_guest_wait_sent(g, pair, 1);
    virtio_guest_post(g, pair, 1);
    virtio_guest_kick(g, 2 * pair);
    fake_netdev_give(g->nd, pair, pkt);
    recv_packet(g, pair, pkt);
}

static void guest_up(VirtioGuest *g, const VirtioGuestConfig *c)
{
    virtio_guest_up(g, c);
    virtio_guest_enable(g, true);
}

static void guest_down(VirtioGuest *g)
{
    int fd[VIRTIO_GUEST_MAX_PAIRS];

    for (unsigned i = 0; i < g->c.pairs; i++) {
        fd[i] = vhost_fd(g, i);
    }
    virtio_guest_down(g);
    fake_vhost_forget();
    for (unsigned i = 0; i < g->c.pairs; i++) {
        close(fd[i]);
    }
}

/* --- where a pair belongs --- */

static void test_serves(void)
{
    VirtioGuest g;

    virtio_guest_up(&g, &one);
    g_assert_false(fake_vhost_serves(vhost_fd(&g, 0))); /* not enabled */
    virtio_guest_enable(&g, true);
    for (unsigned i = 0; i < 200; i++) {
        carry_by_kernel(&g, 0, i);
    }
    g_assert_true(fake_netdev_carrier(g.nd));
    g_assert_cmpuint(counter_read(&g.vn_stats[0].tx.packets), ==, 0);
    guest_down(&g);
}

/* Not a bit that means something else there; and the driver is offered nothing it has not. */
static void test_features(void)
{
    VirtioGuest g;

    guest_up(&g, &one);
    g_assert_cmphex(fake_vhost_of(vhost_fd(&g, 0))->features, ==, V1 | MRG | EVENT);
    g_assert_cmphex(g.features & BIT(VIRTIO_F_ANY_LAYOUT), !=, 0);
    g_assert_cmphex(g.dev->ops->features(g.dev) & (PACKED | BIT(VIRTIO_F_IN_ORDER)), ==, 0);
    g_assert_cmphex(g.dev->ops->features(g.dev) & BIT(VIRTIO_NET_F_CSUM), !=, 0);
    guest_down(&g);
}

static void test_memory(void)
{
    const FakeVhost *v;
    VirtioGuest g;

    guest_up(&g, &one);
    v = fake_vhost_of(vhost_fd(&g, 0));
    g_assert_cmpuint(v->mem->n, ==, g.mem->n);
    for (unsigned i = 0; i < v->mem->n; i++) {
        g_assert_cmphex(v->mem->region[i].gpa, ==, g.mem->region[i].gpa);
        g_assert_cmphex(v->mem->region[i].size, ==, g.mem->region[i].size);
        g_assert_true(v->mem->region[i].host == g.mem->region[i].host);
    }
    guest_down(&g);
}

static void test_packed(void)
{
    VirtioGuest g;

    guest_up(&g, &packed);
    for (unsigned i = 0; i < 200; i++) {
        carry_by_kernel(&g, 0, i);
        if (i % 16 == 0) {
            virtio_guest_enable(&g, false);
            virtio_guest_enable(&g, true);
        }
    }
    guest_down(&g);
}

static void assert_by_thread(const VirtioGuestConfig *c)
{
    VirtioGuest g;

    guest_up(&g, c);
    carry_by_thread(&g, 0, 1);
    guest_down(&g);
}

/* The kernel would take the netdev's header for a longer one than the guest's. */
static void test_short_header(void)
{
    VirtioGuestConfig c = one;

    c.features = 0;
    assert_by_thread(&c);
}

/* It keeps no record of what is under way. */
static void test_inflight(void)
{
    VirtioGuestConfig c = one;

    c.inflight = true;
    assert_by_thread(&c);
}

static void test_no_vnet_hdr(void)
{
    g_autofree char *log = test_log_open();
    VirtioGuestConfig c = one;
    g_autoptr(GError) error = NULL;
    VirtioNetConfig config = { 0 };
    VirtioNetEnv env = { .name = "nic" };

    c.no_vnet_hdr = true;
    assert_by_thread(&c);
    g_assert_cmpuint(test_log_count(log, "netdev 'fake': vhost cannot be used: the netdev has no "
                                    "vnet_hdr"), ==, 1);
    test_log_close(log);
    env.peer = fake_netdev_new(1, false);
    with_vhost(env.peer);
    env.peer->vhost_forced = true;
    g_assert_null(virtio_net_new(&config, &env, &error));
    g_assert_cmpstr(error->message, ==,
                    "netdev 'fake': vhost cannot be used: the netdev has no vnet_hdr");
    close(env.peer->queue[0]->vhost_fd);
    fake_vhost_forget();
    netdev_free(env.peer);
}

/* --- it comes and goes --- */

static void test_link(void)
{
    VirtioGuest g;

    guest_up(&g, &one);
    for (unsigned i = 0; i < 100; i++) {
        g_autofree FakePkt *pkt = packet_new(i);

        carry_by_kernel(&g, 0, i);
        netdev_set_link(g.nd, false);
        g_assert_false(fake_vhost_serves(vhost_fd(&g, 0)));
        g_assert_true(virtio_guest_send(&g, 0, pkt)); /* lost, as without vhost */
        virtio_guest_kick(&g, 1);
        virtio_guest_wait_sent(&g, 0, 1);
        netdev_set_link(g.nd, true);
    }
    carry_by_kernel(&g, 0, 0);
    g_assert_cmpuint(fake_vhost_of(vhost_fd(&g, 0))->starts, ==, 101);
    guest_down(&g);
}

/* Whoever has the carrier: the interface may be down, and come up while the link is off. */
static void test_link_without_carrier(void)
{
    VirtioGuest g;

    guest_up(&g, &one);
    g.nd->carrier = false;
    g.nd->link_up = false;
    netdev_set_link(g.nd, false);
    g_assert_false(fake_vhost_serves(vhost_fd(&g, 0)));
    netdev_set_link(g.nd, true);
    g_assert_true(fake_vhost_serves(vhost_fd(&g, 0)));
    guest_down(&g);
}

static void test_pause(void)
{
    g_autofree FakePkt *pkt = packet_new(7);
    g_autofree FakePkt *got = g_new0(FakePkt, 1);
    VirtioGuest g;

    guest_up(&g, &one);
    carry_by_kernel(&g, 0, 1);
    virtio_net_pause(g.vn, true);
    g_assert_false(fake_vhost_serves(vhost_fd(&g, 0)));
    g_assert_true(virtio_guest_send(&g, 0, pkt));
    virtio_guest_kick(&g, 1);
    g_assert_null(fake_netdev_take(g.nd, 0, 20));
    virtio_net_pause(g.vn, false);
    g_assert_true(fake_vhost_serves(vhost_fd(&g, 0)));
    fake_vhost_take(vhost_fd(&g, 0), got);
    g_assert_cmpmem(got->data, got->len, pkt->data, pkt->len);
    virtio_guest_wait_sent(&g, 0, 1);
    guest_down(&g);
}

/* What the netdev's queue has for a pair that is switched off is the guest's still. */
static void test_disable(void)
{
    g_autofree FakePkt *pkt = packet_new(5);
    VirtioGuest g;

    guest_up(&g, &pairs);
    for (unsigned i = 0; i < 3; i++) {
        carry_by_kernel(&g, i, i);
    }
    virtio_guest_post(&g, 2, 4);
    fake_netdev_give(g.nd, 2, pkt); /* nobody but the kernel would read it */
    g_assert_cmpuint(fake_netdev_unread(g.nd, 2), ==, 1);
    g.dev->ops->ring_enable(g.dev, 4, false);
    g.dev->ops->ring_enable(g.dev, 5, false);
    g_assert_false(fake_vhost_serves(vhost_fd(&g, 2)));
    g_assert_cmpuint(fake_netdev_active(g.nd), ==, 2);
    recv_packet(&g, 2, pkt);
    carry_by_kernel(&g, 1, 9);
    g.dev->ops->ring_enable(g.dev, 4, true);
    g.dev->ops->ring_enable(g.dev, 5, true);
    g_assert_cmpuint(fake_netdev_active(g.nd), ==, 3);
    g_assert_true(fake_vhost_serves(vhost_fd(&g, 2)));
    guest_down(&g);
}

/* In any order, with packets under way or not: bases are right for both sides. */
static void test_rings(void)
{
    VirtioGuest g;

    guest_up(&g, &one);
    for (unsigned i = 0; i < 70; i++) {
        unsigned first = i % 2;

        carry_by_kernel(&g, 0, i);
        virtio_guest_stop_ring(&g, first);
        g_assert_false(fake_vhost_serves(vhost_fd(&g, 0)));
        if (i % 3 == 0) {
            virtio_guest_stop_ring(&g, !first);
            virtio_guest_start_ring(&g, !first);
        }
        virtio_guest_start_ring(&g, first);
    }
    carry_by_kernel(&g, 0, 1);
    guest_down(&g);
}

static void test_reset(void)
{
    g_autoptr(GError) error = NULL;
    VirtioGuest g;

    guest_up(&g, &one);
    carry_by_kernel(&g, 0, 1);
    virtio_guest_stop_ring(&g, 0);
    virtio_guest_stop_ring(&g, 1);
    g.dev->ops->reset(g.dev);
    g_assert_true(g.dev->ops->set_features(g.dev, g.features, &error));
    virtio_guest_start_ring(&g, 1);
    virtio_guest_start_ring(&g, 0);
    carry_by_kernel(&g, 0, 2);
    guest_down(&g);
}

/* The descriptor is of another file: vhost has the former. */
static void test_reopened(void)
{
    VirtioGuest g;

    guest_up(&g, &one);
    g.nd->reopened(g.nd->changed_opaque);
    g_assert_cmpuint(fake_vhost_of(vhost_fd(&g, 0))->starts, ==, 2);
    carry_by_kernel(&g, 0, 2);
    guest_down(&g);
}

static void test_set_call(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    VirtioGuest g;

    guest_up(&g, &one);
    g.dev->ops->ring_set_call(g.dev, 1, fd);
    g_assert_cmpint(fake_vhost_of(vhost_fd(&g, 0))->ring[1].call_fd, ==, fd);
    virtio_net_pause(g.vn, true);
    g.dev->ops->ring_set_call(g.dev, 1, -1); /* and its thread's */
    virtio_net_pause(g.vn, false);
    g_assert_cmpint(fake_vhost_of(vhost_fd(&g, 0))->ring[1].call_fd, ==, -1);
    guest_down(&g);
    close(fd);
}

/* --- what goes wrong --- */

/* Each request fails once: then the pair is its thread's, and nothing is left behind. */
static void test_requests_fail(void)
{
    g_autofree char *log = test_log_open();
    unsigned before = count_fds(), n, k = 0;

    do {
        g_autoptr(GError) error G_GNUC_UNUSED = NULL;
        VirtioGuest g;

        virtio_guest_up(&g, &one);
        fake_vhost_fail_nth(++k);
        virtio_guest_enable(&g, true);
        n = fake_vhost_fail_nth(0);
        if (k <= n && !fake_vhost_serves(vhost_fd(&g, 0))) {
            for (unsigned i = 0; i < 3; i++) {
                carry_by_thread(&g, 0, i);
            }
            virtio_guest_stop_ring(&g, 1); /* a ring that starts is a new try */
            virtio_guest_start_ring(&g, 1);
        }
        carry_by_kernel(&g, 0, 1);
        guest_down(&g);
        g_assert_cmpuint(count_fds(), ==, before);
    } while (k <= n);
    g_assert_cmpuint(k, >, 15);
    g_assert_cmpuint(test_log_count(log, "unable to start vhost net: "), >, 10);
    g_assert_cmpuint(test_log_count(log, ": falling back on userspace virtio"), >, 10);
    test_log_close(log);
}

/* A kernel that does not give back: what the driver was given back is what was taken. */
static void test_stop_fails(void)
{
    unsigned k = 0, n;

    do {
        VirtioGuest g;

        guest_up(&g, &one);
        carry_by_kernel(&g, 0, 3);
        fake_vhost_fail_nth(k < 2 ? 0 : 7 + k); /* behind those that let go */
        netdev_set_link(g.nd, false);
        n = fake_vhost_fail_nth(0);
        netdev_set_link(g.nd, true);
        carry_by_kernel(&g, 0, 4);
        guest_down(&g);
    } while (++k < n - 7);
}

/* The kernel can't go on, and its thread can: it judges what is in the rings. */
static void test_breaks(void)
{
    g_autofree char *log = test_log_open();
    VirtioGuest g;

    guest_up(&g, &one);
    carry_by_kernel(&g, 0, 1);
    fake_vhost_break(vhost_fd(&g, 0), 1);
    while (fake_vhost_serves(vhost_fd(&g, 0))) {
        g_main_context_iteration(NULL, TRUE);
    }
    carry_by_thread(&g, 0, 2);
    netdev_set_link(g.nd, false);
    netdev_set_link(g.nd, true);
    carry_by_thread(&g, 0, 3); /* not again by itself */
    g_assert_cmpuint(test_log_count(log, "queue 0: vhost net failed: falling back on userspace "
                                    "virtio"), ==, 1);
    virtio_guest_stop_ring(&g, 0);
    virtio_guest_start_ring(&g, 0);
    carry_by_kernel(&g, 0, 4);
    guest_down(&g);
    test_log_close(log);
}

/* --- the dirty log --- */

static void restart_with_log(VirtioGuest *g, int fd, uint64_t size)
{
    g_autoptr(GError) error = NULL;

    virtio_guest_stop_ring(g, 0);
    virtio_guest_stop_ring(g, 1);
    guest_mem_set_log(g->mem, fd, size, 0, &error);
    g_assert_no_error(error);
    virtio_guest_start_ring(g, 0);
    virtio_guest_start_ring(g, 1);
}

static void test_log(void)
{
    g_autofree char *log = test_log_open();
    int fd = memfd_create("log", MFD_CLOEXEC);
    uint64_t last, need;
    VirtioGuest g;

    guest_up(&g, &one);
    last = g.mem->region[g.mem->n - 1].gpa + g.mem->region[g.mem->n - 1].size - 1;
    need = last / GUEST_MEM_LOG_PAGE / 8 + 1;
    g_assert_cmpint(ftruncate(fd, (off_t)need), ==, 0);
    restart_with_log(&g, fd, need);
    g_assert_cmphex(fake_vhost_of(vhost_fd(&g, 0))->features & BIT(VHOST_F_LOG_ALL), !=, 0);
    g_assert_cmphex(fake_vhost_of(vhost_fd(&g, 0))->log, ==, (uintptr_t)g.mem->log);
    g_assert_true(fake_vhost_of(vhost_fd(&g, 0))->ring[0].setup.log);
    carry_by_kernel(&g, 0, 1);
    if (need > 1) {
        /* the kernel would mark pages behind its end, in memory of ours */
        restart_with_log(&g, fd, need - 1);
        carry_by_thread(&g, 0, 2);
        g_assert_cmpuint(test_log_count(log, "the dirty log is too short"), ==, 1);
    }
    restart_with_log(&g, -1, 0);
    g_assert_cmphex(fake_vhost_of(vhost_fd(&g, 0))->features & BIT(VHOST_F_LOG_ALL), ==, 0);
    carry_by_kernel(&g, 0, 3);
    guest_down(&g);
    close(fd);
    test_log_close(log);
}

/* --- descriptors --- */

static void test_init(void)
{
    g_autoptr(GError) error = NULL;
    int fd = fake_vhost_open(KERNEL), other = eventfd(0, EFD_CLOEXEC);

    g_assert_true(vhost_kernel_init(fd, 0, &error));
    g_assert_true(vhost_kernel_init(fd, 50, &error)); /* it is ours */
    g_assert_cmpuint(fake_vhost_of(fd)->poll_us, ==, 50);
    g_assert_cmphex(vhost_kernel_ops.features(&(VhostPair){ .vhost_fd = fd }), ==, KERNEL);
    for (unsigned i = 1; i <= 3; i++) {
        fake_vhost_fail_nth(i);
        g_assert_false(vhost_kernel_init(fd, 50, &error));
        g_assert_nonnull(error);
        g_clear_error(&error);
    }
    fake_vhost_fail_nth(0);
    g_assert_false(vhost_kernel_init(other, 0, &error));
    g_assert_cmpstr(error->message, ==, "VHOST_SET_OWNER: Inappropriate ioctl for device");
    fake_vhost_forget();
    close(fd);
    close(other);
}

#define ADD(name, fn) g_test_add_func("/hw/net/virtio-net-vhost/" name, fn)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("init", test_init);
    ADD("serves", test_serves);
    ADD("features", test_features);
    ADD("memory", test_memory);
    ADD("packed", test_packed);
    ADD("short-header", test_short_header);
    ADD("inflight", test_inflight);
    ADD("no-vnet-hdr", test_no_vnet_hdr);
    ADD("link", test_link);
    ADD("link-without-carrier", test_link_without_carrier);
    ADD("pause", test_pause);
    ADD("disable", test_disable);
    ADD("rings", test_rings);
    ADD("reset", test_reset);
    ADD("reopened", test_reopened);
    ADD("set-call", test_set_call);
    ADD("requests-fail", test_requests_fail);
    ADD("stop-fails", test_stop_fails);
    ADD("breaks", test_breaks);
    ADD("log", test_log);
    return g_test_run();
}
