/*
 * A guest's memory, a ring in it with its driver, and the device's side of that ring, in one
 * process.
 *
 *     RIG_RING       the ring, the driver's tables
 *     RIG_DATA       two regions that touch, RIG_DATA_SIZE each, which are not beside each other
 *                    in our memory; behind them there is nothing
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTQ_RIG_H
#define TESTS_LIB_VIRTQ_RIG_H

#include "hw/virtio/guest-mem.h"
#include "hw/virtio/virtq.h"
#include "virtq-driver.h"

#define RIG_RING       0x100000ull
#define RIG_RING_SIZE  0x300000ull
#define RIG_DATA       0x80000000ull
#define RIG_DATA_SIZE  0x100000ull
#define RIG_DATA_END   (RIG_DATA + 2 * RIG_DATA_SIZE)

/* What a test is run with. */
typedef struct RigConfig {
    const char *name;
    uint16_t size;
    bool packed;
    bool event_idx;
    uint16_t max_indirect; /* 0: not negotiated */
} RigConfig;

typedef struct Rig {
    GuestMem *mem;
    uint8_t *ring_host;    /* of RIG_RING */
    VirtqDriver *driver;
    VirtqSetup setup;
    Virtq vq;              /* running */
    struct iovec iov[2 * VIRTQ_MAX_IOV];
    VirtqChain chain[VIRTQ_MAX_IOV];
} Rig;

/* Split and packed, with and without tables and event index, sizes of 1 to 256 and odd ones. */
extern const RigConfig rig_configs[];
extern const unsigned rig_n_configs;

void rig_up(Rig *r, const RigConfig *c);
void rig_down(Rig *r);

/* The device's side anew: stopped, and started where it stopped. */
void rig_restart(Rig *r);

/* Adds and publishes a chain of @n_out and @n_in pieces of @len bytes, one behind another. */
uint16_t rig_add(Rig *r, unsigned n_out, unsigned n_in, uint32_t len);

/* Pops into r->chain, with all the room that there may be. */
int rig_pop(Rig *r, unsigned max);

/* Pushes r->chain[0..n-1] with 0 bytes and publishes them: whether the driver is to be called. */
bool rig_push(Rig *r, unsigned n);

/* The driver takes @n chains, and there are no more. */
void rig_get(Rig *r, unsigned n);

/* The host's address of a byte of the guest. */
uint8_t *rig_host(Rig *r, uint64_t gpa);

#endif
