/*
 * Units of a queue, against a plain array of who has which.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkback-units.h"

#include <string.h>

#define N 512u

static void test_edges(void)
{
    XenBlkbackUnits u;

    xen_blkback_units_init(&u, 100);
    g_assert_cmpuint(u.n, ==, 128);
    g_assert_cmpint(xen_blkback_units_get(&u, 129), ==, -1);
    g_assert_cmpint(xen_blkback_units_get(&u, 128), ==, 0);
    g_assert_cmpint(xen_blkback_units_get(&u, 1), ==, -1);
    xen_blkback_units_put(&u, 63, 2);
    g_assert_cmpint(xen_blkback_units_get(&u, 3), ==, -1);
    g_assert_cmpint(xen_blkback_units_get(&u, 2), ==, 63);
    xen_blkback_units_put(&u, 127, 1);
    xen_blkback_units_put(&u, 0, 1);
    g_assert_cmpint(xen_blkback_units_get(&u, 2), ==, -1); /* it does not go round the end */
    xen_blkback_units_put(&u, 1, 126);
    g_assert_cmpint(xen_blkback_units_get(&u, 128), ==, 0);
    xen_blkback_units_done(&u);
    xen_blkback_units_done(&u);
}

/* What is free next to each other. */
static unsigned longest_free(const uint8_t *used)
{
    unsigned best = 0, run = 0;

    for (unsigned i = 0; i < N; i++) {
        run = used[i] ? 0 : run + 1;
        best = MAX(best, run);
    }
    return best;
}

typedef struct Piece {
    unsigned first;
    unsigned count;
} Piece;

static void test_random(void)
{
    static const unsigned limits[] = { 1, 11, 32, 64, 65, 200, 512 };
    uint8_t used[N] = { 0 };
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    XenBlkbackUnits u;

    xen_blkback_units_init(&u, N);
    for (unsigned round = 0; round < 200000; round++) {
        unsigned limit = limits[round / 1000 % G_N_ELEMENTS(limits)];

        if (pieces->len > 0 && g_test_rand_int_range(0, 2) == 0) {
            guint i = (guint)g_test_rand_int_range(0, (gint32)pieces->len);
            Piece p = g_array_index(pieces, Piece, i);

            xen_blkback_units_put(&u, p.first, p.count);
            memset(used + p.first, 0, p.count);
            g_array_remove_index_fast(pieces, i);
        } else {
            unsigned count = (unsigned)g_test_rand_int_range(1, (gint32)limit + 1);
            int first = xen_blkback_units_get(&u, count);

            if (first < 0) {
                g_assert_cmpuint(longest_free(used), <, count);
                continue;
            }
            g_assert_cmpuint((unsigned)first + count, <=, N);
            for (unsigned i = 0; i < count; i++) {
                g_assert_cmpuint(used[(unsigned)first + i], ==, 0);
                used[(unsigned)first + i] = 1;
            }
            g_array_append_vals(pieces, &(Piece) { (unsigned)first, count }, 1);
        }
    }
    xen_blkback_units_done(&u);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xen-blkback-units/edges", test_edges);
    g_test_add_func("/xen-blkback-units/random", test_random);
    return g_test_run();
}
