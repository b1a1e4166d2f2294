/*
 * A virtio device that does next to nothing, for tests of what is around it: it notes each call,
 * answers as it is told to, and, where asked, has its rings as real virtqueues and gives chains
 * back, with a byte of its own in each byte that it may write.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_STUB_H
#define TESTS_LIB_VIRTIO_STUB_H

#include "hw/virtio/virtio-device.h"

#define VIRTIO_STUB_CONFIG 24u   /* bytes of configuration: 1, 2, 3... */
#define VIRTIO_STUB_BYTE   0xa5u /* what it writes */

typedef struct VirtioStubRing {
    bool running;
    bool enabled;
    VirtioRing ring;   /* as it was started; call_fd as it is now */
    uint32_t base;     /* what ring_stop says, without virtqueues */
    Virtq vq;
} VirtioStubRing;

typedef struct VirtioStub {
    VirtioDevice dev;
    VirtioDeviceOps ops;  /* the device's: may be changed */
    GString *calls;       /* since virtio_stub_expect(), with a blank behind each */
    uint64_t offered;
    uint64_t features;
    bool refuse_features;
    bool refuse_ring;
    bool refuse_config;
    bool refuse_mtu;
    bool virtqueues;      /* rings that start are those of virtq.h */
    uint8_t config[VIRTIO_STUB_CONFIG];
    VirtioStubRing *ring;
} VirtioStub;

VirtioStub *virtio_stub_new(unsigned n_rings);
void virtio_stub_free(VirtioStub *s); /* no ring is running */

/* What it was asked since this was called last, as in "features=0x1 start=0,256 enable=0,1". */
void virtio_stub_expect(VirtioStub *s, const char *calls);

/*
 * Takes chains off ring @index and gives them back; at most @max. How many; -1: it is broken. For
 * the thread that has the ring.
 */
int virtio_stub_serve(VirtioStub *s, unsigned index, unsigned max);

#endif
