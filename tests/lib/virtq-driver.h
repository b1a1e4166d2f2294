/*
 * A virtqueue as its driver has it, for tests, fuzzers and benchmarks: split and packed, direct
 * and indirect, with and without event index. It works on plain memory that the device has as a
 * guest's at some address, and knows nothing of transports: to kick is the caller's.
 *
 *     virtq_driver_add() ... virtq_driver_publish() and perhaps a kick
 *     virtq_driver_get() ... or virtq_driver_arm(), and wait for a call
 *
 * It tells the truth, and asserts that the device does. Who wants to lie writes into the ring's
 * memory: desc, avail, used; ring, driver_event, device_event.
 *
 * One thread at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTQ_DRIVER_H
#define TESTS_LIB_VIRTQ_DRIVER_H

#include <glib.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/virtio/virtq.h"

typedef struct VirtqDriverConfig {
    uint16_t size;         /* of the ring; a power of 2 unless it is packed */
    uint64_t features;     /* VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX, _INDIRECT_DESC */
    bool legacy;           /* laid out as a legacy driver's, with a page for the device's part */
    uint16_t max_indirect; /* pieces of an indirect chain; 0: no tables */
    uint8_t *mem;          /* virtq_driver_size() bytes for the ring and its tables, page aligned */
    uint64_t gpa;          /* of mem, for the device */
} VirtqDriverConfig;

/* A piece of a buffer, at the guest's address. */
typedef struct VirtqDriverPiece {
    uint64_t gpa;
    uint32_t len;
} VirtqDriverPiece;

/* What is under way, by its id. */
typedef struct VirtqDriverState {
    uint16_t n_slots;      /* of the ring; 0: not under way */
    uint16_t next;         /* free id behind it */
} VirtqDriverState;

typedef struct VirtqDriver {
    VirtqDriverConfig c;
    bool packed;
    bool event_idx;
    bool use_indirect;     /* for chains of more than one piece; may be changed at any time */
    /* A split ring in memory. */
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    /* A packed one. */
    struct vring_packed_desc *ring;
    struct vring_packed_desc_event *driver_event;
    struct vring_packed_desc_event *device_event;
    uint8_t *tables;       /* c.max_indirect descriptors for each id */
    /* Its own. Split: free-running indices; packed: offsets. */
    uint16_t next_avail;
    uint16_t published;    /* the device sees what was added up to here */
    uint16_t next_used;
    bool avail_wrap;
    bool published_wrap;
    bool used_wrap;
    uint16_t n_free;       /* slots */
    uint16_t free_id;      /* the first free one */
    uint16_t n_added;      /* slots since virtq_driver_publish() */
    uint64_t first;        /* packed: the first of those, written when they are published */
    VirtqDriverState *state;
} VirtqDriver;

/* Bytes of memory for a ring and its tables. */
size_t virtq_driver_size(const VirtqDriverConfig *c);

/* A fresh ring; what was in the memory is gone. The memory stays the caller's. */
VirtqDriver *virtq_driver_new(const VirtqDriverConfig *c);
void virtq_driver_free(VirtqDriver *d); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtqDriver, virtq_driver_free)

/* Where the parts of the ring are for the device: descriptors, driver's, device's. */
void virtq_driver_addresses(const VirtqDriver *d, uint64_t ret_gpa[3]);

/* How a transport would hand the ring to a device of the same process, as it is at first. */
VirtqSetup virtq_driver_setup(const VirtqDriver *d);

/*
 * Adds a chain of @n_out pieces to read, then @n_in to write; the device sees it after
 * virtq_driver_publish(). Returns its id; -1: the ring has not so many descriptors left.
 */
int virtq_driver_add(VirtqDriver *d, const VirtqDriverPiece *piece, unsigned n_out, unsigned n_in);

/* True: the device wants a kick. */
bool virtq_driver_publish(VirtqDriver *d);

/* Takes a chain that the device gave back, in its order; false: there is none. */
bool virtq_driver_get(VirtqDriver *d, uint16_t *ret_id, uint32_t *ret_len);

/* Asks for a call when the next chain comes back; true: it is there already. */
bool virtq_driver_arm(VirtqDriver *d);
void virtq_driver_disarm(VirtqDriver *d); /* no calls, please */

#endif
