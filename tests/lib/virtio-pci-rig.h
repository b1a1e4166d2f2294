/*
 * A virtio-net on a PCI bus of its own, with a fake netdev, and its driver in the same process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_PCI_RIG_H
#define TESTS_LIB_VIRTIO_PCI_RIG_H

#include "fake-netdev.h"
#include "hw/net/virtio-net.h"
#include "hw/virtio/virtio-pci.h"
#include "virtio-pci-guest.h"

typedef struct VirtioPciRigConfig {
    unsigned pairs;
    unsigned vectors;  /* 0: as many as it wants */
    uint64_t wanted;   /* features: VirtioPciGuest.wanted */
    bool legacy;       /* so is the driver; the device has both */
    bool msix;
} VirtioPciRigConfig;

typedef struct VirtioPciRig {
    VirtioPciRigConfig c;
    int ram_fd;
    AddressSpace *memory;
    AddressSpace *ports;
    PciBus *bus;
    Netdev *nd;
    VirtioNet *vn;
    VirtioPci *pci;
    VirtioPciGuest g;  /* its regions are placed, nothing is set up */
    unsigned running;  /* rings */
    unsigned warnings;
} VirtioPciRig;

void virtio_pci_rig_up(VirtioPciRig *r, const VirtioPciRigConfig *c);
/* Another device in its place, with another netdev: its driver has not noticed. It is held. */
void virtio_pci_rig_replace(VirtioPciRig *r);
void virtio_pci_rig_down(VirtioPciRig *r);
/* A packet each way by @pair, whose driver has posted a buffer. */
void virtio_pci_rig_pass(VirtioPciRig *r, unsigned pair);

#endif
