/*
 * Pairs of a virtio-net that the kernel serves (vhost), where the netdev has descriptors for it.
 *
 * A ring that starts is its pair's thread's. Once both rings of a pair run, are enabled, and
 * nothing else is in the way, they move to the kernel; and back, before anything happens that only
 * we can do: so all the rest knows of no vhost. Main thread; all of it does nothing without vhost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_VHOST_H
#define HW_NET_VIRTIO_NET_VHOST_H

#include "virtio-net-internal.h"

/* vn->vhost, if the netdev has it and it can be used. False: it was forced, and can't. */
bool virtio_net_vhost_init(VirtioNet *vn, GError **error);
void virtio_net_vhost_done(VirtioNet *vn); /* all rings are stopped */

/* Of feature bits to be offered, those that the kernel has, too. */
uint64_t virtio_net_vhost_features(const VirtioNet *vn, uint64_t features);

/* Who serves a netdev that is behind it is to know that packets for @mac go here. */
void virtio_net_vhost_announce(const VirtioNet *vn, const uint8_t mac[6]);

/* Whether the kernel has both rings of @pair. */
bool virtio_net_vhost_serves(const VirtioNet *vn, unsigned pair);

/* Ring @index started, as @ring says, in its thread; is enabled or not by its thread. */
void virtio_net_vhost_started(VirtioNet *vn, unsigned index, const VirtioRing *ring);
void virtio_net_vhost_enabled(VirtioNet *vn, unsigned index, bool on);

/*
 * Ring @index is to stop. True: it has, *@ret_base is where to go on; else its thread has it, and
 * has to stop.
 */
bool virtio_net_vhost_stop(VirtioNet *vn, unsigned index, uint32_t *ret_base);

/* Another call descriptor. False: that is for its thread. */
bool virtio_net_vhost_set_call(VirtioNet *vn, unsigned index, int call_fd);

/* Something changed by which pairs are the kernel's or not: they go where they belong. */
void virtio_net_vhost_follow(VirtioNet *vn, unsigned pair);
void virtio_net_vhost_follow_all(VirtioNet *vn);
/* All are their threads' until the next virtio_net_vhost_follow_all(). */
void virtio_net_vhost_hold(VirtioNet *vn);
/* The netdev is another one: what its vhost could not do is tried again. */
void virtio_net_vhost_retry(VirtioNet *vn);

#endif
