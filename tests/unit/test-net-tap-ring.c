/*
 * Bursts of packets to a tap: through a ring, or without one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/tap.h"

#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "netns.h"
#include "open-tap.h"
#include "tap-internal.h"
#include "util/container-of.h"

/* --- a kernel that takes fewer requests than it is given, as when memory is short --- */

/* Of the submissions to come. Nobody else's: one thread sends, and it is the test's. */
static struct {
    bool on;
    int takes;          /* so many of each; negative: none, and this is what it says */
    unsigned submitted; /* calls */
    bool no_buffers;    /* it registers none */
    unsigned asked[IORING_OP_LAST]; /* requests, by kinds */
} kernel;

/* In the place of liburing's. */
int io_uring_register_buffers(struct io_uring *ring, const struct iovec *iovecs, unsigned nr_iovecs)
{
    int (*reg)(struct io_uring *ring, const struct iovec *iovecs, unsigned nr_iovecs) =
        (int (*)(struct io_uring *, const struct iovec *, unsigned))dlsym(
            RTLD_NEXT, "io_uring_register_buffers");

    return kernel.no_buffers ? -EOPNOTSUPP : reg(ring, iovecs, nr_iovecs);
}

/* In the place of liburing's. A submission that is short does not wait. */
int io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
    int (*submit)(struct io_uring *ring, unsigned wait_nr) =
        (int (*)(struct io_uring *, unsigned))dlsym(RTLD_NEXT, "io_uring_submit_and_wait");
    unsigned left;
    int n;

    kernel.submitted++;
    for (unsigned i = 0; i < io_uring_sq_ready(ring); i++) {
        kernel.asked[ring->sq.sqes[(ring->sq.sqe_head + i) & ring->sq.ring_mask].opcode]++;
    }
    if (!kernel.on) {
        return submit(ring, wait_nr);
    }
    if (kernel.takes < 0) {
        return kernel.takes;
    }
    g_assert_cmpuint(io_uring_sq_ready(ring), >, kernel.takes);
    left = io_uring_sq_ready(ring) - (unsigned)kernel.takes;
    ring->sq.sqe_tail -= left;
    n = submit(ring, 0);
    ring->sq.sqe_tail += left; /* there they are still */
    return n;
}

static ssize_t get_frame(int fd, uint8_t *buf, size_t size)
{
    return netns_wait(fd) ? recv(fd, buf, size, 0) : -1;
}

#define MANY_PIECES (PKT_MAX_IOV + 1)

/* Packets in one buffer, as a NIC has them; every twentieth in two pieces. */
typedef struct Burst {
    PktArena arena;
    NetdevQueue *q;
    Pkt pkt[100];
    struct iovec iov[100][1 + MANY_PIECES];
    struct virtio_net_hdr_v1 far_hdr[100];
    unsigned n;
    unsigned sent;
} Burst;

/* All of it, as its pieces follow each other. */
static uint8_t *pkt_data(const Pkt *pkt)
{
    return pkt->iov[0].iov_base;
}

static void burst_init(Burst *b, NetdevQueue *q, unsigned n, bool pieces)
{
    unsigned i;

    g_assert_cmpint(pkt_arena_init(&b->arena, 100 * 4096 + PKT_ARENA_MIN), ==, 0);
    b->q = q;
    b->n = n;
    for (i = 0; i < n; i++) {
        FrameSpec s = { .ip_version = 4, .payload = i + 10, .id = (uint16_t)i };
        uint8_t *data = pkt_arena_next(&b->arena);
        uint32_t len = (uint32_t)frame_build(data, &s);
        uint32_t head = pieces && i % 20 == 19 ? 40 : len;

        b->iov[i][0] = (struct iovec){ data, head };
        b->iov[i][1] = (struct iovec){ data + head, len - head };
        b->pkt[i] = (Pkt){ .hdr = (void *)(data - PKT_HDR_LEN), .iov = b->iov[i],
                           .n_iov = head < len ? 2 : 1, .len = len };
        memset(b->pkt[i].hdr, 0, PKT_HDR_LEN);
        pkt_arena_take(&b->arena, len);
    }
    netdev_set_send_buffer(q, b->arena.base, b->arena.size);
}

/* Packet number @i in @n pieces of the same memory, the header in front of them or elsewhere. */
static void burst_split(Burst *b, unsigned i, unsigned n, bool far)
{
    uint8_t *data = pkt_data(&b->pkt[i]);
    uint32_t part = b->pkt[i].len / n;

    for (unsigned k = 0; k < n; k++) {
        b->iov[i][1 + k] = (struct iovec){ data + k * part,
                                           k < n - 1 ? part : b->pkt[i].len - k * part };
    }
    b->pkt[i].iov = &b->iov[i][1];
    b->pkt[i].n_iov = n;
    if (far) {
        b->far_hdr[i] = *b->pkt[i].hdr;
        memset(b->pkt[i].hdr, 0xff, PKT_HDR_LEN);
        b->pkt[i].hdr = &b->far_hdr[i];
    }
}

static void burst_done(Burst *b)
{
    netdev_set_send_buffer(b->q, NULL, 0);
    pkt_arena_done(&b->arena);
}

static gpointer burst_send(gpointer opaque)
{
    Burst *b = opaque;

    b->sent = netdev_send(b->q, b->pkt, b->n);
    return NULL;
}

/* All of them came, in order; except number @missing. */
static void burst_check(const Burst *b, int fd, unsigned missing)
{
    uint8_t buf[2048];
    unsigned i;

    g_assert_cmpuint(b->sent, ==, b->n);
    for (i = 0; i < b->n; i++) {
        if (i != missing) {
            g_assert_cmpint(get_frame(fd, buf, sizeof(buf)), ==, b->pkt[i].len);
            g_assert_cmpmem(buf, b->pkt[i].len, pkt_data(&b->pkt[i]), b->pkt[i].len);
        }
    }
    g_assert_cmpint(recv(fd, buf, sizeof(buf), 0), ==, -1);
}

/* Bursts that were sent through a ring would have been sent in any case. */
static bool has_ring(const NetdevQueue *q)
{
    bool has = open_tap_has_io_uring();

    g_assert_true(!has || tap_ring_is_up(container_of(q, const TapQueue, q)->ring));
    return has;
}

/* A tap, who looks at what comes out of it, and a burst for it. */
typedef struct RingTest {
    Netdev *nd;
    NetdevQueue *q;
    int fd;
    Burst b;
} RingTest;

/* NULL: there can be no tap here, and the test is skipped. */
static RingTest *ring_test_new(void)
{
    RingTest *t;

    if (!netns_enter()) {
        return NULL;
    }
    t = g_new0(RingTest, 1);
    t->nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    t->q = t->nd->queue[0];
    t->fd = netns_packet_socket("tt0", false);
    return t;
}

static void ring_test_free(RingTest *t)
{
    close(t->fd);
    netdev_free(t->nd);
    g_free(t);
}

/* Of 1 to 100 packets; the last ones through a ring. */
static void send_bursts(void)
{
    RingTest *t = ring_test_new();

    if (!t) {
        return;
    }
    for (unsigned n = 1; n <= 100; n += 11) {
        burst_init(&t->b, t->q, n, n % 2);
        burst_send(&t->b);
        burst_check(&t->b, t->fd, UINT_MAX);
        if (n > 80) {
            has_ring(t->q);
        }
        burst_done(&t->b);
    }
    g_assert_cmpuint(t->q->refused, ==, 0);
    ring_test_free(t);
}

static void test_bursts(void)
{
    send_bursts();
}

/* As with memory that is granted to ourselves, or with little RLIMIT_MEMLOCK. */
static void test_bursts_from_unregistered_memory(void)
{
    kernel.no_buffers = true;
    send_bursts();
    kernel.no_buffers = false;
}

static void test_burst_from_another_thread(void)
{
    RingTest *t = ring_test_new();
    unsigned round;

    if (!t) {
        return;
    }
    burst_init(&t->b, t->q, 64, false);
    for (round = 0; round < 3; round++) {
        g_thread_join(g_thread_new("sender", burst_send, &t->b));
        burst_check(&t->b, t->fd, UINT_MAX);
        burst_send(&t->b);
        burst_check(&t->b, t->fd, UINT_MAX);
    }
    has_ring(t->q);
    burst_done(&t->b);
    ring_test_free(t);
}

static void test_burst_with_a_refused_packet(void)
{
    RingTest *t = ring_test_new();

    if (!t) {
        return;
    }
    burst_init(&t->b, t->q, 64, false);
    t->b.pkt[20].hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    t->b.pkt[20].hdr->csum_start = 5000;
    burst_send(&t->b);
    burst_check(&t->b, t->fd, 20);
    g_assert_cmpuint(t->q->refused, ==, 1);
    has_ring(t->q);
    burst_done(&t->b);
    ring_test_free(t);
}

/* As under seccomp: the ring cannot be had. */
static void test_burst_without_ring(void)
{
    RingTest *t = ring_test_new();
    struct rlimit limit = { 0, 0 };
    struct rlimit old;

    if (!t) {
        return;
    }
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    limit.rlim_max = old.rlim_max;
    burst_init(&t->b, t->q, 64, false);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0); /* not one descriptor more */
    burst_send(&t->b);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    burst_check(&t->b, t->fd, UINT_MAX);
    g_assert_false(tap_ring_is_up(container_of(t->q, TapQueue, q)->ring));
    burst_done(&t->b);
    ring_test_free(t);
}

/* All forms in turn; packets of more pieces than there is room for divide the burst. */
static void burst_split_all(Burst *b, unsigned longest)
{
    static const unsigned n[] = { 1, 1, 2, PKT_MAX_IOV - 1, PKT_MAX_IOV, PKT_MAX_IOV };

    for (unsigned i = 0; i < b->n; i++) {
        unsigned k = i % G_N_ELEMENTS(n);

        burst_split(b, i, i == longest ? MANY_PIECES : n[k], k % 2 != 0);
    }
}

/* With a buffer that is registered, or without one; packets are in it, and elsewhere. */
static void test_bursts_from_any_memory(void)
{
    RingTest *t = ring_test_new();

    if (!t) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        netdev_set_bursts(t->q, true);
        burst_init(&t->b, t->q, 60, false);
        if (i & 1) {
            netdev_set_send_buffer(t->q, i & 2 ? t->b.arena.base : NULL, 30 * 4096);
        }
        burst_split_all(&t->b, UINT_MAX);
        memset(&kernel, 0, sizeof(kernel));
        burst_send(&t->b);
        burst_check(&t->b, t->fd, UINT_MAX);
        if (has_ring(t->q)) {
            g_assert_cmpuint(kernel.submitted, ==, 1);
            g_assert_cmpuint(kernel.asked[IORING_OP_WRITEV], ==, 50);
            g_assert_cmpuint(kernel.asked[IORING_OP_WRITE], ==, i == 1 ? 10 : i == 3 ? 5 : 0);
            g_assert_cmpuint(kernel.asked[IORING_OP_WRITE_FIXED], ==, i == 1 ? 0 : i == 3 ? 5 : 10);
        }
        netdev_set_bursts(t->q, false);
        burst_done(&t->b);
    }
    g_assert_cmpuint(t->q->refused, ==, 0);
    ring_test_free(t);
}

/* It comes between those before it and those behind it, and its pieces are as they were. */
static void test_burst_with_a_packet_of_many_pieces(void)
{
    RingTest *t = ring_test_new();

    if (!t) {
        return;
    }
    for (unsigned longest = 20; longest < 24; longest++) {
        struct iovec iov[1 + MANY_PIECES];

        netdev_set_bursts(t->q, true);
        burst_init(&t->b, t->q, 60, false);
        burst_split_all(&t->b, longest);
        memcpy(iov, t->b.iov[longest], sizeof(iov));
        burst_send(&t->b);
        g_assert_cmpmem(iov, sizeof(iov), t->b.iov[longest], sizeof(iov));
        burst_check(&t->b, t->fd, UINT_MAX);
        has_ring(t->q);
        netdev_set_bursts(t->q, false);
        burst_done(&t->b);
    }
    ring_test_free(t);
}

/* Nobody said that bursts come from anywhere, or not any more. */
static void test_no_ring_for_packets_elsewhere(void)
{
    RingTest *t = ring_test_new();

    if (!t) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        netdev_set_bursts(t->q, i == 1);
        netdev_set_bursts(t->q, false);
        burst_init(&t->b, t->q, 60, false);
        burst_split_all(&t->b, UINT_MAX);
        memset(&kernel, 0, sizeof(kernel));
        burst_send(&t->b);
        burst_check(&t->b, t->fd, UINT_MAX);
        g_assert_cmpuint(kernel.submitted, ==, 0);
        burst_done(&t->b);
    }
    g_assert_null(container_of(t->q, TapQueue, q)->ring);
    ring_test_free(t);
}

/* A write that fails for that in the middle of a burst could not be told from a bad packet. */
static void test_no_ring_with_a_limit_on_bytes(void)
{
    TapConfig config = { .id = (char *)"n0", .ifname = (char *)"tt0", .script = (char *)"no",
                         .downscript = (char *)"no", .sndbuf = 1 << 20, .has_sndbuf = true };
    g_autoptr(Netdev) nd = NULL;

    if (!netns_enter()) {
        return;
    }
    nd = tap_new(&config, NULL, NULL, NULL);
    g_assert_nonnull(nd);
    netdev_set_bursts(nd->queue[0], true);
    g_assert_null(container_of(nd->queue[0], TapQueue, q)->ring);
    netdev_set_send_buffer(nd->queue[0], &config, sizeof(config));
    g_assert_null(container_of(nd->queue[0], TapQueue, q)->ring);
}

/* A burst is ready, and a ring. False: there is none, and the test is skipped. */
static bool burst_with_ring(RingTest *t)
{
    burst_init(&t->b, t->q, 64, false);
    burst_send(&t->b);
    burst_check(&t->b, t->fd, UINT_MAX);
    if (!has_ring(t->q)) {
        burst_done(&t->b);
        return false;
    }
    return true;
}

static void burst_send_short(Burst *b, int takes)
{
    kernel = (typeof(kernel)){ .on = true, .takes = takes };
    burst_send(b);
    kernel.on = false;
    g_assert_cmpuint(kernel.submitted, ==, 1);
}

/*
 * What was not submitted is written after what was; neither is sent twice, then or with the next
 * burst.
 */
static void test_short_submission(void)
{
    static const int takes[] = { 1, 20, 63, -EAGAIN, -ENOMEM, -EBUSY };
    RingTest *t = ring_test_new();

    if (!t) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(takes) && burst_with_ring(t); i++) {
        burst_send_short(&t->b, takes[i]);
        burst_check(&t->b, t->fd, UINT_MAX);
        burst_send(&t->b);
        burst_check(&t->b, t->fd, UINT_MAX);
        burst_done(&t->b);
    }
    g_assert_cmpuint(t->q->refused, ==, 0);
    ring_test_free(t);
}

/* It is counted once, on either side of where the kernel stopped. */
static void test_short_submission_with_a_refused_packet(void)
{
    static const unsigned bad[] = { 0, 19, 20, 63 };
    RingTest *t = ring_test_new();

    if (!t) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad) && burst_with_ring(t); i++) {
        t->b.pkt[bad[i]].hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        t->b.pkt[bad[i]].hdr->csum_start = 5000;
        burst_send_short(&t->b, 20);
        burst_check(&t->b, t->fd, bad[i]);
        g_assert_cmpuint(t->q->refused, ==, i + 1);
        burst_done(&t->b);
    }
    ring_test_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/net/tap-ring/" name, fn)
    TEST("bursts", test_bursts);
    TEST("burst-from-another-thread", test_burst_from_another_thread);
    TEST("burst-with-a-refused-packet", test_burst_with_a_refused_packet);
    TEST("bursts-from-unregistered-memory", test_bursts_from_unregistered_memory);
    TEST("burst-without-ring", test_burst_without_ring);
    TEST("bursts-from-any-memory", test_bursts_from_any_memory);
    TEST("burst-with-a-packet-of-many-pieces", test_burst_with_a_packet_of_many_pieces);
    TEST("no-ring-for-packets-elsewhere", test_no_ring_for_packets_elsewhere);
    TEST("no-ring-with-a-limit-on-bytes", test_no_ring_with_a_limit_on_bytes);
    TEST("short-submission", test_short_submission);
    TEST("short-submission-with-a-refused-packet", test_short_submission_with_a_refused_packet);
    return g_test_run();
}
