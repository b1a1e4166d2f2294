/*
 * A netfront queue's life: shared pages and ports, its thread, and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

/* --- in the thread --- */

static QueueVerdict queue_poll(XenQueue *base)
{
    NetfrontQueue *q = container_of(base, NetfrontQueue, base);
    QueueVerdict rx = netfront_rx_poll(q);
    QueueVerdict tx = rx == QUEUE_VIOLATION ? rx : netfront_tx_poll(q);

    return MAX(rx, tx);
}

static bool queue_arm(XenQueue *base)
{
    NetfrontQueue *q = container_of(base, NetfrontQueue, base);
    bool work = netfront_rx_arm(q);

    return netfront_tx_arm(q) || work;
}

static int queue_attach(XenQueue *base)
{
    NetfrontQueue *q = container_of(base, NetfrontQueue, base);

    netfront_notify_rx(q); /* buffers were posted before the backend could hear of them */
    return nic_peer_attach(&q->peer_end);
}

static void queue_detach(XenQueue *base)
{
    NetfrontQueue *q = container_of(base, NetfrontQueue, base);

    nic_peer_detach(&q->peer_end);
}

static const XenQueueOps netfront_queue_ops = {
    .poll = queue_poll,
    .arm = queue_arm,
    .attach = queue_attach,
    .detach = queue_detach,
};

/* --- main thread --- */

void netfront_queue_peer_reopened(NetfrontQueue *q)
{
    nic_peer_reopened(&q->peer_end);
}

/* With a single event channel its events count as rx. */
static bool queue_open_ports(NetfrontQueue *q, bool split, GError **error)
{
    return xen_queue_open(&q->base, false, error) &&
           (!split || xen_queue_alloc_port(&q->base, &q->stats->tx.events_received, error)) &&
           xen_queue_alloc_port(&q->base, &q->stats->rx.events_received, error);
}

static bool queue_share_pages(NetfrontQueue *q, GError **error)
{
    XenbusFront *f = &q->nf->bus;
    unsigned i = q->base.q.index;

    q->rings = xenbus_front_share(f, i, 2, true, q->ring_refs, error);
    if (!q->rings) {
        return false;
    }
    q->tx.pool.base = xenbus_front_share(f, i, NETFRONT_POOL_PAGES, false, q->tx.refs, error);
    if (!q->tx.pool.base) {
        return false;
    }
    q->rx.pages = xenbus_front_share(f, i, NETFRONT_SLOTS, true, q->rx.refs, error);
    return q->rx.pages != NULL;
}

NetfrontQueue *netfront_queue_new(Netfront *nf, unsigned index, const NetfrontPlan *plan,
                                  GError **error)
{
    NetfrontQueue *q = g_new0(NetfrontQueue, 1);

    xen_queue_init(&q->base, &netfront_queue_ops, nf->env.xen, nf->bus.backend_id, index,
                   &nf->faults);
    q->nf = nf;
    q->peer = nf->env.peer->queue[index];
    nic_peer_init(&q->peer_end, q->peer, &q->base.q);
    q->stats = &nf->stats[index];
    q->tx_offload = plan->tx_offload;
    q->tx_max_len = plan->tx_max_len;
    if (!queue_open_ports(q, plan->split, error) || !queue_share_pages(q, error)) {
        netfront_queue_free(q);
        return NULL;
    }
    netfront_tx_init(q);
    netfront_rx_init(q);
    return q;
}

bool netfront_queue_start(NetfrontQueue *q, GError **error)
{
    g_autofree char *name = g_strdup_printf("vif%u-q%u", q->nf->idx, q->base.q.index);

    xen_queue_set_paused(&q->base, q->nf->paused);
    return xen_queue_start(&q->base, NULL, name, error);
}

void netfront_queue_free(NetfrontQueue *q)
{
    if (!q) {
        return;
    }
    xen_queue_stop(&q->base);
    xen_queue_done(&q->base);
    netdev_send_stop(q->peer);
    xenbus_front_unshare(&q->nf->bus, q->rings, 2);
    xenbus_front_unshare(&q->nf->bus, q->tx.pool.base, NETFRONT_POOL_PAGES);
    xenbus_front_unshare(&q->nf->bus, q->rx.pages, NETFRONT_SLOTS);
    g_free(q);
}
