/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_PCI_PCI_INTERNAL_H
#define HW_PCI_PCI_INTERNAL_H

#include "hw/pci/pci.h"

#define PCI_SLOTS     32u
#define PCI_FUNCTIONS 8u

struct PciBus {
    AddressSpace *memory;
    AddressSpace *ports;
    PciDevice *device[PCI_SLOTS * PCI_FUNCTIONS]; /* by devfn */
    PciDevice host_bridge;
    PciDevice isa_bridge;
    IoRegion address_port;
    IoRegion data_port;
    IoRegion eject_ports;
    uint32_t address;     /* of the next access to configuration space */
    uint32_t going;       /* slots that the guest is asked to let go of */
    bool guest;
};

/* pci-eject.c: ACPI's ports. */
extern const IoRegionOps pci_eject_ops;
#define PCI_EJECT_PORTS 0xae00u
#define PCI_EJECT_SIZE  20u

#endif
