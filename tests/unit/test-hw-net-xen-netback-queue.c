/*
 * A vif's queues on the real clock, with a frontend that has rings and ports and does
 * nothing by itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "fake-netdev.h"
#include "hw/xen/netif.h"
#include "hw/xen/ring.h"
#include "util/clock.h"
#include "vif-raw.h"
#include "xen-netback-internal.h"

#define SPURIOUS_MS   150

/* An event that brought nothing costs 1 ms before the next, after so many for free. */
#define FREE_EVENTS 16

static void connect_raw(Raw *r, unsigned n_queues, bool split, IoThread *thread)
{
    raw_up(r, fake_netdev_new(n_queues, true), fake_netdev_new(n_queues, true), split, thread);
}

static uint64_t raw_events(Raw *r)
{
    NetbackInfo info;
    uint64_t n = 0;

    netback_info(r->v.nb, &info);
    for (unsigned i = 0; i < r->n_queues; i++) {
        n += counter_read(&info.stats[i].tx.events_received) +
             counter_read(&info.stats[i].rx.events_received);
    }
    return n;
}

/*
 * Notifies as fast as events are taken, each port in turn, never with work behind it. However
 * slow the machine is: so many events at most are taken in the time that it took.
 */
static void send_spurious(Raw *r, const uint32_t *ports, unsigned n_ports)
{
    uint64_t start = clock_monotonic_ns();
    uint64_t before = raw_events(r);
    uint64_t end, ms, events;

    do {
        for (unsigned i = 0; i < n_ports; i++) {
            uint64_t n = raw_events(r);
            uint64_t until = clock_monotonic_ns() + 200000;

            r->ops->evtchn_notify(r->evtchn, ports[i]);
            while (raw_events(r) == n && clock_monotonic_ns() < until) {
                g_usleep(5);
            }
            g_usleep(20); /* it goes to sleep over it */
        }
        end = clock_monotonic_ns();
        events = raw_events(r) - before;
    } while (end - start < SPURIOUS_MS * 1000000ull || events <= FREE_EVENTS);
    ms = (end - start) / 1000000 + 1;
    g_test_message("%" G_GUINT64_FORMAT " events in %" G_GUINT64_FORMAT " ms", events, ms);
    g_assert_cmpuint(events, <=, n_ports * (FREE_EVENTS + 2 + ms));
}

static void test_spurious_on_one_port(void)
{
    Raw r;

    connect_raw(&r, 1, false, NULL);
    send_spurious(&r, r.tx_port, 1);
    raw_down(&r);
}

/* The event of a port that is not masked does not end the silence of the other one. */
static void test_spurious_on_both_ports(void)
{
    Raw r;

    connect_raw(&r, 1, true, NULL);
    send_spurious(&r, (uint32_t[]){ r.tx_port[0], r.rx_port[0] }, 2);
    raw_down(&r);
}

static void test_spurious_on_two_queues_of_a_thread(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IoThread) thread = io_thread_new("both", &error);
    Raw r;

    g_assert_no_error(error);
    connect_raw(&r, 2, false, thread);
    send_spurious(&r, r.tx_port, 2);
    raw_down(&r);
}

/* Sends a packet of 60 bytes, which @deliver lets through. */
static void send_one(Raw *r, void (*deliver)(Raw *r, XenRing *tx))
{
    g_autofree FakePkt *pkt = NULL;
    XenRing tx;
    uint32_t ref;
    uint8_t *page = r->ops->share_alloc(r->share, 0, 1, true, &ref);

    xen_ring_init_front(&tx, r->rings[0], 1, sizeof(netif_tx_request_t));
    xen_ring_put_request(&tx, &(netif_tx_request_t){ .gref = ref, .size = 60 });
    g_assert_true(xen_ring_push_requests(&tx));
    r->ops->evtchn_notify(r->evtchn, r->tx_port[0]);
    if (deliver) {
        deliver(r, &tx);
    }
    pkt = fake_netdev_take(r->v.back_dev, 0, 10000);
    g_assert_nonnull(pkt);
    g_assert_cmpuint(pkt->len, ==, 60);
    VIF_WAIT(xen_ring_responses(&tx) == 1);
    g_assert_cmpint(r->ops->share_free(r->share, page, 1), ==, 0);
}

/* It was not for ever: what comes afterwards with work is served. */
static void test_work_after_spurious(void)
{
    Raw r;

    connect_raw(&r, 1, true, NULL);
    send_spurious(&r, (uint32_t[]){ r.tx_port[0], r.rx_port[0] }, 2);
    send_one(&r, NULL);
    raw_down(&r);
}

/* --- back-pressure --- */

static void make_room(Raw *r, XenRing *tx)
{
    while (fake_netdev_refused(r->v.back_dev, 0) == 0) {
        g_usleep(100);
    }
    g_assert_cmpint(xen_ring_responses(tx), ==, 0); /* the guest waits */
    fake_netdev_set_full(r->v.back_dev, 0, false);
}

/* The packet is sent when the netdev's descriptor says that there is room. */
static void test_full_netdev_tells(void)
{
    Raw r;

    connect_raw(&r, 1, true, NULL);
    fake_netdev_set_full(r.v.back_dev, 0, true);
    send_one(&r, make_room);
    raw_down(&r);
}

/* Or after a while where no descriptor does. */
static void test_full_netdev_is_mute(void)
{
    Netdev *mute = fake_netdev_new(1, true);
    Raw r;

    fake_netdev_set_mute(mute);
    raw_up(&r, mute, fake_netdev_new(1, true), true, NULL);
    fake_netdev_set_full(r.v.back_dev, 0, true);
    send_one(&r, make_room);
    raw_down(&r);
}

/* --- the main loop --- */

typedef struct Rounds {
    Raw *raw;
    unsigned queues; /* that there were in the last round */
    unsigned n;      /* in which their number was another one */
    gint64 last_us;
    gint64 longest_us;
} Rounds;

static gboolean look_each_round(gpointer opaque)
{
    Rounds *c = opaque;
    unsigned queues = c->raw->v.nb->queues.run.n;
    gint64 now = g_get_monotonic_time();

    g_assert_cmpint(ABS((int)queues - (int)c->queues), <=, 1);
    c->n += queues != c->queues;
    c->queues = queues;
    c->longest_us = c->last_us ? MAX(c->longest_us, now - c->last_us) : 0;
    c->last_us = now;
    return G_SOURCE_CONTINUE;
}

/* The first and the last one's round may not be seen. */
static void expect_rounds(Rounds *c, const char *what, unsigned min)
{
    g_test_message("%s: the longest round %d us", what, (int)c->longest_us);
    g_assert_cmpuint(c->n, >=, min);
    c->n = 0;
    c->longest_us = 0;
}

/*
 * A guest with as many queues as it may have, the last of them with a bad reference: others have
 * the main loop between each two queues that are made or unmade.
 */
static void test_a_queue_in_a_round(void)
{
    Rounds c = { 0 };
    guint source;
    Raw r;

    raw_prepare(&r, fake_netdev_new(NETIF_MAX_QUEUES, true),
                fake_netdev_new(NETIF_MAX_QUEUES, true), true, NULL);
    c.raw = &r;
    source = g_idle_add_full(G_PRIORITY_DEFAULT, look_each_round, &c, NULL);
    raw_state(&r, XenbusStateConnected);
    VIF_WAIT(r.v.back.connected == 1);
    expect_rounds(&c, "connected", NETIF_MAX_QUEUES - 2);
    raw_state(&r, XenbusStateInitialising);
    VIF_WAIT(r.v.back.disconnected == 1);
    expect_rounds(&c, "disconnected", NETIF_MAX_QUEUES - 2);
    g_assert_true(xen_store_printf(r.v.guest_store, 0, r.v.fe, "queue-63/rx-ring-ref", "30000"));
    raw_state(&r, XenbusStateConnected);
    VIF_WAIT(r.v.back.errors == 1);
    g_assert_nonnull(strstr(r.v.back.error, "queue 63: cannot map rx-ring-ref 30000"));
    expect_rounds(&c, "refused", 2 * (NETIF_MAX_QUEUES - 3));
    g_source_remove(source);
    raw_down(&r);
}

/* Until it is connected as a whole, no queue is told of. */
static void test_no_queues_before_all(void)
{
    NetbackInfo info;
    Raw r;

    raw_prepare(&r, fake_netdev_new(8, true), fake_netdev_new(8, true), true, NULL);
    raw_state(&r, XenbusStateConnected);
    do {
        g_main_context_iteration(NULL, false);
        netback_info(r.v.nb, &info);
        g_assert_cmpuint(info.n_queues, ==, r.v.back.connected ? 8 : 0);
    } while (!r.v.back.connected);
    raw_down(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netback/spurious-events/one-port", test_spurious_on_one_port);
    g_test_add_func("/netback/spurious-events/both-ports", test_spurious_on_both_ports);
    g_test_add_func("/netback/spurious-events/two-queues-of-a-thread",
                    test_spurious_on_two_queues_of_a_thread);
    g_test_add_func("/netback/spurious-events/work-after", test_work_after_spurious);
    g_test_add_func("/netback/full-netdev/tells", test_full_netdev_tells);
    g_test_add_func("/netback/full-netdev/mute", test_full_netdev_is_mute);
    g_test_add_func("/netback/a-queue-in-a-round", test_a_queue_in_a_round);
    g_test_add_func("/netback/no-queues-before-all", test_no_queues_before_all);
    return g_test_run();
}
