/*
 * The pages that netfront's packets leave from: no page is given out twice, all come
 * back, whatever the order of answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-netfront-pool.h"

#include <glib.h>

typedef struct Fixture {
    NetfrontPool pool;
    PktArena memory;
    GArray *pages; /* in use: uint32_t */
} Fixture;

static void fixture_up(Fixture *f)
{
    *f = (Fixture) { 0 };
    g_assert_cmpint(pkt_arena_init(&f->memory, NETFRONT_POOL_PAGES * 4096), ==, 0);
    f->pool.base = f->memory.base;
    f->pages = g_array_new(false, false, sizeof(uint32_t));
}

static void fixture_down(Fixture *f)
{
    g_array_unref(f->pages);
    pkt_arena_done(&f->memory);
}

/* Puts a packet of @len bytes into the pool's window, if it is large enough. */
static bool put(Fixture *f, uint32_t len)
{
    struct iovec iov = { .iov_len = len };
    Pkt pkt = { .iov = &iov, .n_iov = 1, .len = len };
    PktArena arena;

    netfront_pool_open(&f->pool, PKT_ARENA_MIN, &arena);
    iov.iov_base = pkt_arena_next(&arena);
    if (!iov.iov_base) {
        return false;
    }
    g_assert_cmpuint((size_t)((uint8_t *)iov.iov_base - arena.base) + PKT_MAX_LEN, <=,
                     NETFRONT_POOL_PAGES * 4096);
    for (uint32_t i = 0; i < netfront_pool_pages(PKT_MAX_LEN); i++) {
        /* even what a packet of any size might touch is nobody else's */
        g_assert_false(f->pool.busy[netfront_pool_page(&f->pool, iov.iov_base) + i]);
    }
    pkt_arena_take(&arena, len);
    netfront_pool_take(&f->pool, &arena, &pkt, 1);
    for (uint32_t i = 0; i < netfront_pool_pages(len); i++) {
        uint32_t page = netfront_pool_page(&f->pool, iov.iov_base) + i;

        g_array_append_val(f->pages, page);
    }
    return true;
}

static void put_back(Fixture *f, guint i)
{
    netfront_pool_put_page(&f->pool, g_array_index(f->pages, uint32_t, i));
    g_array_remove_index_fast(f->pages, i);
}

/* As many one-page packets as a ring has slots are in use at a time. */
static void test_full_ring(void)
{
    Fixture f;

    fixture_up(&f);
    for (unsigned i = 0; i < 256; i++) {
        g_assert_true(put(&f, 1514));
    }
    fixture_down(&f);
}

static void test_all_back(void)
{
    PktArena arena;
    Fixture f;

    fixture_up(&f);
    for (unsigned round = 0; round < 3; round++) {
        while (put(&f, 65000)) {
            continue;
        }
        g_assert_cmpuint(f.pages->len, >=, 256);
        while (f.pages->len > 0) {
            put_back(&f, 0);
        }
        netfront_pool_open(&f.pool, PKT_ARENA_MIN, &arena);
        g_assert_cmpuint(arena.used, ==, 0);
        g_assert_cmpuint(arena.size, ==, NETFRONT_POOL_PAGES * 4096);
    }
    fixture_down(&f);
}

/* Room for one packet at the end, for many at the beginning: it depends on what is wanted. */
static void test_want(void)
{
    PktArena arena;
    Fixture f;

    fixture_up(&f);
    for (unsigned i = 0; i < 200; i++) {
        g_assert_true(put(&f, 1514));
    }
    for (unsigned i = 0; i < 150; i++) {
        netfront_pool_put_page(&f.pool, g_array_index(f.pages, uint32_t, i));
    }
    netfront_pool_open(&f.pool, PKT_ARENA_MIN, &arena);
    g_assert_cmpuint(arena.used, >, 0);
    netfront_pool_open(&f.pool, 160 * 4096, &arena); /* nowhere */
    g_assert_cmpuint(arena.used, >, 0);
    g_assert_cmpuint(arena.size, ==, NETFRONT_POOL_PAGES * 4096);
    netfront_pool_open(&f.pool, 120 * 4096, &arena);
    g_assert_cmpuint(arena.used, ==, 0);
    g_assert_cmpuint(arena.size, >=, 120 * 4096);
    g_assert_cmpuint(arena.size, <=, 151 * 4096);
    fixture_down(&f);
}

static void test_random(void)
{
    unsigned n = 0;
    Fixture f;

    fixture_up(&f);
    for (unsigned i = 0; i < 200000; i++) {
        if (f.pages->len == 0 || g_test_rand_int_range(0, 20) > 0) {
            bool large = g_test_rand_int_range(0, 10) == 0;

            int len = g_test_rand_int_range(14, large ? 65550 : 3000);

            if (f.pages->len < 240 && put(&f, (uint32_t)len)) {
                n++;
                continue;
            }
        }
        for (int back = g_test_rand_int_range(0, 100); back > 0 && f.pages->len > 0; back--) {
            put_back(&f, (guint)g_test_rand_int_range(0, (gint32)f.pages->len));
        }
    }
    g_assert_cmpuint(n, >, 10000);
    while (f.pages->len > 0) {
        put_back(&f, 0);
    }
    g_assert_true(put(&f, 65550));
    fixture_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netfront-pool/full-ring", test_full_ring);
    g_test_add_func("/netfront-pool/all-back", test_all_back);
    g_test_add_func("/netfront-pool/want", test_want);
    g_test_add_func("/netfront-pool/random", test_random);
    return g_test_run();
}
