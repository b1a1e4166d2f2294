/*
 * A queue pair of a virtio-net: its rings come and go while its thread runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-internal.h"
#include "virtio-net-steer.h"

#include <linux/if_ether.h>
#include <string.h>
#include <sys/epoll.h>

#include "nic-announce.h"
#include "util/container-of.h"

/* --- in the thread --- */

void virtio_net_ring_call(VirtioNetQueue *q, VirtioNetRing *r, bool want)
{
    if (want && r->call_fd >= 0) {
        counter_add(&r->stats->events_sent, 1);
        event_call(&q->call, r->call_fd);
    }
}

bool virtio_net_ring_arm(VirtioNetQueue *q, VirtioNetRing *r)
{
    if (r->kick.fd < 0) {
        device_queue_wake_at(&q->dq, io_clock_ns() + VIRTIO_NET_POLL_NS);
        return false;
    }
    r->armed = true;
    return virtq_arm(&r->vq);
}

/* Edge-triggered: each kick is an event, and the eventfd's count is of no use. */
static void ring_kicked(IoSource *s, uint32_t events)
{
    VirtioNetRing *r = container_of(s, VirtioNetRing, kick);

    counter_add(&r->stats->events_received, 1);
}

static QueueVerdict queue_rx_poll(VirtioNetQueue *q)
{
    return q->rx.slots ? virtio_net_steer_poll(q) : virtio_net_rx_poll(q);
}

static QueueVerdict queue_poll(DeviceQueue *dq)
{
    VirtioNetQueue *q = container_of(dq, VirtioNetQueue, dq);
    QueueVerdict tx = q->tx.ring.running ? virtio_net_tx_poll(q) : QUEUE_IDLE;
    QueueVerdict rx = QUEUE_IDLE;

    if (tx != QUEUE_VIOLATION && q->rx.ring.running && q->rx.ring.enabled) {
        rx = queue_rx_poll(q);
    }
    return MAX(tx, rx);
}

static bool queue_arm(DeviceQueue *dq)
{
    VirtioNetQueue *q = container_of(dq, VirtioNetQueue, dq);
    bool work = q->tx.ring.running && virtio_net_tx_arm(q);

    if (q->rx.ring.running && q->rx.ring.enabled) {
        work |= q->rx.slots ? virtio_net_steer_arm(q) : virtio_net_rx_arm(q);
    }
    return work;
}

static int queue_attach(DeviceQueue *dq)
{
    return nic_peer_attach(&container_of(dq, VirtioNetQueue, dq)->peer);
}

static void queue_detach(DeviceQueue *dq)
{
    VirtioNetQueue *q = container_of(dq, VirtioNetQueue, dq);

    virtio_net_steer_leave(q);
    nic_peer_detach(&q->peer);
}

static const DeviceQueueOps virtio_net_queue_ops = {
    .poll = queue_poll,
    .arm = queue_arm,
    .attach = queue_attach,
    .detach = queue_detach,
};

static VirtioNetRing *queue_ring(VirtioNetQueue *q, bool tx)
{
    return tx ? &q->tx.ring : &q->rx.ring;
}

/* What is to be done to a ring, in its thread. */
typedef struct RingTask {
    VirtioNetQueue *q;
    bool tx;
    bool on;              /* enable */
    int fd;               /* set call */
    const VirtioRing *ring;
    const char *why;      /* start failed */
    uint32_t base;        /* stop */
} RingTask;

/* What the driver may change at any time. */
static void queue_update(void *opaque)
{
    VirtioNetQueue *q = opaque;

    /* with two VLAN tags, which an MTU does not count */
    q->rx.b.usual_len = q->vn->guest_gso ? 0 : q->vn->env.peer->mtu + ETH_HLEN + 8;
    q->rx.filter = virtio_net_live_filter(q->vn);
    q->rx.hash = virtio_net_live_hash(q->vn);
    virtio_net_steer_follow(q);
}

/* How packets lie in buffers; the same for both rings of a pair. */
static void queue_set_layout(VirtioNetQueue *q)
{
    bool mergeable = (q->vn->features & (1ull << VIRTIO_NET_F_MRG_RXBUF)) != 0;
    bool v1 = (q->vn->features & (1ull << VIRTIO_F_VERSION_1)) != 0;
    bool hash = (q->vn->features & (1ull << VIRTIO_NET_F_HASH_REPORT)) != 0;

    q->hdr_len = hash             ? sizeof(struct virtio_net_hdr_v1_hash)
               : mergeable || v1 ? PKT_HDR_LEN
                                 : sizeof(struct virtio_net_hdr);
    q->rx.b.merge = mergeable;
    q->rx.b.headroom = q->hdr_len;
    q->rx.b.max_len = PKT_MAX_LEN;
    queue_update(q);
}

static void ring_start(void *opaque)
{
    RingTask *t = opaque;
    VirtioNetQueue *q = t->q;
    VirtioNetRing *r = queue_ring(q, t->tx);

    queue_set_layout(q);
    if (!virtq_start(&r->vq, q->vn->dev.mem, &t->ring->setup, &t->why)) {
        return;
    }
    r->kick.fd = t->ring->kick_fd;
    r->call_fd = t->ring->call_fd;
    r->enabled = t->ring->enabled;
    if (r->kick.fd >= 0 &&
        io_thread_add_source(q->dq.thread, &r->kick, EPOLLIN | EPOLLET) < 0) {
        virtq_stop(&r->vq);
        t->why = "its thread cannot wait for kicks";
        return;
    }
    r->running = true;
    r->armed = true;
    virtio_net_ring_disarm(r);
    q->peer.ready = true;
    virtio_net_steer_follow(q);
}

static void ring_stop(void *opaque)
{
    RingTask *t = opaque;
    VirtioNetRing *r = queue_ring(t->q, t->tx);

    if (t->tx) {
        virtio_net_tx_stop(t->q);
    } else {
        virtio_net_steer_stop(t->q);
        virtio_net_rx_stop(t->q);
    }
    if (r->kick.fd >= 0) {
        io_thread_remove_source(t->q->dq.thread, &r->kick);
    }
    r->kick.fd = -1;
    r->call_fd = -1;
    r->running = false;
    t->base = virtq_stop(&r->vq);
}

static void ring_enable(void *opaque)
{
    RingTask *t = opaque;

    if (!t->tx && !t->on) {
        virtio_net_steer_stop(t->q); /* frames that are there already are its guest's still */
    }
    queue_ring(t->q, t->tx)->enabled = t->on;
    if (t->q->dq.running) {
        virtio_net_steer_follow(t->q);
    }
}

static void ring_set_call(void *opaque)
{
    RingTask *t = opaque;

    queue_ring(t->q, t->tx)->call_fd = t->fd;
}

/* --- main thread --- */

VirtioNetQueue *virtio_net_queue_new(VirtioNet *vn, unsigned pair, GError **error)
{
    VirtioNetQueue *q = g_new0(VirtioNetQueue, 1);
    unsigned index = pair;

    device_queue_init(&q->dq, &virtio_net_queue_ops, index, &vn->faults);
    nic_peer_init(&q->peer, vn->env.peer->queue[index], &q->dq);
    q->vn = vn;
    q->stats = &vn->stats[index];
    q->tx.ring = (VirtioNetRing){
        .stats = &q->stats->tx, .call_fd = -1, .kick = { .fd = -1, .ready = ring_kicked },
    };
    q->rx.ring = (VirtioNetRing){
        .stats = &q->stats->rx, .call_fd = -1, .kick = { .fd = -1, .ready = ring_kicked },
    };
    if (!virtio_net_tx_init(q) || !virtio_net_rx_init(q)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM,
                    "queue %u: no memory for its buffers", index);
        virtio_net_queue_free(q);
        return NULL;
    }
    return q;
}

void virtio_net_queue_free(VirtioNetQueue *q)
{
    if (!q) {
        return;
    }
    g_assert(!q->tx.ring.running && !q->rx.ring.running);
    device_queue_stop(&q->dq);
    virtio_net_tx_done(q);
    virtio_net_rx_done(q);
    event_call_done(&q->call);
    g_free(q);
}

/* Starts its thread. */
static bool queue_run(VirtioNetQueue *q, GError **error)
{
    VirtioNet *vn = q->vn;
    unsigned index = q->dq.index;
    IoThread *thread = index < vn->env.n_threads ? vn->threads[index] : NULL;
    g_autofree char *name = g_strdup_printf("%s-q%u", vn->name, index);

    if (q->dq.running) {
        return true;
    }
    device_queue_init(&q->dq, &virtio_net_queue_ops, index, &vn->faults);
    q->told = false;
    if (!vn->env.peer->inherited) {
        virtio_net_rx_purge(q);
    }
    device_queue_set_paused(&q->dq, vn->paused);
    return device_queue_start(&q->dq, thread, name, error);
}

bool virtio_net_queue_start_ring(VirtioNetQueue *q, bool tx, const VirtioRing *ring,
                                 GError **error)
{
    RingTask t = { .q = q, .tx = tx, .ring = ring };

    if (!queue_run(q, error)) {
        return false;
    }
    io_thread_call(q->dq.thread, ring_start, &t);
    if (t.why) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "queue %u: %s ring: %s", q->dq.index,
                    tx ? "tx" : "rx", t.why);
    }
    return !t.why;
}

uint32_t virtio_net_queue_stop_ring(VirtioNetQueue *q, bool tx)
{
    RingTask t = { .q = q, .tx = tx };

    g_assert(queue_ring(q, tx)->running);
    io_thread_call(q->dq.thread, ring_stop, &t);
    if (device_queue_fault(&q->dq) && !queue_ring(q, !tx)->running) {
        device_queue_stop(&q->dq); /* the next start is a new one */
    }
    return t.base;
}

void virtio_net_queue_enable_ring(VirtioNetQueue *q, bool tx, bool on)
{
    RingTask t = { .q = q, .tx = tx, .on = on };

    if (q->dq.running) {
        io_thread_call(q->dq.thread, ring_enable, &t);
    } else {
        ring_enable(&t);
    }
}

void virtio_net_queue_set_call(VirtioNetQueue *q, bool tx, int fd)
{
    RingTask t = { .q = q, .tx = tx, .fd = fd };

    g_assert(queue_ring(q, tx)->running);
    io_thread_call(q->dq.thread, ring_set_call, &t);
}

void virtio_net_queue_update(VirtioNetQueue *q)
{
    if (q->dq.running) {
        io_thread_call(q->dq.thread, queue_update, q);
    }
}

static void queue_rest(void *opaque)
{
    nic_peer_detach(&((VirtioNetQueue *)opaque)->peer);
}

static void queue_wake(void *opaque)
{
    VirtioNetQueue *q = opaque;

    if (nic_peer_attach(&q->peer) < 0) {
        device_queue_break(&q->dq, "its thread cannot wait for the netdev");
    }
}

void virtio_net_queue_rest(VirtioNetQueue *q, bool rest)
{
    if (q->dq.running) {
        io_thread_call(q->dq.thread, rest ? queue_rest : queue_wake, q);
    }
}

/* More than a tap's queue holds, in rounds of VIRTIO_NET_BATCH. */
#define DRAIN_ROUNDS 64

static void queue_drain(void *opaque)
{
    VirtioNetQueue *q = opaque;

    if (!q->rx.ring.running || !q->rx.ring.enabled || q->dq.paused || q->dq.fault) {
        return;
    }
    q->peer.ready = true;
    for (unsigned i = 0; i < DRAIN_ROUNDS; i++) {
        if (queue_rx_poll(q) != QUEUE_WORK) {
            break; /* a violation is found again by the next round of the thread */
        }
    }
}

void virtio_net_queue_drain(VirtioNetQueue *q)
{
    if (q->dq.running) {
        io_thread_call(q->dq.thread, queue_drain, q);
    }
}

typedef struct AnnounceTask {
    VirtioNetQueue *q;
    const uint8_t *mac;
} AnnounceTask;

static void queue_announce(void *opaque)
{
    AnnounceTask *t = opaque;

    if (t->q->tx.n_sent == t->q->tx.n_out || t->q->tx.n == 0) {
        nic_announce(t->q->peer.q, t->mac); /* not into the middle of a packet's segments */
    }
}

void virtio_net_queue_announce(VirtioNetQueue *q, const uint8_t mac[6])
{
    AnnounceTask t = { q, mac };

    if (q->dq.running) {
        io_thread_call(q->dq.thread, queue_announce, &t);
    } else {
        queue_announce(&t);
    }
}
