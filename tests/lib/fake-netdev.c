/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-netdev.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pkt-buffers-internal.h"
#include "util/container-of.h"

typedef struct FakeQueue {
    NetdevQueue q;
    GQueue to_nic;
    GQueue from_nic;
    bool full;
    unsigned room; /* so many packets are taken all the same */
    bool bursts;
    unsigned refused;
} FakeQueue;

typedef struct FakeNetdev {
    Netdev nd;
    pthread_mutex_t lock; /* not GMutex: TSan cannot see into glib */
    pthread_cond_t sent;
    unsigned offload;
    unsigned active;
    bool carrier;
    uint32_t endless; /* length of its packets; 0: it is not */
    bool plain;
    unsigned n_plain;
} FakeNetdev;

static FakeNetdev *fake_of(Netdev *nd)
{
    return container_of(nd, FakeNetdev, nd);
}

static FakeQueue *fake_queue_of(NetdevQueue *q)
{
    return container_of(q, FakeQueue, q);
}

static unsigned fake_send(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    FakeNetdev *f = fake_of(q->nd);

    if (f->endless) {
        return n;
    }
    pthread_mutex_lock(&f->lock);
    if (fake_queue_of(q)->full) {
        unsigned room = MIN(n, fake_queue_of(q)->room);

        fake_queue_of(q)->refused += room < n;
        fake_queue_of(q)->room -= room;
        n = room;
    }
    for (unsigned i = 0; i < n; i++) {
        FakePkt *p = g_new(FakePkt, 1);

        p->hdr = *pkt[i].hdr;
        p->len = 0;
        for (uint32_t v = 0; v < pkt[i].n_iov; v++) {
            g_assert_cmpuint(p->len + pkt[i].iov[v].iov_len, <=, sizeof(p->data));
            memcpy(p->data + p->len, pkt[i].iov[v].iov_base, pkt[i].iov[v].iov_len);
            p->len += (uint32_t)pkt[i].iov[v].iov_len;
        }
        g_assert_cmpuint(p->len, ==, pkt[i].len);
        g_queue_push_tail(&fake_queue_of(q)->from_nic, p);
    }
    pthread_cond_broadcast(&f->sent);
    pthread_mutex_unlock(&f->lock);
    return n;
}

/* A packet of @len bytes whose header and bytes the caller writes to the arena. */
static void fake_read(PktArena *arena, Pkt *pkt, struct iovec *iov, uint8_t *data, uint32_t len)
{
    *iov = (struct iovec) { .iov_base = data, .iov_len = len };
    *pkt = (Pkt) { .hdr = (void *)(data - PKT_HDR_LEN), .iov = iov, .n_iov = 1, .len = len };
    pkt_arena_take(arena, len);
}

static unsigned fake_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                          unsigned max)
{
    FakeNetdev *f = fake_of(q->nd);
    unsigned n = 0;
    uint8_t *data;

    while (f->endless && n < max && (data = pkt_arena_next(arena))) {
        memset(data - PKT_HDR_LEN, 0, PKT_HDR_LEN + f->endless);
        fake_read(arena, &pkt[n], &iov[n], data, f->endless);
        n++;
    }
    if (f->endless) {
        return n;
    }
    pthread_mutex_lock(&f->lock);
    while (n < max && (data = pkt_arena_next(arena))) {
        FakePkt *p = g_queue_pop_head(&fake_queue_of(q)->to_nic);

        if (!p) {
            break;
        }
        memcpy(data - PKT_HDR_LEN, &p->hdr, PKT_HDR_LEN);
        memcpy(data, p->data, p->len);
        fake_read(arena, &pkt[n], &iov[n], data, p->len);
        g_free(p);
        n++;
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void fake_scatter(const struct iovec *iov, unsigned n, const uint8_t *data, uint32_t len)
{
    uint32_t off = 0;

    for (unsigned i = 0; i < n && off < len; i++) {
        uint32_t part = MIN((uint32_t)iov[i].iov_len, len - off);

        memcpy(iov[i].iov_base, data + off, part);
        off += part;
    }
}

/* As a tap is read to a place for header and frame. */
static bool fake_read_placed(PktBuffers *b, Pkt *pkt, const FakePkt *from, uint32_t len,
                             const struct iovec *place)
{
    struct iovec behind = { (uint8_t *)place->iov_base + b->headroom,
                            place->iov_len - b->headroom };

    memcpy(place->iov_base, &from->hdr, b->headroom);
    len = (uint32_t)MIN(len, behind.iov_len);
    fake_scatter(&behind, 1, from->data, len);
    return pkt_buffers_put_placed(b, pkt, place, len);
}

static unsigned fake_recv_into(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max)
{
    FakeNetdev *f = fake_of(q->nd);
    struct iovec iov[PKT_BUFFERS_MAX_IOV];
    unsigned n = 0;

    pthread_mutex_lock(&f->lock);
    for (unsigned tries = 0; n < max && tries < 4 * max; tries++) {
        static const FakePkt zeros;
        uint32_t hdr_len = f->nd.has_vnet_hdr ? PKT_HDR_LEN : 0;
        bool placed = f->plain && pkt_buffers_place(b, hdr_len, iov, 1) > 0;
        unsigned pieces = placed ? 1 : pkt_buffers_gather(b, iov);
        g_autofree FakePkt *p = pieces > 0 ? g_queue_pop_head(&fake_queue_of(q)->to_nic) : NULL;
        const FakePkt *from = f->endless ? &zeros : p;
        uint32_t len = f->endless ? f->endless : p ? p->len : 0;

        if (pieces == 0 || !from) {
            b->more = false;
            break;
        }
        if (placed) {
            f->n_plain++;
            n += fake_read_placed(b, &pkt[n], from, len, iov);
            continue;
        }
        *pkt[n].hdr = from->hdr;
        fake_scatter(iov, pieces, from->data, MIN(len, b->max_len + 1u));
        n += pkt_buffers_put(b, &pkt[n], MIN(len, b->max_len + 1u));
    }
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void fake_set_bursts(NetdevQueue *q, bool on)
{
    fake_queue_of(q)->bursts = on;
}

static bool fake_set_offload(Netdev *nd, unsigned offload, GError **error)
{
    fake_of(nd)->offload = offload;
    return true;
}

static bool fake_set_active(Netdev *nd, unsigned n, GError **error)
{
    fake_of(nd)->active = n;
    return true;
}

static void fake_set_carrier(Netdev *nd, bool up)
{
    fake_of(nd)->carrier = up;
}

static char *fake_info(Netdev *nd, unsigned queue)
{
    return g_strdup("fake");
}

static void fake_free(Netdev *nd)
{
    FakeNetdev *f = fake_of(nd);

    for (unsigned i = 0; i < nd->n_queues; i++) {
        FakeQueue *q = fake_queue_of(nd->queue[i]);

        g_queue_clear_full(&q->to_nic, g_free);
        g_queue_clear_full(&q->from_nic, g_free);
        close(q->q.fd);
        g_free(q);
    }
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->sent);
    g_free(nd->queue);
    g_free(nd->id);
    g_free(f);
}

static const NetdevOps mute_ops = {
    .type = "fake",
    .send = fake_send,
    .recv = fake_recv,
    .set_offload = fake_set_offload,
    .set_active = fake_set_active,
    .info = fake_info,
    .free = fake_free,
};

static const NetdevOps fake_ops = {
    .type = "fake",
    .tells_writable = true,
    .send = fake_send,
    .recv = fake_recv,
    .recv_into = fake_recv_into,
    .set_bursts = fake_set_bursts,
    .set_offload = fake_set_offload,
    .set_active = fake_set_active,
    .set_carrier = fake_set_carrier,
    .info = fake_info,
    .free = fake_free,
};

Netdev *fake_netdev_new(unsigned n_queues, bool vnet_hdr)
{
    FakeNetdev *f = g_new0(FakeNetdev, 1);
    Netdev *nd = &f->nd;

    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->sent, NULL);
    nd->ops = &fake_ops;
    nd->id = g_strdup("fake");
    nd->n_queues = n_queues;
    nd->n_active = n_queues;
    nd->queue = g_new0(NetdevQueue *, n_queues);
    nd->has_vnet_hdr = vnet_hdr;
    nd->host_offload = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6;
    nd->mtu = 1500;
    nd->link_up = true;
    nd->carrier = true;
    for (unsigned i = 0; i < n_queues; i++) {
        FakeQueue *q = g_new0(FakeQueue, 1);

        q->q.nd = nd;
        q->q.index = i;
        q->q.vhost_fd = -1;
        q->q.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        g_assert_cmpint(q->q.fd, >=, 0);
        nd->queue[i] = &q->q;
    }
    return nd;
}

void fake_netdev_give(Netdev *nd, unsigned q, const FakePkt *pkt)
{
    FakeNetdev *f = fake_of(nd);
    uint64_t one = 1;

    pthread_mutex_lock(&f->lock);
    g_queue_push_tail(&fake_queue_of(nd->queue[q])->to_nic, g_memdup2(pkt, sizeof(*pkt)));
    pthread_mutex_unlock(&f->lock);
    /* each write is an edge, as each packet of a tap is */
    g_assert_cmpint(write(nd->queue[q]->fd, &one, sizeof(one)), ==, sizeof(one));
}

void fake_netdev_set_full(Netdev *nd, unsigned q, bool full)
{
    FakeNetdev *f = fake_of(nd);
    uint64_t n = UINT64_MAX - 1; /* an eventfd with that in it is not writable */

    pthread_mutex_lock(&f->lock);
    fake_queue_of(nd->queue[q])->full = full;
    pthread_mutex_unlock(&f->lock);
    if (full) {
        g_assert_cmpint(write(nd->queue[q]->fd, &n, sizeof(n)), ==, sizeof(n));
    } else {
        g_assert_cmpint(read(nd->queue[q]->fd, &n, sizeof(n)), ==, sizeof(n));
    }
}

void fake_netdev_set_room(Netdev *nd, unsigned q, unsigned n)
{
    FakeNetdev *f = fake_of(nd);

    fake_netdev_set_full(nd, q, true);
    pthread_mutex_lock(&f->lock);
    fake_queue_of(nd->queue[q])->room = n;
    pthread_mutex_unlock(&f->lock);
}

unsigned fake_netdev_refused(Netdev *nd, unsigned q)
{
    FakeNetdev *f = fake_of(nd);
    unsigned n;

    pthread_mutex_lock(&f->lock);
    n = fake_queue_of(nd->queue[q])->refused;
    pthread_mutex_unlock(&f->lock);
    return n;
}

void fake_netdev_set_mute(Netdev *nd)
{
    nd->ops = &mute_ops;
}

void fake_netdev_set_plain(Netdev *nd)
{
    fake_of(nd)->plain = true;
}

unsigned fake_netdev_plain_reads(Netdev *nd)
{
    FakeNetdev *f = fake_of(nd);
    unsigned n;

    pthread_mutex_lock(&f->lock);
    n = f->n_plain;
    pthread_mutex_unlock(&f->lock);
    return n;
}

void fake_netdev_set_endless(Netdev *nd, uint32_t len)
{
    fake_of(nd)->endless = len;
}

unsigned fake_netdev_unread(Netdev *nd, unsigned q)
{
    FakeNetdev *f = fake_of(nd);
    unsigned n;

    pthread_mutex_lock(&f->lock);
    n = g_queue_get_length(&fake_queue_of(nd->queue[q])->to_nic);
    pthread_mutex_unlock(&f->lock);
    return n;
}

FakePkt *fake_netdev_take(Netdev *nd, unsigned q, unsigned timeout_ms)
{
    FakeNetdev *f = fake_of(nd);
    gint64 end = g_get_real_time() + (gint64)timeout_ms * 1000;
    struct timespec ts = { .tv_sec = end / 1000000, .tv_nsec = end % 1000000 * 1000 };
    FakePkt *p;

    pthread_mutex_lock(&f->lock);
    while (!(p = g_queue_pop_head(&fake_queue_of(nd->queue[q])->from_nic)) &&
           pthread_cond_timedwait(&f->sent, &f->lock, &ts) == 0) {
        continue;
    }
    pthread_mutex_unlock(&f->lock);
    return p;
}

unsigned fake_netdev_offload(Netdev *nd)
{
    return fake_of(nd)->offload;
}

bool fake_netdev_bursts(Netdev *nd, unsigned q)
{
    return fake_queue_of(nd->queue[q])->bursts;
}

unsigned fake_netdev_active(Netdev *nd)
{
    return fake_of(nd)->active;
}

bool fake_netdev_carrier(Netdev *nd)
{
    return fake_of(nd)->carrier;
}
