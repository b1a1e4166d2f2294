/*
 * Rings of a virtio-net that the kernel's vhost-net serves (linux/vhost.h): it
 * reads and writes the guest's memory and a tap's queue in a thread of its own. A descriptor of
 * /dev/vhost-net has a pair: ring 0 is rx, ring 1 is tx.
 *
 * Main thread. Nothing is kept here: the kernel keeps it all in the descriptor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_KERNEL_H
#define HW_VIRTIO_VHOST_KERNEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/virtio/guest-mem.h"
#include "hw/virtio/virtio-device.h"

#define VHOST_KERNEL_RINGS 2u

/*
 * Makes @fd this process's; once is enough, again is fine. @poll_us: how long each ring is looked
 * at before the kernel waits for a kick, 0: not at all. False: it is no such descriptor, or another
 * process's, or its kernel is too old.
 */
bool vhost_kernel_init(int fd, uint32_t poll_us, GError **error);

/*
 * The feature bits that are the kernel's to offer (VIRTIO_F_*, VIRTIO_RING_F_*, and those of
 * virtio-net that say how packets lie in buffers): of these, a driver may be offered what the
 * kernel of @fd has. All others are none of its business.
 */
uint64_t vhost_kernel_feature_mask(void);
uint64_t vhost_kernel_features(int fd); /* 0: it does not say */

typedef struct VhostKernelPair {
    const GuestMem *mem;
    uint64_t features;      /* negotiated */
    const VirtioRing *ring; /* VHOST_KERNEL_RINGS of them, checked as virtq_start() asks for */
    int backend_fd;         /* the tap's queue */
    int err_fd;             /* an eventfd: a ring cannot go on, see vhost_kernel_stop() */
} VhostKernelPair;

/*
 * Hands both rings over; whoever had them has stopped. They are the kernel's until
 * vhost_kernel_stop(), and so are the memory, its log, and the descriptors. False: the kernel has
 * neither of them, and @ret_base is where to go on, as one of them may have run for a moment.
 */
bool vhost_kernel_start(int fd, const VhostKernelPair *p, uint32_t ret_base[VHOST_KERNEL_RINGS],
                        GError **error);

/* Takes them back, with nothing under way. @ret_base: where to go on, VirtqSetup.base of each. */
void vhost_kernel_stop(int fd, const VhostKernelPair *p, uint32_t ret_base[VHOST_KERNEL_RINGS]);

/* Another call descriptor of a ring that the kernel has; -1: none. */
bool vhost_kernel_set_call(int fd, unsigned ring, int call_fd, GError **error);

#endif
