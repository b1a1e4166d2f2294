/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "xen-blkback-units.h"

#define BITS 64u /* of a word */

void xen_blkback_units_init(XenBlkbackUnits *u, unsigned n)
{
    unsigned words = (n + BITS - 1) / BITS;

    *u = (XenBlkbackUnits) { .n = words * BITS, .used = g_new0(uint64_t, words) };
}

void xen_blkback_units_done(XenBlkbackUnits *u)
{
    g_clear_pointer(&u->used, g_free);
}

/* The first from @from on that is used, or @to. */
static unsigned next_used(const XenBlkbackUnits *u, unsigned from, unsigned to)
{
    while (from < to) {
        uint64_t left = u->used[from / BITS] >> from % BITS;

        if (left != 0) {
            return MIN(from + (unsigned)__builtin_ctzll(left), to);
        }
        from = (from / BITS + 1) * BITS;
    }
    return to;
}

/* The first from @from on that is not used, or u->n. */
static unsigned next_unused(const XenBlkbackUnits *u, unsigned from)
{
    while (from < u->n) {
        uint64_t left = ~u->used[from / BITS] >> from % BITS;

        if (left != 0) {
            return from + (unsigned)__builtin_ctzll(left);
        }
        from = (from / BITS + 1) * BITS;
    }
    return u->n;
}

static void set_used(XenBlkbackUnits *u, unsigned first, unsigned count, bool used)
{
    while (count > 0) {
        unsigned bit = first % BITS;
        unsigned n = MIN(count, BITS - bit);
        uint64_t mask = (n == BITS ? UINT64_MAX : (1ull << n) - 1) << bit;

        if (used) {
            u->used[first / BITS] |= mask;
        } else {
            u->used[first / BITS] &= ~mask;
        }
        first += n;
        count -= n;
    }
}

/* Units that begin at @from or behind it. */
static int find(const XenBlkbackUnits *u, unsigned from, unsigned count)
{
    while (count <= u->n && from <= u->n - count) {
        unsigned end = next_used(u, from, from + count);

        if (end == from + count) {
            return (int)from;
        }
        from = next_unused(u, end);
    }
    return -1;
}

int xen_blkback_units_get(XenBlkbackUnits *u, unsigned count)
{
    int first = find(u, u->next, count);

    if (first < 0) {
        first = find(u, 0, count);
    }
    if (first >= 0) {
        set_used(u, (unsigned)first, count, true);
        u->next = (unsigned)first + count;
    }
    return first;
}

void xen_blkback_units_put(XenBlkbackUnits *u, unsigned first, unsigned count)
{
    set_used(u, first, count, false);
}
