/*
 * Host to guest: from the netdev to an rx ring, a batch at a time.
 *
 *     reserve  free slots are counted: nothing is read that has no room at all
 *     read     the netdev reads into the batch's buffer
 *     fill     a packet gets slots: its header as flags and extras, its bytes
 *     copy     one batched grant copy into the guest's pages
 *     publish  responses in ring order, then at most one event
 *
 * What was read and has no slots is kept: at most NETBACK_BATCH packets, and no more than there
 * were slots when they were read, in buffers of fixed size (RX_ARENA_SIZE; RX_CUT_SIZE for one
 * that is cut). The others stay in the netdev, whose queue is bounded and drops at its tail. So
 * a guest that posts no slots costs at most 1.7 MB a queue (XSA-392). After a time what waits is
 * dropped.
 *
 * What a response says: docs of xen/include/public/io/netif.h. Slots are filled one
 * after the other to the last byte, so the first one always has the headers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-internal.h"

#include <string.h>

/* Two batches of packets of up to 1500 bytes, or some of 64 KiB. */
#define RX_ARENA_SIZE  (NETBACK_BATCH * 2 * (size_t)XEN_PAGE_SIZE + PKT_ARENA_MIN)
#define RX_CUT_SIZE    (NETBACK_CUT_MAX * (size_t)XEN_PAGE_SIZE + PKT_ARENA_MIN)

#define RX_PURGE_ROUNDS 64 /* more than a tap's queue holds, at 1000 packets */

/* --- reserve --- */

/* False: a protocol violation. */
static bool rx_reserve(NetbackQueue *q, unsigned *ret_slots)
{
    int n = xen_ring_requests(&q->rx);

    if (n < 0) {
        return xen_queue_violation(&q->base, "the rx ring's req_prod is impossible");
    }
    *ret_slots = (unsigned)n;
    return true;
}

/* --- fill --- */

/* The next packet that waits, NULL if none does. */
static Pkt *rx_peek(RxBatch *b, bool *ret_cut)
{
    *ret_cut = b->next_cut < b->n_cut;
    if (*ret_cut) {
        return &b->cut[b->next_cut];
    }
    return b->next < b->n_pkts ? &b->pkt[b->next] : NULL;
}

static void rx_next(RxBatch *b, bool cut)
{
    if (cut) {
        b->next_cut++;
    } else {
        b->next++;
    }
}

static void rx_read(NetbackQueue *q, unsigned slots)
{
    RxBatch *b = &q->rx_batch;
    unsigned max = MIN(NETBACK_BATCH, slots);

    if (b->next < b->n_pkts || b->next_cut < b->n_cut || !q->peer_ready) {
        return;
    }
    if (slots == 0) {
        if (!q->rx_notify) {
            xen_queue_wake_at(&q->base, io_clock_ns() + NETBACK_RETRY_NS); /* no event tells */
        }
        return;
    }
    pkt_arena_reset(&b->arena);
    b->held_since = 0;
    b->next = 0;
    b->n_pkts = netdev_recv(q->peer, &b->arena, b->pkt, b->iov, max);
    if (b->n_pkts < max && pkt_arena_next(&b->arena)) {
        q->peer_ready = false; /* it is empty; its fd says when that changes */
    }
}

static bool rx_cut(RxBatch *b, const Pkt *pkt)
{
    pkt_arena_reset(&b->cut_arena);
    b->next_cut = 0;
    b->n_cut = pkt_segment(pkt, &b->cut_arena, b->cut, b->cut_iov, NETBACK_CUT_MAX);
    return b->n_cut > 0;
}

static void rx_add_slot(NetbackQueue *q, const NetifMeta *meta, uint8_t *local, uint32_t len,
                        bool first, bool last)
{
    RxBatch *b = &q->rx_batch;
    netif_rx_request_t req;
    uint16_t flags = last ? 0 : NETRXF_more_data;

    xen_ring_take_request(&q->rx, &req);
    if (first) {
        flags |= netif_meta_rx_flags(meta);
        flags |= meta->gso_type != XEN_NETIF_GSO_TYPE_NONE ? NETRXF_extra_info : 0;
    }
    b->rsp[b->n_rsp].id = req.id;
    b->rsp[b->n_rsp].flags = flags;
    b->rsp[b->n_rsp].len = (uint16_t)len;
    b->rsp[b->n_rsp].seg = (int16_t)b->n_segs;
    b->n_rsp++;
    b->seg[b->n_segs++] = (XenCopySeg) {
        .local = local,
        .ref = req.gref,
        .len = (uint16_t)len,
    };
}

static void rx_add_gso(NetbackQueue *q, const NetifMeta *meta)
{
    RxBatch *b = &q->rx_batch;
    netif_rx_request_t req;

    xen_ring_take_request(&q->rx, &req); /* its page stays unused */
    b->rsp[b->n_rsp].seg = -1;
    b->rsp[b->n_rsp].extra = (struct netif_extra_info) {
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = { .size = meta->gso_size, .type = meta->gso_type },
    };
    b->n_rsp++;
}

static void rx_add_packet(NetbackQueue *q, const Pkt *pkt, const NetifMeta *meta)
{
    uint8_t *data = pkt->iov[0].iov_base;
    uint32_t left = pkt->len;
    bool first = true;

    while (left > 0) {
        uint32_t len = MIN(left, XEN_PAGE_SIZE);

        rx_add_slot(q, meta, data, len, first, left == len);
        if (first && meta->gso_type != XEN_NETIF_GSO_TYPE_NONE) {
            rx_add_gso(q, meta);
        }
        first = false;
        data += len;
        left -= len;
    }
}

/*
 * It waits for slots, but not for ever. False: it has waited long enough, and so have
 * those behind it, which were read with it.
 */
static bool rx_hold(NetbackQueue *q, unsigned slots)
{
    RxBatch *b = &q->rx_batch;
    uint64_t now = io_clock_ns();
    uint64_t patience = q->rx_notify ? NETBACK_DRAIN_NS : NETBACK_DRAIN_NOTIFY_NS;

    b->held_slots = slots;
    if (b->held_since == 0) {
        b->held_since = now;
    }
    if (now - b->held_since >= patience) {
        return false;
    }
    xen_queue_wake_at(&q->base, q->rx_notify ? b->held_since + patience : now + NETBACK_RETRY_NS);
    return true;
}

/* The guest was stopped for @ns: it could not make room meanwhile. */
void netback_rx_resume(NetbackQueue *q, uint64_t ns)
{
    RxBatch *b = &q->rx_batch;

    if (b->held_since != 0) {
        b->held_since += ns;
    }
}

/* Gives slots to packets while there are both. Returns bytes. */
static uint64_t rx_fill(NetbackQueue *q, unsigned slots, unsigned *ret_pkts)
{
    RxBatch *b = &q->rx_batch;
    uint32_t max_len = q->sg ? PKT_MAX_LEN : XEN_PAGE_SIZE;
    uint64_t bytes = 0;
    bool cut;
    Pkt *pkt;

    while ((pkt = rx_peek(b, &cut)) != NULL) {
        NetifMeta meta;
        unsigned need;

        switch (netif_offload_fit(pkt, q->offload, max_len, &meta)) {
        case NETIF_FIT:
            break;
        case NETIF_SEGMENT:
            rx_next(b, cut);
            if (rx_cut(b, pkt)) {
                continue;
            }
            netif_count(&q->stats->rx.drop_malformed, 1);
            continue;
        case NETIF_REFUSE:
        default:
            rx_next(b, cut);
            netif_count(&q->stats->rx.drop_malformed, 1);
            continue;
        }
        need = (pkt->len + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE +
               (meta.gso_type != XEN_NETIF_GSO_TYPE_NONE);
        if (need > slots) {
            if (rx_hold(q, need)) {
                break;
            }
            rx_next(b, cut);
            netif_count(&q->stats->rx.drop_full, 1);
            continue;
        }
        rx_add_packet(q, pkt, &meta);
        b->held_since = 0;
        slots -= need;
        bytes += pkt->len;
        (*ret_pkts)++;
        rx_next(b, cut);
        if (b->next_cut == b->n_cut && b->n_cut > 0) {
            b->n_cut = b->next_cut = 0;
            break; /* the next cut would overwrite what these slots point to */
        }
    }
    return bytes;
}

/* --- copy --- */

static void rx_copy(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;

    if (q->base.xen->ops->gnttab_copy(q->base.gnttab, q->base.domid, true, b->seg,
                                        b->n_segs) < 0) {
        for (unsigned i = 0; i < b->n_segs; i++) {
            b->seg[i].status = NETIF_RSP_ERROR;
        }
    }
}

/* --- publish --- */

/* The packet whose last slot is rsp[@last] did not arrive: counted as that. */
static void rx_lost(NetbackQueue *q, unsigned last, unsigned *pkts, uint64_t *bytes)
{
    const RxBatch *b = &q->rx_batch;

    for (unsigned i = last + 1; i-- > 0;) {
        if (b->rsp[i].seg < 0) {
            continue; /* an extra, in the middle of its packet */
        }
        if (i != last && !(b->rsp[i].flags & NETRXF_more_data)) {
            break; /* the packet before */
        }
        *bytes -= b->rsp[i].len;
    }
    (*pkts)--;
    netif_count(&q->stats->rx.drop_grant, 1);
}

static void rx_publish(NetbackQueue *q, unsigned *pkts, uint64_t *bytes)
{
    RxBatch *b = &q->rx_batch;
    bool bad = false;

    for (unsigned i = 0; i < b->n_rsp; i++) {
        netif_rx_response_t rsp = { .id = b->rsp[i].id, .flags = b->rsp[i].flags };

        _Static_assert(sizeof(rsp) == sizeof(struct netif_extra_info), "an extra is a slot");
        if (b->rsp[i].seg < 0) {
            xen_ring_put_response(&q->rx, &b->rsp[i].extra, sizeof(b->rsp[i].extra));
            continue;
        }
        rsp.status = (int16_t)b->rsp[i].len;
        if (b->seg[b->rsp[i].seg].status != 0) {
            rsp.status = NETIF_RSP_ERROR;
            bad = true;
        }
        if (bad && !(rsp.flags & NETRXF_more_data)) {
            rx_lost(q, i, pkts, bytes);
            bad = false;
        }
        xen_ring_put_response(&q->rx, &rsp, sizeof(rsp));
    }
    if (xen_ring_push_responses(&q->rx)) {
        netback_notify_rx(q);
    }
}

/* Host to guest, one batch. Queue thread only. */
XenVerdict netback_rx_poll(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;
    unsigned slots, pkts = 0;
    uint64_t bytes;

    if (!rx_reserve(q, &slots)) {       /* free slots, counted */
        return XEN_VIOLATION;
    }
    rx_read(q, slots);                  /* netdev to the batch's buffer */
    b->n_rsp = 0;
    b->n_segs = 0;
    bytes = rx_fill(q, slots, &pkts);   /* virtio_net_hdr to Xen flags and extras */
    if (b->n_rsp == 0) {
        return XEN_IDLE;
    }
    rx_copy(q);                         /* one batched grant copy */
    rx_publish(q, &pkts, &bytes);       /* every slot answered, then at most one event */
    netif_count(&q->stats->rx.packets, pkts);
    netif_count(&q->stats->rx.bytes, bytes);
    netif_count(&q->stats->rx.slots, b->n_rsp);
    netif_count(&q->stats->rx.batches, 1);
    return XEN_WORK;
}

bool netback_rx_arm(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;
    bool cut;

    if (!rx_peek(b, &cut)) {
        /* nothing waits for slots but the netdev itself, if there were none at all */
        return q->peer_ready && xen_ring_arm_requests(&q->rx, 0);
    }
    return xen_ring_arm_requests(&q->rx, b->held_slots > 0 ? b->held_slots - 1 : 0);
}

/*
 * Frames that were meant for who was here before. Before the queue has a thread; the
 * carrier is still off, so few can come meanwhile.
 */
void netback_rx_purge(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;

    for (unsigned i = 0; i < RX_PURGE_ROUNDS; i++) {
        pkt_arena_reset(&b->arena);
        if (netdev_recv(q->peer, &b->arena, b->pkt, b->iov, NETBACK_BATCH) == 0) {
            break;
        }
    }
}

bool netback_rx_init(NetbackQueue *q)
{
    return pkt_arena_init(&q->rx_batch.arena, RX_ARENA_SIZE) == 0 &&
           pkt_arena_init(&q->rx_batch.cut_arena, RX_CUT_SIZE) == 0;
}

void netback_rx_done(NetbackQueue *q)
{
    pkt_arena_done(&q->rx_batch.arena);
    pkt_arena_done(&q->rx_batch.cut_arena);
}
