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

static XenbusStep queues_connect(XenBackQueues *qs, GError **error)
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

/*
 * Linux' blkfront with one ring, after one with several (a kernel that kexec began, of fewer
 * processors), leaves multi-queue-num-queues and queue-N as they are, and writes its ring to
 * where a single one belongs. One with several rings leaves that in turn, so that it is there says
 * nothing: only if the first queue is not to be had, it is tried.
 */
static bool queues_may_be_stale(const XenBackQueues *qs)
{
    const XenbusBack *b = qs->bus;

    return qs->ops->keys_may_be_stale && qs->keys && qs->keys->n_queues > 1 && qs->run.n == 0 &&
           !b->goes_on && (xen_store_has(b->store, 0, b->fe, "ring-ref") ||
                           xen_store_has(b->store, 0, b->fe, "ring-ref0"));
}

static XenbusStep queues_connect_single(XenBackQueues *qs, const char *why, GError **error)
{
    g_autofree char *text = g_strdup_printf("%s: one ring is tried, as the keys of several may be "
                                            "old", why);

    qs->bus->ops->event(qs->bus, XENBUS_WARNING, text);
    queues_forget_keys(qs);
    qs->keys = qs->ops->keys_new(qs);
    qs->keys->single = true;
    return queues_connect(qs, error);
}

XenbusStep xen_back_queues_connect(XenBackQueues *qs, GError **error)
{
    g_autoptr(GError) why = NULL;
    XenbusStep step = queues_connect(qs, &why);

    if (step == XENBUS_STEP_FAILED && queues_may_be_stale(qs)) {
        step = queues_connect_single(qs, why->message, NULL);
    }
    if (step == XENBUS_STEP_FAILED) {
        g_propagate_error(error, g_steal_pointer(&why));
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
