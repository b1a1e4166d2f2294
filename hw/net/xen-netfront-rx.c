/*
 * Netfront's rx direction: from the backend to the netdev.
 *
 *     gather    responses copied out once and validated, slots put together to packets
 *     decode    flags and extras to virtio_net_hdr
 *     send      netdev batch
 *     repost    the same pages again, at most one event
 *
 * The backend may go on writing to pages that it has answered. So a packet's head is
 * copied before it is looked at; what is behind is only passed on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

#include <linux/if_ether.h>
#include <string.h>

typedef union RxSlot {
    struct netif_rx_response rsp;
    struct netif_extra_info extra;
} RxSlot;

_Static_assert(sizeof(RxSlot) == 8, "a response and an extra have the same size");

static void rx_post(NetfrontRx *rx)
{
    uint16_t slot = (uint16_t)(rx->ring.prod % NETFRONT_SLOTS);
    struct netif_rx_request req = { .id = slot, .gref = rx->refs[slot] };

    xen_ring_put_request(&rx->ring, &req);
}

void netfront_rx_init(NetfrontQueue *q)
{
    NetfrontRx *rx = &q->rx;

    xen_ring_init_front(&rx->ring, (uint8_t *)q->rings + XEN_PAGE_SIZE, 1,
                        sizeof(struct netif_rx_request));
    for (unsigned i = 0; i < NETFRONT_SLOTS; i++) {
        rx_post(rx);
    }
    xen_ring_push_requests(&rx->ring);
}

/* Adds a data slot's bytes to the packet that is being gathered. */
static void rx_add_data(NetfrontRx *rx, const struct netif_rx_response *rsp, uint16_t slot)
{
    NetfrontRxCur *cur = &rx->cur;
    Pkt *pkt = &rx->pkt[rx->n];
    uint32_t len = rsp->status > 0 ? (uint32_t)rsp->status : 0;
    uint8_t *data = rx->pages + (size_t)slot * XEN_PAGE_SIZE + rsp->offset;
    struct iovec *last;

    /* a grant that failed; a page's bounds; grammar: id, first slot, number of slots, length */
    if (rsp->status < 0 || rsp->offset + len > XEN_PAGE_SIZE || rsp->id != slot ||
        (cur->n_data == 0 && len < ETH_HLEN) || cur->n_data == NETFRONT_RX_SLOTS ||
        pkt->len + len > NETFRONT_RX_MAX) {
        cur->bad = true;
    }
    if (cur->bad) {
        return;
    }
    cur->n_data++;
    if (len == 0) {
        return;
    }
    pkt->len += len;
    last = &pkt->iov[pkt->n_iov - 1];
    if ((uint8_t *)last->iov_base + last->iov_len == data) {
        last->iov_len += len; /* full slots: their pages are next to each other */
        return;
    }
    g_assert(pkt->n_iov < NETFRONT_RX_IOV);
    pkt->iov[pkt->n_iov++] = (struct iovec) { .iov_base = data, .iov_len = len };
}

static void rx_add_extra(NetfrontRx *rx, const struct netif_extra_info *extra)
{
    NetfrontRxCur *cur = &rx->cur;

    cur->extra = (extra->flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
    switch (extra->type) {
    case XEN_NETIF_EXTRA_TYPE_GSO:
        cur->meta.gso_type = extra->u.gso.type;
        cur->meta.gso_size = extra->u.gso.size;
        cur->bad |= extra->u.gso.type == XEN_NETIF_GSO_TYPE_NONE;
        break;
    case XEN_NETIF_EXTRA_TYPE_HASH:
        break; /* nobody here to use it */
    default:
        cur->bad = true; /* not negotiated: what follows may not be what we think */
        break;
    }
}

/* The next packet's place in the batch: its head in front, empty so far. */
static void rx_begin(NetfrontRx *rx)
{
    NetfrontHead *head = &rx->head[rx->n];
    Pkt *pkt = &rx->pkt[rx->n];

    memset(&rx->cur, 0, sizeof(rx->cur));
    rx->cur.open = true;
    rx->cur.first = true;
    pkt->hdr = &head->hdr;
    pkt->iov = rx->iov[rx->n];
    pkt->iov[0] = (struct iovec) { .iov_base = head->data, .iov_len = 0 };
    pkt->n_iov = 1;
    pkt->len = 0;
}

/* One slot. True: it was the packet's last one. */
static bool rx_take_slot(NetfrontRx *rx)
{
    uint16_t slot = (uint16_t)(rx->ring.cons % NETFRONT_SLOTS);
    NetfrontRxCur *cur = &rx->cur;
    RxSlot s;

    xen_ring_take_response(&rx->ring, &s, sizeof(s));
    if (!cur->open) {
        rx_begin(rx);
    }
    cur->n_slots++;
    if (cur->extra) {
        rx_add_extra(rx, &s.extra);
    } else {
        if (cur->first) {
            cur->first = false;
            netif_meta_from_rx_flags(&cur->meta, s.rsp.flags);
            cur->extra = (s.rsp.flags & NETRXF_extra_info) != 0;
        }
        cur->more_data = (s.rsp.flags & NETRXF_more_data) != 0;
        rx_add_data(rx, &s.rsp, slot);
    }
    return !cur->extra && !cur->more_data;
}

static void rx_end_packet(NetfrontQueue *q)
{
    NetfrontRx *rx = &q->rx;
    NetfrontRxCur *cur = &rx->cur;

    cur->open = false;
    rx->n_done += cur->n_slots;
    counter_add(&q->stats->rx.slots, cur->n_slots);
    if (cur->bad) {
        counter_add(&q->stats->rx.drop_malformed, 1);
        return;
    }
    rx->meta[rx->n++] = cur->meta;
}

/*
 * Takes responses up to the end of a packet or of the budget. False: a protocol violation.
 * A packet that has not ended yet goes on with the next round; one that never ends is
 * bad after 18 slots, and its slots are given back as they come.
 */
static bool rx_gather(NetfrontQueue *q)
{
    NetfrontRx *rx = &q->rx;
    int avail = xen_ring_responses(&rx->ring);

    if (avail < 0) {
        return xen_queue_violation(&q->base, "impossible rx response index");
    }
    for (; avail > 0 && rx->n < NETFRONT_BATCH; avail--) {
        if (rx_take_slot(rx)) {
            rx_end_packet(q);
        } else if (rx->cur.bad) {
            rx->n_done += rx->cur.n_slots;
            counter_add(&q->stats->rx.slots, rx->cur.n_slots);
            rx->cur.n_slots = 0;
        }
    }
    return true;
}

/* Heads into our memory, headers written; packets that do not hold what they promise go. */
static void rx_decode(NetfrontQueue *q)
{
    NetfrontRx *rx = &q->rx;
    unsigned kept = 0;

    for (unsigned i = 0; i < rx->n; i++) {
        Pkt *pkt = &rx->pkt[i];

        pkt_pull(pkt, NETFRONT_HEAD);
        if (!netif_offload_apply(pkt, &rx->meta[i])) {
            counter_add(&q->stats->rx.drop_malformed, 1);
            continue;
        }
        counter_add(&q->stats->rx.packets, 1);
        counter_add(&q->stats->rx.bytes, pkt->len);
        rx->pkt[kept++] = *pkt;
    }
    rx->n = kept;
    counter_add(&q->stats->rx.batches, kept > 0);
}

/* What the netdev has no room for is lost, as on any wire. False: there is more, for a round. */
static bool rx_send(NetfrontQueue *q)
{
    NetfrontRx *rx = &q->rx;
    uint64_t refused = q->peer->refused;

    if (rx->n == 0) {
        return true;
    }
    rx->next += netdev_send(q->peer, &rx->pkt[rx->next], rx->n - rx->next);
    if (rx->next < rx->n && q->peer->full) {
        counter_add(&q->stats->rx.drop_peer, rx->n - rx->next);
        netdev_send_stop(q->peer);
        rx->next = rx->n;
    }
    counter_add(&q->stats->rx.drop_peer, q->peer->refused - refused);
    return rx->next == rx->n;
}

static void rx_repost(NetfrontQueue *q)
{
    NetfrontRx *rx = &q->rx;

    if (rx->n_done == 0) {
        return;
    }
    for (; rx->n_done > 0; rx->n_done--) {
        rx_post(rx);
    }
    if (xen_ring_push_requests(&rx->ring)) {
        netfront_notify_rx(q);
    }
}

/* The batch is empty. A packet that goes on with the next round moves to its front. */
static void rx_end(NetfrontRx *rx)
{
    unsigned place = rx->place;

    if (rx->cur.open && place > 0) {
        Pkt *to = &rx->pkt[0];
        const Pkt *from = &rx->pkt[place];

        memcpy(rx->iov[0], rx->iov[place], sizeof(rx->iov[0]));
        to->hdr = &rx->head[0].hdr;
        to->iov = rx->iov[0];
        to->iov[0].iov_base = rx->head[0].data;
        to->n_iov = from->n_iov;
        to->len = from->len;
    }
    rx->n = 0;
    rx->next = 0;
}

QueueVerdict netfront_rx_poll(NetfrontQueue *q)
{
    NetfrontRx *rx = &q->rx;
    uint32_t cons = rx->ring.cons;

    if (rx->n == 0) {
        if (!rx_gather(q)) {
            return QUEUE_VIOLATION;
        }
        if (rx->ring.cons == cons) {
            return QUEUE_IDLE;
        }
        rx->place = rx->n;
        rx_decode(q);
    }
    if (rx_send(q)) {
        rx_repost(q);
        rx_end(rx);
    }
    return QUEUE_WORK;
}

bool netfront_rx_arm(NetfrontQueue *q)
{
    return xen_ring_arm_responses(&q->rx.ring, 0);
}
