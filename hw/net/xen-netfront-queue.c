/*
 * A netfront queue's life: shared pages and ports, its thread, and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/container-of.h"

/* Ports looked at for one wakeup: we have two. */
#define PORTS_PER_WAKEUP 4

/* --- in the thread --- */

void netfront_queue_break(NetfrontQueue *q, const char *reason)
{
    uint64_t one = 1;
    ssize_t n;

    if (!q->broken) {
        __atomic_store_n(&q->broken, reason, __ATOMIC_RELEASE); /* read by main */
        n = write(q->fault_fd, &one, sizeof(one));
        (void)n; /* an eventfd that is full wakes main as well */
    }
}

static bool queue_poll(IoPoller *p)
{
    NetfrontQueue *q = container_of(p, NetfrontQueue, poller);
    bool work;

    if (q->broken || q->paused) {
        return false;
    }
    work = netfront_rx_poll(q);
    return netfront_tx_poll(q) || work;
}

static void queue_unmask(NetfrontQueue *q, bool *masked, uint32_t port)
{
    if (*masked) {
        *masked = false;
        q->ops->evtchn_unmask(q->evtchn, port);
    }
}

static bool queue_arm(IoPoller *p)
{
    NetfrontQueue *q = container_of(p, NetfrontQueue, poller);
    bool work;

    if (q->broken || q->paused) {
        return false; /* the ports stay masked */
    }
    /* not before now: a backend that sends events without need costs one a sleep */
    queue_unmask(q, &q->tx.masked, q->tx.port);
    queue_unmask(q, &q->rx.masked, q->rx.port);
    work = netfront_rx_arm(q);
    return netfront_tx_arm(q) || work;
}

static void queue_event(IoSource *s, uint32_t events)
{
    NetfrontQueue *q = container_of(s, NetfrontQueue, evt_source);

    for (unsigned i = 0; i < PORTS_PER_WAKEUP; i++) {
        int port = q->ops->evtchn_pending(q->evtchn);

        if (port < 0) {
            break;
        }
        /* with a single event channel it counts as rx */
        if ((uint32_t)port == q->rx.port) {
            q->rx.masked = true;
            netif_count(&q->stats->rx.events_received, 1);
        } else if ((uint32_t)port == q->tx.port) {
            q->tx.masked = true;
            netif_count(&q->stats->tx.events_received, 1);
        }
    }
}

static void queue_peer_ready(IoSource *s, uint32_t events)
{
    NetfrontQueue *q = container_of(s, NetfrontQueue, peer_source);

    q->peer_ready = true;
}

static void queue_enter(void *opaque)
{
    NetfrontQueue *q = opaque;

    q->peer_ready = true;
    /* edge-triggered: what is there already is found by the first look */
    if (io_thread_add_source(q->thread, &q->evt_source, EPOLLIN) < 0 ||
        io_thread_add_source(q->thread, &q->peer_source, EPOLLIN | EPOLLET) < 0) {
        netfront_queue_break(q, "its thread cannot wait for events");
    }
    io_thread_add_poller(q->thread, &q->poller);
    /* rx buffers were posted before the backend could hear of them */
    q->ops->evtchn_notify(q->evtchn, q->rx.port);
    netif_count(&q->stats->rx.events_sent, 1);
}

static void queue_leave(void *opaque)
{
    NetfrontQueue *q = opaque;

    io_thread_remove_poller(q->thread, &q->poller);
    io_thread_remove_source(q->thread, &q->peer_source);
    io_thread_remove_source(q->thread, &q->evt_source);
}

static void queue_pause(void *opaque)
{
    NetfrontQueue *q = opaque;

    q->paused = true;
}

static void queue_resume(void *opaque)
{
    NetfrontQueue *q = opaque;

    q->paused = false;
}

/* Closing the former file has taken it out of epoll. */
static void queue_watch_peer(void *opaque)
{
    NetfrontQueue *q = opaque;

    io_thread_remove_source(q->thread, &q->peer_source);
    if (io_thread_add_source(q->thread, &q->peer_source, EPOLLIN | EPOLLET) < 0) {
        netfront_queue_break(q, "its thread cannot wait for the netdev");
    }
    q->peer_ready = true;
}

/* --- main thread --- */

void netfront_queue_peer_reopened(NetfrontQueue *q)
{
    if (q->thread) {
        io_thread_call(q->thread, queue_watch_peer, q);
    }
}

void netfront_queue_set_paused(NetfrontQueue *q, bool paused)
{
    if (q->thread) {
        io_thread_call(q->thread, paused ? queue_pause : queue_resume, q);
    }
}

static bool queue_open_ports(NetfrontQueue *q, bool split, GError **error)
{
    Netfront *nf = q->nf;
    int tx, rx;

    q->evtchn = q->ops->evtchn_open(nf->env.xen, error);
    if (!q->evtchn) {
        return false;
    }
    tx = q->ops->evtchn_alloc_unbound(q->evtchn, nf->backend_id);
    rx = split && tx >= 0 ? q->ops->evtchn_alloc_unbound(q->evtchn, nf->backend_id) : tx;
    if (rx < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-rx),
                    "cannot allocate an event channel for queue %u: %s", q->index,
                    g_strerror(-rx));
        return false;
    }
    q->tx.port = (uint32_t)tx;
    q->rx.port = (uint32_t)rx;
    return true;
}

static void *queue_share(NetfrontQueue *q, unsigned count, bool writable, uint32_t *ret_refs,
                         GError **error)
{
    Netfront *nf = q->nf;
    void *addr = q->ops->share_alloc(nf->share, nf->backend_id, count, writable, ret_refs);

    if (!addr) {
        int saved = errno;

        /* a real Xen's gntalloc has a limit for all, of 1024 pages if nobody raised it */
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved),
                    "cannot share %u pages of queue %u with domain %u: %s%s", count, q->index,
                    nf->backend_id, g_strerror(saved),
                    nf->env.xen->emulated
                        ? ""
                        : " (see /sys/module/xen_gntalloc/parameters/limit)");
    }
    return addr;
}

static bool queue_share_pages(NetfrontQueue *q, GError **error)
{
    q->rings = queue_share(q, 2, true, q->ring_refs, error);
    if (!q->rings) {
        return false;
    }
    q->tx.pool.base = queue_share(q, NETFRONT_POOL_PAGES, false, q->tx.refs, error);
    if (!q->tx.pool.base) {
        return false;
    }
    q->rx.pages = queue_share(q, NETFRONT_SLOTS, true, q->rx.refs, error);
    return q->rx.pages != NULL;
}

NetfrontQueue *netfront_queue_new(Netfront *nf, unsigned index, const NetfrontPlan *plan,
                                  GError **error)
{
    NetfrontQueue *q = g_new0(NetfrontQueue, 1);

    q->nf = nf;
    q->index = index;
    q->ops = nf->env.xen->ops;
    q->peer = nf->env.peer->queue[index];
    q->stats = &nf->stats[index];
    q->tx_offload = plan->tx_offload;
    q->tx_max_len = plan->tx_max_len;
    q->fault_fd = nf->fault_fd;
    if (!queue_open_ports(q, plan->split, error) || !queue_share_pages(q, error)) {
        netfront_queue_free(q);
        return NULL;
    }
    q->poller.poll = queue_poll;
    q->poller.arm = queue_arm;
    q->evt_source.fd = q->ops->evtchn_fd(q->evtchn);
    q->evt_source.ready = queue_event;
    q->peer_source.fd = q->peer->fd;
    q->peer_source.ready = queue_peer_ready;
    netfront_tx_init(q);
    netfront_rx_init(q);
    return q;
}

bool netfront_queue_start(NetfrontQueue *q, GError **error)
{
    g_autofree char *name = g_strdup_printf("vif%u-q%u", q->nf->idx, q->index);

    q->paused = q->nf->paused;
    q->thread = io_thread_new(name, error);
    if (!q->thread) {
        return false;
    }
    io_thread_call(q->thread, queue_enter, q);
    return true;
}

void netfront_queue_free(NetfrontQueue *q)
{
    if (!q) {
        return;
    }
    if (q->thread) {
        io_thread_call(q->thread, queue_leave, q);
        io_thread_free(q->thread);
    }
    if (q->evtchn) {
        q->ops->evtchn_close(q->evtchn);
    }
    netfront_pages_add(q->nf, q->rings, 2);
    netfront_pages_add(q->nf, q->tx.pool.base, NETFRONT_POOL_PAGES);
    netfront_pages_add(q->nf, q->rx.pages, NETFRONT_SLOTS);
    g_free(q);
}
