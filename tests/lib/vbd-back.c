/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vbd-back.h"

#include <string.h>

#include "util/container-of.h"
#include "xen-blkback-copy.h"

#define LOOK_NS  1000000ull /* whether there is a budget again */
#define RESPONSE 16u

typedef struct BackQueue {
    XenQueue base;
    XenRing ring;
    VbdBack *b;
    uint64_t events;
    XenBlkbackCopy copy;
    void *kept;        /* a page that stays mapped */
    XenBlkifSeg seg[XEN_BLKIF_SEGS_INDIRECT];
    XenBlkifPiece piece[XEN_BLKIF_SEGS_INDIRECT];
} BackQueue;

/* As a lock that is taken and released: what was before is seen by whoever comes behind. */
static void sync_with(VbdBack *b)
{
    __atomic_add_fetch(&b->sync, 1, __ATOMIC_SEQ_CST);
}

static void count(unsigned *n)
{
    __atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
}

/* --- the queue's thread --- */

static bool back_may_answer(VbdBack *b, const BackQueue *q)
{
    int n = __atomic_load_n(&b->budget, __ATOMIC_SEQ_CST);
    int only = __atomic_load_n(&b->only, __ATOMIC_SEQ_CST);

    if (only >= 0 && (unsigned)only != q->base.q.index) {
        return false;
    }

    while (n > 0) {
        if (__atomic_compare_exchange_n(&b->budget, &n, n - 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            return true;
        }
    }
    return n < 0;
}

static void back_note(VbdBack *b, const BackQueue *q, const XenBlkifRequest *r)
{
    unsigned most = __atomic_load_n(&b->max_segs, __ATOMIC_SEQ_CST);

    count(&b->seen[q->base.q.index]);
    count(&b->ops[r->op & 7]);
    if (r->op == BLKIF_OP_DISCARD && (r->sub & BLKIF_DISCARD_SECURE)) {
        count(&b->secure);
    }
    while (r->n_segs > most &&
           !__atomic_compare_exchange_n(&b->max_segs, &most, r->n_segs, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
}

static int16_t back_do(BackQueue *q, const XenBlkifRequest *r)
{
    VbdBack *b = q->b;
    bool failed = false;
    XenBlkifWork w;

    xen_blkback_copy_add_segs(&q->copy, r, 0, xen_blkif_n_pages(&b->limits, r), q->seg,
                              &failed);
    xen_blkback_copy_run(&q->copy);
    if (failed) {
        return BLKIF_RSP_ERROR;
    }
    if (!xen_blkif_judge(&b->limits, r, q->seg, q->piece, &w)) {
        return w.status;
    }
    if (w.what == XEN_BLKIF_DISCARD) {
        memset(b->image + w.offset, 0, w.bytes);
        return BLKIF_RSP_OKAY;
    }
    xen_blkback_copy_add(&q->copy, w.what == XEN_BLKIF_READ, q->piece, w.n_pieces,
                         b->image + w.offset, &failed);
    xen_blkback_copy_run(&q->copy);
    return failed ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
}

static void back_respond(BackQueue *q, uint64_t id, uint8_t op, int16_t status)
{
    uint8_t rsp[RESPONSE] = { 0 };

    xen_blkif_write_response(rsp, id, op, status);
    xen_ring_put_response(&q->ring, rsp, q->b->abi == XEN_BLKIF_ABI_X86_32 ? 12 : RESPONSE);
}

static void back_answer(BackQueue *q, const XenBlkifRequest *r, int16_t status)
{
    VbdLie lie = (VbdLie)__atomic_exchange_n(&q->b->lie, VBD_LIE_NONE, __ATOMIC_SEQ_CST);
    uint64_t id = lie == VBD_LIE_ID ? r->id + 1 : lie == VBD_LIE_HIGH_ID ? r->id ^ 1ull << 40
                                                                         : r->id;
    uint8_t op = lie == VBD_LIE_OP ? r->rsp_op ^ 1 : lie == VBD_LIE_INDIRECT ? r->op : r->rsp_op;

    if (lie == VBD_LIE_ERROR || lie == VBD_LIE_UNSUPPORTED) {
        status = lie == VBD_LIE_ERROR ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP;
    }
    if (lie == VBD_LIE_MAPPED) {
        uint32_t ref = r->op == BLKIF_OP_INDIRECT ? q->seg[0].gref : r->seg[0].gref;

        q->kept = q->base.xen->ops->gnttab_map(q->base.gnttab, q->base.domid, &ref, 1, false);
        g_assert_nonnull(q->kept);
    }
    back_respond(q, id, op, status);
    if (lie == VBD_LIE_TWICE) {
        back_respond(q, id, op, status);
    }
    if (lie == VBD_LIE_PROD) {
        q->ring.prod += q->ring.size;
    }
}

static QueueVerdict back_poll(XenQueue *base)
{
    BackQueue *q = container_of(base, BackQueue, base);
    int n = xen_ring_requests(&q->ring);
    _Alignas(uint64_t) uint8_t slot[112];
    int done = 0;

    for (; done < n && back_may_answer(q->b, q); done++) {
        XenBlkifRequest r;
        int16_t status;

        xen_ring_take_request(&q->ring, slot);
        xen_blkif_read_request(q->b->abi, slot, &r);
        back_note(q->b, q, &r);
        sync_with(q->b);
        status = back_do(q, &r);
        sync_with(q->b);
        back_answer(q, &r, status);
    }
    if (done < n) {
        xen_queue_wake_at(base, io_clock_ns() + LOOK_NS);
    }
    if (done > 0 && xen_ring_push_responses(&q->ring)) {
        xen_queue_notify(base, 0);
    }
    return done > 0 ? QUEUE_WORK : QUEUE_IDLE;
}

static bool back_arm(XenQueue *base)
{
    BackQueue *q = container_of(base, BackQueue, base);

    return xen_ring_arm_requests(&q->ring, 0) && base->q.poller.wake_ns == 0;
}

/* --- queues --- */

typedef struct BackKeys {
    XenKeys base;
    VbdBack *b;
    int order;
} BackKeys;

static bool back_read_device(XenKeys *base, const XenKeysDir *d, GError **error)
{
    BackKeys *k = container_of(base, BackKeys, base);
    g_autofree char *path = g_strdup_printf("%s/protocol", d->path);
    g_autofree char *protocol = xen_store_read(d->store, d->tx, path);

    g_assert_true(xen_blkif_abi(protocol, &k->b->abi));
    return xen_keys_page_order(d, k->b->c.max_order, &k->order, error);
}

static bool back_read_queue(XenKeys *base, const XenKeysDir *d, XenQueueKeys *q, GError **error)
{
    q->n_ports = 1;
    return xen_keys_ring(d, container_of(base, BackKeys, base)->order, q, error) &&
           xen_keys_port(d, "event-channel", &q->port[0], error);
}

static XenKeys *back_keys_new(XenBackQueues *qs)
{
    static const XenKeysOps ops = { back_read_device, back_read_queue };
    VbdBack *b = container_of(qs, VbdBack, queues);
    BackKeys *k = g_new0(BackKeys, 1);

    k->b = b;
    xen_keys_init(&k->base, &ops, MAX(b->c.max_queues, 1));
    return &k->base;
}

static void back_keys_free(XenKeys *k)
{
    xen_keys_done(k);
    g_free(container_of(k, BackKeys, base));
}

static bool back_stop(XenBackQueues *qs, XenQueue *base)
{
    BackQueue *q = container_of(base, BackQueue, base);

    xen_queue_stop(base);
    if (q->kept) {
        base->xen->ops->gnttab_unmap(base->gnttab, q->kept, 1);
    }
    xen_queue_done(base);
    g_free(q);
    return true;
}

static XenQueue *back_start(XenBackQueues *qs, const XenKeys *k, unsigned index, GError **error)
{
    static const XenQueueOps ops = { .poll = back_poll, .arm = back_arm };
    VbdBack *b = container_of(qs, VbdBack, queues);
    const XenQueueKeys *keys = &k->queue[index];
    BackQueue *q = g_new0(BackQueue, 1);

    q->b = b;
    xen_queue_init(&q->base, &ops, b->v->host, b->v->guest->domid, index, &b->faults);
    if (!xen_queue_open(&q->base, true, error) ||
        !xen_queue_map_ring(&q->base, &q->ring, NULL, keys->ref, keys->n_refs,
                            xen_blkif_slot_size(b->abi), error) ||
        !xen_queue_bind(&q->base, keys->port[0], &q->events, error)) {
        back_stop(qs, &q->base);
        return NULL;
    }
    q->copy = (XenBlkbackCopy) {
        .xen = b->v->host,
        .gnttab = q->base.gnttab,
        .domid = b->v->guest->domid,
    };
    g_assert_true(xen_queue_start(&q->base, NULL, "vbd-back", error));
    return &q->base;
}

static const XenBackQueuesOps back_queues_ops = {
    .keys_new = back_keys_new,
    .keys_free = back_keys_free,
    .start = back_start,
    .stop = back_stop,
};

/* --- XenStore --- */

static bool back_number(XenbusBack *bus, XenTx tx, const char *key, unsigned value)
{
    return value == 0 || xen_store_printf(bus->store, tx, bus->be, key, "%u", value);
}

static bool back_string(XenbusBack *bus, XenTx tx, const char *key, const char *value)
{
    return !value || xen_store_printf(bus->store, tx, bus->be, key, "%s", value);
}

static bool back_write_nodes(XenbusBack *bus, XenTx tx)
{
    return xen_store_printf(bus->store, tx, bus->fe, "virtual-device", "%u", bus->idx);
}

static bool back_publish(XenbusBack *bus, XenTx tx)
{
    const VbdBackConfig *c = &container_of(bus, VbdBack, bus)->c;

    return back_number(bus, tx, "multi-queue-max-queues", c->max_queues) &&
           back_number(bus, tx, "max-ring-page-order", c->max_order) &&
           back_number(bus, tx, "feature-max-indirect-segments", c->max_indirect);
}

static bool back_publish_connected(XenbusBack *bus, XenTx tx)
{
    VbdBack *b = container_of(bus, VbdBack, bus);
    const VbdBackConfig *c = &b->c;
    g_autofree char *sectors = g_strdup_printf("%" G_GUINT64_FORMAT, b->limits.sectors);

    return back_number(bus, tx, "feature-persistent", c->persistent) &&
           back_number(bus, tx, "feature-flush-cache", c->flush) &&
           back_number(bus, tx, "feature-barrier", c->barrier) &&
           back_number(bus, tx, "feature-discard", c->discard) &&
           back_number(bus, tx, "discard-secure", c->discard_secure) &&
           back_string(bus, tx, "sectors", c->sectors ? c->sectors : sectors) &&
           back_string(bus, tx, "sector-size", c->sector_size);
}

static bool back_take_over(XenbusBack *bus, GError **error)
{
    return true;
}

static XenbusStep back_connect(XenbusBack *bus, GError **error)
{
    return xen_back_queues_connect(&container_of(bus, VbdBack, bus)->queues, error);
}

static XenbusStep back_disconnect(XenbusBack *bus)
{
    return xen_back_queues_disconnect(&container_of(bus, VbdBack, bus)->queues);
}

static void back_event(XenbusBack *bus, XenbusEvent event, const char *detail)
{
    container_of(bus, VbdBack, bus)->closed |= event == XENBUS_CLOSED;
}

static const XenbusBackOps back_ops = {
    .kind = "vbd",
    .toolstack_key = "params",
    .max_idx = 1u << 29,
    .at_initialised = true,
    .write_nodes = back_write_nodes,
    .take_over = back_take_over,
    .publish = back_publish,
    .publish_connected = back_publish_connected,
    .connect = back_connect,
    .disconnect = back_disconnect,
    .event = back_event,
};

static void back_fault(void *opaque)
{
    g_assert_not_reached(); /* the frontend is a decent one */
}

/* --- life --- */

void vbd_back_up(VbdBack *b, Vbd *v, const VbdBackConfig *c, uint8_t *image)
{
    g_autoptr(GError) error = NULL;

    *b = (VbdBack) {
        .v = v,
        .c = *c,
        .image = image,
        .budget = -1,
        .only = -1,
        .limits = { .sectors = VBD_BACK_SECTORS, .block_sectors = 1,
                    .max_indirect = (uint16_t)c->max_indirect, .discard = c->discard,
                    .discard_secure = c->discard_secure },
    };
    b->queues = (XenBackQueues) { .ops = &back_queues_ops, .bus = &b->bus };
    g_assert_true(device_faults_init(&b->faults, back_fault, b, &error));
    xenbus_back_init(&b->bus, &back_ops, v->host, v->host_store, v->guest->domid, VBD_DEV, &error);
    g_assert_no_error(error);
    xenbus_back_start(&b->bus);
}

void vbd_back_close(VbdBack *b)
{
    xenbus_back_close(&b->bus, 5000);
    VBD_WAIT(b->closed);
}

void vbd_back_down(VbdBack *b)
{
    xenbus_back_done(&b->bus);
    device_faults_done(&b->faults);
}

void vbd_back_set_budget(VbdBack *b, int n)
{
    __atomic_store_n(&b->budget, n, __ATOMIC_SEQ_CST);
}

void vbd_back_set_budget_of(VbdBack *b, int ring, int n)
{
    __atomic_store_n(&b->only, ring, __ATOMIC_SEQ_CST);
    vbd_back_set_budget(b, n);
}

int vbd_back_budget(const VbdBack *b)
{
    return __atomic_load_n(&b->budget, __ATOMIC_SEQ_CST);
}

void vbd_back_lie(VbdBack *b, VbdLie lie)
{
    __atomic_store_n(&b->lie, lie, __ATOMIC_SEQ_CST);
}

uint8_t *vbd_back_image(VbdBack *b)
{
    sync_with(b);
    return b->image;
}

unsigned vbd_back_ops(const VbdBack *b, unsigned op)
{
    return __atomic_load_n(&b->ops[op], __ATOMIC_SEQ_CST);
}

unsigned vbd_back_seen(const VbdBack *b, unsigned ring)
{
    return __atomic_load_n(&b->seen[ring], __ATOMIC_SEQ_CST);
}

unsigned vbd_back_secure(const VbdBack *b)
{
    return __atomic_load_n(&b->secure, __ATOMIC_SEQ_CST);
}

unsigned vbd_back_max_segs(const VbdBack *b)
{
    return __atomic_load_n(&b->max_segs, __ATOMIC_SEQ_CST);
}
