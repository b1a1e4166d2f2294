/*
 * Packets out of a tap, into a guest's buffers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/tap.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "guest-buffers.h"
#include "netns.h"
#include "open-tap.h"

#define BATCH 64

static void tap_of_mtu_9000(Netdev **nd, int *fd, OnOffAuto vnet_hdr)
{
    *nd = open_tap("tt0", 1, vnet_hdr);
    g_assert_true(netns_sh("ip link set tt0 mtu 9000"));
    *fd = netns_packet_socket("tt0", false);
}

/* Packet number @i of the last call, which asked for nothing, is in the buffers from @first on. */
static unsigned check_in_buffers(const GuestBuffers *g, unsigned i, unsigned first,
                                 const uint8_t *frame, size_t len)
{
    struct virtio_net_hdr_v1 plain = { .num_buffers = g->pkt[i].hdr->num_buffers };

    g_assert_cmpmem(g->pkt[i].hdr, sizeof(plain), &plain, sizeof(plain));
    return guest_buffers_check(g, &g->pkt[i], first, frame, (uint32_t)len);
}

/* With a vnet header and without one; of what length the buffers are makes no difference. */
static void test_recv_into_buffers(void)
{
    static const size_t lens[] = { 60, 988, 989, 3000, 3456, 1000, 14 };
    g_autofree uint8_t *frame = g_malloc0(10000);
    FrameSpec s = { .ip_version = 4, .payload = 4000 };
    OnOffAuto vnet_hdr;

    frame_build(frame, &s);
    for (vnet_hdr = ON_OFF_AUTO_AUTO; vnet_hdr <= ON_OFF_AUTO_OFF; vnet_hdr++) {
        GuestBuffers *g = guest_buffers_new();
        g_autoptr(Netdev) nd = NULL;
        unsigned first = 0;
        unsigned i;
        int fd;

        if (!netns_enter()) {
            guest_buffers_free(g);
            return;
        }
        tap_of_mtu_9000(&nd, &fd, vnet_hdr);
        for (i = 0; i < G_N_ELEMENTS(lens); i++) {
            g_assert_cmpint(send(fd, frame, lens[i], 0), ==, (ssize_t)lens[i]);
        }
        g_assert_true(netns_wait(nd->queue[0]->fd));
        guest_buffers_add_n(g, 30, 1000);
        g->b.headroom = 12;
        memset(g->hdr, 0xaa, sizeof(g->hdr));
        g_assert_cmpuint(netdev_recv_into(nd->queue[0], &g->b, g->pkt, BATCH), ==, i);
        g_assert_false(g->b.starved || g->b.more);
        for (i = 0; i < G_N_ELEMENTS(lens); i++) {
            first += check_in_buffers(g, i, first, frame, lens[i]);
        }
        g_assert_cmpuint(g->b.next, ==, first);
        guest_buffers_free(g);
        close(fd);
    }
}

/* None comes shortened, or before its time, or is read for nothing. */
static void test_recv_into_few_buffers(void)
{
    g_autofree uint8_t *frame = g_malloc0(10000);
    GuestBuffers *g = guest_buffers_new();
    g_autoptr(Netdev) nd = NULL;
    unsigned i;
    int fd;

    if (!netns_enter()) {
        guest_buffers_free(g);
        return;
    }
    tap_of_mtu_9000(&nd, &fd, ON_OFF_AUTO_AUTO);
    for (i = 0; i < 4; i++) {
        g_assert_cmpint(send(fd, frame, i == 0 ? 3001 : 2500, 0), >, 0);
    }
    g_assert_true(netns_wait(nd->queue[0]->fd));
    guest_buffers_add_n(g, 5, 1000);
    g->b.max_len = 3000;
    g_assert_cmpuint(netdev_recv_into(nd->queue[0], &g->b, g->pkt, BATCH), ==, 1);
    g_assert_cmpuint(g->b.too_long, ==, 1);
    g_assert_true(g->b.starved);
    check_in_buffers(g, 0, 0, frame, 2500);
    guest_buffers_add_n(g, 1, 1000);
    g_assert_cmpuint(netdev_recv_into(nd->queue[0], &g->b, g->pkt, BATCH), ==, 1);
    g_assert_true(g->b.starved);
    check_in_buffers(g, 0, 3, frame, 2500);
    guest_buffers_add_n(g, 3, 1000);
    g_assert_cmpuint(netdev_recv_into(nd->queue[0], &g->b, g->pkt, BATCH), ==, 1);
    check_in_buffers(g, 0, 6, frame, 2500);
    guest_buffers_free(g);
    close(fd);
}

/* Where lengths are known: header and frame are in the buffer's beginning, from one plain read. */
static void test_recv_into_by_plain_reads(void)
{
    static const size_t lens[] = { 60, 1514, 14, 2500, 2500 };
    g_autofree uint8_t *frame = g_malloc0(10000);
    GuestBuffers *g = guest_buffers_new();
    FrameSpec s = { .ip_version = 4, .payload = 4000 };
    g_autoptr(Netdev) nd = NULL;
    unsigned i;
    int fd;

    if (!netns_enter()) {
        guest_buffers_free(g);
        return;
    }
    frame_build(frame, &s);
    tap_of_mtu_9000(&nd, &fd, ON_OFF_AUTO_AUTO);
    for (i = 0; i < G_N_ELEMENTS(lens); i++) {
        g_assert_cmpint(send(fd, frame, lens[i], 0), ==, (ssize_t)lens[i]);
    }
    g_assert_true(netns_wait(nd->queue[0]->fd));
    guest_buffers_add_n(g, 8, 1600);
    g->b.headroom = 12;
    g->b.usual_len = 1514;
    memset(g->hdr, 0xaa, sizeof(g->hdr));
    g_assert_cmpuint(netdev_recv_into(nd->queue[0], &g->b, g->pkt, BATCH), ==, 4);
    for (i = 0; i < 3; i++) {
        struct virtio_net_hdr_v1 hdr = { .num_buffers = 0 };
        uint8_t *at = g->buf[i].iov[0].iov_base;

        g_assert_cmpmem(at, 10, &hdr, 10); /* the kernel leaves num_buffers to us */
        g_assert_cmpmem(at + 12, lens[i], frame, lens[i]);
        hdr.num_buffers = 1;
        g_assert_cmpmem(g->pkt[i].hdr, sizeof(hdr), &hdr, sizeof(hdr));
        g_assert_cmpuint(g->pkt[i].len, ==, lens[i]);
    }
    g_assert_cmpuint(g->b.too_long, ==, 1); /* an MTU that nobody knew of */
    memset(g->buf[3].iov[0].iov_base, 0xa5, 12);
    check_in_buffers(g, 3, 3, frame, 2500);
    guest_buffers_free(g);
    close(fd);
}

/* A packet that nobody saw when the link was on is not there when it is on again. */
static void test_recv_into_with_the_link_off(void)
{
    g_autofree uint8_t *frame = g_malloc0(10000);
    GuestBuffers *g = guest_buffers_new();
    g_autoptr(Netdev) nd = NULL;
    int fd;

    if (!netns_enter()) {
        guest_buffers_free(g);
        return;
    }
    tap_of_mtu_9000(&nd, &fd, ON_OFF_AUTO_AUTO);
    g_assert_cmpint(send(fd, frame, 2500, 0), ==, 2500);
    g_assert_cmpint(send(fd, frame, 2500, 0), ==, 2500);
    g_assert_true(netns_wait(nd->queue[0]->fd));
    guest_buffers_add_n(g, 8, 1000);
    netdev_set_link(nd, false);
    g_assert_cmpuint(netdev_recv_into(nd->queue[0], &g->b, g->pkt, BATCH), ==, 0);
    netdev_set_link(nd, true);
    g_assert_cmpuint(netdev_recv_into(nd->queue[0], &g->b, g->pkt, BATCH), ==, 0);
    g_assert_false(g->b.starved || g->b.more);
    guest_buffers_free(g);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/net/tap-recv/" name, fn)
    TEST("into-buffers", test_recv_into_buffers);
    TEST("into-few-buffers", test_recv_into_few_buffers);
    TEST("by-plain-reads", test_recv_into_by_plain_reads);
    TEST("with-the-link-off", test_recv_into_with_the_link_off);
    return g_test_run();
}
