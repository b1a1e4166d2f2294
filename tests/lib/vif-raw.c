/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vif-raw.h"

#include <glib.h>

#include "hw/xen/netif.h"

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

void raw_state(Raw *r, enum xenbus_state state)
{
    g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, "state", "%u", state));
}

void raw_make(Raw *r, bool split)
{
    XenStore *s = r->v.guest_store;
    g_autoptr(GError) error = NULL;

    r->n_queues = r->v.back_dev->n_queues;
    r->ops = r->v.guest->ops;
    r->share = r->ops->share_open(r->v.guest, &error);
    g_assert_no_error(error);
    r->evtchn = r->ops->evtchn_open(r->v.guest, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < r->n_queues; i++) {
        raw_make_queue(r, i, split);
    }
    if (r->n_queues > 1) {
        g_assert_true(xen_store_printf(s, 0, r->v.fe, "multi-queue-num-queues", "%u",
                                       r->n_queues));
    }
    g_assert_true(xen_store_printf(s, 0, r->v.fe, "request-rx-copy", "1"));
    g_assert_true(xen_store_printf(s, 0, r->v.fe, "feature-rx-notify", "1"));
}

void raw_prepare(Raw *r, Netdev *back_dev, Netdev *front_dev, bool split, IoThread *thread)
{
    *r = (Raw) { 0 };
    vif_up(&r->v, back_dev, front_dev);
    r->v.back_thread = thread;
    vif_back_start(&r->v);
    raw_make(r, split);
}

void raw_up(Raw *r, Netdev *back_dev, Netdev *front_dev, bool split, IoThread *thread)
{
    raw_prepare(r, back_dev, front_dev, split, thread);
    raw_state(r, XenbusStateConnected);
    VIF_WAIT(r->v.back.connected == 1);
}

static bool raw_back_is(Raw *r, enum xenbus_state state)
{
    g_autofree char *now = vif_read(&r->v, r->v.be, "state");

    return now && g_ascii_strtoull(now, NULL, 10) == state;
}

void raw_close(Raw *r)
{
    raw_state(r, XenbusStateClosed);
    VIF_WAIT(raw_back_is(r, XenbusStateClosed));
}

void raw_down(Raw *r)
{
    raw_state(r, XenbusStateClosed);
    VIF_WAIT(r->v.back.disconnected == r->v.back.connected);
    raw_free(r);
}

void raw_free(Raw *r)
{
    for (unsigned i = 0; i < r->n_queues; i++) {
        g_assert_cmpint(r->ops->share_free(r->share, r->rings[i], 2), ==, 0);
    }
    r->ops->evtchn_close(r->evtchn);
    r->ops->share_close(r->share);
    vif_down(&r->v);
}
