/*
 * Stages of the way to a guest, for those who have frames for it: virtio_net_rx_poll() from its
 * pair's queue of the netdev, virtio_net_steer_poll() from all of them. The pair's thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_RX_H
#define HW_NET_VIRTIO_NET_RX_H

#include "virtio-net-internal.h"

/* Free buffers are popped ahead. False: the ring makes no sense. */
bool virtio_net_rx_reserve(VirtioNetQueue *q);
/* The headers of rx->pkt[0..n-1], in front of frames that are in the buffers from rx->first on. */
void virtio_net_rx_fill(VirtioNetQueue *q);
/* The buffers go back, then at most one call. */
void virtio_net_rx_push(VirtioNetQueue *q);

/* Frames that were meant for this guest, for which there is no room. */
static inline void virtio_net_rx_drop(VirtioNetQueue *q, uint64_t n)
{
    if (n > 0) {
        counter_add(&q->stats->rx.drop_full, n);
    }
}

#endif
