/*
 * What stands between a kind of device (virtio-net) and a way to its driver (vhost-user, PCI,
 * MMIO): the transport finds out what the driver wants, and hands rings over.
 *
 * Main thread only. A ring's descriptors and memory stay valid until virtio_ring_stop() returned.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_DEVICE_H
#define HW_VIRTIO_VIRTIO_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/virtio/guest-mem.h"
#include "hw/virtio/virtq.h"
#include "util/state.h"

typedef struct VirtioDevice VirtioDevice;

/* A ring that starts. */
typedef struct VirtioRing {
    VirtqSetup setup;
    int kick_fd;  /* an eventfd; -1: the driver doesn't kick, we look */
    int call_fd;  /* -1: the driver looks */
    bool enabled; /* as ring_enable() would say: there is no moment without */
} VirtioRing;

typedef struct VirtioDeviceOps {
    /* Feature bits that a driver may choose from, with the VIRTIO_F_* that virtq.h knows. */
    uint64_t (*features)(VirtioDevice *d);
    /* Before any ring starts; a subset of features(). False: they don't go together. */
    bool (*set_features)(VirtioDevice *d, uint64_t features, GError **error);
    /* Config space: @len bytes at @offset, zeros behind its end. */
    void (*get_config)(VirtioDevice *d, uint32_t offset, uint8_t *ret, uint32_t len);
    bool (*set_config)(VirtioDevice *d, uint32_t offset, const uint8_t *data, uint32_t len);
    /*
     * How long ring @index may be with the features that were negotiated; 0: it is not there.
     * Asked for where the driver sees our registers: a VMM of its own decides by itself.
     */
    uint16_t (*ring_size)(VirtioDevice *d, unsigned index); /* optional */
    /* Ring @index goes to its thread. */
    bool (*ring_start)(VirtioDevice *d, unsigned index, const VirtioRing *ring, GError **error);
    /* Back from its thread, nothing is under way any more. Where to go on: VirtqSetup.base. */
    uint32_t (*ring_stop)(VirtioDevice *d, unsigned index);
    /* A disabled ring takes and forgets what the driver sends, and gives it nothing. Any time. */
    void (*ring_enable)(VirtioDevice *d, unsigned index, bool on);
    /* Another call descriptor for a running ring; -1: none. The former is not used any more. */
    void (*ring_set_call)(VirtioDevice *d, unsigned index, int call_fd);
    /*
     * Packets for @mac come here from now on: the host's switches are to learn it. A driver that
     * can tell them more is asked to, by config_changed().
     */
    void (*announce)(VirtioDevice *d, const uint8_t mac[6]);      /* optional */
    bool (*set_mtu)(VirtioDevice *d, uint16_t mtu, GError **error); /* optional */
    /*
     * What the driver told it by other ways than rings' addresses and features. No ring is
     * running. It is loaded after set_features(), and where that was before reset().
     */
    void (*save)(VirtioDevice *d, GByteArray *out);                       /* optional */
    bool (*load)(VirtioDevice *d, StateReader *in, GError **error);       /* where save is */
    /* No ring is running, nothing is negotiated: as it was when it was made. */
    void (*reset)(VirtioDevice *d);
} VirtioDeviceOps;

/* What a device tells its transport. */
typedef struct VirtioTransportOps {
    void (*config_changed)(void *opaque);
    /* Ring @index moves nothing any more; @reason is a literal. It is still to be stopped. */
    void (*ring_broken)(void *opaque, unsigned index, const char *reason);
} VirtioTransportOps;

struct VirtioDevice {
    const VirtioDeviceOps *ops;
    unsigned n_rings;
    GuestMem *mem;       /* the transport's; set before a ring starts, stays while one runs */
    const VirtioTransportOps *transport; /* NULL: none at present */
    void *transport_opaque;
};

#endif
