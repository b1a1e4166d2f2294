/*
 * Receive-side scaling (VIRTIO 1.2, 5.1.6.5.7): the driver's table says, by the hash of a frame,
 * which pair's ring it goes to, whatever queue of the netdev it came from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_STEER_H
#define HW_NET_VIRTIO_NET_STEER_H

#include "virtio-net-hash.h"
#include "virtio-net-internal.h"

#define VIRTIO_NET_RSS_TABLE 128u /* entries, at most: QEMU's VIRTIO_NET_RSS_MAX_TABLE_LEN */

/* What the driver said, besides what is hashed. Plain data. */
typedef struct VirtioNetRss {
    bool on;               /* false: each frame goes to the pair of its queue of the netdev */
    uint16_t pairs;        /* that it uses */
    uint16_t len;          /* of the table, a power of 2 */
    uint16_t unclassified; /* the pair of frames without a hash */
    uint16_t table[VIRTIO_NET_RSS_TABLE];
} VirtioNetRss;

/* What the queues' threads go by; does not change. */
typedef struct VirtioNetSteering {
    VirtioNetHash hash;
    VirtioNetRss rss;      /* with pairs that are used only */
} VirtioNetSteering;

/* Main thread. g_free() it. */
VirtioNetSteering *virtio_net_steering_new(const VirtioNetHash *hash, const VirtioNetRss *rss);

/* --- the pair's thread --- */

/*
 * Whether frames come to its ring from other pairs, or go to theirs, is as the main thread said and
 * as the ring allows. A frame that can't be brought any more is dropped.
 */
void virtio_net_steer_follow(VirtioNetQueue *q);
/* It has nothing of the other pairs' any more. */
void virtio_net_steer_leave(VirtioNetQueue *q);
/* Its ring stops, or is disabled: it has the frames that are there already, as far as they fit. */
void virtio_net_steer_stop(VirtioNetQueue *q);

/* Instead of virtio_net_rx_poll() and virtio_net_rx_arm(), while rx.slots is set. */
QueueVerdict virtio_net_steer_poll(VirtioNetQueue *q);
bool virtio_net_steer_arm(VirtioNetQueue *q);

#endif
