/*
 * What a queue of any Xen device has, backend or frontend, on top of what any queue has
 * (device-queue.h): event channels and grants. A device embeds it in its own queue, and keeps
 * what its rings mean.
 *
 * A queue belongs to the main thread until xen_queue_start() and from xen_queue_stop() on,
 * in between to its iothread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_QUEUE_H
#define HW_XEN_XEN_QUEUE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/core/device-queue.h"
#include "hw/xen/ring.h"
#include "hw/xen/xen-ops.h"

#define XEN_QUEUE_MAX_PORTS 2u /* a split pair: one for each direction */
#define XEN_QUEUE_MAX_RINGS 2u

typedef struct XenQueue XenQueue;

/* All of it runs in the queue's thread. */
typedef struct XenQueueOps {
    /* One bounded round. Behind QUEUE_VIOLATION it is not called again. */
    QueueVerdict (*poll)(XenQueue *q);
    /* About to sleep: asks for events and looks once more. True: there is work already. */
    bool (*arm)(XenQueue *q);
    /* The thread takes the queue, or gives it back: more sources. 0 or -errno. Optional. */
    int (*attach)(XenQueue *q);
    void (*detach)(XenQueue *q);
    /* It was paused for @ns of clock_ns(). Optional. */
    void (*resume)(XenQueue *q, uint64_t ns);
} XenQueueOps;

typedef struct XenQueuePort {
    uint32_t port;             /* local */
    bool masked;               /* an event came; unmasked before the thread sleeps */
    uint64_t *events_received; /* a counter of the device */
} XenQueuePort;

struct XenQueue {
    DeviceQueue q;
    const XenQueueOps *ops;
    Xen *xen;
    uint16_t domid;      /* the other end */

    XenEvtchn *evtchn;
    XenGnttab *gnttab;   /* NULL: not opened */
    unsigned n_ports;
    XenQueuePort port[XEN_QUEUE_MAX_PORTS];
    unsigned n_maps;     /* of rings */
    struct {
        void *pages;
        unsigned n;
    } map[XEN_QUEUE_MAX_RINGS];

    /* the thread's */
    IoSource evt_source;
    bool worked;             /* since the last unmask */
    unsigned spurious;       /* events in a row that brought nothing */
    uint64_t throttle_until; /* events stay masked until then; 0: they do not */
};

/* --- main thread --- */

/* Sets all up, opens nothing. Everything given outlives the queue. */
void xen_queue_init(XenQueue *q, const XenQueueOps *ops, Xen *xen, uint16_t domid, unsigned index,
                    DeviceFaults *faults);
/* Opens the queue's handles: event channels and, with @grants, others' grants. */
bool xen_queue_open(XenQueue *q, bool grants, GError **error);

/*
 * A backend's: binds to @remote, which the other end left unbound for us; it becomes
 * port[n_ports - 1]. @events_received outlives the queue.
 */
bool xen_queue_bind(XenQueue *q, uint32_t remote, uint64_t *events_received, GError **error);
/* A frontend's: a new port for the other end to bind to. */
bool xen_queue_alloc_port(XenQueue *q, uint64_t *events_received, GError **error);

/*
 * A backend's: maps @n_pages of a ring that is called @name in errors (NULL: the queue has no
 * other), and attaches @ring to where it stands. Unmapped by xen_queue_done().
 */
bool xen_queue_map_ring(XenQueue *q, XenRing *ring, const char *name, const uint32_t *refs,
                        unsigned n_pages, uint32_t entry_size, GError **error);

/* Hands it to @thread; NULL: one of its own, called @name. */
static inline bool xen_queue_start(XenQueue *q, IoThread *thread, const char *name, GError **error)
{
    return device_queue_start(&q->q, thread, name, error);
}
/* Takes it back. Idempotent, as the next one; both are fine for a zeroed queue. */
static inline void xen_queue_stop(XenQueue *q)
{
    device_queue_stop(&q->q);
}
/* Closes ports, unmaps rings, closes handles. Stopped. */
void xen_queue_done(XenQueue *q);

/* Paused, it is not polled, and its ports stay masked. */
static inline void xen_queue_set_paused(XenQueue *q, bool paused)
{
    device_queue_set_paused(&q->q, paused);
}

/* Why it stopped by itself; NULL: it did not. Any thread. */
static inline const char *xen_queue_fault(const XenQueue *q)
{
    return device_queue_fault(&q->q);
}

/* --- the queue's thread; as device_queue_...() --- */

static inline bool xen_queue_violation(XenQueue *q, const char *reason)
{
    return device_queue_violation(&q->q, reason);
}
static inline void xen_queue_break(XenQueue *q, const char *reason)
{
    device_queue_break(&q->q, reason);
}
static inline void xen_queue_wake_at(XenQueue *q, uint64_t ns)
{
    device_queue_wake_at(&q->q, ns);
}

/* To the other end, through port[@i]. */
static inline void xen_queue_notify(XenQueue *q, unsigned i)
{
    q->xen->ops->evtchn_notify(q->evtchn, q->port[i].port);
}

#endif
