/*
 * A virtqueue whose driver is the input, and a device that does with it what devices do.
 *
 *     Start, then Ops: the driver's write descriptors, ring entries and anything else into the
 *     guest's memory; the device's pop, push, flush, and so on
 *
 * The memory has three pages:
 *
 *     FUZZ_RING    descriptors, the driver's part, the device's, an inflight region
 *     FUZZ_DATA    touches it in the guest's addresses
 *     FUZZ_FAR     has nothing beside it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_FUZZ_VIRTQ_H
#define TESTS_FUZZ_FUZZ_VIRTQ_H

#include "fuzz.h"

#include <stdbool.h>

#include "virtq-track.h"

#define FUZZ_PAGE     4096u
#define FUZZ_RING     0x1000u
#define FUZZ_DATA     0x2000u
#define FUZZ_FAR      0x10000u
#define FUZZ_MAX_SIZE 16u

typedef struct FuzzStart {
    uint8_t size;      /* of the ring; split: the next smaller power of 2 */
    uint8_t flags;     /* 1: event index, 2: indirect, 4: inflight region, 8: log */
    uint16_t index;    /* split: where the indices begin */
    uint32_t base;
} FuzzStart;

/* The driver's; where two stand, they are of a split and of a packed ring. */
typedef enum FuzzWhat {
    FUZZ_WRITE_DESC,   /* a descriptor at @at of the table, or of the ring */
    FUZZ_ADD,          /* @at becomes available, or the descriptor at the next place */
    FUZZ_WRITE_TABLE,  /* a descriptor at @at of FUZZ_DATA */
    FUZZ_POKE,         /* @len at byte @at of the memory */
    /* and the device's */
    FUZZ_POP,          /* up to @n, with room for @at pieces */
    FUZZ_UNPOP,        /* the last @n */
    FUZZ_DONE,         /* the first @n, with @len bytes */
    FUZZ_PUSH,         /* the first @n, with @len bytes */
    FUZZ_FLUSH,
    FUZZ_NOTIFY,       /* arms or disarms */
    FUZZ_RESTART,      /* @flags 1: from @len */
    FUZZ_CRASH,        /* and starts again */
    FUZZ_N_OPS,
} FuzzWhat;

typedef struct FuzzOp {
    uint8_t what;
    uint8_t n;
    uint16_t at;
    uint32_t len;
    uint64_t addr;
    uint16_t flags;
    uint16_t next;
    uint32_t spare;
} FuzzOp;

typedef struct FuzzVirtq {
    Virtq vq;
    VirtqSetup setup;
    GuestMem *mem;
    uint8_t *page[3];       /* as in the guest */
    uint16_t next_avail;    /* the driver's; packed: with the wrap counter */
    /* What the device has, oldest first. */
    VirtqChain chain[2 * FUZZ_MAX_SIZE];
    unsigned n;
    struct iovec iov[VIRTQ_MAX_IOV];
} FuzzVirtq;

/* Where things are in FUZZ_RING. */
#define FUZZ_DRIVER   0x400u
#define FUZZ_DEVICE   0x600u
#define FUZZ_INFLIGHT 0x800u

/* The layout's: a descriptor as 16 bytes, and FUZZ_ADD. */
void fuzz_put_desc(uint8_t *to, const FuzzOp *op);
void fuzz_add(FuzzVirtq *f, const FuzzOp *op);

void fuzz_virtq(const uint8_t *data, size_t size, bool packed);

#endif
