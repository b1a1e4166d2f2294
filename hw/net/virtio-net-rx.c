/*
 * Host to guest: from the netdev to an rx ring, a batch at a time.
 *
 *     reserve  free buffers are popped ahead: nothing is read that has no room at all
 *     read     the netdev reads into them, without a copy of what is expected
 *     fill     each packet's header goes in front of it
 *     push     the buffers go back, in ring order, then at most one call
 *
 * Buffers that are popped and not filled stay with us for the next round. What has no room stays in
 * the netdev, whose queue is bounded and drops at its tail.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/net/virtio-net-filter.h"
#include "virtio-net-hash.h"
#include "virtio-net-internal.h"
#include "virtio-net-rx.h"

#include <linux/if_ether.h>
#include <string.h>

#define RX_PURGE_ROUNDS 64 /* more than a tap's queue holds, at 1000 packets */

/* --- reserve --- */

static bool rx_usable(const VirtioNetQueue *q, const VirtqChain *c)
{
    return !c->bad && c->n_out == 0 && c->in_len >= q->hdr_len + ETH_HLEN;
}

/* What is left moves to the front. */
static void rx_compact(VirtioNetRx *rx)
{
    PktBuffers *b = &rx->b;
    unsigned n = b->n - b->next;
    struct iovec *from;

    if (b->next == 0) {
        return;
    }
    if (n > 0) {
        from = rx->chain[b->next].iov;
        rx->n_iov = (unsigned)(rx->iov + rx->n_iov - from);
        memmove(rx->iov, from, rx->n_iov * sizeof(*from));
        memmove(rx->chain, rx->chain + b->next, n * sizeof(rx->chain[0]));
        memmove(rx->buf, rx->buf + b->next, n * sizeof(rx->buf[0]));
        for (unsigned i = 0; i < n; i++) {
            rx->chain[i].iov = rx->iov + (rx->chain[i].iov - from);
            rx->buf[i].iov = rx->chain[i].iov;
        }
    } else {
        rx->n_iov = 0;
    }
    b->next = 0;
    b->n = n;
}

/*
 * The next @n popped chains become buffers, up to one that cannot be one: it goes back when it is
 * its turn.
 */
static void rx_add_buffers(VirtioNetQueue *q, unsigned n)
{
    VirtioNetRx *rx = &q->rx;
    PktBuffers *b = &rx->b;
    const VirtqChain *c = &rx->chain[b->n];
    unsigned bad = 0;
    unsigned pushed = 0;

    for (; n > 0; n--, c++) {
        if (!rx_usable(q, c) && b->n > b->next) {
            virtq_unpop(&rx->ring.vq, c, n);
            b->last = true;
            break;
        }
        if (!rx_usable(q, c)) {
            virtq_push(&rx->ring.vq, c, c->bad ? c->in_len : 0); /* a packet of a killed process */
            bad += c->bad != virtq_done_before;
            pushed++;
            continue;
        }
        rx->chain[b->n] = *c;
        rx->buf[b->n] = (PktBuffer){ .iov = c->iov, .n_iov = c->n_in, .len = c->in_len };
        b->n++;
        rx->n_iov = (unsigned)(c->iov + c->n_in - rx->iov);
    }
    if (pushed > 0) {
        counter_add(&q->stats->rx.drop_malformed, bad);
        counter_add(&q->stats->rx.slots, pushed);
        virtio_net_ring_call(q, &rx->ring, virtq_flush(&rx->ring.vq));
    }
}

bool virtio_net_rx_reserve(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    PktBuffers *b = &rx->b;
    unsigned left = b->n - b->next;
    int n;

    if (left >= VIRTIO_NET_BATCH && !rx->starved) {
        b->last = false; /* those before next come again */
        return true;
    }
    rx_compact(rx);
    b->last = b->n == VIRTIO_NET_RX_BUFS;
    n = virtq_pop(&rx->ring.vq, rx->chain + b->n, VIRTIO_NET_RX_BUFS - b->n,
                  rx->iov + rx->n_iov, VIRTIO_NET_IOV - rx->n_iov);
    if (n < 0) {
        return device_queue_violation(&q->dq, rx->ring.vq.violation);
    }
    rx_add_buffers(q, (unsigned)n);
    b->last |= b->n >= rx->ring.vq.s.size; /* the whole ring is here */
    b->last |= n == 0 && VIRTIO_NET_IOV - rx->n_iov < VIRTQ_MAX_IOV; /* or as much as has room */
    return true;
}

/* --- read --- */

/* @len bytes behind the first @skip of the pieces; what is not there stays as it is. */
static void rx_peek(const struct iovec *iov, unsigned n_iov, size_t skip, uint8_t *to, size_t len)
{
    for (; n_iov > 0 && len > 0; n_iov--, iov++) {
        size_t here = iov->iov_len > skip ? MIN(iov->iov_len - skip, len) : 0;

        if (here > 0) {
            memcpy(to, (const uint8_t *)iov->iov_base + skip, here);
        }
        skip -= MIN(skip, iov->iov_len);
        to += here;
        len -= here;
    }
}

static bool rx_wanted(const VirtioNetQueue *q, const Pkt *pkt)
{
    uint8_t frame[VIRTIO_NET_FILTER_BYTES] = { 0 };

    rx_peek(pkt->iov, pkt->n_iov, q->hdr_len, frame, MIN(sizeof(frame), pkt->len));
    return virtio_net_filter_takes(q->rx.filter, frame);
}

/* One by one: the next packet is read into the buffers of one that is not wanted. */
static unsigned rx_read_wanted(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    PktBuffers *b = &rx->b;
    unsigned n = 0;
    unsigned i;

    for (i = 0; i < VIRTIO_NET_BATCH; i++) {
        Pkt *pkt = &rx->pkt[n];

        b->last &= b->next == rx->first; /* buffers of this round come back */
        if (netdev_recv_into(q->peer.q, b, pkt, 1) == 0) {
            break;
        }
        if (rx_wanted(q, pkt)) {
            n++;
        } else {
            b->next -= pkt->hdr->num_buffers;
        }
    }
    if (n < i) {
        counter_add(&q->stats->rx.drop_filter, i - n);
    }
    return n;
}

static void rx_read(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    PktBuffers *b = &rx->b;

    rx->starved = false;
    rx->first = b->next;
    rx->n = 0;
    if (b->next == b->n) {
        rx->starved = true;
        return;
    }
    rx->n = rx->filter ? rx_read_wanted(q)
                       : netdev_recv_into(q->peer.q, b, rx->pkt, VIRTIO_NET_BATCH);
    rx->starved = b->starved;
    q->peer.ready = b->starved || b->more; /* else it is empty; its fd says when that changes */
    if (b->too_long > 0) {
        counter_add(&q->stats->rx.drop_full, b->too_long);
        b->too_long = 0;
    }
}

/* --- fill --- */

/* @len bytes to the front of the pieces. */
static void rx_put_front(const struct iovec *iov, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > iov->iov_len) {
        memcpy(iov->iov_base, p, iov->iov_len);
        p += iov->iov_len;
        len -= iov->iov_len;
        iov++;
    }
    memcpy(iov->iov_base, p, len);
}

/*
 * For who comes after us, should we be killed: the packet of @len bytes in @n buffers, all full but
 * the last one, is the guest's, all of it or nothing.
 */
static void rx_mark(VirtioNetRx *rx, const VirtqChain *chain, unsigned n, uint32_t len)
{
    uint32_t start = 0; /* of a buffer's part of the packet */

    for (unsigned i = 0; i < n; i++) {
        start += chain[i].in_len;
    }
    for (unsigned i = n; i-- > 0;) {
        start -= chain[i].in_len;
        virtq_done(&rx->ring.vq, &chain[i], MIN(len - start, chain[i].in_len));
    }
}

/* Of the frame, which is in the guest's memory already. */
static VirtioNetHashed rx_hash(const VirtioNetQueue *q, const Pkt *pkt)
{
    uint8_t frame[VIRTIO_NET_HASH_FRAME];
    size_t len = MIN(sizeof(frame), pkt->len);
    VirtioNetHashed h;

    rx_peek(pkt->iov, pkt->n_iov, q->hdr_len, frame, len);
    h.report = virtio_net_hash_frame(q->rx.hash, frame, len, &h.value);
    return h;
}

/* Behind the header of 12 bytes. */
static void rx_put_hash(uint8_t *hdr, VirtioNetHashed hashed)
{
    struct virtio_net_hdr_v1_hash h;

    memcpy(&h, hdr, sizeof(h));
    h.hash_report = GUINT16_TO_LE(hashed.report);
    h.hash_value = GUINT32_TO_LE(hashed.value);
    memcpy(hdr, &h, sizeof(h));
}

void virtio_net_rx_fill(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    unsigned buffer = rx->first;

    for (unsigned i = 0; i < rx->n; i++) {
        uint8_t hdr[VIRTIO_NET_HDR_MAX] = { 0 }; /* behind 12: the hash, of type "none" */
        unsigned n = rx->hdr[i].num_buffers;

        memcpy(hdr, &rx->hdr[i], sizeof(rx->hdr[i]));
        if (rx->slots) {
            rx_put_hash(hdr, rx->hashed[i]); /* by it the frame came here */
        } else if (rx->hash) {
            rx_put_hash(hdr, rx_hash(q, &rx->pkt[i]));
        }
        rx_put_front(rx->pkt[i].iov, hdr, q->hdr_len);
        if (rx->ring.vq.s.inflight) {
            rx_mark(rx, &rx->chain[buffer], n, q->hdr_len + rx->pkt[i].len);
        }
        buffer += n;
    }
}

/* --- push --- */

/* The pages that @len bytes of @c's buffer are in were written. */
static void rx_dirty(const VirtioNetQueue *q, const VirtqChain *c, uint32_t len)
{
    for (unsigned i = 0; i < c->n_in && len > 0; i++) {
        uint32_t here = (uint32_t)MIN(c->iov[i].iov_len, len);

        guest_mem_dirty_host(q->rx.ring.vq.mem, c->iov[i].iov_base, here);
        len -= here;
    }
}

/* Returns how many buffers it is in. */
static unsigned rx_push_packet(VirtioNetQueue *q, const Pkt *pkt, unsigned buffer)
{
    VirtioNetRx *rx = &q->rx;
    uint32_t left = pkt->len + q->hdr_len;
    unsigned n = pkt->hdr->num_buffers;

    for (unsigned i = 0; i < n; i++) {
        const VirtqChain *c = &rx->chain[buffer + i];
        uint32_t here = MIN(left, c->in_len);

        if (guest_mem_logs(rx->ring.vq.mem)) {
            rx_dirty(q, c, here);
        }
        virtq_push(&rx->ring.vq, c, here);
        left -= here;
    }
    return n;
}

void virtio_net_rx_push(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    unsigned buffer = rx->first;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < rx->n; i++) {
        bytes += rx->pkt[i].len;
        buffer += rx_push_packet(q, &rx->pkt[i], buffer);
    }
    /* before the guest has it: whoever knows of the packets finds them counted */
    counter_add(&q->stats->rx.packets, rx->n);
    counter_add(&q->stats->rx.bytes, bytes);
    counter_add(&q->stats->rx.slots, buffer - rx->first);
    counter_add(&q->stats->rx.batches, 1);
    virtio_net_ring_call(q, &rx->ring, virtq_flush(&rx->ring.vq));
}

/* Host to guest, one batch. Thread of the pair only. */
QueueVerdict virtio_net_rx_poll(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;

    if (!q->peer.ready) {
        return QUEUE_IDLE;
    }
    if (!virtio_net_rx_reserve(q)) { /* free buffers, popped ahead */
        return QUEUE_VIOLATION;
    }
    rx_read(q);             /* netdev to the guest's memory */
    if (rx->n == 0) {
        return rx->b.more ? QUEUE_WORK : QUEUE_IDLE;
    }
    rx->n_awake += rx->n;
    virtio_net_ring_disarm(&rx->ring);
    virtio_net_rx_fill(q);  /* headers */
    virtio_net_rx_push(q);  /* the buffers go back, then at most one call */
    return QUEUE_WORK;
}

bool virtio_net_rx_arm(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;

    if (!q->peer.ready) {
        nic_peer_sleep(&q->peer, rx->n_awake, io_clock_ns());
        rx->n_awake = 0;
        return false;
    }
    return !rx->starved || virtio_net_ring_arm(q, &rx->ring);
}

/* Buffers are the ring's again; virtq_stop() gives them back. */
void virtio_net_rx_stop(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;

    pkt_buffers_drop(&rx->b);
    rx->b.n = 0;
    rx->b.next = 0;
    rx->n_iov = 0;
    rx->starved = false;
}

/* Frames that were meant for who was here before. The pair's thread does not run yet. */
void virtio_net_rx_purge(VirtioNetQueue *q)
{
    PktArena *spill = &q->rx.b.spill;
    struct iovec iov[VIRTIO_NET_BATCH];
    Pkt pkt[VIRTIO_NET_BATCH]; /* whose headers are in the spill: those of rx->pkt are not */

    for (unsigned i = 0; i < RX_PURGE_ROUNDS; i++) {
        pkt_arena_reset(spill);
        if (netdev_recv(q->peer.q, spill, pkt, iov, VIRTIO_NET_BATCH) == 0) {
            break;
        }
    }
    pkt_arena_reset(spill);
}

bool virtio_net_rx_init(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;

    rx->b.buf = rx->buf;
    for (unsigned i = 0; i < VIRTIO_NET_BATCH; i++) {
        rx->pkt[i].hdr = &rx->hdr[i];
    }
    return pkt_arena_init(&rx->b.spill, PKT_ARENA_MIN) == 0;
}

void virtio_net_rx_done(VirtioNetQueue *q)
{
    pkt_arena_done(&q->rx.b.spill);
}
