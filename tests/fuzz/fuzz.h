/*
 * What all fuzz targets share: the name that libFuzzer calls, and a reader of inputs that
 * never runs out (then it gives zeros).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct FuzzInput {
    const uint8_t *data;
    size_t size;
} FuzzInput;

static inline void fuzz_take(FuzzInput *in, void *buf, size_t len)
{
    size_t n = len < in->size ? len : in->size;

    if (n > 0) {
        memcpy(buf, in->data, n);
    }
    memset((uint8_t *)buf + n, 0, len - n);
    in->data += n;
    in->size -= n;
}

#endif
