/*
 * Where a packed ring stands, by what is in it: a device that was killed told nobody, and a VMM
 * without inflight memory knows only where the ring stood when it was last started or stopped
 * (QEMU sends that again).
 *
 * Of the two bits of each descriptor the driver alone changes the one of AVAIL, and we alone that
 * of USED, as chains go back in order and virtq_packed_push() sets it in all of a chain's
 * descriptors. So AVAIL changes its value where the driver is, and of the ring's length before that
 * place descriptors are used up to where we are, and available behind it:
 *
 *            we   driver                  we'  the rest of the batch
 *     U U U  A A  U U U U        U U U U  A    U U U   A A
 *
 * On the right a batch was about to be published, of which the first descriptor is written last
 * (virtq_packed_flush()): nothing of it was seen. What was written into which of its chains is not
 * known any more, so all of it goes back as if nothing were; to serve it again is not possible, its
 * lengths are gone.
 *
 * A driver that writes something else there has its own ring go on in the wrong place. What does
 * not look as above is left to the VMM: the driver is in the middle of a chain, or another device
 * was here, which leaves the bits of all but a chain's first descriptor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtq-packed.h"

#define TRIES 4 /* a driver may add chains meanwhile, if it has any left */

/* A range of the ring. */
typedef struct Batch {
    uint16_t first;
    unsigned n_slots;
} Batch;

static bool avail_bit(const Virtq *vq, unsigned offset)
{
    return packed_load_rest(vq, (uint16_t)offset) >> 48 & PACKED_AVAIL;
}

/* From the end to the beginning: who adds at the same time does not look like a second change. */
static bool find_driver(const Virtq *vq, uint16_t *ret)
{
    unsigned at = vq->s.size - 1u;
    bool former = avail_bit(vq, at);

    while (at > 0 && avail_bit(vq, at - 1) == former) {
        at--;
    }
    for (unsigned i = at; i > 0; i--) {
        if (avail_bit(vq, i - 1) == former) {
            return false;
        }
    }
    *ret = (uint16_t)(at | (former ? 0 : PACKED_WRAP));
    return true;
}

/*
 * Where the device is, given where the @driver is, and what of a batch is there: from its first
 * descriptor to the last used one behind it. That is a chain, others, and the part of one at most.
 */
static bool find_batch(const Virtq *vq, uint16_t driver, Batch *ret)
{
    uint16_t at = driver ^ PACKED_WRAP;
    unsigned n = 0, holes = 0;
    bool used = true;

    *ret = (Batch){ .first = driver };
    for (unsigned i = 0; i < vq->s.size; i++, at = packed_advance(vq, at, 1)) {
        uint64_t rest = packed_load_rest(vq, at);

        if (packed_is_available(rest, at)) {
            ret->first = n++ == 0 ? at : ret->first;
            used = false;
        } else if (n > 0) {
            holes += !used;
            used = true;
            ret->n_slots = ++n;
        }
    }
    return holes <= 2;
}

/* The next chain of a batch that has @left descriptors; a used one is taken for one by itself. */
static VirtqChain chain_at(const Virtq *vq, uint16_t at, unsigned left)
{
    uint64_t rest = packed_load_rest(vq, at);
    VirtqChain c = { .pos = at, .n_slots = 1 };

    if (packed_is_available(rest, at)) {
        while (rest >> 48 & VRING_DESC_F_NEXT && c.n_slots < left) {
            at = packed_advance(vq, at, 1);
            rest = packed_load_rest(vq, at);
            c.n_slots++;
        }
    }
    c.id = (uint16_t)(rest >> 32);
    return c;
}

static void give_back(Virtq *vq, const Batch *b)
{
    for (unsigned left = b->n_slots; left > 0;) {
        VirtqChain c = chain_at(vq, vq->avail, left);

        vq->avail = packed_advance(vq, vq->avail, c.n_slots);
        vq->in_flight = c.n_slots;
        virtq_packed_push(vq, &c, 0);
        left -= c.n_slots;
    }
    virtq_packed_flush(vq);
    vq->told = false;
}

void virtq_packed_find_place(Virtq *vq)
{
    uint16_t driver;
    Batch b;

    for (unsigned i = 0; i < TRIES; i++) {
        if (find_driver(vq, &driver) && find_batch(vq, driver, &b)) {
            vq->avail = vq->used = vq->used_flushed = b.first;
            give_back(vq, &b);
            return;
        }
    }
}
