/*
 * A NIC tells the host's switches where its guest is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NIC_ANNOUNCE_H
#define HW_NET_NIC_ANNOUNCE_H

#include "net/netdev.h"

/*
 * RARP (RFC 903): a request of @mac for its own address, as QEMU's announce_self sends. Lost if
 * @q is full. The queue's thread, while no other packet of @q is half sent.
 */
void nic_announce(NetdevQueue *q, const uint8_t mac[6]);

#endif
