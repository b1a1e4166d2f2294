/*
 * Host to guest by the driver's table: a pair's thread reads its queue of the netdev into slots,
 * and each frame goes to the ring that the table says, by way of the inbox of that ring's thread.
 *
 *     receive  what other pairs sent is queued
 *     read     the netdev reads into slots; who a frame is for is looked up, and others' are sent
 *     store    queued frames are copied into the guest's buffers, whole ones
 *     fill     as virtio_net_rx_poll()
 *     push
 *
 * What the thread keeps is bounded by the slots. A guest without buffers has its frames dropped, as
 * by a NIC whose ring is full, so that other pairs get theirs; a thread that is behind has its
 * senders wait, which leave their frames in the netdev.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-steer.h"

#include <string.h>
#include <sys/epoll.h>

#include "virtio-net-ctrl.h"
#include "hw/net/virtio-net-filter.h"
#include "virtio-net-rx.h"
#include "virtio-net-slots.h"

VirtioNetSteering *virtio_net_steering_new(const VirtioNetHash *hash, const VirtioNetRss *rss)
{
    VirtioNetSteering *s = g_new(VirtioNetSteering, 1);

    s->hash = *hash;
    s->rss = *rss;
    s->rss.unclassified = (uint16_t)(rss->unclassified % rss->pairs); /* as in QEMU */
    for (unsigned i = 0; i < rss->len; i++) {
        s->rss.table[i] = (uint16_t)(rss->table[i] % rss->pairs);
    }
    return s;
}

/* --- receive --- */

/* How many frames may be queued. */
static unsigned steer_limit(const VirtioNetRx *rx)
{
    return rx->starved ? rx->slots->set->stuck_limit : UINT_MAX;
}

static unsigned steer_receive(VirtioNetQueue *q)
{
    unsigned dropped;
    unsigned came = slots_receive(q->rx.slots, steer_limit(&q->rx), &dropped);

    virtio_net_rx_drop(q, dropped);
    return came;
}

/* --- read --- */

static bool steer_wanted(const VirtioNetRx *rx, const NicSlot *s)
{
    uint8_t frame[VIRTIO_NET_FILTER_BYTES] = { 0 };

    memcpy(frame, s->data + PKT_HDR_LEN, MIN(s->len, sizeof(frame)));
    return virtio_net_filter_takes(rx->filter, frame);
}

/* The pair that it is for; what is hashed is reported, too. */
static unsigned steer_look_up(const VirtioNetSteering *st, NicSlot *s)
{
    s->report = virtio_net_hash_frame(&st->hash, s->data + PKT_HDR_LEN,
                                      MIN(s->len, VIRTIO_NET_HASH_FRAME), &s->hash);
    return s->report == VIRTIO_NET_HASH_REPORT_NONE ? st->rss.unclassified
                                                    : st->rss.table[s->hash & (st->rss.len - 1u)];
}

/* The frames in @s go where they belong. */
static void steer_send(VirtioNetQueue *q, NicSlot **s, unsigned n)
{
    const VirtioNetRx *rx = &q->rx;
    unsigned dropped = 0;
    unsigned unwanted = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned to;

        if (rx->filter && !steer_wanted(rx, s[i])) {
            slots_unuse(rx->slots, s[i]);
            unwanted++;
            continue;
        }
        to = steer_look_up(rx->steering, s[i]);
        if (to == q->dq.index) {
            dropped += !slots_queue(rx->slots, s[i], steer_limit(rx));
        } else {
            slots_address(rx->slots, to, s[i]);
        }
    }
    virtio_net_rx_drop(q, dropped + slots_send(rx->slots));
    if (unwanted > 0) {
        counter_add(&q->stats->rx.drop_filter, unwanted);
    }
}

/*
 * Free slots are buffers like a guest's, into which any netdev reads; each has room for any frame,
 * so a tap's is one plain read. Returns how many frames there were.
 */
static unsigned steer_read(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    SlotPair *p = rx->slots;
    NicSlot *slot[VIRTIO_NET_BATCH];
    struct iovec iov[VIRTIO_NET_BATCH];
    PktBuffer buf[VIRTIO_NET_BATCH];
    Pkt pkt[VIRTIO_NET_BATCH];
    PktBuffers b = { .buf = buf, .headroom = PKT_HDR_LEN, .max_len = PKT_MAX_LEN,
                     .usual_len = PKT_MAX_LEN, .spill = rx->b.spill };
    unsigned n;

    if (p->n_free < VIRTIO_NET_BATCH) {
        slots_collect(p);
    }
    b.n = MIN(p->n_free, VIRTIO_NET_BATCH);
    for (unsigned i = 0; i < b.n; i++) {
        slot[i] = slots_nth_free(p, i);
        iov[i] = (struct iovec){ .iov_base = slot[i]->data, .iov_len = SLOT_SIZE };
        buf[i] = (PktBuffer){ .iov = &iov[i], .n_iov = 1, .len = SLOT_SIZE };
        pkt[i].hdr = &slot[i]->hdr;
    }
    if (b.n == 0) {
        return 0;
    }
    n = netdev_recv_into(q->peer.q, &b, pkt, b.n);
    q->peer.ready = b.starved || b.more;
    virtio_net_rx_drop(q, b.too_long);
    slots_use(p, n);
    for (unsigned i = 0; i < n; i++) {
        slot[i]->len = pkt[i].len;
    }
    steer_send(q, slot, n);
    rx->n_awake += n;
    return n;
}

/* --- store --- */

/* Up to a batch of queued frames. False: the ring makes no sense. */
static bool steer_store(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    SlotPair *p = rx->slots;
    PktStored stored = PKT_STORED;

    rx->n = 0;
    if (p->n_queued > 0 && !virtio_net_rx_reserve(q)) {
        return false;
    }
    rx->first = rx->b.next;
    pkt_buffers_start(&rx->b);
    while (p->first && rx->n < VIRTIO_NET_BATCH && stored != PKT_NO_ROOM) {
        rx->hdr[rx->n] = p->first->hdr;
        rx->hashed[rx->n] = (VirtioNetHashed){ p->first->hash, p->first->report };
        stored = pkt_buffers_store(&rx->b, &rx->pkt[rx->n], p->first->data + PKT_HDR_LEN,
                                   p->first->len);
        if (stored != PKT_NO_ROOM) {
            rx->n += stored == PKT_STORED;
            slots_pop(p);
        }
    }
    rx->starved = stored == PKT_NO_ROOM;
    virtio_net_rx_drop(q, rx->b.too_long);
    rx->b.too_long = 0;
    slots_send_home(p);
    return true;
}

/* The queue's next batch to the guest. False: the ring makes no sense. */
static bool steer_bring(VirtioNetQueue *q)
{
    if (!steer_store(q)) { /* slots to the guest's memory */
        return false;
    }
    if (q->rx.n > 0) {
        virtio_net_ring_disarm(&q->rx.ring);
        virtio_net_rx_fill(q);
        virtio_net_rx_push(q);
    }
    if (q->rx.starved) {
        virtio_net_rx_drop(q, slots_cut(q->rx.slots, steer_limit(&q->rx)));
    }
    return true;
}

/* Host to guest, one batch. Thread of the pair only. */
QueueVerdict virtio_net_steer_poll(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    unsigned n;

    if (rx->slots->armed) {
        slots_disarm(rx->slots);
    }
    n = steer_receive(q);   /* from other pairs */
    if (rx->steering && q->peer.ready) {
        n += steer_read(q); /* from the netdev, and to other pairs */
    }
    if (!steer_bring(q)) {  /* to the guest */
        return QUEUE_VIOLATION;
    }
    return n > 0 || rx->n > 0 ? QUEUE_WORK : QUEUE_IDLE;
}

bool virtio_net_steer_arm(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    SlotPair *p = rx->slots;
    bool work = slots_arm(p);

    if (p->n_queued > 0) {
        work |= !rx->starved || virtio_net_ring_arm(q, &rx->ring);
    }
    if (!rx->steering) {
        return work;
    }
    if (!q->peer.ready) {
        nic_peer_sleep(&q->peer, rx->n_awake, io_clock_ns());
        rx->n_awake = 0;
        return work;
    }
    return work || p->n_free > 0; /* else slots that come home are waited for */
}

/* --- it comes and goes --- */

/* Edge-triggered: each write is an event, and the eventfd's count is of no use. */
static void steer_woken(IoSource *s, uint32_t events)
{
}

static void steer_join(VirtioNetQueue *q, SlotPair *p)
{
    VirtioNetRx *rx = &q->rx;

    rx->wake = (IoSource){ .fd = p->fd, .ready = steer_woken };
    if (io_thread_add_source(q->dq.thread, &rx->wake, EPOLLIN | EPOLLET) < 0) {
        device_queue_break(&q->dq, "its thread cannot wait for other pairs");
        return;
    }
    virtio_net_rx_drop(q, pkt_buffers_drop(&rx->b));
    rx->starved = false;
    rx->slots = p;
}

/* Until nothing is left that has room; others may go on sending, but not for ever. */
static void steer_bring_all(VirtioNetQueue *q)
{
    unsigned rounds = q->rx.slots->set->n * (SLOTS_OF_PAIR / VIRTIO_NET_BATCH);

    for (unsigned i = 0; i < rounds; i++) {
        steer_receive(q);
        if (!steer_bring(q) || q->rx.n == 0) {
            break; /* a ring that makes no sense is found again by a round of the thread */
        }
    }
}

void virtio_net_steer_stop(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;

    if (!rx->slots || !slots_is_open(rx->slots)) {
        return;
    }
    if (!q->dq.paused && !q->dq.fault) {
        steer_bring_all(q);
    }
    virtio_net_rx_drop(q, slots_close(rx->slots));
    rx->starved = false;
}

void virtio_net_steer_leave(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;

    if (rx->slots) {
        virtio_net_steer_stop(q);
        slots_disarm(rx->slots);
        io_thread_remove_source(q->dq.thread, &rx->wake);
        rx->slots = NULL;
        rx->steering = NULL;
        q->peer.ready = true; /* perhaps it was not read for want of slots */
    }
}

void virtio_net_steer_follow(VirtioNetQueue *q)
{
    VirtioNetRx *rx = &q->rx;
    const SlotSet *set = virtio_net_live_slots(q->vn);

    if (!set) {
        virtio_net_steer_leave(q);
        return;
    }
    if (!rx->slots && !q->dq.fault) {
        steer_join(q, set->pair[q->dq.index]);
    }
    if (!rx->slots) {
        return;
    }
    if (!rx->ring.running || !rx->ring.enabled || q->dq.fault) {
        virtio_net_steer_stop(q);
    } else if (!slots_is_open(rx->slots)) {
        slots_open(rx->slots);
    }
    rx->steering = virtio_net_live_steering(q->vn);
}
