/*
 * A guest that means harm: it may lose its own device, and nothing else happens. Each
 * attack is one that some backend fell for; reference: the Xen security advisories named.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vif-test.h"

#include <string.h>

/* xen/include/public/grant_table.h */
#define GRANT_PERMIT   1
#define GRANT_READONLY 4

static const VifFrame plain = { .udp = true, .payload = 200 };

static void check_alive(VifTest *t, FrontQueue *q)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&plain, frame);

    front_tx_frame(q, frame, len, NULL, 0, 0, 0);
    front_tx_push(q);
    front_tx_expect(q, 1, NETIF_RSP_OKAY);
    vif_test_expect_host(t, frame, len, NULL);
}

/* Whatever the device's state is: the frontend starts anew, and all is well. */
static void start_anew(VifTest *t)
{
    front_set_state(t->f, XenbusStateClosed);
    front_wait_back(t->f, XenbusStateClosed);
    front_free_queues(t->f);
    vif_test_no_leaks(t);
    front_set_state(t->f, XenbusStateInitialising);
    vif_test_connect(t, &(FrontConfig){ 0 });
    vif_test_drain_host(t); /* what the attack sent */
    check_alive(t, t->f->queue[0]);
}

static void expect_broken(VifTest *t, const char *reason)
{
    struct json_object *event = qtest_event(t->qt, "VIF_ERROR");

    g_assert_nonnull(strstr(json_object_to_json_string(event), reason));
    json_object_put(event);
    front_wait_back(t->f, XenbusStateClosing);
    start_anew(t);
}

/* --- ring indices (XSA-39) --- */

typedef struct Runaway {
    bool rx;
    uint32_t distance; /* req_prod from where it may be */
} Runaway;

static void test_runaway(VifTest *t)
{
    const Runaway *r = t->arg;
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    check_alive(t, q); /* so that there is something to go back behind */
    if (r->rx) {
        q->rx.page->req_prod = q->rx.prod + r->distance;
        front_notify_rx(q);
    } else {
        q->tx.page->req_prod = q->tx.prod + r->distance;
        front_notify_tx(q);
    }
    expect_broken(t, "req_prod is impossible");
}

/* A queue that broke is freed once, whatever the toolstack does about it (XSA-374). */
static void test_runaway_then_unplugged(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    q->rx.page->req_prod = q->rx.prod + 300;
    front_notify_rx(q);
    json_object_put(qtest_event(t->qt, "VIF_ERROR"));
    front_wait_back(t->f, XenbusStateClosing);
    qtest_do(t->qt, "xen_store_write 0 %s/online 0", t->f->be);
    front_set_state(t->f, XenbusStateClosed);
    json_object_put(qtest_event(t->qt, "DEVICE_DELETED"));
    front_free_queues(t->f);
    vif_test_no_leaks(t);
    front_free(t->f);
    t->f = NULL;
}

/* A grant that goes both ways: what arrives is in the page that is sent next. */
static void test_own_tx_buffer_as_rx_buffer(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&plain, frame);
    FrontPage *p = front_tx_next(q);

    front_rx_put(q, 1, p->ref);
    front_rx_push(q);
    host_tap_send(t->tap, &(struct virtio_net_hdr){ 0 }, frame, len);
    qtest_wait_for(front_rx_waiting(q) == 1);
    g_assert_cmpmem(p->data, len, frame, len);
    front_tx_put(q, &(netif_tx_request_t){ .gref = p->ref, .size = (uint16_t)len });
    front_tx_push(q);
    front_tx_expect(q, 1, NETIF_RSP_OKAY);
    vif_test_expect_host(t, frame, len, NULL);
    g_assert_false(front_grant_busy(t->f, p->ref));
}

/* The indices that are ours, and the event indices, mean nothing to us. */
static void test_scribbled_indices(VifTest *t)
{
    static const uint32_t values[] = { 0, 1, 255, 256, 257, 0x80000000, UINT32_MAX };
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&plain, frame);

    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        q->tx.page->rsp_prod = values[i];
        q->tx.page->rsp_event = values[i];
        q->tx.page->req_event = values[i];
        q->rx.page->rsp_prod = values[i];
        front_tx_frame(q, frame, len, NULL, 0, 0, 0);
        xen_ring_push_requests(&q->tx);
        front_notify_tx(q);
        vif_test_expect_host(t, frame, len, NULL);
        qtest_wait_for(q->tx.page->rsp_prod == q->tx.prod); /* as if nothing had been */
        q->tx.cons = q->tx.prod;
    }
}

/* --- memory that changes under our eyes (XSA-155) --- */

typedef struct Mutator {
    uint8_t *at;
    size_t len;
    gint stop;
    GThread *thread;
} Mutator;

__attribute__((no_sanitize("thread"))) static void *mutator_run(void *opaque)
{
    Mutator *m = opaque;
    uint32_t x = 88172645;

    while (!g_atomic_int_get(&m->stop)) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        ((volatile uint8_t *)m->at)[x % m->len] = (uint8_t)(x >> 11);
    }
    return NULL;
}

static void mutator_start(Mutator *m, void *at, size_t len)
{
    m->at = at;
    m->len = len;
    g_atomic_int_set(&m->stop, 0);
    m->thread = g_thread_new("mutator", mutator_run, m);
}

static void mutator_stop(Mutator *m)
{
    g_atomic_int_set(&m->stop, 1);
    g_thread_join(m->thread);
}

/* Requests change while they are read: the device may break, and is mended each time. */
static void test_mutating_ring(VifTest *t)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    static const uint16_t sizes[] = { 54, 1000, 1000, 1000 };
    VifFrame spec = { .payload = 3000, .csum_blank = true };
    size_t len = vif_frame_make(&spec, frame);

    for (unsigned round = 0; round < 20; round++) {
        FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
        Mutator m;

        mutator_start(&m, q->tx_page.data + 64, 4096 - 64);
        for (unsigned i = 0; i < 50; i++) {
            front_tx_frame(q, frame, len, sizes, 4, NETTXF_csum_blank, 1000);
            xen_ring_push_requests(&q->tx);
            front_notify_tx(q);
            g_usleep(100);
            q->tx.cons = q->tx.prod;
        }
        mutator_stop(&m);
        start_anew(t);
        front_disconnect(t->f);
    }
}

/* Packets change between the copy's bytes: checksums and headers are validated in our copy. */
static void test_mutating_packet(VifTest *t)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    VifFrame spec = { .payload = 1000, .csum_blank = true };
    size_t len = vif_frame_make(&spec, frame);
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    netif_tx_response_t rsp[2];
    Mutator m;

    for (unsigned i = 0; i < FRONT_RING; i++) {
        q->tx_buf[i] = front_page_new(t->f);
    }
    mutator_start(&m, q->tx_buf[0].data, 100);
    for (unsigned i = 0; i < 1000; i++) {
        FrontPage *p = &q->tx_buf[0];

        memcpy(p->data, frame, len);
        front_tx_put(q, &(netif_tx_request_t){ .gref = p->ref, .size = (uint16_t)len,
                                               .flags = NETTXF_extra_info | NETTXF_csum_blank });
        front_tx_put_extra(q, &(struct netif_extra_info){
            .type = XEN_NETIF_EXTRA_TYPE_GSO, .u.gso = { .size = 500, .type = 1 } });
        front_tx_push(q);
        front_tx_responses(q, rsp, 2);
    }
    mutator_stop(&m);
    start_anew(t);
}

/* The grant table too: a grant may go while it is copied. */
static void test_mutating_grants(VifTest *t)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    size_t len = vif_frame_make(&plain, frame);
    netif_tx_response_t rsp;
    FrontPage p = front_page_new(t->f);
    Mutator m;

    memcpy(p.data, frame, len);
    mutator_start(&m, t->f->ram + (size_t)p.ref * 8, 8);
    for (unsigned i = 0; i < 2000; i++) {
        front_tx_put(q, &(netif_tx_request_t){ .gref = p.ref, .size = (uint16_t)len });
        front_tx_push(q);
        front_tx_responses(q, &rsp, 1);
        g_assert_true(rsp.status == NETIF_RSP_OKAY || rsp.status == NETIF_RSP_ERROR);
    }
    mutator_stop(&m);
    front_grant(t->f, p.ref, 0, 0, 0);
    start_anew(t);
}

/* The rings' own grants are withdrawn under the mappings. */
static void test_ring_grant_withdrawn(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    front_grant(t->f, q->tx_page.ref, 0, 0, 0);
    front_grant(t->f, q->rx_page.ref, 0xffffffff, 7, 0xffff);
    check_alive(t, q);
    front_set_state(t->f, XenbusStateClosed);
    front_wait_back(t->f, XenbusStateClosed);
    front_grant(t->f, q->rx_page.ref, 0, 0, 0);
    start_anew(t);
}

/* --- copies of pages that are mapped (XSA-500) --- */

static void send_from_ring(VifTest *t, FrontQueue *q)
{
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    const uint16_t at = 2048; /* behind the slots that are used */
    size_t len = vif_frame_make(&plain, frame);

    memcpy(q->tx_page.data + at, frame, len);
    front_tx_put(q, &(netif_tx_request_t){ .gref = q->tx_page.ref, .offset = at,
                                           .size = (uint16_t)len });
    front_tx_push(q);
    front_tx_expect(q, 1, NETIF_RSP_OKAY);
    vif_test_expect_host(t, frame, len, NULL);
}

/* What the ring's grant says since it was mapped means nothing: the copy is of the ring. */
static void test_ring_as_tx_buffer(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    FrontPage other = front_page_new(t->f);

    send_from_ring(t, q);
    front_grant(t->f, q->tx_page.ref, other.frame, 0, GRANT_PERMIT);
    send_from_ring(t, q);
    front_grant(t->f, q->tx_page.ref, 0, 0, 0);
    send_from_ring(t, q);
    check_alive(t, q);
    front_page_free(t->f, other);
}

/* By a grant of its own, which is read-only: it costs the packet, the ring lives. */
static void test_ring_as_read_only_rx_buffer(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    g_autofree FrontFrame *got = g_new(FrontFrame, 1);
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&plain, frame);
    FrontPage spare = front_page_new(t->f);
    netif_rx_response_t rsp;

    front_grant(t->f, spare.ref, q->rx_page.frame, 0, GRANT_PERMIT | GRANT_READONLY);
    front_rx_put(q, 1, spare.ref);
    front_rx_push(q);
    host_tap_send(t->tap, NULL, frame, len);
    qtest_wait_for(front_rx_waiting(q) == 1);
    xen_ring_take_response(&q->rx, &rsp, sizeof(rsp));
    g_assert_cmpint(rsp.status, ==, NETIF_RSP_ERROR);
    g_assert_cmpuint(vif_test_counter(t, 0, "rx", "drop-grant"), ==, 1);
    front_rx_post(q, 1);
    host_tap_send(t->tap, NULL, frame, len);
    g_assert_true(front_rx_recv(q, got, QTEST_TIMEOUT_MS));
    g_assert_cmpmem(got->data, got->len, frame, len);
    front_page_free(t->f, spare);
}

/* The guest's own harm: a packet lies over the indices of its ring. */
static void test_ring_as_rx_buffer(VifTest *t)
{
    const bool *rx = t->arg;
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&plain, frame);

    memset(frame, 0xff, 6); /* a broadcast, and an impossible index */
    front_rx_put(q, 1, *rx ? q->rx_page.ref : q->tx_page.ref);
    front_rx_push(q);
    host_tap_send(t->tap, NULL, frame, len);
    expect_broken(t, "req_prod is impossible");
}

/* --- rings that cannot be rings --- */

static void test_read_only_ring(VifTest *t)
{
    FrontConfig c = { 0 };

    front_make_queues(t->f, &c);
    front_grant(t->f, t->f->queue[0]->rx_page.ref, t->f->queue[0]->rx_page.frame, 0,
                GRANT_PERMIT | GRANT_READONLY);
    front_write_keys(t->f, &c);
    front_set_state(t->f, XenbusStateConnected);
    expect_broken(t, "cannot map rx-ring-ref");
}

/* Both rings in one page, by two grants: the guest's own harm. */
static void test_rings_share_a_page(VifTest *t)
{
    FrontConfig c = { 0 };
    FrontQueue *q;

    front_make_queues(t->f, &c);
    q = t->f->queue[0];
    front_grant(t->f, q->rx_page.ref, q->tx_page.frame, 0, GRANT_PERMIT);
    front_write_keys(t->f, &c);
    front_set_state(t->f, XenbusStateConnected);
    qtest_wait_for(front_back_state(t->f) == XenbusStateConnected);
    for (unsigned i = 0; i < 100; i++) {
        q->tx.page->req_prod += 7;
        front_notify_tx(q);
        front_notify_rx(q);
    }
    start_anew(t);
}

/* The grant table as a ring: every response is a grant that the guest gave itself. */
static void test_grant_table_as_ring(VifTest *t)
{
    FrontConfig c = { 0 };
    FrontQueue *q;

    front_make_queues(t->f, &c);
    q = t->f->queue[0];
    front_grant(t->f, q->tx_page.ref, 0, 0, GRANT_PERMIT);
    front_write_keys(t->f, &c);
    front_set_state(t->f, XenbusStateConnected);
    qtest_wait_for(front_back_state(t->f) != XenbusStateInitWait);
    front_set_state(t->f, XenbusStateClosed);
    front_wait_back(t->f, XenbusStateClosed);
    memset(t->f->ram, 0, 64); /* indices: reserved entries */
    start_anew(t);
}

/* A live ring that claims to be full before anything was sent. */
static void test_attach_to_runaway(VifTest *t)
{
    FrontConfig c = { 0 };

    front_make_queues(t->f, &c);
    t->f->queue[0]->tx.page->req_prod = 257;
    front_write_keys(t->f, &c);
    front_set_state(t->f, XenbusStateConnected);
    expect_broken(t, "req_prod is impossible");
}

/* --- one queue breaks while others work (XSA-90) --- */

static void test_breaks_under_load(VifTest *t)
{
    FrontConfig c = { .queues = 4 };
    g_autofree uint8_t *frame = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&plain, frame);

    for (unsigned round = 0; round < 10; round++) {
        vif_test_connect(t, &c);
        for (unsigned i = 0; i < 4; i++) {
            FrontQueue *q = t->f->queue[i];

            for (unsigned n = 0; n < FRONT_RING; n++) {
                front_tx_frame(q, frame, len, NULL, 0, 0, 0);
            }
            if (i == round % 4) {
                q->tx.page->req_prod = q->tx.prod + 1000;
                front_notify_tx(q);
            } else {
                front_tx_push(q);
            }
        }
        expect_broken(t, "req_prod is impossible");
        front_disconnect(t->f);
    }
}

/* --- floods --- */

/* XSA-332: events without anything behind them. */
static void test_spurious_events(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    g_autoptr(GString) lines = g_string_new(NULL);

    for (unsigned i = 0; i < 1000; i++) {
        g_string_append_printf(lines, "xen_evtchn_notify %d\nxen_evtchn_notify %d\n", q->tx_port,
                               q->rx_port);
    }
    for (unsigned round = 0; round < 10; round++) {
        qtest_send_raw(t->qt, lines->str, lines->len);
        for (unsigned i = 0; i < 2000; i++) {
            g_autofree char *line = qtest_read_line(t->qt);

            g_assert_cmpstr(line, ==, "OK");
        }
        check_alive(t, q);
    }
}

/* XSA-349: a guest that rewrites what is watched. It costs no memory and ends somewhere. */
static void test_store_flood(VifTest *t)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    QTestLeaks before = qtest_leaks(t->qt);

    for (unsigned i = 0; i < 2000; i++) {
        static const unsigned states[] = { 1, 4, 5, 4, 6, 1, 7, 3, 2, 8, 0, 4 };

        g_string_append_printf(lines, "xen_store_write %u %s/state %u\n", t->f->domid, t->f->fe,
                               states[i % G_N_ELEMENTS(states)]);
    }
    qtest_send_raw(t->qt, lines->str, lines->len);
    for (unsigned i = 0; i < 2000; i++) {
        g_autofree char *line = qtest_read_line(t->qt);

        g_assert_cmpstr(line, ==, "OK");
    }
    g_assert_cmpuint(qtest_leaks(t->qt).rss_kib, <, before.rss_kib + 65536);
    start_anew(t);
}

/* XSA-350: connected and closed as fast as it goes, queues and all. */
static void test_toggle_connected(VifTest *t)
{
    FrontConfig c = { .queues = 2 };

    front_make_queues(t->f, &c);
    front_write_keys(t->f, &c);
    for (unsigned i = 0; i < 200; i++) {
        front_set_state(t->f, XenbusStateConnected);
        front_notify_tx(t->f->queue[i % 2]);
        front_set_state(t->f, XenbusStateClosing);
        front_set_state(t->f, XenbusStateInitialising);
    }
    start_anew(t);
}

/* --- XenStore --- */

static void test_nonsense_states(VifTest *t)
{
    static const char *const nonsense[] = {
        "9", "-1", "", "abc", "4294967300", "4x", " 4", "04444444444444444444444444444444", "\\000",
    };
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });

    for (unsigned i = 0; i < G_N_ELEMENTS(nonsense); i++) {
        front_write(t->f, "state", "%s", nonsense[i]);
        front_set_state(t->f, XenbusStateConnected);
    }
    qtest_wait_for(front_back_state(t->f) == XenbusStateConnected);
    check_alive(t, q);
}

/* XSA-175: who a vif is does not stand where its guest can write. */
static void test_identity_rewritten(VifTest *t)
{
    g_autofree char *mac = vif_test_query(t, "mac");
    g_autofree char *after = NULL;

    front_write(t->f, "backend", "/local/domain/0/backend/vif/77/0");
    front_write(t->f, "backend-id", "77");
    front_write(t->f, "handle", "5");
    front_write(t->f, "mac", "02:00:00:00:00:99");
    check_alive(t, vif_test_connect(t, &(FrontConfig){ 0 }));
    after = vif_test_query(t, "mac");
    g_assert_cmpstr(after, ==, mac);
}

/* Values about as long as XenStore takes them. */
static void test_long_values(VifTest *t)
{
    static const char *const keys[] = {
        "tx-ring-ref", "event-channel-tx", "multi-queue-num-queues", "feature-sg",
    };
    FrontConfig c = { 0 };
    g_autofree char *value = g_strnfill(1900, '1');

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        front_make_queues(t->f, &c);
        front_write_keys(t->f, &c);
        front_write(t->f, keys[i], "%s", value);
        front_set_state(t->f, XenbusStateConnected);
        expect_broken(t, keys[i]);
        front_disconnect(t->f);
    }
}

/* CVE-2026-99286: each step of connecting fails in turn; nothing of the steps before stays. */
static void test_connect_fails_half_way(VifTest *t)
{
    static const struct {
        const char *op;
        int status;
    } faults[] = { { "gnttab-map", -3 }, { "gnttab-map", -12 }, { "evtchn-bind", -28 } };
    FrontConfig c = { .queues = 2 };

    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        for (unsigned k = 1; k <= 4; k++) {
            front_make_queues(t->f, &c);
            front_write_keys(t->f, &c);
            qtest_do(t->qt, "xen_fault %s %u %d", faults[i].op, k, faults[i].status);
            front_set_state(t->f, XenbusStateConnected);
            expect_broken(t, "cannot");
            front_disconnect(t->f);
        }
    }
}

/* XSA-526: statistics are read while connections fail and queues come and go. */
static void test_statistics_all_the_while(VifTest *t)
{
    FrontConfig c = { .queues = 4 };

    for (unsigned i = 0; i < 30; i++) {
        front_make_queues(t->f, &c);
        front_write_keys(t->f, &c);
        if (i % 2) {
            front_write(t->f, "queue-3/tx-ring-ref", "30000");
        }
        front_set_state(t->f, XenbusStateConnected);
        for (unsigned n = 0; n < 10; n++) {
            g_free(vif_test_query(t, "state"));
        }
        qtest_wait_for(front_back_state(t->f) != XenbusStateInitWait);
        front_set_state(t->f, XenbusStateClosed);
        g_free(vif_test_query(t, "error"));
        front_wait_back(t->f, XenbusStateClosed);
        front_free_queues(t->f);
        front_set_state(t->f, XenbusStateInitialising);
        front_wait_back(t->f, XenbusStateInitWait);
    }
}

#define RUNAWAY(name_, rx_, n) \
    { .name = "runaway/" name_, .run = test_runaway, .arg = &(const Runaway){ rx_, n } }

static const VifTestCase cases[] = {
    RUNAWAY("tx-257", false, 257),
    RUNAWAY("tx-2-to-the-31", false, 1u << 31),
    RUNAWAY("tx-back-by-one", false, UINT32_MAX),
    RUNAWAY("rx-257", true, 257),
    RUNAWAY("rx-2-to-the-31", true, 1u << 31),
    RUNAWAY("rx-back-by-one", true, UINT32_MAX),
    { "runaway/at-connection", test_attach_to_runaway },
    { "scribbled-indices", test_scribbled_indices },
    { "runaway-then-unplugged", test_runaway_then_unplugged },
    { "own-tx-buffer-as-rx-buffer", test_own_tx_buffer_as_rx_buffer },
    { "mutating/ring", test_mutating_ring },
    { "mutating/packet", test_mutating_packet },
    { "mutating/grants", test_mutating_grants },
    { "ring/grant-withdrawn", test_ring_grant_withdrawn },
    { "ring/as-tx-buffer", test_ring_as_tx_buffer },
    { "ring/as-read-only-rx-buffer", test_ring_as_read_only_rx_buffer },
    { "ring/tx-as-rx-buffer", test_ring_as_rx_buffer, .arg = &(const bool){ false } },
    { "ring/rx-as-rx-buffer", test_ring_as_rx_buffer, .arg = &(const bool){ true } },
    { "ring/read-only", test_read_only_ring },
    { "ring/both-in-a-page", test_rings_share_a_page },
    { "ring/grant-table", test_grant_table_as_ring },
    { "breaks-under-load", test_breaks_under_load, .queues = 4 },
    { "flood/events", test_spurious_events },
    { "flood/store", test_store_flood, .queues = 2 },
    { "flood/toggle", test_toggle_connected, .queues = 2 },
    { "store/nonsense-states", test_nonsense_states },
    { "store/identity-rewritten", test_identity_rewritten },
    { "store/long-values", test_long_values },
    { "connect-fails-half-way", test_connect_fails_half_way, .queues = 2 },
    { "statistics-all-the-while", test_statistics_all_the_while, .queues = 4 },
    { NULL },
};

int main(int argc, char **argv)
{
    return vif_test_main(argc, argv, "/vif/hostile", cases);
}
