/*
 * The netdev's end of a NIC's queue: its descriptor in the queue's thread, edge-triggered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NIC_PEER_H
#define HW_NET_NIC_PEER_H

#include "hw/core/device-queue.h"
#include "net/netdev.h"

#define NIC_PEER_RETRY_NS (1 * 1000000ull) /* to look again where no event comes */

typedef struct NicPeer {
    NetdevQueue *q;
    DeviceQueue *dq;
    IoSource source;
    /* the thread's */
    bool ready;   /* the netdev may have packets for the guest */
    bool blocked; /* the netdev is full, and tells when it has room */
} NicPeer;

/* Main thread. Both outlive it. */
void nic_peer_init(NicPeer *p, NetdevQueue *q, DeviceQueue *dq);
/* The netdev's descriptor is of another file now. Main thread, the queue may be running. */
void nic_peer_reopened(NicPeer *p);

/* In the queue's thread: DeviceQueueOps.attach and detach. */
int nic_peer_attach(NicPeer *p);
void nic_peer_detach(NicPeer *p);
/* netdev_send() found it full: the queue is polled again when it may have room. */
void nic_peer_wait(NicPeer *p);

#endif
