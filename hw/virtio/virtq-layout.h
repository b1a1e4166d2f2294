/*
 * Where the parts of a ring are, for whoever is told of it in addresses of another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQ_LAYOUT_H
#define HW_VIRTIO_VIRTQ_LAYOUT_H

#include "hw/virtio/virtq.h"

/* As GuestRegion.user: a VMM's, or where the machine is ours, the guest's. */
typedef struct VirtqAddrs {
    uint64_t desc, driver, device;
} VirtqAddrs;

/*
 * Fills @s->desc, driver and device, by @s->size and features, which are set. False: not all of a
 * part is in one region of @mem, or it does not lie there as it has to.
 */
bool virtq_layout_find(VirtqSetup *s, const GuestMem *mem, const VirtqAddrs *at);

#endif
