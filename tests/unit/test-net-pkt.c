/*
 * Arenas, and packets pulled together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

static void test_arena_places(void)
{
    PktArena a;
    size_t last_end = 0;
    unsigned n = 0;
    uint8_t *p;

    g_assert_cmpint(pkt_arena_init(&a, 1 << 20), ==, 0);
    g_assert_cmpuint((uintptr_t)a.base % 4096, ==, 0);
    while ((p = pkt_arena_next(&a)) != NULL) {
        size_t off = (size_t)(p - a.base);
        size_t len = (size_t)g_test_rand_int_range(14, 9000);

        g_assert_cmpuint(off % 4096, ==, 0);
        g_assert_cmpuint(off, >=, last_end + PKT_HDR_LEN);
        g_assert_cmpuint(off + PKT_MAX_LEN, <=, a.size);
        memset(p - PKT_HDR_LEN, 0xaa, PKT_HDR_LEN + PKT_MAX_LEN); /* all of it may be used */
        pkt_arena_take(&a, len);
        last_end = off + len;
        n++;
    }
    g_assert_cmpuint(n, >, 50);
    pkt_arena_reset(&a);
    g_assert_true(pkt_arena_next(&a) == a.base + 4096);
    pkt_arena_done(&a);
}

static void test_arena_min_holds_one(void)
{
    PktArena a;

    g_assert_cmpint(pkt_arena_init(&a, PKT_ARENA_MIN), ==, 0);
    g_assert_nonnull(pkt_arena_next(&a));
    pkt_arena_take(&a, PKT_MAX_LEN);
    g_assert_cmpuint(a.used, <=, a.size);
    g_assert_null(pkt_arena_next(&a));
    pkt_arena_done(&a);
}

static void test_arena_huge_is_aligned(void)
{
    PktArena a;

    g_assert_cmpint(pkt_arena_init(&a, (size_t)5 << 20), ==, 0);
    g_assert_cmpuint((uintptr_t)a.base % (2 << 20), ==, 0);
    memset(a.base, 1, a.size);
    pkt_arena_done(&a);
    g_assert_null(a.base);
    pkt_arena_done(&a);
}

static void test_arena_out_of_memory(void)
{
    PktArena a;

    g_assert_cmpint(pkt_arena_init(&a, (size_t)1 << 60), ==, -ENOMEM);
    g_assert_null(pkt_arena_next(&a));
    pkt_arena_done(&a);
}

/* A packet of pieces of the given lengths, each in memory of its own; the head has room. */
typedef struct Pieces {
    Pkt pkt;
    struct iovec iov[PKT_MAX_IOV];
    uint8_t head[512];
    uint8_t rest[4096];
} Pieces;

static void make_pieces(Pieces *p, const size_t *len, uint32_t n)
{
    size_t off = 0;
    uint32_t i;

    memset(p, 0, sizeof(*p));
    for (i = 0; i < n; i++) {
        uint8_t *at = i == 0 ? p->head : p->rest + off;
        size_t k;

        for (k = 0; k < len[i]; k++) {
            at[k] = (uint8_t)(off + k);
        }
        p->iov[i] = (struct iovec){ at, len[i] };
        off += len[i];
    }
    p->pkt = (Pkt){ .iov = p->iov, .n_iov = n, .len = (uint32_t)off };
}

static void check_pulled(const Pieces *p, size_t want)
{
    size_t off = 0;
    uint32_t i;

    g_assert_cmpuint(p->iov[0].iov_len, >=, MIN(want, p->pkt.len));
    for (i = 0; i < p->pkt.n_iov; i++) {
        const uint8_t *at = p->iov[i].iov_base;
        size_t k;

        g_assert_true(i == 0 || p->iov[i].iov_len > 0);
        for (k = 0; k < p->iov[i].iov_len; k++) {
            g_assert_cmpuint(at[k], ==, (uint8_t)(off + k));
        }
        off += p->iov[i].iov_len;
    }
    g_assert_cmpuint(off, ==, p->pkt.len);
}

static void test_pull(void)
{
    static const size_t shape[][4] = {
        { 14, 30, 100, 5 }, { 128, 1, 1, 1 }, { 200, 7, 7, 7 }, { 1, 1, 1, 1 }, { 14, 114, 9, 9 },
        { 20, 1, 200, 3 },
    };
    size_t want;
    unsigned i;
    uint32_t n;

    for (i = 0; i < G_N_ELEMENTS(shape); i++) {
        for (n = 1; n <= 4; n++) {
            for (want = 0; want <= 256; want += 16) {
                Pieces p;

                make_pieces(&p, shape[i], n);
                pkt_pull(&p.pkt, want);
                check_pulled(&p, want);
            }
        }
    }
}

static void test_pull_leaves_the_rest_alone(void)
{
    static const size_t shape[] = { 14, 30, 100 };
    Pieces p;

    make_pieces(&p, shape, 3);
    pkt_pull(&p.pkt, 50);
    g_assert_cmpuint(p.pkt.n_iov, ==, 2);
    g_assert_cmpuint(p.iov[0].iov_len, ==, 50);
    g_assert_cmpuint(p.iov[1].iov_len, ==, 94);
    g_assert_cmpuint(p.head[50], ==, 0);
}

static void test_pull_piece_behind_the_head(void)
{
    uint8_t buf[100];
    struct iovec iov[2] = { { buf, 20 }, { buf + 20, 80 } };
    Pkt pkt = { .iov = iov, .n_iov = 2, .len = 100 };
    unsigned i;

    for (i = 0; i < sizeof(buf); i++) {
        buf[i] = (uint8_t)i;
    }
    pkt_pull(&pkt, 60);
    g_assert_cmpuint(iov[0].iov_len, ==, 60);
    for (i = 0; i < sizeof(buf); i++) {
        g_assert_cmpuint(buf[i], ==, i);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/pkt/arena-places", test_arena_places);
    g_test_add_func("/net/pkt/arena-min-holds-one", test_arena_min_holds_one);
    g_test_add_func("/net/pkt/arena-huge-is-aligned", test_arena_huge_is_aligned);
    g_test_add_func("/net/pkt/arena-out-of-memory", test_arena_out_of_memory);
    g_test_add_func("/net/pkt/pull", test_pull);
    g_test_add_func("/net/pkt/pull-leaves-the-rest-alone", test_pull_leaves_the_rest_alone);
    g_test_add_func("/net/pkt/pull-piece-behind-the-head", test_pull_piece_behind_the_head);
    return g_test_run();
}
