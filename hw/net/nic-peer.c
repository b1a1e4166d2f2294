/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nic-peer.h"

#include <sys/epoll.h>

#include "util/container-of.h"

static void peer_event(IoSource *s, uint32_t events)
{
    NicPeer *p = container_of(s, NicPeer, source);

    p->ready |= (events & ~(uint32_t)EPOLLOUT) != 0;
    p->blocked &= (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0;
}

void nic_peer_init(NicPeer *p, NetdevQueue *q, DeviceQueue *dq)
{
    *p = (NicPeer){ .q = q, .dq = dq, .source = { .fd = q->fd, .ready = peer_event } };
}

int nic_peer_attach(NicPeer *p)
{
    p->ready = true; /* edge-triggered: what is there already is found by the first look */
    p->blocked = false;
    return io_thread_add_source(p->dq->thread, &p->source, EPOLLIN | EPOLLET);
}

void nic_peer_detach(NicPeer *p)
{
    io_thread_remove_source(p->dq->thread, &p->source);
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
    io_thread_modify_source(p->dq->thread, &p->source, EPOLLIN | EPOLLOUT | EPOLLET);
}

/* Closing the former file has taken it out of epoll. */
static void peer_watch(void *opaque)
{
    NicPeer *p = opaque;

    io_thread_remove_source(p->dq->thread, &p->source);
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
