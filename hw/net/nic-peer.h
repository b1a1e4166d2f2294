/*
 * The netdev's end of a NIC's queue: its descriptor in the queue's thread, edge-triggered.
 *
 * Where a sender shares the thread's processor, each packet that it sends may wake the thread up,
 * which takes the processor from it, finds that packet and sleeps again: several times the cost of
 * a packet. So when that happens again and again, the netdev rests: nobody waits for its events,
 * and it is looked at when a timer says so, as network cards moderate their interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NIC_PEER_H
#define HW_NET_NIC_PEER_H

#include "hw/core/device-queue.h"
#include "net/netdev.h"

#define NIC_PEER_RETRY_NS (1 * 1000000ull) /* to look again where no event comes */
/* It rests after so many sleeps, each of which a packet ended within so long, on average. */
#define NIC_PEER_SLEEPS     32u
#define NIC_PEER_SLEEPS_MAX 4096u  /* after rests that brought little */
#define NIC_PEER_SLEEP_NS   30000u
/* It does so for so long at first, and again where that brought so many packets. */
#define NIC_PEER_REST_NS    200000u
#define NIC_PEER_REST_PACKETS 16u
/*
 * For longer, up to so long, while so many packets come, as each look has its price, and back when
 * they are few. What comes in the longest one fits into a tap, which has room for 1000 packets: 2
 * million a second.
 */
#define NIC_PEER_REST_MAX_NS 500000u
#define NIC_PEER_REST_MANY   192u
#define NIC_PEER_REST_FEW    64u

typedef struct NicPeer {
    NetdevQueue *q;
    DeviceQueue *dq;
    IoSource source;
    /* the thread's */
    bool ready;   /* the netdev may have packets for the guest */
    bool blocked; /* the netdev is full, and tells when it has room */
    bool listens; /* there are events that are wanted */
    bool resting;
    IoTimer rest;
    unsigned rest_ns;  /* the next one */
    unsigned patience; /* sleeps before it rests */
    unsigned n_sleeps; /* of these, since that time */
    uint64_t since;
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
/*
 * The netdev is empty, and the queue about to sleep: @n packets came since it did so last, and it
 * is io_clock_ns() @now.
 */
void nic_peer_sleep(NicPeer *p, unsigned n, uint64_t now);

#endif
