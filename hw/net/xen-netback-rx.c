/*
 * Host to guest: from the netdev to an rx ring, a batch at a time.
 *
 *     reserve  free slots are counted: nothing is read that has no room at all
 *     read     the netdev reads into the batch's buffer
 *     fill     packets get slots, while there are both:
 *                fit      the next one that the guest can take as it is
 *                segment  or segments of it, a round of them
 *                hold     it waits for slots, but not for ever
 *                assign   its header becomes flags and extras, its bytes slots
 *     copy     one batched grant copy into the guest's pages
 *     publish  responses in ring order, then at most one event
 *
 * What was read and has no slots is kept: at most NETBACK_BATCH packets, and no more than there
 * were slots when they were read, in buffers of fixed size (RX_ARENA_SIZE; RX_SEGMENTS_SIZE for
 * one that is segmented). The others stay in the netdev, whose queue is bounded and drops at its
 * tail. So a guest that posts no slots costs at most 1 MB a queue (XSA-392). After the stall
 * time-out what waits is dropped.
 *
 * What a response says: docs of xen/include/public/io/netif.h. Slots are filled one
 * after the other to the last byte, so the first one always has the headers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-direct.h"

#include <string.h>

/* Two batches of packets of up to 1500 bytes, or some of 64 KiB. */
#define RX_ARENA_SIZE    (NETBACK_BATCH * 2 * (size_t)XEN_PAGE_SIZE + PKT_ARENA_MIN)
#define RX_SEGMENTS_SIZE (NETBACK_SEGMENTS * (size_t)XEN_PAGE_SIZE + PKT_ARENA_MIN)

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

/* --- read --- */

/* Nothing of the batch waits any more. */
static bool rx_empty(const RxBatch *b)
{
    return b->next == b->n_pkts;
}

static void rx_read(NetbackQueue *q, unsigned slots)
{
    RxBatch *b = &q->rx_batch;
    unsigned max = MIN(NETBACK_BATCH, slots);

    if (!rx_empty(b) || !q->peer_end.ready) {
        return;
    }
    b->starved = slots == 0;
    if (slots == 0) {
        if (!q->rx_notify) {
            xen_queue_wake_at(&q->base, io_clock_ns() + NIC_PEER_RETRY_NS); /* no event tells */
        }
        return;
    }
    pkt_arena_reset(&b->arena);
    b->held_since = 0;
    b->next = 0;
    b->n_pkts = netdev_recv(q->peer, &b->arena, b->pkt, b->iov, max);
    if (b->n_pkts < max && pkt_arena_next(&b->arena)) {
        q->peer_end.ready = false; /* it is empty; its fd says when that changes */
    }
}

/* --- fill: segment --- */

/* The next segment of pkt[next]. NULL: it would overwrite what slots of this round point to. */
static Pkt *rx_segment(RxBatch *b)
{
    if (b->next_seg == b->n_seg) {
        if (b->seg_assigned) {
            return NULL;
        }
        pkt_arena_reset(&b->seg_arena);
        b->next_seg = 0;
        b->n_seg = pkt_segment(&b->segmenter, &b->seg_arena, b->seg_pkt, b->seg_iov,
                               NETBACK_SEGMENTS);
        g_assert(b->n_seg > 0);
    }
    return &b->seg_pkt[b->next_seg];
}

static bool rx_start_segments(RxBatch *b, const Pkt *pkt)
{
    b->next_seg = 0;
    b->n_seg = 0;
    b->segmenting = pkt_segmenter_init(&b->segmenter, pkt);
    return b->segmenting;
}

/* --- fill: fit --- */

/* What rx_fit() returned is dealt with. */
static inline void rx_advance(RxBatch *b)
{
    if (G_UNLIKELY(b->segmenting)) {
        b->next_seg++;
        b->segmenting = b->next_seg < b->n_seg || pkt_segmenter_busy(&b->segmenter);
        if (b->segmenting) {
            return;
        }
    }
    b->next++;
}

/*
 * The next packet that the guest can take, and what its slots will say; NULL: there is none.
 * What it can never take is dropped.
 */
static const Pkt *rx_fit(NetbackQueue *q, NetifMeta *ret_meta)
{
    RxBatch *b = &q->rx_batch;
    uint32_t max_len = q->sg ? PKT_MAX_LEN : XEN_PAGE_SIZE - q->headroom;
    /* an XDP program sees packets of one slot only: Linux's netfront drops larger ones */
    unsigned offload = q->offload & (q->headroom == 0 ? ~0u : NETDEV_CSUM4 | NETDEV_CSUM6);

    while (b->next < b->n_pkts) {
        Pkt *pkt = b->segmenting ? rx_segment(b) : &b->pkt[b->next];

        if (!pkt) {
            return NULL;
        }
        switch (netif_offload_fit(pkt, offload, max_len, ret_meta)) {
        case NETIF_FIT:
            return pkt;
        case NETIF_SEGMENT:
            if (rx_start_segments(b, pkt)) {
                continue;
            }
            break;
        case NETIF_REFUSE:
        default:
            break;
        }
        rx_advance(b);
        counter_add(&q->stats->rx.drop_malformed, 1);
    }
    return NULL;
}

/* --- fill: assign --- */

static inline void rx_add_slot(NetbackQueue *q, uint8_t *local, uint32_t offset, uint32_t len,
                               uint16_t flags)
{
    RxBatch *b = &q->rx_batch;
    netif_rx_request_t req;

    xen_ring_take_request(&q->rx, &req);
    b->rsp[b->n_rsp].id = req.id;
    b->rsp[b->n_rsp].flags = flags;
    b->rsp[b->n_rsp].len = (uint16_t)len;
    b->rsp[b->n_rsp].copy = (int16_t)b->n_copies;
    b->n_rsp++;
    b->copy[b->n_copies++] = (XenCopySeg) {
        .local = local,
        .ref = req.gref,
        .offset = (uint16_t)offset,
        .len = (uint16_t)len,
    };
}

/* What is left free in front of the packet, or else how the guest is to segment it. */
static void rx_add_extra(NetbackQueue *q, const NetifMeta *meta)
{
    RxBatch *b = &q->rx_batch;
    netif_rx_request_t req;

    xen_ring_take_request(&q->rx, &req); /* its page stays unused */
    b->rsp[b->n_rsp].copy = -1;
    if (q->headroom > 0) {
        g_assert(meta->gso_type == XEN_NETIF_GSO_TYPE_NONE);
        b->rsp[b->n_rsp].extra = (struct netif_extra_info) {
            .type = XEN_NETIF_EXTRA_TYPE_XDP,
            .u.pad = { (uint16_t)q->headroom }, /* u.xdp of newer headers */
        };
    } else {
        b->rsp[b->n_rsp].extra = (struct netif_extra_info) {
            .type = XEN_NETIF_EXTRA_TYPE_GSO,
            .u.gso = { .size = meta->gso_size, .type = meta->gso_type },
        };
    }
    b->n_rsp++;
}

static inline bool rx_has_extra(const NetbackQueue *q, const NetifMeta *meta)
{
    return q->headroom > 0 || meta->gso_type != XEN_NETIF_GSO_TYPE_NONE;
}

static unsigned rx_slots(const NetbackQueue *q, const Pkt *pkt, const NetifMeta *meta)
{
    return (q->headroom + pkt->len + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE + rx_has_extra(q, meta);
}

/*
 * There are as many slots as rx_slots() says. A response's status is the packet's bytes alone, and
 * the headroom is in its first slot only: what Linux's netfront reads. Its netback counts the
 * headroom in and leaves it in each slot, which netfront then takes for data.
 */
static void rx_assign(NetbackQueue *q, const Pkt *pkt, const NetifMeta *meta)
{
    RxBatch *b = &q->rx_batch;
    uint8_t *data = pkt->iov[0].iov_base;
    uint32_t left = pkt->len;
    uint32_t len = MIN(left, XEN_PAGE_SIZE - q->headroom);
    bool extra = rx_has_extra(q, meta);

    rx_add_slot(q, data, q->headroom, len,
                (uint16_t)(netif_meta_rx_flags(meta) | (extra ? NETRXF_extra_info : 0) |
                           (left > len ? NETRXF_more_data : 0)));
    if (extra) {
        rx_add_extra(q, meta);
    }
    while ((left -= len) > 0) {
        data += len;
        len = MIN(left, XEN_PAGE_SIZE);
        rx_add_slot(q, data, 0, len, left > len ? NETRXF_more_data : 0);
    }
    b->held_since = 0;
    b->pkts++;
    b->bytes += pkt->len;
}

/* --- fill: hold --- */

/*
 * It waits for slots, but not for ever. False: it has waited long enough, and so have
 * those behind it, which were read with it.
 */
static bool rx_hold(NetbackQueue *q, unsigned slots)
{
    RxBatch *b = &q->rx_batch;
    uint64_t now = io_clock_ns();
    uint64_t time_out = q->rx_notify ? NETBACK_DRAIN_NS : NETBACK_DRAIN_NOTIFY_NS;

    b->held_slots = slots;
    if (b->held_since == 0) {
        b->held_since = now;
    }
    if (now - b->held_since >= time_out) {
        return false;
    }
    xen_queue_wake_at(&q->base, q->rx_notify ? b->held_since + time_out : now + NIC_PEER_RETRY_NS);
    return true;
}

/* It has waited long enough: gone, with the segments that it would have had still. */
static void rx_expire(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;
    unsigned n = 1;

    if (b->segmenting) {
        n = b->n_seg - b->next_seg + pkt_segmenter_left(&b->segmenter);
        pkt_segmenter_stop(&b->segmenter);
        b->segmenting = false;
    }
    b->next++;
    counter_add(&q->stats->rx.drop_full, n);
}

/* The guest was stopped for @ns: it could not make room meanwhile. */
void netback_rx_resume(NetbackQueue *q, uint64_t ns)
{
    RxBatch *b = &q->rx_batch;

    if (b->held_since != 0) {
        b->held_since += ns;
    }
}

/* --- fill --- */

static void rx_fill(NetbackQueue *q, unsigned slots)
{
    RxBatch *b = &q->rx_batch;
    NetifMeta meta;
    const Pkt *pkt;

    b->seg_assigned = false;
    b->n_rsp = 0;
    b->n_copies = 0;
    b->pkts = 0;
    b->bytes = 0;
    g_assert(slots <= NETBACK_RING_SLOTS);
    while ((pkt = rx_fit(q, &meta)) != NULL) {
        unsigned need = rx_slots(q, pkt, &meta);

        if (need > slots) {
            if (rx_hold(q, need)) {
                break;
            }
            rx_expire(q);
            continue;
        }
        rx_assign(q, pkt, &meta);
        slots -= need;
        b->seg_assigned |= b->segmenting;
        rx_advance(b);
    }
    g_assert(b->n_copies <= b->n_rsp && b->n_rsp <= NETBACK_RING_SLOTS);
}

/* --- copy --- */

static void rx_copy(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;

    if (q->base.xen->ops->gnttab_copy(q->base.gnttab, q->base.domid, true, b->copy,
                                        b->n_copies) < 0) {
        for (unsigned i = 0; i < b->n_copies; i++) {
            b->copy[i].status = NETIF_RSP_ERROR;
        }
    }
}

/* --- publish --- */

/* The packet whose last slot is rsp[@last] did not arrive: counted as that. */
static void rx_lost(NetbackQueue *q, unsigned last)
{
    RxBatch *b = &q->rx_batch;

    for (unsigned i = last + 1; i-- > 0;) {
        if (b->rsp[i].copy < 0) {
            continue; /* an extra, in the middle of its packet */
        }
        if (i != last && !(b->rsp[i].flags & NETRXF_more_data)) {
            break; /* the packet before */
        }
        b->bytes -= b->rsp[i].len;
    }
    b->pkts--;
    counter_add(&q->stats->rx.drop_grant, 1);
}

static void rx_publish(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;
    bool bad = false;

    for (unsigned i = 0; i < b->n_rsp; i++) {
        netif_rx_response_t rsp = { .id = b->rsp[i].id, .flags = b->rsp[i].flags };

        _Static_assert(sizeof(rsp) == sizeof(struct netif_extra_info), "an extra is a slot");
        if (b->rsp[i].copy < 0) {
            xen_ring_put_response(&q->rx, &b->rsp[i].extra, sizeof(b->rsp[i].extra));
            continue;
        }
        rsp.status = (int16_t)b->rsp[i].len;
        if (b->copy[b->rsp[i].copy].status != 0) {
            rsp.status = NETIF_RSP_ERROR;
            bad = true;
        }
        if (bad && !(rsp.flags & NETRXF_more_data)) {
            rx_lost(q, i);
            bad = false;
        }
        xen_ring_put_response(&q->rx, &rsp, sizeof(rsp));
    }
    /* before the guest has it: whoever knows of the packets finds them counted */
    counter_add(&q->stats->rx.packets, b->pkts);
    counter_add(&q->stats->rx.bytes, b->bytes);
    counter_add(&q->stats->rx.slots, b->n_rsp);
    counter_add(&q->stats->rx.batches, 1);
    if (xen_ring_push_responses(&q->rx)) {
        netback_notify_rx(q);
    }
}

/* With the lock, where the ring has one: direct=on. */
static QueueVerdict rx_round(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;
    unsigned slots;

    if (!rx_reserve(q, &slots)) { /* free slots, counted */
        return QUEUE_VIOLATION;
    }
    rx_read(q, slots);            /* netdev to the batch's buffer */
    rx_fill(q, slots);            /* virtio_net_hdr to Xen flags and extras */
    if (b->n_rsp == 0) {
        return QUEUE_IDLE;
    }
    rx_copy(q);                   /* one batched grant copy */
    rx_publish(q);                /* every slot answered, then at most one event */
    return QUEUE_WORK;
}

/* Host to guest, one batch. Queue thread only. */
QueueVerdict netback_rx_poll(NetbackQueue *q)
{
    QueueVerdict v;

    netback_rx_lock(q);
    q->base.worked |= q->rx.cons != q->rx_seen; /* others took slots: the event was of use */
    v = rx_round(q);
    q->rx_seen = q->rx.cons;
    netback_rx_unlock(q);
    return v;
}

static bool rx_arm(NetbackQueue *q)
{
    RxBatch *b = &q->rx_batch;

    if (rx_empty(b)) {
        /* nothing waits for slots but the netdev itself, if there were none at all */
        return q->peer_end.ready && xen_ring_arm_requests(&q->rx, 0);
    }
    return xen_ring_arm_requests(&q->rx, b->held_slots > 0 ? b->held_slots - 1 : 0);
}

bool netback_rx_arm(NetbackQueue *q)
{
    bool work;

    netback_rx_lock(q);
    work = rx_arm(q);
    netback_rx_unlock(q);
    return work;
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
    return netback_queue_buffer(q, &q->rx_batch.arena, RX_ARENA_SIZE) &&
           netback_queue_buffer(q, &q->rx_batch.seg_arena, RX_SEGMENTS_SIZE);
}

void netback_rx_done(NetbackQueue *q)
{
    netback_queue_buffer_done(q, &q->rx_batch.arena);
    netback_queue_buffer_done(q, &q->rx_batch.seg_arena);
}
