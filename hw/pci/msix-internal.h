/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_PCI_MSIX_INTERNAL_H
#define HW_PCI_MSIX_INTERNAL_H

#include "hw/pci/msix.h"

struct PciMsix {
    PciDevice *d;
    unsigned cap;
    unsigned n;
    unsigned pba;         /* offset of the bits of pending vectors, behind the table */
    uint8_t *table;       /* n entries, little-endian */
    uint64_t *pending;
};

/* Of the control word of @vector one bit is there. */
void pci_msix_trim_entry(PciMsix *m, unsigned vector);

#endif
