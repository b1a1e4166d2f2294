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
#include <glib-unix.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/container-of.h"
#include "util/fd.h"

/* So many events in a row that bring nothing are throttled (XSA-332)... */
#define SPURIOUS_MAX  16u
/* ...for so long. */
#define THROTTLE_NS   (1 * 1000000ull)

#define QUEUE_FAIL(error, ...) g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, __VA_ARGS__)

/* --- faults --- */

static gboolean faults_ready(gint fd, GIOCondition condition, gpointer opaque)
{
    XenFaults *f = opaque;
    uint64_t n;

    if (read(fd, &n, sizeof(n)) == sizeof(n)) {
        f->fn(f->opaque);
    }
    return G_SOURCE_CONTINUE;
}

bool xen_faults_init(XenFaults *f, void (*fn)(void *opaque), void *opaque, GError **error)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot create an eventfd: %s", g_strerror(errno));
        return false;
    }
    *f = (XenFaults){ .fd = fd, .fn = fn, .opaque = opaque };
    f->source = g_unix_fd_add(fd, G_IO_IN, faults_ready, f);
    return true;
}

void xen_faults_done(XenFaults *f)
{
    if (f->source) {
        g_source_remove(f->source);
        fd_close(&f->fd);
        f->source = 0;
    }
}

/* --- in the thread --- */

void xen_queue_break(XenQueue *q, const char *reason)
{
    uint64_t one = 1;

    if (q->fault) {
        return;
    }
    __atomic_store_n(&q->fault, reason, __ATOMIC_RELEASE); /* pairs with xen_queue_fault() */
    if (write(q->faults->fd, &one, sizeof(one)) < 0) {
        return; /* full: main has been told already */
    }
}

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

static bool queue_poll(IoPoller *p)
{
    XenQueue *q = container_of(p, XenQueue, poller);
    XenVerdict v;

    if (q->fault || q->paused) {
        return false;
    }
    p->wake_ns = 0;
    v = q->ops->poll(q);
    if (v == XEN_VIOLATION) {
        g_assert(q->violation);
        xen_queue_break(q, q->violation);
        return false;
    }
    q->worked |= v == XEN_WORK;
    return v == XEN_WORK;
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

static bool queue_arm(IoPoller *p)
{
    XenQueue *q = container_of(p, XenQueue, poller);

    if (q->fault || q->paused) {
        p->wake_ns = 0;
        return false; /* the ports stay masked */
    }
    queue_unmask(q);
    return q->ops->arm(q);
}

static void queue_attach(void *opaque)
{
    XenQueue *q = opaque;

    q->attach_error = io_thread_add_source(q->thread, &q->evt_source, EPOLLIN);
    if (q->attach_error < 0) {
        return;
    }
    if (q->ops->attach) {
        q->attach_error = q->ops->attach(q);
    }
    if (q->attach_error < 0) {
        io_thread_remove_source(q->thread, &q->evt_source);
        return;
    }
    q->running = true;
    io_thread_add_poller(q->thread, &q->poller);
}

static void queue_detach(void *opaque)
{
    XenQueue *q = opaque;

    io_thread_remove_poller(q->thread, &q->poller);
    if (q->ops->detach) {
        q->ops->detach(q);
    }
    io_thread_remove_source(q->thread, &q->evt_source);
    q->running = false;
}

static void queue_pause(void *opaque)
{
    XenQueue *q = opaque;

    if (!q->paused) {
        q->paused = true;
        q->paused_at = clock_ns();
    }
}

static void queue_resume(void *opaque)
{
    XenQueue *q = opaque;

    if (!q->paused) {
        return;
    }
    q->paused = false;
    if (q->ops->resume) {
        q->ops->resume(q, clock_ns() - q->paused_at);
    }
}

/* --- main thread --- */

void xen_queue_init(XenQueue *q, const XenQueueOps *ops, Xen *xen, uint16_t domid, unsigned index,
                    XenFaults *faults)
{
    *q = (XenQueue){
        .ops = ops,
        .xen = xen,
        .domid = domid,
        .index = index,
        .faults = faults,
        .poller = { .poll = queue_poll, .arm = queue_arm },
        .evt_source = { .fd = -1, .ready = queue_event },
    };
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
        QUEUE_FAIL(error, "queue %u: cannot bind to event-channel %u: %s", q->index, remote,
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
                    "cannot allocate an event channel for queue %u: %s", q->index,
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
        QUEUE_FAIL(error, "queue %u: cannot map %s-ring-ref %u: %s", q->index, name, refs[0],
                   g_strerror(errno));
        return false;
    }
    q->map[q->n_maps].pages = pages;
    q->map[q->n_maps++].n = n_pages;
    if (!xen_ring_attach_back(ring, pages, n_pages, entry_size)) {
        QUEUE_FAIL(error, "queue %u: the %s ring's req_prod is impossible", q->index, name);
        return false;
    }
    return true;
}

bool xen_queue_start(XenQueue *q, IoThread *thread, const char *name, GError **error)
{
    q->thread = thread ? thread : io_thread_new(name, error);
    q->own_thread = !thread && q->thread;
    if (!q->thread) {
        return false;
    }
    io_thread_call(q->thread, queue_attach, q);
    if (!q->running) {
        QUEUE_FAIL(error, "queue %u: cannot wait for its file descriptors: %s", q->index,
                   g_strerror(-q->attach_error));
    }
    return q->running;
}

void xen_queue_stop(XenQueue *q)
{
    if (q->running) {
        io_thread_call(q->thread, queue_detach, q);
    }
    if (q->own_thread) {
        io_thread_free(q->thread);
        q->own_thread = false;
    }
    q->thread = NULL;
}

void xen_queue_done(XenQueue *q)
{
    g_assert(!q->running);
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

void xen_queue_set_paused(XenQueue *q, bool paused)
{
    if (q->running) {
        io_thread_call(q->thread, paused ? queue_pause : queue_resume, q);
    } else {
        q->paused = paused;
    }
}

const char *xen_queue_fault(const XenQueue *q)
{
    return __atomic_load_n(&q->fault, __ATOMIC_ACQUIRE); /* pairs with xen_queue_break() */
}
