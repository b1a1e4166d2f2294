/*
 * Guest to guest: what goes there without the netdev, what does not, and who pays for what.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <netinet/ether.h>

#include "fake-netdev.h"
#include "vif-frames.h"
#include "vif-raw.h"
#include "xen-netback-direct.h"
#include "xenemu.h"

typedef struct Pair {
    Vif a;
    Vif b;
    uint8_t mac_a[6];
    uint8_t mac_b[6];
} Pair;

/* A guest's trick between the fetching of the head and the copy. */
typedef struct Trick {
    XenOps ops;
    const XenOps *real;
    struct Hand *hand;
    void (*play)(struct Hand *h); /* atomic; NULL: none */
} Trick;

static Trick trick;

static int trick_copy(XenGnttab *g, uint16_t from, uint16_t to, XenCopyBetween *seg, unsigned n)
{
    void (*play)(struct Hand *h) = __atomic_load_n(&trick.play, __ATOMIC_ACQUIRE);

    if (play) {
        play(trick.hand);
    }
    return trick.real->gnttab_copy_between(g, from, to, seg, n);
}

/* Before there is a thread. */
static void trick_install(Xen *xen)
{
    trick = (Trick) { .ops = *xen->ops, .real = xen->ops };
    trick.ops.gnttab_copy_between = trick_copy;
    xen->ops = &trick.ops;
}

static void read_mac(Vif *v, uint8_t *ret_mac)
{
    g_autofree char *text = vif_read(v, v->be, "mac");
    struct ether_addr a;

    g_assert_nonnull(ether_aton_r(text, &a));
    memcpy(ret_mac, a.ether_addr_octet, 6);
}

static void direct_connect(Vif *v, const NetfrontConfig *config)
{
    NetfrontConfig all = vif_front_config();

    v->direct = true;
    vif_connect(v, config ? config : &all);
}

static void pair_up(Pair *p, unsigned queues_a, unsigned queues_b, const NetfrontConfig *config_b)
{
    *p = (Pair) { 0 };
    vif_up(&p->a, fake_netdev_new(queues_a, true), fake_netdev_new(queues_a, true));
    trick_install(p->a.host);
    vif_up_beside(&p->b, &p->a, fake_netdev_new(queues_b, true), fake_netdev_new(queues_b, true));
    direct_connect(&p->a, NULL);
    direct_connect(&p->b, config_b);
    read_mac(&p->a, p->mac_a);
    read_mac(&p->b, p->mac_b);
}

static void pair_down(Pair *p)
{
    vif_down(&p->b);
    vif_down(&p->a);
}

static uint64_t sum(const Vif *v, size_t offset)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < v->nb->max_queues; i++) {
        n += netif_counter((const void *)((const char *)&v->nb->stats[i] + offset));
    }
    return n;
}

#define COUNTER(v, dir, name) sum(v, offsetof(NetifQueueStats, dir.name))

static void a_to_b(Pair *p, VifFrame f, uint16_t mss)
{
    uint64_t direct = COUNTER(&p->a, tx, direct);

    f.to = p->mac_b;
    f.from = p->mac_a;
    vif_frame_give(p->a.front_dev, 0, &f, mss);
    vif_frame_expect(p->b.front_dev, 0, &f, mss);
    VIF_WAIT(COUNTER(&p->a, tx, direct) == direct + 1);
}

/* Packets of all forms, both ways; nothing of it gets into our memory but the heads. */
static void test_goes_directly(void)
{
    unsigned n = 0;
    Pair p;

    pair_up(&p, 1, 1, NULL);
    for (unsigned i = 0; i < 64; i++) {
        bool gso = i & 1;
        VifFrame f = { .csum_blank = i & 3, .udp = (i & 3) == 2, .ipv6 = i & 4, .seed = i,
                       .payload = gso ? 1500 + i * 1000 : 1 + i * 22 };

        a_to_b(&p, f, gso ? 1448 : 0);
        f.to = p.mac_a;
        f.from = p.mac_b;
        vif_frame_give(p.b.front_dev, 0, &f, gso ? 1448 : 0);
        vif_frame_expect(p.a.front_dev, 0, &f, gso ? 1448 : 0);
        n++;
    }
    VIF_WAIT(COUNTER(&p.a, tx, direct) == n);
    VIF_WAIT(COUNTER(&p.a, rx, direct) == n);
    VIF_WAIT(COUNTER(&p.b, tx, direct) == n);
    VIF_WAIT(COUNTER(&p.b, rx, direct) == n);
    VIF_WAIT(COUNTER(&p.a, tx, packets) == n);
    VIF_WAIT(COUNTER(&p.b, rx, packets) == n);
    VIF_WAIT(COUNTER(&p.a, tx, bytes) == COUNTER(&p.b, rx, bytes));
    g_assert_null(fake_netdev_take(p.a.back_dev, 0, 0));
    g_assert_null(fake_netdev_take(p.b.back_dev, 0, 0));
    pair_down(&p);
}

/* The netdev has what is left: for the bridge, or for more work than a copy. */
static void to_netdev(Pair *p, const char *what, VifFrame f, uint16_t mss)
{
    uint64_t direct = COUNTER(&p->a, tx, direct);

    g_test_message("%s", what);
    vif_frame_give(p->a.front_dev, 0, &f, mss);
    vif_frame_expect(p->a.back_dev, 0, &f, mss);
    VIF_WAIT(COUNTER(&p->a, tx, direct) == direct);
}

static void test_others_go_by_the_netdev(void)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    static const uint8_t unknown[6] = { 2, 0, 0, 0, 0, 9 };
    VifFrame f = { .payload = 500 };
    Pair p;

    pair_up(&p, 1, 1, NULL);
    f.from = p.mac_a;
    f.to = broadcast;
    to_netdev(&p, "broadcast", f, 0);
    f.to = unknown;
    to_netdev(&p, "unknown", f, 0);
    f.to = p.mac_a;
    to_netdev(&p, "itself", f, 0);
    f.to = p.mac_b;
    f.from = unknown;
    to_netdev(&p, "from another one than itself", f, 0);
    f.from = p.mac_a;
    f.payload = 1600;
    to_netdev(&p, "larger than the MTU", f, 0);
    f.payload = 500;
    f.vlan = true;
    a_to_b(&p, f, 0);
    f.vlan = false;
    f.payload = 1500 + 4 - 40; /* a bridge has room for a tag */
    a_to_b(&p, f, 0);
    VIF_WAIT(COUNTER(&p.a, tx, direct) == 2);
    g_assert_null(fake_netdev_take(p.b.front_dev, 0, 0));
    pair_down(&p);
}

static void test_receiver_can_do_less(void)
{
    NetfrontConfig plain = vif_front_config();
    VifFrame f = { .payload = 500 };
    Pair p;

    plain.sg = plain.gso = plain.csum = plain.ipv6_csum = false;
    pair_up(&p, 1, 1, &plain);
    a_to_b(&p, f, 0);
    f.to = p.mac_b;
    f.from = p.mac_a;
    f.csum_blank = true;
    to_netdev(&p, "a checksum to do", f, 0);
    f.payload = 3000;
    to_netdev(&p, "segments to make", f, 1000);
    pair_down(&p);
}

static void test_queues(void)
{
    VifFrame f = { .payload = 200 };
    Pair p;

    pair_up(&p, 4, 2, NULL);
    f.to = p.mac_b;
    f.from = p.mac_a;
    for (unsigned i = 0; i < 4; i++) {
        f.seed = i;
        vif_frame_give(p.a.front_dev, i, &f, 0);
        vif_frame_expect(p.b.front_dev, i % 2, &f, 0);
    }
    VIF_WAIT(netif_counter(&p.b.nb->stats[0].rx.direct) == 2);
    VIF_WAIT(netif_counter(&p.b.nb->stats[1].rx.direct) == 2);
    pair_down(&p);
}

static void test_who_takes_part(void)
{
    VifFrame f = { .payload = 200 };
    Vif other = { 0 };
    Pair p;

    pair_up(&p, 1, 1, NULL);
    f.to = p.mac_b;
    f.from = p.mac_a;
    netback_pause(p.b.nb, true);
    to_netdev(&p, "paused", f, 0);
    netback_pause(p.b.nb, false);
    a_to_b(&p, f, 0);
    netdev_set_link(p.b.back_dev, false);
    to_netdev(&p, "no link", f, 0);
    netdev_set_link(p.b.back_dev, true);
    a_to_b(&p, f, 0);
    netdev_set_link(p.a.back_dev, false);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(COUNTER(&p.a, tx, drop_peer) == 1);
    netdev_set_link(p.a.back_dev, true);
    a_to_b(&p, f, 0);
    vif_front_close(&p.b);
    to_netdev(&p, "no guest", f, 0);
    vif_back_close(&p.b);
    to_netdev(&p, "no vif", f, 0);
    direct_connect(&p.b, NULL);
    a_to_b(&p, f, 0);

    vif_up_beside(&other, &p.a, fake_netdev_new(1, true), fake_netdev_new(1, true));
    other.mac = p.b.nb->mac;
    direct_connect(&other, NULL);
    to_netdev(&p, "two have the MAC", f, 0);
    vif_down(&other);
    a_to_b(&p, f, 0);
    pair_down(&p);
}

/* direct=on is the vif's own word, for both directions. */
static void test_off(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame f = { .payload = 200 };
    Pair p;

    pair_up(&p, 1, 1, NULL);
    vif_back_close(&p.b);
    vif_front_close(&p.b);
    p.b.direct = false;
    vif_connect(&p.b, &config);
    f.to = p.mac_b;
    f.from = p.mac_a;
    to_netdev(&p, "the receiver has it off", f, 0);
    f.to = p.mac_a;
    f.from = p.mac_b;
    vif_frame_give(p.b.front_dev, 0, &f, 0);
    vif_frame_expect(p.b.back_dev, 0, &f, 0);
    pair_down(&p);
}

/* --- guests by hand --- */

#define HAND_PAGES 16u

typedef struct Hand {
    Raw r;
    XenRing tx;
    XenRing rx;
    uint8_t *pages;
    uint32_t refs[HAND_PAGES];
    uint8_t mac[6];
} Hand;

static void hand_connect(Hand *h)
{
    unsigned n = h->r.v.back.connected;

    raw_state(&h->r, XenbusStateInitialising);
    VIF_WAIT(h->r.v.nb->bus.state == XenbusStateInitWait);
    xen_ring_init_front(&h->tx, h->r.rings[0], 1, sizeof(netif_tx_request_t));
    xen_ring_init_front(&h->rx, (uint8_t *)h->r.rings[0] + XEN_PAGE_SIZE, 1,
                        sizeof(netif_rx_request_t));
    raw_state(&h->r, XenbusStateConnected);
    VIF_WAIT(h->r.v.back.connected == n + 1);
}

static void hand_up(Hand *h, const Vif *first)
{
    XenStore *s;

    *h = (Hand) { 0 };
    vif_up_beside(&h->r.v, first, fake_netdev_new(1, true), fake_netdev_new(1, true));
    h->r.v.direct = true;
    vif_back_start(&h->r.v);
    raw_make(&h->r, true);
    s = h->r.v.guest_store;
    g_assert_true(xen_store_printf(s, 0, h->r.v.fe, "feature-sg", "1"));
    g_assert_true(xen_store_printf(s, 0, h->r.v.fe, "feature-gso-tcpv4", "1"));
    h->pages = h->r.ops->share_alloc(h->r.share, 0, HAND_PAGES, true, h->refs);
    g_assert_nonnull(h->pages);
    read_mac(&h->r.v, h->mac);
    hand_connect(h);
}

static void hand_down(Hand *h)
{
    raw_state(&h->r, XenbusStateClosed);
    VIF_WAIT(h->r.v.back.disconnected == h->r.v.back.connected);
    g_assert_cmpint(h->r.ops->share_free(h->r.share, h->pages, HAND_PAGES), ==, 0);
    raw_free(&h->r);
}

/* Two guests with netfront, and one by hand. */
static void hands_up(Pair *p, Hand *h)
{
    pair_up(p, 1, 1, NULL);
    hand_up(h, &p->a);
}

static void hands_down(Pair *p, Hand *h)
{
    hand_down(h);
    pair_down(p);
}

static uint8_t *hand_page(Hand *h, unsigned i)
{
    return h->pages + i * XEN_PAGE_SIZE;
}

static void hand_push_tx(Hand *h)
{
    xen_ring_push_requests(&h->tx);
    h->r.ops->evtchn_notify(h->r.evtchn, h->r.tx_port[0]);
}

/* A frame in one page; not pushed. @ref: instead of the page's. */
static void hand_put_tx(Hand *h, unsigned page, const VifFrame *f, const uint32_t *ref)
{
    netif_tx_request_t req = {
        .gref = ref ? *ref : h->refs[page],
        .flags = f->csum_blank ? NETTXF_csum_blank | NETTXF_data_validated : 0,
        .id = (uint16_t)page,
        .size = (uint16_t)vif_frame_make(f, hand_page(h, page)),
    };

    xen_ring_put_request(&h->tx, &req);
}

/* In @n slots of @size bytes, and the rest in the first one. */
static void hand_put_tx_slots(Hand *h, const VifFrame *f, unsigned n, unsigned size)
{
    g_autofree uint8_t *frame = g_malloc(PKT_MAX_LEN);
    size_t len = vif_frame_make(f, frame);
    size_t first = len - (n - 1) * size, at = 0;

    for (unsigned i = 0; i < n; i++) {
        size_t part = i > 0 ? size : first;
        netif_tx_request_t req = {
            .gref = h->refs[i / 4],
            .offset = (uint16_t)(i % 4 * 1000),
            .size = (uint16_t)(i > 0 ? part : len),
            .flags = i + 1 < n ? NETTXF_more_data : 0,
        };

        g_assert_cmpuint(part, <=, 1000);
        memcpy(hand_page(h, i / 4) + req.offset, frame + at, part);
        at += part;
        xen_ring_put_request(&h->tx, &req);
    }
    hand_push_tx(h);
}

static int hand_tx_status(Hand *h)
{
    netif_tx_response_t rsp;

    VIF_WAIT(xen_ring_responses(&h->tx) > 0);
    xen_ring_take_response(&h->tx, &rsp, sizeof(rsp));
    return rsp.status;
}

/* Slots, from page 8 on; no event. */
static void hand_post_quietly(Hand *h, unsigned n, const uint32_t *ref)
{
    for (unsigned i = 0; i < n; i++) {
        netif_rx_request_t req = { .id = (uint16_t)(h->rx.prod & 255),
                                   .gref = ref ? *ref : h->refs[8 + h->rx.prod % 8] };

        xen_ring_put_request(&h->rx, &req);
    }
    xen_ring_push_requests(&h->rx);
}

static void hand_post(Hand *h, unsigned n, const uint32_t *ref)
{
    hand_post_quietly(h, n, ref);
    h->r.ops->evtchn_notify(h->r.evtchn, h->r.rx_port[0]);
}

/* The next packet, of one slot. */
static void hand_expect(Hand *h, const VifFrame *f)
{
    g_autofree uint8_t *wanted = g_malloc(PKT_MAX_LEN);
    size_t len = vif_frame_make(f, wanted);
    unsigned index = h->rx.cons;
    netif_rx_response_t rsp;

    VIF_WAIT(xen_ring_responses(&h->rx) > 0);
    xen_ring_take_response(&h->rx, &rsp, sizeof(rsp));
    g_assert_cmpuint(rsp.id, ==, index & 255);
    g_assert_cmpint(rsp.status, ==, len);
    g_assert_cmpmem(hand_page(h, 8 + index % 8) + rsp.offset, len, wanted, len);
}

typedef struct Patience {
    NetbackQueue *q;
    const uint8_t *mac;
    uint64_t set; /* 0: it stays */
    uint64_t is;
} Patience;

static void patience_look(void *opaque)
{
    Patience *p = opaque;
    DirectBatch *d = p->q->direct;
    DirectPeer *peer = &d->peer[netback_direct_find(d->table, direct_mac(p->mac))];

    p->is = peer->patience;
    peer->patience = p->set ? p->set : peer->patience;
}

/* That of the queue 0 of @v with @mac; what it was. */
static uint64_t patience(Vif *v, const uint8_t *mac, uint64_t set)
{
    Patience p = { v->nb->queue[0], mac, set, 0 };

    io_thread_call(p.q->base.thread, patience_look, &p);
    return p.is;
}

/* A receiver that takes nothing costs those that send to it nothing. */
static void test_no_slots(void)
{
    VifFrame f = { .payload = 300 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    f.from = p.mac_a;
    hand_post(&h, 3, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        f.seed = i;
        f.to = h.mac;
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        f.to = p.mac_b;
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        vif_frame_expect(p.b.front_dev, 0, &f, 0);
    }
    for (f.seed = 0; f.seed < 3; f.seed++) {
        f.to = h.mac;
        hand_expect(&h, &f);
    }
    VIF_WAIT(COUNTER(&h.r.v, rx, drop_full) == 997);
    g_assert_cmpuint(patience(&p.a, h.mac, 0), ==, 0); /* it was waited for, and is not any more */
    g_assert_null(fake_netdev_take(p.a.back_dev, 0, 0));
    hand_post(&h, 1, NULL);
    f.seed = 1;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    VIF_WAIT(COUNTER(&h.r.v, rx, direct) == 4);
    g_assert_cmpuint(patience(&p.a, h.mac, 0), ==, DIRECT_PER_SLOT_NS);
    hands_down(&p, &h);
}

/* A GSO packet takes a slot more, and nobody overtakes it. */
static void test_gso_slot(void)
{
    VifFrame f = { .payload = 3000, .csum_blank = true }, small = { .payload = 100 };
    netif_rx_response_t rsp;
    Hand h;
    Pair p;

    hands_up(&p, &h);
    f.from = small.from = p.mac_a;
    f.to = small.to = h.mac;
    hand_post(&h, 1, NULL);
    patience(&p.a, h.mac, UINT64_MAX / 2);
    vif_frame_give(p.a.front_dev, 0, &f, 1000);
    vif_frame_give(p.a.front_dev, 0, &small, 0);
    VIF_WAIT(patience(&p.a, h.mac, 0) < UINT64_MAX / 2);
    g_assert_cmpint(xen_ring_responses(&h.rx), ==, 0);
    hand_post(&h, 2, NULL);
    VIF_WAIT(xen_ring_responses(&h.rx) == 3);
    xen_ring_take_response(&h.rx, &rsp, sizeof(rsp));
    g_assert_cmpint(rsp.status, ==, vif_frame_headers(&f) + f.payload);
    g_assert_cmpuint(rsp.flags & NETRXF_extra_info, !=, 0);
    xen_ring_take_response(&h.rx, &rsp, sizeof(rsp));
    hand_expect(&h, &small);

    patience(&p.a, h.mac, 1); /* and without its slot it is no packet */
    hand_post(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 1000);
    VIF_WAIT(COUNTER(&h.r.v, rx, drop_full) == 1);
    g_assert_cmpint(xen_ring_responses(&h.rx), ==, 0);
    hands_down(&p, &h);
}

/* Slots that come in time: nothing is lost, and all of it in order. */
static void test_slots_come_later(void)
{
    VifFrame f = { .payload = 300 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    f.from = p.mac_a;
    f.to = h.mac;
    for (unsigned round = 0; round < 20; round++) {
        /* which is all the time that there is, however slow this machine is */
        patience(&p.a, h.mac, UINT64_MAX / 2);
        for (f.seed = 0; f.seed < 8; f.seed++) {
            vif_frame_give(p.a.front_dev, 0, &f, 0);
        }
        VIF_WAIT(patience(&p.a, h.mac, 0) < UINT64_MAX / 2); /* it waits */
        hand_post(&h, 8, NULL);
        for (f.seed = 0; f.seed < 8; f.seed++) {
            hand_expect(&h, &f);
        }
    }
    VIF_WAIT(COUNTER(&h.r.v, rx, direct) == 160);
    VIF_WAIT(COUNTER(&h.r.v, rx, drop_full) == 0);
    hands_down(&p, &h);
}

/* What its own netdev has waits for slots: these are not for others. */
static void test_netdev_comes_first(void)
{
    VifFrame big = { .payload = 9000, .csum_blank = true }, f = { .payload = 300 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    hand_post(&h, 1, NULL);
    vif_frame_give(h.r.v.back_dev, 0, &big, 1000);
    VIF_WAIT(fake_netdev_unread(h.r.v.back_dev, 0) == 0 &&
             __atomic_load_n(&h.rx.page->req_event, __ATOMIC_RELAXED) > 1);
    hand_post_quietly(&h, 3, NULL); /* of the 4 that it needs, with its GSO extra */
    f.from = p.mac_a;
    f.to = h.mac;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(COUNTER(&h.r.v, rx, drop_full) == 1);
    hand_post_quietly(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0); /* the fifth */
    h.r.ops->evtchn_notify(h.r.evtchn, h.r.rx_port[0]);
    VIF_WAIT(xen_ring_responses(&h.rx) >= 4);
    VIF_WAIT(COUNTER(&h.r.v, rx, packets) == 1 + COUNTER(&h.r.v, rx, direct));
    hands_down(&p, &h);
}

/* It found no slot at all, and has not said how many it wants: some are kept. */
static void test_netdev_found_no_slots(void)
{
    VifFrame f = { .payload = 300 }, outside = { .payload = 200 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    f.from = p.mac_a;
    f.to = h.mac;
    hand_post(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    vif_frame_give(h.r.v.back_dev, 0, &outside, 0);
    VIF_WAIT(__atomic_load_n(&h.rx.page->req_event, __ATOMIC_RELAXED) == 2);
    hand_post_quietly(&h, DIRECT_KEPT, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(COUNTER(&h.r.v, rx, drop_full) == 1);
    h.r.ops->evtchn_notify(h.r.evtchn, h.r.rx_port[0]);
    hand_expect(&h, &outside);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    hands_down(&p, &h);
}

/* A sender whose page is none: the receiver's ring is as it was, others send to it. */
static void test_bad_page_of_the_sender(void)
{
    const uint32_t bad = 30000;
    VifFrame f = { .payload = 300 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    f.from = h.mac;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++) {
            f.seed = i;
            f.to = p.mac_b;
            hand_put_tx(&h, i, &f, i == 2 ? &bad : NULL);
        }
        hand_push_tx(&h);
        for (unsigned i = 0; i < 4; i++) {
            g_assert_cmpint(hand_tx_status(&h), ==, i == 2 ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
        }
        VIF_WAIT(COUNTER(&h.r.v, tx, drop_grant) == round + 1);
    }
    /* the head of the bad one cannot be had: it is not looked at, and nothing failed */
    VIF_WAIT(COUNTER(&h.r.v, tx, direct) == 9);
    for (unsigned i = 0; i < 9; i++) {
        static const unsigned seeds[3] = { 0, 1, 3 };

        f.seed = seeds[i % 3];
        vif_frame_expect(p.b.front_dev, 0, &f, 0);
    }
    hands_down(&p, &h);
}

/* In as many slots as it came in, if the receiver takes so many. */
static void test_slots_of_a_packet(void)
{
    static const struct { unsigned n, size; bool sg, direct; } rows[] = {
        { 2, 600, true, true }, { 4, 200, true, true }, { 5, 200, true, false },
        { 2, 600, false, false }, { 19, 60, true, false }, { 3, 700, true, false },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        NetfrontConfig config = vif_front_config();
        VifFrame f = { .payload = 1400, .seed = i };
        Hand h;
        Pair p;

        config.sg = config.gso = rows[i].sg;
        pair_up(&p, 1, 1, &config);
        hand_up(&h, &p.a);
        f.from = h.mac;
        f.to = p.mac_b;
        if (i == 5) {
            f.payload = 1400 + 14 - vif_frame_headers(&f); /* 14 bytes are in the first slot */
        }
        hand_put_tx_slots(&h, &f, rows[i].n, rows[i].size);
        vif_frame_expect(rows[i].direct ? p.b.front_dev : h.r.v.back_dev, 0, &f, 0);
        VIF_WAIT(COUNTER(&h.r.v, tx, direct) == rows[i].direct);
        hands_down(&p, &h);
    }
}

/* netif has no way to say where the checksum of a tagged packet is: the netdev has. */
static void test_checksum_without_a_name(void)
{
    VifFrame f = { .payload = 300, .vlan = true, .csum_blank = true };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    f.from = h.mac;
    f.to = p.mac_b;
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(h.r.v.back_dev, 0, &f, 0);
    VIF_WAIT(COUNTER(&h.r.v, tx, direct) == 0);
    hands_down(&p, &h);
}

/* Only the netdev's packets leave an XDP program its headroom. */
static void test_headroom(void)
{
    VifFrame f = { .payload = 300 };
    XenStore *s;
    Hand h;
    Pair p;

    hands_up(&p, &h);
    s = h.r.v.guest_store;
    hand_post(&h, 8, NULL);
    f.from = p.mac_a;
    f.to = h.mac;
    for (unsigned i = 0; i < 4; i++) {
        unsigned headroom = i % 2 ? 0 : 256;

        g_assert_true(xen_store_printf(s, 0, h.r.v.fe, "xdp-headroom", "%u", headroom));
        raw_state(&h.r, XenbusStateReconfiguring);
        VIF_WAIT(h.r.v.nb->headroom == headroom);
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        if (headroom == 0) {
            hand_expect(&h, &f);
        } else {
            vif_frame_expect(p.a.back_dev, 0, &f, 0);
        }
        raw_state(&h.r, XenbusStateConnected);
        VIF_WAIT(h.r.v.nb->bus.state == XenbusStateConnected);
    }
    hands_down(&p, &h);
}

/* --- pages that change between the head and the rest --- */

static void trick_start(Hand *h, void (*play)(Hand *h))
{
    trick.hand = h;
    __atomic_store_n(&trick.play, play, __ATOMIC_RELEASE);
}

static void trick_end(void)
{
    __atomic_store_n(&trick.play, NULL, __ATOMIC_RELEASE);
}

static void play_header(Hand *h)
{
    memset(hand_page(h, 0), 0xff, DIRECT_HEAD);
}

/* The receiver gets the head that was looked at. */
static void test_head_changes(void)
{
    VifFrame f = { .payload = 900 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    trick_start(&h, play_header);
    f.from = h.mac;
    f.to = p.mac_b;
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(p.b.front_dev, 0, &f, 0);
    g_assert_cmpint(hand_tx_status(&h), ==, NETIF_RSP_OKAY);
    g_assert_cmpuint(hand_page(&h, 0)[20], ==, 0xff);
    trick_end();
    hands_down(&p, &h);
}

/* Of a grant: the first two bytes of its entry, which has eight (grant_table.h). 0: no access. */
static uint16_t *hand_grant(Hand *h, unsigned page)
{
    return (uint16_t *)(void *)((uint8_t *)xenemu_guest_ram(h->r.v.guest->opaque) +
                                h->refs[page] * 8);
}

static void play_grant(Hand *h)
{
    __atomic_store_n(hand_grant(h, 1), 0, __ATOMIC_RELEASE);
}

/* Pages that are there at first and then are not: once, after that it is the netdev's way. */
static void test_page_goes(void)
{
    VifFrame f = { .payload = 900 };
    uint16_t flags;
    Hand h;
    Pair p;

    hands_up(&p, &h);
    flags = __atomic_load_n(hand_grant(&h, 1), __ATOMIC_ACQUIRE);
    trick_start(&h, play_grant);
    f.from = h.mac;
    f.to = p.mac_b;
    for (f.seed = 0; f.seed < 4; f.seed++) {
        hand_put_tx(&h, f.seed, &f, NULL);
    }
    hand_push_tx(&h);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(hand_tx_status(&h), ==, i == 1 ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
    }
    f.seed = 0;
    vif_frame_expect(p.b.front_dev, 0, &f, 0);
    for (f.seed = 2; f.seed < 4; f.seed++) {
        vif_frame_expect(h.r.v.back_dev, 0, &f, 0);
    }
    __atomic_store_n(hand_grant(&h, 1), flags, __ATOMIC_RELEASE);
    trick_end();
    VIF_WAIT(COUNTER(&h.r.v, tx, direct) == 1);
    VIF_WAIT(COUNTER(&h.r.v, tx, drop_grant) == 1);

    hand_put_tx(&h, 0, &f, NULL); /* no more of it... */
    hand_push_tx(&h);
    vif_frame_expect(h.r.v.back_dev, 0, &f, 0);
    f.to = p.mac_a; /* ...between these two */
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(p.a.front_dev, 0, &f, 0);
    a_to_b(&p, (VifFrame){ .payload = 700 }, 0);
    VIF_WAIT(COUNTER(&p.b, rx, drop_grant) == 0);

    raw_state(&h.r, XenbusStateClosed); /* a new start */
    VIF_WAIT(h.r.v.back.disconnected == 1);
    hand_connect(&h);
    f.to = p.mac_b;
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(p.b.front_dev, 0, &f, 0);
    hands_down(&p, &h);
}

/* A receiver whose page is none: the sender gets rid of its packet, and sends to others. */
static void test_bad_page_of_the_receiver(void)
{
    const uint32_t bad = 30000;
    VifFrame f = { .payload = 300 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    hand_post(&h, 1, NULL);
    hand_post(&h, 1, &bad);
    hand_post(&h, 6, NULL);
    f.from = p.mac_a;
    f.to = h.mac;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    for (unsigned i = 0; i < 3; i++) {
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        vif_frame_expect(p.a.back_dev, 0, &f, 0);
        a_to_b(&p, (VifFrame){ .payload = 700, .seed = i }, 0);
    }
    VIF_WAIT(COUNTER(&h.r.v, rx, direct) == 1);
    VIF_WAIT(COUNTER(&h.r.v, rx, drop_full) == 0);
    raw_state(&h.r, XenbusStateClosed); /* a new start */
    VIF_WAIT(h.r.v.back.disconnected == 1);
    hand_connect(&h);
    hand_post(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    hands_down(&p, &h);
}

/* A receiver whose ring says what cannot be: its own thread ends that. */
static void test_impossible_ring(void)
{
    VifFrame f = { .payload = 300 };
    Hand h;
    Pair p;

    hands_up(&p, &h);
    h.rx.page->req_prod = 1000;
    f.from = p.mac_a;
    f.to = h.mac;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(COUNTER(&h.r.v, rx, drop_full) == 1);
    h.r.ops->evtchn_notify(h.r.evtchn, h.r.rx_port[0]);
    VIF_WAIT(h.r.v.back.errors == 1);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    vif_frame_expect(p.a.back_dev, 0, &f, 0);
    raw_state(&h.r, XenbusStateInitialising);
    hands_down(&p, &h);
}

/* --- all at once --- */

/* Each sends to each, while one comes and goes, is paused, and others join the set. */
static void test_threads(void)
{
    VifFrame f = { .payload = 1200, .csum_blank = true };
    Vif other = { 0 };
    Pair p;

    pair_up(&p, 2, 2, NULL);
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < 200; i++) {
            f.from = p.mac_a;
            f.to = p.mac_b;
            vif_frame_give(p.a.front_dev, i % 2, &f, i % 3 ? 0 : 500);
            f.from = p.mac_b;
            f.to = p.mac_a;
            vif_frame_give(p.b.front_dev, i % 2, &f, i % 3 ? 0 : 500);
            vif_frame_give(p.a.back_dev, i % 2, &f, 0);
        }
        switch (round % 4) {
        case 0:
            vif_front_close(&p.b);
            vif_back_close(&p.b);
            direct_connect(&p.b, NULL);
            break;
        case 1:
            netback_pause(p.a.nb, true);
            netback_pause(p.a.nb, false);
            break;
        case 2:
            vif_up_beside(&other, &p.a, fake_netdev_new(1, true), fake_netdev_new(1, true));
            direct_connect(&other, NULL);
            break;
        default:
            vif_down(&other);
            break;
        }
    }
    VIF_WAIT(fake_netdev_unread(p.a.front_dev, 0) + fake_netdev_unread(p.a.front_dev, 1) +
             fake_netdev_unread(p.b.front_dev, 0) + fake_netdev_unread(p.b.front_dev, 1) == 0);
    VIF_WAIT(COUNTER(&p.a, tx, drop_grant) + COUNTER(&p.b, tx, drop_grant) == 0);
    g_assert_cmpuint(COUNTER(&p.a, rx, direct), >, 0);
    pair_down(&p);
}

/* Each is taken by another thread, in each round; and what senders read of the vif is apart. */
static void test_locks_share_no_line_of_the_cache(void)
{
    const DirectVif *v;
    Pair p;

    pair_up(&p, 4, 2, NULL);
    v = p.a.nb->direct;
    g_assert_cmpuint(v->n_ends, ==, 4);
    for (unsigned i = 0; i < v->n_ends; i++) {
        g_assert_cmpuint((uintptr_t)&v->end[i].lock % 64, ==, 0);
    }
    pair_down(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/netback-direct/" name, fn)
    TEST("goes-directly", test_goes_directly);
    TEST("others-go-by-the-netdev", test_others_go_by_the_netdev);
    TEST("receiver-can-do-less", test_receiver_can_do_less);
    TEST("queues", test_queues);
    TEST("who-takes-part", test_who_takes_part);
    TEST("off", test_off);
    TEST("no-slots", test_no_slots);
    TEST("gso-slot", test_gso_slot);
    TEST("slots-of-a-packet", test_slots_of_a_packet);
    TEST("slots-come-later", test_slots_come_later);
    TEST("netdev-comes-first", test_netdev_comes_first);
    TEST("netdev-found-no-slots", test_netdev_found_no_slots);
    TEST("bad-page-of-the-sender", test_bad_page_of_the_sender);
    TEST("checksum-without-a-name", test_checksum_without_a_name);
    TEST("headroom", test_headroom);
    TEST("head-changes", test_head_changes);
    TEST("page-goes", test_page_goes);
    TEST("bad-page-of-the-receiver", test_bad_page_of_the_receiver);
    TEST("impossible-ring", test_impossible_ring);
    TEST("threads", test_threads);
    TEST("locks-share-no-line-of-the-cache", test_locks_share_no_line_of_the_cache);
    return g_test_run();
}
