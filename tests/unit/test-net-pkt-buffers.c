/*
 * Packets into a guest's buffers: where they are put, what waits and what is dropped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "guest-buffers.h"
#include "net/netdev.h"
#include "pkt-buffers-internal.h"

#define LARGE 9000u

/* Each test is made of a netdev that reads into buffers, and of one that does not. */
static void with_both(void (*test)(bool into))
{
    test(true);
    test(false);
}

/* A packet has as many buffers as it fills, whatever pieces they are in. */
static void check_packets_follow_each_other(bool into)
{
    static const uint32_t lens[] = { 60, 988, 989, 5000, 14, 3988, 1 };
    static const uint32_t pieces[] = { 7, 1, 5, 0, 487, 500 };
    GuestBuffers *g = guest_buffers_new();
    unsigned first = 0;
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, G_N_ELEMENTS(lens));
    for (unsigned i = 0; i < 30; i++) {
        guest_buffers_add(g, pieces, G_N_ELEMENTS(pieces));
    }
    g->b.headroom = 12;
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, s.n);
    for (unsigned i = 0; i < s.n; i++) {
        unsigned n = frame_source_check(&s, g, i, i, first);

        g_assert_cmpuint(n, ==, (lens[i] + 12 + 999) / 1000);
        first += n;
    }
    g_assert_cmpuint(g->b.next, ==, first);
    g_assert_false(g->b.starved);
    g_assert_false(g->b.more);
    guest_buffers_free(g);
}

static void test_packets_follow_each_other(void)
{
    with_both(check_packets_follow_each_other);
}

static void check_headroom_in_any_pieces(bool into)
{
    static const uint32_t lens[] = { 100, 1500 };
    static const uint32_t pieces[][3] = { { 24, 0, 700 }, { 23, 1, 700 }, { 10, 2, 700 },
                                          { 1, 700, 23 }, { 25, 700, 0 }, { 700, 24, 1 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        for (uint32_t headroom = 0; headroom <= 24; headroom++) {
            GuestBuffers *g = guest_buffers_new();
            FrameSource s;

            frame_source_init(&s, into);
            frame_source_add(&s, lens, 2);
            for (unsigned k = 0; k < 10; k++) {
                guest_buffers_add(g, pieces[i], 3);
            }
            g->b.headroom = headroom;
            g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 2);
            frame_source_check(&s, g, 0, 0, 0);
            frame_source_check(&s, g, 1, 1, 1);
            guest_buffers_free(g);
        }
    }
}

static void test_headroom_in_any_pieces(void)
{
    with_both(check_headroom_in_any_pieces);
}

/* It needs no more than its own bytes, whatever the longest packet might. */
static void check_small_packet_in_the_only_buffer(bool into)
{
    static const uint32_t lens[] = { 64 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 1);
    guest_buffers_add_n(g, 1, 76);
    g->b.headroom = 12;
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    frame_source_check(&s, g, 0, 0, 0);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0);
    g_assert_true(g->b.starved);
    guest_buffers_free(g);
}

static void test_small_packet_in_the_only_buffer(void)
{
    with_both(check_small_packet_in_the_only_buffer);
}

/* No packet, no buffers, and more packets than were asked for are three things. */
static void check_why_it_ended(bool into)
{
    static const uint32_t lens[] = { 60, 60, 60, 60 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 4);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0);
    g_assert_true(g->b.starved && !g->b.more);
    guest_buffers_add_n(g, 3, 100);
    g_assert_cmpuint(frame_source_read(&s, g, 2), ==, 2);
    g_assert_true(!g->b.starved && g->b.more);
    g_assert_cmpuint(frame_source_read(&s, g, 2), ==, 1);
    g_assert_true(g->b.starved && !g->b.more);
    guest_buffers_add_n(g, 2, 100);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    g_assert_true(!g->b.starved && !g->b.more);
    g_assert_cmpuint(g->b.next, ==, 4);
    guest_buffers_free(g);
}

static void test_why_it_ended(void)
{
    with_both(check_why_it_ended);
}

/*
 * It comes before those behind it, with its own header, and only when it is whole; its buffers may
 * come one by one, and stand elsewhere.
 */
static void check_packet_waits_for_buffers(bool into)
{
    static const uint32_t lens[] = { 60, 4000, 60 };

    for (unsigned compact = 0; compact < 2; compact++) {
        GuestBuffers *g = guest_buffers_new();
        unsigned first = compact ? 0 : 1;
        FrameSource s;

        frame_source_init(&s, into);
        frame_source_add(&s, lens, 3);
        g->b.headroom = 12;
        guest_buffers_add_n(g, 3, 1000);
        g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
        frame_source_check(&s, g, 0, 0, 0);
        for (unsigned i = 0; i < 2; i++) {
            g_assert_true(g->b.starved && !g->b.more);
            g_assert_cmpuint(g->b.next, ==, i == 0 ? 1 : first);
            g_assert_cmpuint(s.done, ==, 2);
            if (compact) {
                guest_buffers_compact(g);
            }
            memset(g->hdr, 0xff, sizeof(g->hdr));
            guest_buffers_add_n(g, 1, 1000);
            g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0);
        }
        g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0); /* nothing came */
        guest_buffers_add_n(g, 2, 1000);
        g_assert_cmpuint(frame_source_read(&s, g, 0), ==, 0);
        g_assert_cmpuint(frame_source_read(&s, g, 1), ==, 1);
        g_assert_cmpuint(frame_source_check(&s, g, 0, 1, first), ==, 5);
        g_assert_cmpuint(s.done, ==, 2);
        g_assert_cmpuint(frame_source_read(&s, g, 1), ==, 1);
        frame_source_check(&s, g, 0, 2, first + 5);
        g_assert_cmpuint(g->b.too_long, ==, 0);
        guest_buffers_free(g);
    }
}

static void test_packet_waits_for_buffers(void)
{
    with_both(check_packet_waits_for_buffers);
}

/* All that the ring can hold is there: it would wait for ever. The next one is not harmed. */
static void check_packet_that_never_fits(bool into)
{
    static const uint32_t lens[] = { 60, 2988, 2989, 60 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 4);
    g->b.headroom = 12;
    g->b.last = true;
    guest_buffers_add_n(g, 3, 1000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    g_assert_true(g->b.starved); /* the second fits when the first was given back */
    guest_buffers_compact(g);
    guest_buffers_add_n(g, 1, 1000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    g_assert_cmpuint(frame_source_check(&s, g, 0, 1, 0), ==, 3);
    guest_buffers_compact(g);
    guest_buffers_add_n(g, 3, 1000);
    g_assert_cmpuint(g->b.too_long, ==, 0);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    frame_source_check(&s, g, 0, 3, 0);
    g_assert_cmpuint(g->b.too_long, ==, 1);
    guest_buffers_free(g);
}

/* Those before next are gone for good, as far as this call knows. */
static void check_never_fits_behind_others(bool into)
{
    static const uint32_t lens[] = { 60, 2001, 61 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 3);
    guest_buffers_add_n(g, 3, 1000);
    g_assert_cmpuint(frame_source_read(&s, g, 1), ==, 1);
    g->b.last = true;
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    frame_source_check(&s, g, 0, 2, 1);
    g_assert_cmpuint(g->b.too_long, ==, 1);
    guest_buffers_free(g);
}

static void test_never_fits_behind_others(void)
{
    with_both(check_never_fits_behind_others);
}

static void test_packet_that_never_fits(void)
{
    with_both(check_packet_that_never_fits);
}

/* It is known only when it waits already that the ring has no more. */
static void check_waiting_packet_that_never_fits(bool into)
{
    static const uint32_t lens[] = { 5000, 60 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 2);
    guest_buffers_add_n(g, 2, 1000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0);
    g_assert_true(g->b.starved);
    guest_buffers_add_n(g, 1, 1000);
    g->b.last = true;
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    frame_source_check(&s, g, 0, 1, 0);
    g_assert_cmpuint(g->b.too_long, ==, 1);
    g_assert_cmpuint(g->b.next, ==, 1);
    guest_buffers_free(g);
}

static void test_waiting_packet_that_never_fits(void)
{
    with_both(check_waiting_packet_that_never_fits);
}

static void check_without_merging(bool into)
{
    static const uint32_t lens[] = { 60, 1489, 1488, 65550, 3000, 60 };
    static const uint32_t pieces[] = { 12, 500, 500, 488 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, G_N_ELEMENTS(lens));
    g->b.headroom = 12;
    g->b.merge = false;
    for (unsigned i = 0; i < 3; i++) {
        guest_buffers_add(g, pieces, 4);
    }
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 3);
    frame_source_check(&s, g, 0, 0, 0);
    frame_source_check(&s, g, 1, 2, 1);
    frame_source_check(&s, g, 2, 5, 2);
    g_assert_cmpuint(g->b.too_long, ==, 3);
    g_assert_cmpuint(g->b.next, ==, 3);
    g_assert_true(g->b.starved);
    guest_buffers_free(g);
}

static void test_without_merging(void)
{
    with_both(check_without_merging);
}

static void check_longest_frame(bool into)
{
    static const uint32_t lens[] = { 1514, 1515, PKT_MAX_LEN, 60 };
    static const uint32_t max_len[] = { 1514, PKT_MAX_LEN };

    for (unsigned i = 0; i < 2; i++) {
        GuestBuffers *g = guest_buffers_new();
        FrameSource s;

        frame_source_init(&s, into);
        frame_source_add(&s, lens, 4);
        g->b.max_len = max_len[i];
        guest_buffers_add_n(g, 100, 2000);
        g_assert_cmpuint(frame_source_read(&s, g, 64), ==, i == 0 ? 2 : 4);
        g_assert_cmpuint(g->b.too_long, ==, i == 0 ? 2 : 0);
        frame_source_check(&s, g, 0, 0, 0);
        if (i == 0) {
            frame_source_check(&s, g, 1, 3, 1);
        } else {
            g_assert_cmpuint(frame_source_check(&s, g, 2, 2, 2), ==, 33);
        }
        guest_buffers_free(g);
    }
}

static void test_longest_frame(void)
{
    with_both(check_longest_frame);
}

/* A driver at play: a header has no room in its first buffer, and a buffer has no room at all. */
static void check_odd_buffers(bool into)
{
    static const uint32_t lens[] = { 60, 61, 62 };
    static const uint32_t zeros[] = { 0, 0, 0 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 3);
    g->b.headroom = 12;
    guest_buffers_add_n(g, 1, 11);
    guest_buffers_add_n(g, 5, 100);
    g_assert_cmpuint(frame_source_read(&s, g, 2), ==, 0);
    g_assert_cmpuint(g->b.too_long, >=, 2);
    g->b.next = 6;
    s.done = 0;
    guest_buffers_add_n(g, 1, 12);
    guest_buffers_add(g, zeros, 3);
    guest_buffers_add(g, zeros, 0);
    guest_buffers_add_n(g, 200, 1);
    g_assert_cmpuint(frame_source_read(&s, g, 1), ==, 1);
    g_assert_cmpuint(frame_source_check(&s, g, 0, 0, 6), ==, 1 + 2 + 60);
    guest_buffers_free(g);
}

static void test_odd_buffers(void)
{
    with_both(check_odd_buffers);
}

/* The buffers are others now. */
static void check_dropped_packet(bool into)
{
    static const uint32_t lens[] = { 5000, 60 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 2);
    g_assert_false(pkt_buffers_drop(&g->b));
    guest_buffers_add_n(g, 2, 1000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0);
    g_assert_true(pkt_buffers_drop(&g->b));
    g_assert_false(pkt_buffers_drop(&g->b));
    g->b.next = g->b.n;
    guest_buffers_add_n(g, 1, 100);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    frame_source_check(&s, g, 0, 1, 2);
    guest_buffers_free(g);
}

static void test_dropped_packet(void)
{
    with_both(check_dropped_packet);
}

/* What was read already, and what was not. */
static void check_link_off(bool into)
{
    static const uint32_t lens[] = { 5000, 60, 60, 61 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, into);
    frame_source_add(&s, lens, 3);
    guest_buffers_add_n(g, 2, 1000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0);
    netdev_set_link(&s.nd, false);
    memset(g->memory, 0xa5, GUEST_MEMORY);
    g->b.more = true;
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 0);
    g_assert_true(!g->b.starved && !g->b.more);
    g_assert_cmpuint(s.done, ==, 3);
    g_assert_cmphex(g->memory[8], ==, 0xa5); /* not by way of the guest's memory */
    netdev_set_link(&s.nd, true);
    s.n = 4;
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    frame_source_check(&s, g, 0, 3, 0);
    guest_buffers_free(g);
}

static void test_link_off(void)
{
    with_both(check_link_off);
}

/* A guest whose buffers are never large enough: a call ends all the same, and says why. */
static void test_drops_are_bounded(void)
{
    static uint32_t lens[1000];
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    for (unsigned i = 0; i < G_N_ELEMENTS(lens); i++) {
        lens[i] = 200;
    }
    frame_source_init(&s, false);
    frame_source_add(&s, lens, 200);
    g->b.merge = false;
    guest_buffers_add_n(g, 1, 199);
    g_assert_cmpuint(frame_source_read(&s, g, 16), ==, 0);
    g_assert_cmpuint(s.done, ==, 64);
    g_assert_cmpuint(g->b.too_long, ==, 64);
    g_assert_true(g->b.more && !g->b.starved);
    guest_buffers_free(g);
}

/* --- one plain read --- */

/* Frame @id is in buffer @first, its header in front of it. */
static void check_placed(const FrameSource *s, GuestBuffers *g, unsigned i, unsigned id,
                         unsigned first)
{
    const Pkt *pkt = &g->pkt[i];
    const uint8_t *at = g->buf[first].iov[0].iov_base;

    g_assert_cmpmem(at, 10, pkt->hdr, 10); /* num_buffers is the NIC's to write */
    g_assert_true(pkt->iov == g->buf[first].iov && pkt->n_iov == g->buf[first].n_iov);
    g->dropped = true; /* no matter what is in front of the frame */
    g_assert_cmpuint(frame_source_check(s, g, i, id, first), ==, 1);
    g->dropped = false;
}

static void test_plain_read_of_known_lengths(void)
{
    static const uint32_t lens[] = { 60, 1514, 14 };
    static const uint32_t pieces[] = { 1527, 100 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    frame_source_add(&s, lens, 3);
    g->b.headroom = 12;
    g->b.usual_len = 1514;
    guest_buffers_add_n(g, 1, 1527);
    guest_buffers_add(g, pieces, 2);
    guest_buffers_add_n(g, 1, 70000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        check_placed(&s, g, i, i, i);
    }
    g_assert_true(g->b.starved && s.plain);
    guest_buffers_check_guards(g);
    guest_buffers_free(g);
}

/* It can't be told from the beginning of a longer one. */
static void test_unusual_length_is_lost_once(void)
{
    static const uint32_t lens[] = { 1514, 1515, 1515, 3000, 60 };

    for (unsigned i = 0; i < 2; i++) {
        GuestBuffers *g = guest_buffers_new();
        FrameSource s;

        frame_source_init(&s, true);
        frame_source_add(&s, lens + i * 2, 5 - i * 2);
        g->b.headroom = 12;
        g->b.usual_len = 1514;
        guest_buffers_add_n(g, 10, 1527);
        g_assert_cmpuint(frame_source_read(&s, g, 64), ==, i == 0 ? 4 : 2);
        g_assert_cmpuint(g->b.too_long, ==, 1);
        if (i == 0) {
            check_placed(&s, g, 0, 0, 0);
            g->dropped = true;
            frame_source_check(&s, g, 1, 2, 1);
            frame_source_check(&s, g, 2, 3, 2);
            frame_source_check(&s, g, 3, 4, 4);
        } else {
            g->dropped = true;
            frame_source_check(&s, g, 0, 1, 0);
            frame_source_check(&s, g, 1, 2, 2);
        }
        guest_buffers_free(g);
    }
}

/* Else it might be lost, or its header not be where the guest has one. */
static void test_no_plain_read(void)
{
    static const struct {
        uint32_t headroom;
        uint32_t usual_len;
        uint32_t pieces[2];
    } cases[] = {
        { 12, 0, { 4000, 0 } },
        { 10, 1514, { 4000, 0 } },
        { 0, 1514, { 4000, 0 } },
        { 12, 1514, { 1526, 4000 } },
        { 12, 1514, { 12, 4000 } },
    };
    static const uint32_t lens[] = { 1514 };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        GuestBuffers *g = guest_buffers_new();
        FrameSource s;

        frame_source_init(&s, true);
        frame_source_add(&s, lens, 1);
        g->b.headroom = cases[i].headroom;
        g->b.usual_len = cases[i].usual_len;
        guest_buffers_add(g, cases[i].pieces, 2);
        g_assert_cmpuint(frame_source_read(&s, g, 1), ==, 1);
        g_assert_false(s.plain);
        frame_source_check(&s, g, 0, 0, 0);
        guest_buffers_free(g);
    }
}

/* What is behind it is another one's. */
static void test_no_plain_read_into_no_pieces(void)
{
    static const uint32_t lens[] = { 60 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    frame_source_add(&s, lens, 1);
    g->b.headroom = 12;
    g->b.usual_len = 1514;
    guest_buffers_add(g, lens, 0);
    guest_buffers_add_n(g, 1, 4000);
    g_assert_cmpuint(frame_source_read(&s, g, 1), ==, 0);
    g_assert_cmpuint(g->b.too_long, ==, 1);
    g_assert_false(s.plain);
    guest_buffers_free(g);
}

static void test_plain_read_of_longest_frame(void)
{
    static const uint32_t lens[] = { 100, 101, 102, 60 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    frame_source_add(&s, lens, 4);
    g->b.headroom = 12;
    g->b.usual_len = 100;
    g->b.max_len = 100;
    guest_buffers_add_n(g, 4, 4000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 2);
    g_assert_cmpuint(g->b.too_long, ==, 2);
    check_placed(&s, g, 0, 0, 0);
    g->dropped = true;
    frame_source_check(&s, g, 1, 3, 1);
    guest_buffers_free(g);
}

/* --- several plain reads --- */

/* Frames come one behind the other, whichever of the reads brought them. */
static void test_burst_with_holes(void)
{
    static const uint32_t lens[] = { 60, 1514, 14, 1000, 61, 62, 63, 64 };
    static const uint64_t holes[] = { 0, 1, 2, 5, 8, 15 };

    for (unsigned i = 0; i < G_N_ELEMENTS(holes); i++) {
        GuestBuffers *g = guest_buffers_new();
        FrameSource s;

        frame_source_init(&s, true);
        frame_source_add(&s, lens, 8);
        s.burst = 5;
        s.holes = holes[i];
        g->b.headroom = 12;
        g->b.usual_len = 1514;
        guest_buffers_add_n(g, 20, 1527 + i);
        g_assert_cmpuint(frame_source_read(&s, g, 7), ==, 7);
        for (unsigned id = 0; id < 7; id++) {
            check_placed(&s, g, id, id, id);
        }
        g_assert_true(g->b.more && !g->b.starved);
        guest_buffers_check_guards(g);
        guest_buffers_free(g);
    }
}

/* It found room where it was read to, and has none in the buffer that is its turn. */
static void test_unusual_length_behind_a_hole(void)
{
    static const uint32_t lens[] = { 3000, 1514 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    frame_source_add(&s, lens, 2);
    s.burst = 3;
    s.holes = 1;
    g->b.headroom = 12;
    g->b.usual_len = 1514;
    guest_buffers_add_n(g, 1, 1527);
    guest_buffers_add_n(g, 2, 4000);
    g_assert_cmpuint(frame_source_read(&s, g, 64), ==, 1);
    g_assert_cmpuint(g->b.too_long, ==, 1);
    g_assert_cmpuint(g->b.usual_len, ==, 0);
    check_placed(&s, g, 0, 1, 0);
    guest_buffers_check_guards(g);
    guest_buffers_free(g);
}

/* --- how many pieces the kernel is given --- */

static unsigned pieces_for(GuestBuffers *g, FrameSource *s, uint32_t len)
{
    s->n = 0;
    s->done = 0;
    frame_source_add(s, &len, 1);
    g->b.next = 0;
    g_assert_cmpuint(frame_source_read(s, g, 1), ==, 1);
    g_assert_cmpuint(s->done, ==, 1);
    return s->pieces;
}

static void test_one_buffer_while_packets_are_small(void)
{
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    guest_buffers_add_n(g, 100, 1526);
    g->b.headroom = 12;
    for (unsigned i = 0; i < 100; i++) {
        g_assert_cmpuint(pieces_for(g, &s, 1514), ==, 1 + 1);
    }
    g_assert_cmpuint(pieces_for(g, &s, LARGE), ==, 1 + 1); /* by way of the spill */
    g_assert_cmpuint(pieces_for(g, &s, LARGE), ==, 43 + 0); /* 43 of 1526 are 65606 */
    for (unsigned i = 0; i < 15; i++) {
        g_assert_cmpuint(pieces_for(g, &s, 60), ==, 43);
    }
    g_assert_cmpuint(pieces_for(g, &s, 1515), ==, 43); /* needs two */
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmpuint(pieces_for(g, &s, 1514), ==, 43);
    }
    g_assert_cmpuint(pieces_for(g, &s, 60), ==, 1 + 1);
    g_assert_cmpuint(pieces_for(g, &s, LARGE), ==, 1 + 1); /* and all of that again */
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmpuint(pieces_for(g, &s, 60), ==, 43);
    }
    g_assert_cmpuint(pieces_for(g, &s, 60), ==, 1 + 1);
    guest_buffers_free(g);
}

/* A packet has nothing to look for in the next one, however long it is. */
static void test_only_one_buffer_without_merging(void)
{
    static const uint32_t lens[] = { LARGE, LARGE, 60 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    guest_buffers_add_n(g, 10, 2000);
    g->b.merge = false;
    frame_source_add(&s, lens, 3);
    g_assert_cmpuint(frame_source_read(&s, g, 1), ==, 1);
    g_assert_cmpuint(s.pieces, ==, 1 + 1);
    g_assert_cmphex(*(uint8_t *)g->iov[1].iov_base, ==, 0xa5);
    guest_buffers_free(g);
}

/* As without mergeable buffers: one for 64 KiB, of which most packets need the beginning. */
static void test_beginning_of_a_large_buffer_while_packets_are_small(void)
{
    uint32_t pieces[18] = { 12 };
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    for (unsigned i = 1; i < 18; i++) {
        pieces[i] = 4096;
    }
    frame_source_init(&s, true);
    guest_buffers_add(g, pieces, 18);
    guest_buffers_add(g, pieces, 18);
    g->b.headroom = 12;
    g->b.merge = false;
    g_assert_cmpuint(pieces_for(g, &s, 1514), ==, 1 + 1);
    g_assert_cmpuint(pieces_for(g, &s, 4096), ==, 1 + 1); /* fits: nothing was copied */
    g_assert_cmpuint(pieces_for(g, &s, 4097), ==, 1 + 1);
    g_assert_cmpuint(pieces_for(g, &s, LARGE), ==, 17);
    for (unsigned i = 0; i < 100; i++) {
        g_assert_cmpuint(pieces_for(g, &s, 2049), ==, 17); /* in one buffer, and not small */
    }
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmpuint(pieces_for(g, &s, 2048), ==, 17);
    }
    g_assert_cmpuint(pieces_for(g, &s, 1514), ==, 1 + 1);
    guest_buffers_free(g);
}

/* 2048 bytes of it, if that is in more pieces. */
static void test_a_small_packet_of_a_buffer_in_pieces(void)
{
    uint32_t pieces[20];
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    for (unsigned i = 0; i < 20; i++) {
        pieces[i] = i == 0 ? 12 : 512;
    }
    guest_buffers_add(g, pieces, 20);
    g->b.headroom = 12;
    g_assert_cmpuint(pieces_for(g, &s, 60), ==, 4 + 1);
    g->b.headroom = 13; /* a byte less of them */
    g_assert_cmpuint(pieces_for(g, &s, 60), ==, 5 + 1);
    guest_buffers_free(g);
}

/* All that a frame may have is in buffers: nothing for the spill, and no byte behind it. */
static void test_no_more_than_the_longest_frame(void)
{
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    frame_source_init(&s, true);
    guest_buffers_add_n(g, 10, 1600);
    g->b.headroom = 12;
    g->b.max_len = 1514;
    g_assert_cmpuint(pieces_for(g, &s, 1514), ==, 1);
    g_assert_cmpuint(g->b.direct, ==, 1515);
    g_assert_cmphex(((uint8_t *)g->iov[0].iov_base)[12 + 1515], ==, 0xa5);
    g->b.max_len = 1588;
    g_assert_cmpuint(pieces_for(g, &s, 1514), ==, 2);
    guest_buffers_free(g);
}

/* The kernel's own limit is 1024, and each costs something. */
static void test_not_more_than_64_pieces(void)
{
    uint32_t ones[1000];
    GuestBuffers *g = guest_buffers_new();
    FrameSource s;

    for (unsigned i = 0; i < 1000; i++) {
        ones[i] = 1;
    }
    frame_source_init(&s, true);
    guest_buffers_add(g, ones, 1000);
    guest_buffers_add_n(g, 100, 100);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(pieces_for(g, &s, 1500), ==, 64 + 1);
        frame_source_check(&s, g, 0, 0, 0);
    }
    guest_buffers_free(g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/net/pkt-buffers/" name, fn)
    TEST("packets-follow-each-other", test_packets_follow_each_other);
    TEST("headroom-in-any-pieces", test_headroom_in_any_pieces);
    TEST("small-packet-in-the-only-buffer", test_small_packet_in_the_only_buffer);
    TEST("why-it-ended", test_why_it_ended);
    TEST("packet-waits-for-buffers", test_packet_waits_for_buffers);
    TEST("packet-that-never-fits", test_packet_that_never_fits);
    TEST("never-fits-behind-others", test_never_fits_behind_others);
    TEST("waiting-packet-that-never-fits", test_waiting_packet_that_never_fits);
    TEST("without-merging", test_without_merging);
    TEST("longest-frame", test_longest_frame);
    TEST("odd-buffers", test_odd_buffers);
    TEST("dropped-packet", test_dropped_packet);
    TEST("link-off", test_link_off);
    TEST("drops-are-bounded", test_drops_are_bounded);
    TEST("plain-read-of-known-lengths", test_plain_read_of_known_lengths);
    TEST("unusual-length-is-lost-once", test_unusual_length_is_lost_once);
    TEST("no-plain-read", test_no_plain_read);
    TEST("no-plain-read-into-no-pieces", test_no_plain_read_into_no_pieces);
    TEST("plain-read-of-longest-frame", test_plain_read_of_longest_frame);
    TEST("burst-with-holes", test_burst_with_holes);
    TEST("unusual-length-behind-a-hole", test_unusual_length_behind_a_hole);
    TEST("one-buffer-while-packets-are-small", test_one_buffer_while_packets_are_small);
    TEST("only-one-buffer-without-merging", test_only_one_buffer_without_merging);
    TEST("beginning-of-a-large-buffer-while-packets-are-small",
         test_beginning_of_a_large_buffer_while_packets_are_small);
    TEST("a-small-packet-of-a-buffer-in-pieces", test_a_small_packet_of_a_buffer_in_pieces);
    TEST("no-more-than-the-longest-frame", test_no_more_than_the_longest_frame);
    TEST("not-more-than-64-pieces", test_not_more_than_64_pieces);
    return g_test_run();
}
