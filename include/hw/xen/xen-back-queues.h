/*
 * How the queues of a backend come and go: first the frontend's keys are read, then the queues are
 * made one by one, a bounded step in each call, because others wait for the main loop meanwhile.
 * For connect() and disconnect() of XenbusBackOps.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_BACK_QUEUES_H
#define HW_XEN_XEN_BACK_QUEUES_H

#include "hw/xen/xen-keys.h"
#include "hw/xen/xen-queues.h"
#include "hw/xen/xenbus-back.h"

typedef struct XenBackQueues XenBackQueues;

/* What a kind of device does. @qs is embedded in the device: container_of(). */
typedef struct XenBackQueuesOps {
    /* A frontend with one ring removes nothing that one with several left: see the source. */
    bool keys_may_be_stale;
    /* For a connection, to be read: xen_keys_init(). */
    XenKeys *(*keys_new)(XenBackQueues *qs);
    void (*keys_free)(XenKeys *k);
    /* All keys are read: whatever a queue needs of the device. Optional. */
    bool (*prepare)(XenBackQueues *qs, const XenKeys *k, GError **error);
    /* Maps, binds, and hands it to its thread. NULL: nothing is left. */
    XenQueue *(*start)(XenBackQueues *qs, const XenKeys *k, unsigned index, GError **error);
    /* All of them run. Optional. */
    void (*connected)(XenBackQueues *qs, const XenKeys *k);
    /*
     * Takes it back from its thread, unmaps, unbinds, frees. Before that, it may wait for what is
     * under way: false, xenbus_back_go_on() follows, after which it is called again. Not while
     * qs->bus->ending.
     */
    bool (*stop)(XenBackQueues *qs, XenQueue *q);
} XenBackQueuesOps;

struct XenBackQueues {
    const XenBackQueuesOps *ops;
    XenbusBack *bus;
    XenQueues run;   /* that run */
    XenKeys *keys;   /* while it connects... */
    bool keys_read;  /* ...all of them */
};

XenbusStep xen_back_queues_connect(XenBackQueues *qs, GError **error);
/* Fine in the middle of a connection. */
XenbusStep xen_back_queues_disconnect(XenBackQueues *qs);

#endif
