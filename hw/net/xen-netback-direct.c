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
 * A packet without slots waits, unanswered: that is how its sender's TCP learns that the receiver
 * is the slower one; the others of the batch do not, but for their answers. Who takes nothing is
 * not waited for: DirectPeer.patience; its packets are dropped. The head that was looked at is what
 * the receiver gets: the sender may have changed its own meanwhile.
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

int netback_direct_find(const DirectTable *t, uint64_t mac)
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
    return netback_direct_find(q->direct->table, direct_mac(data));
}

static void direct_take(DirectBatch *d, const TxBatch *b, TxPkt *p, int vif)
{
    d->pkt[d->n_pkts++] = (DirectPkt) { p, vif, (uint16_t)d->n_segs, p->n_segs };
    memcpy(&d->seg[d->n_segs], &b->seg[p->first_seg], p->n_segs * sizeof(d->seg[0]));
    d->n_segs += p->n_segs;
    p->n_segs = 0;
}

static void direct_pick_all(NetbackQueue *q)
{
    DirectBatch *d = q->direct;
    TxBatch *b = &q->tx_batch;
    unsigned n = 0, n_segs = 0;

    for (unsigned i = 0; i < b->n_pkts; i++) {
        TxPkt *p = &b->pkt[i];
        int vif = p->n_segs > 0 ? direct_pick(q, p, &d->head[n++]) : -1;

        if (vif >= 0) {
            direct_take(d, b, p, vif);
        }
        /* what stays closes up */
        memmove(&b->seg[n_segs], &b->seg[p->first_seg], p->n_segs * sizeof(b->seg[0]));
        p->first_seg = (uint16_t)n_segs;
        n_segs += p->n_segs;
    }
    b->n_segs = n_segs;
}

/* It goes by the netdev after all; or, if that is not possible any more, not at all. */
static void direct_give_back(NetbackQueue *q, DirectPkt *w, uint64_t *counter)
{
    const XenCopySeg *seg = &q->direct->seg[w->first_seg];
    TxBatch *b = &q->tx_batch;
    TxPkt *p = w->pkt;

    w->vif = -1;
    if (q->direct->decoded) {
        p->status = NETIF_RSP_ERROR;
        counter_add(counter, 1);
        return;
    }
    p->first_seg = (uint16_t)b->n_segs;
    p->n_segs = w->n_segs;
    memcpy(&b->seg[b->n_segs], seg, w->n_segs * sizeof(*seg));
    b->n_segs += w->n_segs;
}

/* --- assign --- */

/*
 * Its slots are the receiver's, too: one that has many for its length has as few as it needs once
 * it went by the netdev. Linux has a slot of headers and then whole pages, or pieces of two.
 */
static unsigned direct_slots_max(uint32_t len)
{
    return MIN(NETBACK_SLOTS_MAX, 2 * ((len + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE) + 2);
}

/* As a packet of the netdev, and as that the receiver judges it. False: it needs work. */
static bool direct_fits(const DirectEnd *end, const DirectPkt *w, const XenCopySeg *first,
                        NetifMeta *ret_meta)
{
    const NetifMeta *meta = &w->pkt->meta;
    struct virtio_net_hdr_v1 hdr;
    struct iovec iov = { first->local, MIN(first->len, DIRECT_HEAD) };
    Pkt pkt = { .hdr = &hdr, .iov = &iov, .n_iov = 1, .len = w->pkt->len };

    return w->n_segs <= (end->q->sg ? direct_slots_max(pkt.len) : 1) &&
           netif_offload_apply(&pkt, meta) &&
           (meta->gso_type != XEN_NETIF_GSO_TYPE_NONE || pkt.len <= end->max_frame) &&
           netif_offload_as_is(&pkt, end->q->offload, PKT_MAX_LEN, ret_meta);
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

static void direct_assign(DirectBatch *d, NetbackQueue *to, DirectPkt *w, const NetifMeta *meta)
{
    const XenCopySeg *seg = &d->seg[w->first_seg];
    bool gso = meta->gso_type != XEN_NETIF_GSO_TYPE_NONE;

    d->sent[d->n_sent].pkt = w;
    d->sent[d->n_sent].rx_cons = to->rx.cons;
    d->sent[d->n_sent].first_op = d->n_ops;
    d->sent[d->n_sent].first_rsp = d->n_rsp;
    d->n_sent++;
    for (unsigned i = 0; i < w->n_segs; i++) {
        uint16_t more = i + 1u < w->n_segs ? NETRXF_more_data : 0;

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

/* What may be had: packets of the netdev that wait for slots come first. */
static unsigned direct_slots(const NetbackQueue *to)
{
    const RxBatch *b = &to->rx_batch;
    int n = xen_ring_requests(&to->rx); /* impossible: its own thread will see that */
    unsigned slots = n < 0 ? 0 : (unsigned)n;
    unsigned kept = b->next < b->n_pkts ? b->held_slots : b->starved ? DIRECT_KEPT : 0;

    return slots - MIN(slots, kept);
}

static void direct_gather(NetbackQueue *q, int vif, const DirectEnd *end)
{
    DirectBatch *d = q->direct;
    unsigned slots = direct_slots(end->q);
    NetifMeta meta;

    d->n_sent = d->n_ops = d->n_rsp = 0;
    for (unsigned i = 0; i < d->n_pkts; i++) {
        DirectPkt *w = &d->pkt[i];
        unsigned need;

        if (w->vif != vif) {
            continue;
        }
        if (!direct_fits(end, w, &d->seg[w->first_seg], &meta)) {
            direct_give_back(q, w, &q->stats->tx.drop_peer);
            continue;
        }
        need = w->n_segs + (meta.gso_type != XEN_NETIF_GSO_TYPE_NONE);
        if (need <= slots) {
            direct_assign(d, end->q, w, &meta);
            slots -= need;
        } else if (d->peer[vif].patience > 0 || d->n_sent > 0) {
            d->waits = true; /* and so do those behind it */
            break;
        } else {
            w->vif = -1;
            counter_add(&end->q->stats->rx.drop_full, 1);
        }
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

/* Those from @n on never were: their slots are free again. */
static void direct_take_back(NetbackQueue *q, NetbackQueue *to, unsigned n)
{
    DirectBatch *d = q->direct;

    to->rx.cons = d->sent[n].rx_cons;
    d->n_rsp = d->sent[n].first_rsp;
    for (unsigned i = n; i < d->n_sent; i++) {
        direct_give_back(q, d->sent[i].pkt, &q->stats->tx.drop_grant);
    }
}

static void direct_publish(NetbackQueue *q, NetbackQueue *to, unsigned n)
{
    DirectBatch *d = q->direct;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < d->n_rsp; i++) {
        xen_ring_put_response(&to->rx, &d->rsp[i], sizeof(d->rsp[i]));
    }
    for (unsigned i = 0; i < n; i++) {
        bytes += d->sent[i].pkt->pkt->len;
        d->sent[i].pkt->vif = -1;
    }
    counter_add(&to->stats->rx.packets, n);
    counter_add(&to->stats->rx.direct, n);
    counter_add(&to->stats->rx.bytes, bytes);
    counter_add(&to->stats->rx.slots, d->n_rsp);
    counter_add(&to->stats->rx.batches, 1);
    counter_add(&q->stats->tx.packets, n);
    counter_add(&q->stats->tx.direct, n);
    counter_add(&q->stats->tx.bytes, bytes);
    if (xen_ring_push_responses(&to->rx)) {
        netback_notify_rx(to);
    }
}

/* --- all of it --- */

/* With the lock: what there is for @vif. False: a page could not be copied. */
static bool direct_deliver(NetbackQueue *q, int vif, const DirectEnd *end)
{
    DirectBatch *d = q->direct;
    DirectPeer *peer = &d->peer[vif];
    unsigned n;

    direct_gather(q, vif, end);
    if (d->n_sent == 0) {
        return true;
    }
    n = direct_copy(q, end->q);
    if (n < d->n_sent) {
        direct_take_back(q, end->q, n);
    }
    if (n > 0) {
        direct_publish(q, end->q, n);
        peer->patience = MIN(peer->patience + d->n_rsp * DIRECT_PER_SLOT_NS, DIRECT_PATIENCE_NS);
    }
    return n == d->n_sent;
}

/* False: another one has it, or should have it next. */
static bool direct_try_lock(DirectEnd *end)
{
    return __atomic_load_n(&end->wanted, __ATOMIC_RELAXED) == 0 &&
           pthread_mutex_trylock(&end->lock) == 0;
}

/* False: nobody is there. */
static bool direct_send(NetbackQueue *q, int index)
{
    DirectBatch *d = q->direct;
    DirectPeer *peer = &d->peer[index];
    const DirectVif *vif = d->table->vif[index];
    unsigned open = __atomic_load_n(&vif->n_open, __ATOMIC_RELAXED);
    unsigned generation = __atomic_load_n(&vif->generation, __ATOMIC_RELAXED);
    DirectEnd *end;
    bool there;

    if (peer->generation != generation) {
        *peer = (DirectPeer) { .patience = DIRECT_PATIENCE_NS, .generation = generation };
    }
    if (open == 0 || peer->refused) {
        return false;
    }
    end = &vif->end[q->base.q.index % open];
    if (!direct_try_lock(end)) {
        d->waits = true;
        return true;
    }
    there = end->q != NULL;
    peer->refused = there && !direct_deliver(q, index, end);
    pthread_mutex_unlock(&end->lock);
    return there;
}

/* One of the first @n packets is for @vif. */
static bool direct_seen(const DirectBatch *d, unsigned n, int vif)
{
    while (n > 0 && d->pkt[n - 1].vif != vif) {
        n--;
    }
    return n > 0;
}

/* One receiver after the other; what is left of it waits for slots. */
static void direct_send_all(NetbackQueue *q)
{
    DirectBatch *d = q->direct;
    unsigned left = 0;

    d->waits = false;
    for (unsigned i = 0; i < d->n_pkts; i++) {
        int vif = d->pkt[i].vif;

        if (vif >= 0 && !direct_seen(d, left, vif) && !direct_send(q, vif)) {
            for (unsigned k = i; k < d->n_pkts; k++) {
                if (d->pkt[k].vif == vif) {
                    direct_give_back(q, &d->pkt[k], &q->stats->tx.drop_peer);
                }
            }
        }
        if (d->pkt[i].vif >= 0) {
            d->pkt[left++] = d->pkt[i];
        }
    }
    d->n_pkts = left;
}

/* Guest to guest, what there is of it in a tx batch. The sender's queue thread only. */
void netback_direct_poll(NetbackQueue *q)
{
    DirectBatch *d = q->direct;

    d->n_pkts = d->n_segs = 0;
    d->waits = false;
    if (!d->table || !__atomic_load_n(&q->end->q, __ATOMIC_RELAXED) || !direct_fetch_heads(q)) {
        return;
    }
    direct_pick_all(q);
    d->decoded = false;
    direct_send_all(q);
    d->decoded = true;
    if (d->waits) {
        d->tried = io_clock_ns();
    }
}

bool netback_direct_finish(NetbackQueue *q)
{
    DirectBatch *d = q->direct;
    uint64_t now, waited;

    if (!d->waits) {
        return true;
    }
    now = io_clock_ns();
    if (now - d->tried < DIRECT_RETRY_NS) {
        xen_queue_wake_at(&q->base, d->tried + DIRECT_RETRY_NS);
        return false;
    }
    waited = MIN(now - d->tried, DIRECT_TRY_MAX_NS);
    d->tried = now;
    for (unsigned i = 0; i < d->n_pkts; i++) {
        DirectPeer *peer = &d->peer[d->pkt[i].vif];

        peer->patience -= direct_seen(d, i, d->pkt[i].vif) ? 0 : MIN(peer->patience, waited);
    }
    direct_send_all(q);
    if (d->waits) {
        xen_queue_wake_at(&q->base, now + DIRECT_RETRY_NS);
    }
    return !d->waits;
}
