/*
 * The ports by which an ACPI guest learns of devices that are to go, and lets go of them, as those
 * of QEMU's pc: a bit for each slot of bus 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pci-internal.h"

#define EJECT_DOWN    0x04u
#define EJECT_EJECT   0x08u
#define EJECT_REMOVES 0x0cu /* slots that can be ejected */

static void eject_slot(PciBus *bus, unsigned slot)
{
    bus->going &= ~(1u << slot);
    for (unsigned f = 0; f < PCI_FUNCTIONS; f++) {
        PciDevice *d = bus->device[PCI_DEVFN(slot, f)];

        if (d && d->ops && d->ops->ejected) {
            d->ops->ejected(d);
        }
    }
}

static uint32_t eject_removable(const PciBus *bus)
{
    uint32_t slots = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(bus->device); i++) {
        const PciDevice *d = bus->device[i];

        slots |= d && d->ops && d->ops->ejected ? 1u << i / PCI_FUNCTIONS : 0;
    }
    return slots;
}

static uint64_t eject_read(void *opaque, uint64_t offset, unsigned size)
{
    const PciBus *bus = opaque;

    if (size != 4) {
        return 0;
    }
    switch (offset) {
    case EJECT_DOWN:
        return bus->going;
    case EJECT_REMOVES:
        return eject_removable(bus);
    default:
        return 0;
    }
}

/* Only of what was asked for: a guest that ejects what it likes would free it under its user. */
static void eject_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciBus *bus = opaque;

    for (unsigned slot = 0; offset == EJECT_EJECT && slot < PCI_SLOTS; slot++) {
        if (value & bus->going & (1u << slot)) {
            eject_slot(bus, slot);
        }
    }
}

const IoRegionOps pci_eject_ops = { 4, eject_read, eject_write };

void pci_bus_request_eject(PciDevice *d)
{
    PciBus *bus = d->bus;

    bus->going |= 1u << d->devfn / PCI_FUNCTIONS;
    if (!bus->guest) {
        eject_slot(bus, d->devfn / PCI_FUNCTIONS);
    }
}

void pci_bus_reset(PciBus *bus)
{
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (bus->going & (1u << slot)) {
            eject_slot(bus, slot);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bus->device); i++) {
        if (bus->device[i]) {
            pci_device_reset(bus->device[i]);
        }
    }
    bus->address = 0;
}
