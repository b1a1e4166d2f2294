/*
 * Guest to host: from a tx ring to the netdev, a batch at a time.
 *
 *     pop      chains of descriptors, copied out of the ring once
 *     check    lengths; what is left to do to a packet stands in its header
 *     send     the netdev takes the batch, from the guest's memory where it can
 *     push     every chain goes back, in ring order, then at most one call
 *
 * A packet that makes no sense (no frame in it, an address outside of the guest's memory) is
 * dropped, and its chain goes back; a ring that makes none is stopped.
 *
 * A tap judges a header from its own copy, so it is given the guest's; a netdev without a vnet
 * header has us finish packets, and for that headers must not change under our eyes: then the
 * start of a packet is copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-internal.h"

#include <linux/if_ether.h>
#include <string.h>

/* --- pop --- */

/* False: the ring makes no sense. */
static bool tx_pop(VirtioNetQueue *q)
{
    VirtioNetTx *tx = &q->tx;
    int n = virtq_pop(&tx->ring.vq, tx->chain, VIRTIO_NET_BATCH, tx->iov + 1, VIRTIO_NET_IOV);

    if (n < 0) {
        return device_queue_violation(&q->dq, tx->ring.vq.violation);
    }
    tx->n = (unsigned)n;
    return true;
}

/* --- check --- */

/*
 * Takes @len bytes off the front of @c, which has more, into @to. c->iov and what it points to are
 * what is left then.
 */
static void tx_take_front(VirtqChain *c, size_t len, void *to)
{
    uint8_t *p = to;

    while (len > 0) {
        struct iovec *iov = c->iov;
        size_t here = MIN(len, iov->iov_len);

        memcpy(p, iov->iov_base, here);
        p += here;
        len -= here;
        if (here == iov->iov_len) {
            c->iov++;
            c->n_out--;
        } else {
            iov->iov_base = (uint8_t *)iov->iov_base + here;
            iov->iov_len -= here;
        }
    }
}

/* The header apart, in our memory; the frame is what is left of @c. */
static void tx_take_header(VirtioNetQueue *q, VirtqChain *c, Pkt *pkt)
{
    VirtioNetTx *tx = &q->tx;
    struct virtio_net_hdr_v1 *to = &tx->head[tx->n_out].hdr;
    uint8_t hdr[VIRTIO_NET_HDR_MAX];

    pkt->len = c->out_len - q->hdr_len;
    tx_take_front(c, q->hdr_len, hdr);
    memset(to, 0, sizeof(*to));
    memcpy(to, hdr, sizeof(struct virtio_net_hdr));
    pkt->hdr = to;
}

/* A packet in very many pieces, put into one. False: the one place for that is taken. */
static bool tx_bounce(VirtioNetQueue *q, const VirtqChain *c, Pkt *pkt)
{
    VirtioNetTx *tx = &q->tx;
    uint8_t *data;

    if (tx->bounced) {
        return false;
    }
    tx->bounced = true;
    pkt_arena_reset(&tx->bounce);
    data = pkt_arena_next(&tx->bounce);
    pkt->iov[0] = (struct iovec){ .iov_base = data, .iov_len = pkt->len };
    pkt->n_iov = 1;
    for (unsigned i = 0; i < c->n_out; i++) {
        memcpy(data, c->iov[i].iov_base, c->iov[i].iov_len);
        data += c->iov[i].iov_len;
    }
    return true;
}

/* The start of the frame in our memory, too. False: the batch ends before it. */
static bool tx_take_head(VirtioNetQueue *q, const VirtqChain *c, Pkt *pkt)
{
    VirtioNetTx *tx = &q->tx;

    pkt->iov = tx->piece[tx->n_out];
    if (c->n_out >= PKT_MAX_IOV) {
        return tx_bounce(q, c, pkt);
    }
    pkt->iov[0] = (struct iovec){ .iov_base = tx->head[tx->n_out].data, .iov_len = 0 };
    memcpy(pkt->iov + 1, c->iov, c->n_out * sizeof(c->iov[0]));
    pkt->n_iov = c->n_out + 1u;
    pkt_pull(pkt, PKT_HEAD_LEN);
    return true;
}

/* The packet in tx->chain[@i] is the batch's next one. False: the batch ends before it. */
static bool tx_check_chain(VirtioNetQueue *q, unsigned i)
{
    VirtioNetTx *tx = &q->tx;
    VirtqChain c = tx->chain[i];
    Pkt *pkt = &tx->pkt[tx->n_out];

    if (c.bad == virtq_done_before) {
        return true; /* a process before us has sent it, and was killed */
    }
    if (c.bad || c.out_len < q->hdr_len + ETH_HLEN || c.out_len > q->hdr_len + PKT_MAX_LEN) {
        counter_add(&q->stats->tx.drop_malformed, 1);
        return true;
    }
    if (tx->in_place && q->hdr_len == PKT_HDR_LEN && c.iov[0].iov_len > PKT_HDR_LEN) {
        pkt->hdr = c.iov[0].iov_base; /* where it is, right in front of the frame */
        pkt->len = c.out_len - q->hdr_len;
        c.iov[0].iov_base = (uint8_t *)c.iov[0].iov_base + PKT_HDR_LEN;
        c.iov[0].iov_len -= PKT_HDR_LEN;
    } else {
        tx_take_header(q, &c, pkt);
    }
    if (tx->in_place) {
        pkt->iov = c.iov;
        pkt->n_iov = c.n_out;
    } else if (!tx_take_head(q, &c, pkt)) {
        return false;
    }
    tx->chain_of[tx->n_out++] = (uint8_t)i;
    return true;
}

static void tx_check(VirtioNetQueue *q)
{
    VirtioNetTx *tx = &q->tx;

    tx->n_out = 0;
    tx->n_sent = 0;
    tx->bounced = false;
    if (!tx->ring.enabled) {
        counter_add(&q->stats->tx.drop_peer, tx->n); /* taken and forgotten */
        return;
    }
    for (unsigned i = 0; i < tx->n; i++) {
        if (!tx_check_chain(q, i)) {
            virtq_unpop(&tx->ring.vq, &tx->chain[i], tx->n - i);
            tx->n = i;
        }
    }
}

/* --- send --- */

/* How many chains go back once the first n_sent packets are sent. */
static unsigned tx_chains_done(const VirtioNetTx *tx)
{
    return tx->n_sent < tx->n_out ? tx->chain_of[tx->n_sent] : tx->n;
}

/* For who comes after us, should we be killed: packets [@from, n_sent) need not be sent again. */
static void tx_mark(VirtioNetTx *tx, unsigned from)
{
    unsigned end = tx_chains_done(tx);

    if (!tx->ring.vq.s.inflight) {
        return;
    }
    for (unsigned i = from < tx->n_out ? tx->chain_of[from] : 0; i < end; i++) {
        virtq_done(&tx->ring.vq, &tx->chain[i], 0);
    }
}

/* False: not all of it is sent. */
static bool tx_send(VirtioNetQueue *q)
{
    VirtioNetTx *tx = &q->tx;
    NetdevQueue *peer = q->peer.q;
    uint64_t refused = peer->refused;
    unsigned before = tx->n_sent;

    if (q->peer.blocked) {
        return false;
    }
    if (tx->n_sent < tx->n_out) {
        tx->n_sent += netdev_send(peer, &tx->pkt[tx->n_sent], tx->n_out - tx->n_sent);
        tx_mark(tx, before);
    }
    if (peer->refused != refused) {
        counter_add(&q->stats->tx.drop_peer, peer->refused - refused);
    }
    if (tx->n_sent < tx->n_out && peer->full) {
        nic_peer_wait(&q->peer);
    }
    return tx->n_sent == tx->n_out;
}

/* --- push --- */

/* Gives back the first @n chains, in which are the packets that were sent. */
static void tx_push(VirtioNetQueue *q, unsigned n)
{
    VirtioNetTx *tx = &q->tx;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < tx->n_sent; i++) {
        bytes += tx->pkt[i].len;
    }
    for (unsigned i = 0; i < n; i++) {
        virtq_push(&tx->ring.vq, &tx->chain[i], 0);
    }
    /* before the guest has it: whoever knows of the packets finds them counted */
    counter_add(&q->stats->tx.packets, tx->n_sent);
    counter_add(&q->stats->tx.bytes, bytes);
    counter_add(&q->stats->tx.slots, n);
    counter_add(&q->stats->tx.batches, 1);
    tx->n = 0;
    virtio_net_ring_call(q, &tx->ring, virtq_flush(&tx->ring.vq));
}

/* Guest to host, one batch. Thread of the pair only. */
QueueVerdict virtio_net_tx_poll(VirtioNetQueue *q)
{
    VirtioNetTx *tx = &q->tx;

    if (tx->n == 0) {
        if (!tx_pop(q)) {   /* ring: each chain is copied out once, and judged */
            return QUEUE_VIOLATION;
        }
        if (tx->n == 0) {
            return QUEUE_IDLE;
        }
        virtio_net_ring_disarm(&tx->ring);
        tx_check(q);        /* chains to packets */
    }
    if (!tx_send(q)) {      /* the netdev takes the batch */
        return q->peer.q->full ? QUEUE_IDLE : QUEUE_WORK;
    }
    tx_push(q, tx->n);      /* every chain goes back, then at most one call */
    return QUEUE_WORK;
}

bool virtio_net_tx_arm(VirtioNetQueue *q)
{
    return q->tx.n == 0 && virtio_net_ring_arm(q, &q->tx.ring); /* else the netdev is waited for */
}

/* What the netdev did not take is the ring's again; virtq_stop() gives it back. */
void virtio_net_tx_stop(VirtioNetQueue *q)
{
    VirtioNetTx *tx = &q->tx;

    if (tx->n > 0) {
        tx_push(q, tx_chains_done(tx));
    }
    netdev_send_stop(q->peer.q);
}

bool virtio_net_tx_init(VirtioNetQueue *q)
{
    q->tx.in_place = q->peer.q->nd->has_vnet_hdr;
    netdev_set_bursts(q->peer.q, true);
    return pkt_arena_init(&q->tx.bounce, PKT_ARENA_MIN) == 0;
}

void virtio_net_tx_done(VirtioNetQueue *q)
{
    netdev_set_bursts(q->peer.q, false);
    pkt_arena_done(&q->tx.bounce);
}
