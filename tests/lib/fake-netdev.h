/*
 * A netdev whose other side is the test: packets that the NIC sends are kept, packets
 * that the test gives are read by the NIC. Thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_FAKE_NETDEV_H
#define TESTS_LIB_FAKE_NETDEV_H

#include "net/netdev.h"

typedef struct FakePkt {
    struct virtio_net_hdr_v1 hdr;
    uint32_t len;
    uint8_t data[PKT_MAX_LEN];
} FakePkt;

Netdev *fake_netdev_new(unsigned n_queues, bool vnet_hdr); /* netdev_free() */

/* A copy of @pkt will be read from queue @q by the NIC. */
void fake_netdev_give(Netdev *nd, unsigned q, const FakePkt *pkt);
/* Packets given and not yet read. */
unsigned fake_netdev_unread(Netdev *nd, unsigned q);
/* The oldest packet that the NIC sent to @q, waited for; NULL after @timeout_ms. g_free(). */
FakePkt *fake_netdev_take(Netdev *nd, unsigned q, unsigned timeout_ms);

/*
 * Full from now on: nothing that the NIC sends to @q is taken. Before any packet is given. Its
 * descriptor tells of room again.
 */
void fake_netdev_set_full(Netdev *nd, unsigned q, bool full);
/* The same, but for the next @n packets. */
void fake_netdev_set_room(Netdev *nd, unsigned q, unsigned n);
/* How often something was sent to it while it was full. */
unsigned fake_netdev_refused(Netdev *nd, unsigned q);
/* Of a kind that does not tell of it: the NIC has to try. Nor does it read into buffers. */
void fake_netdev_set_mute(Netdev *nd);

/* From its start: packets are read with one plain read each where they can be, as a tap's are. */
void fake_netdev_set_plain(Netdev *nd);
unsigned fake_netdev_plain_reads(Netdev *nd); /* tried so far */

/*
 * From its start: the NIC always has a packet of @len zeros to read, from each queue, and what it
 * sends is forgotten.
 */
void fake_netdev_set_endless(Netdev *nd, uint32_t len);

/* What the NIC asked for. */
unsigned fake_netdev_offload(Netdev *nd);
unsigned fake_netdev_active(Netdev *nd);
bool fake_netdev_bursts(Netdev *nd, unsigned q);
bool fake_netdev_carrier(Netdev *nd);

#endif
