/*
 * Virtio devices by registers in memory (VIRTIO 1.2, 4.2): a machine's transports, each a place for
 * one device, and the devices there. All transports of a machine are legacy (version 1) or modern
 * (version 2). Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_MMIO_H
#define HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/core/address-space.h"
#include "hw/core/irq.h"
#include "hw/virtio/virtio-device.h"

#define VIRTIO_MMIO_SLOT_SIZE 0x200u
#define VIRTIO_MMIO_MAX_SLOTS 32u

typedef struct VirtioMmioBus VirtioMmioBus;
typedef struct VirtioMmio VirtioMmio;

typedef struct VirtioMmioBusConfig {
    uint64_t base;      /* of transport 0; the others follow */
    unsigned n;         /* transports, at most VIRTIO_MMIO_MAX_SLOTS */
    IrqLines *irq;
    unsigned first_irq; /* transport 0's line; the others follow */
    bool legacy;
} VirtioMmioBusConfig;

/* @memory and the lines outlive it. */
VirtioMmioBus *virtio_mmio_bus_new(AddressSpace *memory, const VirtioMmioBusConfig *config);
void virtio_mmio_bus_free(VirtioMmioBus *bus); /* no device is left; NULL is fine */
bool virtio_mmio_bus_is_free(const VirtioMmioBus *bus, unsigned slot);
void virtio_mmio_bus_reset(VirtioMmioBus *bus); /* the machine's reset */

typedef struct VirtioMmioEvents {
    void (*rings)(void *opaque, unsigned running);  /* so many are, from now on */
    void (*warned)(void *opaque, const char *text); /* a driver can cause many */
} VirtioMmioEvents;

/* At @slot, which is free. @type: VIRTIO_ID_*. @bus, @dev and @events outlive it. */
VirtioMmio *virtio_mmio_new(VirtioMmioBus *bus, unsigned slot, VirtioDevice *dev, uint16_t type,
                            const VirtioMmioEvents *events, void *opaque, GError **error);
void virtio_mmio_free(VirtioMmio *m); /* at once; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtioMmio, virtio_mmio_free)
/* Rings stay where they are, until it is off again; events say nothing of it. */
void virtio_mmio_hold(VirtioMmio *m, bool on);
/* Of one that is held; into one that is held. False: it is as after a reset. */
void virtio_mmio_save(VirtioMmio *m, GByteArray *out);
bool virtio_mmio_load(VirtioMmio *m, StateReader *in, GError **error);
/* A driver has begun to set it up. */
bool virtio_mmio_has_driver(const VirtioMmio *m);

#endif
