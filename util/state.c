/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/state.h"

#include <string.h>

void state_put(GByteArray *out, uint64_t value, unsigned size)
{
    uint64_t be = GUINT64_TO_BE(value);

    g_assert(size >= 1 && size <= sizeof(be));
    g_byte_array_append(out, (const guint8 *)&be + sizeof(be) - size, size);
}

void state_put_bytes(GByteArray *out, const void *data, size_t len)
{
    g_byte_array_append(out, data, (guint)len);
}

void state_get_bytes(StateReader *r, void *data, size_t len)
{
    if (r->failed || len > r->left) {
        r->failed = true;
        memset(data, 0, len);
        return;
    }
    memcpy(data, r->data, len);
    r->data += len;
    r->left -= len;
}

uint64_t state_get(StateReader *r, unsigned size)
{
    uint64_t be = 0;

    g_assert(size >= 1 && size <= sizeof(be));
    state_get_bytes(r, (uint8_t *)&be + sizeof(be) - size, size);
    return GUINT64_FROM_BE(be);
}

bool state_is_whole(const StateReader *r)
{
    return !r->failed && r->left == 0;
}
