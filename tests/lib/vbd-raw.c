/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vbd-raw.h"

#include <unistd.h>

#include "hw/core/counter.h"
#include "xenemu.h"

/* --- the backend --- */

void vbd_raw_init_beside(VbdRaw *r, const VbdRaw *first)
{
    *r = (VbdRaw) {
        .config = {
            .id = (char *)"disk", .drive = (char *)"disk0", .backend_type = XEN_BLKBACK_VBD,
            .num_queues = 4, .max_ring_page_order = 4, .max_indirect_segments = 256,
            .persistent_grants = true, .logical_block_size = 512,
        },
        .env.record_dir = -1,
        .bytes = VBD_RAW_BYTES,
        .protocol = XEN_IO_PROTO_ABI_X86_64,
        .n_queues = 1,
        .order = -1,
        .persistent = true,
        .next_id = 0x0123456789abcdef,
    };
    if (first) {
        vbd_up_beside(&r->v, &first->v);
    } else {
        vbd_up(&r->v);
    }
    block_rig_init(&r->rig);
    r->ops = r->v.guest->ops;
}

void vbd_raw_init(VbdRaw *r)
{
    vbd_raw_init_beside(r, NULL);
}

static void back_event(void *opaque, XenbusEvent event, const char *detail)
{
    VbdRaw *r = opaque;

    r->connected += event == XENBUS_CONNECTED;
    r->disconnected += event == XENBUS_DISCONNECTED;
    r->errors += event == XENBUS_ERROR;
    r->warnings += event == XENBUS_WARNING;
    r->closed |= event == XENBUS_CLOSED;
    r->gone |= event == XENBUS_GONE;
    if (detail) {
        g_free(r->error);
        r->error = g_strdup(detail);
    }
}

static void back_drained(void *opaque)
{
    ((VbdRaw *)opaque)->drained++;
}

bool vbd_raw_try_back(VbdRaw *r, GError **error)
{
    if (!r->rig.node) {
        g_assert_cmpint(truncate(r->rig.path, (off_t)r->bytes), ==, 0);
        block_rig_open_node(&r->rig);
        if (r->held) {
            held_disk_init(&r->disk, r->rig.node);
        }
    }
    r->env.xen = r->v.host;
    r->env.store = r->v.host_store;
    r->env.frontend_id = r->v.guest->domid;
    r->env.node = r->rig.node;
    r->env.event = back_event;
    r->env.drained = back_drained;
    r->env.opaque = r;
    r->closed = r->gone = false;
    r->d = xen_blkback_new(&r->config, &r->env, VBD_DEV, error);
    if (r->d) {
        xen_blkback_start(r->d);
    }
    return r->d;
}

void vbd_raw_back(VbdRaw *r)
{
    g_autoptr(GError) error = NULL;

    vbd_raw_try_back(r, &error);
    g_assert_no_error(error);
}

void vbd_raw_back_free(VbdRaw *r)
{
    g_clear_pointer(&r->d, xen_blkback_free);
}

void vbd_raw_back_close(VbdRaw *r)
{
    xen_blkback_close(r->d, 5000);
    VBD_WAIT(r->closed);
    vbd_raw_back_free(r);
}

/* --- the frontend --- */

void vbd_raw_key(VbdRaw *r, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, key, "%s", value));
}

void vbd_raw_state(VbdRaw *r, int state)
{
    g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, "state", "%d", state));
}

bool vbd_raw_back_is(VbdRaw *r, int state)
{
    g_autofree char *text = g_strdup_printf("%d", state);

    return vbd_is(&r->v, r->v.be, "state", text);
}

static void front_make_ring(VbdRaw *r, VbdRawQueue *q)
{
    unsigned n_pages = r->order < 0 ? 1 : 1u << r->order;
    int port;

    q->pages = r->ops->share_alloc(r->share, 0, n_pages, true, q->refs);
    g_assert_nonnull(q->pages);
    xen_ring_init_front(&q->ring, q->pages, n_pages, xen_blkif_slot_size(r->abi));
    q->ring.page->req_prod = q->ring.page->rsp_prod = r->start;
    q->ring.page->req_event = q->ring.page->rsp_event = r->start + 1;
    q->ring.prod = q->ring.cons = r->start;
    port = r->ops->evtchn_alloc_unbound(r->evtchn, 0);
    g_assert_cmpint(port, >, 0);
    q->port = (uint32_t)port;
}

static void front_write_queue(VbdRaw *r, unsigned i)
{
    g_autofree char *dir = r->n_queues == 1 ? g_strdup(r->v.fe)
                                            : g_strdup_printf("%s/queue-%u", r->v.fe, i);
    const VbdRawQueue *q = &r->queue[i];
    XenStore *s = r->v.guest_store;

    g_assert_true(xen_store_printf(s, 0, dir, "event-channel", "%u", q->port));
    if (r->order < 0) {
        g_assert_true(xen_store_printf(s, 0, dir, "ring-ref", "%u", q->refs[0]));
        return;
    }
    for (unsigned k = 0; k < 1u << r->order; k++) {
        g_autofree char *key = g_strdup_printf("ring-ref%u", k);

        g_assert_true(xen_store_printf(s, 0, dir, key, "%u", q->refs[k]));
    }
}

static void front_write_number(VbdRaw *r, const char *key, bool wanted, unsigned value)
{
    g_autofree char *path = g_strdup_printf("%s/%s", r->v.fe, key);

    if (wanted) {
        g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, key, "%u", value));
    } else {
        g_assert_true(xen_store_clear(r->v.guest_store, 0, path));
    }
}

void vbd_raw_front(VbdRaw *r)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_strdup_printf("%s/protocol", r->v.fe);

    g_assert_true(xen_blkif_abi(r->protocol, &r->abi));
    r->share = r->ops->share_open(r->v.guest, &error);
    g_assert_no_error(error);
    r->evtchn = r->ops->evtchn_open(r->v.guest, &error);
    g_assert_no_error(error);
    r->pages = r->ops->share_alloc(r->share, 0, VBD_RAW_PAGES, true, r->refs);
    g_assert_nonnull(r->pages);
    for (r->n_rings = 0; r->n_rings < r->n_queues; r->n_rings++) {
        front_make_ring(r, &r->queue[r->n_rings]);
        front_write_queue(r, r->n_rings);
    }
    front_write_number(r, "multi-queue-num-queues", r->n_queues > 1, r->n_queues);
    front_write_number(r, "ring-page-order", r->order >= 0, (unsigned)r->order);
    front_write_number(r, "feature-persistent", r->persistent, 1);
    if (r->protocol) {
        vbd_raw_key(r, "protocol", r->protocol);
    } else {
        g_assert_true(xen_store_clear(r->v.guest_store, 0, path));
    }
}

void vbd_raw_front_free(VbdRaw *r)
{
    if (!r->share) {
        return;
    }
    for (unsigned i = 0; i < r->n_rings; i++) {
        unsigned n_pages = r->order < 0 ? 1 : 1u << r->order;

        g_assert_cmpint(r->ops->share_free(r->share, r->queue[i].pages, n_pages), ==, 0);
    }
    g_assert_cmpint(r->ops->share_free(r->share, r->pages, VBD_RAW_PAGES), ==, 0);
    r->n_rings = 0;
    r->ops->evtchn_close(g_steal_pointer(&r->evtchn));
    r->ops->share_close(g_steal_pointer(&r->share));
}

void vbd_raw_connect(VbdRaw *r)
{
    unsigned connected = r->connected + 1;

    vbd_raw_state(r, 3);
    VBD_WAIT(r->connected == connected);
    g_assert_true(vbd_raw_back_is(r, 4));
    vbd_raw_state(r, 4);
}

void vbd_raw_up(VbdRaw *r)
{
    vbd_raw_back(r);
    vbd_raw_front(r);
    vbd_raw_connect(r);
}

/* Of a host's guests the first one is the last: with it nothing is mapped. */
static void check_unmapped(const VbdRaw *r)
{
    g_assert_true(r->v.beside || vbd_raw_mapped(r) == 0);
}

void vbd_raw_close(VbdRaw *r)
{
    vbd_raw_state(r, 5);
    vbd_raw_state(r, 6);
    VBD_WAIT(vbd_raw_back_is(r, 6));
    check_unmapped(r);
    vbd_raw_front_free(r);
}

void vbd_raw_down(VbdRaw *r)
{
    if (r->d && r->share) {
        vbd_raw_close(r);
    }
    if (r->d) {
        vbd_raw_back_close(r);
    }
    check_unmapped(r);
    vbd_raw_front_free(r);
    block_rig_done(&r->rig);
    vbd_down(&r->v);
    g_free(r->error);
}

/* --- what can be seen of it --- */

unsigned vbd_raw_mapped(const VbdRaw *r)
{
    unsigned n, ports;

    xenemu_host_usage(r->v.host->opaque, &n, &ports);
    return n;
}

uint64_t vbd_raw_count(const VbdRaw *r, size_t offset)
{
    XenBlkbackInfo info;
    uint64_t sum = 0;

    xen_blkback_info(r->d, &info);
    for (unsigned i = 0; i < info.max_queues; i++) {
        const char *stats = (const char *)&info.stats[i];

        sum += counter_read((const uint64_t *)(const void *)(stats + offset));
    }
    return sum;
}

/* --- requests --- */

XenBlkifRequest vbd_raw_rw(const VbdRaw *r, uint8_t op, uint64_t sector, unsigned n_segs,
                           unsigned page)
{
    XenBlkifRequest req = { .op = op, .rsp_op = op, .sector = sector,
                            .n_segs = (uint16_t)n_segs };

    g_assert(n_segs <= XEN_BLKIF_SEGS); /* which the compiler relies on */
    for (unsigned i = 0; i < n_segs; i++) {
        req.seg[i] = (XenBlkifSeg) { .gref = r->refs[(page + i) % VBD_RAW_PAGES], .last = 7 };
    }
    return req;
}

XenBlkifRequest vbd_raw_indirect(const VbdRaw *r, uint8_t op, uint64_t sector, unsigned n_segs,
                                 unsigned page, unsigned table)
{
    XenBlkifRequest req = { .op = BLKIF_OP_INDIRECT, .sub = op, .rsp_op = op, .sector = sector,
                            .n_segs = (uint16_t)n_segs };
    unsigned i = 0;

    for (unsigned p = 0; i < n_segs; p++) {
        XenBlkifSeg seg[XEN_BLKIF_SEGS_OF_PAGE];
        unsigned n = 0;

        for (; i < n_segs && n < XEN_BLKIF_SEGS_OF_PAGE; i++) {
            seg[n++] = (XenBlkifSeg) { .gref = r->refs[(page + i) % VBD_RAW_PAGES], .last = 7 };
        }
        xen_blkif_write_indirect(seg, n, vbd_raw_page(r, table + p));
        req.page[p] = r->refs[(table + p) % VBD_RAW_PAGES];
    }
    return req;
}

XenBlkifRequest vbd_raw_discard(uint64_t sector, uint64_t n_sectors, uint8_t flag)
{
    return (XenBlkifRequest) { .op = BLKIF_OP_DISCARD, .rsp_op = BLKIF_OP_DISCARD, .sub = flag,
                               .sector = sector, .n_sectors = n_sectors };
}

uint64_t vbd_raw_put(VbdRaw *r, unsigned queue, const XenBlkifRequest *req)
{
    XenRing *ring = &r->queue[queue].ring;
    XenBlkifRequest copy = *req;

    copy.id = r->next_id;
    r->next_id += 0x100000001; /* both halves of it change */
    xen_blkif_write_request(r->abi, &copy, 0, xen_ring_entry(ring, ring->prod));
    ring->prod++;
    return copy.id;
}

void vbd_raw_notify(VbdRaw *r, unsigned queue)
{
    g_assert_cmpint(r->ops->evtchn_notify(r->evtchn, r->queue[queue].port), ==, 0);
}

void vbd_raw_push(VbdRaw *r, unsigned queue)
{
    if (xen_ring_push_requests(&r->queue[queue].ring)) {
        vbd_raw_notify(r, queue);
    }
}

void vbd_raw_wait(VbdRaw *r, unsigned queue, unsigned n)
{
    /* most come soon */
    for (unsigned i = 0; i < 100 && xen_ring_responses(&r->queue[queue].ring) < (int)n; i++) {
        g_usleep(20);
    }
    VBD_WAIT(xen_ring_responses(&r->queue[queue].ring) >= (int)n);
}

XenBlkifResponse vbd_raw_get(VbdRaw *r, unsigned queue)
{
    XenRing *ring = &r->queue[queue].ring;
    XenBlkifResponse rsp;
    uint8_t copy[XEN_BLKIF_RESPONSE];

    if (xen_ring_responses(ring) <= 0) {
        vbd_raw_wait(r, queue, 1);
    }
    xen_ring_take_response(ring, copy, sizeof(copy));
    xen_blkif_read_response(copy, &rsp);
    return rsp;
}

int vbd_raw_do(VbdRaw *r, unsigned queue, const XenBlkifRequest *req)
{
    uint64_t id = vbd_raw_put(r, queue, req);
    XenBlkifResponse rsp;

    vbd_raw_push(r, queue);
    rsp = vbd_raw_get(r, queue);
    g_assert_cmpuint(rsp.id, ==, id);
    g_assert_cmpuint(rsp.op, ==, req->rsp_op);
    return rsp.status;
}
