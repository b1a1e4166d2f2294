/*
 * A queue's life: made and unmade by the main thread, run by its own.
 *
 * Nothing but rings is mapped, and only from xen_queue_map_ring() to xen_queue_done(), so
 * whatever the other end does, these pages are all that it has of us.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-queue.h"

#include <errno.h>
#include <sys/epoll.h>

#include "util/clock.h"
#include "util/container-of.h"

/* So many events in a row that bring nothing are throttled (XSA-332)... */
#define SPURIOUS_MAX  16u
/* ...for so long. */
#define THROTTLE_NS   (1 * 1000000ull)

#define QUEUE_FAIL(error, ...) g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, __VA_ARGS__)

/* --- in the thread --- */

/* Events are noted and stay masked: they are unmasked when the thread has nothing to do. */
static void queue_event(IoSource *s, uint32_t events)
{
    XenQueue *q = container_of(s, XenQueue, evt_source);
    int port;

    /* a port that was seen is masked, so there are no more rounds than ports */
    for (unsigned n = 0; n <= q->n_ports; n++) {
        port = q->xen->ops->evtchn_pending(q->evtchn);
        if (port < 0) {
            break;
        }
        for (unsigned i = 0; i < q->n_ports; i++) {
            XenQueuePort *p = &q->port[i];

            if (p->port == (uint32_t)port) {
                p->masked = true;
                __atomic_store_n(p->events_received, *p->events_received + 1, __ATOMIC_RELAXED);
                break; /* a port that is shared counts for the first */
            }
        }
    }
}

static QueueVerdict queue_poll(DeviceQueue *dq)
{
    XenQueue *q = container_of(dq, XenQueue, q);
    QueueVerdict v = q->ops->poll(q);

    q->worked |= v == QUEUE_WORK;
    return v;
}

/*
 * Spurious events are throttled if they are many in a row: then none is wanted for a
 * while, whichever port it comes from and whatever wakes the thread meanwhile. Work ends
 * it. A virtual clock has no later that comes by itself.
 */
static bool queue_throttled(XenQueue *q)
{
    uint64_t now;

    if (q->worked) {
        q->spurious = 0;
        q->throttle_until = 0;
        return false;
    }
    if (q->throttle_until == 0 && (++q->spurious <= SPURIOUS_MAX || clock_is_virtual())) {
        return false;
    }
    now = io_clock_ns();
    if (q->throttle_until == 0) {
        q->throttle_until = now + THROTTLE_NS;
    }
    if (now < q->throttle_until) {
        xen_queue_wake_at(q, q->throttle_until);
        return true;
    }
    q->throttle_until = 0;
    return false;
}

static void queue_unmask(XenQueue *q)
{
    bool masked = false;

    for (unsigned i = 0; i < q->n_ports; i++) {
        masked |= q->port[i].masked;
    }
    if (!masked || queue_throttled(q)) {
        return;
    }
    q->worked = false;
    for (unsigned i = 0; i < q->n_ports; i++) {
        XenQueuePort *p = &q->port[i];

        if (p->masked) {
            p->masked = false;
            q->xen->ops->evtchn_unmask(q->evtchn, p->port);
        }
    }
}

static bool queue_arm(DeviceQueue *dq)
{
    XenQueue *q = container_of(dq, XenQueue, q);

    queue_unmask(q);
    return q->ops->arm(q);
}

static int queue_attach(DeviceQueue *dq)
{
    XenQueue *q = container_of(dq, XenQueue, q);
    int r = io_thread_add_source(dq->thread, &q->evt_source, EPOLLIN);

    if (r < 0) {
        return r;
    }
    if (q->ops->attach) {
        r = q->ops->attach(q);
    }
    if (r < 0) {
        io_thread_remove_source(dq->thread, &q->evt_source);
    }
    return r;
}

static void queue_detach(DeviceQueue *dq)
{
    XenQueue *q = container_of(dq, XenQueue, q);

    if (q->ops->detach) {
        q->ops->detach(q);
    }
    io_thread_remove_source(dq->thread, &q->evt_source);
}

static void queue_resume(DeviceQueue *dq, uint64_t ns)
{
    XenQueue *q = container_of(dq, XenQueue, q);

    if (q->ops->resume) {
        q->ops->resume(q, ns);
    }
}

static const DeviceQueueOps xen_queue_device_ops = {
    .poll = queue_poll,
    .arm = queue_arm,
    .attach = queue_attach,
    .detach = queue_detach,
    .resume = queue_resume,
};

/* --- main thread --- */

void xen_queue_init(XenQueue *q, const XenQueueOps *ops, Xen *xen, uint16_t domid, unsigned index,
                    DeviceFaults *faults)
{
    *q = (XenQueue){
        .ops = ops,
        .xen = xen,
        .domid = domid,
        .evt_source = { .fd = -1, .ready = queue_event },
    };
    device_queue_init(&q->q, &xen_queue_device_ops, index, faults);
}

bool xen_queue_open(XenQueue *q, bool grants, GError **error)
{
    const XenOps *ops = q->xen->ops;

    q->evtchn = ops->evtchn_open(q->xen, error);
    if (!q->evtchn) {
        return false;
    }
    q->evt_source.fd = ops->evtchn_fd(q->evtchn);
    if (grants) {
        q->gnttab = ops->gnttab_open(q->xen, error);
    }
    return !grants || q->gnttab;
}

static void queue_add_port(XenQueue *q, uint32_t port, uint64_t *events_received)
{
    g_assert(q->n_ports < XEN_QUEUE_MAX_PORTS);
    q->port[q->n_ports++] = (XenQueuePort){ .port = port, .events_received = events_received };
}

bool xen_queue_bind(XenQueue *q, uint32_t remote, uint64_t *events_received, GError **error)
{
    int port = q->xen->ops->evtchn_bind_interdomain(q->evtchn, q->domid, remote);

    if (port < 0) {
        QUEUE_FAIL(error, "queue %u: cannot bind to event-channel %u: %s", q->q.index, remote,
                   xen_strerror(q->xen, -port));
        return false;
    }
    queue_add_port(q, (uint32_t)port, events_received);
    return true;
}

bool xen_queue_alloc_port(XenQueue *q, uint64_t *events_received, GError **error)
{
    int port = q->xen->ops->evtchn_alloc_unbound(q->evtchn, q->domid);

    if (port < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-port),
                    "cannot allocate an event channel for queue %u: %s", q->q.index,
                    xen_strerror(q->xen, -port));
        return false;
    }
    queue_add_port(q, (uint32_t)port, events_received);
    return true;
}

bool xen_queue_map_ring(XenQueue *q, XenRing *ring, const char *name, const uint32_t *refs,
                        unsigned n_pages, uint32_t entry_size, GError **error)
{
    void *pages = q->xen->ops->gnttab_map(q->gnttab, q->domid, refs, n_pages, true);

    g_assert(q->n_maps < XEN_QUEUE_MAX_RINGS);
    if (!pages) {
        QUEUE_FAIL(error, "queue %u: cannot map %s%sring-ref %u%s: %s", q->q.index,
                   name ? name : "", name ? "-" : "", refs[0],
                   n_pages > 1 ? " and those behind it" : "", g_strerror(errno));
        return false;
    }
    q->map[q->n_maps].pages = pages;
    q->map[q->n_maps++].n = n_pages;
    if (!xen_ring_attach_back(ring, pages, n_pages, entry_size)) {
        QUEUE_FAIL(error, "queue %u: the %s%sring's req_prod is impossible", q->q.index,
                   name ? name : "", name ? " " : "");
        return false;
    }
    return true;
}

void xen_queue_done(XenQueue *q)
{
    g_assert(!q->q.running);
    if (q->evtchn) {
        q->xen->ops->evtchn_close(g_steal_pointer(&q->evtchn));
    }
    for (unsigned i = 0; i < q->n_maps; i++) {
        q->xen->ops->gnttab_unmap(q->gnttab, q->map[i].pages, q->map[i].n);
    }
    q->n_maps = 0;
    q->n_ports = 0;
    if (q->gnttab) {
        q->xen->ops->gnttab_close(g_steal_pointer(&q->gnttab));
    }
}
