/*
 * A split ring: see fuzz-virtq.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz-virtq.h"

void fuzz_put_desc(uint8_t *to, const FuzzOp *op)
{
    struct vring_desc desc = { op->addr, op->len, op->flags, op->next };

    memcpy(to, &desc, sizeof(desc));
}

void fuzz_add(FuzzVirtq *f, const FuzzOp *op)
{
    struct vring_avail *avail = f->setup.driver;

    avail->ring[f->next_avail & (f->setup.size - 1)] = op->at;
    avail->idx = ++f->next_avail;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_virtq(data, size, false);
    return 0;
}
