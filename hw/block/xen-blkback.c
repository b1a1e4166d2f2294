/*
 * Blkback: what a vbd is, on top of what any backend of a Xen device has (xenbus-back.h): its keys,
 * its image, its queues.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/block/xen-blkback.h"

#include <string.h>

#include "util/fd.h"
#include "xen-blkback-internal.h"
#include "xen-vdev.h"

#define MAX_DEFAULT_QUEUES 8u
#define CHOSEN_DISKS       26u /* xvda to xvdz */

/* --- connection --- */

static XenBlkback *blkback_of(XenbusBack *b)
{
    return container_of(b, XenBlkback, bus);
}

static void blkback_event(XenbusBack *b, XenbusEvent event, const char *detail)
{
    XenBlkback *d = blkback_of(b);

    if (d->env.event) {
        d->env.event(d->env.opaque, event, detail);
    }
}

static XenKeys *blkback_keys_new(XenBackQueues *qs)
{
    return blkback_store_keys_new(container_of(qs, XenBlkback, queues));
}

static XenQueue *blkback_start_queue(XenBackQueues *qs, const XenKeys *k, unsigned index,
                                     GError **error)
{
    BlkbackQueue *q = blkback_queue_start(container_of(qs, XenBlkback, queues), index,
                                          container_of(k, const BlkbackKeys, base), error);

    return q ? &q->base : NULL;
}

static bool blkback_stop_queue(XenBackQueues *qs, XenQueue *q)
{
    return blkback_queue_stop(container_of(q, BlkbackQueue, base));
}

/* What a backend that was killed had under way on rings that there are no more, nobody asks for. */
static void blkback_forget_rings(XenBlkback *d, unsigned first)
{
    xen_blkback_record_remove(d->env.record_dir, d->bus.frontend_id, d->bus.idx, first);
}

static void blkback_queues_connected(XenBackQueues *qs, const XenKeys *k)
{
    blkback_forget_rings(container_of(qs, XenBlkback, queues), k->n_queues);
}

static const XenBackQueuesOps blkback_queues_ops = {
    .keys_may_be_stale = true,
    .keys_new = blkback_keys_new,
    .keys_free = blkback_store_keys_free,
    .start = blkback_start_queue,
    .connected = blkback_queues_connected,
    .stop = blkback_stop_queue,
};

static XenbusStep blkback_connect(XenbusBack *b, GError **error)
{
    return xen_back_queues_connect(&blkback_of(b)->queues, error);
}

static XenbusStep blkback_disconnect(XenbusBack *b)
{
    return xen_back_queues_disconnect(&blkback_of(b)->queues);
}

static bool blkback_write_nodes(XenbusBack *b, XenTx tx)
{
    return blkback_store_write_nodes(blkback_of(b), tx);
}

static bool blkback_take_over(XenbusBack *b, GError **error)
{
    return blkback_store_take_over(blkback_of(b), error);
}

static bool blkback_publish(XenbusBack *b, XenTx tx)
{
    XenBlkback *d = blkback_of(b);

    if (!b->goes_on) {
        blkback_forget_rings(d, 0); /* the frontend begins anew */
    }
    return blkback_store_publish(d, tx);
}

static bool blkback_publish_connected(XenbusBack *b, XenTx tx)
{
    return blkback_store_publish_connected(blkback_of(b), tx);
}

#define BLKBACK_OPS(name)                               \
    {                                                   \
        .kind = name,                                   \
        .front_kind = "vbd",                            \
        .toolstack_key = "params",                      \
        .own_key = "multi-queue-max-queues",            \
        .max_idx = XEN_VDEV_MAX,                        \
        .chosen = xen_vdev_xvd,                         \
        .n_chosen = CHOSEN_DISKS,                       \
        .at_initialised = true,                         \
        .write_nodes = blkback_write_nodes,             \
        .take_over = blkback_take_over,                 \
        .publish = blkback_publish,                     \
        .publish_connected = blkback_publish_connected, \
        .connect = blkback_connect,                     \
        .disconnect = blkback_disconnect,               \
        .event = blkback_event,                         \
    }

const XenbusBackOps xen_blkback_bus[] = {
    [XEN_BLKBACK_QDISK] = BLKBACK_OPS("qdisk"),
    [XEN_BLKBACK_VBD] = BLKBACK_OPS("vbd"),
};

/* --- what happens to its queues and its image --- */

/* One ring is broken: the others, which the guest may need, go on. */
static void blkback_fault(void *opaque)
{
    XenBlkback *d = opaque;
    g_autofree char *fault = xen_queues_fault(&d->queues.run);

    if (fault) {
        g_autofree char *text = g_strdup_printf("%s: this ring stands still", fault);

        blkback_event(&d->bus, XENBUS_WARNING, text);
    }
}

static void blkback_node_changed(void *opaque)
{
    XenBlkback *d = opaque;

    if (block_node_failed(d->env.node) && !d->failed) {
        d->failed = true;
        blkback_event(&d->bus, XENBUS_ERROR,
                      "the disk has failed: what it did not flush may be lost");
    }
    xenbus_back_republish(&d->bus);
}

void blkback_drained(XenBlkback *d)
{
    for (unsigned i = 0; d->pausing && i < d->queues.run.n; i++) {
        if (!blkback_queue(d, i)->drained) {
            return;
        }
    }
    xenbus_back_go_on(&d->bus);
    if (d->pausing) {
        d->pausing = false;
        d->env.drained(d->env.opaque);
    }
}

/* --- public --- */

unsigned xen_blkback_max_queues(const XenBlkbackConfig *config)
{
    unsigned n = config->num_queues;

    return n > 0 ? MIN(n, XEN_MAX_QUEUES) : MIN(g_get_num_processors(), MAX_DEFAULT_QUEUES);
}

static void blkback_set_options(XenBlkback *d, const XenBlkbackConfig *c)
{
    const BlockNode *node = d->env.node;

    d->read_only = node->read_only || d->env.cdrom;
    d->removable = c->removable || d->env.cdrom;
    d->physical_block_size = c->physical_block_size ? c->physical_block_size
                                                    : MAX(node->physical_block_size,
                                                          c->logical_block_size);
    d->discard_granularity = c->discard_granularity ? c->discard_granularity
                                                    : MAX(node->discard_granularity,
                                                          c->logical_block_size);
    d->options = (BlkbackOffer) {
        .max_queues = xen_blkback_max_queues(c),
        .max_order = c->max_ring_page_order,
        .max_indirect = c->max_indirect_segments,
        .block_size = c->logical_block_size,
        .persistent = c->persistent_grants,
        .discard = node->discard && !d->read_only,
        .discard_secure = node->discard && !d->read_only,
    };
    d->offer = d->options;
}

XenBlkback *xen_blkback_new(const XenBlkbackConfig *config, const XenBlkbackEnv *env,
                            int32_t number, GError **error)
{
    g_autoptr(XenBlkback) d = g_new0(XenBlkback, 1);
    const XenbusBackOps *ops = &xen_blkback_bus[config->backend_type];

    d->env = *env;
    d->env.threads = g_memdup2(env->threads, sizeof(env->threads[0]) * env->n_threads);
    d->id = g_strdup(config->id);
    d->queues = (XenBackQueues) { .ops = &blkback_queues_ops, .bus = &d->bus };
    d->stats = g_aligned_alloc0(XEN_MAX_QUEUES, sizeof(XenBlkbackStats), 64);
    blkback_set_options(d, config);
    if (!device_faults_init(&d->faults, blkback_fault, d, error) ||
        !xenbus_back_init(&d->bus, ops, env->xen, env->store, env->frontend_id, number, error)) {
        return NULL;
    }
    env->node->changed = blkback_node_changed;
    env->node->changed_opaque = d;
    return g_steal_pointer(&d);
}

void xen_blkback_start(XenBlkback *d)
{
    xenbus_back_start(&d->bus);
}

void xen_blkback_pause(XenBlkback *d)
{
    d->paused = true;
    d->pausing = true;
    for (unsigned i = 0; i < d->queues.run.n; i++) {
        blkback_queue_hold(blkback_queue(d, i));
    }
    blkback_drained(d);
}

void xen_blkback_resume(XenBlkback *d)
{
    d->paused = false;
    d->pausing = false;
    for (unsigned i = 0; i < d->queues.run.n; i++) {
        blkback_queue_go_on(blkback_queue(d, i));
    }
}

void xen_blkback_close(XenBlkback *d, unsigned timeout_ms)
{
    xenbus_back_close(&d->bus, timeout_ms);
}

void xen_blkback_free(XenBlkback *d)
{
    if (!d) {
        return;
    }
    d->env.node->changed = NULL;
    xenbus_back_done(&d->bus);
    device_faults_done(&d->faults);
    fd_close(&d->env.record_dir);
    g_aligned_free(d->stats);
    g_free(d->env.threads);
    g_free(d->id);
    g_free(d);
}

void xen_blkback_info(XenBlkback *d, XenBlkbackInfo *ret_info)
{
    g_autofree char *name = xen_vdev_name(d->bus.idx);

    *ret_info = (XenBlkbackInfo) {
        .id = d->id,
        .number = d->bus.idx,
        .frontend_id = d->bus.frontend_id,
        .state = xenbus_state_name(d->bus.state),
        .error = d->bus.error,
        .n_queues = d->bus.connected ? d->queues.run.n : 0,
        .max_queues = MAX(d->options.max_queues, d->offer.max_queues),
        .stats = d->stats,
    };
    g_strlcpy(ret_info->vdev, name, sizeof(ret_info->vdev));
    if (d->bus.connected) {
        xen_queues_tids(&d->queues.run, ret_info->tids);
    }
}
