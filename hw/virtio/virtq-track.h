/*
 * A virtqueue's inflight region, as it is kept while the ring runs (virtq-track.c) and taken up
 * again by who comes after a process that was killed (virtq-resume.c).
 *
 * The region is written, each step behind the one before it, and read at the start only: what
 * has to be known later is in memory of our own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQ_TRACK_H
#define HW_VIRTIO_VIRTQ_TRACK_H

#include "hw/virtio/virtq-inflight.h"
#include "virtq-packed.h"

/* A chain that was popped and is not published yet. */
typedef struct TrackedChain {
    uint16_t entry;     /* in the region. Split: the head; packed: where its copy begins, */
    uint16_t last;      /* and where it ends */
    uint16_t n_slots;
    uint8_t mark;       /* what says that it is done */
    bool done;
    bool resumed;       /* it is a former process's */
} TrackedChain;

/* A chain that a former process had popped. */
typedef struct ResumedChain {
    uint64_t counter;
    const VirtqDesc *desc; /* packed: n_slots of them */
    uint32_t written;      /* if it is done */
    uint16_t entry;
    uint16_t last;
    uint16_t n_slots;
    bool done;
} ResumedChain;

typedef struct VirtqTrack {
    VirtqInflightSplit *split;   /* the region; NULL: it is a packed one */
    VirtqInflightPacked *packed;
    uint64_t counter;            /* of the next chain */
    uint16_t last_batch_head;    /* split */
    uint16_t free_head;          /* packed: the first free entry, the others by next[] */
    uint16_t *next;
    TrackedChain *chain;         /* by the place in the ring where it begins */
    ResumedChain *resumed;       /* in the order in which they come again */
    unsigned n_resumed;
    unsigned n_handed;           /* of those, popped since */
    VirtqDesc *desc;             /* packed: theirs */
    bool *taken;                 /* packed: entries that have them, at the start */
} VirtqTrack;

/* Everything before it is in the region by then, for who looks after we were killed. */
#define TRACK_PUT(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

/* What the byte is if the chain with this counter is done; others leave what they find there. */
static inline uint8_t track_mark(uint64_t counter)
{
    return (uint8_t)(counter % 255 + 1);
}

static inline unsigned track_offset(const Virtq *vq, uint16_t place)
{
    return vq->packed ? packed_offset(place) : place & (vq->s.size - 1u);
}

static inline uint16_t track_advance(const Virtq *vq, uint16_t place, unsigned n)
{
    return vq->packed ? packed_advance(vq, place, n) : (uint16_t)(place + n);
}

/* Behind the start of the layout. False: what the region says makes no sense. */
bool virtq_resume_start(Virtq *vq, const char **ret_why);
static inline bool virtq_resume_left(const Virtq *vq)
{
    return vq->track && vq->track->n_handed < vq->track->n_resumed;
}
/* As virtq_pop(), while there are some left. */
int virtq_resume_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                     unsigned n_iov);

void virtq_track_popped(Virtq *vq, const VirtqChain *chain, unsigned n);
void virtq_track_unpop(Virtq *vq, const VirtqChain *chain, unsigned n); /* before it is done */
void virtq_track_done(Virtq *vq, const VirtqChain *chain, uint32_t written);
/* Around what makes the chains from @vq->used_flushed to @vq->used visible. */
void virtq_track_publish(Virtq *vq);
void virtq_track_published(Virtq *vq, uint16_t from);
/* What was popped and not pushed is not under way any more, unless it is done. */
void virtq_track_stop(Virtq *vq);
void virtq_track_free(VirtqTrack *t); /* NULL is fine */

#endif
