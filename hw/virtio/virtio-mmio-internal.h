/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_VIRTIO_VIRTIO_MMIO_INTERNAL_H
#define HW_VIRTIO_VIRTIO_MMIO_INTERNAL_H

#include "hw/virtio/virtio-mmio.h"
#include "virtio-regs.h"

/* Largest that a driver's page can be: of no more bits (QEMU). */
#define VIRTIO_MMIO_MAX_SHIFT 31u

typedef struct VirtioMmioSlot {
    VirtioMmioBus *bus;
    IoRegion region;
    unsigned irq;
    VirtioMmio *device; /* NULL: there is none */
} VirtioMmioSlot;

struct VirtioMmioBus {
    AddressSpace *memory;
    IrqLines *irq;
    bool legacy;
    unsigned n;
    VirtioMmioSlot slot[VIRTIO_MMIO_MAX_SLOTS];
};

struct VirtioMmio {
    VirtioMmioSlot *slot;
    VirtioRegs regs;
    const VirtioMmioEvents *events;
    void *opaque;
    uint16_t type;
    uint8_t isr;
    /* registers */
    uint32_t device_select;
    uint32_t driver_select;
    uint32_t ring_select;
    /* legacy ones; they outlive a driver's reset, before which Linux writes the first */
    uint8_t page_shift;
    uint32_t *ring_align; /* of each ring */
};

void virtio_mmio_set_isr(VirtioMmio *m, uint8_t isr);
/* By the driver. */
void virtio_mmio_reset_registers(VirtioMmio *m);
/* By the machine: also what a driver's leaves as it was. */
void virtio_mmio_reset(VirtioMmio *m);

/* virtio-mmio-regs.c; the opaque is a VirtioMmioSlot. */
extern const IoRegionOps virtio_mmio_ops;

#endif
