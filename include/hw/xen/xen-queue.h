/*
 * What a queue of any Xen device has, backend or frontend: event channels, grants, a thread
 * that polls it, a way to say that the other end broke the protocol. A device embeds it
 * in its own queue, and keeps what its rings mean.
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

#include "hw/xen/ring.h"
#include "hw/xen/xen-ops.h"
#include "util/iothread.h"

#define XEN_QUEUE_MAX_PORTS 2u /* a split pair: one for each direction */
#define XEN_QUEUE_MAX_RINGS 2u

typedef struct XenQueue XenQueue;

/* What a round came to. */
typedef enum XenVerdict {
    XEN_IDLE,      /* there was nothing to do */
    XEN_WORK,      /* there was something: look again soon */
    XEN_VIOLATION, /* the other end broke the protocol, XenQueue.violation says how */
} XenVerdict;

/* All of it runs in the queue's thread. */
typedef struct XenQueueOps {
    /* One bounded round. Behind XEN_VIOLATION it is not called again. */
    XenVerdict (*poll)(XenQueue *q);
    /* About to sleep: asks for events and looks once more. True: there is work already. */
    bool (*arm)(XenQueue *q);
    /* The thread takes the queue, or gives it back: more sources. 0 or -errno. Optional. */
    int (*attach)(XenQueue *q);
    void (*detach)(XenQueue *q);
    /* It was paused for @ns of clock_ns(). Optional. */
    void (*resume)(XenQueue *q, uint64_t ns);
} XenQueueOps;

/* Tells the main thread that a queue stopped; one for all queues of a device. */
typedef struct XenFaults {
    int fd;
    guint source;
    void (*fn)(void *opaque); /* main thread; xen_queue_fault() of each queue says which */
    void *opaque;
} XenFaults;

typedef struct XenQueuePort {
    uint32_t port;             /* local */
    bool masked;               /* an event came; unmasked before the thread sleeps */
    uint64_t *events_received; /* a counter of the device */
} XenQueuePort;

struct XenQueue {
    const XenQueueOps *ops;
    Xen *xen;
    uint16_t domid;      /* the other end */
    unsigned index;
    XenFaults *faults;
    IoThread *thread;
    bool own_thread;
    bool running;        /* the thread has it */
    int attach_error;

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
    IoPoller poller;
    IoSource evt_source;
    bool paused;
    uint64_t paused_at;      /* in clock_ns() */
    bool worked;             /* since the last unmask */
    unsigned spurious;       /* events in a row that brought nothing */
    uint64_t throttle_until; /* events stay masked until then; 0: they do not */
    const char *violation;   /* a literal */
    const char *fault;       /* why nothing moves any more; atomic, set once */
};

/* --- main thread --- */

/* @fn(@opaque) runs in the main loop. False: no descriptor. */
bool xen_faults_init(XenFaults *f, void (*fn)(void *opaque), void *opaque, GError **error);
void xen_faults_done(XenFaults *f); /* fine for a zeroed one */

/* Sets all up, opens nothing. Everything given outlives the queue. */
void xen_queue_init(XenQueue *q, const XenQueueOps *ops, Xen *xen, uint16_t domid, unsigned index,
                    XenFaults *faults);
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
 * A backend's: maps @n_pages of a ring that are called @name in errors, and attaches @ring
 * to where it stands. Unmapped by xen_queue_done().
 */
bool xen_queue_map_ring(XenQueue *q, XenRing *ring, const char *name, const uint32_t *refs,
                        unsigned n_pages, uint32_t entry_size, GError **error);

/* Hands it to @thread; NULL: one of its own, called @name. */
bool xen_queue_start(XenQueue *q, IoThread *thread, const char *name, GError **error);
/* Takes it back. Idempotent, as the next one; both are fine for a zeroed queue. */
void xen_queue_stop(XenQueue *q);
/* Closes ports, unmaps rings, closes handles. Stopped. */
void xen_queue_done(XenQueue *q);

/* Paused, it is not polled, and its ports stay masked. */
void xen_queue_set_paused(XenQueue *q, bool paused);

/* Why it stopped by itself; NULL: it did not. Any thread. */
const char *xen_queue_fault(const XenQueue *q);

/* --- the queue's thread --- */

/* Notes a protocol violation, a literal; false. The round then ends with XEN_VIOLATION. */
static inline bool xen_queue_violation(XenQueue *q, const char *reason)
{
    q->violation = reason;
    return false;
}

/* Nothing of this queue moves any more; the main thread is told. @reason: a literal. */
void xen_queue_break(XenQueue *q, const char *reason);

/* Polls again at @ns of clock_ns() at the latest. */
static inline void xen_queue_wake_at(XenQueue *q, uint64_t ns)
{
    if (q->poller.wake_ns == 0 || ns < q->poller.wake_ns) {
        q->poller.wake_ns = ns;
    }
}

/* To the other end, through port[@i]. */
static inline void xen_queue_notify(XenQueue *q, unsigned i)
{
    q->xen->ops->evtchn_notify(q->evtchn, q->port[i].port);
}

#endif
