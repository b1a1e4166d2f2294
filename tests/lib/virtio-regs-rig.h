/*
 * A virtio-net on a PCI bus of its own, or at one of a machine's virtio-mmio transports, with a
 * fake netdev, and its driver in the same process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_REGS_RIG_H
#define TESTS_LIB_VIRTIO_REGS_RIG_H

#include "fake-netdev.h"
#include "hw/net/virtio-net.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "virtio-mmio-guest.h"
#include "virtio-pci-guest.h"

#define VIRTIO_REGS_RIG_SLOTS 8u  /* transports */
#define VIRTIO_REGS_RIG_BASE  0x0a000000u
#define VIRTIO_REGS_RIG_SLOT  5u  /* the device's */
#define VIRTIO_REGS_RIG_IRQ   16u /* of transport 0 */

typedef struct VirtioRegsRigConfig {
    unsigned pairs;
    unsigned vectors;  /* 0: as many as it wants */
    uint64_t wanted;   /* features: VirtioPciGuest.wanted */
    bool legacy;       /* so is the driver; on PCI the device has both */
    bool msix;
    bool mmio;
    void (*prepare)(Netdev *nd); /* before a device has it; NULL: nothing to do */
} VirtioRegsRigConfig;

typedef struct VirtioRegsRig {
    VirtioRegsRigConfig c;
    int ram_fd;
    AddressSpace *memory;
    AddressSpace *ports;
    PciBus *bus;
    IrqLines *irq;
    VirtioMmioBus *mmio_bus;
    Netdev *nd;
    VirtioNet *vn;
    VirtioPci *pci;    /* one of both */
    VirtioMmio *mmio;
    VirtioPciGuest g;  /* its registers are found, nothing is set up */
    unsigned running;  /* rings */
    unsigned warnings;
} VirtioRegsRig;

void virtio_regs_rig_up(VirtioRegsRig *r, const VirtioRegsRigConfig *c);
/* Another device in its place, with another netdev: its driver has not noticed. It is held. */
void virtio_regs_rig_replace(VirtioRegsRig *r);
void virtio_regs_rig_down(VirtioRegsRig *r);
/* As virtio_pci_hold(), and so on. */
void virtio_regs_rig_hold(VirtioRegsRig *r, bool on);
GByteArray *virtio_regs_rig_save(VirtioRegsRig *r); /* it is held from then on */
bool virtio_regs_rig_load(VirtioRegsRig *r, const uint8_t *data, size_t len, GError **error);
/* To another device, which goes on with the rings that ran. */
void virtio_regs_rig_move(VirtioRegsRig *r);
bool virtio_regs_rig_has_driver(const VirtioRegsRig *r);
void virtio_regs_rig_reset(VirtioRegsRig *r); /* of the machine */
void virtio_regs_rig_find(VirtioRegsRig *r);  /* the driver does */
/* The device raises an interrupt that is no message. */
bool virtio_regs_rig_irq(VirtioRegsRig *r);
/* A frame of 60 bytes to all comes from outside. */
void virtio_regs_rig_give(VirtioRegsRig *r);
/* A packet each way by @pair, whose driver has posted a buffer. */
void virtio_regs_rig_pass(VirtioRegsRig *r, unsigned pair);

#endif
