/*
 * Guest to guest, what is left of a tx batch goes to the netdev:
 *
 *     heads    one batched grant copy brings the first bytes of each packet
 *     pick     from our guest's MAC to that of another vif of the set
 *     and for each of these, with the lock of its rx ring:
 *       assign   as many rx slots as the packet has tx slots
 *       copy     one batched grant copy, from page to page
 *       publish  responses in ring order, then at most one event
 *
 * The receiver's ring is the only queue: a packet that has no slots there is dropped, as a switch
 * does. So a receiver that takes nothing holds nobody up. The head that was looked at is what the
 * receiver gets: the sender may have changed its own meanwhile.
 *
 * What is not plain goes by the netdev, as if there were no other way: a packet for which the
 * receiver would need work of ours, a receiver that is not there. So does everything between two
 * guests once a copy failed, until one of them connects again: whichever it was whose pages were
 * not what it said, it costs the other one a single unused copy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netback-direct.h"

#include <linux/if_ether.h>

#define DIRECT_HEAD_MIN 54u /* Ethernet, IPv4 and TCP: a first slot with less is odd */

/* --- heads --- */

/* False: not one of them. */
static bool direct_fetch_heads(NetbackQueue *q)
{
    DirectBatch *d = q->direct;
    TxBatch *b = &q->tx_batch;
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_pkts; i++) {
        const TxPkt *p = &b->pkt[i];

        if (p->n_segs > 0) {
            d->head[n] = b->seg[p->first_seg];
            d->head[n].len = MIN(d->head[n].len, DIRECT_HEAD);
            n++;
        }
    }
    return n > 0 && q->base.xen->ops->gnttab_copy(q->base.gnttab, q->base.domid, false, d->head,
                                                  n) == 0;
}

/* --- pick --- */

/* -1: nobody has it. */
static int direct_find(const DirectTable *t, uint64_t mac)
{
    unsigned low = 0, high = t->n;

    while (low < high) {
        unsigned i = (low + high) / 2;

        if (t->vif[i]->mac == mac) {
            return (int)i;
        }
        if (t->vif[i]->mac < mac) {
            low = i + 1;
        } else {
            high = i;
        }
    }
    return -1;
}

/* -1: by the netdev, which knows what to do with it. */
static int direct_pick(const NetbackQueue *q, const TxPkt *p, const XenCopySeg *head)
{
    const uint8_t *data = head->local;

    if (head->status != 0 || head->len < MIN(p->len, DIRECT_HEAD_MIN) ||
        direct_mac(data + ETH_ALEN) != q->mac || direct_mac(data) == q->mac) {
        return -1;
    }
    return direct_find(q->direct->table, direct_mac(data));
}

/* False: there are none. */
static bool direct_pick_all(NetbackQueue *q)
{
    DirectBatch *d = q->direct;
    TxBatch *b = &q->tx_batch;
    bool any = false;
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_pkts; i++) {
        d->to[i] = b->pkt[i].n_segs > 0 ? direct_pick(q, &b->pkt[i], &d->head[n++]) : -1;
        any |= d->to[i] >= 0;
    }
    return any;
}

/* --- assign --- */

/* As a packet of the netdev, and as that the receiver judges it. False: it needs work. */
static bool direct_fits(const NetbackQueue *to, const DirectEnd *end, const TxBatch *b,
                        const TxPkt *p, NetifMeta *ret_meta)
{
    const XenCopySeg *first = &b->seg[p->first_seg];
    struct virtio_net_hdr_v1 hdr;
    struct iovec iov = { first->local, MIN(first->len, DIRECT_HEAD) };
    Pkt pkt = { .hdr = &hdr, .iov = &iov, .n_iov = 1, .len = p->len };

    return p->n_segs <= (to->sg ? NETBACK_SLOTS_MAX : 1) && netif_offload_apply(&pkt, &p->meta) &&
           (p->meta.gso_type != XEN_NETIF_GSO_TYPE_NONE || p->len <= end->max_frame) &&
           netif_offload_as_is(&pkt, to->offload, PKT_MAX_LEN, ret_meta);
}

/* The next slot, with @seg; its first @head bytes are in our memory. */
static void direct_add_slot(DirectBatch *d, NetbackQueue *to, const XenCopySeg *seg, uint16_t head,
                            uint16_t flags)
{
    netif_rx_request_t req;

    xen_ring_take_request(&to->rx, &req);
    if (head > 0) {
        d->op[d->n_ops++] = (XenCopyBetween) { .local = seg->local, .to_ref = req.gref,
                                               .len = head };
    }
    if (seg->len > head) {
        d->op[d->n_ops++] = (XenCopyBetween) {
            .from_ref = seg->ref,
            .from_offset = (uint16_t)(seg->offset + head),
            .to_ref = req.gref,
            .to_offset = head,
            .len = (uint16_t)(seg->len - head),
        };
    }
    d->rsp[d->n_rsp++].rsp = (netif_rx_response_t) {
        .id = req.id, .flags = flags, .status = (int16_t)seg->len,
    };
}

static void direct_add_gso(DirectBatch *d, NetbackQueue *to, const NetifMeta *meta)
{
    netif_rx_request_t req;

    xen_ring_take_request(&to->rx, &req); /* its page stays unused */
    d->rsp[d->n_rsp++].extra = (struct netif_extra_info) {
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = { .size = meta->gso_size, .type = meta->gso_type },
    };
}

static void direct_assign(DirectBatch *d, NetbackQueue *to, const TxBatch *b, TxPkt *p,
                          const NetifMeta *meta)
{
    const XenCopySeg *seg = &b->seg[p->first_seg];
    bool gso = meta->gso_type != XEN_NETIF_GSO_TYPE_NONE;

    d->sent[d->n_sent].pkt = p;
    d->sent[d->n_sent].rx_cons = to->rx.cons;
    d->sent[d->n_sent].first_op = d->n_ops;
    d->sent[d->n_sent].first_rsp = d->n_rsp;
    d->n_sent++;
    for (unsigned i = 0; i < p->n_segs; i++) {
        uint16_t more = i + 1 < p->n_segs ? NETRXF_more_data : 0;

        if (i > 0) {
            direct_add_slot(d, to, &seg[i], 0, more);
            continue;
        }
        direct_add_slot(d, to, seg, MIN(seg->len, DIRECT_HEAD),
                        (uint16_t)(netif_meta_rx_flags(meta) | more |
                                   (gso ? NETRXF_extra_info : 0)));
        if (gso) {
            direct_add_gso(d, to, meta);
        }
    }
    g_assert(d->n_rsp <= NETBACK_RING_SLOTS && d->n_ops <= XEN_COPY_MAX);
}

/* What may be had: a packet of the netdev that waits for slots comes first. */
static unsigned direct_slots(const NetbackQueue *to)
{
    const RxBatch *b = &to->rx_batch;
    int n = xen_ring_requests(&to->rx); /* impossible: its own thread will see that */
    unsigned slots = n < 0 ? 0 : (unsigned)n;

    return b->held_since == 0 || b->next == b->n_pkts ? slots : slots - MIN(slots, b->held_slots);
}

static void direct_gather(NetbackQueue *q, int vif, const DirectEnd *end)
{
    DirectBatch *d = q->direct;
    TxBatch *b = &q->tx_batch;
    NetbackQueue *to = end->q;
    unsigned slots = direct_slots(to);
    unsigned dropped = 0;
    NetifMeta meta;

    d->n_sent = d->n_ops = d->n_rsp = 0;
    for (unsigned i = 0; i < b->n_pkts; i++) {
        TxPkt *p = &b->pkt[i];
        unsigned need;

        if (d->to[i] != vif || !direct_fits(to, end, b, p, &meta)) {
            continue;
        }
        need = p->n_segs + (meta.gso_type != XEN_NETIF_GSO_TYPE_NONE);
        if (need > slots) {
            p->n_segs = 0;
            dropped++;
            continue;
        }
        direct_assign(d, to, b, p, &meta);
        slots -= need;
    }
    if (dropped > 0) {
        netif_count(&to->stats->rx.drop_full, dropped);
    }
}

/* --- copy --- */

/* How many packets are whole at the receiver, from the first on. */
static unsigned direct_copy(NetbackQueue *q, const NetbackQueue *to)
{
    DirectBatch *d = q->direct;
    unsigned i = 0;

    if (q->base.xen->ops->gnttab_copy_between(q->base.gnttab, q->base.domid, to->base.domid, d->op,
                                              d->n_ops) < 0) {
        return 0;
    }
    d->sent[d->n_sent].first_op = d->n_ops;
    for (unsigned op = 0; op < d->n_ops; op++) {
        i += op == d->sent[i + 1].first_op;
        if (d->op[op].status != 0) {
            return i;
        }
    }
    return d->n_sent;
}

/* --- publish --- */

/* Those from @n on never were: their slots are free again, and they go by the netdev. */
static void direct_take_back(DirectBatch *d, NetbackQueue *to, unsigned n)
{
    to->rx.cons = d->sent[n].rx_cons;
    d->n_rsp = d->sent[n].first_rsp;
}

static void direct_publish(NetbackQueue *q, NetbackQueue *to, unsigned n)
{
    DirectBatch *d = q->direct;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < d->n_rsp; i++) {
        xen_ring_put_response(&to->rx, &d->rsp[i], sizeof(d->rsp[i]));
    }
    for (unsigned i = 0; i < n; i++) {
        bytes += d->sent[i].pkt->len;
        d->sent[i].pkt->n_segs = 0; /* it is dealt with */
    }
    if (xen_ring_push_responses(&to->rx)) {
        netback_notify_rx(to);
    }
    netif_count(&to->stats->rx.packets, n);
    netif_count(&to->stats->rx.direct, n);
    netif_count(&to->stats->rx.bytes, bytes);
    netif_count(&to->stats->rx.slots, d->n_rsp);
    netif_count(&to->stats->rx.batches, 1);
    netif_count(&q->stats->tx.packets, n);
    netif_count(&q->stats->tx.direct, n);
    netif_count(&q->stats->tx.bytes, bytes);
}

/* With the lock: all packets of the batch for @vif. False: a page could not be copied. */
static bool direct_deliver(NetbackQueue *q, int vif, const DirectEnd *end)
{
    DirectBatch *d = q->direct;
    unsigned n;

    direct_gather(q, vif, end);
    if (d->n_sent == 0) {
        return true;
    }
    n = direct_copy(q, end->q);
    if (n < d->n_sent) {
        direct_take_back(d, end->q, n);
    }
    if (n > 0) {
        direct_publish(q, end->q, n);
    }
    return n == d->n_sent;
}

static void direct_send(NetbackQueue *q, int index)
{
    DirectBatch *d = q->direct;
    DirectVif *vif = d->table->vif[index];
    unsigned open = __atomic_load_n(&vif->n_open, __ATOMIC_RELAXED);
    unsigned generation = __atomic_load_n(&vif->generation, __ATOMIC_RELAXED);
    DirectEnd *end;

    if (open == 0 || d->refused[index] == generation) {
        return;
    }
    end = &vif->end[q->base.index % open];
    pthread_mutex_lock(&end->lock);
    if (end->q && !direct_deliver(q, index, end)) {
        d->refused[index] = generation;
    }
    pthread_mutex_unlock(&end->lock);
}

/* --- the rest of the batch --- */

/* Their pieces stand one behind the other again. */
static void direct_close_up(TxBatch *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_pkts; i++) {
        TxPkt *p = &b->pkt[i];

        memmove(&b->seg[n], &b->seg[p->first_seg], p->n_segs * sizeof(b->seg[0]));
        p->first_seg = (uint16_t)n;
        n += p->n_segs;
    }
    b->n_segs = n;
}

/* Guest to guest, what there is of it in a tx batch. The sender's queue thread only. */
void netback_direct_poll(NetbackQueue *q)
{
    DirectBatch *d = q->direct;
    TxBatch *b = &q->tx_batch;

    if (!d->table || !__atomic_load_n(&q->end->q, __ATOMIC_RELAXED) || !direct_fetch_heads(q) ||
        !direct_pick_all(q)) {
        return;
    }
    for (unsigned i = 0; i < b->n_pkts; i++) {
        int vif = d->to[i];

        if (vif < 0) {
            continue;
        }
        direct_send(q, vif);
        for (unsigned k = i; k < b->n_pkts; k++) {
            d->to[k] = d->to[k] == vif ? -1 : d->to[k];
        }
    }
    direct_close_up(b);
}
