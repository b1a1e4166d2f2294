/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vif-frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE         4096u
#define GRANT_FIRST  8u   /* those below are reserved */

/* xen/include/public/grant_table.h */
#define GRANT_PERMIT 1u
#define GRANT_IN_USE (8u | 16u)

typedef struct GrantEntry {
    uint16_t flags;
    uint16_t domid;
    uint32_t frame;
} GrantEntry;

/* --- memory --- */

Front *front_new(QTest *qt, unsigned idx)
{
    Front *f = g_new0(Front, 1);
    g_autofree char *where = qtest_ok(qt, "xen_ram");
    g_autofree char *table = qtest_ok(qt, "xen_gnttab");
    unsigned long size;
    char path[64];
    uint32_t refs;
    int fd;

    f->qt = qt;
    f->idx = idx;
    f->domid = (unsigned)qtest_int(qt, "xen_domid");
    g_assert_cmpint(sscanf(where, "%lu %63s", &size, path), ==, 2);
    g_assert_cmpint(sscanf(table, "0x0 %u", &refs), ==, 1);
    f->ram_size = size;
    fd = open(path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    f->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(f->ram != MAP_FAILED);
    close(fd);
    f->next_frame = refs * (uint32_t)sizeof(GrantEntry) / PAGE;
    f->next_ref = GRANT_FIRST;
    f->free_pages = g_array_new(FALSE, FALSE, sizeof(FrontPage));
    f->fe = g_strdup_printf("/local/domain/%u/device/vif/%u", f->domid, idx);
    f->be = g_strdup_printf("/local/domain/0/backend/vif/%u/%u", f->domid, idx);
    return f;
}

void front_free(Front *f)
{
    for (unsigned i = 0; i < f->n_queues; i++) {
        g_free(f->queue[i]);
    }
    munmap(f->ram, f->ram_size);
    g_array_unref(f->free_pages);
    g_free(f->fe);
    g_free(f->be);
    g_free(f);
}

static GrantEntry *grant_entry(Front *f, uint32_t ref)
{
    return (GrantEntry *)(void *)f->ram + ref;
}

void front_grant(Front *f, uint32_t ref, uint32_t frame, uint16_t domid, uint16_t flags)
{
    GrantEntry *e = grant_entry(f, ref);

    e->frame = frame;
    e->domid = domid;
    __atomic_store_n(&e->flags, flags, __ATOMIC_RELEASE);
}

bool front_grant_busy(Front *f, uint32_t ref)
{
    return __atomic_load_n(&grant_entry(f, ref)->flags, __ATOMIC_ACQUIRE) & GRANT_IN_USE;
}

FrontPage front_page_new(Front *f)
{
    FrontPage p;

    if (f->free_pages->len > 0) {
        p = g_array_index(f->free_pages, FrontPage, f->free_pages->len - 1);
        g_array_set_size(f->free_pages, f->free_pages->len - 1);
    } else {
        p = (FrontPage){ .frame = f->next_frame++, .ref = f->next_ref++ };
        g_assert_cmpuint(((size_t)p.frame + 1) * PAGE, <=, f->ram_size);
        p.data = f->ram + (size_t)p.frame * PAGE;
    }
    memset(p.data, 0, PAGE);
    front_grant(f, p.ref, p.frame, 0, GRANT_PERMIT);
    return p;
}

void front_page_free(Front *f, FrontPage p)
{
    qtest_wait_for(!front_grant_busy(f, p.ref));
    front_grant(f, p.ref, 0, 0, 0);
    g_array_append_val(f->free_pages, p);
}

/* --- XenStore --- */

void front_write(Front *f, const char *key, const char *fmt, ...)
{
    g_autofree char *value = NULL;
    va_list ap;

    va_start(ap, fmt);
    value = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    qtest_do(f->qt, "xen_store_write %u %s/%s %s", f->domid, f->fe, key, value);
}

void front_remove(Front *f, const char *key)
{
    g_free(qtest_line(f->qt, "xen_store_rm %u %s/%s", f->domid, f->fe, key));
}

static char *store_read(Front *f, unsigned who, const char *dir, const char *key)
{
    g_autofree char *line = qtest_line(f->qt, "xen_store_read %u %s/%s", who, dir, key);

    return g_str_has_prefix(line, "OK ") ? g_strdup(line + 3) : NULL;
}

char *front_read_back(Front *f, const char *key)
{
    return store_read(f, 0, f->be, key);
}

char *front_read_error(Front *f)
{
    g_autofree char *dir =
        g_strdup_printf("/local/domain/0/error/backend/vif/%u/%u", f->domid, f->idx);

    return store_read(f, 0, dir, "error");
}

unsigned front_back_state(Front *f)
{
    g_autofree char *state = front_read_back(f, "state");

    return state ? (unsigned)g_ascii_strtoull(state, NULL, 10) : XenbusStateUnknown;
}

void front_set_state(Front *f, unsigned state)
{
    front_write(f, "state", "%u", state);
}

void front_wait_back(Front *f, unsigned state)
{
    qtest_wait_for(front_back_state(f) == state);
}

/* --- connection --- */

static FrontQueue *queue_new(Front *f, unsigned index, bool split)
{
    FrontQueue *q = g_new0(FrontQueue, 1);

    q->f = f;
    q->index = index;
    q->tx_page = front_page_new(f);
    q->rx_page = front_page_new(f);
    xen_ring_init_front(&q->tx, q->tx_page.data, 1, sizeof(netif_tx_request_t));
    xen_ring_init_front(&q->rx, q->rx_page.data, 1, sizeof(netif_rx_request_t));
    q->tx_port = (int)qtest_int(f->qt, "xen_evtchn_alloc 0");
    q->rx_port = split ? (int)qtest_int(f->qt, "xen_evtchn_alloc 0") : q->tx_port;
    return q;
}

static void queue_free(FrontQueue *q)
{
    front_page_free(q->f, q->tx_page);
    front_page_free(q->f, q->rx_page);
    for (unsigned i = 0; i < FRONT_RING; i++) {
        if (q->tx_buf[i].data) {
            front_page_free(q->f, q->tx_buf[i]);
        }
        if (q->rx_buf[i].data) {
            front_page_free(q->f, q->rx_buf[i]);
        }
    }
    qtest_do(q->f->qt, "xen_evtchn_close %d", q->tx_port);
    if (q->rx_port != q->tx_port) {
        qtest_do(q->f->qt, "xen_evtchn_close %d", q->rx_port);
    }
    g_free(q);
}

void front_free_queues(Front *f)
{
    for (unsigned i = 0; i < f->n_queues; i++) {
        queue_free(f->queue[i]);
    }
    f->n_queues = 0;
}

void front_make_queues(Front *f, const FrontConfig *c)
{
    front_free_queues(f);
    for (unsigned i = 0; i < MAX(c->queues, 1); i++) {
        bool split = c->ports == FRONT_SPLIT || (c->ports == FRONT_MIXED && i % 2 == 0);

        f->queue[f->n_queues++] = queue_new(f, i, split);
    }
}

static void write_queue_keys(Front *f, const FrontQueue *q, const char *dir)
{
    g_autofree char *tx_ref = g_strconcat(dir, "tx-ring-ref", NULL);
    g_autofree char *rx_ref = g_strconcat(dir, "rx-ring-ref", NULL);
    g_autofree char *port = g_strconcat(dir, "event-channel", NULL);
    g_autofree char *tx_port = g_strconcat(port, "-tx", NULL);
    g_autofree char *rx_port = g_strconcat(port, "-rx", NULL);

    front_write(f, tx_ref, "%u", q->tx_page.ref);
    front_write(f, rx_ref, "%u", q->rx_page.ref);
    if (q->tx_port == q->rx_port) {
        front_write(f, port, "%d", q->tx_port);
    } else {
        front_write(f, tx_port, "%d", q->tx_port);
        front_write(f, rx_port, "%d", q->rx_port);
    }
}

static void remove_keys(Front *f)
{
    static const char *const keys[] = {
        "tx-ring-ref", "rx-ring-ref", "event-channel", "event-channel-tx", "event-channel-rx",
        "multi-queue-num-queues",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        front_remove(f, keys[i]);
    }
    for (unsigned i = 0; i < FRONT_MAX_QUEUES; i++) {
        g_autofree char *line =
            qtest_line(f->qt, "xen_store_rm %u %s/queue-%u", f->domid, f->fe, i);

        if (!g_str_equal(line, "OK")) {
            break;
        }
    }
}

void front_write_keys(Front *f, const FrontConfig *c)
{
    remove_keys(f);
    if (f->n_queues > 1) {
        front_write(f, "multi-queue-num-queues", "%u", f->n_queues);
        for (unsigned i = 0; i < f->n_queues; i++) {
            g_autofree char *dir = g_strdup_printf("queue-%u/", i);

            write_queue_keys(f, f->queue[i], dir);
        }
    } else {
        write_queue_keys(f, f->queue[0], "");
    }
    front_write(f, "request-rx-copy", "1");
    front_write(f, "feature-rx-notify", "%d", !c->no_rx_notify);
    front_write(f, "feature-sg", "%d", !c->no_sg);
    front_write(f, "feature-gso-tcpv4", "%d", !c->no_gso);
    front_write(f, "feature-gso-tcpv6", "%d", !c->no_gso);
    front_write(f, "feature-no-csum-offload", "%d", c->no_csum);
    front_write(f, "feature-ipv6-csum-offload", "%d", !c->no_ipv6_csum);
}

void front_connect(Front *f, const FrontConfig *c)
{
    front_wait_back(f, XenbusStateInitWait);
    front_make_queues(f, c);
    front_write_keys(f, c);
    front_set_state(f, XenbusStateConnected);
    front_wait_back(f, XenbusStateConnected);
}

void front_disconnect(Front *f)
{
    front_set_state(f, XenbusStateClosing);
    front_wait_back(f, XenbusStateClosing);
    front_set_state(f, XenbusStateClosed);
    front_wait_back(f, XenbusStateClosed);
    front_free_queues(f);
    front_set_state(f, XenbusStateInitialising);
    front_wait_back(f, XenbusStateInitWait);
}

/* --- tx --- */

FrontPage *front_tx_next(FrontQueue *q)
{
    FrontPage *p = &q->tx_buf[q->tx.prod % FRONT_RING];

    if (!p->data) {
        *p = front_page_new(q->f);
    }
    return p;
}

void front_tx_put(FrontQueue *q, const netif_tx_request_t *req)
{
    xen_ring_put_request(&q->tx, req);
}

void front_tx_put_extra(FrontQueue *q, const struct netif_extra_info *extra)
{
    netif_tx_request_t slot = { 0 };

    G_STATIC_ASSERT(sizeof(*extra) <= sizeof(slot));
    memcpy(&slot, extra, sizeof(*extra));
    xen_ring_put_request(&q->tx, &slot);
}

void front_notify_tx(FrontQueue *q)
{
    qtest_do(q->f->qt, "xen_evtchn_notify %d", q->tx_port);
}

void front_notify_rx(FrontQueue *q)
{
    qtest_do(q->f->qt, "xen_evtchn_notify %d", q->rx_port);
}

bool front_tx_push(FrontQueue *q)
{
    bool notify = xen_ring_push_requests(&q->tx);

    if (notify) {
        front_notify_tx(q);
    }
    return notify;
}

/* As few slots as possible: full pages. */
static unsigned split_frame(size_t len, uint16_t *size)
{
    unsigned n = 0;

    for (; len > 0; len -= size[n++]) {
        size[n] = (uint16_t)MIN(len, PAGE);
    }
    return n;
}

unsigned front_tx_frame(FrontQueue *q, const uint8_t *frame, size_t len, const uint16_t *size,
                        unsigned n, uint16_t flags, uint16_t mss)
{
    uint16_t full[FRONT_FRAME_MAX / PAGE];
    size_t at = 0;

    if (n == 0) {
        n = split_frame(len, full);
        size = full;
    }
    for (unsigned i = 0; i < n; i++) {
        FrontPage *p = front_tx_next(q);
        netif_tx_request_t req = {
            .gref = p->ref,
            .id = q->next_id++,
            .size = i == 0 ? (uint16_t)len : size[i],
            .flags = i + 1 < n ? NETTXF_more_data : 0,
        };

        memcpy(p->data, frame + at, size[i]);
        at += size[i];
        if (i == 0) {
            req.flags |= flags | (mss ? NETTXF_extra_info : 0);
        }
        front_tx_put(q, &req);
        if (i == 0 && mss) {
            bool ipv6 = frame[12] == 0x86 && frame[13] == 0xdd;

            front_tx_put_extra(q, &(struct netif_extra_info){
                .type = XEN_NETIF_EXTRA_TYPE_GSO,
                .u.gso = { .size = mss, .type = ipv6 ? XEN_NETIF_GSO_TYPE_TCPV6
                                                     : XEN_NETIF_GSO_TYPE_TCPV4 },
            });
        }
    }
    g_assert_cmpuint(at, ==, len);
    return n + (mss ? 1 : 0);
}

void front_tx_responses(FrontQueue *q, netif_tx_response_t *rsp, unsigned n)
{
    while (n > 0) {
        qtest_wait_for(xen_ring_responses(&q->tx) > 0 || xen_ring_arm_responses(&q->tx, 0));
        xen_ring_take_response(&q->tx, rsp, sizeof(*rsp));
        rsp++;
        n--;
    }
    g_assert_cmpint(xen_ring_responses(&q->tx), ==, 0);
}

void front_tx_expect(FrontQueue *q, unsigned n, int16_t status)
{
    netif_tx_response_t rsp[FRONT_RING];
    uint16_t id = 0;
    bool first = true;

    front_tx_responses(q, rsp, n);
    for (unsigned i = 0; i < n; i++) {
        if (rsp[i].status == NETIF_RSP_NULL) {
            continue;
        }
        g_assert_cmpint(rsp[i].status, ==, status);
        if (!first) {
            g_assert_cmpuint(rsp[i].id, ==, (uint16_t)(id + 1));
        }
        first = false;
        id = rsp[i].id;
    }
}

/* --- rx --- */

void front_rx_put(FrontQueue *q, uint16_t id, uint32_t ref)
{
    netif_rx_request_t req = { .id = id, .gref = ref };

    q->rx_id[q->rx.prod % FRONT_RING] = id;
    xen_ring_put_request(&q->rx, &req);
}

bool front_rx_push(FrontQueue *q)
{
    bool notify = xen_ring_push_requests(&q->rx);

    if (notify) {
        front_notify_rx(q);
    }
    return notify;
}

void front_rx_post(FrontQueue *q, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        FrontPage *p = &q->rx_buf[q->rx.prod % FRONT_RING];

        if (!p->data) {
            *p = front_page_new(q->f);
        }
        memset(p->data, 0xa5, PAGE);
        front_rx_put(q, q->next_id++, p->ref);
    }
    front_rx_push(q);
}

unsigned front_rx_waiting(FrontQueue *q)
{
    int n = xen_ring_responses(&q->rx);

    g_assert_cmpint(n, >=, 0);
    return (unsigned)n;
}

static bool rx_wait(FrontQueue *q, int timeout_ms)
{
    gint64 end = g_get_monotonic_time() + timeout_ms * 1000ll;

    while (front_rx_waiting(q) == 0 && !xen_ring_arm_responses(&q->rx, 0)) {
        if (g_get_monotonic_time() > end) {
            return false;
        }
        g_usleep(100);
    }
    return true;
}

/* A data slot: what netif.h says of one, and what Linux's netfront requires. */
static uint32_t rx_take(FrontQueue *q, netif_rx_response_t *ret_rsp)
{
    uint32_t slot = q->rx.cons % FRONT_RING;

    xen_ring_take_response(&q->rx, ret_rsp, sizeof(*ret_rsp));
    g_assert_cmpuint(ret_rsp->id, ==, q->rx_id[slot]);
    g_assert_cmpuint(ret_rsp->offset, ==, 0);
    g_assert_false(front_grant_busy(q->f, q->rx_buf[slot].ref));
    return slot;
}

/* Its bytes, behind @headroom that nobody wrote to. */
static void rx_store(const FrontQueue *q, uint32_t slot, const netif_rx_response_t *rsp,
                     unsigned headroom, FrontFrame *ret)
{
    const uint8_t *page = q->rx_buf[slot].data;
    int end = (int)headroom + rsp->status;

    g_assert_cmpint(end, <=, (int)PAGE);
    ret->slots++;
    if (rsp->status <= 0) {
        ret->status = ret->status ? ret->status : rsp->status;
        return;
    }
    g_assert_cmpuint(ret->len + (unsigned)rsp->status, <=, sizeof(ret->data));
    memcpy(ret->data + ret->len, page + headroom, (unsigned)rsp->status);
    ret->len += (unsigned)rsp->status;
    for (unsigned i = 0; i < headroom; i++) {
        g_assert_cmpuint(page[i], ==, 0xa5);
    }
    if (end < (int)PAGE) {
        g_assert_cmpuint(page[end], ==, 0xa5); /* not a byte more */
    }
}

static void rx_take_extra(FrontQueue *q, FrontFrame *ret)
{
    struct netif_extra_info extra;

    xen_ring_take_response(&q->rx, &extra, sizeof(extra));
    g_assert_cmpuint(extra.flags, ==, 0);
    ret->slots++;
    if (extra.type == XEN_NETIF_EXTRA_TYPE_XDP) {
        g_assert_cmpuint(extra.u.pad[1], ==, 0);
        g_assert_cmpuint(extra.u.pad[2], ==, 0);
        ret->headroom = extra.u.pad[0];
        return;
    }
    g_assert_cmpuint(extra.type, ==, XEN_NETIF_EXTRA_TYPE_GSO);
    g_assert_cmpuint(extra.u.gso.pad, ==, 0);
    g_assert_cmpuint(extra.u.gso.features, ==, 0);
    ret->gso_type = extra.u.gso.type;
    ret->gso_size = extra.u.gso.size;
}

bool front_rx_recv(FrontQueue *q, FrontFrame *ret, int timeout_ms)
{
    netif_rx_response_t rsp;
    unsigned data_slots = 1;
    uint32_t slot;

    ret->len = 0;
    ret->headroom = 0;
    ret->slots = 0;
    ret->status = 0;
    ret->gso_type = 0;
    ret->gso_size = 0;
    if (!rx_wait(q, timeout_ms)) {
        return false;
    }
    slot = rx_take(q, &rsp);
    ret->flags = rsp.flags;
    g_assert_cmpuint(rsp.flags & ~(NETRXF_data_validated | NETRXF_csum_blank | NETRXF_more_data |
                                   NETRXF_extra_info), ==, 0);
    /* what is seen of a packet is all there: it was published in one step */
    if (rsp.flags & NETRXF_extra_info) {
        g_assert_cmpuint(front_rx_waiting(q), >, 0);
        rx_take_extra(q, ret);
    }
    rx_store(q, slot, &rsp, ret->headroom, ret);
    g_assert_true(rsp.status <= 0 || rsp.status >= 14); /* netfront drops shorter first slots */
    while (rsp.flags & NETRXF_more_data) {
        g_assert_cmpuint(front_rx_waiting(q), >, 0);
        slot = rx_take(q, &rsp);
        rx_store(q, slot, &rsp, 0, ret);
        g_assert_cmpuint(rsp.flags & ~NETRXF_more_data, ==, 0);
        data_slots++;
    }
    g_assert_cmpuint(data_slots, <=, XEN_NETIF_NR_SLOTS_MIN);
    return true;
}

/* --- events --- */

bool front_tx_event(FrontQueue *q)
{
    return qtest_int(q->f->qt, "xen_evtchn_pending %d", q->tx_port) != 0;
}

bool front_rx_event(FrontQueue *q)
{
    return qtest_int(q->f->qt, "xen_evtchn_pending %d", q->rx_port) != 0;
}
