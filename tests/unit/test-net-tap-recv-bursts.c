/*
 * Packets out of a tap in bursts, and what is done about reads that fail.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/tap.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frames.h"
#include "guest-buffers.h"
#include "netns.h"
#include "open-tap.h"
#include "tap-internal.h"
#include "util/container-of.h"

#define BATCH 64

/* --- what goes through a ring --- */

static struct {
    unsigned asked;  /* reads */
    uint64_t holes;  /* of the next submission, bit by bit, reads that find nothing yet */
    int empty_fd;    /* they are made there */
    int answer;      /* to all of them, in the place of the kernel's; 0: none */
    uint64_t lost;   /* of the next ones, bit by bit, those whose packet cannot be handed over */
    bool ends;       /* the next submission does nothing, as one to a ring that does not work */
    unsigned reads;  /* one by one */
    int error;       /* of each of those; 0: none */
} kernel;

/* In the place of libc's, by which the tap is read. */
long syscall(long number, ...)
{
    long (*real)(long number, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long arg[6];
    long r;
    va_list ap;

    va_start(ap, number);
    for (unsigned i = 0; i < G_N_ELEMENTS(arg); i++) {
        arg[i] = va_arg(ap, long);
    }
    va_end(ap);
    if ((number == SYS_read || number == SYS_readv) && kernel.error) {
        kernel.reads++;
        errno = kernel.error;
        return -1;
    }
    r = real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (number == SYS_read || number == SYS_readv) {
        bool lost = kernel.lost & 1;

        kernel.reads++;
        kernel.lost >>= 1;
        if (r > 0 && lost) {
            errno = EINVAL;
            return -1;
        }
    }
    return r;
}

/* In the place of liburing's. */
int io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
    int (*submit)(struct io_uring *ring, unsigned wait_nr) =
        (int (*)(struct io_uring *, unsigned))dlsym(RTLD_NEXT, "io_uring_submit_and_wait");
    struct io_uring_cqe *cqe;
    unsigned head;
    int n;

    for (unsigned i = 0; i < io_uring_sq_ready(ring); i++) {
        struct io_uring_sqe *sqe = &ring->sq.sqes[(ring->sq.sqe_head + i) & ring->sq.ring_mask];

        g_assert_cmpint(sqe->opcode, ==, IORING_OP_READ);
        g_assert_cmpint(sqe->rw_flags, ==, RWF_NOWAIT);
        sqe->fd = kernel.holes >> i & 1 ? kernel.empty_fd : sqe->fd;
        kernel.asked++;
    }
    kernel.holes = 0;
    if (kernel.ends) {
        return -EBADR;
    }
    n = submit(ring, wait_nr);
    io_uring_for_each_cqe(ring, head, cqe) {
        cqe->res = kernel.answer ? kernel.answer : cqe->res;
        cqe->res = kernel.lost >> cqe->user_data & 1 ? -EINVAL : cqe->res;
    }
    kernel.lost >>= MIN((unsigned)MAX(n, 0), 63);
    return n;
}

/* --- bursts --- */

#define USUAL 1514

typedef struct BurstTest {
    Netdev *nd;
    NetdevQueue *q;
    TapQueue *tq;
    GuestBuffers *g;
    int fd;
    int pipe[2]; /* that stays empty */
    unsigned sent;
    unsigned seen;
    uint8_t frame[FRAME_MAX];
} BurstTest;

static BurstTest *burst_test_new(void)
{
    const FrameSpec s = { .ip_version = 4, .udp = true, .payload = 100 };
    BurstTest *t = g_new0(BurstTest, 1);

    memset(&kernel, 0, sizeof(kernel));
    if (!netns_enter()) {
        g_free(t);
        return NULL;
    }
    t->nd = open_tap("tt0", 1, ON_OFF_AUTO_AUTO);
    g_assert_true(netns_sh("ip link set tt0 mtu 9000"));
    t->fd = netns_packet_socket("tt0", false);
    t->q = t->nd->queue[0];
    t->tq = container_of(t->q, TapQueue, q);
    netdev_set_bursts(t->q, true);
    g_assert_cmpint(pipe2(t->pipe, O_CLOEXEC | O_NONBLOCK), ==, 0);
    kernel.empty_fd = t->pipe[0];
    frame_build(t->frame, &s);
    t->g = guest_buffers_new();
    t->g->b.headroom = 12;
    t->g->b.usual_len = USUAL;
    return t;
}

static void burst_test_free(BurstTest *t)
{
    netdev_free(t->nd);
    guest_buffers_free(t->g);
    close(t->pipe[0]);
    close(t->pipe[1]);
    close(t->fd);
    g_free(t);
}

/* Each has its number in it, and by that its length. */
static uint8_t *numbered(BurstTest *t, unsigned number, size_t *ret_len)
{
    *ret_len = 60 + number % 40;
    t->frame[14] = (uint8_t)number;
    t->frame[15] = (uint8_t)(number >> 8);
    return t->frame;
}

static void send_frames(BurstTest *t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        size_t len;
        const uint8_t *frame = numbered(t, t->sent++, &len);

        g_assert_cmpint(send(t->fd, frame, len, 0), ==, (ssize_t)len);
    }
}

/* Reads up to a batch: @n come, each into the next buffer, the next ones in order. */
static void read_frames(BurstTest *t, unsigned n)
{
    unsigned first = t->g->b.next;

    g_assert_cmpuint(netdev_recv_into(t->q, &t->g->b, t->g->pkt, BATCH), ==, n);
    for (unsigned i = 0; i < n; i++) {
        size_t len;
        const uint8_t *frame = numbered(t, t->seen++, &len);
        const uint8_t *at = t->g->buf[first + i].iov[0].iov_base;
        const Pkt *pkt = &t->g->pkt[i];

        g_assert_cmpuint(pkt->len, ==, len);
        g_assert_cmpuint(pkt->hdr->num_buffers, ==, 1);
        g_assert_true(pkt->iov == t->g->buf[first + i].iov);
        g_assert_cmpmem(at, 10, pkt->hdr, 10);
        g_assert_cmpmem(at + 12, len, frame, len);
    }
    g_assert_cmpuint(t->g->b.next, ==, first + n);
}

static bool has_ring(const BurstTest *t)
{
    bool has = open_tap_has_io_uring();

    g_assert_true(!has || tap_ring_is_up(t->tq->ring));
    return has;
}

/* Only behind as many packets as could be read; the last reads find none, and say so. */
static void test_bursts(void)
{
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, 300, 1600);
    send_frames(t, BATCH - 1);
    read_frames(t, BATCH - 1);
    g_assert_false(t->g->b.more);
    read_frames(t, 0);
    g_assert_cmpuint(kernel.asked, ==, 0);
    send_frames(t, 2 * BATCH + 10);
    read_frames(t, BATCH);
    g_assert_cmpuint(kernel.asked, ==, 0);
    read_frames(t, BATCH);
    if (has_ring(t)) {
        g_assert_cmpuint(kernel.asked, ==, BATCH);
        read_frames(t, 10);
        g_assert_cmpuint(kernel.asked, ==, BATCH + 32);
        g_assert_false(t->g->b.more || t->g->b.starved);
        read_frames(t, 0);
        send_frames(t, 1);
        read_frames(t, 1);
        g_assert_cmpuint(kernel.asked, ==, BATCH + 32);
        guest_buffers_check_guards(t->g);
    }
    burst_test_free(t);
}

static gpointer read_a_batch(gpointer opaque)
{
    read_frames(opaque, BATCH);
    return NULL;
}

/* A queue whose iothread is another one now, in the middle of much: the ring is made anew. */
static void test_bursts_in_another_thread(void)
{
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, 400, 1600);
    send_frames(t, 5 * BATCH + 3);
    read_frames(t, BATCH);
    g_thread_join(g_thread_new("other", read_a_batch, t));
    if (has_ring(t)) {
        read_frames(t, BATCH);
        g_thread_join(g_thread_new("other", read_a_batch, t));
        read_frames(t, BATCH);
        read_frames(t, 3);
        g_assert_false(t->g->b.more);
        g_assert_true(tap_ring_is_up(t->tq->ring));
        guest_buffers_check_guards(t->g);
    }
    burst_test_free(t);
}

/* What it is edge-triggered for: where no more is said, an event comes with the next packet. */
static void test_event_behind_a_burst(void)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
    BurstTest *t = burst_test_new();
    int ep;

    if (!t) {
        return;
    }
    ep = epoll_create1(EPOLL_CLOEXEC);
    g_assert_cmpint(epoll_ctl(ep, EPOLL_CTL_ADD, t->q->fd, &ev), ==, 0);
    guest_buffers_add_n(t->g, 200, 1600);
    send_frames(t, BATCH + 10);
    read_frames(t, BATCH);
    g_assert_cmpint(epoll_wait(ep, &ev, 1, 0), ==, 1);
    read_frames(t, 10);
    g_assert_false(t->g->b.more);
    g_assert_cmpint(epoll_wait(ep, &ev, 1, 0), ==, 0);
    send_frames(t, 1);
    g_assert_cmpint(epoll_wait(ep, &ev, 1, 1000), ==, 1);
    read_frames(t, 1);
    close(ep);
    burst_test_free(t);
}

/* Packets that come between two reads move forward, and none before them is taken for the end. */
static void test_holes(void)
{
    static const uint64_t holes[] = { 1, 0xff, 0x80000000, 0x55555555, 0x7fffffff, 0xffffffff };

    for (unsigned i = 0; i < G_N_ELEMENTS(holes); i++) {
        BurstTest *t = burst_test_new();

        if (!t) {
            return;
        }
        guest_buffers_add_n(t->g, 200, 1600);
        send_frames(t, 2 * BATCH);
        read_frames(t, BATCH);
        kernel.holes = holes[i];
        if (holes[i] >> 31) {
            unsigned there = (unsigned)__builtin_popcount(~(uint32_t)holes[i]);

            read_frames(t, there); /* the last read found none, so the caller waits for an event */
            g_assert_false(t->g->b.more);
            read_frames(t, BATCH - there);
        } else {
            read_frames(t, BATCH);
        }
        if (has_ring(t)) {
            g_assert_cmpuint(kernel.asked, ==, 32);
            guest_buffers_check_guards(t->g);
        }
        burst_test_free(t);
    }
}

/* A guest may give the same memory twice: what is in it then is its own affair. */
static void test_hole_before_overlapping_buffers(void)
{
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, 200, 1600);
    for (unsigned i = BATCH + 1; i < BATCH + 32; i++) {
        t->g->buf[i].iov[0].iov_base = (uint8_t *)t->g->buf[BATCH].iov[0].iov_base + 1;
    }
    send_frames(t, BATCH + 31);
    read_frames(t, BATCH);
    kernel.holes = 1;
    g_assert_cmpuint(netdev_recv_into(t->q, &t->g->b, t->g->pkt, BATCH), ==, 31);
    burst_test_free(t);
}

/* A longer frame than is known of is lost, once; those behind it in the same burst are not. */
static void test_unusual_length_in_a_burst(void)
{
    g_autofree uint8_t *frame = g_malloc0(FRAME_MAX);
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, 300, 1600);
    send_frames(t, BATCH + 10);
    g_assert_cmpint(send(t->fd, frame, 3000, 0), ==, 3000);
    send_frames(t, 32 - 11);
    read_frames(t, BATCH);
    g_assert_cmpuint(t->g->b.too_long, ==, 0);
    read_frames(t, 32 - 1);
    g_assert_cmpuint(t->g->b.too_long, ==, 1);
    g_assert_cmpuint(t->g->b.usual_len, ==, 0);
    burst_test_free(t);
}

/* Fewer than are worth a burst, and then none: no packet is read that has no buffer. */
static void test_bursts_end_with_the_buffers(void)
{
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, BATCH + 32 + 5, 1600);
    send_frames(t, 2 * BATCH);
    read_frames(t, BATCH);
    read_frames(t, 32 + 5);
    g_assert_true(t->g->b.starved && !t->g->b.more);
    if (has_ring(t)) {
        g_assert_cmpuint(kernel.asked, ==, 32);
    }
    guest_buffers_add_n(t->g, 40, 1600);
    read_frames(t, BATCH - 32 - 5);
    burst_test_free(t);
}

/* A driver whose files cannot be read from in this way, as macvtap's. */
static void test_no_reads_without_waiting(void)
{
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, 300, 1600);
    send_frames(t, 4 * BATCH);
    read_frames(t, BATCH);
    kernel.answer = -EOPNOTSUPP;
    kernel.holes = UINT32_MAX;
    read_frames(t, BATCH);
    read_frames(t, BATCH);
    read_frames(t, BATCH);
    if (has_ring(t)) {
        g_assert_cmpuint(kernel.asked, ==, 32);
    }
    burst_test_free(t);
}

/* --- packets that the kernel cannot hand over --- */

/* As many as were sent and not lost, in their order, however many calls that takes. */
static void read_all_but(BurstTest *t, uint64_t lost, unsigned n)
{
    unsigned more = n - (unsigned)__builtin_popcountll(lost);
    unsigned seen = t->g->b.next;

    kernel.lost = lost;
    while (more > 0) {
        unsigned got = netdev_recv_into(t->q, &t->g->b, t->g->pkt, BATCH);

        g_assert_true(got > 0 || t->g->b.more); /* else nobody would look again */
        more -= got;
    }
    for (unsigned i = 0; i < n; i++) {
        size_t len;
        const uint8_t *frame = numbered(t, t->seen++, &len);

        if (!(lost >> i & 1)) {
            const uint8_t *at = t->g->buf[seen++].iov[0].iov_base;

            g_assert_cmpmem(at + 12, len, frame, len);
        }
    }
    g_assert_cmpuint(netdev_recv_into(t->q, &t->g->b, t->g->pkt, BATCH), ==, 0);
    g_assert_false(t->g->b.more);
}

static const uint64_t losses[] = { 1, 0x80000000, 0xfff, 0xfffffffffffff, 0x5555555555555555,
                                   0x7fffffffffffffff };

static void test_lost_one_by_one(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(losses); i++) {
        BurstTest *t = burst_test_new();

        if (!t) {
            return;
        }
        netdev_set_bursts(t->q, false);
        guest_buffers_add_n(t->g, 100, 1600);
        send_frames(t, BATCH);
        read_all_but(t, losses[i], BATCH);
        burst_test_free(t);
    }
}

static void test_lost_in_a_burst(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(losses); i++) {
        BurstTest *t = burst_test_new();

        if (!t) {
            return;
        }
        guest_buffers_add_n(t->g, 200, 1600);
        send_frames(t, 2 * BATCH);
        read_frames(t, BATCH);
        read_all_but(t, losses[i], BATCH);
        burst_test_free(t);
    }
}

/* Not of buffers, but of an arena: fewer than could be read says that there are none left. */
static void test_lost_into_an_arena(void)
{
    BurstTest *t = burst_test_new();
    struct iovec iov[BATCH];
    PktArena arena;

    if (!t) {
        return;
    }
    g_assert_cmpint(pkt_arena_init(&arena, BATCH * PKT_ARENA_MIN), ==, 0);
    send_frames(t, 20);
    kernel.lost = 0x7;
    g_assert_cmpuint(netdev_recv(t->q, &arena, t->g->pkt, iov, BATCH), ==, 17);
    pkt_arena_done(&arena);
    burst_test_free(t);
}

/* What fails always is not tried for ever: of a detached queue once. */
static void test_reads_that_all_fail(void)
{
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, 300, 1600);
    send_frames(t, BATCH);
    read_frames(t, BATCH);
    kernel.reads = 0;
    kernel.error = EBADFD;
    kernel.answer = -EBADFD;
    read_frames(t, 0);
    g_assert_false(t->g->b.more);
    g_assert_cmpuint(kernel.reads, ==, 1);
    kernel.error = EIO;
    read_frames(t, 0);
    g_assert_false(t->g->b.more);
    g_assert_cmpuint(kernel.reads, <=, 1 + 4 * BATCH);
    g_assert_cmpuint(kernel.asked, <=, 32);
    burst_test_free(t);
}

/* The kernel takes no more of a ring: what it was asked for is read one by one. */
static void test_ring_given_up(void)
{
    BurstTest *t = burst_test_new();

    if (!t) {
        return;
    }
    guest_buffers_add_n(t->g, 300, 1600);
    send_frames(t, 3 * BATCH + 5);
    read_frames(t, BATCH);
    kernel.ends = true;
    read_frames(t, BATCH);
    read_frames(t, BATCH);
    read_frames(t, 5);
    g_assert_cmpuint(kernel.asked, <=, 32);
    burst_test_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/net/tap-recv-bursts/" name, fn)
    TEST("bursts", test_bursts);
    TEST("bursts-in-another-thread", test_bursts_in_another_thread);
    TEST("event-behind-a-burst", test_event_behind_a_burst);
    TEST("holes", test_holes);
    TEST("hole-before-overlapping-buffers", test_hole_before_overlapping_buffers);
    TEST("unusual-length-in-a-burst", test_unusual_length_in_a_burst);
    TEST("bursts-end-with-the-buffers", test_bursts_end_with_the_buffers);
    TEST("no-reads-without-waiting", test_no_reads_without_waiting);
    TEST("lost-one-by-one", test_lost_one_by_one);
    TEST("lost-in-a-burst", test_lost_in_a_burst);
    TEST("lost-into-an-arena", test_lost_into_an_arena);
    TEST("reads-that-all-fail", test_reads_that_all_fail);
    TEST("ring-given-up", test_ring_given_up);
    return g_test_run();
}
