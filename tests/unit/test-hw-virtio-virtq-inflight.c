/*
 * Inflight regions of both layouts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtq-inflight.h"

#include <glib.h>
#include <stddef.h>

/* As the document has them, and as others that follow it map them. */
static void test_layouts(void)
{
    g_assert_cmpuint(sizeof(VirtqInflightSplit), ==, 16);
    g_assert_cmpuint(sizeof(VirtqInflightSplitDesc), ==, 16);
    g_assert_cmpuint(offsetof(VirtqInflightSplit, used_idx), ==, 14);
    g_assert_cmpuint(offsetof(VirtqInflightSplitDesc, next), ==, 6);
    g_assert_cmpuint(sizeof(VirtqInflightPacked), ==, 32);
    g_assert_cmpuint(sizeof(VirtqInflightPackedDesc), ==, 32);
    g_assert_cmpuint(offsetof(VirtqInflightPacked, old_used_wrap_counter), ==, 21);
    g_assert_cmpuint(offsetof(VirtqInflightPackedDesc, addr), ==, 24);
}

static void test_sizes(void)
{
    g_assert_cmpuint(virtq_inflight_size(1, false), ==, 64);
    g_assert_cmpuint(virtq_inflight_size(3, false), ==, 64);
    g_assert_cmpuint(virtq_inflight_size(4, false), ==, 128);
    g_assert_cmpuint(virtq_inflight_size(1, true), ==, 64);
    g_assert_cmpuint(virtq_inflight_size(256, true), ==, 32 + 256 * 32 + 32);
    g_assert_cmpuint(virtq_inflight_size(32768, true), ==, 32 + 32768 * 32 + 32);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/virtio/virtq-inflight/layouts", test_layouts);
    g_test_add_func("/hw/virtio/virtq-inflight/sizes", test_sizes);
    return g_test_run();
}
