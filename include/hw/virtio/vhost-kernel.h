/*
 * Rings of a virtio-net that the kernel's vhost-net serves (linux/vhost.h): it
 * reads and writes the guest's memory and a tap's queue in a thread of its own. A descriptor of
 * /dev/vhost-net has a pair.
 *
 * Main thread. Nothing is kept here: the kernel keeps it all in the descriptor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_KERNEL_H
#define HW_VIRTIO_VHOST_KERNEL_H

#include "hw/virtio/vhost.h"

/*
 * Makes @fd this process's; once is enough, again is fine. @poll_us: how long each ring is looked
 * at before the kernel waits for a kick, 0: not at all. False: it is no such descriptor, or another
 * process's, or its kernel is too old.
 */
bool vhost_kernel_init(int fd, uint32_t poll_us, GError **error);

extern const VhostOps vhost_kernel_ops;

#endif
