/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vif-direct.h"

#include <netinet/ether.h>

#include "fake-netdev.h"

/* A guest's trick between the fetching of the head and the copy. */
typedef struct Trick {
    XenOps ops;
    const XenOps *real;
    HandGuest *hand;
    void (*play)(HandGuest *h); /* atomic; NULL: none */
} Trick;

static Trick trick;

static int trick_copy(XenGnttab *g, uint16_t from, uint16_t to, XenCopyBetween *seg, unsigned n)
{
    void (*play)(HandGuest *h) = __atomic_load_n(&trick.play, __ATOMIC_ACQUIRE);

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

void trick_start(HandGuest *h, void (*play)(HandGuest *h))
{
    trick.hand = h;
    __atomic_store_n(&trick.play, play, __ATOMIC_RELEASE);
}

bool trick_ended(void)
{
    return !__atomic_load_n(&trick.play, __ATOMIC_ACQUIRE);
}

void trick_end(void)
{
    __atomic_store_n(&trick.play, NULL, __ATOMIC_RELEASE);
}

/* --- vifs --- */

static void read_mac(Vif *v, uint8_t *ret_mac)
{
    g_autofree char *text = vif_read(v, v->be, "mac");
    struct ether_addr a;

    g_assert_nonnull(ether_aton_r(text, &a));
    memcpy(ret_mac, a.ether_addr_octet, 6);
}

void direct_connect(Vif *v, const NetfrontConfig *config)
{
    NetfrontConfig all = vif_front_config();

    v->direct = true;
    vif_connect(v, config ? config : &all);
}

void direct_pair_up(DirectPair *p, unsigned queues_a, unsigned queues_b,
                    const NetfrontConfig *config_b)
{
    *p = (DirectPair) { 0 };
    vif_up(&p->a, fake_netdev_new(queues_a, true), fake_netdev_new(queues_a, true));
    trick_install(p->a.host);
    vif_up_beside(&p->b, &p->a, fake_netdev_new(queues_b, true), fake_netdev_new(queues_b, true));
    direct_connect(&p->a, NULL);
    direct_connect(&p->b, config_b);
    read_mac(&p->a, p->mac_a);
    read_mac(&p->b, p->mac_b);
}

void direct_pair_down(DirectPair *p)
{
    vif_down(&p->b);
    vif_down(&p->a);
}

uint64_t direct_sum(const Vif *v, size_t offset)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < v->nb->max_queues; i++) {
        n += counter_read((const void *)((const char *)&v->nb->stats[i] + offset));
    }
    return n;
}

void direct_a_to_b(DirectPair *p, VifFrame f, uint16_t mss)
{
    uint64_t direct = DIRECT_COUNTER(&p->a, tx, direct);

    f.to = p->mac_b;
    f.from = p->mac_a;
    vif_frame_give(p->a.front_dev, 0, &f, mss);
    vif_frame_expect(p->b.front_dev, 0, &f, mss);
    VIF_WAIT(DIRECT_COUNTER(&p->a, tx, direct) == direct + 1);
}

void direct_to_netdev(DirectPair *p, const char *what, VifFrame f, uint16_t mss)
{
    uint64_t direct = DIRECT_COUNTER(&p->a, tx, direct);

    g_test_message("%s", what);
    vif_frame_give(p->a.front_dev, 0, &f, mss);
    vif_frame_expect(p->a.back_dev, 0, &f, mss);
    VIF_WAIT(DIRECT_COUNTER(&p->a, tx, direct) == direct);
}

/* --- guests by hand --- */

void hand_connect(HandGuest *h)
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

void hand_up(HandGuest *h, const Vif *first)
{
    XenStore *s;

    *h = (HandGuest) { 0 };
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

void hand_down(HandGuest *h)
{
    raw_state(&h->r, XenbusStateClosed);
    VIF_WAIT(h->r.v.back.disconnected == h->r.v.back.connected);
    g_assert_cmpint(h->r.ops->share_free(h->r.share, h->pages, HAND_PAGES), ==, 0);
    raw_free(&h->r);
}

void direct_hands_up(DirectPair *p, HandGuest *h)
{
    direct_pair_up(p, 1, 1, NULL);
    hand_up(h, &p->a);
}

void direct_hands_down(DirectPair *p, HandGuest *h)
{
    hand_down(h);
    direct_pair_down(p);
}

uint8_t *hand_page(HandGuest *h, unsigned i)
{
    return h->pages + i * XEN_PAGE_SIZE;
}

void hand_push_tx(HandGuest *h)
{
    xen_ring_push_requests(&h->tx);
    h->r.ops->evtchn_notify(h->r.evtchn, h->r.tx_port[0]);
}

void hand_put_tx(HandGuest *h, unsigned page, const VifFrame *f, const uint32_t *ref)
{
    netif_tx_request_t req = {
        .gref = ref ? *ref : h->refs[page],
        .flags = f->csum_blank ? NETTXF_csum_blank | NETTXF_data_validated : 0,
        .id = (uint16_t)page,
        .size = (uint16_t)vif_frame_make(f, hand_page(h, page)),
    };

    xen_ring_put_request(&h->tx, &req);
}

void hand_put_tx_slots(HandGuest *h, const VifFrame *f, unsigned n, unsigned size)
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

int hand_tx_status(HandGuest *h)
{
    netif_tx_response_t rsp;

    VIF_WAIT(xen_ring_responses(&h->tx) > 0);
    xen_ring_take_response(&h->tx, &rsp, sizeof(rsp));
    return rsp.status;
}

void hand_post_quietly(HandGuest *h, unsigned n, const uint32_t *ref)
{
    for (unsigned i = 0; i < n; i++) {
        netif_rx_request_t req = { .id = (uint16_t)(h->rx.prod & 255),
                                   .gref = ref ? *ref : h->refs[8 + h->rx.prod % 8] };

        xen_ring_put_request(&h->rx, &req);
    }
    xen_ring_push_requests(&h->rx);
}

void hand_post(HandGuest *h, unsigned n, const uint32_t *ref)
{
    hand_post_quietly(h, n, ref);
    h->r.ops->evtchn_notify(h->r.evtchn, h->r.rx_port[0]);
}

void hand_expect(HandGuest *h, const VifFrame *f)
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
    int vif = netback_direct_find(d->table, direct_mac(p->mac));
    DirectPeer *peer = &d->peer[vif];

    p->is = peer->patience;
    if (p->set > 0) {
        peer->patience = p->set;
        /* or the first packet would begin with a patience of its own */
        peer->generation = __atomic_load_n(&d->table->vif[vif]->generation, __ATOMIC_RELAXED);
    }
}

uint64_t direct_patience(Vif *v, const uint8_t *mac, uint64_t set)
{
    Patience p = { netback_queue(v->nb, 0), mac, set, 0 };

    io_thread_call(p.q->base.q.thread, patience_look, &p);
    return p.is;
}
