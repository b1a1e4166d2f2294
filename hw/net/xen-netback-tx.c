/*
 * Guest to host: from a tx ring to the netdev, a batch at a time.
 *
 *     gather   slots are copied out of the ring once, and validated
 *              (with direct=on some go to another guest here: xen-netback-direct.c)
 *     fetch    one batched grant copy brings the packets' bytes
 *     decode   Xen's flags and extras become a virtio_net_hdr
 *     send     the netdev takes the batch
 *     respond  every slot is answered, in ring order, then at most one event
 *
 * Two kinds of wrong: a malformed packet (too small, too many slots, sizes that do not add
 * up) is dropped, with an error response; a protocol violation (extras or slots that are
 * announced and not there, a slot that leaves its page) ends the connection.
 * The lines are drawn where Linux netback draws them: xen/include/public/io/netif.h says
 * "may", frontends rely on what Linux does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-internal.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/mman.h>

/* --- gather --- */

/* The extras behind a packet's first slot. False: a protocol violation. */
static bool tx_take_extras(NetbackQueue *q, TxPkt *p, unsigned *left, bool *ret_drop)
{
    TxBatch *b = &q->tx_batch;
    struct {
        struct netif_extra_info extra;
        uint32_t rest; /* a tx slot is 12 bytes, an extra 8 */
    } e;

    _Static_assert(sizeof(e) == sizeof(netif_tx_request_t), "an extra is a slot");
    do {
        if (*left == 0) {
            return xen_queue_violation(&q->base, "an extra info slot is missing");
        }
        xen_ring_take_request(&q->tx, &e);
        (*left)--;
        b->slot[b->n_slots++] = (TxSlot) { .extra = true };
        p->n_slots++;
        switch (e.extra.type) {
        case XEN_NETIF_EXTRA_TYPE_GSO:
            if (e.extra.u.gso.size == 0) {
                return xen_queue_violation(&q->base, "a GSO packet has segments of no size");
            }
            if (e.extra.u.gso.type != XEN_NETIF_GSO_TYPE_TCPV4 &&
                e.extra.u.gso.type != XEN_NETIF_GSO_TYPE_TCPV6) {
                return xen_queue_violation(&q->base, "a GSO packet is of an unknown type");
            }
            p->meta.gso_size = e.extra.u.gso.size;
            p->meta.gso_type = e.extra.u.gso.type;
            break;
        case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
        case XEN_NETIF_EXTRA_TYPE_MCAST_DEL:
            *ret_drop = true; /* never offered, and there is no packet behind it */
            break;
        case XEN_NETIF_EXTRA_TYPE_HASH:
        case XEN_NETIF_EXTRA_TYPE_XDP:
            break; /* of no use to the host */
        default:
            return xen_queue_violation(&q->base, "an extra info slot is of an unknown type");
        }
    } while (e.extra.flags & XEN_NETIF_EXTRA_FLAG_MORE);
    return true;
}

static void tx_add_slot(TxBatch *b, TxPkt *p, const netif_tx_request_t *req)
{
    b->slot[b->n_slots++] = (TxSlot) {
        .id = req->id,
        .size = req->size,
        .offset = req->offset,
        .gref = req->gref,
    };
    p->n_slots++;
}

/*
 * The data slots behind the first one. *@first_size is the packet's size at first,
 * then what is left of it for the first slot. False: a protocol violation.
 */
static bool tx_take_frags(NetbackQueue *q, TxPkt *p, unsigned *left, uint32_t *first_size,
                          bool *ret_drop)
{
    netif_tx_request_t req;
    unsigned n = 0;

    do {
        if (*left == 0) {
            return xen_queue_violation(&q->base, "a packet's last slots are missing");
        }
        if (n++ >= NETBACK_SLOTS_FATAL) {
            return xen_queue_violation(&q->base, "a packet has too many slots");
        }
        xen_ring_take_request(&q->tx, &req);
        (*left)--;
        tx_add_slot(&q->tx_batch, p, &req);
        if ((uint32_t)req.offset + req.size > XEN_PAGE_SIZE) {
            return xen_queue_violation(&q->base, "a slot crosses its page");
        }
        if (n > NETBACK_SLOTS_MAX || req.size > *first_size) {
            *ret_drop = true; /* old frontends do both */
        } else {
            *first_size -= req.size;
        }
    } while (req.flags & NETTXF_more_data);
    return true;
}

/*
 * Where a packet of @size bytes starts in its first page: behind room for a header, and such that
 * slots that are whole pages come to lie on pages, after @before bytes of others. A copy to two
 * pages is two copies.
 */
static uint32_t tx_start(const TxBatch *b, uint32_t size, uint32_t before)
{
    uint32_t at;

    if (before < size) {
        at = (XEN_PAGE_SIZE - before % XEN_PAGE_SIZE) % XEN_PAGE_SIZE;
        return at < NETBACK_HEAD_OFFSET ? at + XEN_PAGE_SIZE : at;
    }
    if (size <= XEN_PAGE_SIZE / 2 - NETBACK_HEAD_OFFSET) {
        /* not all on the same lines of the cache */
        return NETBACK_HEAD_OFFSET + (uint32_t)(b->pages % 16) * 128;
    }
    return NETBACK_HEAD_OFFSET;
}

/*
 * A packet's bytes are put one behind the other, so that the netdev takes them in one piece. It
 * has at most one page more than slots: behind @before bytes of n slots there are at most n + 1.
 */
static void tx_place_packet(TxBatch *b, TxPkt *p)
{
    const TxSlot *slot = &b->slot[p->first_slot];
    const TxSlot *end = slot + p->n_slots;
    uint8_t *base = b->buffer.base + b->pages * XEN_PAGE_SIZE;
    uint32_t before = 0, at;

    for (const TxSlot *s = slot; s < end && s->size != XEN_PAGE_SIZE; s++) {
        before += s->size;
    }
    at = tx_start(b, p->len, before);
    p->first_seg = (uint16_t)b->n_segs;
    for (const TxSlot *s = slot; s < end; s++) {
        if (s->size == 0) {
            continue; /* an extra; or empty, which is odd, not wrong: XSA-448 */
        }
        b->seg[b->n_segs++] = (XenCopySeg) {
            .local = base + at,
            .ref = s->gref,
            .offset = s->offset,
            .len = s->size,
        };
        at += s->size;
    }
    p->n_segs = (uint16_t)(b->n_segs - p->first_seg);
    b->pages += (at + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE;
}

/* One packet, all of its slots. False: a protocol violation. */
static bool tx_gather_packet(NetbackQueue *q, unsigned *left)
{
    TxBatch *b = &q->tx_batch;
    TxPkt *p = &b->pkt[b->n_pkts];
    netif_tx_request_t req;
    uint32_t first_size;
    bool drop = false;

    *p = (TxPkt) { .first_slot = (uint16_t)b->n_slots, .status = NETIF_RSP_OKAY };
    xen_ring_take_request(&q->tx, &req);
    (*left)--;
    tx_add_slot(b, p, &req);
    netif_meta_from_tx_flags(&p->meta, req.flags);
    first_size = req.size;
    if ((req.flags & NETTXF_extra_info) && !tx_take_extras(q, p, left, &drop)) {
        return false;
    }
    if ((req.flags & NETTXF_more_data) && !tx_take_frags(q, p, left, &first_size, &drop)) {
        return false;
    }
    b->n_pkts++;
    if (drop || first_size < ETH_HLEN) {
        p->status = NETIF_RSP_ERROR;
        counter_add(&q->stats->tx.drop_malformed, 1);
        return true;
    }
    if (req.offset + first_size > XEN_PAGE_SIZE) {
        return xen_queue_violation(&q->base, "a packet's first slot crosses its page");
    }
    p->len = req.size;
    b->slot[p->first_slot].size = (uint16_t)first_size;
    tx_place_packet(b, p);
    return true;
}

/* False: a protocol violation. */
static bool tx_gather(NetbackQueue *q)
{
    TxBatch *b = &q->tx_batch;
    int n = xen_ring_requests(&q->tx);
    unsigned left;

    b->n_slots = 0;
    b->n_pkts = 0;
    b->n_segs = 0;
    b->n_out = 0;
    b->n_sent = 0;
    b->pages = 0;
    if (n < 0) {
        return xen_queue_violation(&q->base, "the tx ring's req_prod is impossible");
    }
    left = (unsigned)n;
    /* a packet that is placed has at most NETBACK_SLOTS_MAX + 1 slots, and a page more */
    while (left > 0 && b->n_pkts < NETBACK_BATCH &&
           b->pages + NETBACK_SLOTS_MAX + 2 <= NETBACK_TX_PAGES) {
        if (!tx_gather_packet(q, &left)) {
            return false;
        }
    }
    return true;
}

/* --- fetch --- */

static void tx_drop(NetbackQueue *q, TxPkt *p, uint64_t *counter)
{
    p->status = NETIF_RSP_ERROR;
    p->n_segs = 0;
    counter_add(counter, 1);
}

static void tx_fetch(NetbackQueue *q)
{
    TxBatch *b = &q->tx_batch;
    bool failed;

    if (b->n_segs == 0) {
        return;
    }
    g_assert(b->n_segs <= b->n_slots && b->n_slots <= NETBACK_RING_SLOTS &&
             b->pages * XEN_PAGE_SIZE <= b->buffer.size);
    failed = q->base.xen->ops->gnttab_copy(q->base.gnttab, q->base.domid, false, b->seg,
                                               b->n_segs) < 0;
    for (unsigned i = 0; i < b->n_pkts; i++) {
        TxPkt *p = &b->pkt[i];
        bool bad = failed && p->n_segs > 0;

        for (unsigned s = 0; s < p->n_segs && !bad; s++) {
            bad = b->seg[p->first_seg + s].status != 0;
        }
        if (bad) {
            tx_drop(q, p, &q->stats->tx.drop_grant);
        }
    }
}

/* --- decode --- */

/*
 * Its vnet header stands directly in front of it, and both are written in one piece; but for a
 * packet that starts at an odd address, where a header cannot end.
 */
static void tx_build(TxBatch *b, const TxPkt *p, Pkt *pkt)
{
    uint8_t *data = b->seg[p->first_seg].local;
    uint8_t *hdr = data - PKT_HDR_LEN - (uintptr_t)data % _Alignof(struct virtio_net_hdr_v1);

    b->iov[b->n_out] = (struct iovec) { .iov_base = data, .iov_len = p->len };
    *pkt = (Pkt) {
        .hdr = (void *)hdr,
        .iov = &b->iov[b->n_out],
        .n_iov = 1,
        .len = p->len,
    };
}

static void tx_decode(NetbackQueue *q)
{
    TxBatch *b = &q->tx_batch;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < b->n_pkts; i++) {
        TxPkt *p = &b->pkt[i];
        Pkt *pkt = &b->out[b->n_out];

        if (p->n_segs == 0) {
            continue;
        }
        tx_build(b, p, pkt);
        if (!netif_offload_apply(pkt, &p->meta)) {
            tx_drop(q, p, &q->stats->tx.drop_malformed);
            continue;
        }
        bytes += pkt->len;
        b->n_out++;
    }
    counter_add(&q->stats->tx.packets, b->n_out);
    counter_add(&q->stats->tx.bytes, bytes);
    counter_add(&q->stats->tx.slots, b->n_slots);
    counter_add(&q->stats->tx.batches, 1);
}

/* --- send --- */

/* False: not all of it could be sent. The batch waits, unanswered, and the guest with it. */
static bool tx_send(NetbackQueue *q)
{
    TxBatch *b = &q->tx_batch;
    uint64_t refused = q->peer->refused;

    if (q->peer_end.blocked) {
        return false;
    }
    if (b->n_sent < b->n_out) {
        b->n_sent += netdev_send(q->peer, &b->out[b->n_sent], b->n_out - b->n_sent);
    }
    if (q->peer->refused != refused) {
        counter_add(&q->stats->tx.drop_peer, q->peer->refused - refused);
    }
    if (b->n_sent < b->n_out && q->peer->full) {
        nic_peer_wait(&q->peer_end);
    }
    return b->n_sent == b->n_out;
}

/* --- respond --- */

static void tx_respond(NetbackQueue *q)
{
    TxBatch *b = &q->tx_batch;

    for (unsigned i = 0; i < b->n_pkts; i++) {
        const TxPkt *p = &b->pkt[i];

        for (unsigned s = p->first_slot; s < (unsigned)p->first_slot + p->n_slots; s++) {
            netif_tx_response_t rsp = {
                .id = b->slot[s].id,
                .status = b->slot[s].extra ? NETIF_RSP_NULL : p->status,
            };

            xen_ring_put_response(&q->tx, &rsp, sizeof(rsp));
        }
    }
    b->n_pkts = 0;
    b->n_out = 0;
    b->n_sent = 0;
    if (xen_ring_push_responses(&q->tx)) {
        netback_notify_tx(q);
    }
}

/* Guest to host, one batch. Queue thread only. */
QueueVerdict netback_tx_poll(NetbackQueue *q)
{
    TxBatch *b = &q->tx_batch;

    if (b->n_pkts == 0) {
        if (!tx_gather(q)) { /* ring: copy each slot out once, validate the copy */
            return QUEUE_VIOLATION;
        }
        if (b->n_pkts == 0) {
            return QUEUE_IDLE;
        }
        if (q->direct) {
            netback_direct_poll(q); /* direct=on: to other guests, past the netdev */
        }
        tx_fetch(q);        /* one batched grant copy */
        tx_decode(q);       /* Xen flags and extras to virtio_net_hdr */
    }
    if (!tx_send(q)) {      /* the netdev takes the batch */
        return q->peer->full ? QUEUE_IDLE : QUEUE_WORK;
    }
    if (q->direct && !netback_direct_finish(q)) {
        return QUEUE_IDLE;
    }
    tx_respond(q);          /* every slot answered, then at most one event */
    return QUEUE_WORK;
}

bool netback_tx_init(NetbackQueue *q)
{
    PktArena *a = &q->tx_batch.buffer;

    if (!netback_queue_buffer(q, a, NETBACK_TX_PAGES * (size_t)XEN_PAGE_SIZE)) {
        return false;
    }
    netdev_set_send_buffer(q->peer, a->base, a->size);
    return true;
}

void netback_tx_done(NetbackQueue *q)
{
    netdev_send_stop(q->peer);
    netdev_set_send_buffer(q->peer, NULL, 0);
    netback_queue_buffer_done(q, &q->tx_batch.buffer);
}
