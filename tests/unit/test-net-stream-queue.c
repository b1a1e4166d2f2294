/*
 * Frames over a stream socket: whole, in parts, too long, and to one who does not read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream-queue.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket-rig.h"
#include "util/fd.h"

typedef struct Pair {
    SocketRig r;
    int other;
} Pair;

static void pair_open(Pair *p)
{
    int fd[2];

    memset(p, 0, sizeof(*p));
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
    p->other = fd[1];
    rig_open_fd(&p->r, fd[0]);
}

static void pair_close(Pair *p)
{
    rig_close(&p->r);
    fd_close(&p->other);
}

/* The length and the frame, as they are on the wire. */
static void put_frame(GByteArray *to, unsigned seed, uint32_t len, uint32_t said)
{
    uint32_t be = GUINT32_TO_BE(said);

    g_byte_array_append(to, (const uint8_t *)&be, sizeof(be));
    for (uint32_t i = 0; i < len; i++) {
        uint8_t b = rig_byte(seed, i);

        g_byte_array_append(to, &b, 1);
    }
}

static void give(Pair *p, const void *data, size_t len)
{
    g_assert_cmpint(write(p->other, data, len), ==, (ssize_t)len);
}

static void give_frame(Pair *p, unsigned seed, uint32_t len, uint32_t said)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    put_frame(bytes, seed, len, said);
    give(p, bytes->data, bytes->len);
}

static void assert_got(Pair *p, unsigned i, unsigned seed, uint32_t len)
{
    const Pkt *pkt = &p->r.pkt[i];

    g_assert_cmpuint(pkt->len, ==, len);
    g_assert_cmpuint(pkt->n_iov, ==, 1);
    g_assert_cmpuint(pkt->iov[0].iov_len, ==, len);
    g_assert_true(rig_frame_is(pkt->iov[0].iov_base, seed, len));
    g_assert_cmpuint(pkt->hdr->flags, ==, 0);
    g_assert_cmpuint(pkt->hdr->gso_type, ==, VIRTIO_NET_HDR_GSO_NONE);
}

/* @n bytes that the netdev sent, appended. */
static void take(Pair *p, GByteArray *to, size_t n)
{
    guint before = to->len;

    g_byte_array_set_size(to, before + (guint)n);
    g_assert_cmpint(recv(p->other, to->data + before, n, MSG_WAITALL), ==, (ssize_t)n);
}

static void test_frames_to_nic(void)
{
    Pair p;

    pair_open(&p);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 0);
    give_frame(&p, 1, 60, 60);
    give_frame(&p, 2, 1514, 1514);
    give_frame(&p, 3, PKT_MAX_LEN, PKT_MAX_LEN);
    g_assert_cmpuint(rig_recv(&p.r, 2), ==, 2);
    assert_got(&p, 0, 1, 60);
    assert_got(&p, 1, 2, 1514);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 1);
    assert_got(&p, 0, 3, PKT_MAX_LEN);
    pair_close(&p);
}

/* Two frames, and the bytes come in two parts: cut at each place. */
static void test_cut_anywhere(void)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Pair p;

    pair_open(&p);
    put_frame(bytes, 1, 60, 60);
    put_frame(bytes, 2, 20, 20);
    for (guint cut = 1; cut < bytes->len; cut++) {
        unsigned first = cut >= 64 ? 1 : 0;

        give(&p, bytes->data, cut);
        g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, first);
        if (first) {
            assert_got(&p, 0, 1, 60);
        }
        give(&p, bytes->data + cut, bytes->len - cut);
        g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 2 - first);
        assert_got(&p, 1 - first, 2, 20);
    }
    pair_close(&p);
}

static void test_byte_by_byte(void)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Pair p;

    pair_open(&p);
    put_frame(bytes, 5, 300, 300);
    for (guint i = 0; i < bytes->len; i++) {
        give(&p, bytes->data + i, 1);
        g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, i + 1 == bytes->len ? 1 : 0);
    }
    assert_got(&p, 0, 5, 300);
    pair_close(&p);
}

/* More than the buffer has, at odd places of it; each is asked for by itself. */
static void test_many_frames(void)
{
    Pair p;

    pair_open(&p);
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t len = 14 + i * 37 % 9000;

        give_frame(&p, i, len, len);
        if (i % 3 == 2) {
            for (unsigned k = i - 2; k <= i; k++) {
                g_assert_cmpuint(rig_recv(&p.r, 1), ==, 1);
                assert_got(&p, 0, k, 14 + k * 37 % 9000);
            }
        }
    }
    pair_close(&p);
}

static void test_odd_lengths_are_dropped(void)
{
    Pair p;

    pair_open(&p);
    give_frame(&p, 1, 0, 0);
    give_frame(&p, 2, 13, 13);
    give_frame(&p, 3, 14, 14);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 1);
    assert_got(&p, 0, 3, 14);
    give_frame(&p, 4, PKT_MAX_LEN + 1, PKT_MAX_LEN + 1);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 0);
    give_frame(&p, 5, STREAM_FRAME_MAX, STREAM_FRAME_MAX);
    give_frame(&p, 6, 60, 60);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 1);
    assert_got(&p, 0, 6, 60);
    pair_close(&p);
}

/* A NIC of virtio gets what there is. */
static void test_short_frames(void)
{
    Pair p;

    pair_open(&p);
    p.r.nd->short_frames = true;
    give_frame(&p, 1, 0, 0);
    give_frame(&p, 2, 1, 1);
    give_frame(&p, 3, 13, 13);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 2);
    assert_got(&p, 0, 2, 1);
    assert_got(&p, 1, 3, 13);
    pair_close(&p);
}

static void assert_ends(uint32_t said)
{
    uint8_t byte;
    Pair p;

    pair_open(&p);
    give_frame(&p, 1, 60, 60);
    give_frame(&p, 2, 60, said);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 1);
    assert_got(&p, 0, 1, 60);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 0);
    rig_wait(&p.r, "-");
    g_assert_false(p.r.nd->link_up);
    g_assert_cmpint(recv(p.other, &byte, 1, 0), <=, 0); /* and the other end hears of it */
    pair_close(&p);
}

static void test_huge_lengths_end_it(void)
{
    assert_ends(STREAM_FRAME_MAX + 1);
    assert_ends(0x7fffffff);
    assert_ends(0x80000000);
    assert_ends(0xffffffff);
}

static void test_frames_from_nic(void)
{
    g_autoptr(GByteArray) expected = g_byte_array_new();
    g_autoptr(GByteArray) got = g_byte_array_new();
    Pkt pkt[3];
    RigPkt *mine[3];
    Pair p;

    pair_open(&p);
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t pieces[] = { 1, 7, 300 }; /* the last one is too many for a call */

        mine[i] = rig_pkt_new(i, 1000 + i, pieces[i]);
        pkt[i] = mine[i]->pkt;
        put_frame(expected, i, 1000 + i, 1000 + i);
    }
    g_assert_cmpuint(netdev_send(p.r.q, pkt, 3), ==, 3);
    take(&p, got, expected->len);
    g_assert_cmpmem(got->data, got->len, expected->data, expected->len);
    g_assert_cmpuint(p.r.q->refused, ==, 0);
    for (unsigned i = 0; i < 3; i++) {
        rig_pkt_free(mine[i]);
    }
    pair_close(&p);
}

static void test_too_long_is_refused(void)
{
    g_autoptr(RigPkt) mine = rig_pkt_new(1, PKT_MAX_LEN + 1, 1);
    Pair p;

    pair_open(&p);
    g_assert_cmpuint(netdev_send(p.r.q, &mine->pkt, 1), ==, 1);
    g_assert_cmpuint(p.r.q->refused, ==, 1);
    pair_close(&p);
}

/* Sends from @n on until the socket is full. Returns the next number. */
static unsigned send_until_full(Pair *p, unsigned n, uint32_t len, uint32_t pieces)
{
    while (true) {
        g_autoptr(RigPkt) mine = rig_pkt_new(n, len, pieces);

        if (netdev_send(p->r.q, &mine->pkt, 1) == 0) {
            g_assert_true(p->r.q->full);
            return n;
        }
        n++;
        g_assert_cmpuint(n, <, 100000);
    }
}

/*
 * The other end reads in steps of @step bytes; each packet is sent again until it is gone, and all
 * frames arrive once and whole.
 */
static void slow_reader(uint32_t len, uint32_t pieces, size_t step)
{
    g_autoptr(GByteArray) expected = g_byte_array_new();
    g_autoptr(GByteArray) got = g_byte_array_new();
    int size = 20000;
    unsigned n = 0;
    Pair p;

    pair_open(&p);
    setsockopt(p.r.q->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    for (unsigned i = 0; i < 50; i++) {
        g_autoptr(RigPkt) mine = rig_pkt_new(i, len, pieces);

        put_frame(expected, i, len, len);
        while (netdev_send(p.r.q, &mine->pkt, 1) == 0) {
            g_assert_true(p.r.q->full);
            take(&p, got, MIN(step, expected->len - got->len));
            n++;
        }
    }
    g_assert_cmpuint(n, >, 0);
    take(&p, got, expected->len - got->len);
    g_assert_cmpmem(got->data, got->len, expected->data, expected->len);
    pair_close(&p);
}

static void test_slow_reader(void)
{
    slow_reader(1514, 1, 100);
    slow_reader(9000, 3, 777);
    slow_reader(60000, 20, 4096);
    slow_reader(60000, 400, 5000);
}

/* A packet that is half sent and then given up is sent all the same, before what comes next. */
static void test_stop_within_a_frame(void)
{
    g_autoptr(GByteArray) got = g_byte_array_new();
    g_autoptr(RigPkt) last = rig_pkt_new(77, 100, 1);
    int size = 20000;
    guint off = 0;
    unsigned n;
    Pair p;

    pair_open(&p);
    setsockopt(p.r.q->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    n = send_until_full(&p, 0, 50000, 2);
    netdev_send_stop(p.r.q);
    g_assert_false(p.r.q->full);
    do {
        uint8_t some[4096];
        ssize_t r = recv(p.other, some, sizeof(some), MSG_DONTWAIT);

        g_byte_array_append(got, some, r > 0 ? (guint)r : 0);
    } while (netdev_send(p.r.q, &last->pkt, 1) == 0);
    take(&p, got, (n + 1) * 50004u + 104 - got->len);
    for (unsigned i = 0; i <= n; i++, off += 50004) {
        g_assert_true(rig_frame_is(got->data + off + 4, i, 50000));
    }
    g_assert_true(rig_frame_is(got->data + off + 4, 77, 100));
    pair_close(&p);
}

static void test_other_end_is_gone(void)
{
    g_autoptr(RigPkt) mine = rig_pkt_new(1, 100, 1);
    Pair p;

    pair_open(&p);
    fd_close(&p.other);
    g_assert_cmpuint(netdev_send(p.r.q, &mine->pkt, 1), ==, 1); /* EPIPE, and no signal */
    g_assert_cmpuint(p.r.q->refused, ==, 1);
    rig_wait(&p.r, "-");
    g_assert_cmpuint(netdev_send(p.r.q, &mine->pkt, 1), ==, 1);
    g_assert_cmpuint(p.r.q->refused, ==, 2);
    g_assert_cmpuint(rig_recv(&p.r, 1), ==, 0);
    pair_close(&p);
}

static void test_gone_within_a_frame(void)
{
    Pair p;

    pair_open(&p);
    give_frame(&p, 1, 100, 100);
    give_frame(&p, 2, 50, 100);
    fd_close(&p.other);
    g_assert_cmpuint(rig_recv(&p.r, RIG_BATCH), ==, 1);
    rig_wait(&p.r, "-");
    pair_close(&p);
}

static void test_rubbish_is_bounded(void)
{
    g_autofree uint8_t *zeros = g_malloc0(65536);
    unsigned n = 0;
    Pair p;

    pair_open(&p);
    give(&p, zeros, 65536); /* 16384 frames of nothing */
    give_frame(&p, 3, 60, 60);
    while (rig_recv(&p.r, RIG_BATCH) == 0) {
        g_assert_cmpuint(++n, <, 10);
    }
    assert_got(&p, 0, 3, 60);
    pair_close(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/stream-queue/frames-to-nic", test_frames_to_nic);
    g_test_add_func("/net/stream-queue/cut-anywhere", test_cut_anywhere);
    g_test_add_func("/net/stream-queue/byte-by-byte", test_byte_by_byte);
    g_test_add_func("/net/stream-queue/many-frames", test_many_frames);
    g_test_add_func("/net/stream-queue/odd-lengths", test_odd_lengths_are_dropped);
    g_test_add_func("/net/stream-queue/short-frames", test_short_frames);
    g_test_add_func("/net/stream-queue/huge-lengths", test_huge_lengths_end_it);
    g_test_add_func("/net/stream-queue/frames-from-nic", test_frames_from_nic);
    g_test_add_func("/net/stream-queue/too-long", test_too_long_is_refused);
    g_test_add_func("/net/stream-queue/slow-reader", test_slow_reader);
    g_test_add_func("/net/stream-queue/stop-within-a-frame", test_stop_within_a_frame);
    g_test_add_func("/net/stream-queue/other-end-is-gone", test_other_end_is_gone);
    g_test_add_func("/net/stream-queue/gone-within-a-frame", test_gone_within_a_frame);
    g_test_add_func("/net/stream-queue/rubbish", test_rubbish_is_bounded);
    return g_test_run();
}
