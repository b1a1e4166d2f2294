/*
 * What all kinds of netdevs share, for those who implement one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_NETDEV_IMPL_H
#define NET_NETDEV_IMPL_H

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

/* That is over: the link is up. */
void netdev_recover(Netdev *nd);

/* Sets the error, with strerror(@err) behind it unless @err is 0. Always false. */
bool netdev_set_error(GError **error, int err, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/*
 * For netdevs of one queue and no vnet header: @nd, zeroed and with @queue as its only one, gets
 * what all of them have, a link that is down among it. What it cannot do it does not:
 * netdev_one_set_offload() and netdev_one_set_active() are for NetdevOps. netdev_one_done() is
 * for the half-built, too, and closes no descriptor.
 */
bool netdev_one_init(Netdev *nd, const NetdevOps *ops, const char *id, NetdevQueue *queue,
                     GError **error);
void netdev_one_done(Netdev *nd);
bool netdev_one_set_offload(Netdev *nd, unsigned offload, GError **error);
bool netdev_one_set_active(Netdev *nd, unsigned n, GError **error);

/* What was learned of the interface; calls nd->changed if it makes a difference. */
void netdev_set_state(Netdev *nd, unsigned mtu, bool carrier);

#endif
