/*
 * What a virtio device on PCI is besides its registers: identity, interrupts, and how it comes and
 * goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-pci-internal.h"

#include <linux/virtio_pci.h>

#include "util/container-of.h"

#define VENDOR_REDHAT  0x1af4
#define MODERN_ID      0x1040 /* + the type (VIRTIO 1.2, 4.1.2) */
#define SUBSYSTEM_QEMU 0x1100

static VirtioPci *virtio_pci_of(PciDevice *d)
{
    return container_of(d, VirtioPci, pci);
}

/* --- interrupts --- */

static void raise_interrupt(VirtioPci *p, uint8_t why, uint16_t vector)
{
    p->isr |= why;
    if (pci_msix_is_enabled(p->msix)) {
        pci_msix_notify(p->msix, vector);
    } else {
        pci_device_set_irq(&p->pci, true);
    }
}

static void on_ring_interrupt(void *opaque, unsigned index)
{
    VirtioPci *p = opaque;

    raise_interrupt(p, 1, p->ring_vector[index]);
}

static void on_config_interrupt(void *opaque)
{
    VirtioPci *p = opaque;

    raise_interrupt(p, 1 | VIRTIO_PCI_ISR_CONFIG, p->config_vector);
}

static void on_rings(void *opaque, unsigned running)
{
    VirtioPci *p = opaque;

    p->events->rings(p->opaque, running);
}

static void on_warned(void *opaque, const char *text)
{
    VirtioPci *p = opaque;

    p->events->warned(p->opaque, text);
}

static const VirtioRegsOps regs_ops = {
    .ring_interrupt = on_ring_interrupt,
    .config_interrupt = on_config_interrupt,
    .rings = on_rings,
    .warned = on_warned,
};

uint16_t virtio_pci_vector(const VirtioPci *p, uint64_t value)
{
    return value < pci_msix_vectors(p->msix) ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

uint8_t virtio_pci_take_isr(VirtioPci *p)
{
    uint8_t isr = p->isr;

    p->isr = 0;
    pci_device_set_irq(&p->pci, false);
    return isr;
}

/* --- what both kinds of registers have --- */

void virtio_pci_reset_registers(VirtioPci *p)
{
    virtio_regs_reset(&p->regs);
    virtio_pci_take_isr(p);
    p->config_vector = VIRTIO_MSI_NO_VECTOR;
    for (unsigned i = 0; i < p->regs.dev->n_rings; i++) {
        p->ring_vector[i] = VIRTIO_MSI_NO_VECTOR;
    }
    p->device_select = p->driver_select = 0;
    p->ring_select = 0;
}

void virtio_pci_set_status(VirtioPci *p, uint8_t status)
{
    if (status == 0) {
        virtio_pci_reset_registers(p);
    } else {
        virtio_regs_set_status(&p->regs, status);
    }
}

/* --- as a PCI device --- */

static void config_read(PciDevice *d, unsigned offset, unsigned len)
{
    virtio_pci_cfg_read(virtio_pci_of(d), offset, len);
}

static void config_written(PciDevice *d, unsigned offset, unsigned len)
{
    VirtioPci *p = virtio_pci_of(d);

    virtio_regs_set_dma(&p->regs, pci_device_is_master(d));
    pci_msix_config_written(p->msix);
    virtio_pci_cfg_written(p, offset, len);
}

static void reset(PciDevice *d)
{
    VirtioPci *p = virtio_pci_of(d);

    virtio_pci_reset_registers(p);
    virtio_regs_set_dma(&p->regs, false);
    pci_msix_reset(p->msix);
}

static void ejected(PciDevice *d)
{
    VirtioPci *p = virtio_pci_of(d);

    p->events->ejected(p->opaque);
}

static const PciDeviceOps pci_ops = {
    .config_read = config_read,
    .config_written = config_written,
    .reset = reset,
    .ejected = ejected,
};

static void virtio_pci_build(VirtioPci *p, const VirtioPciConfig *config)
{
    pci_device_init(&p->pci, &(PciIdentity){
        .vendor = VENDOR_REDHAT,
        .device = config->legacy ? config->legacy_id : (uint16_t)(MODERN_ID + config->type),
        .revision = config->legacy ? 0 : 1,
        .class = config->class,
        .subsystem_vendor = VENDOR_REDHAT,
        .subsystem = config->legacy ? config->type : SUBSYSTEM_QEMU,
        .interrupt = true,
    });
    if (config->legacy) {
        virtio_pci_add_legacy(p);
    }
    if (config->modern) {
        virtio_pci_add_modern(p);
    }
    if (config->vectors > 0) {
        p->msix = pci_msix_new(&p->pci, VIRTIO_PCI_MSIX_BAR, config->vectors);
    }
    pci_device_complete(&p->pci);
}

VirtioPci *virtio_pci_new(PciBus *bus, VirtioDevice *dev, const VirtioPciConfig *config,
                          const VirtioPciEvents *events, void *opaque, GError **error)
{
    g_autoptr(VirtioPci) p = g_new0(VirtioPci, 1);

    g_assert(config->legacy || config->modern);
    p->pci = (PciDevice){ .ops = &pci_ops, .kind = config->kind, .id = config->id };
    p->events = events;
    p->opaque = opaque;
    p->ring_vector = g_new(uint16_t, dev->n_rings);
    if (!virtio_regs_init(&p->regs, dev, pci_bus_memory(bus), &regs_ops, p, error)) {
        return NULL;
    }
    virtio_pci_build(p, config);
    virtio_pci_reset_registers(p);
    return pci_bus_add(bus, &p->pci, config->devfn, error) ? g_steal_pointer(&p) : NULL;
}

void virtio_pci_free(VirtioPci *p)
{
    if (p) {
        pci_bus_remove(&p->pci);
        virtio_regs_done(&p->regs);
        pci_msix_free(p->msix);
        g_free(p->ring_vector);
        g_free(p);
    }
}

void virtio_pci_request_eject(VirtioPci *p)
{
    pci_bus_request_eject(&p->pci);
}

void virtio_pci_hold(VirtioPci *p, bool on)
{
    virtio_regs_hold(&p->regs, on);
}

bool virtio_pci_has_driver(const VirtioPci *p)
{
    return p->regs.status != 0;
}

uint8_t virtio_pci_devfn(const VirtioPci *p)
{
    return p->pci.devfn;
}
