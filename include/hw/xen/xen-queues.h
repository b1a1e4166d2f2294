/*
 * The queues of a Xen device that run, in their order: what is done to all of them. Backend or
 * frontend.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_QUEUES_H
#define HW_XEN_XEN_QUEUES_H

#include "hw/xen/xen-queue.h"

#define XEN_MAX_QUEUES 64u /* of a device: ours, as Linux and xl have far fewer */

/* Zeroed: none. The queues are the device's, which frees them. */
typedef struct XenQueues {
    unsigned n;
    XenQueue *queue[XEN_MAX_QUEUES];
} XenQueues;

/* Behind the others. */
void xen_queues_add(XenQueues *qs, XenQueue *q);
/* The last one, which is not one of them any more; NULL: there was none. */
XenQueue *xen_queues_take(XenQueues *qs);
/* As xen_queue_set_paused(). */
void xen_queues_set_paused(XenQueues *qs, bool paused);
/* Why the first that stopped by itself did, for people: g_free(). NULL: none did. */
char *xen_queues_fault(const XenQueues *qs);
/* The thread of each; @ret_tids has room for all. */
void xen_queues_tids(const XenQueues *qs, int *ret_tids);

#endif
