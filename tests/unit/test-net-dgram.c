/*
 * Frames over datagram sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dgram-queue.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns.h"
#include "socket-rig.h"
#include "util/fd.h"

static void send_one(SocketRig *r, unsigned seed, uint32_t len, uint32_t pieces)
{
    g_autoptr(RigPkt) mine = rig_pkt_new(seed, len, pieces);

    g_assert_cmpuint(netdev_send(r->q, &mine->pkt, 1), ==, 1);
}

static void assert_got(const SocketRig *r, unsigned i, unsigned seed, uint32_t len)
{
    g_assert_cmpuint(r->pkt[i].len, ==, len);
    g_assert_true(rig_frame_is(r->pkt[i].iov[0].iov_base, seed, len));
    g_assert_cmpuint(r->pkt[i].hdr->flags, ==, 0);
}

/* Both ways between @a and @b, which are open: more than a batch, in pieces, and read in parts. */
static void assert_talk(SocketRig *a, SocketRig *b)
{
    unsigned n = 0;

    g_assert_true(a->nd->link_up);
    for (unsigned i = 0; i < 5; i++) {
        send_one(b, 100 + i, 14 + i, 1 + i % 2);
    }
    g_assert_cmpuint(rig_recv(a, RIG_BATCH), ==, 5);
    assert_got(a, 4, 104, 18);
    for (unsigned i = 0; i < 9; i++) {
        send_one(a, i, 1000 + i, 1 + 3 * i);
    }
    for (unsigned got; (got = rig_recv(b, 4)) > 0; n += got) {
        for (unsigned i = 0; i < got; i++) {
            assert_got(b, i, n + i, 1000 + n + i);
        }
    }
    g_assert_cmpuint(n, ==, 9);
    g_assert_cmpuint(a->q->refused, ==, 0);
}

static void talk(const char *a_text, const char *b_text)
{
    SocketRig a = { 0 };
    SocketRig b = { 0 };

    rig_open(&a, a_text);
    rig_open(&b, b_text);
    assert_talk(&a, &b);
    rig_close(&a);
    rig_close(&b);
}

static void talk_fds(const char *fmt)
{
    g_autofree char *a = NULL;
    g_autofree char *b = NULL;
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), ==, 0);
    a = g_strdup_printf("%s%d", fmt, fd[0]);
    b = g_strdup_printf("%s%d", fmt, fd[1]);
    talk(a, b);
}

static void test_fd(void)
{
    talk_fds("dgram,local.type=fd,local.str=");
    talk_fds("socket,fd=");
}

static void test_unix(void)
{
    g_autofree char *dir = g_dir_make_tmp("dgram.XXXXXX", NULL);
    g_autofree char *a = g_strdup_printf("dgram,local.type=unix,local.path=%s/a,remote.type=unix,"
                                         "remote.path=%s/b", dir, dir);
    g_autofree char *b = g_strdup_printf("dgram,local.type=unix,local.path=%s/b,remote.type=unix,"
                                         "remote.path=%s/a", dir, dir);

    talk(a, b);
    talk(a, b);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

/* A file that is in the way stays. */
static void test_file_in_the_way(void)
{
    g_autofree char *dir = g_dir_make_tmp("dgram.XXXXXX", NULL);
    g_autofree char *path = g_strdup_printf("%s/a", dir);
    const NetSocketEnv env = { 0 };
    UnixSocketAddress un = { .path = path };
    SocketAddress a = { SOCKET_ADDRESS_UNIX, &un };
    const DgramConfig config = { .id = (char *)"n0", .local = &a, .remote = &a };
    g_autofree char *why = g_strdup_printf("can't bind unix=%s to socket: Address already in use",
                                           path);
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    g_assert_null(dgram_new(&config, &env, &error));
    g_assert_cmpstr(error->message, ==, why);
    g_assert_cmpint(g_remove(path), ==, 0);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

static void test_udp(void)
{
    if (!netns_enter()) {
        return;
    }
    g_assert_true(netns_sh("ip link set lo up multicast on"));
    g_assert_true(netns_sh("ip route add 224.0.0.0/4 dev lo"));
    talk("dgram,local.type=inet,local.host=127.0.0.1,local.port=7001,remote.type=inet,"
         "remote.host=127.0.0.1,remote.port=7002",
         "dgram,local.type=inet,local.host=127.0.0.1,local.port=7002,remote.type=inet,"
         "remote.host=127.0.0.1,remote.port=7001");
    talk("socket,udp=127.0.0.1:7002,localaddr=127.0.0.1:7001",
         "socket,udp=127.0.0.1:7001,localaddr=127.0.0.1:7002");
}

/* All hear all, and themselves: as QEMU's. */
static void test_mcast(void)
{
    static const char *const texts[] = {
        "dgram,remote.type=inet,remote.host=230.0.0.1,remote.port=7003",
        "socket,mcast=230.0.0.1:7003", "socket,mcast=230.0.0.1:7003,localaddr=127.0.0.1",
    };
    SocketRig r[3] = { 0 };

    if (!netns_enter()) {
        return;
    }
    g_assert_true(netns_sh("ip link set lo up multicast on"));
    g_assert_true(netns_sh("ip route add 224.0.0.0/4 dev lo"));
    for (unsigned i = 0; i < 3; i++) {
        rig_open(&r[i], texts[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        send_one(&r[i], i, 100, 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(rig_recv(&r[i], RIG_BATCH), ==, 3);
        assert_got(&r[i], 0, 0, 100);
        assert_got(&r[i], 2, 2, 100);
    }
    for (unsigned i = 0; i < 3; i++) {
        rig_close(&r[i]);
    }
}

static void test_odd_datagrams(void)
{
    g_autofree uint8_t *huge = g_malloc0(DGRAM_SLOT + 1);
    g_autofree char *text = NULL;
    SocketRig r = { 0 };
    int size = 1 << 20;
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), ==, 0);
    setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    text = g_strdup_printf("dgram,local.type=fd,local.str=%d", fd[0]);
    rig_open(&r, text);
    g_assert_cmpint(send(fd[1], "", 0, 0), ==, 0);
    g_assert_cmpint(send(fd[1], huge, 13, 0), ==, 13);
    g_assert_cmpint(send(fd[1], huge, PKT_MAX_LEN + 1, 0), ==, PKT_MAX_LEN + 1);
    g_assert_cmpint(send(fd[1], huge, DGRAM_SLOT + 1, 0), ==, DGRAM_SLOT + 1);
    g_assert_cmpint(send(fd[1], huge, 14, 0), ==, 14);
    g_assert_cmpuint(rig_recv(&r, RIG_BATCH), ==, 1);
    g_assert_cmpuint(r.pkt[0].len, ==, 14);
    r.nd->short_frames = true; /* a NIC of virtio gets what there is */
    g_assert_cmpint(send(fd[1], "", 0, 0), ==, 0);
    g_assert_cmpint(send(fd[1], huge, 1, 0), ==, 1);
    g_assert_cmpuint(rig_recv(&r, RIG_BATCH), ==, 1);
    g_assert_cmpuint(r.pkt[0].len, ==, 1);
    rig_close(&r);
    fd_close(&fd[1]);
}

/* Full, then not; and nobody there. */
static void test_reader_that_stops(void)
{
    g_autofree char *text = NULL;
    SocketRig r = { 0 };
    uint8_t some[100];
    unsigned n = 0;
    int fd[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), ==, 0);
    text = g_strdup_printf("dgram,local.type=fd,local.str=%d", fd[0]);
    rig_open(&r, text);
    while (true) {
        g_autoptr(RigPkt) mine = rig_pkt_new(n, 100, 1);

        if (netdev_send(r.q, &mine->pkt, 1) == 0) {
            break;
        }
        n++;
        g_assert_cmpuint(n, <, 100000);
    }
    g_assert_true(r.q->full);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(recv(fd[1], some, sizeof(some), MSG_DONTWAIT), ==, 100);
        g_assert_true(rig_frame_is(some, i, 100));
    }
    send_one(&r, 1, 100, 1);
    g_assert_cmpuint(r.q->refused, ==, 0);
    fd_close(&fd[1]);
    send_one(&r, 1, 100, 1);
    g_assert_cmpuint(r.q->refused, ==, 1);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/dgram/fd", test_fd);
    g_test_add_func("/net/dgram/unix", test_unix);
    g_test_add_func("/net/dgram/file-in-the-way", test_file_in_the_way);
    g_test_add_func("/net/dgram/odd-datagrams", test_odd_datagrams);
    g_test_add_func("/net/dgram/reader-that-stops", test_reader_that_stops);
    g_test_add_func("/net/dgram/udp", test_udp);
    g_test_add_func("/net/dgram/mcast", test_mcast);
    return g_test_run();
}
