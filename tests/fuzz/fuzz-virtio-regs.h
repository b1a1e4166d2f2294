/*
 * The registers of a virtio device, whichever way leads to them: what fuzz targets of each way have
 * in common. The device is a made-up one, whose rings are virtqueues that this thread serves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_FUZZ_VIRTIO_REGS_H
#define TESTS_FUZZ_FUZZ_VIRTIO_REGS_H

#include "fuzz.h"
#include "hw/core/address-space.h"
#include "virtio-pci-guest.h"
#include "virtio-stub.h"

#define FUZZ_VIRTIO_RINGS 3u
#define FUZZ_VIRTIO_READ  0x80u /* of FuzzVirtioAct.kind */

/* A kind of act: the way's own are those from FUZZ_VIRTIO_OWN on. */
typedef enum FuzzVirtioKind {
    FUZZ_VIRTIO_MEMORY, /* 8 bytes of the first pages, where rings and buffers may be */
    FUZZ_VIRTIO_SERVE,  /* the device looks at its rings, and tells of what it did */
    FUZZ_VIRTIO_CONFIG, /* its config space changes */
    FUZZ_VIRTIO_RESET,  /* of the machine */
    FUZZ_VIRTIO_OWN,
} FuzzVirtioKind;

typedef struct FuzzVirtioAct {
    uint8_t kind;
    uint8_t len;      /* 1 << len % 4 bytes */
    uint16_t where;
    uint32_t zero;
    uint64_t value;
} FuzzVirtioAct;

typedef struct FuzzVirtio {
    AddressSpace *memory;
    AddressSpace *ports;
    VirtioStub *stub;
    VirtioPciGuest g;  /* a driver that keeps the rules, for the end */
    unsigned running;  /* rings */
    void *impl;        /* the way's */
} FuzzVirtio;

typedef struct FuzzVirtioWay {
    unsigned n_own;                               /* kinds of acts */
    void (*up)(FuzzVirtio *f);                    /* the device is there */
    void (*act)(FuzzVirtio *f, unsigned own, bool in, const FuzzVirtioAct *a, unsigned len);
    void (*reset)(FuzzVirtio *f);                 /* the machine's */
    void (*find)(FuzzVirtio *f);                  /* by the driver */
    void (*down)(FuzzVirtio *f);
} FuzzVirtioWay;

void fuzz_virtio_reach(AddressSpace *as, bool in, uint64_t addr, uint64_t value, unsigned len);

/* One input. */
void fuzz_virtio_regs(const FuzzVirtioWay *way, const uint8_t *data, size_t size);

#endif
