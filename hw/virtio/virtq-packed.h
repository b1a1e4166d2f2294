/*
 * A packed ring's places and descriptors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQ_PACKED_H
#define HW_VIRTIO_VIRTQ_PACKED_H

#include "virtq-internal.h"

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED  (1u << VRING_PACKED_DESC_F_USED)
#define PACKED_BOTH  (PACKED_AVAIL | PACKED_USED)
#define PACKED_WRAP  (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

/* A place is an offset with the wrap counter: as bases, events and VirtqChain.pos have it. */
static inline unsigned packed_offset(uint16_t place)
{
    return place & ~PACKED_WRAP;
}

/* @n is not more than the ring has. */
static inline uint16_t packed_advance(const Virtq *vq, uint16_t place, unsigned n)
{
    unsigned to = packed_offset(place) + n, wrap = place & PACKED_WRAP;

    return (uint16_t)(to < vq->s.size ? to | wrap : (to - vq->s.size) | (wrap ^ PACKED_WRAP));
}

/* The two halves of a descriptor: its address; its length, id and flags. */
static inline uint64_t *packed_desc(const Virtq *vq, uint16_t place)
{
    return (uint64_t *)vq->s.desc + 2 * packed_offset(place);
}

static inline uint64_t packed_load_rest(const Virtq *vq, uint16_t place)
{
    return le64toh(__atomic_load_n(&packed_desc(vq, place)[1], __ATOMIC_ACQUIRE));
}

/* The bits change their meaning with each lap. */
static inline bool packed_is_available(uint64_t rest, uint16_t place)
{
    return (rest >> 48 & PACKED_BOTH) == (place & PACKED_WRAP ? PACKED_AVAIL : PACKED_USED);
}

static inline VirtqDesc packed_make(const uint64_t *desc, uint64_t rest)
{
    uint64_t addr = le64toh(__atomic_load_n(&desc[0], __ATOMIC_RELAXED));

    return (VirtqDesc){ addr, (uint32_t)rest, (uint16_t)(rest >> 48), (uint16_t)(rest >> 32) };
}

/*
 * virtq-place.c: behind the start, unless there is inflight memory. The ring goes on where what is
 * in it says that it stands; where that says nothing, at VirtqSetup.base.
 */
void virtq_packed_find_place(Virtq *vq);

#endif
