/*
 * What of a ring is under way, in memory that outlives the process (QEMU:
 * docs/interop/vhost-user.rst, "Inflight I/O tracking", version 1). The transport has the memory,
 * in which a region of each ring stands behind that of the ring before it; a virtqueue that is
 * started with its region keeps it up to date, and goes on from what it says.
 *
 * The VMM may write there at any time: what it says is read by virtq_start(), once, and judged.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQ_INFLIGHT_H
#define HW_VIRTIO_VIRTQ_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTQ_INFLIGHT_VERSION 1u

/* A descriptor of a split ring; those that begin a chain count. */
typedef struct VirtqInflightSplitDesc {
    uint8_t inflight;
    uint8_t done;          /* ours, padding for others: see virtq_done() */
    uint8_t padding[4];
    uint16_t next;         /* of the last batch that was given back */
    uint64_t counter;      /* the order in which chains came */
} VirtqInflightSplitDesc;

typedef struct VirtqInflightSplit {
    uint64_t features;     /* 0 */
    uint16_t version;      /* 0: all of this is new, and zero */
    uint16_t desc_num;     /* size of the ring */
    uint16_t last_batch_head;
    uint16_t used_idx;
    VirtqInflightSplitDesc desc[];
} VirtqInflightSplit;

/* A descriptor as it was taken off a packed ring; no place in the ring. */
typedef struct VirtqInflightPackedDesc {
    uint8_t inflight;      /* of one that begins a chain, as are last, num and counter */
    uint8_t done;          /* ours, padding for others; likewise */
    uint16_t next;         /* of the chain, or of the free ones */
    uint16_t last;
    uint16_t num;
    uint64_t counter;
    uint16_t id;           /* this and what follows: as the driver wrote it */
    uint16_t flags;
    uint32_t len;
    uint64_t addr;
} VirtqInflightPackedDesc;

typedef struct VirtqInflightPacked {
    uint64_t features;
    uint16_t version;
    uint16_t desc_num;
    uint16_t free_head;
    uint16_t old_free_head;
    uint16_t used_idx;
    uint16_t old_used_idx;
    uint8_t used_wrap_counter;
    uint8_t old_used_wrap_counter;
    uint8_t padding[7];
    VirtqInflightPackedDesc desc[];
} VirtqInflightPacked;

/* Bytes of one ring's region, and so from one to the next: a multiple of 64, as with others. */
static inline uint64_t virtq_inflight_size(uint16_t size, bool packed)
{
    uint64_t n = packed ? sizeof(VirtqInflightPacked) + size * sizeof(VirtqInflightPackedDesc)
                        : sizeof(VirtqInflightSplit) + size * sizeof(VirtqInflightSplitDesc);

    return (n + 63) / 64 * 64;
}

#endif
