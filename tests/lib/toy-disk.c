/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "toy-disk.h"

#include <string.h>

#include "util/container-of.h"

#define RESPONSE 16u /* bytes */

typedef struct ToyDiskQueue {
    XenQueue base;
    XenRing ring;
    ToyDisk *disk;
    uint64_t events;
    unsigned polls; /* atomic */
} ToyDiskQueue;

static void disk_say(ToyDisk *d, const char *what)
{
    g_string_append_printf(d->log, "%s%s", d->log->len ? " " : "", what);
}

/* --- the queue's thread --- */

static QueueVerdict disk_poll(XenQueue *base)
{
    ToyDiskQueue *q = container_of(base, ToyDiskQueue, base);
    uint8_t req[TOY_DISK_ENTRY];
    int n = xen_ring_requests(&q->ring);

    __atomic_add_fetch(&q->polls, 1, __ATOMIC_SEQ_CST);
    if (n < 0) {
        xen_queue_violation(base, "the ring's req_prod is impossible");
        return QUEUE_VIOLATION;
    }
    for (int i = 0; i < n; i++) {
        xen_ring_take_request(&q->ring, req);
        req[RESPONSE - 1] ^= 0xff;
        xen_ring_put_response(&q->ring, req, RESPONSE);
    }
    if (n > 0 && xen_ring_push_responses(&q->ring)) {
        xen_queue_notify(base, 0);
    }
    return n > 0 ? QUEUE_WORK : QUEUE_IDLE;
}

static bool disk_arm(XenQueue *base)
{
    return xen_ring_arm_requests(&container_of(base, ToyDiskQueue, base)->ring, 0);
}

/* --- queues --- */

typedef struct ToyDiskKeys {
    XenKeys base;
    int order;
} ToyDiskKeys;

static bool disk_read_device(XenKeys *base, const XenKeysDir *d, GError **error)
{
    ToyDiskKeys *k = container_of(base, ToyDiskKeys, base);

    return xen_keys_page_order(d, TOY_DISK_MAX_ORDER, &k->order, error);
}

static bool disk_read_queue(XenKeys *base, const XenKeysDir *d, XenQueueKeys *q, GError **error)
{
    q->n_ports = 1;
    return xen_keys_ring(d, container_of(base, ToyDiskKeys, base)->order, q, error) &&
           xen_keys_port(d, "event-channel", &q->port[0], error);
}

static XenKeys *disk_keys_new(XenBackQueues *qs)
{
    static const XenKeysOps ops = { disk_read_device, disk_read_queue };
    ToyDiskKeys *k = g_new0(ToyDiskKeys, 1);

    xen_keys_init(&k->base, &ops, TOY_DISK_QUEUES);
    return &k->base;
}

static void disk_keys_free(XenKeys *k)
{
    xen_keys_done(k);
    g_free(container_of(k, ToyDiskKeys, base));
}

static bool disk_prepare(XenBackQueues *qs, const XenKeys *k, GError **error)
{
    ToyDisk *d = container_of(qs, ToyDisk, queues);

    disk_say(d, "prepare");
    if (d->refuse_prepare) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "there is no disk in it");
    }
    return !d->refuse_prepare;
}

static bool disk_stop(XenBackQueues *qs, XenQueue *base)
{
    ToyDiskQueue *q = container_of(base, ToyDiskQueue, base);

    if (q->disk->busy && !q->disk->bus.ending) {
        disk_say(q->disk, "busy");
        return false;
    }
    xen_queue_stop(base);
    xen_queue_done(base);
    q->disk->made--;
    g_free(q);
    return true;
}

static XenQueue *disk_start(XenBackQueues *qs, const XenKeys *k, unsigned index, GError **error)
{
    static const XenQueueOps ops = { .poll = disk_poll, .arm = disk_arm };
    ToyDisk *d = container_of(qs, ToyDisk, queues);
    const XenQueueKeys *keys = &k->queue[index];
    ToyDiskQueue *q = g_new0(ToyDiskQueue, 1);

    q->disk = d;
    d->made++;
    disk_say(d, "queue");
    xen_queue_init(&q->base, &ops, d->f.host, 1, index, &d->faults);
    if (!xen_queue_open(&q->base, true, error) ||
        !xen_queue_map_ring(&q->base, &q->ring, NULL, keys->ref, keys->n_refs, d->entry_size,
                            error) ||
        !xen_queue_bind(&q->base, keys->port[0], &q->events, error) ||
        !xen_queue_start(&q->base, NULL, "toy", error)) {
        disk_stop(qs, &q->base);
        return NULL;
    }
    return &q->base;
}

static void disk_connected(XenBackQueues *qs, const XenKeys *k)
{
    disk_say(container_of(qs, ToyDisk, queues), "all");
}

static const XenBackQueuesOps disk_queues_ops = {
    .keys_new = disk_keys_new,
    .keys_free = disk_keys_free,
    .prepare = disk_prepare,
    .start = disk_start,
    .connected = disk_connected,
    .stop = disk_stop,
};

/* --- the backend --- */

static bool disk_write_nodes(XenbusBack *b, XenTx tx)
{
    return true;
}

static bool disk_take_over(XenbusBack *b, GError **error)
{
    return true;
}

static XenbusStep disk_connect(XenbusBack *b, GError **error)
{
    return xen_back_queues_connect(&container_of(b, ToyDisk, bus)->queues, error);
}

static XenbusStep disk_disconnect(XenbusBack *b)
{
    static const char *const names[] = {
        [XENBUS_STEP_DONE] = "none",
        [XENBUS_STEP_MORE] = "less",
        [XENBUS_STEP_WAIT] = "wait",
    };
    ToyDisk *d = container_of(b, ToyDisk, bus);
    XenbusStep step = xen_back_queues_disconnect(&d->queues);

    disk_say(d, names[step]);
    return step;
}

static void disk_event(XenbusBack *b, XenbusEvent event, const char *detail)
{
    disk_say(container_of(b, ToyDisk, bus), event == XENBUS_CONNECTED      ? "CONNECTED"
                                            : event == XENBUS_DISCONNECTED ? "DISCONNECTED"
                                            : event == XENBUS_ERROR        ? "ERROR"
                                                                           : "?");
}

static const XenbusBackOps disk_ops = {
    .kind = "toy",
    .toolstack_key = "script",
    .max_idx = 10,
    .write_nodes = disk_write_nodes,
    .take_over = disk_take_over,
    .publish = disk_write_nodes,
    .connect = disk_connect,
    .disconnect = disk_disconnect,
    .event = disk_event,
};

static void disk_fault(void *opaque)
{
    ToyDisk *d = opaque;

    d->faults_told++;
    g_free(d->fault);
    d->fault = xen_queues_fault(&d->queues.run);
    g_assert_nonnull(d->fault);
    if (!d->keep_others) {
        xenbus_back_fail(&d->bus, d->fault);
    }
}

/* --- the frontend --- */

static void front_make(ToyDisk *d, unsigned i)
{
    g_autofree char *dir = d->n_queues == 1 ? g_strdup(TOY_FE)
                                            : g_strdup_printf(TOY_FE "/queue-%u", i);
    const XenOps *ops = d->f.guest->ops;
    ToyDiskFront *front = &d->front[i];
    uint32_t refs[XEN_RING_MAX_PAGES];

    front->pages = ops->share_alloc(d->share, 0, d->n_pages, true, refs);
    g_assert_nonnull(front->pages);
    xen_ring_init_front(&front->ring, front->pages, d->n_pages, d->entry_size);
    front->ring.page->req_prod = front->ring.page->rsp_prod = d->start;
    front->ring.page->req_event = front->ring.page->rsp_event = d->start + 1;
    front->ring.prod = front->ring.cons = d->start;
    front->port = ops->evtchn_alloc_unbound(d->evtchn, 0);
    g_assert_cmpint(front->port, >, 0);
    for (unsigned k = 0; k < d->n_pages; k++) {
        g_autofree char *key = d->n_pages == 1 ? g_strdup("ring-ref")
                                               : g_strdup_printf("ring-ref%u", k);

        g_assert_true(xen_store_printf(d->f.domu, 0, dir, key, "%u", refs[k]));
    }
    g_assert_true(xen_store_printf(d->f.domu, 0, dir, "event-channel", "%d", front->port));
}

void toy_disk_up(ToyDisk *d, unsigned n_queues, unsigned n_pages, uint32_t start,
                 unsigned entry_size)
{
    g_autoptr(GError) error = NULL;
    const XenOps *ops;

    *d = (ToyDisk) { .entry_size = entry_size, .n_queues = n_queues, .n_pages = n_pages,
                     .start = start };
    toy_up(&d->f);
    d->log = g_string_new(NULL);
    d->queues = (XenBackQueues) { .ops = &disk_queues_ops, .bus = &d->bus };
    g_assert_true(device_faults_init(&d->faults, disk_fault, d, &error));
    g_assert_true(xenbus_back_init(&d->bus, &disk_ops, d->f.host, d->f.dom0, 1, 5, &error));
    g_assert_no_error(error);
    xenbus_back_start(&d->bus);
    toy_settle_once();
    ops = d->f.guest->ops;
    d->share = ops->share_open(d->f.guest, &error);
    g_assert_no_error(error);
    d->evtchn = ops->evtchn_open(d->f.guest, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < n_queues; i++) {
        front_make(d, i);
    }
    if (n_pages > 1) {
        g_assert_true(xen_store_printf(d->f.domu, 0, TOY_FE, "ring-page-order", "%d",
                                       g_bit_nth_lsf(n_pages, -1)));
    }
    if (n_queues > 1) {
        g_assert_true(xen_store_printf(d->f.domu, 0, TOY_FE, "multi-queue-num-queues", "%u",
                                       n_queues));
    }
}

void toy_disk_connect(ToyDisk *d, int state)
{
    toy_front(&d->f, state);
    TOY_WAIT(d->bus.connected);
}

void toy_disk_down(ToyDisk *d)
{
    const XenOps *ops = d->f.guest->ops;

    xenbus_back_done(&d->bus);
    g_assert_cmpuint(d->made, ==, 0);
    g_assert_null(d->queues.keys);
    device_faults_done(&d->faults);
    for (unsigned i = 0; i < d->n_queues; i++) {
        g_assert_cmpint(ops->share_free(d->share, d->front[i].pages, d->n_pages), ==, 0);
    }
    ops->evtchn_close(d->evtchn);
    ops->share_close(d->share);
    g_string_free(d->log, true);
    g_free(d->fault);
    toy_down(&d->f);
}

void toy_disk_expect_log(ToyDisk *d, const char *want)
{
    g_assert_cmpstr(d->log->str, ==, want);
    g_string_truncate(d->log, 0);
}

unsigned toy_disk_polls(ToyDisk *d, unsigned i)
{
    ToyDiskQueue *q = container_of(d->queues.run.queue[i], ToyDiskQueue, base);

    return __atomic_load_n(&q->polls, __ATOMIC_SEQ_CST);
}

void toy_disk_notify(ToyDisk *d, unsigned i)
{
    g_assert_cmpint(d->f.guest->ops->evtchn_notify(d->evtchn, (uint32_t)d->front[i].port), ==, 0);
}

void toy_disk_requests(ToyDisk *d, unsigned i, unsigned n)
{
    XenRing *ring = &d->front[i].ring;
    uint8_t req[TOY_DISK_ENTRY], rsp[RESPONSE];

    for (unsigned k = 0; k < n; k++) {
        memset(req, (int)(ring->prod * 7), sizeof(req));
        memcpy(req, &ring->prod, sizeof(ring->prod));
        xen_ring_put_request(ring, req);
    }
    if (xen_ring_push_requests(ring)) {
        toy_disk_notify(d, i);
    }
    TOY_WAIT(xen_ring_responses(ring) == (int)n);
    for (unsigned k = 0; k < n; k++) {
        uint32_t index = ring->cons;

        memset(req, (int)(index * 7), sizeof(req));
        memcpy(req, &index, sizeof(index));
        req[RESPONSE - 1] ^= 0xff;
        xen_ring_take_response(ring, rsp, sizeof(rsp));
        g_assert_cmpmem(rsp, sizeof(rsp), req, sizeof(rsp));
    }
}
