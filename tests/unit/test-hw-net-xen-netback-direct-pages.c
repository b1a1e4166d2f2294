/*
 * Guest to guest: pages that are none, or change under way, and what that costs whom.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-netdev.h"
#include "vif-direct.h"
#include "xenemu.h"

/* A sender whose page is none: the receiver's ring is as it was, others send to it. */
static void test_bad_page_of_the_sender(void)
{
    const uint32_t bad = 30000;
    VifFrame f = { .payload = 300 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    f.from = h.mac;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++) {
            f.seed = i;
            f.to = p.mac_b;
            hand_put_tx(&h, i, &f, i == 2 ? &bad : NULL);
        }
        hand_push_tx(&h);
        for (unsigned i = 0; i < 4; i++) {
            g_assert_cmpint(hand_tx_status(&h), ==, i == 2 ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
        }
        VIF_WAIT(DIRECT_COUNTER(&h.r.v, tx, drop_grant) == round + 1);
    }
    /* the head of the bad one cannot be had: it is not looked at, and nothing failed */
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, tx, direct) == 9);
    for (unsigned i = 0; i < 9; i++) {
        static const unsigned seeds[3] = { 0, 1, 3 };

        f.seed = seeds[i % 3];
        vif_frame_expect(p.b.front_dev, 0, &f, 0);
    }
    direct_hands_down(&p, &h);
}

static void play_header(HandGuest *h)
{
    memset(hand_page(h, 0), 0xff, DIRECT_HEAD);
}

/* The receiver gets the head that was looked at. */
static void test_head_changes(void)
{
    VifFrame f = { .payload = 900 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    trick_start(&h, play_header);
    f.from = h.mac;
    f.to = p.mac_b;
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(p.b.front_dev, 0, &f, 0);
    g_assert_cmpint(hand_tx_status(&h), ==, NETIF_RSP_OKAY);
    g_assert_cmpuint(hand_page(&h, 0)[20], ==, 0xff);
    trick_end();
    direct_hands_down(&p, &h);
}

/* Of a grant: the first two bytes of its entry, which has eight (grant_table.h). 0: no access. */
static uint16_t *hand_grant(HandGuest *h, unsigned page)
{
    return (uint16_t *)(void *)((uint8_t *)xenemu_guest_ram(h->r.v.guest->opaque) +
                                h->refs[page] * 8);
}

static void play_grant(HandGuest *h)
{
    __atomic_store_n(hand_grant(h, 1), 0, __ATOMIC_RELEASE);
}

/* Pages that are there at first and then are not: once, after that it is the netdev's way. */
static void test_page_goes(void)
{
    VifFrame f = { .payload = 900 };
    uint16_t flags;
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    flags = __atomic_load_n(hand_grant(&h, 1), __ATOMIC_ACQUIRE);
    trick_start(&h, play_grant);
    f.from = h.mac;
    f.to = p.mac_b;
    for (f.seed = 0; f.seed < 4; f.seed++) {
        hand_put_tx(&h, f.seed, &f, NULL);
    }
    hand_push_tx(&h);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(hand_tx_status(&h), ==, i == 1 ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
    }
    f.seed = 0;
    vif_frame_expect(p.b.front_dev, 0, &f, 0);
    for (f.seed = 2; f.seed < 4; f.seed++) {
        vif_frame_expect(h.r.v.back_dev, 0, &f, 0);
    }
    __atomic_store_n(hand_grant(&h, 1), flags, __ATOMIC_RELEASE);
    trick_end();
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, tx, direct) == 1);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, tx, drop_grant) == 1);

    hand_put_tx(&h, 0, &f, NULL); /* no more of it... */
    hand_push_tx(&h);
    vif_frame_expect(h.r.v.back_dev, 0, &f, 0);
    f.to = p.mac_a; /* ...between these two */
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(p.a.front_dev, 0, &f, 0);
    direct_a_to_b(&p, (VifFrame){ .payload = 700 }, 0);
    VIF_WAIT(DIRECT_COUNTER(&p.b, rx, drop_grant) == 0);

    raw_state(&h.r, XenbusStateClosed); /* a new start */
    VIF_WAIT(h.r.v.back.disconnected == 1);
    hand_connect(&h);
    f.to = p.mac_b;
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(p.b.front_dev, 0, &f, 0);
    direct_hands_down(&p, &h);
}

/* It is not even tried. */
static void play_no_more(HandGuest *h)
{
    g_assert_not_reached();
}

/* A receiver whose page is none: the sender gets rid of its packet, and sends to others. */
static void test_bad_page_of_the_receiver(void)
{
    const uint32_t bad = 30000;
    VifFrame f = { .payload = 300 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    hand_post(&h, 1, NULL);
    hand_post(&h, 1, &bad);
    hand_post(&h, 6, NULL);
    f.from = p.mac_a;
    f.to = h.mac;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    for (unsigned i = 0; i < 3; i++) {
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        vif_frame_expect(p.a.back_dev, 0, &f, 0);
        direct_a_to_b(&p, (VifFrame){ .payload = 700, .seed = i }, 0);
    }
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, direct) == 1);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, drop_full) == 0);
    for (unsigned i = 0; i < 2; i++) { /* no new start */
        g_assert_true(xen_store_printf(h.r.v.guest_store, 0, h.r.v.fe, "xdp-headroom", "%u",
                                       i == 0 ? 256u : 0u));
        raw_state(&h.r, XenbusStateReconfiguring);
        VIF_WAIT(h.r.v.nb->headroom == (i == 0 ? 256u : 0u));
        raw_state(&h.r, XenbusStateConnected);
        VIF_WAIT(h.r.v.nb->bus.state == XenbusStateConnected);
    }
    trick_start(&h, play_no_more);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    vif_frame_expect(p.a.back_dev, 0, &f, 0);
    trick_end();
    raw_state(&h.r, XenbusStateClosed); /* a new start */
    VIF_WAIT(h.r.v.back.disconnected == 1);
    hand_connect(&h);
    hand_post(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    direct_hands_down(&p, &h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/netback-direct/" name, fn)
    TEST("bad-page-of-the-sender", test_bad_page_of_the_sender);
    TEST("head-changes", test_head_changes);
    TEST("page-goes", test_page_goes);
    TEST("bad-page-of-the-receiver", test_bad_page_of_the_receiver);
    return g_test_run();
}
