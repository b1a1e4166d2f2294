/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netfront-queue.h"

#include <string.h>

#include "xenbus-front-internal.h"

const NetfrontPlan nf_plan_all = {
    .max_queues = 1,
    .n_queues = 1,
    .split = true,
    .tx_offload = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6,
    .tx_max_len = XEN_NETIF_MAX_TX_SIZE,
};

static void ignore_fault(void *opaque)
{
}

void nf_up_stopped(NfTest *f, const NetfrontPlan *plan)
{
    g_autoptr(GError) error = NULL;

    memset(f, 0, sizeof(*f));
    f->xen = fake_xen_new();
    f->nd = fake_netdev_new(1, true);
    f->stats = g_aligned_alloc0(1, sizeof(NicQueueStats), 64);
    f->nf.env.xen = f->xen;
    f->nf.env.peer = f->nd;
    f->nf.stats = f->stats;
    f->nf.bus.xen = f->xen;
    f->nf.bus.pages = xenbus_front_pages_new();
    f->nf.bus.share = f->xen->ops->share_open(f->xen, NULL);
    g_assert_true(device_faults_init(&f->nf.faults, ignore_fault, NULL, &error));
    f->q = netfront_queue_new(&f->nf, 0, plan, &error);
    g_assert_no_error(error);
    g_assert_true(xen_ring_attach_back(&f->tx, f->q->rings, 1, sizeof(NfSlot)));
    g_assert_true(xen_ring_attach_back(&f->rx, (uint8_t *)f->q->rings + 4096, 1,
                                       sizeof(struct netif_rx_request)));
}

void nf_up(NfTest *f, const NetfrontPlan *plan)
{
    g_autoptr(GError) error = NULL;

    nf_up_stopped(f, plan);
    g_assert_true(netfront_queue_start(f->q, &error));
}

void nf_down(NfTest *f)
{
    netfront_queue_free(f->q);
    g_assert_cmpuint(fake_xen_n_granted(f->xen), ==, 0);
    xenbus_front_pages_done(&f->nf.bus);
    device_faults_done(&f->nf.faults);
    g_aligned_free(f->stats);
    netdev_free(f->nd);
    xen_close(f->xen);
}

bool nf_wait_requests_or_broken(NfTest *f, int n)
{
    for (unsigned i = 0; i < NF_WAIT_MS && xen_ring_requests(&f->tx) < n; i++) {
        if (xen_queue_fault(&f->q->base)) {
            return false;
        }
        g_usleep(1000);
    }
    g_assert_cmpint(xen_ring_requests(&f->tx), >=, n);
    return true;
}

void nf_wait_requests(NfTest *f, int n)
{
    g_assert_true(nf_wait_requests_or_broken(f, n));
}

void nf_wait_counter(const uint64_t *counter, uint64_t n)
{
    for (unsigned i = 0; i < NF_WAIT_MS && counter_read(counter) < n; i++) {
        g_usleep(1000);
    }
    g_assert_cmpuint(counter_read(counter), ==, n);
}

/* "broken" is set before main is told, and nothing else may change after it. */
void nf_wait_broken(NfTest *f, const char *reason)
{
    const char *broken = NULL;

    for (unsigned i = 0; i < NF_WAIT_MS && !broken; i++) {
        broken = xen_queue_fault(&f->q->base);
        g_usleep(1000);
    }
    g_assert_cmpstr(broken, ==, reason);
}

uint32_t nf_tx_port(const NfTest *f)
{
    return f->q->base.port[0].port;
}

uint32_t nf_rx_port(const NfTest *f)
{
    return f->q->base.port[netfront_rx_port(f->q)].port;
}

void nf_push_responses(NfTest *f, XenRing *r)
{
    if (xen_ring_push_responses(r)) {
        fake_xen_raise(f->xen, r == &f->tx ? nf_tx_port(f) : nf_rx_port(f));
    }
}

void nf_answer(NfTest *f, uint16_t id, int16_t status)
{
    struct netif_tx_response rsp = { .id = id, .status = status };

    xen_ring_put_response(&f->tx, &rsp, sizeof(rsp));
}

static void take_data(NfTest *f, NfTxPacket *p, const struct netif_tx_request *req, uint32_t at,
                      uint32_t len)
{
    bool writable;
    const uint8_t *page = fake_xen_page(f->xen, req->gref, &writable);

    g_assert_nonnull(page);
    g_assert_false(writable);
    g_assert_cmpuint(req->offset + len, <=, 4096);
    memcpy(p->data + at, page + req->offset, len);
}

void nf_take_packet(NfTest *f, NfTxPacket *p)
{
    NfSlot s, first;
    uint32_t rest = 0;
    bool more;

    memset(p, 0, offsetof(NfTxPacket, data));
    xen_ring_take_request(&f->tx, &first);
    p->flags = first.req.flags;
    p->len = first.req.size;
    p->ids[p->n_ids++] = first.req.id;
    if (p->flags & NETTXF_extra_info) {
        xen_ring_take_request(&f->tx, &s);
        g_assert_cmpuint(s.extra.type, ==, XEN_NETIF_EXTRA_TYPE_GSO);
        g_assert_cmpuint(s.extra.flags, ==, 0);
        p->gso = s.extra;
        p->has_gso = true;
        p->extra[p->n_ids++] = true;
    }
    more = p->flags & NETTXF_more_data;
    while (more) {
        xen_ring_take_request(&f->tx, &s);
        p->ids[p->n_ids++] = s.req.id;
        take_data(f, p, &s.req, 4096 + rest, s.req.size);
        rest += s.req.size;
        more = s.req.flags & NETTXF_more_data;
    }
    take_data(f, p, &first.req, 0, p->len - rest);
    g_assert_true(rest == 0 || p->len - rest == 4096);
}

void nf_answer_packet(NfTest *f, const NfTxPacket *p)
{
    for (unsigned i = 0; i < p->n_ids; i++) {
        nf_answer(f, p->ids[i], p->extra[i] ? NETIF_RSP_NULL : NETIF_RSP_OKAY);
    }
}

void nf_give_frame(NfTest *f, const VifFrame *spec, uint16_t mss)
{
    vif_frame_give(f->nd, 0, spec, mss);
}

void nf_assert_frame(const VifFrame *spec, const uint8_t *data, uint32_t len)
{
    g_autofree uint8_t *want = g_malloc(PKT_MAX_LEN);

    g_assert_cmpmem(data, len, want, vif_frame_make(spec, want));
}

void nf_rx_slot(NfTest *f, uint16_t flags, uint16_t offset, int16_t status, const uint8_t *data)
{
    struct netif_rx_request req;
    struct netif_rx_response rsp = { .flags = flags, .offset = offset, .status = status };
    uint8_t *page;
    bool writable;

    for (unsigned i = 0; i < NF_WAIT_MS && xen_ring_requests(&f->rx) < 1; i++) {
        g_usleep(1000);
    }
    g_assert_cmpint(xen_ring_requests(&f->rx), >=, 1);
    xen_ring_take_request(&f->rx, &req);
    page = fake_xen_page(f->xen, req.gref, &writable);
    g_assert_true(writable);
    if (data) {
        memcpy(page + offset, data, (size_t)status);
    }
    rsp.id = req.id;
    xen_ring_put_response(&f->rx, &rsp, sizeof(rsp));
}

static void nf_rx_extra(NfTest *f, const struct netif_extra_info *extra)
{
    struct netif_rx_request req;

    xen_ring_take_request(&f->rx, &req);
    xen_ring_put_response(&f->rx, extra, sizeof(*extra));
}

void nf_rx_frame(NfTest *f, const VifFrame *spec, uint16_t flags, uint32_t chunk,
                 const struct netif_extra_info *extra)
{
    g_autofree uint8_t *data = g_malloc(PKT_MAX_LEN);
    uint32_t len = (uint32_t)vif_frame_make(spec, data);

    for (uint32_t at = 0; at < len; at += chunk) {
        uint32_t here = MIN(chunk, len - at);
        uint16_t more = at + here < len ? NETRXF_more_data : 0;
        uint16_t first = at == 0 ? flags | (extra ? NETRXF_extra_info : 0) : 0;

        nf_rx_slot(f, more | first, chunk < 2048 ? 100 : 0, (int16_t)here, data + at);
        if (at == 0 && extra) {
            nf_rx_extra(f, extra);
        }
    }
}

void nf_expect_frame(NfTest *f, const VifFrame *spec)
{
    g_autofree FakePkt *p = fake_netdev_take(f->nd, 0, NF_WAIT_MS);

    g_assert_nonnull(p);
    nf_assert_frame(spec, p->data, p->len);
}

void nf_expect_alive(NfTest *f)
{
    VifFrame spec = { .payload = 77, .seed = 77 };

    nf_rx_frame(f, &spec, 0, 4096, NULL);
    nf_push_responses(f, &f->rx);
    nf_expect_frame(f, &spec);
}
