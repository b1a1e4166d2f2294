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
#include "vif.h"
#include "xen-netback-internal.h"

#define MAX_QUEUES NETIF_MAX_QUEUES
#define STORM_MS   150

/* An event that brought nothing costs 1 ms before the next, after so many for free. */
#define FREE_EVENTS 16

typedef struct Raw {
    Vif v;
    const XenOps *ops;
    XenShare *share;
    XenEvtchn *evtchn;
    unsigned n_queues;
    void *rings[MAX_QUEUES];
    uint32_t tx_port[MAX_QUEUES];
    uint32_t rx_port[MAX_QUEUES]; /* the same: a single event channel */
} Raw;

static void raw_make_queue(Raw *r, unsigned i, bool split)
{
    g_autofree char *dir = r->n_queues == 1 ? g_strdup(r->v.fe)
                                            : g_strdup_printf("%s/queue-%u", r->v.fe, i);
    XenStore *s = r->v.guest_store;
    XenRing ring;
    uint32_t refs[2];
    int tx, rx;

    r->rings[i] = r->ops->share_alloc(r->share, 0, 2, true, refs);
    g_assert_nonnull(r->rings[i]);
    xen_ring_init_front(&ring, r->rings[i], 1, sizeof(netif_tx_request_t));
    xen_ring_init_front(&ring, (uint8_t *)r->rings[i] + XEN_PAGE_SIZE, 1,
                        sizeof(netif_rx_request_t));
    tx = r->ops->evtchn_alloc_unbound(r->evtchn, 0);
    rx = split ? r->ops->evtchn_alloc_unbound(r->evtchn, 0) : tx;
    g_assert_cmpint(tx, >, 0);
    g_assert_cmpint(rx, >, 0);
    r->tx_port[i] = (uint32_t)tx;
    r->rx_port[i] = (uint32_t)rx;
    g_assert_true(xen_store_printf(s, 0, dir, "tx-ring-ref", "%u", refs[0]));
    g_assert_true(xen_store_printf(s, 0, dir, "rx-ring-ref", "%u", refs[1]));
    if (split) {
        g_assert_true(xen_store_printf(s, 0, dir, "event-channel-tx", "%d", tx));
        g_assert_true(xen_store_printf(s, 0, dir, "event-channel-rx", "%d", rx));
    } else {
        g_assert_true(xen_store_printf(s, 0, dir, "event-channel", "%d", tx));
    }
}

static void raw_state(Raw *r, enum xenbus_state state)
{
    g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, "state", "%u", state));
}

/* All but the state. @thread runs all of netback's queues; NULL: each has its own. */
static void raw_prepare(Raw *r, unsigned n_queues, bool split, IoThread *thread)
{
    g_autoptr(GError) error = NULL;
    XenStore *s;

    *r = (Raw) { .n_queues = n_queues };
    vif_up(&r->v, fake_netdev_new(n_queues, true), fake_netdev_new(n_queues, true));
    r->v.back_thread = thread;
    vif_back_start(&r->v);
    s = r->v.guest_store;
    r->ops = r->v.guest->ops;
    r->share = r->ops->share_open(r->v.guest, &error);
    g_assert_no_error(error);
    r->evtchn = r->ops->evtchn_open(r->v.guest, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < n_queues; i++) {
        raw_make_queue(r, i, split);
    }
    if (n_queues > 1) {
        g_assert_true(xen_store_printf(s, 0, r->v.fe, "multi-queue-num-queues", "%u", n_queues));
    }
    g_assert_true(xen_store_printf(s, 0, r->v.fe, "request-rx-copy", "1"));
    g_assert_true(xen_store_printf(s, 0, r->v.fe, "feature-rx-notify", "1"));
}

static void raw_up(Raw *r, unsigned n_queues, bool split, IoThread *thread)
{
    raw_prepare(r, n_queues, split, thread);
    raw_state(r, XenbusStateConnected);
    VIF_WAIT(r->v.back.connected == 1);
}

static void raw_down(Raw *r)
{
    raw_state(r, XenbusStateClosed);
    VIF_WAIT(r->v.back.disconnected == r->v.back.connected);
    for (unsigned i = 0; i < r->n_queues; i++) {
        g_assert_cmpint(r->ops->share_free(r->share, r->rings[i], 2), ==, 0);
    }
    r->ops->evtchn_close(r->evtchn);
    r->ops->share_close(r->share);
    vif_down(&r->v);
}

static uint64_t raw_events(Raw *r)
{
    NetbackInfo info;
    uint64_t n = 0;

    netback_info(r->v.nb, &info);
    for (unsigned i = 0; i < r->n_queues; i++) {
        n += netif_counter(&info.stats[i].tx.events_received) +
             netif_counter(&info.stats[i].rx.events_received);
    }
    return n;
}

/*
 * Notifies as fast as events are taken, each port in turn, never with work behind it. However
 * slow the machine is: so many events at most are taken in the time that it took.
 */
static void storm(Raw *r, const uint32_t *ports, unsigned n_ports)
{
    uint64_t start = clock_monotonic_ns();
    uint64_t before = raw_events(r);
    uint64_t end, ms, events;

    do {
        for (unsigned i = 0; i < n_ports; i++) {
            uint64_t n = raw_events(r);
            uint64_t patience = clock_monotonic_ns() + 200000;

            r->ops->evtchn_notify(r->evtchn, ports[i]);
            while (raw_events(r) == n && clock_monotonic_ns() < patience) {
                g_usleep(5);
            }
            g_usleep(20); /* it goes to sleep over it */
        }
        end = clock_monotonic_ns();
        events = raw_events(r) - before;
    } while (end - start < STORM_MS * 1000000ull || events <= FREE_EVENTS);
    ms = (end - start) / 1000000 + 1;
    g_test_message("%" G_GUINT64_FORMAT " events in %" G_GUINT64_FORMAT " ms", events, ms);
    g_assert_cmpuint(events, <=, n_ports * (FREE_EVENTS + 2 + ms));
}

static void test_storm_on_one_port(void)
{
    Raw r;

    raw_up(&r, 1, false, NULL);
    storm(&r, r.tx_port, 1);
    raw_down(&r);
}

/* The event of a port that is not masked does not end the silence of the other one. */
static void test_storm_on_both_ports(void)
{
    Raw r;

    raw_up(&r, 1, true, NULL);
    storm(&r, (uint32_t[]){ r.tx_port[0], r.rx_port[0] }, 2);
    raw_down(&r);
}

static void test_storm_on_two_queues_of_a_thread(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IoThread) thread = io_thread_new("both", &error);
    Raw r;

    g_assert_no_error(error);
    raw_up(&r, 2, false, thread);
    storm(&r, r.tx_port, 2);
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
static void test_work_after_a_storm(void)
{
    Raw r;

    raw_up(&r, 1, true, NULL);
    storm(&r, (uint32_t[]){ r.tx_port[0], r.rx_port[0] }, 2);
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

    raw_up(&r, 1, true, NULL);
    fake_netdev_set_full(r.v.back_dev, 0, true);
    send_one(&r, make_room);
    raw_down(&r);
}

/* Or after a while where no descriptor does. */
static void test_full_netdev_is_mute(void)
{
    Raw r;

    raw_up(&r, 1, true, NULL);
    fake_netdev_set_mute(r.v.back_dev);
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
    unsigned queues = c->raw->v.nb->n_queues;
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

    raw_prepare(&r, MAX_QUEUES, true, NULL);
    c.raw = &r;
    source = g_idle_add_full(G_PRIORITY_DEFAULT, look_each_round, &c, NULL);
    raw_state(&r, XenbusStateConnected);
    VIF_WAIT(r.v.back.connected == 1);
    expect_rounds(&c, "connected", MAX_QUEUES - 2);
    raw_state(&r, XenbusStateInitialising);
    VIF_WAIT(r.v.back.disconnected == 1);
    expect_rounds(&c, "disconnected", MAX_QUEUES - 2);
    g_assert_true(xen_store_printf(r.v.guest_store, 0, r.v.fe, "queue-63/rx-ring-ref", "30000"));
    raw_state(&r, XenbusStateConnected);
    VIF_WAIT(r.v.back.errors == 1);
    g_assert_nonnull(strstr(r.v.back.error, "queue 63: cannot map rx-ring-ref 30000"));
    expect_rounds(&c, "refused", 2 * (MAX_QUEUES - 3));
    g_source_remove(source);
    raw_down(&r);
}

/* Until it is connected as a whole, no queue is told of. */
static void test_no_queues_before_all(void)
{
    NetbackInfo info;
    Raw r;

    raw_prepare(&r, 8, true, NULL);
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
    g_test_add_func("/netback/storm/one-port", test_storm_on_one_port);
    g_test_add_func("/netback/storm/both-ports", test_storm_on_both_ports);
    g_test_add_func("/netback/storm/two-queues-of-a-thread", test_storm_on_two_queues_of_a_thread);
    g_test_add_func("/netback/storm/work-after", test_work_after_a_storm);
    g_test_add_func("/netback/full-netdev/tells", test_full_netdev_tells);
    g_test_add_func("/netback/full-netdev/mute", test_full_netdev_is_mute);
    g_test_add_func("/netback/a-queue-in-a-round", test_a_queue_in_a_round);
    g_test_add_func("/netback/no-queues-before-all", test_no_queues_before_all);
    return g_test_run();
}
