/*
 * Pairs of rings of a virtio-net that somebody else serves than our own threads. Who that may be,
 * and how it is told, is a row of operations for each.
 *
 * Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_H
#define HW_VIRTIO_VHOST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/virtio/guest-mem.h"
#include "hw/virtio/virtio-device.h"

#define VHOST_RINGS 2u /* of a pair: ring 0 is rx, ring 1 is tx */

typedef struct VhostPair {
    const GuestMem *mem;
    uint64_t features;      /* negotiated */
    const VirtioRing *ring; /* VHOST_RINGS of them, checked as virtq_start() asks for */
    int err_fd;             /* an eventfd: a ring cannot go on, see VhostOps.stop */
    uint16_t mtu;           /* that the driver was told; 0: none */
    int vhost_fd;           /* the kernel's: of /dev/vhost-net */
    int backend_fd;         /* and the tap's queue */
    struct VhostUserRemote *remote; /* vhost-user's: who has all pairs of the NIC */
    unsigned index;         /* and which of them it is */
} VhostPair;

typedef struct VhostOps {
    const char *name;
    /*
     * Feature bits that are its to offer: of these, a driver may be offered what features() has.
     * All others are none of its business.
     */
    uint64_t feature_mask;
    uint64_t (*features)(const VhostPair *p); /* 0: it does not say */
    /*
     * Hands both rings over; whoever had them has stopped. They are its own until stop(), and so
     * are the memory, its log, and the descriptors. False: it has neither of them, and @ret_base
     * is where to go on, as one of them may have run for a moment.
     */
    bool (*start)(const VhostPair *p, uint32_t ret_base[VHOST_RINGS], GError **error);
    /* Takes them back, with nothing under way. @ret_base: where to go on, VirtqSetup.base. */
    void (*stop)(const VhostPair *p, uint32_t ret_base[VHOST_RINGS]);
    /* Ring @ring, which it has, has another call descriptor. */
    bool (*set_call)(const VhostPair *p, unsigned ring, GError **error);
    /* Packets for @mac go to its guest from now on; any time. Optional. */
    void (*announce)(const VhostPair *p, const uint8_t mac[6]);
    /* It moves packets by the netdev's descriptors, headers and all, as our own threads could. */
    bool over_netdev;
} VhostOps;

/*
 * Where a ring of @p is whose server does not say: what the driver was given back is what was
 * taken. Packed, the ring itself says it to virtq_start().
 */
uint32_t vhost_base_of_ring(const VhostPair *p, unsigned ring);

#endif
