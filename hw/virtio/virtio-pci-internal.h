/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_VIRTIO_VIRTIO_PCI_INTERNAL_H
#define HW_VIRTIO_VIRTIO_PCI_INTERNAL_H

#include "hw/pci/msix.h"
#include "hw/virtio/virtio-pci.h"
#include "virtio-regs.h"

/* Regions, and what is where in that of modern drivers: as QEMU has them. */
#define VIRTIO_PCI_LEGACY_BAR  0u
#define VIRTIO_PCI_MSIX_BAR    1u
#define VIRTIO_PCI_MODERN_BAR  4u
#define VIRTIO_PCI_LEGACY_SIZE 64u
#define VIRTIO_PCI_PART_SIZE   0x1000u
#define VIRTIO_PCI_NOTIFY_STEP 4u

typedef enum VirtioPciPart {
    VIRTIO_PCI_COMMON,
    VIRTIO_PCI_ISR_PART,
    VIRTIO_PCI_DEVICE,
    VIRTIO_PCI_NOTIFY,
    VIRTIO_PCI_PARTS,
} VirtioPciPart;

struct VirtioPci {
    PciDevice pci;
    VirtioRegs regs;
    PciMsix *msix;         /* NULL: it has none */
    const VirtioPciEvents *events;
    void *opaque;
    uint8_t isr;
    uint16_t config_vector;
    uint16_t *ring_vector; /* of each ring; VIRTIO_MSI_NO_VECTOR: none */
    unsigned cfg_cap;      /* VIRTIO_PCI_CAP_PCI_CFG; 0: it has none */
    /* registers */
    uint32_t device_select;
    uint32_t driver_select;
    uint16_t ring_select;
};

/* What the driver may name as a vector; else VIRTIO_MSI_NO_VECTOR. */
uint16_t virtio_pci_vector(const VirtioPci *p, uint64_t value);
/* Reading it is to take note. */
uint8_t virtio_pci_take_isr(VirtioPci *p);
void virtio_pci_reset_registers(VirtioPci *p);
void virtio_pci_set_status(VirtioPci *p, uint8_t status);

/* virtio-pci-modern.c: before pci_device_complete(). */
void virtio_pci_add_modern(VirtioPci *p);
void virtio_pci_cfg_read(VirtioPci *p, unsigned offset, unsigned len);
void virtio_pci_cfg_written(VirtioPci *p, unsigned offset, unsigned len);

/* virtio-pci-legacy.c */
void virtio_pci_add_legacy(VirtioPci *p);

#endif
