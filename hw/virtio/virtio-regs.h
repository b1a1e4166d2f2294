/*
 * A device as a driver sees it that sets it up by registers (VIRTIO 1.2, 2.1, 2.2 and 3.1): status,
 * features, rings. PCI and MMIO are two ways to write the same; each has one of these.
 *
 * Main thread only. Rings are served by whatever thread the device has for them: eventfds lead
 * there and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_REGS_H
#define HW_VIRTIO_VIRTIO_REGS_H

#include "hw/core/address-space.h"
#include "hw/virtio/virtio-device.h"
#include "util/state.h"
#include "virtq-layout.h"

/* A driver's page, and the alignment of what is behind it (VIRTIO 1.2, 2.7.2 and 4.1.5.1.3). */
#define VIRTIO_LEGACY_PAGE 4096u

typedef struct VirtioRegs VirtioRegs;

typedef struct VirtioRegsOps {
    void (*ring_interrupt)(void *opaque, unsigned index);
    void (*config_interrupt)(void *opaque);
    void (*rings)(void *opaque, unsigned running); /* so many are, from now on */
    void (*warned)(void *opaque, const char *text); /* a driver can cause many */
} VirtioRegsOps;

typedef struct VirtioRegsRing {
    VirtioRegs *regs;
    unsigned index;
    uint16_t size;      /* 0: the driver has not said, it is the largest */
    VirtqAddrs at;      /* in the guest's addresses */
    bool enabled;
    bool running;
    uint32_t base;      /* VirtqSetup.base, while it does not run */
    int kick_fd;        /* -1: it never ran */
    int call_fd;
    guint call_tag;
} VirtioRegsRing;

struct VirtioRegs {
    VirtioDevice *dev;
    const VirtioRegsOps *ops;
    void *opaque;
    GuestMem *mem;
    VirtioRegsRing *ring;   /* dev->n_rings */
    unsigned running;
    uint8_t status;
    uint8_t generation;     /* of the config space */
    bool dma;               /* the device may reach memory */
    bool held;              /* rings stay where they are */
    uint64_t accepted;      /* by the driver, as far as it has said */
    uint64_t features;      /* negotiated */
};

/* @dev outlives it. Its memory is what @memory has now. */
bool virtio_regs_init(VirtioRegs *r, VirtioDevice *dev, const AddressSpace *memory,
                      const VirtioRegsOps *ops, void *opaque, GError **error);
void virtio_regs_done(VirtioRegs *r); /* resets; fine for a zeroed one */
void virtio_regs_reset(VirtioRegs *r);

/* 32 bits of the features, 0: the lower ones; of others there are none. */
uint32_t virtio_regs_offered(const VirtioRegs *r, unsigned word);
/* Without those that no modern driver accepts. */
uint32_t virtio_regs_offered_modern(const VirtioRegs *r, unsigned word);
uint32_t virtio_regs_accepted(const VirtioRegs *r, unsigned word);
void virtio_regs_accept(VirtioRegs *r, unsigned word, uint32_t bits);
/* By a legacy driver: negotiated at once. */
void virtio_regs_accept_legacy(VirtioRegs *r, uint32_t bits);

/* 0 resets. FEATURES_OK is not set by a negotiation that fails. */
void virtio_regs_set_status(VirtioRegs *r, uint8_t status);
/* Rings run only where the device may reach memory. */
void virtio_regs_set_dma(VirtioRegs *r, bool on);

/*
 * Held, no ring runs, whatever the driver does; rings() is not told. Where they stand is the base
 * of each then.
 */
void virtio_regs_hold(VirtioRegs *r, bool on);

/* --- virtio-regs-state.c --- */

/* Of one that is held: with the state of the device. */
void virtio_regs_save(VirtioRegs *r, GByteArray *out);
/* Into one that is held, and was reset. False: it is to be reset. */
bool virtio_regs_load(VirtioRegs *r, StateReader *in, GError **error);

/* --- virtio-regs.c --- */

/* NULL: with the features that were negotiated there is no such ring. */
VirtioRegsRing *virtio_regs_ring(VirtioRegs *r, unsigned index);
unsigned virtio_regs_n_rings(VirtioRegs *r);
uint16_t virtio_regs_ring_size(const VirtioRegsRing *ring);
uint16_t virtio_regs_ring_max(const VirtioRegsRing *ring);
/* One that is enabled, or a size that is none, stays as it is. */
void virtio_regs_ring_set_size(VirtioRegsRing *ring, uint16_t size);
/* One half of an address, by its bytes. */
void virtio_regs_ring_set_half(VirtioRegsRing *ring, uint64_t *at, bool high, uint32_t value);
void virtio_regs_ring_enable(VirtioRegsRing *ring);
/* As it was before the driver set it up: for VIRTIO_F_RING_RESET, and for drivers that go. */
void virtio_regs_ring_reset(VirtioRegsRing *ring);
/* A legacy ring begins at @page of @page_size bytes; 0: there is none any more. */
void virtio_regs_ring_set_page(VirtioRegsRing *ring, uint32_t page, uint32_t page_size,
                               uint32_t align);
void virtio_regs_notify(VirtioRegs *r, unsigned index);

/* The device's config space, @size at most 8 bytes of it, the first one lowest. */
uint64_t virtio_regs_read_config(VirtioRegs *r, uint64_t offset, unsigned size);
void virtio_regs_write_config(VirtioRegs *r, uint64_t offset, uint64_t value, unsigned size);

#endif
