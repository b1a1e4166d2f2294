/*
 * A queue of a vif: made and unmade by the main thread, run by its own.
 *
 * Nothing but a queue's rings is mapped, and only from here to netback_queue_stop(), so
 * whatever a guest does, 2 pages a queue is all that it has of us.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/container-of.h"

/* --- in the thread --- */

void netback_queue_break(NetbackQueue *q, const char *reason)
{
    uint64_t one = 1;

    if (q->broken) {
        return;
    }
    __atomic_store_n(&q->broken, reason, __ATOMIC_RELEASE); /* pairs with netback_fault() */
    if (write(q->nb->fault_fd, &one, sizeof(one)) < 0) {
        return; /* full: main has been told already */
    }
}

/* Events are noted and stay masked: they are unmasked when the thread has nothing to do. */
static void queue_event(IoSource *s, uint32_t events)
{
    NetbackQueue *q = container_of(s, NetbackQueue, evt_source);
    int port;

    while ((port = q->ops->evtchn_pending(q->evtchn)) >= 0) {
        if ((uint32_t)port == q->tx_port) {
            q->tx_masked = true;
            netif_count(&q->stats->tx.events_received, 1);
        } else if ((uint32_t)port == q->rx_port) {
            q->rx_masked = true;
            netif_count(&q->stats->rx.events_received, 1);
        }
    }
}

static void queue_peer_ready(IoSource *s, uint32_t events)
{
    NetbackQueue *q = container_of(s, NetbackQueue, peer_source);

    q->peer_ready = true;
}

static bool queue_poll(IoPoller *p)
{
    NetbackQueue *q = container_of(p, NetbackQueue, poller);
    bool work = false;

    if (q->broken || q->paused) {
        return false;
    }
    p->wake_ns = 0;
    work |= netback_tx_poll(q);
    work |= netback_rx_poll(q);
    q->worked |= work;
    return work && !q->broken;
}

/*
 * Events that bring nothing are a storm if they are many in a row: then none is wanted for a
 * while, whichever port it comes from and whatever wakes the thread meanwhile. Work ends
 * it. A virtual clock has no later that comes by itself.
 */
static bool queue_hushed(NetbackQueue *q)
{
    uint64_t now;

    if (q->worked) {
        q->idle_events = 0;
        q->hush_until = 0;
        return false;
    }
    if (q->hush_until == 0 && (++q->idle_events <= NETBACK_STORM_EVENTS || clock_is_virtual())) {
        return false;
    }
    now = io_clock_ns();
    if (q->hush_until == 0) {
        q->hush_until = now + NETBACK_RETRY_NS;
    }
    if (now < q->hush_until) {
        netback_queue_wake_at(q, q->hush_until);
        return true;
    }
    q->hush_until = 0;
    return false;
}

static void queue_unmask(NetbackQueue *q)
{
    if ((!q->tx_masked && !q->rx_masked) || queue_hushed(q)) {
        return;
    }
    q->worked = false;
    if (q->tx_masked) {
        q->tx_masked = false;
        q->ops->evtchn_unmask(q->evtchn, q->tx_port);
    }
    if (q->rx_masked) {
        q->rx_masked = false;
        q->ops->evtchn_unmask(q->evtchn, q->rx_port);
    }
}

static bool queue_arm(IoPoller *p)
{
    NetbackQueue *q = container_of(p, NetbackQueue, poller);
    bool work;

    if (q->broken || q->paused) {
        p->wake_ns = 0;
        return false; /* the ports stay masked */
    }
    queue_unmask(q);
    if (q->tx_batch.n_sent < q->tx_batch.n_out) {
        return netback_rx_arm(q); /* the netdev is full; wake_ns says when to try again */
    }
    work = xen_ring_arm_requests(&q->tx, 0);
    work |= netback_rx_arm(q);
    return work;
}

static void queue_attach(void *opaque)
{
    NetbackQueue *q = opaque;

    q->running = io_thread_add_source(q->thread, &q->evt_source, EPOLLIN) == 0;
    if (!q->running) {
        return;
    }
    if (io_thread_add_source(q->thread, &q->peer_source, EPOLLIN | EPOLLET) < 0) {
        io_thread_remove_source(q->thread, &q->evt_source);
        q->running = false;
        return;
    }
    q->peer_ready = true;
    io_thread_add_poller(q->thread, &q->poller);
}

static void queue_detach(void *opaque)
{
    NetbackQueue *q = opaque;

    io_thread_remove_poller(q->thread, &q->poller);
    io_thread_remove_source(q->thread, &q->peer_source);
    io_thread_remove_source(q->thread, &q->evt_source);
    q->running = false;
}

static void queue_pause(void *opaque)
{
    NetbackQueue *q = opaque;

    q->paused = true;
}

static void queue_resume(void *opaque)
{
    NetbackQueue *q = opaque;

    q->paused = false;
}

/* Closing the former file has taken it out of epoll. */
static void queue_watch_peer(void *opaque)
{
    NetbackQueue *q = opaque;

    io_thread_remove_source(q->thread, &q->peer_source);
    if (io_thread_add_source(q->thread, &q->peer_source, EPOLLIN | EPOLLET) < 0) {
        netback_queue_break(q, "its thread cannot wait for the netdev");
    }
    q->peer_ready = true;
}

/* --- main thread --- */

void netback_queue_peer_reopened(NetbackQueue *q)
{
    io_thread_call(q->thread, queue_watch_peer, q);
}

void netback_queue_set_paused(NetbackQueue *q, bool paused)
{
    io_thread_call(q->thread, paused ? queue_pause : queue_resume, q);
}

static void *queue_map(NetbackQueue *q, uint32_t ref, const char *what, XenRing *ring,
                       uint32_t entry_size, GError **error)
{
    void *page = q->ops->gnttab_map(q->gnttab, q->domid, &ref, 1, true);

    if (!page) {
        NETBACK_FAIL(error, "queue %u: cannot map %s-ring-ref %u: %s", q->index, what, ref,
                   g_strerror(errno));
        return NULL;
    }
    if (!xen_ring_attach_back(ring, page, 1, entry_size)) {
        NETBACK_FAIL(error, "queue %u: the %s ring's req_prod is impossible", q->index, what);
    }
    return page;
}

static bool queue_map_rings(NetbackQueue *q, const NetbackQueueKeys *k, GError **error)
{
    GError *err = NULL;

    q->tx_page = queue_map(q, k->tx_ref, "tx", &q->tx, sizeof(netif_tx_request_t), &err);
    if (!err) {
        q->rx_page = queue_map(q, k->rx_ref, "rx", &q->rx, sizeof(netif_rx_request_t), &err);
    }
    if (err) {
        g_propagate_error(error, err);
        return false;
    }
    return true;
}

static bool queue_bind(NetbackQueue *q, uint32_t remote, uint32_t *ret_port, GError **error)
{
    int port = q->ops->evtchn_bind_interdomain(q->evtchn, q->domid, remote);

    if (port < 0) {
        NETBACK_FAIL(error, "queue %u: cannot bind to event-channel %u: %s", q->index, remote,
                   g_strerror(-port));
        return false;
    }
    *ret_port = (uint32_t)port;
    return true;
}

static bool queue_bind_ports(NetbackQueue *q, const NetbackQueueKeys *k, GError **error)
{
    if (!queue_bind(q, k->tx_port, &q->tx_port, error)) {
        return false;
    }
    if (k->rx_port == k->tx_port) {
        q->rx_port = q->tx_port;
        return true;
    }
    return queue_bind(q, k->rx_port, &q->rx_port, error);
}

static bool queue_choose_thread(NetbackQueue *q, GError **error)
{
    const NetbackEnv *env = &q->nb->env;

    if (q->index < env->n_threads && env->threads[q->index]) {
        q->thread = env->threads[q->index];
        return true;
    }
    g_autofree char *name = g_strdup_printf("vif%u.%u-q%u", q->domid, q->nb->idx, q->index);

    q->thread = io_thread_new(name, error);
    q->own_thread = q->thread != NULL;
    return q->own_thread;
}

static bool queue_open_handles(NetbackQueue *q, GError **error)
{
    Xen *xen = q->nb->env.xen;

    q->evtchn = q->ops->evtchn_open(xen, error);
    if (!q->evtchn) {
        return false;
    }
    q->gnttab = q->ops->gnttab_open(xen, error);
    return q->gnttab != NULL;
}

NetbackQueue *netback_queue_start(Netback *nb, unsigned index, const NetbackKeys *keys,
                                  GError **error)
{
    NetbackQueue *q = g_new0(NetbackQueue, 1);
    const NetbackQueueKeys *k = &keys->queue[index];

    q->nb = nb;
    q->index = index;
    q->domid = nb->env.frontend_id;
    q->ops = nb->env.xen->ops;
    q->peer = nb->env.peer->queue[index];
    q->stats = &nb->stats[index];
    q->offload = keys->offload;
    q->sg = keys->sg;
    q->rx_notify = keys->rx_notify;
    q->paused = nb->paused;
    q->poller = (IoPoller) { .poll = queue_poll, .arm = queue_arm };
    q->evt_source = (IoSource) { .ready = queue_event };
    q->peer_source = (IoSource) { .fd = q->peer->fd, .ready = queue_peer_ready };
    if (!netback_tx_init(q) || !netback_rx_init(q)) {
        NETBACK_FAIL(error, "queue %u: no memory for its buffers", index);
        goto fail;
    }
    if (!queue_choose_thread(q, error) || !queue_open_handles(q, error) ||
        !queue_map_rings(q, k, error) || !queue_bind_ports(q, k, error)) {
        goto fail;
    }
    netback_rx_purge(q);
    q->evt_source.fd = q->ops->evtchn_fd(q->evtchn);
    io_thread_call(q->thread, queue_attach, q);
    if (!q->running) {
        NETBACK_FAIL(error, "queue %u: cannot wait for its file descriptors", index);
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
    if (q->running) {
        io_thread_call(q->thread, queue_detach, q);
    }
    if (q->own_thread) {
        io_thread_free(q->thread);
    }
    if (q->evtchn) {
        q->ops->evtchn_close(q->evtchn);
    }
    if (q->tx_page) {
        q->ops->gnttab_unmap(q->gnttab, q->tx_page, 1);
    }
    if (q->rx_page) {
        q->ops->gnttab_unmap(q->gnttab, q->rx_page, 1);
    }
    if (q->gnttab) {
        q->ops->gnttab_close(q->gnttab);
    }
    netback_tx_done(q);
    netback_rx_done(q);
    g_free(q);
}
