/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-back-queues.h"

static void queues_forget_keys(XenBackQueues *qs)
{
    g_clear_pointer(&qs->keys, qs->ops->keys_free);
    qs->keys_read = false;
}

static XenbusStep queues_read_keys(XenBackQueues *qs, GError **error)
{
    XenbusStep step;

    if (!qs->keys) {
        qs->keys = qs->ops->keys_new(qs);
    }
    step = xen_keys_read(qs->keys, qs->bus->store, qs->bus->fe, error);
    qs->keys_read = step == XENBUS_STEP_DONE;
    if (qs->keys_read && qs->ops->prepare && !qs->ops->prepare(qs, qs->keys, error)) {
        return XENBUS_STEP_FAILED;
    }
    return step;
}

static XenbusStep queues_add(XenBackQueues *qs, GError **error)
{
    XenQueue *q = qs->ops->start(qs, qs->keys, qs->run.n, error);

    if (!q) {
        return XENBUS_STEP_FAILED;
    }
    xen_queues_add(&qs->run, q);
    return qs->run.n < qs->keys->n_queues ? XENBUS_STEP_MORE : XENBUS_STEP_DONE;
}

XenbusStep xen_back_queues_connect(XenBackQueues *qs, GError **error)
{
    XenbusStep step = XENBUS_STEP_DONE;

    if (!qs->keys_read) {
        step = queues_read_keys(qs, error);
    }
    if (step == XENBUS_STEP_DONE) {
        step = queues_add(qs, error);
    }
    if (step == XENBUS_STEP_DONE) {
        if (qs->ops->connected) {
            qs->ops->connected(qs, qs->keys);
        }
        queues_forget_keys(qs);
    }
    return step;
}

/* A queue a step: each has a thread to be stopped and pages to be unmapped. */
XenbusStep xen_back_queues_disconnect(XenBackQueues *qs)
{
    if (qs->run.n > 0) {
        if (!qs->ops->stop(qs, qs->run.queue[qs->run.n - 1])) {
            return XENBUS_STEP_WAIT;
        }
        xen_queues_take(&qs->run);
    }
    if (qs->run.n > 0) {
        return XENBUS_STEP_MORE;
    }
    queues_forget_keys(qs);
    return XENBUS_STEP_DONE;
}
