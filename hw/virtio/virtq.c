/*
 * A virtqueue, whatever its layout: its life, and what is asked of either.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtq.h"

#include <linux/virtio_config.h>

#include "virtq-internal.h"
#include "virtq-track.h"

static bool has(const VirtqSetup *s, unsigned feature)
{
    return (s->features & (1ull << feature)) != 0;
}

bool virtq_start(Virtq *vq, const GuestMem *mem, const VirtqSetup *s, const char **ret_why)
{
    *vq = (Virtq){
        .mem = mem, .region = &mem->region[0], .former = &mem->region[0], .s = *s,
        .packed = has(s, VIRTIO_F_RING_PACKED),
        .event_idx = has(s, VIRTIO_RING_F_EVENT_IDX),
        .indirect = has(s, VIRTIO_RING_F_INDIRECT_DESC),
    };
    if (!(vq->packed ? virtq_packed_start : virtq_split_start)(vq, ret_why)
        || (s->inflight && !virtq_resume_start(vq, ret_why))) {
        return false;
    }
    vq->running = true;
    virtq_arm(vq);
    return true;
}

uint32_t virtq_stop(Virtq *vq)
{
    g_assert(vq->running);
    virtq_flush(vq);
    if (vq->track) {
        virtq_track_stop(vq);
    }
    vq->running = false;
    return vq->packed ? virtq_packed_base(vq) : vq->used;
}

static int pop_from_ring(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                         unsigned n_iov)
{
    return vq->packed ? virtq_packed_pop(vq, chain, max, iov, n_iov)
                      : virtq_split_pop(vq, chain, max, iov, n_iov);
}

static int pop_tracked(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov,
                       unsigned n_iov)
{
    int n;

    if (virtq_resume_left(vq)) {
        return virtq_resume_pop(vq, chain, max, iov, n_iov);
    }
    n = pop_from_ring(vq, chain, max, iov, n_iov);
    if (n > 0) {
        virtq_track_popped(vq, chain, (unsigned)n);
    }
    return n;
}

int virtq_pop(Virtq *vq, VirtqChain *chain, unsigned max, struct iovec *iov, unsigned n_iov)
{
    if (G_UNLIKELY(vq->violation)) {
        return -1;
    }
    if (G_UNLIKELY(vq->track)) {
        return pop_tracked(vq, chain, max, iov, n_iov);
    }
    return pop_from_ring(vq, chain, max, iov, n_iov);
}

void virtq_unpop(Virtq *vq, const VirtqChain *chain, unsigned n)
{
    if (n > 0 && vq->track) {
        virtq_track_unpop(vq, chain, n);
    }
    if (n > 0) {
        (vq->packed ? virtq_packed_unpop : virtq_split_unpop)(vq, chain, n);
    }
}

void virtq_push(Virtq *vq, const VirtqChain *chain, uint32_t written)
{
    if (vq->packed) {
        virtq_packed_push(vq, chain, written);
    } else {
        virtq_split_push(vq, chain, written);
    }
}

void virtq_done(Virtq *vq, const VirtqChain *chain, uint32_t written)
{
    if (G_UNLIKELY(vq->track)) {
        virtq_track_done(vq, chain, written);
    }
}

bool virtq_flush(Virtq *vq)
{
    return vq->packed ? virtq_packed_flush(vq) : virtq_split_flush(vq);
}

bool virtq_arm(Virtq *vq)
{
    if (vq->packed) {
        virtq_packed_arm(vq);
    } else {
        virtq_split_arm(vq);
    }
    vq->disarmed = false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return virtq_ready(vq);
}

void virtq_disarm(Virtq *vq)
{
    if (vq->packed) {
        virtq_packed_disarm(vq);
    } else {
        virtq_split_disarm(vq);
    }
    vq->disarmed = true;
}

bool virtq_ready(Virtq *vq)
{
    return virtq_resume_left(vq)
           || (vq->packed ? virtq_packed_ready(vq) : virtq_split_ready(vq));
}
