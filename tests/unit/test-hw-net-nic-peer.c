/*
 * The netdev's end of a queue: when its events are wanted. The time of day is the test's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nic-peer.h"
#include "util/clock.h"
#include "util/container-of.h"

#define QUICK_NS   10000u
#define SLOW_NS    50000u
#define SECOND_NS  1000000000ull
#define HOUR_NS    (3600 * SECOND_NS)
#define MAX_ROUNDS 1000000u

typedef struct Fixture {
    Netdev nd;
    NetdevQueue q;
    int far;          /* end of its descriptor */
    DeviceQueue dq;
    NicPeer peer;
    uint64_t now;     /* an hour ahead: no timer fires by itself */
    unsigned n;       /* packets of the next sleep */
    NicPeer seen;     /* the peer as its thread had it */
} Fixture;

static const NetdevOps netdev_ops = { .type = "event", .tells_writable = true };

static QueueVerdict queue_poll(DeviceQueue *dq)
{
    return QUEUE_IDLE;
}

static bool queue_arm(DeviceQueue *dq)
{
    return false;
}

static int queue_attach(DeviceQueue *dq)
{
    return nic_peer_attach(&container_of(dq, Fixture, dq)->peer);
}

static void queue_detach(DeviceQueue *dq)
{
    nic_peer_detach(&container_of(dq, Fixture, dq)->peer);
}

static const DeviceQueueOps queue_ops = {
    .poll = queue_poll, .arm = queue_arm, .attach = queue_attach, .detach = queue_detach,
};

static void fixture_up(Fixture *f)
{
    int fd[2];

    *f = (Fixture){ .nd.ops = &netdev_ops, .now = io_clock_ns() + HOUR_NS };
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), ==, 0);
    f->q = (NetdevQueue){ .nd = &f->nd, .fd = fd[0] };
    f->far = fd[1];
    device_queue_init(&f->dq, &queue_ops, 0, NULL);
    nic_peer_init(&f->peer, &f->q, &f->dq);
    g_assert_true(device_queue_start(&f->dq, NULL, "peer", NULL));
}

static void fixture_down(Fixture *f)
{
    device_queue_stop(&f->dq);
    close(f->q.fd);
    close(f->far);
}

static void do_look(void *opaque)
{
    Fixture *f = opaque;

    f->seen = f->peer;
}

static void do_sleep(void *opaque)
{
    Fixture *f = opaque;

    f->peer.ready = false;
    nic_peer_sleep(&f->peer, f->n, f->now);
    do_look(f);
}

static void do_wait(void *opaque)
{
    nic_peer_wait(&((Fixture *)opaque)->peer);
}

static void call(Fixture *f, void (*fn)(void *opaque))
{
    io_thread_call(f->dq.thread, fn, f);
}

/* @times, each @ns after the one before, and @n packets in between. True: it rests. */
static bool sleeps(Fixture *f, unsigned times, unsigned n, uint64_t ns)
{
    f->n = n;
    for (unsigned i = 0; i < times; i++) {
        f->now += ns;
        call(f, do_sleep);
    }
    return f->seen.resting;
}

/* So many sleeps are not enough, one more is. */
static void check_rests_after(Fixture *f, unsigned n)
{
    g_assert_false(sleeps(f, n - 1, 1, QUICK_NS));
    g_assert_true(sleeps(f, 1, 1, QUICK_NS));
}

/* The first sleeps tell only when the next ones began. */
static void make_rest(Fixture *f)
{
    g_assert_false(sleeps(f, NIC_PEER_SLEEPS, 1, QUICK_NS));
    check_rests_after(f, NIC_PEER_SLEEPS);
}

static void packet_comes(Fixture *f)
{
    g_assert_cmpint(write(f->far, "", 1), ==, 1);
}

static bool is_ready(Fixture *f)
{
    call(f, do_look);
    call(f, do_look); /* what was ready at the first call was told before the second */
    return f->seen.ready;
}

static void wait_ready(Fixture *f)
{
    for (unsigned i = 0; !is_ready(f); i++) {
        g_assert_cmpuint(i, <, MAX_ROUNDS);
    }
}

static void test_rests_where_packets_wake_it(void)
{
    Fixture f;

    fixture_up(&f);
    make_rest(&f);
    fixture_down(&f);
}

static void test_does_not_where_there_is_time(void)
{
    Fixture f;

    fixture_up(&f);
    g_assert_false(sleeps(&f, 2 * NIC_PEER_SLEEPS, 1, SLOW_NS));
    fixture_down(&f);
}

/* Nor where it was woken up by others. */
static void test_does_not_without_packets(void)
{
    Fixture f;

    fixture_up(&f);
    g_assert_false(sleeps(&f, 2 * NIC_PEER_SLEEPS, 0, QUICK_NS));
    fixture_down(&f);
}

static void test_no_event_while_it_rests(void)
{
    Fixture f;

    fixture_up(&f);
    packet_comes(&f);
    wait_ready(&f);
    make_rest(&f);
    packet_comes(&f);
    g_assert_false(is_ready(&f));
    sleeps(&f, 1, 0, NIC_PEER_REST_NS); /* nothing was found */
    g_assert_false(f.seen.resting);
    wait_ready(&f); /* the one that came while it did */
    fixture_down(&f);
}

static void test_timer_ends_it(void)
{
    Fixture f;

    fixture_up(&f);
    f.now = SECOND_NS; /* over long ago */
    make_rest(&f);
    wait_ready(&f);
    g_assert_true(f.seen.resting); /* what is found decides */
    fixture_down(&f);
}

/* Something else woke the queue up. */
static void test_goes_on_before_its_time(void)
{
    Fixture f;

    fixture_up(&f);
    make_rest(&f);
    g_assert_true(sleeps(&f, 10, 0, NIC_PEER_REST_NS / 20));
    fixture_down(&f);
}

static void test_goes_on_while_it_pays(void)
{
    Fixture f;

    fixture_up(&f);
    make_rest(&f);
    g_assert_true(sleeps(&f, 10, NIC_PEER_REST_PACKETS, NIC_PEER_REST_NS));
    g_assert_false(sleeps(&f, 1, NIC_PEER_REST_PACKETS - 1, NIC_PEER_REST_NS));
    fixture_down(&f);
}

/* For longer while many packets come, and back when few do. */
static void test_rests_longer_for_many(void)
{
    Fixture f;

    fixture_up(&f);
    make_rest(&f);
    g_assert_cmpuint(f.seen.rest_ns, ==, NIC_PEER_REST_NS);
    g_assert_true(sleeps(&f, 3, NIC_PEER_REST_MANY - 1, NIC_PEER_REST_NS));
    g_assert_cmpuint(f.seen.rest_ns, ==, NIC_PEER_REST_NS);
    g_assert_true(sleeps(&f, 1, NIC_PEER_REST_MANY, NIC_PEER_REST_NS));
    g_assert_cmpuint(f.seen.rest_ns, ==, NIC_PEER_REST_NS * 5 / 4);
    g_assert_true(sleeps(&f, 1, 0, NIC_PEER_REST_NS)); /* it is not over yet */
    g_assert_true(sleeps(&f, 10, 1000, NIC_PEER_REST_MAX_NS));
    g_assert_cmpuint(f.seen.rest_ns, ==, NIC_PEER_REST_MAX_NS);
    g_assert_true(sleeps(&f, 3, NIC_PEER_REST_FEW, NIC_PEER_REST_MAX_NS));
    g_assert_cmpuint(f.seen.rest_ns, ==, NIC_PEER_REST_MAX_NS);
    g_assert_true(sleeps(&f, 10, NIC_PEER_REST_FEW - 1, NIC_PEER_REST_MAX_NS));
    g_assert_cmpuint(f.seen.rest_ns, ==, NIC_PEER_REST_NS);
    fixture_down(&f);
}

/* It is tried the less often the more often it did not pay, and as before when it did. */
static void test_patience(void)
{
    unsigned patience = NIC_PEER_SLEEPS;
    Fixture f;

    fixture_up(&f);
    make_rest(&f);
    for (unsigned i = 0; i < 10; i++) {
        patience = MIN(2 * patience, NIC_PEER_SLEEPS_MAX);
        g_assert_false(sleeps(&f, 1, 1, NIC_PEER_REST_NS));
        check_rests_after(&f, patience);
    }
    g_assert_true(sleeps(&f, 1, NIC_PEER_REST_PACKETS, NIC_PEER_REST_NS));
    g_assert_false(sleeps(&f, 1, 1, NIC_PEER_REST_NS));
    check_rests_after(&f, 2 * NIC_PEER_SLEEPS);
    fixture_down(&f);
}

/* It is full, and its packets are taken at the end: it tells of room, and no more. */
static void check_room_is_told(Fixture *f, unsigned first)
{
    static char bytes[4096];
    ssize_t r;

    while (write(f->q.fd, bytes, sizeof(bytes)) > 0) {
        continue;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (i == first) {
            call(f, do_wait);
        } else {
            make_rest(f);
        }
    }
    packet_comes(f);
    g_assert_false(is_ready(f));
    g_assert_true(f->seen.blocked);
    do {
        r = read(f->far, bytes, sizeof(bytes));
    } while (r > 0);
    for (unsigned i = 0; call(f, do_look), f->seen.blocked; i++) {
        g_assert_cmpuint(i, <, MAX_ROUNDS);
    }
    g_assert_false(is_ready(f));
}

static void test_room_is_told_while_it_rests(void)
{
    for (unsigned first = 0; first < 2; first++) {
        Fixture f;

        fixture_up(&f);
        check_room_is_told(&f, first);
        fixture_down(&f);
    }
}

static void test_another_descriptor_is_awake(void)
{
    Fixture f;

    fixture_up(&f);
    make_rest(&f);
    nic_peer_reopened(&f.peer);
    call(&f, do_look);
    g_assert_true(f.seen.ready && !f.seen.resting);
    g_assert_false(sleeps(&f, 1, 1, QUICK_NS));
    packet_comes(&f);
    wait_ready(&f);
    fixture_down(&f);
}

/* Last: there is no way back. Such a timer would wait for the test to move the clock. */
static void test_not_by_a_virtual_clock(void)
{
    Fixture f;

    clock_start_virtual();
    fixture_up(&f);
    g_assert_false(sleeps(&f, 2 * NIC_PEER_SLEEPS, 1, QUICK_NS));
    fixture_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/net/nic-peer/" name, fn)
    TEST("rests-where-packets-wake-it", test_rests_where_packets_wake_it);
    TEST("does-not-where-there-is-time", test_does_not_where_there_is_time);
    TEST("does-not-without-packets", test_does_not_without_packets);
    TEST("no-event-while-it-rests", test_no_event_while_it_rests);
    TEST("timer-ends-it", test_timer_ends_it);
    TEST("goes-on-before-its-time", test_goes_on_before_its_time);
    TEST("goes-on-while-it-pays", test_goes_on_while_it_pays);
    TEST("rests-longer-for-many", test_rests_longer_for_many);
    TEST("patience", test_patience);
    TEST("room-is-told-while-it-rests", test_room_is_told_while_it_rests);
    TEST("another-descriptor-is-awake", test_another_descriptor_is_awake);
    TEST("not-by-a-virtual-clock", test_not_by_a_virtual_clock);
    return g_test_run();
}
