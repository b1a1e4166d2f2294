/*
 * A PCI bus with memory, and a made-up device on it, driven by ports as a guest does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_PCI_TOY_H
#define TESTS_LIB_PCI_TOY_H

#include "hw/pci/msix.h"
#include "hw/pci/pci.h"

#define PCI_TOY_RAM  0x1000u  /* where memory begins */
#define PCI_TOY_SLOT 4u

typedef struct PciToy {
    AddressSpace *memory;
    AddressSpace *ports;
    PciBus *bus;
    uint8_t ram[8192];
    PciDevice d;       /* an I/O region 0 of 32 bytes, and region 4 of 16 KiB, 64 bits wide */
    PciMsix *msix;     /* region 1 */
    uint64_t reg;      /* what its regions hold, all of them */
    GString *log;      /* what it was told */
} PciToy;

/* Not on the bus yet; @n_vectors of MSI-X. */
void pci_toy_init(PciToy *t, unsigned n_vectors);
void pci_toy_add(PciToy *t); /* to PCI_TOY_SLOT */
void pci_toy_done(PciToy *t);

/* By the configuration ports; @len 1, 2 or 4. */
uint32_t pci_toy_in(PciToy *t, unsigned slot, unsigned offset, unsigned len);
void pci_toy_out(PciToy *t, unsigned slot, unsigned offset, uint32_t value, unsigned len);
uint32_t pci_toy_read(AddressSpace *as, uint64_t addr); /* 4 bytes */
void pci_toy_write(AddressSpace *as, uint64_t addr, uint32_t value);

#endif
