/*
 * MSI-X (PCI Local Bus 3.0, 6.8.2): interrupts that are writes to the guest's memory, each of
 * which it can mask. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_PCI_MSIX_H
#define HW_PCI_MSIX_H

#include "hw/pci/pci.h"

#define PCI_MSIX_MAX_VECTORS 2048u

typedef struct PciMsix PciMsix;

/*
 * Gives @d a capability and region @bar with the tables of @n_vectors, 1 to PCI_MSIX_MAX_VECTORS,
 * laid out as QEMU does. Before pci_device_complete(). Goes before @d does.
 */
PciMsix *pci_msix_new(PciDevice *d, unsigned bar, unsigned n_vectors);
void pci_msix_free(PciMsix *m); /* NULL is fine, for all of these */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciMsix, pci_msix_free)

unsigned pci_msix_vectors(const PciMsix *m);
bool pci_msix_is_enabled(const PciMsix *m);
/*
 * The interrupt of @vector, if it is one of them and MSI-X is enabled: pending as long as it is
 * masked. It writes where memory is, and nowhere else.
 */
void pci_msix_notify(PciMsix *m, unsigned vector);

void pci_msix_save(const PciMsix *m, GByteArray *out);
/* After pci_device_load(). False: it has another number of vectors. */
bool pci_msix_load(PciMsix *m, StateReader *in, GError **error);

/* From the device's PciDeviceOps. */
void pci_msix_config_written(PciMsix *m);
void pci_msix_reset(PciMsix *m);

#endif
