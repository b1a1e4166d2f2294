/*
 * Netfront's data path against a backend that the test plays by hand, honest or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"
#include "xenbus-front-internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fake-netdev.h"
#include "fake-xen.h"
#include "vif-frames.h"

#define WAIT_MS  5000
#define QUIET_MS 50

typedef struct Fixture {
    Xen *xen;
    Netdev *nd;
    Netfront nf;
    NetifQueueStats *stats;
    NetfrontQueue *q;
    XenRing tx; /* the backend's ends */
    XenRing rx;
} Fixture;

typedef union Slot {
    struct netif_tx_request req;
    struct netif_extra_info extra;
    uint32_t word[3];
} Slot;

static const NetfrontPlan plan_all = {
    .max_queues = 1,
    .n_queues = 1,
    .split = true,
    .tx_offload = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6,
    .tx_max_len = XEN_NETIF_MAX_TX_SIZE,
};

/* The queue has no thread: the test calls it. */
static void ignore_fault(void *opaque)
{
}

static void fixture_up_stopped(Fixture *f, const NetfrontPlan *plan)
{
    g_autoptr(GError) error = NULL;

    memset(f, 0, sizeof(*f));
    f->xen = fake_xen_new();
    f->nd = fake_netdev_new(1, true);
    f->stats = g_aligned_alloc0(1, sizeof(NetifQueueStats), 64);
    f->nf.env.xen = f->xen;
    f->nf.env.peer = f->nd;
    f->nf.stats = f->stats;
    f->nf.bus.xen = f->xen;
    f->nf.bus.pages = xenbus_front_pages_new();
    f->nf.bus.share = f->xen->ops->share_open(f->xen, NULL);
    g_assert_true(xen_faults_init(&f->nf.faults, ignore_fault, NULL, &error));
    f->q = netfront_queue_new(&f->nf, 0, plan, &error);
    g_assert_no_error(error);
    g_assert_true(xen_ring_attach_back(&f->tx, f->q->rings, 1, sizeof(Slot)));
    g_assert_true(xen_ring_attach_back(&f->rx, (uint8_t *)f->q->rings + 4096, 1,
                                       sizeof(struct netif_rx_request)));
}

static void fixture_up(Fixture *f, const NetfrontPlan *plan)
{
    g_autoptr(GError) error = NULL;

    fixture_up_stopped(f, plan);
    g_assert_true(netfront_queue_start(f->q, &error));
}

static void fixture_down(Fixture *f)
{
    netfront_queue_free(f->q);
    g_assert_cmpuint(fake_xen_n_granted(f->xen), ==, 0);
    xenbus_front_pages_done(&f->nf.bus);
    xen_faults_done(&f->nf.faults);
    g_aligned_free(f->stats);
    netdev_free(f->nd);
    xen_close(f->xen);
}

/* Waits until @n tx requests are there, at least. False: the queue broke before. */
static bool wait_requests_or_broken(Fixture *f, int n)
{
    for (unsigned i = 0; i < WAIT_MS && xen_ring_requests(&f->tx) < n; i++) {
        if (xen_queue_fault(&f->q->base)) {
            return false;
        }
        g_usleep(1000);
    }
    g_assert_cmpint(xen_ring_requests(&f->tx), >=, n);
    return true;
}

static void wait_requests(Fixture *f, int n)
{
    g_assert_true(wait_requests_or_broken(f, n));
}

static void wait_counter(const uint64_t *counter, uint64_t n)
{
    for (unsigned i = 0; i < WAIT_MS && netif_counter(counter) < n; i++) {
        g_usleep(1000);
    }
    g_assert_cmpuint(netif_counter(counter), ==, n);
}

/* "broken" is set before main is told, and nothing else may change after it. */
static void wait_broken(Fixture *f, const char *reason)
{
    const char *broken = NULL;

    for (unsigned i = 0; i < WAIT_MS && !broken; i++) {
        broken = xen_queue_fault(&f->q->base);
        g_usleep(1000);
    }
    g_assert_cmpstr(broken, ==, reason);
}

static uint32_t tx_port(const Fixture *f)
{
    return f->q->base.port[0].port;
}

static uint32_t rx_port(const Fixture *f)
{
    return f->q->base.port[netfront_rx_port(f->q)].port;
}

static void push_responses(Fixture *f, XenRing *r)
{
    if (xen_ring_push_responses(r)) {
        fake_xen_raise(f->xen, r == &f->tx ? tx_port(f) : rx_port(f));
    }
}

static void answer(Fixture *f, uint16_t id, int16_t status)
{
    struct netif_tx_response rsp = { .id = id, .status = status };

    xen_ring_put_response(&f->tx, &rsp, sizeof(rsp));
}

/* A tx packet as a backend would put it together. */
typedef struct TxPacket {
    uint16_t flags;
    bool has_gso;
    struct netif_extra_info gso;
    unsigned n_ids;
    uint16_t ids[20];
    bool extra[20]; /* slot by slot, for the responses */
    uint32_t len;
    uint8_t data[PKT_MAX_LEN];
} TxPacket;

static void take_data(Fixture *f, TxPacket *p, const struct netif_tx_request *req, uint32_t at,
                      uint32_t len)
{
    bool writable;
    const uint8_t *page = fake_xen_page(f->xen, req->gref, &writable);

    g_assert_nonnull(page);
    g_assert_false(writable);
    g_assert_cmpuint(req->offset + len, <=, 4096);
    memcpy(p->data + at, page + req->offset, len);
}

static void take_packet(Fixture *f, TxPacket *p)
{
    Slot s, first;
    uint32_t rest = 0;
    bool more;

    memset(p, 0, offsetof(TxPacket, data));
    xen_ring_take_request(&f->tx, &first);
    p->flags = first.req.flags;
    p->len = first.req.size;
    p->ids[p->n_ids++] = first.req.id;
    if (p->flags & NETTXF_extra_info) {
        xen_ring_take_request(&f->tx, &s);
        g_assert_cmpuint(s.extra.type, ==, XEN_NETIF_EXTRA_TYPE_GSO);
        g_assert_cmpuint(s.extra.flags, ==, 0);
        p->gso = s.extra;
        p->has_gso = true;
        p->extra[p->n_ids++] = true;
    }
    more = p->flags & NETTXF_more_data;
    while (more) {
        xen_ring_take_request(&f->tx, &s);
        p->ids[p->n_ids++] = s.req.id;
        take_data(f, p, &s.req, 4096 + rest, s.req.size);
        rest += s.req.size;
        more = s.req.flags & NETTXF_more_data;
    }
    take_data(f, p, &first.req, 0, p->len - rest);
    g_assert_true(rest == 0 || p->len - rest == 4096);
}

static void answer_packet(Fixture *f, const TxPacket *p)
{
    for (unsigned i = 0; i < p->n_ids; i++) {
        answer(f, p->ids[i], p->extra[i] ? NETIF_RSP_NULL : NETIF_RSP_OKAY);
    }
}

static void give_frame(Fixture *f, const VifFrame *spec, uint16_t mss)
{
    vif_frame_give(f->nd, 0, spec, mss);
}

static void assert_frame(const VifFrame *spec, const uint8_t *data, uint32_t len)
{
    g_autofree uint8_t *want = g_malloc(PKT_MAX_LEN);

    g_assert_cmpmem(data, len, want, vif_frame_make(spec, want));
}

/* --- tx --- */

static void test_tx_small(void)
{
    VifFrame spec = { .payload = 100, .seed = 1 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 1);
    take_packet(&f, p);
    g_assert_cmpuint(p->flags, ==, 0);
    assert_frame(&spec, p->data, p->len);
    g_assert_cmpuint(fake_xen_notified(f.xen, tx_port(&f)), ==, 1);
    g_assert_cmpuint(netif_counter(&f.stats->tx.packets), ==, 1);
    g_assert_cmpuint(netif_counter(&f.stats->tx.bytes), ==, p->len);
    answer_packet(&f, p);
    push_responses(&f, &f.tx);
    fixture_down(&f);
}

static void test_tx_many_slots(void)
{
    VifFrame spec = { .payload = 9000, .seed = 2 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 3);
    take_packet(&f, p);
    g_assert_cmpuint(p->n_ids, ==, 3);
    g_assert_cmpuint(p->flags, ==, NETTXF_more_data);
    assert_frame(&spec, p->data, p->len);
    fixture_down(&f);
}

static void tx_gso(bool ipv6)
{
    VifFrame spec = { .ipv6 = ipv6, .csum_blank = true, .payload = 60000, .seed = 3 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 1400);
    wait_requests(&f, 16);
    take_packet(&f, p);
    g_assert_cmpuint(p->flags, ==, NETTXF_more_data | NETTXF_extra_info | NETTXF_csum_blank |
                                       NETTXF_data_validated);
    g_assert_true(p->has_gso);
    g_assert_cmpuint(p->gso.u.gso.size, ==, 1400);
    g_assert_cmpuint(p->gso.u.gso.type, ==,
                     ipv6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4);
    assert_frame(&spec, p->data, p->len);
    fixture_down(&f);
}

static void test_tx_gso4(void)
{
    tx_gso(false);
}

static void test_tx_gso6(void)
{
    tx_gso(true);
}

/* The backend takes no unfinished checksums: they come finished. */
static void test_tx_csum_completed(void)
{
    VifFrame specs[] = {
        { .csum_blank = true, .payload = 333, .seed = 4 },
        { .csum_blank = true, .ipv6 = true, .payload = 334, .seed = 5 },
        { .csum_blank = true, .udp = true, .payload = 335, .seed = 6 },
        { .csum_blank = true, .vlan = true, .payload = 336, .seed = 7 },
    };
    NetfrontPlan plan = plan_all;
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    plan.tx_offload = 0;
    fixture_up(&f, &plan);
    for (unsigned i = 0; i < G_N_ELEMENTS(specs); i++) {
        give_frame(&f, &specs[i], 0);
        wait_requests(&f, 1);
        take_packet(&f, p);
        g_assert_cmpuint(p->flags, ==, 0);
        g_assert_true(vif_frame_complete(&specs[i], p->data, p->len));
    }
    fixture_down(&f);
}

/* netif cannot say where a checksum starts: a VLAN tag means that we do it. */
static void test_tx_vlan_completed(void)
{
    VifFrame spec = { .csum_blank = true, .vlan = true, .payload = 200, .seed = 8 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 1);
    take_packet(&f, p);
    g_assert_cmpuint(p->flags, ==, 0);
    g_assert_true(vif_frame_complete(&spec, p->data, p->len));
    fixture_down(&f);
}

/* Takes the pieces of a GSO packet that was segmented, answers them. */
static void take_pieces(Fixture *f, const VifFrame *spec)
{
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    size_t done = 0;

    while (done < spec->payload) {
        wait_requests(f, 1);
        take_packet(f, p);
        g_assert_cmpuint(p->flags, ==, 0);
        g_assert_true(vif_frame_complete(spec, p->data, p->len));
        for (size_t i = vif_frame_headers(spec); i < p->len; i++) {
            g_assert_cmpuint(p->data[i], ==, vif_frame_byte(spec, done++));
        }
        answer_packet(f, p);
        push_responses(f, &f->tx);
    }
    g_assert_cmpuint(done, ==, spec->payload);
}

/* A GSO packet that the backend does not take is segmented, and each piece is complete. */
static void tx_cut(VifFrame spec, NetfrontPlan plan, unsigned rounds)
{
    Fixture f;

    spec.csum_blank = true;
    fixture_up(&f, &plan);
    for (unsigned r = 0; r < rounds; r++) {
        give_frame(&f, &spec, 1000);
    }
    for (unsigned r = 0; r < rounds; r++) {
        take_pieces(&f, &spec);
    }
    g_assert_cmpuint(netif_counter(&f.stats->tx.drop_full), ==, 0);
    g_assert_cmpuint(netif_counter(&f.stats->tx.drop_malformed), ==, 0);
    fixture_down(&f);
}

static void test_tx_cut_no_gso(void)
{
    NetfrontPlan plan = plan_all;

    plan.tx_offload = 0;
    plan.tx_max_len = NETFRONT_FRAME_MAX;
    tx_cut((VifFrame) { .payload = 60000, .seed = 9 }, plan, 1);
}

static void test_tx_cut_vlan(void)
{
    tx_cut((VifFrame) { .vlan = true, .ipv6 = true, .payload = 30500, .seed = 10 }, plan_all, 5);
}

/* 65,535 bytes are what a first slot can tell; a tap hands over 14 more. */
static void test_tx_cut_too_long(void)
{
    tx_cut((VifFrame) { .payload = 65535 - 40, .seed = 11 }, plan_all, 1);
}

/*
 * A packet to be segmented comes when the pool's end has room for a packet and not for the
 * pieces, while its beginning is free.
 */
static void test_tx_cut_at_pool_end(void)
{
    VifFrame whole = { .csum_blank = true, .payload = 60000, .seed = 13 };
    VifFrame gso = { .vlan = true, .csum_blank = true, .payload = 60000, .seed = 14 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    for (unsigned i = 0; i < 12; i++) {
        give_frame(&f, &whole, 1400);
        wait_requests(&f, 1);
        g_usleep(1000);
        take_packet(&f, p);
        if (i < 11) {
            answer_packet(&f, p);
        }
    }
    push_responses(&f, &f.tx);
    fake_xen_raise(f.xen, tx_port(&f));
    give_frame(&f, &gso, 600);
    g_usleep(QUIET_MS * 1000);
    answer_packet(&f, p); /* the last one in flight: no other answer will come */
    push_responses(&f, &f.tx);
    fake_xen_raise(f.xen, tx_port(&f));
    take_pieces(&f, &gso);
    g_assert_cmpuint(netif_counter(&f.stats->tx.drop_full), ==, 0);
    fixture_down(&f);
}

/*
 * Pieces fill the ring while the netdev may have more: there is nothing to do until the
 * backend answers, so the thread may sleep, and an event is asked for.
 */
static void test_tx_cut_fills_ring(void)
{
    VifFrame spec = { .vlan = true, .csum_blank = true, .payload = 12000, .seed = 15 };
    Fixture f;
    uint32_t asked;

    fixture_up_stopped(&f, &plan_all);
    for (unsigned i = 0; i < 3; i++) {
        spec.payload = i < 2 ? 12000 : 1800; /* 120, 120 and 18 pieces */
        give_frame(&f, &spec, 100);
        f.q->peer_ready = true;
        while (netfront_tx_poll(f.q)) {
            continue;
        }
    }
    g_assert_cmpuint(xen_ring_free_requests(&f.q->tx.ring), ==, 0);
    g_assert_true(f.q->peer_ready);
    g_assert_false(netfront_tx_arm(f.q));
    asked = f.q->tx.ring.page->rsp_event;
    g_assert_cmpuint(asked, >, 0);
    g_assert_cmpuint(asked, <=, 1 + NETFRONT_SLOTS / 2);
    fixture_down(&f);
}

/*
 * More packets than slots and pages, answered in reverse order: every byte arrives, so
 * no page was used again before its answer.
 */
static void test_tx_full_reverse(void)
{
    g_autofree TxPacket *pkts = g_new0(TxPacket, 256);
    unsigned seen = 0;
    Fixture f;

    fixture_up(&f, &plan_all);
    for (unsigned i = 0; i < 1000; i++) {
        VifFrame spec = { .payload = 20 + i * 7 % 6000, .seed = i };

        give_frame(&f, &spec, 0);
    }
    while (seen < 1000) {
        unsigned n = 0;

        wait_requests(&f, 1);
        g_usleep(2000);
        while (xen_ring_requests(&f.tx) > 0) {
            VifFrame spec = { .payload = 20 + seen * 7 % 6000, .seed = seen };

            take_packet(&f, &pkts[n]);
            assert_frame(&spec, pkts[n].data, pkts[n].len);
            n++;
            seen++;
        }
        while (n > 0) {
            answer_packet(&f, &pkts[--n]);
        }
        push_responses(&f, &f.tx);
    }
    wait_counter(&f.stats->tx.packets, 1000);
    g_assert_null(xen_queue_fault(&f.q->base));
    fixture_down(&f);
}

static void test_tx_error_counted(void)
{
    VifFrame spec = { .payload = 9000 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 3);
    take_packet(&f, p);
    for (unsigned i = 0; i < 3; i++) {
        answer(&f, p->ids[i], NETIF_RSP_ERROR);
    }
    push_responses(&f, &f.tx);
    fake_xen_raise(f.xen, tx_port(&f));
    wait_counter(&f.stats->tx.drop_peer, 1);
    fixture_down(&f);
}

static void tx_lie(uint16_t id_xor, int16_t status, unsigned copies, const char *reason)
{
    VifFrame spec = { .payload = 9000 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 3);
    take_packet(&f, p);
    for (unsigned i = 0; i < copies; i++) {
        answer(&f, p->ids[0] ^ id_xor, status);
    }
    xen_ring_push_responses(&f.tx);
    fake_xen_raise(f.xen, tx_port(&f));
    wait_broken(&f, reason);
    fixture_down(&f);
}

static void test_tx_lie_unknown_id(void)
{
    tx_lie(0x4000, NETIF_RSP_OKAY, 1, "tx response for a request that is not in flight");
}

static void test_tx_lie_idle_id(void)
{
    tx_lie(0x80, NETIF_RSP_OKAY, 1, "tx response for a request that is not in flight");
}

static void test_tx_lie_twice(void)
{
    tx_lie(0, NETIF_RSP_OKAY, 2, "tx response for a request that is not in flight");
}

static void test_tx_lie_null(void)
{
    tx_lie(0, NETIF_RSP_NULL, 1, "tx response for an extra that is not in flight");
}

/* An extra's answer is good for one: the second one would be a data slot's. */
static void test_tx_lie_null_twice(void)
{
    VifFrame spec = { .csum_blank = true, .payload = 9000, .seed = 12 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 1400);
    wait_requests(&f, 4);
    take_packet(&f, p);
    g_assert_true(p->extra[1]);
    answer(&f, p->ids[1], NETIF_RSP_NULL);
    xen_ring_push_responses(&f.tx);
    fake_xen_raise(f.xen, tx_port(&f));
    g_usleep(QUIET_MS * 1000);
    g_assert_null(xen_queue_fault(&f.q->base));
    answer(&f, p->ids[1], NETIF_RSP_NULL);
    xen_ring_push_responses(&f.tx);
    fake_xen_raise(f.xen, tx_port(&f));
    wait_broken(&f, "tx response for an extra that is not in flight");
    fixture_down(&f);
}

/*
 * One packet stays unanswered and all others get an extra's answer: slots come back but
 * no ids, which must not run out.
 */
static void test_tx_lie_null_on_and_on(void)
{
    VifFrame spec = { .payload = 100 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 1);
    take_packet(&f, p);
    give_frame(&f, &spec, 0);
    for (unsigned i = 0; i < 2 * NETFRONT_SLOTS; i++) {
        if (!wait_requests_or_broken(&f, 1)) {
            break;
        }
        take_packet(&f, p);
        give_frame(&f, &spec, 0);
        answer(&f, p->ids[0], NETIF_RSP_NULL);
        xen_ring_push_responses(&f.tx);
        fake_xen_raise(f.xen, tx_port(&f));
    }
    wait_broken(&f, "tx response for an extra that is not in flight");
    fixture_down(&f);
}

static void test_tx_lie_index(void)
{
    Fixture f;

    fixture_up(&f, &plan_all);
    __atomic_store_n(&f.tx.page->rsp_prod, 1, __ATOMIC_RELEASE);
    fake_xen_raise(f.xen, tx_port(&f));
    wait_broken(&f, "impossible tx response index");
    fixture_down(&f);
}

/* --- rx --- */

/* Fills the next posted slot. */
static void rx_slot(Fixture *f, uint16_t flags, uint16_t offset, int16_t status,
                    const uint8_t *data)
{
    struct netif_rx_request req;
    struct netif_rx_response rsp = { .flags = flags, .offset = offset, .status = status };
    uint8_t *page;
    bool writable;

    for (unsigned i = 0; i < WAIT_MS && xen_ring_requests(&f->rx) < 1; i++) {
        g_usleep(1000);
    }
    g_assert_cmpint(xen_ring_requests(&f->rx), >=, 1);
    xen_ring_take_request(&f->rx, &req);
    page = fake_xen_page(f->xen, req.gref, &writable);
    g_assert_true(writable);
    if (data) {
        memcpy(page + offset, data, (size_t)status);
    }
    rsp.id = req.id;
    xen_ring_put_response(&f->rx, &rsp, sizeof(rsp));
}

static void rx_extra(Fixture *f, const struct netif_extra_info *extra)
{
    struct netif_rx_request req;

    xen_ring_take_request(&f->rx, &req);
    xen_ring_put_response(&f->rx, extra, sizeof(*extra));
}

/* A frame in slots of @chunk bytes, with @extra behind the first one. */
static void rx_frame(Fixture *f, const VifFrame *spec, uint16_t flags, uint32_t chunk,
                     const struct netif_extra_info *extra)
{
    g_autofree uint8_t *data = g_malloc(PKT_MAX_LEN);
    uint32_t len = (uint32_t)vif_frame_make(spec, data);

    for (uint32_t at = 0; at < len; at += chunk) {
        uint32_t here = MIN(chunk, len - at);
        uint16_t more = at + here < len ? NETRXF_more_data : 0;
        uint16_t first = at == 0 ? flags | (extra ? NETRXF_extra_info : 0) : 0;

        rx_slot(f, more | first, chunk < 2048 ? 100 : 0, (int16_t)here, data + at);
        if (at == 0 && extra) {
            rx_extra(f, extra);
        }
    }
}

static void expect_frame(Fixture *f, const VifFrame *spec)
{
    g_autofree FakePkt *p = fake_netdev_take(f->nd, 0, WAIT_MS);

    g_assert_nonnull(p);
    assert_frame(spec, p->data, p->len);
}

/* Something went wrong before; the next packet gets through nevertheless. */
static void expect_alive(Fixture *f)
{
    VifFrame spec = { .payload = 77, .seed = 77 };

    rx_frame(f, &spec, 0, 4096, NULL);
    push_responses(f, &f->rx);
    expect_frame(f, &spec);
}

static void test_rx_small(void)
{
    VifFrame spec = { .payload = 64, .seed = 20 };
    g_autofree FakePkt *p = NULL;
    Fixture f;

    fixture_up(&f, &plan_all);
    rx_frame(&f, &spec, NETRXF_data_validated, 4096, NULL);
    push_responses(&f, &f.rx);
    p = fake_netdev_take(f.nd, 0, WAIT_MS);
    g_assert_nonnull(p);
    g_assert_cmpuint(p->hdr.flags, ==, VIRTIO_NET_HDR_F_DATA_VALID);
    assert_frame(&spec, p->data, p->len);
    fixture_down(&f);
}

static void test_rx_chunks(void)
{
    static const uint32_t chunks[] = { 54, 700, 1500, 4096 };
    Fixture f;

    fixture_up(&f, &plan_all);
    for (unsigned i = 0; i < G_N_ELEMENTS(chunks); i++) {
        VifFrame spec = { .payload = chunks[i] * 17 - 60, .seed = 21 + i };

        spec.payload = MIN(spec.payload, 65000);
        rx_frame(&f, &spec, 0, chunks[i], NULL);
        push_responses(&f, &f.rx);
        expect_frame(&f, &spec);
    }
    fixture_down(&f);
}

static void test_rx_csum_blank(void)
{
    VifFrame spec = { .udp = true, .csum_blank = true, .payload = 900, .seed = 30 };
    g_autofree FakePkt *p = NULL;
    Fixture f;

    fixture_up(&f, &plan_all);
    rx_frame(&f, &spec, NETRXF_csum_blank | NETRXF_data_validated, 4096, NULL);
    push_responses(&f, &f.rx);
    p = fake_netdev_take(f.nd, 0, WAIT_MS);
    g_assert_nonnull(p);
    g_assert_cmpuint(p->hdr.flags, ==, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    g_assert_cmpuint(p->hdr.csum_start, ==, 34);
    g_assert_cmpuint(p->hdr.csum_offset, ==, 6);
    assert_frame(&spec, p->data, p->len);
    fixture_down(&f);
}

static void test_rx_gso(void)
{
    VifFrame spec = { .csum_blank = true, .payload = 60000, .seed = 31 };
    struct netif_extra_info gso = {
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = { .size = 1448, .type = XEN_NETIF_GSO_TYPE_TCPV4 },
    };
    g_autofree FakePkt *p = NULL;
    Fixture f;

    fixture_up(&f, &plan_all);
    rx_frame(&f, &spec, NETRXF_csum_blank | NETRXF_data_validated, 4096, &gso);
    push_responses(&f, &f.rx);
    p = fake_netdev_take(f.nd, 0, WAIT_MS);
    g_assert_nonnull(p);
    g_assert_cmpuint(p->hdr.gso_type, ==, VIRTIO_NET_HDR_GSO_TCPV4);
    g_assert_cmpuint(p->hdr.gso_size, ==, 1448);
    g_assert_cmpuint(p->hdr.hdr_len, ==, 54);
    g_assert_cmpuint(p->len, ==, 60054);
    fixture_down(&f);
}

static void test_rx_hash_skipped(void)
{
    VifFrame spec = { .payload = 5000, .seed = 32 };
    struct netif_extra_info hash = { .type = XEN_NETIF_EXTRA_TYPE_HASH };
    Fixture f;

    fixture_up(&f, &plan_all);
    rx_frame(&f, &spec, 0, 4096, &hash);
    push_responses(&f, &f.rx);
    expect_frame(&f, &spec);
    fixture_down(&f);
}

/* One bad packet: dropped and counted, and the next one arrives. */
static void rx_bad(void (*make)(Fixture *f))
{
    Fixture f;

    fixture_up(&f, &plan_all);
    make(&f);
    push_responses(&f, &f.rx);
    wait_counter(&f.stats->rx.drop_malformed, 1);
    expect_alive(&f);
    fixture_down(&f);
}

static void make_crossing(Fixture *f)
{
    rx_slot(f, 0, 4000, 97, NULL);
}

static void make_short(Fixture *f)
{
    rx_slot(f, NETRXF_more_data, 0, 13, NULL);
    rx_slot(f, 0, 0, 100, NULL);
}

static void make_failed(Fixture *f)
{
    rx_slot(f, NETRXF_more_data, 0, 4096, NULL);
    rx_slot(f, 0, 0, NETIF_RSP_ERROR, NULL);
}

static void make_19_slots(Fixture *f)
{
    for (unsigned i = 0; i < 19; i++) {
        rx_slot(f, i < 18 ? NETRXF_more_data : 0, 0, 100, NULL);
    }
}

static void make_too_long(Fixture *f)
{
    for (unsigned i = 0; i < 17; i++) {
        rx_slot(f, i < 16 ? NETRXF_more_data : 0, 0, 4096, NULL);
    }
}

static void make_unknown_extra(Fixture *f)
{
    static const struct netif_extra_info extra = { .type = 99 };
    VifFrame spec = { .payload = 100 };

    rx_frame(f, &spec, 0, 4096, &extra);
}

static void make_gso_of_udp(Fixture *f)
{
    static const struct netif_extra_info gso = {
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = { .size = 1448, .type = XEN_NETIF_GSO_TYPE_TCPV4 },
    };
    VifFrame spec = { .udp = true, .payload = 5000 };

    rx_frame(f, &spec, 0, 4096, &gso);
}

static void make_foreign_id(Fixture *f)
{
    struct netif_rx_request req;
    struct netif_rx_response rsp = { .status = 100 };

    xen_ring_take_request(&f->rx, &req);
    rsp.id = req.id ^ 1;
    xen_ring_put_response(&f->rx, &rsp, sizeof(rsp));
}

static void test_rx_bad(gconstpointer make)
{
    void (*fn)(Fixture *f);

    memcpy(&fn, make, sizeof(fn));
    rx_bad(fn);
}

/* A packet may come in pieces; its slots are not given back before the last one. */
static void test_rx_in_rounds(void)
{
    VifFrame before = { .payload = 40, .seed = 40 };
    VifFrame spec = { .payload = 12000, .seed = 41 };
    g_autofree uint8_t *data = g_malloc(PKT_MAX_LEN);
    uint32_t len = (uint32_t)vif_frame_make(&spec, data);
    Fixture f;

    fixture_up(&f, &plan_all);
    rx_frame(&f, &before, 0, 4096, NULL);
    rx_slot(&f, NETRXF_more_data, 0, 4096, data);
    push_responses(&f, &f.rx);
    expect_frame(&f, &before);
    rx_slot(&f, NETRXF_more_data, 0, 4096, data + 4096);
    push_responses(&f, &f.rx);
    g_assert_null(fake_netdev_take(f.nd, 0, QUIET_MS));
    g_assert_cmpuint(__atomic_load_n(&f.rx.page->req_prod, __ATOMIC_ACQUIRE), ==, 257);
    rx_slot(&f, 0, 0, (int16_t)(len - 8192), data + 8192);
    push_responses(&f, &f.rx);
    expect_frame(&f, &spec);
    expect_alive(&f);
    fixture_down(&f);
}

/* A packet that never ends holds no slots for ever. */
static void test_rx_endless(void)
{
    Fixture f;

    fixture_up(&f, &plan_all);
    for (unsigned i = 0; i < 1000; i++) {
        rx_slot(&f, NETRXF_more_data, 0, 100, NULL);
        push_responses(&f, &f.rx);
    }
    rx_slot(&f, 0, 0, 100, NULL);
    push_responses(&f, &f.rx);
    wait_counter(&f.stats->rx.drop_malformed, 1);
    expect_alive(&f);
    fixture_down(&f);
}

static void test_rx_lie_index(void)
{
    Fixture f;

    fixture_up(&f, &plan_all);
    __atomic_store_n(&f.rx.page->rsp_prod, 257, __ATOMIC_RELEASE);
    fake_xen_raise(f.xen, rx_port(&f));
    wait_broken(&f, "impossible rx response index");
    fixture_down(&f);
}

static void test_rx_stream(void)
{
    Fixture f;

    fixture_up(&f, &plan_all);
    for (unsigned i = 0; i < 3000; i++) {
        VifFrame spec = { .payload = 20 + i * 13 % 9000, .seed = i };

        rx_frame(&f, &spec, 0, 4096, NULL);
        if (i % 10 == 9) {
            push_responses(&f, &f.rx);
        }
        if (i >= 10) {
            spec = (VifFrame) { .payload = 20 + (i - 10) * 13 % 9000, .seed = i - 10 };
            expect_frame(&f, &spec);
        }
    }
    fixture_down(&f);
}

/* --- events and resources --- */

static void test_single_event_channel(void)
{
    NetfrontPlan plan = plan_all;
    VifFrame spec = { .payload = 100, .seed = 50 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    plan.split = false;
    fixture_up(&f, &plan);
    g_assert_cmpuint(f.q->base.n_ports, ==, 1);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 1);
    take_packet(&f, p);
    answer_packet(&f, p);
    push_responses(&f, &f.tx);
    expect_alive(&f);
    fixture_down(&f);
}

/* Nobody waits for tx responses while there is room: no event is asked for. */
static void test_no_event_for_tx_response(void)
{
    VifFrame spec = { .payload = 100, .seed = 51 };
    g_autofree TxPacket *p = g_new0(TxPacket, 1);
    Fixture f;

    fixture_up(&f, &plan_all);
    give_frame(&f, &spec, 0);
    wait_requests(&f, 1);
    take_packet(&f, p);
    g_usleep(20000);
    answer_packet(&f, p);
    g_assert_false(xen_ring_push_responses(&f.tx));
    fixture_down(&f);
}

static void test_no_grants_left(void)
{
    g_autoptr(GError) error = NULL;
    Fixture f;

    fixture_up(&f, &plan_all);
    fake_xen_set_limit(f.xen, fake_xen_n_granted(f.xen) + 300);
    g_assert_null(netfront_queue_new(&f.nf, 0, &plan_all, &error));
    g_assert_cmpstr(error->message, ==,
                    "cannot share 256 pages of queue 0 with domain 0: No space left on device "
                    "(the grant table is full)");
    fixture_down(&f);
}

/* Pages that the backend still maps are freed a little later. */
static void test_busy_pages(void)
{
    Fixture f;

    fixture_up(&f, &plan_all);
    fake_xen_set_busy(f.xen, 7);
    netfront_queue_free(g_steal_pointer(&f.q));
    g_assert_cmpuint(fake_xen_n_granted(f.xen), >, 0);
    for (unsigned i = 0; i < 100 && fake_xen_n_granted(f.xen) > 0; i++) {
        g_main_context_iteration(NULL, true);
    }
    g_assert_cmpuint(f.nf.bus.pages_timer, ==, 0);
    fixture_down(&f);
}

#define ADD_BAD(name)                                                              \
    do {                                                                           \
        static void (*const fn)(Fixture *f) = make_##name;                         \
        g_test_add_data_func("/netfront-queue/rx/bad/" #name, &fn, test_rx_bad);   \
    } while (0)

static void add_tx(void)
{
    g_test_add_func("/netfront-queue/tx/small", test_tx_small);
    g_test_add_func("/netfront-queue/tx/many-slots", test_tx_many_slots);
    g_test_add_func("/netfront-queue/tx/gso4", test_tx_gso4);
    g_test_add_func("/netfront-queue/tx/gso6", test_tx_gso6);
    g_test_add_func("/netfront-queue/tx/csum-completed", test_tx_csum_completed);
    g_test_add_func("/netfront-queue/tx/vlan-completed", test_tx_vlan_completed);
    g_test_add_func("/netfront-queue/tx/segment-no-gso", test_tx_cut_no_gso);
    g_test_add_func("/netfront-queue/tx/segment-vlan", test_tx_cut_vlan);
    g_test_add_func("/netfront-queue/tx/segment-too-long", test_tx_cut_too_long);
    g_test_add_func("/netfront-queue/tx/segment-at-pool-end", test_tx_cut_at_pool_end);
    g_test_add_func("/netfront-queue/tx/segment-fills-ring", test_tx_cut_fills_ring);
    g_test_add_func("/netfront-queue/tx/full-reverse", test_tx_full_reverse);
    g_test_add_func("/netfront-queue/tx/error-counted", test_tx_error_counted);
    g_test_add_func("/netfront-queue/tx/lie/unknown-id", test_tx_lie_unknown_id);
    g_test_add_func("/netfront-queue/tx/lie/idle-id", test_tx_lie_idle_id);
    g_test_add_func("/netfront-queue/tx/lie/twice", test_tx_lie_twice);
    g_test_add_func("/netfront-queue/tx/lie/null", test_tx_lie_null);
    g_test_add_func("/netfront-queue/tx/lie/null-twice", test_tx_lie_null_twice);
    g_test_add_func("/netfront-queue/tx/lie/null-on-and-on", test_tx_lie_null_on_and_on);
    g_test_add_func("/netfront-queue/tx/lie/index", test_tx_lie_index);
}

static void add_rx(void)
{
    g_test_add_func("/netfront-queue/rx/small", test_rx_small);
    g_test_add_func("/netfront-queue/rx/chunks", test_rx_chunks);
    g_test_add_func("/netfront-queue/rx/csum-blank", test_rx_csum_blank);
    g_test_add_func("/netfront-queue/rx/gso", test_rx_gso);
    g_test_add_func("/netfront-queue/rx/hash-skipped", test_rx_hash_skipped);
    ADD_BAD(crossing);
    ADD_BAD(short);
    ADD_BAD(failed);
    ADD_BAD(19_slots);
    ADD_BAD(too_long);
    ADD_BAD(unknown_extra);
    ADD_BAD(gso_of_udp);
    ADD_BAD(foreign_id);
    g_test_add_func("/netfront-queue/rx/in-rounds", test_rx_in_rounds);
    g_test_add_func("/netfront-queue/rx/endless", test_rx_endless);
    g_test_add_func("/netfront-queue/rx/lie/index", test_rx_lie_index);
    g_test_add_func("/netfront-queue/rx/stream", test_rx_stream);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_tx();
    add_rx();
    g_test_add_func("/netfront-queue/single-event-channel", test_single_event_channel);
    g_test_add_func("/netfront-queue/no-event-for-tx-response", test_no_event_for_tx_response);
    g_test_add_func("/netfront-queue/no-grants-left", test_no_grants_left);
    g_test_add_func("/netfront-queue/busy-pages", test_busy_pages);
    return g_test_run();
}
