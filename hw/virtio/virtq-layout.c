/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtq-layout.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

/* VIRTIO 1.2, 2.7 and 2.8: the parts of a ring of @num. */
typedef struct RingLayout {
    uint64_t desc, driver, device;           /* bytes */
    unsigned driver_align, device_align;
} RingLayout;

#define DESC_ALIGN 16u

static bool has_feature(const VirtqSetup *s, unsigned bit)
{
    return s->features & 1ull << bit;
}

static RingLayout ring_layout(const VirtqSetup *s)
{
    uint64_t event = has_feature(s, VIRTIO_RING_F_EVENT_IDX) ? sizeof(uint16_t) : 0;

    if (has_feature(s, VIRTIO_F_RING_PACKED)) {
        return (RingLayout){
            .desc = sizeof(struct vring_packed_desc) * s->size,
            .driver = sizeof(struct vring_packed_desc_event),
            .device = sizeof(struct vring_packed_desc_event),
            .driver_align = 4,
            .device_align = 4,
        };
    }
    return (RingLayout){
        .desc = sizeof(struct vring_desc) * s->size,
        .driver = sizeof(struct vring_avail) + sizeof(uint16_t) * s->size + event,
        .device = sizeof(struct vring_used) + sizeof(struct vring_used_elem) * s->size + event,
        .driver_align = 2,
        .device_align = 4,
    };
}

/* Where @user is in our memory, if all of it is there and lies as a ring's part has to. */
static void *find_part(const GuestMem *mem, uint64_t user, uint64_t size, unsigned align)
{
    void *at = guest_mem_of_user(mem, user, size);

    return (uintptr_t)at % align == 0 ? at : NULL;
}

bool virtq_layout_find(VirtqSetup *s, const GuestMem *mem, const VirtqAddrs *at)
{
    RingLayout l = ring_layout(s);

    s->desc = find_part(mem, at->desc, l.desc, DESC_ALIGN);
    s->driver = find_part(mem, at->driver, l.driver, l.driver_align);
    s->device = find_part(mem, at->device, l.device, l.device_align);
    return s->desc && s->driver && s->device;
}
