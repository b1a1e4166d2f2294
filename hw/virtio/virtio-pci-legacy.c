/*
 * The registers of legacy drivers, in I/O space (VIRTIO 1.2, 4.1.4.10). The device's config space
 * follows, behind two more registers if MSI-X is enabled.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_pci.h>

#include "virtio-pci-internal.h"

static unsigned config_offset(const VirtioPci *p)
{
    return VIRTIO_PCI_CONFIG_OFF(pci_msix_is_enabled(p->msix));
}

static VirtioRegsRing *selected(VirtioPci *p)
{
    return virtio_regs_ring(&p->regs, p->ring_select);
}

static uint64_t read_vector(VirtioPci *p, uint64_t offset)
{
    if (offset == VIRTIO_MSI_CONFIG_VECTOR) {
        return p->config_vector;
    }
    return offset == VIRTIO_MSI_QUEUE_VECTOR && selected(p) ? p->ring_vector[p->ring_select]
                                                            : VIRTIO_MSI_NO_VECTOR;
}

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *p = opaque;
    VirtioRegsRing *ring = selected(p);

    if (offset >= config_offset(p)) {
        return virtio_regs_read_config(&p->regs, offset - config_offset(p), size);
    }
    switch (offset) {
    case VIRTIO_PCI_HOST_FEATURES:
        return virtio_regs_offered(&p->regs, 0);
    case VIRTIO_PCI_GUEST_FEATURES:
        return virtio_regs_accepted(&p->regs, 0);
    case VIRTIO_PCI_QUEUE_PFN:
        return ring && ring->enabled ? ring->at.desc >> VIRTIO_PCI_QUEUE_ADDR_SHIFT : 0;
    case VIRTIO_PCI_QUEUE_NUM:
        return ring ? virtio_regs_ring_size(ring) : 0;
    case VIRTIO_PCI_QUEUE_SEL:
        return p->ring_select;
    case VIRTIO_PCI_STATUS:
        return p->regs.status;
    case VIRTIO_PCI_ISR:
        return virtio_pci_take_isr(p);
    default:
        return read_vector(p, offset);
    }
}

static void write_vector(VirtioPci *p, uint64_t offset, uint64_t value)
{
    if (offset == VIRTIO_MSI_CONFIG_VECTOR) {
        p->config_vector = virtio_pci_vector(p, value);
    } else if (offset == VIRTIO_MSI_QUEUE_VECTOR && selected(p)) {
        p->ring_vector[p->ring_select] = virtio_pci_vector(p, value);
    }
}

static void legacy_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *p = opaque;
    VirtioRegsRing *ring = selected(p);

    if (offset >= config_offset(p)) {
        virtio_regs_write_config(&p->regs, offset - config_offset(p), value, size);
        return;
    }
    switch (offset) {
    case VIRTIO_PCI_GUEST_FEATURES:
        virtio_regs_accept_legacy(&p->regs, (uint32_t)value);
        break;
    case VIRTIO_PCI_QUEUE_PFN:
        if (ring) {
            virtio_regs_ring_set_page(ring, (uint32_t)value, VIRTIO_LEGACY_PAGE,
                                      VIRTIO_PCI_VRING_ALIGN);
        }
        break;
    case VIRTIO_PCI_QUEUE_SEL:
        p->ring_select = (uint16_t)value;
        break;
    case VIRTIO_PCI_QUEUE_NOTIFY:
        virtio_regs_notify(&p->regs, (uint16_t)value);
        break;
    case VIRTIO_PCI_STATUS:
        virtio_pci_set_status(p, (uint8_t)value);
        break;
    default:
        write_vector(p, offset, value);
        break;
    }
}

static const IoRegionOps legacy_ops = { 4, legacy_read, legacy_write };

void virtio_pci_add_legacy(VirtioPci *p)
{
    pci_device_add_bar(&p->pci, VIRTIO_PCI_LEGACY_BAR, PCI_BASE_ADDRESS_SPACE_IO,
                       VIRTIO_PCI_LEGACY_SIZE, &legacy_ops, p);
}
