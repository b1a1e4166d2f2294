/*
 * The frontend of a Xen device, of whatever kind: its state in XenStore, its backend's
 * (xen/include/public/io/xenbus.h; docs/xenstore-keys.rst), and the pages that it grants.
 * A device embeds it, and keeps what its keys and rings mean.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_FRONT_H
#define HW_XEN_XENBUS_FRONT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-queues.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-event.h"
#include "hw/xen/xenbus-state.h"

typedef struct XenbusFront XenbusFront;

/* What a kind of device does. @f is embedded in the device: container_of(). */
typedef struct XenbusFrontOps {
    const char *kind;     /* "vif": device/KIND */
    const char *follow;   /* a key of the backend that changed() is called for; NULL: none */
    /*
     * It says Initialised when its keys are there, and Connected once the backend did and run()
     * has read what that said with it (blkif.h). Else it is Connected as soon as its keys are.
     */
    bool at_initialised;

    /*
     * The backend waits for us: grants pages, allocates ports, writes keys. On failure what
     * was made is given back by disconnect().
     */
    bool (*connect)(XenbusFront *f, GError **error);
    /* The backend is Connected, too: starts. As connect() on failure. */
    bool (*run)(XenbusFront *f, GError **error);
    /*
     * Ends what connect() and run() began. The backend may still use the pages, so they are
     * given to xenbus_front_unshare(). Idempotent.
     */
    void (*disconnect)(XenbusFront *f);
    /* Something may have changed: f->running, @follow; or the backend said Connected again. */
    void (*changed)(XenbusFront *f);

    /* From within other calls, but for XENBUS_CLOSED: from the main loop. */
    void (*event)(XenbusFront *f, XenbusEvent event, const char *detail);
} XenbusFrontOps;

struct XenbusFront {
    const XenbusFrontOps *ops;
    Xen *xen;
    XenStore *store;
    XenShare *share;
    char *fe;                /* our directory */
    char *be;                /* the backend's; NULL: there is no device yet */
    uint16_t backend_id;
    enum xenbus_state state; /* ours; Unknown: no device */
    bool running;            /* the backend is Connected, too */
    char *error;             /* the last reason; NULL: all is well */

    /* its own */
    bool started;
    bool offered;            /* the backend was told of our pages */
    bool closing;
    bool closed_sent;
    bool lost;               /* the host is gone, XenStore with it */
    bool unwritten;          /* the state is not in XenStore yet */
    bool store_failed;       /* XenStore's failure was reported, and is not over */
    guint store_timer;
    XenWatch *watch_front;
    XenWatch *watch_state;
    XenWatch *watch_online;
    XenWatch *watch_follow;
    GArray *pages;           /* that wait to be freed */
    guint pages_timer;
    unsigned pages_tries;
    gint64 retry_at_us;      /* no new connection before it */
    unsigned retry_ms;
    guint retry_timer;
    guint wait_timer;        /* then it is said what we wait for */
    bool wait_reported;
    guint close_timer;
    guint closed_idle;
    guint lost_source;
};

/*
 * Waits for device/KIND/@idx of our domain to appear. @xen (with share ops) and @store outlive
 * it. False: nothing is left but what xenbus_front_done() takes away.
 */
bool xenbus_front_init(XenbusFront *f, const XenbusFrontOps *ops, Xen *xen, XenStore *store,
                       unsigned idx, GError **error);
/* Disconnects, forgets everything. Fine for a zeroed one. */
void xenbus_front_done(XenbusFront *f);

void xenbus_front_start(XenbusFront *f);
/* Closing, waits for the backend at most @timeout_ms, Closed; then XENBUS_CLOSED. */
void xenbus_front_close(XenbusFront *f, unsigned timeout_ms);

/* The connection ends, for @reason: XENBUS_ERROR. It is tried again after a while. */
void xenbus_front_fail(XenbusFront *f, const char *reason);
/* Reports a reason and goes on; once for as long as it stays the same. */
void xenbus_front_warn(XenbusFront *f, const char *reason);

/* A number in the backend's directory; @absent if there is none, or something else. */
uint64_t xenbus_front_feature(XenbusFront *f, const char *key, uint64_t absent);

/* --- keys of queues: xenbus-front-keys.c --- */

/*
 * Removes what an earlier connection, with more queues or with one, left and would be read now:
 * their number, queue-N, and a single one's @keys, up to a NULL. False: errno.
 */
bool xenbus_front_clear_queues(XenbusFront *f, XenTx tx, const char *const *keys);
/* Calls @fn for each queue, with the directory that its keys belong to. False: errno of @fn. */
typedef bool XenbusFrontQueueFn(XenStore *s, XenTx tx, const char *dir, const XenQueue *q);
bool xenbus_front_write_queues(XenbusFront *f, XenTx tx, const XenQueues *qs,
                               XenbusFrontQueueFn *fn);

/* --- pages: xenbus-front-pages.c --- */

/*
 * @count zeroed pages next to each other for the backend, which may write to them if @writable;
 * @ret_refs has room for @count. NULL: errors name @queue.
 */
void *xenbus_front_share(XenbusFront *f, unsigned queue, unsigned count, bool writable,
                         uint32_t *ret_refs, GError **error);
/*
 * Frees @count shared pages at @addr, now or as soon as the backend has let go of them: its
 * queues run until it has heard of our end. NULL is fine.
 */
void xenbus_front_unshare(XenbusFront *f, void *addr, unsigned count);

#endif
