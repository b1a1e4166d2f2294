/*
 * Blkfront: what a vbd is, on top of what any frontend of a Xen device has (xenbus-front.h): its
 * keys, its rings, the requests that wait for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkfront-internal.h"

static XenBlkfront *blkfront_of(XenbusFront *f)
{
    return container_of(f, XenBlkfront, bus);
}

/* --- connection --- */

static void blkfront_disconnect(XenbusFront *f)
{
    XenBlkfront *bf = blkfront_of(f);

    while (bf->queues.n > 0) {
        blkfront_queue_free(container_of(xen_queues_take(&bf->queues), BlkfrontQueue, base));
    }
}

static bool blkfront_connect(XenbusFront *f, GError **error)
{
    XenBlkfront *bf = blkfront_of(f);

    if (bf->fault) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s", bf->fault);
        return false;
    }
    blkfront_store_plan(bf, &bf->plan);
    for (unsigned i = 0; i < bf->plan.n_queues; i++) {
        BlkfrontQueue *q = blkfront_queue_new(bf, i, error);

        if (!q) {
            return false;
        }
        xen_queues_add(&bf->queues, &q->base);
    }
    return blkfront_store_write(bf, error);
}

static bool blkfront_run(XenbusFront *f, GError **error)
{
    XenBlkfront *bf = blkfront_of(f);

    if (!blkfront_store_read_disk(bf, error)) {
        return false;
    }
    for (unsigned i = 0; i < bf->queues.n; i++) {
        if (!blkfront_queue_start(blkfront_queue(bf, i), error)) {
            return false;
        }
    }
    return true;
}

/* A backend that says Connected again has another size to tell. */
static void blkfront_changed(XenbusFront *f)
{
    XenBlkfront *bf = blkfront_of(f);

    if (f->running && blkfront_store_read_size(bf) && bf->env.resized) {
        bf->env.resized(bf->env.opaque);
    }
}

static void blkfront_event(XenbusFront *f, XenbusEvent event, const char *detail)
{
    XenBlkfront *bf = blkfront_of(f);

    if (bf->env.event) {
        bf->env.event(bf->env.opaque, event, detail);
    }
}

static const XenbusFrontOps blkfront_ops = {
    .kind = "vbd",
    .at_initialised = true,
    .connect = blkfront_connect,
    .run = blkfront_run,
    .disconnect = blkfront_disconnect,
    .changed = blkfront_changed,
    .event = blkfront_event,
};

/*
 * A ring's thread found a violation. What such a backend said before, and what it would say, is
 * worth nothing: there is no disk any more, as with Linux.
 */
static void blkfront_fault(void *opaque)
{
    XenBlkfront *bf = opaque;

    if (bf->fault) {
        return;
    }
    bf->fault = xen_queues_fault(&bf->queues);
    if (!bf->fault) {
        return;
    }
    xenbus_front_fail(&bf->bus, bf->fault);
    for (unsigned i = 0; i < bf->n_lanes; i++) {
        blkfront_lane_fail(&bf->lane[i]);
    }
}

/* --- public --- */

static bool blkfront_check(const XenBlkfrontConfig *c, const XenBlkfrontEnv *env, GError **error)
{
    const char *bad = c->queues < 1 || c->queues > XEN_BLKFRONT_MAX_QUEUES ? "queues"
                      : c->ring_order > XEN_BLKFRONT_MAX_ORDER            ? "ring order"
                      : c->max_indirect > XEN_BLKFRONT_MAX_INDIRECT       ? "indirect segments"
                                                                          : NULL;

    if (!env->xen->ops->share_open) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                    "a frontend needs a domain that can grant pages to another one");
        return false;
    }
    if (bad) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "no vbd has such a number of %s", bad);
        return false;
    }
    return true;
}

static bool blkfront_init(XenBlkfront *bf, GError **error)
{
    const XenBlkfrontEnv *env = &bf->env;

    for (; bf->n_lanes < bf->config.queues; bf->n_lanes++) {
        if (!blkfront_lane_init(&bf->lane[bf->n_lanes], error)) {
            bf->n_lanes++;
            return false;
        }
    }
    return device_faults_init(&bf->faults, blkfront_fault, bf, error) &&
           xenbus_front_init(&bf->bus, &blkfront_ops, env->xen, env->store, bf->config.vdev, error);
}

XenBlkfront *xen_blkfront_new(const XenBlkfrontConfig *config, const XenBlkfrontEnv *env,
                              GError **error)
{
    g_autoptr(XenBlkfront) bf = NULL;

    if (!blkfront_check(config, env, error)) {
        return NULL;
    }
    bf = g_new0(XenBlkfront, 1);
    bf->config = *config;
    bf->env = *env;
    bf->threads = g_memdup2(env->threads, env->n_threads * sizeof(env->threads[0]));
    bf->abi = config->x86_32 ? XEN_BLKIF_ABI_X86_32 : XEN_BLKIF_ABI_64;
    bf->lane = g_new0(BlkfrontLane, config->queues);
    return blkfront_init(bf, error) ? g_steal_pointer(&bf) : NULL;
}

void xen_blkfront_start(XenBlkfront *bf)
{
    xenbus_front_start(&bf->bus);
}

void xen_blkfront_close(XenBlkfront *bf, unsigned timeout_ms)
{
    xenbus_front_close(&bf->bus, timeout_ms);
}

void xen_blkfront_free(XenBlkfront *bf)
{
    if (!bf) {
        return;
    }
    xenbus_front_done(&bf->bus);
    device_faults_done(&bf->faults);
    for (unsigned i = 0; i < bf->n_lanes; i++) {
        blkfront_lane_done(&bf->lane[i]);
    }
    g_free(bf->lane);
    g_free(bf->threads);
    g_free(bf->fault);
    g_free(bf);
}

void xen_blkfront_info(const XenBlkfront *bf, XenBlkfrontInfo *ret)
{
    *ret = bf->disk;
    ret->state = xenbus_state_name(bf->bus.state);
    ret->error = bf->bus.error;
    ret->connected = bf->bus.running;
    ret->failed = bf->fault != NULL;
}

const XenBlkfrontStats *xen_blkfront_stats(const XenBlkfront *bf, unsigned queue)
{
    return &bf->lane[queue].stats;
}
