/*
 * A queue of a vif: a XenQueue with a pair of rings, and a queue of the netdev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nic-announce.h"
#include "xen-netback-direct.h"

/* --- in the thread --- */

static QueueVerdict queue_poll(XenQueue *base)
{
    NetbackQueue *q = container_of(base, NetbackQueue, base);
    QueueVerdict tx = netback_tx_poll(q);
    QueueVerdict rx = tx == QUEUE_VIOLATION ? tx : netback_rx_poll(q);

    return MAX(tx, rx);
}

static bool queue_arm(XenQueue *base)
{
    NetbackQueue *q = container_of(base, NetbackQueue, base);
    bool work;

    if (q->tx_batch.n_sent < q->tx_batch.n_out || netback_direct_waits(q)) {
        return netback_rx_arm(q); /* the netdev, or a guest, is full, and waited for */
    }
    work = xen_ring_arm_requests(&q->tx, 0);
    work |= netback_rx_arm(q);
    return work;
}

static int queue_attach(XenQueue *base)
{
    NetbackQueue *q = container_of(base, NetbackQueue, base);

    return nic_peer_attach(&q->peer_end);
}

static void queue_detach(XenQueue *base)
{
    NetbackQueue *q = container_of(base, NetbackQueue, base);

    nic_peer_detach(&q->peer_end);
}

static void queue_resume(XenQueue *base, uint64_t ns)
{
    netback_rx_resume(container_of(base, NetbackQueue, base), ns);
}

typedef struct QueueHeadroom {
    NetbackQueue *q;
    unsigned headroom;
} QueueHeadroom;

static void queue_take_headroom(void *opaque)
{
    QueueHeadroom *h = opaque;

    h->q->headroom = h->headroom;
}

typedef struct QueueAnnounce {
    NetbackQueue *q;
    const uint8_t *mac;
} QueueAnnounce;

static void queue_announce(void *opaque)
{
    const QueueAnnounce *a = opaque;

    if (a->q->tx_batch.n_sent == a->q->tx_batch.n_out) {
        nic_announce(a->q->peer, a->mac); /* not into the middle of a packet's segments */
    }
}

static const XenQueueOps netback_queue_ops = {
    .poll = queue_poll,
    .arm = queue_arm,
    .attach = queue_attach,
    .detach = queue_detach,
    .resume = queue_resume,
};

/* --- main thread --- */

void netback_queue_peer_reopened(NetbackQueue *q)
{
    nic_peer_reopened(&q->peer_end);
}

void netback_queue_set_headroom(NetbackQueue *q, unsigned headroom)
{
    QueueHeadroom h = { q, headroom };

    io_thread_call(q->base.q.thread, queue_take_headroom, &h);
}

void netback_queue_announce(NetbackQueue *q, const uint8_t mac[6])
{
    io_thread_call(q->base.q.thread, queue_announce, &(QueueAnnounce){ q, mac });
}

bool netback_queue_buffer(NetbackQueue *q, PktArena *a, size_t size)
{
    const XenOps *ops = q->base.xen->ops;
    void *base = ops->gnttab_buffer ? ops->gnttab_buffer(q->base.gnttab, size) : NULL;

    if (!base) {
        return pkt_arena_init(a, size) == 0;
    }
    *a = (PktArena) { .base = base, .size = size };
    return true;
}

void netback_queue_buffer_done(NetbackQueue *q, PktArena *a)
{
    const XenOps *ops = q->base.xen->ops;

    if (a->base && ops->gnttab_buffer && ops->gnttab_buffer_free(q->base.gnttab, a->base)) {
        *a = (PktArena) { 0 };
    }
    pkt_arena_done(a);
}

static bool queue_connect(NetbackQueue *q, const XenQueueKeys *k, GError **error)
{
    NicQueueStats *stats = q->stats;

    return xen_queue_map_ring(&q->base, &q->tx, "tx", &k->ref[NETBACK_TX], 1,
                              sizeof(netif_tx_request_t), error) &&
           xen_queue_map_ring(&q->base, &q->rx, "rx", &k->ref[NETBACK_RX], 1,
                              sizeof(netif_rx_request_t), error) &&
           xen_queue_bind(&q->base, k->port[0], &stats->tx.events_received, error) &&
           (k->n_ports == 1 ||
            xen_queue_bind(&q->base, k->port[1], &stats->rx.events_received, error));
}

NetbackQueue *netback_queue_start(Netback *nb, unsigned index, const NetbackKeys *keys,
                                  GError **error)
{
    NetbackQueue *q = g_new0(NetbackQueue, 1);
    const NetbackEnv *env = &nb->env;
    IoThread *thread = index < env->n_threads ? env->threads[index] : NULL;
    g_autofree char *name = g_strdup_printf("vif%u.%u-q%u", env->frontend_id, nb->bus.idx, index);

    xen_queue_init(&q->base, &netback_queue_ops, env->xen, env->frontend_id, index, &nb->faults);
    q->peer = env->peer->queue[index];
    q->stats = &nb->stats[index];
    q->offload = keys->offload;
    q->headroom = keys->headroom;
    q->sg = keys->sg;
    q->rx_notify = keys->rx_notify;
    nic_peer_init(&q->peer_end, q->peer, &q->base.q);
    if (!xen_queue_open(&q->base, true, error)) {
        goto fail;
    }
    if (nb->hypercall && !env->xen->ops->gnttab_use_hypercall(q->base.gnttab, error)) {
        goto fail;
    }
    if (!netback_tx_init(q) || !netback_rx_init(q)) {
        NETBACK_FAIL(error, "queue %u: no memory for its buffers", index);
        goto fail;
    }
    netback_direct_init_queue(nb, q);
    if (!queue_connect(q, &keys->base.queue[index], error)) {
        goto fail;
    }
    netback_rx_purge(q);
    xen_queue_set_paused(&q->base, nb->paused);
    if (!xen_queue_start(&q->base, thread, name, error)) {
        goto fail;
    }
    return q;
fail:
    netback_queue_stop(q);
    return NULL;
}

void netback_queue_stop(NetbackQueue *q)
{
    if (!q) {
        return;
    }
    xen_queue_stop(&q->base);
    netback_tx_done(q);
    netback_rx_done(q);
    netback_direct_done_queue(q);
    xen_queue_done(&q->base);
    g_free(q);
}
