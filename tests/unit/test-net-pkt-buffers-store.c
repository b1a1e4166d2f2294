/*
 * Frames in memory of ours into a guest's buffers: whole, or not at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "guest-buffers.h"

static PktStored store(GuestBuffers *g, unsigned i, uint32_t len)
{
    return pkt_buffers_store(&g->b, &g->pkt[i], frame_source_frame(i), len);
}

/* A frame that there are too few buffers for takes none of them, until there are enough. */
static void test_stored_frames(void)
{
    static const uint32_t pieces[] = { 5, 400, 0, 595 };
    GuestBuffers *g = guest_buffers_new();
    unsigned n;

    g->b.headroom = 12;
    pkt_buffers_start(&g->b);
    g_assert_cmpint(store(g, 0, 60), ==, PKT_NO_ROOM);
    for (unsigned i = 0; i < 3; i++) {
        guest_buffers_add(g, pieces, 4);
    }
    g_assert_cmpint(store(g, 0, 60), ==, PKT_STORED);
    g_assert_cmpint(store(g, 1, 1989), ==, PKT_NO_ROOM);
    g_assert_cmpuint(g->b.next, ==, 1);
    g_assert_false(pkt_buffers_drop(&g->b)); /* nothing waits */
    guest_buffers_add(g, pieces, 4);
    g_assert_cmpint(store(g, 1, 1989), ==, PKT_STORED);
    g_assert_cmpint(store(g, 2, 60), ==, PKT_NO_ROOM);
    g_assert_cmpuint(g->b.too_long, ==, 0);
    n = guest_buffers_check(g, &g->pkt[0], 0, frame_source_frame(0), 60);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(guest_buffers_check(g, &g->pkt[1], n, frame_source_frame(1), 1989), ==, 3);
    guest_buffers_free(g);
}

/* Longer than it may be, than the whole ring, than the one buffer that it may have. */
static void test_stored_frames_too_long(void)
{
    GuestBuffers *g = guest_buffers_new();

    guest_buffers_add_n(g, 3, 1000);
    g->b.headroom = 12;
    g->b.last = true;
    pkt_buffers_start(&g->b);
    g_assert_cmpint(store(g, 0, 2989), ==, PKT_TOO_LONG);
    g_assert_cmpint(store(g, 0, 60), ==, PKT_STORED);
    g_assert_cmpint(store(g, 1, 1989), ==, PKT_NO_ROOM); /* the first one's buffer comes back */
    g->b.merge = false;
    g_assert_cmpint(store(g, 1, 989), ==, PKT_TOO_LONG);
    g_assert_cmpint(store(g, 1, 988), ==, PKT_STORED);
    g->b.max_len = 900;
    g_assert_cmpint(store(g, 2, 901), ==, PKT_TOO_LONG);
    g->b.headroom = 1001;
    g_assert_cmpint(store(g, 2, 1), ==, PKT_TOO_LONG);
    g->b.headroom = 12;
    g_assert_cmpint(store(g, 2, 900), ==, PKT_STORED);
    g_assert_cmpuint(g->b.too_long, ==, 4);
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t lens[] = { 60, 988, 900 };

        g_assert_cmpuint(guest_buffers_check(g, &g->pkt[i], i, frame_source_frame(i), lens[i]), ==,
                         1);
    }
    guest_buffers_free(g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/pkt-buffers-store/frames", test_stored_frames);
    g_test_add_func("/net/pkt-buffers-store/too-long", test_stored_frames_too_long);
    return g_test_run();
}
