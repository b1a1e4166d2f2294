/*
 * The backend of a Xen device, of whatever kind: its nodes in XenStore, its states, the
 * frontend's, the toolstack's wishes (xen/include/public/io/xenbus.h;
 * docs/xenstore-keys.rst). A device embeds it, and keeps what its keys and rings mean.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XENBUS_BACK_H
#define HW_XEN_XENBUS_BACK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-event.h"
#include "hw/xen/xenbus-state.h"

typedef struct XenbusBack XenbusBack;

typedef enum XenbusStep {
    XENBUS_STEP_DONE,
    XENBUS_STEP_MORE,   /* again, in the next round of the main loop */
    XENBUS_STEP_WAIT,   /* of disconnect(): again after xenbus_back_go_on() */
    XENBUS_STEP_FAILED, /* of connect() */
} XenbusStep;

/* What a kind of device does. @b is embedded in the device: container_of(). */
typedef struct XenbusBackOps {
    const char *kind;       /* "vif": backend/KIND and device/KIND */
    const char *front_kind; /* of device/KIND, if it is another: backend/qdisk has device/vbd */
    /* Every toolstack writes it to b->be, and we never do: whose nodes they are. */
    const char *toolstack_key;
    /*
     * publish() always writes it, and no other program that serves the kind does: a device that
     * has it was ours. NULL: there is none.
     */
    const char *own_key;
    unsigned max_idx;    /* devices of a guest have an idx below it */
    /*
     * The @nth that is tried where people name none, for @nth < n_chosen: numbers of disks are
     * not close together. NULL: all below max_idx, in their order.
     */
    unsigned (*chosen)(unsigned nth);
    unsigned n_chosen;
    /*
     * Its frontends say Initialised when their keys are there, and Connected once we did
     * (blkif.h); some say Connected at once. Else Initialised asks for nothing.
     */
    bool at_initialised;

    /*
     * Nodes that a toolstack would have made besides those of every kind, in b->be and
     * b->fe. If b->resumed, they are there: what people did not say stays. Again, if the
     * transaction was disturbed. False: errno.
     */
    bool (*write_nodes)(XenbusBack *b, XenTx tx);
    /* A toolstack has made the nodes: reads what counts of them. */
    bool (*take_over)(XenbusBack *b, GError **error);
    /* Features in b->be, before InitWait; as write_nodes(). */
    bool (*publish)(XenbusBack *b, XenTx tx);
    /*
     * What the frontend reads when it sees Connected, in b->be: in the transaction that says so,
     * each time; as write_nodes(). Optional.
     */
    bool (*publish_connected)(XenbusBack *b, XenTx tx);

    /*
     * The frontend is Connected, or Initialised: reads its keys and starts, a bounded step in each
     * call, because others wait for the main loop meanwhile. Of a failure people see the reason.
     */
    XenbusStep (*connect)(XenbusBack *b, GError **error);
    /*
     * Ends what connect() began, if not finished too, in bounded steps. It may wait for what is
     * under way, a disk's requests, but not while b->ending: then it takes its time itself. Done:
     * nothing of the guest's is used any more.
     */
    XenbusStep (*disconnect)(XenbusBack *b);
    /*
     * The frontend is Reconfiguring while connected: takes up what it may change then, if that
     * is something new. It waits for the answer, which follows at once. Optional.
     */
    void (*reconfigure)(XenbusBack *b);

    /* From within other calls, but for XENBUS_CLOSED and XENBUS_GONE: from the main loop. */
    void (*event)(XenbusBack *b, XenbusEvent event, const char *detail);
} XenbusBackOps;

struct XenbusBack {
    const XenbusBackOps *ops;
    Xen *xen;
    XenStore *store;
    uint16_t frontend_id;
    unsigned idx;
    char *be;            /* backend directory */
    char *fe;            /* frontend directory */
    enum xenbus_state state;
    char *error;         /* the last reason; NULL: all is well */
    bool connected;
    bool reconfigured;   /* said so, and the frontend is not Connected again yet */
    bool created;        /* the nodes are ours; else a toolstack's */
    bool resumed;        /* and were there: a backend that died had made them */
    /* From publish() to the end of the connection: it was that of a backend that died. */
    bool goes_on;
    bool ending;         /* in xenbus_back_done() */
    bool online_warned;  /* of a B/online that makes no sense */

    /* its own */
    char *error_path;
    XenClaim *claim;
    bool started;
    bool begin_due;      /* XenStore failed when it began: again */
    bool closing;
    bool closed_sent;
    bool stalled;        /* it fails for XenStore, not for the frontend */
    bool unwritten;      /* the state is not in XenStore yet */
    bool store_failed;   /* XenStore's failure was reported, and is not over */
    bool domain_seen;
    bool front_seen;
    enum xenbus_state front_last; /* when we looked */
    bool front_watched;
    bool front_written;  /* the frontend wrote its state, which was not followed yet */
    bool connecting;     /* some steps are done */
    bool disconnecting;
    bool waiting;        /* while it disconnects: for xenbus_back_go_on() */
    bool was_connected;  /* before it */
    bool failing;        /* with error, once it is disconnected */
    bool close_due;
    guint step_source;
    gint64 connected_us;
    unsigned fail_wait_ms;
    gint64 fail_until_us; /* no connection before it */
    guint fail_timer;
    XenWatch *watch_front;
    XenWatch *watch_online;
    XenWatch *watch_hotplug;
    XenWatch *watch_domain;
    guint retry_timer;
    guint close_timer;
    guint closed_idle;
};

/*
 * Creates the nodes of the device @idx of the domain @frontend_id, or takes over those of a
 * toolstack, or goes on with those that a backend left behind when it died: the frontend still
 * has them, and its rings. @idx -1: the first that was left behind, or else is free. A device that
 * has a live backend is refused. Does not offer it yet. @xen and @store outlive it.
 * False: nothing is left but what xenbus_back_done() takes away.
 */
bool xenbus_back_init(XenbusBack *b, const XenbusBackOps *ops, Xen *xen, XenStore *store,
                      uint16_t frontend_id, int32_t idx, GError **error);
/* Disconnects, forgets everything, removes the nodes that were created. Fine for a zeroed one. */
void xenbus_back_done(XenbusBack *b);

/* Publishes features and InitWait; connects when the frontend does. Idempotent. */
void xenbus_back_start(XenbusBack *b);

/*
 * Asks for the end: Closing, then Closed as soon as the frontend agrees or @timeout_ms are
 * over; XENBUS_CLOSED follows. Packets or requests flow until the frontend agrees.
 */
void xenbus_back_close(XenbusBack *b, unsigned timeout_ms);

/* What disconnect() waits for is over. Fine if it does not wait. */
void xenbus_back_go_on(XenbusBack *b);

/*
 * The connection ends, @reason is written where people look, and the frontend is asked to
 * close; it may come back, through Initialising or with a Connected that it writes anew.
 * XENBUS_ERROR.
 */
void xenbus_back_fail(XenbusBack *b, const char *reason);

/*
 * What publish_connected() says has changed. Connected is said again with it: a vbd's frontend
 * reads its size anew then. While there is no connection there is nothing to do: the next one says
 * it.
 */
void xenbus_back_republish(XenbusBack *b);

/*
 * b->be/@key as a toolstack wrote it, without blanks and newlines around it. Free it; NULL:
 * errno.
 */
char *xenbus_back_read(XenbusBack *b, XenTx tx, const char *key);
/*
 * Calls @fn in a transaction, unless a toolstack has removed the backend's directory (or with
 * @front the frontend's): what we write must not bring it back. False: errno.
 */
bool xenbus_back_update(XenbusBack *b, bool front, XenTxFn *fn, void *opaque);
/* Writes a number to b->be/@key in that way. */
bool xenbus_back_write(XenbusBack *b, const char *key, unsigned value);

#endif
