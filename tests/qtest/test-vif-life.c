/*
 * The life of a vif: reconnection, death at every point, hotplug, the end of the program;
 * and that none of it leaves anything behind, a thousand times over.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vif-test.h"

#include <signal.h>
#include <string.h>

#define ROUNDS     1000
#define WARM_UP    300        /* rounds until memory is what it will be */
#define RSS_SLACK  (4 * 1024) /* KiB; a sanitizer's quarantine is kept small by meson.build */

static const VifFrame plain = { .udp = true, .payload = 200 };

static void send_one(VifTest *t, FrontQueue *q, unsigned seed)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    VifFrame f = { .udp = true, .payload = 200, .seed = seed };
    size_t len = vif_frame_make(&f, frame);

    front_tx_frame(q, frame, len, NULL, 0, 0, 0);
    front_tx_push(q);
    front_tx_expect(q, 1, NETIF_RSP_OKAY);
    vif_test_expect_host(t, frame, len, NULL);
}

static void check_alive(VifTest *t)
{
    for (unsigned i = 0; i < t->f->n_queues; i++) {
        send_one(t, t->f->queue[i], i);
    }
}

/* --- reconnection --- */

/* With other queues, ports and features each time. */
static void test_reconnect_other_shapes(VifTest *t)
{
    static const FrontConfig shapes[] = {
        { .queues = 4 }, { .queues = 1, .ports = FRONT_SINGLE }, { .queues = 2, .no_csum = true },
        { .queues = 3, .ports = FRONT_MIXED, .no_gso = true }, { .queues = 4, .no_sg = true },
        { .queues = 1 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(shapes); i++) {
        vif_test_connect(t, &shapes[i]);
        check_alive(t);
        front_disconnect(t->f);
        vif_test_no_leaks(t);
    }
}

/* A kernel that was started anew (kexec): Initialising without a word before. */
static void test_initialising_from_connected(VifTest *t)
{
    vif_test_connect(t, &(FrontConfig){ .queues = 2 });
    check_alive(t);
    front_set_state(t->f, XenbusStateInitialising);
    front_wait_back(t->f, XenbusStateInitWait);
    front_free_queues(t->f);
    vif_test_no_leaks(t);
    vif_test_connect(t, &(FrontConfig){ .queues = 1 });
    check_alive(t);
}

static void test_closed_from_connected(VifTest *t)
{
    vif_test_connect(t, &(FrontConfig){ 0 });
    front_set_state(t->f, XenbusStateClosed);
    front_wait_back(t->f, XenbusStateClosed);
    front_free_queues(t->f);
    front_set_state(t->f, XenbusStateInitialising);
    vif_test_connect(t, &(FrontConfig){ 0 });
    check_alive(t);
}

/* iPXE's way to open: Closed first, and it waits for the answer. */
static void test_closed_before_connected(VifTest *t)
{
    front_set_state(t->f, XenbusStateClosed);
    front_wait_back(t->f, XenbusStateClosed);
    front_set_state(t->f, XenbusStateInitialising);
    vif_test_connect(t, &(FrontConfig){ .ports = FRONT_SINGLE });
    check_alive(t);
}

/* Linux's netfront waits for Reconfigured without end. */
static void test_reconfiguring(VifTest *t)
{
    vif_test_connect(t, &(FrontConfig){ 0 });
    front_set_state(t->f, XenbusStateReconfiguring);
    front_wait_back(t->f, XenbusStateReconfigured);
    front_set_state(t->f, XenbusStateConnected);
    check_alive(t);
}

/* A guest that is saved and goes on at once says nothing, and finds all as it was. */
static void test_stop_cont(VifTest *t)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    size_t len = vif_frame_make(&plain, frame);

    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'stop'}"));
    front_tx_frame(q, frame, len, NULL, 0, 0, 0);
    front_tx_push(q);
    vif_test_expect_no_host(t);
    g_assert_cmpint(xen_ring_responses(&q->tx), ==, 0);
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'cont'}"));
    front_tx_expect(q, 1, NETIF_RSP_OKAY);
    vif_test_expect_host(t, frame, len, NULL);
    check_alive(t);
}

/* As in QEMU: the guest's packets are taken and go nowhere. */
static void test_set_link(VifTest *t)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    size_t len = vif_frame_make(&plain, frame);

    for (unsigned i = 0; i < 2; i++) {
        json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'set_link', 'arguments': "
                                     "{'name': '%s', 'up': false}}", i ? "n0" : "vif0"));
        host_tap_wait_stopped(t->tap);
        front_tx_frame(q, frame, len, NULL, 0, 0, 0);
        front_tx_push(q);
        front_tx_expect(q, 1, NETIF_RSP_OKAY);
        vif_test_expect_no_host(t);
        g_assert_cmpuint(vif_test_counter(t, 0, "tx", "drop-peer"), ==, i + 1);
        json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'set_link', 'arguments': "
                                     "{'name': 'vif0', 'up': true}}"));
        host_tap_wait_running(t->tap);
        check_alive(t);
    }
}

/* --- the guest dies --- */

typedef enum Point {
    POINT_OFFERED,
    POINT_KEYS,
    POINT_CONNECTED,
    POINT_TRAFFIC,
    POINT_CLOSING,
    POINT_CLOSED,
    POINT_REFUSED,
    POINT_BROKEN,
} Point;

/* Requests that nobody will ever wait for. */
static void start_traffic(VifTest *t)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&plain, frame);

    for (unsigned i = 0; i < t->f->n_queues; i++) {
        FrontQueue *q = t->f->queue[i];

        front_rx_post(q, 100);
        for (unsigned n = 0; n < FRONT_RING; n++) {
            front_tx_frame(q, frame, len, NULL, 0, 0, 0);
        }
        front_tx_push(q);
        host_tap_send(t->tap, NULL, frame, len);
    }
}

static void live_until(VifTest *t, Point point)
{
    FrontConfig c = { .queues = 2 };

    if (point == POINT_OFFERED) {
        return;
    }
    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    if (point == POINT_KEYS) {
        return;
    }
    if (point == POINT_REFUSED) {
        front_write(t->f, "multi-queue-num-queues", "99");
        front_set_state(t->f, XenbusStateConnected);
        front_wait_back(t->f, XenbusStateClosing);
        return;
    }
    front_set_state(t->f, XenbusStateConnected);
    front_wait_back(t->f, XenbusStateConnected);
    if (point == POINT_TRAFFIC) {
        host_tap_wait_running(t->tap);
        start_traffic(t);
    } else if (point == POINT_CLOSING || point == POINT_CLOSED) {
        front_set_state(t->f, point == POINT_CLOSING ? XenbusStateClosing : XenbusStateClosed);
    } else if (point == POINT_BROKEN) {
        t->f->queue[1]->tx.page->req_prod = 1000;
        front_notify_tx(t->f->queue[1]);
    }
}

/* Its device goes, and so does all that was held for it; another guest can have one. */
static void expect_gone(VifTest *t)
{
    struct json_object *event = qtest_event(t->qt, "DEVICE_DELETED");
    g_autofree char *vifs = NULL;

    json_object_put(event);
    front_free(t->f);
    t->f = NULL;
    vifs = qtest_line(t->qt, "xen_store_list 0 /local/domain/0/backend/vif");
    g_assert_cmpstr(vifs, !=, "OK 1");
}

static void add_device(VifTest *t)
{
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'device_add', 'arguments': {'driver': "
                                        "'xen-net-device', 'id': 'vif0', 'netdev': 'n0', "
                                        "'idx': 0}}"));
    vif_test_new_front(t);
    front_wait_back(t->f, XenbusStateInitWait);
    front_write(t->f, "state", "%d", XenbusStateInitialising); /* opens the guest's XenStore */
}

static void test_guest_dies(VifTest *t)
{
    const Point *point = t->arg;

    live_until(t, *point);
    qtest_do(t->qt, "xen_guest_kill");
    expect_gone(t);
    g_assert_cmpint(qtest_int(t->qt, "xen_guest_attach"), ==, 1);
    add_device(t);
    vif_test_no_leaks(t);
    vif_test_connect(t, &(FrontConfig){ .queues = 2 });
    vif_test_drain_host(t); /* what the dead one sent */
    check_alive(t);
}

/* --- hotplug --- */

static void test_device_del(VifTest *t)
{
    vif_test_connect(t, &(FrontConfig){ .queues = 2 });
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'device_del', 'arguments': "
                                        "{'id': 'vif0'}}"));
    front_wait_back(t->f, XenbusStateClosing);
    check_alive(t); /* until the frontend lets go */
    front_set_state(t->f, XenbusStateClosing);
    front_set_state(t->f, XenbusStateClosed);
    front_free_queues(t->f);
    expect_gone(t);
    add_device(t);
    vif_test_no_leaks(t);
    vif_test_connect(t, &(FrontConfig){ .queues = 2 });
    check_alive(t);
}

/* A frontend that does not care is not waited for. */
static void test_device_del_ignored(VifTest *t)
{
    vif_test_connect(t, &(FrontConfig){ .queues = 2 });
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'device_del', 'arguments': "
                                        "{'id': 'vif0'}}"));
    json_object_put(qtest_event(t->qt, "DEVICE_DELETED"));
    front_free_queues(t->f);
    vif_test_no_leaks(t);
    front_free(t->f);
    t->f = NULL;
}

/* xl network-detach: the toolstack writes both of these. */
static void test_toolstack_unplugs(VifTest *t)
{
    vif_test_connect(t, &(FrontConfig){ 0 });
    qtest_do(t->qt, "xen_store_write 0 %s/online 0", t->f->be);
    qtest_do(t->qt, "xen_store_write 0 %s/state 5", t->f->be);
    front_set_state(t->f, XenbusStateClosing);
    front_set_state(t->f, XenbusStateClosed);
    json_object_put(qtest_event(t->qt, "DEVICE_DELETED"));
    front_free_queues(t->f);
    vif_test_no_leaks(t);
    front_free(t->f);
    t->f = NULL;
}

/* --- the end of the program --- */

static void end_with_frontend(VifTest *t)
{
    host_tap_free(t->tap);
    front_free(t->f);
    t->tap = NULL;
    t->f = NULL;
}

/*
 * A guest that a test plays is not waited for: libqtest sends SIGTERM and waits itself, for
 * an exit status of 0. What a guest of another process sees is in tests/unit/test-qmp.py.
 */
static void test_sigterm(VifTest *t)
{
    gint64 start;

    vif_test_connect(t, &(FrontConfig){ .queues = 2 });
    start_traffic(t);
    start = g_get_monotonic_time();
    g_assert_cmpint(kill(qtest_pid(t->qt), SIGTERM), ==, 0);
    qtest_wait_exit(t->qt);
    t->qt = NULL;
    g_assert_cmpint(g_get_monotonic_time() - start, <, 3 * G_USEC_PER_SEC);
    end_with_frontend(t);
}

/* --- again and again --- */

/* Acceptance: 1,000 connect and close rounds with traffic leak no fd, thread, grant, memory. */
static void test_thousand_rounds(VifTest *t)
{
    uint64_t rss = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        FrontConfig c = { .queues = 1 + i % 2, .ports = (FrontPorts)(i % 3) };

        front_connect(t->f, &c);
        check_alive(t);
        front_disconnect(t->f);
        qtest_forget_events(t->qt);
        if (i == WARM_UP) {
            vif_test_no_leaks(t);
            rss = qtest_leaks(t->qt).rss_kib;
        }
    }
    vif_test_no_leaks(t);
    g_test_message("memory: %" G_GUINT64_FORMAT " KiB after %d rounds, %" G_GUINT64_FORMAT
                   " KiB after %d", rss, WARM_UP, qtest_leaks(t->qt).rss_kib, ROUNDS);
    g_assert_cmpuint(qtest_leaks(t->qt).rss_kib, <=, rss + RSS_SLACK);
}

#define DIES(name_, point_) \
    { .name = "guest-dies/" name_, .run = test_guest_dies, .queues = 2, \
      .arg = &(const Point){ point_ } }

/* --- announcements --- */

static void announce(VifTest *t, const char *more)
{
    json_object_put(qtest_qmp_ok(t->qt, "{'execute': 'announce-self', 'arguments': {'initial': 1, "
                                        "'max': 1, 'rounds': 2, 'step': 1%s}}", more));
}

/* RARP comes from a vif, too, with the vif's address, whether its guest is there or not. */
static void test_announce(VifTest *t)
{
    static const uint8_t rarp[60] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x16, 0x3e, 1, 2, 3, 0x80, 0x35, 0, 1, 8, 0, 6, 4,
        0, 3, 0, 0x16, 0x3e, 1, 2, 3, 0, 0, 0, 0, 0, 0x16, 0x3e, 1, 2, 3,
    };

    for (unsigned i = 0; i < 3; i++) {
        announce(t, "");
        vif_test_expect_host(t, rarp, sizeof(rarp), NULL);
        vif_test_expect_host(t, rarp, sizeof(rarp), NULL);
        announce(t, ", 'interfaces': ['other']");
        vif_test_expect_no_host(t);
        if (i == 0) {
            vif_test_connect(t, &(FrontConfig){ .queues = 2 });
        } else if (i == 1) {
            check_alive(t);
            front_disconnect(t->f);
        }
    }
}

static const VifTestCase cases[] = {
    { "reconnect/other-shapes", test_reconnect_other_shapes, .queues = 4 },
    { "reconnect/initialising-from-connected", test_initialising_from_connected, .queues = 2 },
    { "reconnect/closed-from-connected", test_closed_from_connected },
    { "reconnect/closed-before-connected", test_closed_before_connected },
    { "reconfiguring", test_reconfiguring },
    { "set-link", test_set_link },
    { "stop-cont", test_stop_cont },
    DIES("offered", POINT_OFFERED),
    DIES("keys-written", POINT_KEYS),
    DIES("connected", POINT_CONNECTED),
    DIES("under-traffic", POINT_TRAFFIC),
    DIES("closing", POINT_CLOSING),
    DIES("closed", POINT_CLOSED),
    DIES("refused", POINT_REFUSED),
    DIES("broken", POINT_BROKEN),
    { "device-del", test_device_del, .queues = 2 },
    { "device-del-ignored", test_device_del_ignored, .queues = 2 },
    { "toolstack-unplugs", test_toolstack_unplugs },
    { "announce", test_announce, .queues = 2, .options = ",mac=00:16:3e:01:02:03" },
    { "sigterm", test_sigterm, .queues = 2 },
    { "thousand-rounds", test_thousand_rounds, .queues = 2 },
    { NULL },
};

int main(int argc, char **argv)
{
    return vif_test_main(argc, argv, "/vif/life", cases);
}
