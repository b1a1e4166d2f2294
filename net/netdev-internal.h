/*
 * What all kinds of netdevs share, for those who implement one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_NETDEV_INTERNAL_H
#define NET_NETDEV_INTERNAL_H

#include "net/netdev.h"

/*
 * For netdevs without a vnet header: the memory in which netdev_send() segments packets,
 * for each queue. All or nothing.
 */
bool netdev_add_scratch(Netdev *nd, GError **error);
void netdev_remove_scratch(Netdev *nd);

/*
 * There is nothing behind the netdev any more, @fmt says why: its link is down. The NIC is told,
 * or without one, the log.
 */
void netdev_fail(Netdev *nd, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* What was learned of the interface; calls nd->changed if it makes a difference. */
void netdev_set_state(Netdev *nd, unsigned mtu, bool carrier);

#endif
