/*
 * A virtqueue as the device has it: split or packed (VIRTIO 1.2, 2.7 and 2.8). Chains of buffers
 * come out in batches and go back in the order they came; the driver is told at most once a
 * batch. What a driver wrote is read once, and only the copy is judged and used.
 *
 * Knows no kind of device, and no transport. Data path: no allocation; one thread has it from
 * virtq_start() to virtq_stop().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQ_H
#define HW_VIRTIO_VIRTQ_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "hw/virtio/guest-mem.h"

#define VIRTQ_MAX_SIZE 32768u
/* Pieces of a chain, at most; longer ones are bad. As QEMU's VIRTQUEUE_MAX_SIZE. */
#define VIRTQ_MAX_IOV  1024u

/* A ring as the driver set it up, checked by virtq_start() only where it says so. */
typedef struct VirtqSetup {
    uint16_t size;       /* split: a power of 2; packed: any but 0 */
    void *desc;          /* descriptor table; packed: the ring */
    void *driver;        /* avail ring; packed: the driver's event suppression */
    void *device;        /* used ring; packed: the device's */
    uint64_t features;   /* negotiated VIRTIO_F_* and VIRTIO_RING_F_* */
    /*
     * Writes to the ring itself are marked in the dirty log: split, of the used ring at @log_gpa;
     * packed, where its two parts are in memory, as what VMMs say of them differs.
     */
    bool log;
    uint64_t log_gpa;
    /*
     * Where to go on. Split: the avail index, and where that differs from the used ring's index,
     * the latter, as chains go back in order. Packed: low half avail, high half used, each 15
     * bits and the wrap counter (vhost-user: VHOST_USER_SET_VRING_BASE); where the ring itself says
     * where it stands (virtq-place.c), that.
     */
    uint32_t base;
    /*
     * The ring's region of inflight memory (virtq-inflight.h), virtq_inflight_size() bytes at
     * least, 8-byte aligned, zeros when it is new; kept up to date while the ring runs. Where to go
     * on is in there, not in @base. NULL: none.
     */
    void *inflight;
} VirtqSetup;

/* A buffer from the driver. @iov is the caller's memory, given to virtq_pop(). */
typedef struct VirtqChain {
    struct iovec *iov;   /* n_out pieces to read, then n_in to write, in our addresses */
    uint16_t n_out;
    uint16_t n_in;
    uint32_t out_len;
    uint32_t in_len;
    uint16_t id;         /* split: the head; packed: the buffer id */
    uint16_t n_slots;    /* of the ring that it takes: 1, packed: descriptors */
    /*
     * Why it can't be used (an address outside of memory, a loop, a readable piece behind a
     * writable one...), a literal, or virtq_done_before; there are no pieces then, and it is to be
     * pushed with in_len, which is 0 unless it was done. NULL: it is fine.
     */
    const char *bad;
    uint16_t pos;        /* where it was in the ring: virtq*.c's */
} VirtqChain;

/* VirtqChain.bad of a chain that a former process marked with virtq_done(). */
extern const char virtq_done_before[];

/* The device's own state of a ring; its fields are virtq*.c's. */
typedef struct Virtq {
    const GuestMem *mem;
    VirtqSetup s;
    const char *violation;  /* why it is broken, a literal; NULL: it is not */
    bool packed;
    bool event_idx;
    bool indirect;
    bool running;
    bool disarmed;          /* the driver was told that no kicks are wanted */
    bool told;              /* a flush said whether to call; before that we don't know what was */
    /* Places. Split: free-running; packed: an offset, and the wrap counter as the highest bit. */
    uint16_t avail;         /* next chain to pop */
    uint16_t used;          /* next chain to give back */
    uint16_t used_flushed;  /* visible to the driver up to here */
    uint16_t avail_seen;    /* split: the driver's index as last read */
    uint16_t in_flight;     /* packed: slots that are popped and not pushed */
    uint16_t unflushed;     /* packed: slots that are pushed and not visible */
    uint64_t first;         /* packed: the first of those, written by the flush */
    const GuestRegion *region; /* where the last address was found */
    const GuestRegion *former; /* and the last one that was elsewhere */
    struct VirtqTrack *track;  /* of s.inflight, NULL: none */
} Virtq;

/*
 * False: the ring makes no sense (size, alignment, an index further ahead than the ring is long;
 * then *@ret_why is a literal). Keeps @mem and what @s points to until virtq_stop().
 */
bool virtq_start(Virtq *vq, const GuestMem *mem, const VirtqSetup *s, const char **ret_why);
/*
 * Gives back what was popped and not pushed, and returns where to go on: VirtqSetup.base. What was
 * pushed should have been flushed: it is published, and nobody told.
 */
uint32_t virtq_stop(Virtq *vq);

/*
 * Takes up to @max chains, with pieces from @iov, of which there are @n_iov; fewer if the next one
 * might not fit into what is left. Returns how many, and -1 if the ring itself is broken
 * (vq->violation: an impossible index or head): then nothing works any more but virtq_stop().
 * @n_iov must be VIRTQ_MAX_IOV at least for the first chain to be sure of its room.
 */
int virtq_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov, unsigned n_iov);

/* The last @n popped ones were never taken: they come again. In the order virtq_pop() gave them. */
void virtq_unpop(Virtq *vq, const VirtqChain *chain, unsigned n);

/*
 * Gives @chain back, with @written bytes in its writable pieces. Chains go back in the order they
 * came. The driver sees nothing before virtq_flush().
 */
void virtq_push(Virtq *vq, const VirtqChain *chain, uint32_t written);

/*
 * The work of @chain is done, with @written bytes; it is only to be pushed, and by who comes after
 * us if we can't: with an inflight region, that is, else nothing happens. It counts if all chains
 * before it are done, too: of those that belong together, mark the first one last. What is done
 * has to be pushed before virtq_stop() returns to a driver that goes on without us.
 */
void virtq_done(Virtq *vq, const VirtqChain *chain, uint32_t written);

/*
 * Publishes what was pushed. True: the driver wants to be told. The first one after virtq_start()
 * says so in any case, as who had the ring before us may have published, and not told.
 */
bool virtq_flush(Virtq *vq);

/*
 * Asks the driver for a kick when it adds a chain beyond those popped, then looks once more.
 * True: there is one already. virtq_disarm(): no kicks are wanted, somebody looks anyway; a few
 * may come all the same. A ring that starts has asked.
 */
bool virtq_arm(Virtq *vq);
void virtq_disarm(Virtq *vq);

/* There is something to pop, as far as a look without side effects tells. */
bool virtq_ready(Virtq *vq);

#endif
