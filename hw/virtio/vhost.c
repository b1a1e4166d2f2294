/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/virtio/vhost.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

uint32_t vhost_base_of_ring(const VhostPair *p, unsigned ring)
{
    const struct vring_used *used = p->ring[ring].setup.device;

    if (p->features & 1ull << VIRTIO_F_RING_PACKED) {
        return p->ring[ring].setup.base;
    }
    return __atomic_load_n(&used->idx, __ATOMIC_RELAXED);
}
