/*
 * The driver of a virtio-net that it sets up by registers, with rings in memory that it sees
 * directly: of a device in the same process, or of a program that a qtest socket leads to. The
 * ways to the registers are virtio-pci-guest.h and virtio-mmio-guest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_REGS_GUEST_H
#define TESTS_LIB_VIRTIO_REGS_GUEST_H

#include "virtq-driver.h"

#define VPG_MAX_RINGS   17u
#define VPG_RAM         (16u << 20) /* of memory, from its beginning on, that it needs */
#define VPG_PACKET      1000u       /* longest */
#define VPG_NO_ACK      0xee        /* no answer of a control queue */

/* How it gets at the machine. */
typedef struct VpgAccess {
    void (*read)(void *opaque, bool port, uint64_t addr, void *buf, size_t len);
    void (*write)(void *opaque, bool port, uint64_t addr, const void *buf, size_t len);
    void (*idle)(void *opaque); /* a moment passes */
    void *opaque;
    uint8_t *ram;
    uint64_t ram_base; /* address of its first byte */
} VpgAccess;

typedef struct VirtioPciGuest VirtioPciGuest;

/* One kind of registers. */
typedef struct VirtioRegsWay {
    uint8_t (*status)(VirtioPciGuest *g);
    void (*set_status)(VirtioPciGuest *g, uint8_t status);
    uint8_t (*take_isr)(VirtioPciGuest *g);
    uint8_t (*net_config)(VirtioPciGuest *g, unsigned offset);
    uint64_t (*offered)(VirtioPciGuest *g);
    void (*accept)(VirtioPciGuest *g, uint64_t features);
    void (*prepare)(VirtioPciGuest *g); /* before rings are set up; or NULL */
    void (*select)(VirtioPciGuest *g, unsigned index);
    unsigned (*ring_size)(VirtioPciGuest *g); /* of the selected one, as the device says */
    void (*set_up)(VirtioPciGuest *g, unsigned index, const VirtqDriver *d); /* the same */
    void (*notify)(VirtioPciGuest *g, unsigned index);
} VirtioRegsWay;

struct VirtioPciGuest {
    VpgAccess a;
    bool legacy;           /* by the legacy registers */
    uint64_t wanted;       /* features, of those that are offered */
    /* found */
    const VirtioRegsWay *way;
    uint64_t features;     /* negotiated */
    uint32_t hdr_len;
    unsigned n_rings;      /* with the control ring, which is the last one */
    VirtqDriver *ring[VPG_MAX_RINGS];
    /* on PCI */
    unsigned slot;
    bool msix;             /* interrupts are messages, a vector for each ring and the last */
    uint64_t common, isr, device, notify, msix_table, msix_pba;
    uint32_t notify_step;
    uint64_t port;         /* of the legacy registers */
    unsigned msix_cap;     /* 0: it has none */
    /* on MMIO */
    uint64_t base;
};

uint64_t vpg_in(VirtioPciGuest *g, uint64_t addr, unsigned len); /* registers in memory */
void vpg_out(VirtioPciGuest *g, uint64_t addr, uint64_t value, unsigned len);

uint8_t vpg_status(VirtioPciGuest *g);
void vpg_set_status(VirtioPciGuest *g, uint8_t status);
uint8_t vpg_take_isr(VirtioPciGuest *g);
/* Resets it, negotiates, sets up all rings, and lets it run. */
void vpg_start(VirtioPciGuest *g);
/* The same in its parts. False: it does not take the features. */
bool vpg_negotiate(VirtioPciGuest *g);
void vpg_add_ring(VirtioPciGuest *g, unsigned index);
void vpg_select(VirtioPciGuest *g, unsigned index);
unsigned vpg_ring_size(VirtioPciGuest *g, unsigned index); /* as the device says */
void vpg_reset(VirtioPciGuest *g);
void vpg_done(VirtioPciGuest *g); /* its own memory; the device may be gone */
uint8_t vpg_net_config(VirtioPciGuest *g, unsigned offset); /* a byte of the config space */

void vpg_kick(VirtioPciGuest *g, unsigned index); /* publishes, and kicks if that is wanted */
/* The next chain that came back, waited for. */
bool vpg_get(VirtioPciGuest *g, unsigned index, uint16_t *ret_id, uint32_t *ret_len);
void vpg_send(VirtioPciGuest *g, unsigned pair, const void *frame, size_t len); /* to its end */
void vpg_post(VirtioPciGuest *g, unsigned pair, unsigned n);
size_t vpg_recv(VirtioPciGuest *g, unsigned pair, void *frame); /* 0: nothing came */
size_t vpg_try_recv(VirtioPciGuest *g, unsigned pair, void *frame); /* 0: there is nothing yet */
/* False: the ring is full. */
bool vpg_try_send(VirtioPciGuest *g, unsigned pair, const void *frame, size_t len);
uint8_t vpg_command(VirtioPciGuest *g, uint8_t class, uint8_t command, const void *data,
                    size_t len);
uint8_t vpg_set_pairs(VirtioPciGuest *g, uint16_t pairs);

/* Evaluates @cond until it is true, while the machine runs. */
#define vpg_wait_for(g, cond) \
    do { \
        gint64 end_ = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; \
        while (!(cond)) { \
            if (g_get_monotonic_time() > end_) { \
                g_error("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #cond); \
            } \
            (g)->a.idle((g)->a.opaque); \
        } \
    } while (0)

#endif
