/*
 * A virtio device on a PCI bus (VIRTIO 1.2, 4.1): modern, legacy, or both. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio-device.h"

typedef struct VirtioPci VirtioPci;

typedef struct VirtioPciConfig {
    const char *kind;     /* the class's name */
    const char *id;       /* the device's; both outlive it */
    uint16_t type;        /* VIRTIO_ID_* */
    uint16_t legacy_id;   /* PCI's device id, where a legacy driver may come */
    uint32_t class;       /* PCI's */
    int devfn;            /* or PCI_ANY_DEVFN */
    bool legacy, modern;  /* one of them at least */
    unsigned vectors;     /* of MSI-X, at most PCI_MSIX_MAX_VECTORS; 0: it has none */
} VirtioPciConfig;

typedef struct VirtioPciEvents {
    void (*rings)(void *opaque, unsigned running);  /* so many are, from now on */
    void (*warned)(void *opaque, const char *text); /* a driver can cause many */
    void (*ejected)(void *opaque);                  /* virtio_pci_free() is due, later */
} VirtioPciEvents;

/* @bus, @dev and @events outlive it. It is on the bus, and the guest may find it. */
VirtioPci *virtio_pci_new(PciBus *bus, VirtioDevice *dev, const VirtioPciConfig *config,
                          const VirtioPciEvents *events, void *opaque, GError **error);
void virtio_pci_free(VirtioPci *p); /* at once; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtioPci, virtio_pci_free)
/* ejected() follows, at once or when the guest has let go of it. */
void virtio_pci_request_eject(VirtioPci *p);
/* Rings stay where they are, until it is off again; events say nothing of it. */
void virtio_pci_hold(VirtioPci *p, bool on);
/* Of one that is held; into one that is held. False: it is as after a reset. */
void virtio_pci_save(VirtioPci *p, GByteArray *out);
bool virtio_pci_load(VirtioPci *p, StateReader *in, GError **error);
/* A driver has begun to set it up. */
bool virtio_pci_has_driver(const VirtioPci *p);
uint8_t virtio_pci_devfn(const VirtioPci *p);

#endif
