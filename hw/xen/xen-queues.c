/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-queues.h"

void xen_queues_add(XenQueues *qs, XenQueue *q)
{
    g_assert(qs->n < XEN_MAX_QUEUES && q->q.index == qs->n);
    qs->queue[qs->n++] = q;
}

XenQueue *xen_queues_take(XenQueues *qs)
{
    return qs->n > 0 ? g_steal_pointer(&qs->queue[--qs->n]) : NULL;
}

void xen_queues_set_paused(XenQueues *qs, bool paused)
{
    for (unsigned i = 0; i < qs->n; i++) {
        xen_queue_set_paused(qs->queue[i], paused);
    }
}

char *xen_queues_fault(const XenQueues *qs)
{
    for (unsigned i = 0; i < qs->n; i++) {
        const char *fault = xen_queue_fault(qs->queue[i]);

        if (fault) {
            return g_strdup_printf("queue %u: %s", i, fault);
        }
    }
    return NULL;
}

void xen_queues_tids(const XenQueues *qs, int *ret_tids)
{
    for (unsigned i = 0; i < qs->n; i++) {
        ret_tids[i] = io_thread_tid(qs->queue[i]->q.thread);
    }
}
