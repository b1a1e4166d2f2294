/*
 * A blkfront queue's life: a shared ring and a port, pages for data, its thread, and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkfront-internal.h"

#include <sys/epoll.h>

/* --- in the thread --- */

static QueueVerdict queue_poll(XenQueue *base)
{
    BlkfrontQueue *q = container_of(base, BlkfrontQueue, base);
    int taken = blkfront_ring_take(q);

    if (taken < 0) {
        return QUEUE_VIOLATION;
    }
    return blkfront_ring_put(q) > 0 || taken > 0 ? QUEUE_WORK : QUEUE_IDLE;
}

/* What waits for room does so until there is a response. */
static bool queue_arm(XenQueue *base)
{
    BlkfrontQueue *q = container_of(base, BlkfrontQueue, base);
    bool work = xen_ring_arm_responses(&q->ring, 0);

    for (unsigned i = base->q.index; i < q->bf->n_lanes; i += q->bf->plan.n_queues) {
        work |= blkfront_lane_arm(&q->bf->lane[i]);
    }
    return work;
}

static int queue_attach(XenQueue *base)
{
    BlkfrontQueue *q = container_of(base, BlkfrontQueue, base);
    unsigned step = q->bf->plan.n_queues;

    for (unsigned i = base->q.index; i < q->bf->n_lanes; i += step) {
        int r = io_thread_add_source(base->q.thread, &q->bf->lane[i].source, EPOLLIN);

        if (r < 0) {
            while (i >= base->q.index + step) {
                i -= step;
                io_thread_remove_source(base->q.thread, &q->bf->lane[i].source);
            }
            return r;
        }
    }
    return 0;
}

static void queue_detach(XenQueue *base)
{
    BlkfrontQueue *q = container_of(base, BlkfrontQueue, base);

    for (unsigned i = base->q.index; i < q->bf->n_lanes; i += q->bf->plan.n_queues) {
        io_thread_remove_source(base->q.thread, &q->bf->lane[i].source);
    }
}

static const XenQueueOps queue_ops = {
    .poll = queue_poll,
    .arm = queue_arm,
    .attach = queue_attach,
    .detach = queue_detach,
};

/* --- main thread --- */

BlkfrontQueue *blkfront_queue_new(XenBlkfront *bf, unsigned index, GError **error)
{
    BlkfrontQueue *q = g_new0(BlkfrontQueue, 1);
    unsigned n_pages = 1u << bf->plan.order;

    q->bf = bf;
    xen_queue_init(&q->base, &queue_ops, bf->env.xen, bf->bus.backend_id, index, &bf->faults);
    if (!xen_queue_open(&q->base, false, error) ||
        !xen_queue_alloc_port(&q->base, &bf->lane[index].stats.events_received, error)) {
        blkfront_queue_free(q);
        return NULL;
    }
    q->ring_pages = xenbus_front_share(&bf->bus, index, n_pages, true, q->ring_refs, error);
    if (!q->ring_pages) {
        blkfront_queue_free(q);
        return NULL;
    }
    xen_ring_init_front(&q->ring, q->ring_pages, n_pages, xen_blkif_slot_size(bf->abi));
    return q;
}

static void queue_make_slots(BlkfrontQueue *q, unsigned max_pages)
{
    q->n_slots = q->n_free_slots = q->ring.size;
    q->slot = g_new0(BlkfrontSlot, q->n_slots);
    q->slot_pages = g_new(uint32_t, (size_t)q->n_slots * max_pages);
    q->free_slots = g_new(uint16_t, q->n_slots);
    for (unsigned i = 0; i < q->n_slots; i++) {
        q->slot[i].page = &q->slot_pages[(size_t)i * max_pages];
        q->free_slots[i] = (uint16_t)(q->n_slots - 1 - i);
    }
}

static bool queue_make_pool(BlkfrontQueue *q, unsigned max_pages, GError **error)
{
    const XenBlkfrontConfig *c = &q->bf->config;

    q->n_pool = MAX(c->pool ? c->pool : BLKFRONT_POOL, max_pages);
    q->pool_refs = g_new(uint32_t, q->n_pool);
    q->pool = xenbus_front_share(&q->bf->bus, q->base.q.index, q->n_pool, true, q->pool_refs,
                                 error);
    if (!q->pool) {
        return false;
    }
    q->n_free_pages = q->n_pool;
    q->free_pages = g_new(uint32_t, q->n_pool);
    for (unsigned i = 0; i < q->n_pool; i++) {
        q->free_pages[i] = q->n_pool - 1 - i;
    }
    return true;
}

bool blkfront_queue_start(BlkfrontQueue *q, GError **error)
{
    XenBlkfront *bf = q->bf;
    unsigned index = q->base.q.index;
    unsigned segs = bf->disk.max_segs;
    unsigned max_pages = segs + (segs + XEN_BLKIF_SEGS_OF_PAGE - 1) / XEN_BLKIF_SEGS_OF_PAGE;
    IoThread *thread = bf->env.n_threads ? bf->threads[index % bf->env.n_threads] : NULL;
    g_autofree char *name = g_strdup_printf("vbd%u-q%u", bf->config.vdev, index);

    queue_make_slots(q, max_pages);
    q->segs = g_new(XenBlkifSeg, segs);
    return queue_make_pool(q, max_pages, error) && xen_queue_start(&q->base, thread, name, error);
}

static void queue_replay(BlkfrontQueue *q)
{
    for (unsigned i = 0; i < q->n_slots; i++) {
        if (q->slot[i].part.req) {
            blkfront_lane_replay(q->slot[i].lane, &q->slot[i].part);
        }
    }
    for (unsigned i = q->base.q.index; i < q->bf->n_lanes; i += q->bf->plan.n_queues) {
        blkfront_lane_sort(&q->bf->lane[i]);
    }
}

void blkfront_queue_free(BlkfrontQueue *q)
{
    if (!q) {
        return;
    }
    xen_queue_stop(&q->base);
    xen_queue_done(&q->base);
    queue_replay(q);
    if (q->ring_pages) {
        xenbus_front_unshare(&q->bf->bus, q->ring_pages, 1u << q->bf->plan.order);
    }
    xenbus_front_unshare(&q->bf->bus, q->pool, q->n_pool);
    g_free(q->slot);
    g_free(q->slot_pages);
    g_free(q->free_slots);
    g_free(q->free_pages);
    g_free(q->pool_refs);
    g_free(q->segs);
    g_free(q);
}
