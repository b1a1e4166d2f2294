/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ring-guest.h"

#include "util/container-of.h"

static void guest_take(RingGuest *g, XenRing *r)
{
    unsigned n = (unsigned)xen_ring_responses(r);

    r->cons += n;
    if (g->rounds > 0) { /* what is of before does not count */
        g->most = MAX(g->most, n);
        __atomic_store_n(&g->moved, g->moved + n, __ATOMIC_RELAXED);
    }
}

/* Both rings are full afterwards. */
static void guest_fill(RingGuest *g, XenRing *tx, XenRing *rx)
{
    while (xen_ring_free_requests(tx) > 0) {
        xen_ring_put_request(tx, &(netif_tx_request_t){ .gref = g->ref,
                                                        .size = RING_GUEST_FRAME });
    }
    while (xen_ring_free_requests(rx) > 0) {
        xen_ring_put_request(rx, &(netif_rx_request_t){ .gref = g->ref });
    }
    xen_ring_push_requests(tx);
    xen_ring_push_requests(rx);
}

static bool guest_turn(IoPoller *p)
{
    RingGuest *g = container_of(p, RingGuest, poller);

    for (unsigned i = 0; i < g->raw->n_queues; i++) {
        guest_take(g, &g->tx[i]);
        guest_take(g, &g->rx[i]);
        guest_fill(g, &g->tx[i], &g->rx[i]);
        if (g->spurious) {
            g->raw->ops->evtchn_notify(g->raw->evtchn, g->raw->tx_port[i]);
            g->raw->ops->evtchn_notify(g->raw->evtchn, g->raw->rx_port[i]);
        }
    }
    __atomic_store_n(&g->rounds, g->rounds + 1, __ATOMIC_RELAXED);
    return true; /* it always has work for its backend */
}

static bool guest_arm(IoPoller *p)
{
    return true;
}

void ring_guest_init(RingGuest *g, Raw *raw, bool spurious)
{
    *g = (RingGuest) { .poller = { .poll = guest_turn, .arm = guest_arm }, .raw = raw,
                       .spurious = spurious };
    g->page = raw->ops->share_alloc(raw->share, 0, 1, true, &g->ref);
    g_assert_nonnull(g->page);
    for (unsigned i = 0; i < raw->n_queues; i++) {
        xen_ring_init_front(&g->tx[i], raw->rings[i], 1, sizeof(netif_tx_request_t));
        xen_ring_init_front(&g->rx[i], (uint8_t *)raw->rings[i] + XEN_PAGE_SIZE, 1,
                            sizeof(netif_rx_request_t));
    }
}

static void guest_join(void *opaque)
{
    RingGuest *g = opaque;

    g->rounds = 0;
    g->moved = 0;
    io_thread_add_poller(g->raw->v.back_thread, &g->poller);
}

void ring_guest_join(RingGuest *g)
{
    io_thread_call(g->raw->v.back_thread, guest_join, g);
}

static void guest_leave(void *opaque)
{
    RingGuest *g = opaque;

    io_thread_remove_poller(g->raw->v.back_thread, &g->poller);
}

void ring_guest_leave(RingGuest *g)
{
    io_thread_call(g->raw->v.back_thread, guest_leave, g);
}

uint64_t ring_guest_moved(const RingGuest *g)
{
    return __atomic_load_n(&g->moved, __ATOMIC_RELAXED);
}

unsigned ring_guest_rounds(const RingGuest *g)
{
    return __atomic_load_n(&g->rounds, __ATOMIC_RELAXED);
}

void ring_guest_down(RingGuest *g)
{
    raw_close(g->raw);
    g_assert_cmpint(g->raw->ops->share_free(g->raw->share, g->page, 1), ==, 0);
    raw_down(g->raw);
}
