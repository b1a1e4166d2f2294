/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nic-peer.h"

#include <sys/epoll.h>

#include "util/clock.h"
#include "util/container-of.h"

static void peer_event(IoSource *s, uint32_t events)
{
    NicPeer *p = container_of(s, NicPeer, source);

    p->ready |= (events & ~(uint32_t)EPOLLOUT) != 0;
    p->blocked &= (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0;
}

static void peer_rested(IoTimer *timer)
{
    container_of(timer, NicPeer, rest)->ready = true;
}

void nic_peer_init(NicPeer *p, NetdevQueue *q, DeviceQueue *dq)
{
    *p = (NicPeer){ .q = q, .dq = dq, .source = { .fd = q->fd, .ready = peer_event },
                    .rest = { .fire = peer_rested }, .rest_ns = NIC_PEER_REST_NS,
                    .patience = NIC_PEER_SLEEPS };
}

int nic_peer_attach(NicPeer *p)
{
    p->ready = true; /* edge-triggered: what is there already is found by the first look */
    p->blocked = false;
    p->resting = false;
    p->n_sleeps = 0;
    p->listens = true;
    return io_thread_add_source(p->dq->thread, &p->source, EPOLLIN | EPOLLET);
}

void nic_peer_detach(NicPeer *p)
{
    io_thread_clear_timer(p->dq->thread, &p->rest);
    io_thread_remove_source(p->dq->thread, &p->source);
}

/*
 * What is to be told. If that is nothing, nobody listens: to find that out of a listener costs the
 * sender of a packet a tenth of its time.
 */
static void peer_listen(NicPeer *p)
{
    uint32_t events = (p->resting ? 0 : EPOLLIN) | (p->blocked ? EPOLLOUT : 0);
    IoThread *t = p->dq->thread;

    if (events == 0) {
        io_thread_remove_source(t, &p->source);
    } else if (p->listens) {
        io_thread_modify_source(t, &p->source, events | EPOLLET);
    } else if (io_thread_add_source(t, &p->source, events | EPOLLET) < 0) {
        device_queue_break(p->dq, "its thread cannot wait for the netdev");
    }
    p->listens = events != 0;
}

void nic_peer_wait(NicPeer *p)
{
    if (!p->q->nd->ops->tells_writable) {
        /* nothing tells: what there is without a descriptor of its own has no event to give */
        device_queue_wake_at(p->dq, io_clock_ns() + NIC_PEER_RETRY_NS);
        return;
    }
    /* Asked for behind the failed write: some drivers, as the tap's, tell only who asked then. */
    p->blocked = true;
    peer_listen(p);
}

static void peer_rest(NicPeer *p, bool on)
{
    p->n_sleeps = 0;
    if (p->resting != on) {
        p->resting = on;
        peer_listen(p); /* what came meanwhile is an event then */
    }
}

/* One that brought @n packets is over. */
static void peer_adapt_rest(NicPeer *p, unsigned n)
{
    if (n >= NIC_PEER_REST_MANY) {
        p->rest_ns = MIN(p->rest_ns + p->rest_ns / 4, NIC_PEER_REST_MAX_NS);
    } else if (n < NIC_PEER_REST_FEW) {
        p->rest_ns = MAX(p->rest_ns - p->rest_ns / 4, NIC_PEER_REST_NS);
    }
}

void nic_peer_sleep(NicPeer *p, unsigned n, uint64_t now)
{
    uint64_t since = p->since;

    if (clock_is_virtual() || (p->resting && now < p->rest.at_ns)) {
        return;
    }
    if (p->resting && n < NIC_PEER_REST_PACKETS) {
        p->patience = MIN(2 * p->patience, NIC_PEER_SLEEPS_MAX);
        peer_rest(p, false);
        return;
    }
    if (p->resting) {
        p->patience = NIC_PEER_SLEEPS;
        peer_adapt_rest(p, n);
    } else if (n == 0 || ++p->n_sleeps < p->patience) {
        return;
    } else {
        p->n_sleeps = 0;
        p->since = now;
        if (now - since > p->patience * (uint64_t)NIC_PEER_SLEEP_NS) {
            return;
        }
    }
    peer_rest(p, true);
    io_thread_set_timer(p->dq->thread, &p->rest, now + p->rest_ns);
}

/* Closing the former file has taken it out of epoll. */
static void peer_watch(void *opaque)
{
    NicPeer *p = opaque;

    nic_peer_detach(p);
    if (nic_peer_attach(p) < 0) {
        device_queue_break(p->dq, "its thread cannot wait for the netdev");
    }
}

void nic_peer_reopened(NicPeer *p)
{
    if (p->dq->running) {
        io_thread_call(p->dq->thread, peer_watch, p);
    }
}
