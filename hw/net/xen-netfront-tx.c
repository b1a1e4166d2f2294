/*
 * Netfront's tx direction: from the netdev to the backend.
 *
 *     reclaim   answered slots: their pages are free again
 *     fill      the netdev reads into granted pages
 *     encode    virtio_net_hdr to flags, extras and slots; what the backend
 *               cannot finish is finished here
 *     publish   one push, at most one event
 *
 * Nothing is copied: a packet lies where the netdev put it until the backend has
 * answered its slots. What does not fit on the ring waits in the batch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-internal.h"

#include <string.h>

/* Packets that may come without one to be segmented before it is thought that none will. */
#define SINGLE_AFTER_SEGMENTS 1000

/* A request or an extra: the same slot. */
typedef union TxSlot {
    struct netif_tx_request req;
    struct netif_extra_info extra;
    uint32_t word[3];
} TxSlot;

_Static_assert(sizeof(TxSlot) == sizeof(struct netif_tx_request), "an extra fits into a slot");

void netfront_tx_init(NetfrontQueue *q)
{
    NetfrontTx *tx = &q->tx;

    xen_ring_init_front(&tx->ring, q->rings, 1, sizeof(TxSlot));
    for (uint16_t i = 0; i < NETFRONT_SLOTS; i++) {
        tx->ids[i] = i;
        tx->page_of[i] = NETFRONT_NO_PAGE;
    }
    tx->n_ids = NETFRONT_SLOTS;
}

static unsigned tx_ids_in_flight(const NetfrontTx *tx)
{
    return NETFRONT_SLOTS - tx->n_ids;
}

/*
 * Takes all responses. Their order is free, and what they say of a packet's fate does
 * not matter here; an id counts once, and so does an extra. So each slot in flight is an
 * id's or an extra's, and a free slot always finds a free id. False: a protocol violation.
 */
static bool tx_reclaim(NetfrontQueue *q, int *ret_n)
{
    NetfrontTx *tx = &q->tx;
    int n = xen_ring_responses(&tx->ring);

    *ret_n = n;
    if (n < 0) {
        return xen_queue_violation(&q->base, "impossible tx response index");
    }
    for (int i = 0; i < n; i++) {
        struct netif_tx_response rsp;

        xen_ring_take_response(&tx->ring, &rsp, sizeof(rsp));
        if (rsp.status == NETIF_RSP_NULL) {
            if (tx->n_extras == 0) {
                return xen_queue_violation(&q->base,
                                           "tx response for an extra that is not in flight");
            }
            tx->n_extras--; /* its slot has no id */
            continue;
        }
        if (rsp.id >= NETFRONT_SLOTS || tx->page_of[rsp.id] == NETFRONT_NO_PAGE) {
            return xen_queue_violation(&q->base,
                                       "tx response for a request that is not in flight");
        }
        if (rsp.status != NETIF_RSP_OKAY && tx->first[rsp.id]) {
            counter_add(&q->stats->tx.drop_peer, 1);
        }
        netfront_pool_put_page(&tx->pool, tx->page_of[rsp.id]);
        tx->page_of[rsp.id] = NETFRONT_NO_PAGE;
        tx->ids[tx->n_ids++] = rsp.id;
    }
    return true;
}

/* Reads packets, if all earlier ones are on the ring. */
static void tx_fill(NetfrontQueue *q)
{
    NetfrontTx *tx = &q->tx;
    unsigned max = tx->single > 0 ? 1 : NETFRONT_BATCH;
    PktArena arena;

    if (!q->peer_end.ready || tx->next < tx->n || tx->next_seg < tx->n_seg) {
        return;
    }
    netfront_pool_open(&tx->pool, PKT_ARENA_MIN, &arena);
    tx->next = 0;
    tx->n = netdev_recv(q->peer, &arena, tx->pkt, tx->iov, max);
    netfront_pool_take(&tx->pool, &arena, tx->pkt, tx->n);
    if (tx->n < max) {
        /* out of packets, or out of room: then it has more */
        q->peer_end.ready = !pkt_arena_next(&arena);
        tx->stuck = q->peer_end.ready;
    }
}

static void tx_put_extra(NetfrontTx *tx, const NetifMeta *meta)
{
    TxSlot slot = {
        .extra = {
            .type = XEN_NETIF_EXTRA_TYPE_GSO,
            .u.gso = {
                .size = meta->gso_size,
                .type = meta->gso_type,
            },
        },
    };

    xen_ring_put_request(&tx->ring, &slot);
    tx->n_extras++;
}

/* Puts a packet on the ring; there is room. */
static void tx_put(NetfrontQueue *q, const Pkt *pkt, const NetifMeta *meta)
{
    NetfrontTx *tx = &q->tx;
    uint32_t page = netfront_pool_page(&tx->pool, pkt->iov[0].iov_base);
    uint32_t pages = netfront_pool_pages(pkt->len);
    bool extra = meta->gso_type != XEN_NETIF_GSO_TYPE_NONE;

    g_assert(page + pages <= NETFRONT_POOL_PAGES && pages <= tx->n_ids);
    for (uint32_t i = 0; i < pages; i++) {
        uint32_t here = i + 1 < pages ? 4096 : pkt->len - i * 4096;
        uint16_t id = tx->ids[--tx->n_ids];
        TxSlot slot = {
            .req = {
                .gref = tx->refs[page + i],
                .id = id,
                .flags = i + 1 < pages ? NETTXF_more_data : 0,
                .size = (uint16_t)here,
            },
        };

        tx->page_of[id] = (uint16_t)(page + i);
        tx->first[id] = i == 0;
        if (i == 0) {
            slot.req.size = (uint16_t)pkt->len; /* the first one tells the whole size */
            slot.req.flags = (uint16_t)(slot.req.flags | netif_meta_tx_flags(meta) |
                                        (extra ? NETTXF_extra_info : 0));
        }
        xen_ring_put_request(&tx->ring, &slot);
        if (i == 0 && extra) {
            tx_put_extra(tx, meta);
        }
    }
    counter_add(&q->stats->tx.packets, 1);
    counter_add(&q->stats->tx.bytes, pkt->len);
    counter_add(&q->stats->tx.slots, pages + extra);
}

static bool tx_has_room(const NetfrontTx *tx, const Pkt *pkt)
{
    uint32_t slots = netfront_pool_pages(pkt->len) +
                     (pkt->hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE);

    return xen_ring_free_requests(&tx->ring) >= slots;
}

static void tx_drop(NetfrontQueue *q, const Pkt *pkt, uint64_t *counter)
{
    netfront_pool_put(&q->tx.pool, pkt);
    counter_add(counter, 1);
}

/*
 * Makes the next segments of a packet in the pool's free pages. False: there are too few of them
 * now, but there will be more.
 */
static bool tx_segment(NetfrontQueue *q)
{
    NetfrontTx *tx = &q->tx;
    const Pkt *pkt = &tx->pkt[tx->next];
    PktArena arena;

    tx->single = SINGLE_AFTER_SEGMENTS; /* leave room for the segments of the next ones */
    netfront_pool_open(&tx->pool, PKT_ARENA_MIN, &arena);
    tx->next_seg = 0;
    tx->n_seg = pkt_segment(&tx->segmenter, &arena, tx->seg, tx->seg_iov, NETFRONT_SEGMENTS);
    netfront_pool_take(&tx->pool, &arena, tx->seg, tx->n_seg);
    if (tx->n_seg == 0 && tx_ids_in_flight(tx) > 0) {
        return false;
    }
    if (tx->n_seg == 0) {
        pkt_segmenter_stop(&tx->segmenter);
        counter_add(&q->stats->tx.drop_full, 1);
    }
    if (!pkt_segmenter_busy(&tx->segmenter)) {
        netfront_pool_put(&tx->pool, pkt);
        tx->next++;
    }
    return true;
}

/* Puts the segments that are made. False: no room for all of them. */
static bool tx_put_segments(NetfrontQueue *q)
{
    static const NetifMeta complete;
    NetfrontTx *tx = &q->tx;

    for (; tx->next_seg < tx->n_seg; tx->next_seg++) {
        const Pkt *pkt = &tx->seg[tx->next_seg];

        if (!tx_has_room(tx, pkt)) {
            return false;
        }
        if (pkt->len > q->tx_max_len) {
            tx_drop(q, pkt, &q->stats->tx.drop_malformed);
        } else {
            tx_put(q, pkt, &complete);
        }
    }
    return true;
}

/* Puts a packet that was read. False: no room. */
static bool tx_encode_packet(NetfrontQueue *q, Pkt *pkt)
{
    NetfrontTx *tx = &q->tx;
    NetifMeta meta;

    if (!tx_has_room(tx, pkt)) {
        return false;
    }
    switch (netif_offload_fit(pkt, q->tx_offload, q->tx_max_len, &meta)) {
    case NETIF_FIT:
        tx_put(q, pkt, &meta);
        tx->single -= tx->single > 0;
        break;
    case NETIF_SEGMENT:
        if (pkt_segmenter_init(&tx->segmenter, pkt)) {
            return true; /* it stays until all of them are made */
        }
        tx_drop(q, pkt, &q->stats->tx.drop_malformed);
        break;
    case NETIF_REFUSE:
    default:
        tx_drop(q, pkt, &q->stats->tx.drop_malformed);
        break;
    }
    tx->next++;
    return true;
}

static void tx_encode(NetfrontQueue *q)
{
    NetfrontTx *tx = &q->tx;

    while (tx_put_segments(q) && tx->next < tx->n) {
        bool ok = pkt_segmenter_busy(&tx->segmenter) ? tx_segment(q)
                                                     : tx_encode_packet(q, &tx->pkt[tx->next]);

        if (!ok) {
            return;
        }
    }
}

/* @old_prod: where the ring stood before. */
static bool tx_publish(NetfrontQueue *q, uint32_t old_prod)
{
    NetfrontTx *tx = &q->tx;

    if (tx->ring.prod == old_prod) {
        return false;
    }
    counter_add(&q->stats->tx.batches, 1);
    if (xen_ring_push_requests(&tx->ring)) {
        netfront_notify_tx(q);
    }
    return true;
}

QueueVerdict netfront_tx_poll(NetfrontQueue *q)
{
    uint32_t old_prod = q->tx.ring.prod;
    int answered;
    bool read;
    bool put;

    q->tx.stuck = false;
    if (!tx_reclaim(q, &answered)) {
        return QUEUE_VIOLATION;
    }
    tx_fill(q);
    read = q->tx.next < q->tx.n;
    tx_encode(q);
    put = tx_publish(q, old_prod);
    return answered > 0 || put || (read && q->tx.next == q->tx.n) ? QUEUE_WORK : QUEUE_IDLE;
}

/*
 * Responses bring pages back, which nobody waits for while there are enough: then only
 * an event that tells of a nearly full ring is asked for. When packets wait for room, half of what
 * is under way will do.
 */
bool netfront_tx_arm(NetfrontQueue *q)
{
    NetfrontTx *tx = &q->tx;
    bool waiting = tx->next < tx->n || tx->next_seg < tx->n_seg || q->peer_end.ready;
    uint32_t outstanding = NETFRONT_SLOTS - xen_ring_free_requests(&tx->ring);
    uint32_t ahead = waiting ? outstanding / 2 : NETFRONT_SLOTS * 3 / 4;

    if (q->peer_end.ready && !tx->stuck && tx->next == tx->n && tx->next_seg == tx->n_seg) {
        return true; /* it came after the last look */
    }
    return xen_ring_arm_responses(&tx->ring, ahead);
}
