/*
 * A packed ring: see fuzz-virtq.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz-virtq.h"

void fuzz_put_desc(uint8_t *to, const FuzzOp *op)
{
    struct vring_packed_desc desc = { op->addr, op->len, op->next, op->flags };

    memcpy(to, &desc, sizeof(desc));
}

/* The bits of the lap are put right unless the input has one of them. */
void fuzz_add(FuzzVirtq *f, const FuzzOp *op)
{
    FuzzOp fixed = *op;

    if (!(op->flags & PACKED_BOTH)) {
        fixed.flags |= f->next_avail & PACKED_WRAP ? PACKED_AVAIL : PACKED_USED;
    }
    fuzz_put_desc(f->page[0] + packed_offset(f->next_avail) * VIRTQ_DESC_SIZE, &fixed);
    f->next_avail = packed_advance(&f->vq, f->next_avail, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_virtq(data, size, true);
    return 0;
}
