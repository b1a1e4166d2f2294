/*
 * A slot of a vbd's ring, as frontends of 64 and of 32 bits lay it out: the compiler's word
 * against the numbers in hw/block/xen-blkif.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_BLKIF_LAYOUT_H
#define TESTS_LIB_BLKIF_LAYOUT_H

#include "hw/xen/blkif.h"

/* i386 aligns a uint64_t to 4. */
#pragma pack(push, 4)
typedef struct Blkif32 {
    uint8_t operation;
    uint8_t nr_segments;
    uint16_t handle;
    uint64_t id;
    uint64_t sector_number;
    struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
} Blkif32;

typedef struct Blkif32Discard {
    uint8_t operation;
    uint8_t flag;
    uint16_t handle;
    uint64_t id;
    uint64_t sector_number;
    uint64_t nr_sectors;
} Blkif32Discard;

typedef struct Blkif32Indirect {
    uint8_t operation;
    uint8_t indirect_op;
    uint16_t nr_segments;
    uint64_t id;
    uint64_t sector_number;
    uint16_t handle;
    uint32_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
    uint64_t pad;
} Blkif32Indirect;
#pragma pack(pop)

typedef union BlkifSlot {
    uint8_t bytes[112];
    union {
        blkif_request_t rw;
        blkif_request_discard_t discard;
        blkif_request_indirect_t indirect;
    } of64;
    union {
        Blkif32 rw;
        Blkif32Discard discard;
        Blkif32Indirect indirect;
    } of32;
} BlkifSlot;

#if defined(__x86_64__) || defined(__aarch64__)
_Static_assert(sizeof(blkif_request_t) == 112, "of 64 bits");
#endif
_Static_assert(sizeof(Blkif32) == 108 && sizeof(Blkif32Indirect) == 64, "of 32 bits");

/* Sets @field of @slot's @kind (rw, discard, indirect), in the layout @abi. */
#define BLKIF_SET(slot, abi, kind, field, value) \
    do { \
        if ((abi) == XEN_BLKIF_ABI_64) { \
            (slot)->of64.kind.field = (value); \
        } else { \
            (slot)->of32.kind.field = (value); \
        } \
    } while (0)
#define BLKIF_GET(slot, abi, kind, field) \
    ((abi) == XEN_BLKIF_ABI_64 ? (slot)->of64.kind.field : (slot)->of32.kind.field)

#endif
