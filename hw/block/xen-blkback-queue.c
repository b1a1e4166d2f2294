/*
 * A queue of a vbd: a XenQueue with a ring, and a way to the image.
 *
 * What the disk has under way uses pages of the guest or of ours, so a queue ends in two steps: it
 * is held, and once nothing is under way, it is stopped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "xen-blkback-internal.h"

/* --- in the thread --- */

static QueueVerdict queue_poll(XenQueue *base)
{
    BlkbackQueue *q = container_of(base, BlkbackQueue, base);
    bool answered = blkback_respond(q);
    QueueVerdict v = blkback_request_poll(q);

    return v == QUEUE_IDLE && answered ? QUEUE_WORK : v;
}

static bool queue_arm(XenQueue *base)
{
    BlkbackQueue *q = container_of(base, BlkbackQueue, base);
    uint64_t at = q->grants ? xen_blkback_grants_release(q->grants, io_clock_ns()) : 0;

    if (at != 0) {
        xen_queue_wake_at(base, at);
    }
    return blkback_request_arm(q);
}

/* Nothing is under way: what is done is still answered, unless the ring is broken. */
static void queue_detach(XenQueue *base)
{
    BlkbackQueue *q = container_of(base, BlkbackQueue, base);

    if (!xen_queue_fault(base)) {
        blkback_respond(q);
    }
    blkback_drop(q);
}

static const XenQueueOps blkback_queue_ops = {
    .poll = queue_poll,
    .arm = queue_arm,
    .detach = queue_detach,
};

/* --- hold --- */

/* Outlives the queue if nobody could wait for its end. */
typedef struct BlkbackDrain {
    IoTask task;
    BlkbackQueue *q; /* NULL: gone */
    bool stale;      /* the queue went on since it was asked for: it may be over for long */
} BlkbackDrain;

static void drain_post(BlkbackQueue *q);

static bool drain_run(IoTask *task)
{
    BlkbackDrain *drain = container_of(task, BlkbackDrain, task);

    drain->q->hold = true;
    return block_queue_drain(&drain->q->block, task);
}

static void drain_done(IoTask *task)
{
    BlkbackDrain *drain = container_of(task, BlkbackDrain, task);
    BlkbackQueue *q = drain->q;
    bool stale = drain->stale;

    g_free(drain);
    if (!q) {
        return;
    }
    q->drain = NULL;
    if (q->want_hold && stale) {
        drain_post(q);
    } else if (q->want_hold) {
        q->drained = true;
        blkback_drained(q->disk);
    }
}

static void drain_post(BlkbackQueue *q)
{
    q->drain = g_new0(BlkbackDrain, 1);
    q->drain->q = q;
    q->drain->task = (IoTask) { .run = drain_run, .done = drain_done };
    io_thread_post(q->base.q.thread, &q->drain->task);
}

static void set_hold(void *opaque)
{
    BlkbackQueue *q = opaque;

    q->hold = q->want_hold;
}

void blkback_queue_hold(BlkbackQueue *q)
{
    q->want_hold = true;
    if (q->drain) {
        io_thread_call(q->base.q.thread, set_hold, q);
    } else if (!q->drained) {
        drain_post(q);
    }
}

void blkback_queue_go_on(BlkbackQueue *q)
{
    if (q->stopping) {
        return;
    }
    q->want_hold = false;
    q->drained = false;
    if (q->drain) {
        q->drain->stale = true;
    }
    io_thread_call(q->base.q.thread, set_hold, q);
}

/* The main loop must not go on meanwhile. A disk that hangs is waited for: it has our memory. */
static void wait_for_disk(BlkbackQueue *q)
{
    bool stale;

    do {
        blkback_queue_hold(q);
        stale = q->drain->stale;
        io_task_wait(&q->drain->task);
        g_steal_pointer(&q->drain)->q = NULL;
    } while (stale);
    q->drained = true;
}

/* --- its beginning and end --- */

/* Nothing is taken on any more. The way to the image ends before the thread that it is in. */
static void queue_free(BlkbackQueue *q)
{
    if (q->block_ready) {
        block_queue_done(&q->block);
    }
    xen_queue_stop(&q->base);
    blkback_pages_done(q);
    xen_blkback_record_free(q->record);
    xen_queue_done(&q->base);
    g_free(q->left);
    g_free(q->request);
    g_free(q);
}

bool blkback_queue_stop(BlkbackQueue *q)
{
    q->stopping = true;
    if (!q->drained && !q->disk->bus.ending) {
        blkback_queue_hold(q);
        return false;
    }
    if (!q->drained) {
        wait_for_disk(q);
    }
    queue_free(q);
    return true;
}

/*
 * Where the ring stands. Of one that a backend left, the record says what was taken and not
 * answered.
 */
static bool queue_open_record(BlkbackQueue *q, const XenQueueKeys *k, GError **error)
{
    const XenBlkback *d = q->disk;
    g_autofree char *name = xen_blkback_record_name(d->bus.frontend_id, d->bus.idx,
                                                    q->base.q.index);
    XenBlkbackRecordRing ring = {
        .n_slots = q->ring.size,
        .slot_size = q->ring.entry_size,
        .port = k->port[0],
        .n_refs = k->n_refs,
    };
    int n;

    memcpy(ring.ref, k->ref, k->n_refs * sizeof(ring.ref[0]));
    if (!d->bus.goes_on) {
        q->record = xen_blkback_record_new(d->env.record_dir, name, &ring, q->ring.cons,
                                           error);
        return q->record;
    }
    q->notify = true;
    q->record = xen_blkback_record_open(d->env.record_dir, name, &ring, NULL);
    if (!q->record && q->ring.page->req_prod == q->ring.prod) {
        q->record = xen_blkback_record_new(d->env.record_dir, name, &ring, q->ring.cons,
                                           error);
        return q->record;
    }
    q->left = g_new(uint16_t, ring.n_slots);
    n = q->record ? xen_blkback_record_recover(q->record, q->ring.prod, q->left, &q->ring.cons)
                  : -1;
    if (n < 0) {
        BLKBACK_FAIL(error, "queue %u: a backend died with requests under way, and left no record "
                     "of them", q->base.q.index);
        return false;
    }
    q->n_left = (unsigned)n;
    return true;
}

static bool queue_connect(BlkbackQueue *q, const XenQueueKeys *k, GError **error)
{
    if (!xen_queue_map_ring(&q->base, &q->ring, NULL, k->ref, k->n_refs,
                            xen_blkif_slot_size(q->abi), error) ||
        !queue_open_record(q, k, error) ||
        !xen_queue_bind(&q->base, k->port[0], &q->stats->ring.events_received, error)) {
        return false;
    }
    q->request = g_new0(BlkbackRequest, q->ring.size);
    for (unsigned i = 0; i < q->ring.size; i++) {
        q->request[i].q = q;
    }
    return true;
}

static bool queue_run(BlkbackQueue *q, GError **error)
{
    XenBlkback *d = q->disk;
    unsigned index = q->base.q.index;
    IoThread *thread = index < d->env.n_threads ? d->env.threads[index] : NULL;
    g_autofree char *name = g_strdup_printf("vbd%u.%u-q%u", d->env.frontend_id, d->bus.idx, index);

    q->hold = true; /* until it has its way to the image, which is for a thread */
    if (!xen_queue_start(&q->base, thread, name, error)) {
        return false;
    }
    q->block_ready = block_queue_init(&q->block, d->env.node, q->base.q.thread, error);
    if (!q->block_ready) {
        return false;
    }
    q->want_hold = q->drained = d->paused;
    io_thread_call(q->base.q.thread, set_hold, q);
    return true;
}

static void queue_set_limits(BlkbackQueue *q, const BlkbackOffer *offer)
{
    q->limits = (XenBlkifLimits) {
        .block_sectors = offer->block_size / XEN_BLKIF_SECTOR,
        .max_indirect = (uint16_t)offer->max_indirect,
        .read_only = q->disk->read_only,
        .discard = offer->discard,
        .discard_secure = offer->discard_secure,
    };
}

BlkbackQueue *blkback_queue_start(XenBlkback *d, unsigned index, const BlkbackKeys *keys,
                                  GError **error)
{
    BlkbackQueue *q = g_new0(BlkbackQueue, 1);

    q->disk = d;
    q->abi = keys->abi;
    q->stats = &d->stats[index];
    q->done_end = &q->done;
    queue_set_limits(q, &d->offer);
    xen_queue_init(&q->base, &blkback_queue_ops, d->env.xen, d->env.frontend_id, index,
                   &d->faults);
    if (!xen_queue_open(&q->base, true, error)) {
        goto fail;
    }
    if (!blkback_pages_init(q, keys->persistent && d->offer.persistent)) {
        BLKBACK_FAIL(error, "queue %u: no memory for its buffers", index);
        goto fail;
    }
    if (!queue_connect(q, &keys->base.queue[index], error) || !queue_run(q, error)) {
        goto fail;
    }
    return q;
fail:
    queue_free(q);
    return NULL;
}
