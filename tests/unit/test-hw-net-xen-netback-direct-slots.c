/*
 * Guest to guest: receivers without slots, who waits for them, and who has them first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-netdev.h"
#include "vif-direct.h"

/* A receiver that takes nothing costs those that send to it nothing. */
static void test_no_slots(void)
{
    VifFrame f = { .payload = 300 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    f.from = p.mac_a;
    hand_post(&h, 3, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        f.seed = i;
        f.to = h.mac;
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        f.to = p.mac_b;
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        vif_frame_expect(p.b.front_dev, 0, &f, 0);
    }
    for (f.seed = 0; f.seed < 3; f.seed++) {
        f.to = h.mac;
        hand_expect(&h, &f);
    }
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, drop_full) == 997);
    /* it was waited for, and is not any more */
    g_assert_cmpuint(direct_patience(&p.a, h.mac, 0), ==, 0);
    g_assert_null(fake_netdev_take(p.a.back_dev, 0, 0));
    hand_post(&h, 1, NULL);
    f.seed = 1;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, direct) == 4);
    g_assert_cmpuint(direct_patience(&p.a, h.mac, 0), ==, DIRECT_PER_SLOT_NS);
    direct_hands_down(&p, &h);
}

/* A GSO packet takes a slot more, and nobody overtakes it. */
static void test_gso_slot(void)
{
    VifFrame f = { .payload = 3000, .csum_blank = true }, small = { .payload = 100 };
    netif_rx_response_t rsp;
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    f.from = small.from = p.mac_a;
    f.to = small.to = h.mac;
    hand_post(&h, 1, NULL);
    direct_patience(&p.a, h.mac, UINT64_MAX / 2);
    vif_frame_give(p.a.front_dev, 0, &f, 1000);
    vif_frame_give(p.a.front_dev, 0, &small, 0);
    VIF_WAIT(direct_patience(&p.a, h.mac, 0) < UINT64_MAX / 2);
    g_assert_cmpint(xen_ring_responses(&h.rx), ==, 0);
    hand_post(&h, 2, NULL);
    VIF_WAIT(xen_ring_responses(&h.rx) == 3);
    xen_ring_take_response(&h.rx, &rsp, sizeof(rsp));
    g_assert_cmpint(rsp.status, ==, vif_frame_headers(&f) + f.payload);
    g_assert_cmpuint(rsp.flags & NETRXF_extra_info, !=, 0);
    xen_ring_take_response(&h.rx, &rsp, sizeof(rsp));
    hand_expect(&h, &small);

    direct_patience(&p.a, h.mac, 1); /* and without its slot it is no packet */
    hand_post(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 1000);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, drop_full) == 1);
    g_assert_cmpint(xen_ring_responses(&h.rx), ==, 0);
    direct_hands_down(&p, &h);
}

/* Slots that come in time: nothing is lost, and all of it in order. */
static void test_slots_come_later(void)
{
    VifFrame f = { .payload = 300 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    f.from = p.mac_a;
    f.to = h.mac;
    for (unsigned round = 0; round < 20; round++) {
        /* which is all the time that there is, however slow this machine is */
        direct_patience(&p.a, h.mac, UINT64_MAX / 2);
        for (f.seed = 0; f.seed < 8; f.seed++) {
            vif_frame_give(p.a.front_dev, 0, &f, 0);
        }
        VIF_WAIT(direct_patience(&p.a, h.mac, 0) < UINT64_MAX / 2); /* it waits */
        hand_post(&h, 8, NULL);
        for (f.seed = 0; f.seed < 8; f.seed++) {
            hand_expect(&h, &f);
        }
    }
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, direct) == 160);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, drop_full) == 0);
    direct_hands_down(&p, &h);
}

/* What its own netdev has waits for slots: these are not for others. */
static void test_netdev_comes_first(void)
{
    VifFrame big = { .payload = 9000, .csum_blank = true }, f = { .payload = 300 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    hand_post(&h, 1, NULL);
    vif_frame_give(h.r.v.back_dev, 0, &big, 1000);
    VIF_WAIT(fake_netdev_unread(h.r.v.back_dev, 0) == 0 &&
             __atomic_load_n(&h.rx.page->req_event, __ATOMIC_RELAXED) > 1);
    hand_post_quietly(&h, 3, NULL); /* of the 4 that it needs, with its GSO extra */
    f.from = p.mac_a;
    f.to = h.mac;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, drop_full) == 1);
    hand_post_quietly(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0); /* the fifth */
    h.r.ops->evtchn_notify(h.r.evtchn, h.r.rx_port[0]);
    VIF_WAIT(xen_ring_responses(&h.rx) >= 4);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, packets) == 1 + DIRECT_COUNTER(&h.r.v, rx, direct));
    direct_hands_down(&p, &h);
}

/* It found no slot at all, and has not said how many it wants: some are kept. */
static void test_netdev_found_no_slots(void)
{
    VifFrame f = { .payload = 300 }, outside = { .payload = 200 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    f.from = p.mac_a;
    f.to = h.mac;
    hand_post(&h, 1, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    vif_frame_give(h.r.v.back_dev, 0, &outside, 0);
    VIF_WAIT(__atomic_load_n(&h.rx.page->req_event, __ATOMIC_RELAXED) == 2);
    hand_post_quietly(&h, DIRECT_KEPT, NULL);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, drop_full) == 1);
    h.r.ops->evtchn_notify(h.r.evtchn, h.r.rx_port[0]);
    hand_expect(&h, &outside);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    hand_expect(&h, &f);
    direct_hands_down(&p, &h);
}

/* A receiver whose ring says what cannot be: its own thread ends that. */
static void test_impossible_ring(void)
{
    VifFrame f = { .payload = 300 };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    h.rx.page->req_prod = 1000;
    f.from = p.mac_a;
    f.to = h.mac;
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, rx, drop_full) == 1);
    h.r.ops->evtchn_notify(h.r.evtchn, h.r.rx_port[0]);
    VIF_WAIT(h.r.v.back.errors == 1);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    vif_frame_expect(p.a.back_dev, 0, &f, 0);
    raw_state(&h.r, XenbusStateInitialising);
    direct_hands_down(&p, &h);
}

/* --- one that sends by hand to one that receives by hand --- */

typedef struct Hands {
    DirectPair p;
    HandGuest from;
    HandGuest to;
} Hands;

static Hands hands;

static void hands_up(void)
{
    direct_hands_up(&hands.p, &hands.from);
    hand_up(&hands.to, &hands.p.a);
}

static void hands_down(void)
{
    hand_down(&hands.to);
    direct_hands_down(&hands.p, &hands.from);
}

static VifFrame hands_frame(unsigned seed)
{
    return (VifFrame) { .payload = 300, .seed = seed, .from = hands.from.mac, .to = hands.to.mac };
}

/* In one batch. */
static void hands_send(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        VifFrame f = hands_frame(i);

        hand_put_tx(&hands.from, i, &f, NULL);
    }
    hand_push_tx(&hands.from);
}

static void hands_wait_for_ever(void)
{
    direct_patience(&hands.from.r.v, hands.to.mac, UINT64_MAX / 2);
}

static bool hands_wait(void)
{
    return direct_patience(&hands.from.r.v, hands.to.mac, 0) < UINT64_MAX / 2;
}

static void play_slots(HandGuest *h)
{
    hand_post_quietly(h, 4, NULL);
    trick_end();
}

/* Who has no patience left has some for a receiver that is just taking packets. */
static void test_slots_while_sending(void)
{
    VifFrame first;

    hands_up();
    first = hands_frame(0);
    hand_post(&hands.to, 1, NULL); /* its thread sees that the netdev has nothing */
    hands_send(1);
    hand_expect(&hands.to, &first);
    g_assert_cmpint(hand_tx_status(&hands.from), ==, NETIF_RSP_OKAY);
    hands_send(1);
    g_assert_cmpint(hand_tx_status(&hands.from), ==, NETIF_RSP_OKAY);
    VIF_WAIT(DIRECT_COUNTER(&hands.to.r.v, rx, drop_full) == 1);
    g_assert_cmpuint(direct_patience(&hands.from.r.v, hands.to.mac, 0), ==, 0);
    hand_post_quietly(&hands.to, 4, NULL);
    trick_start(&hands.to, play_slots);
    hands_send(8);
    VIF_WAIT(trick_ended());
    for (unsigned i = 0; i < 8; i++) {
        VifFrame f = hands_frame(i);

        hand_expect(&hands.to, &f);
        g_assert_cmpint(hand_tx_status(&hands.from), ==, NETIF_RSP_OKAY);
    }
    VIF_WAIT(DIRECT_COUNTER(&hands.to.r.v, rx, direct) == 9);
    g_assert_cmpuint(DIRECT_COUNTER(&hands.to.r.v, rx, drop_full), ==, 1);
    hands_down();
}

/* Another sender, the receiver's thread or the main thread is in its ring: nothing is lost. */
static void test_ring_is_in_use(void)
{
    VifFrame f;
    DirectEnd *end;

    hands_up();
    f = hands_frame(0);
    end = hands.to.r.v.nb->direct->end;
    hand_post(&hands.to, 2, NULL);
    hands_wait_for_ever();
    pthread_mutex_lock(&end->lock);
    hands_send(1);
    VIF_WAIT(hands_wait());
    pthread_mutex_unlock(&end->lock);
    hand_expect(&hands.to, &f);
    g_assert_cmpint(hand_tx_status(&hands.from), ==, NETIF_RSP_OKAY);

    hands_wait_for_ever();
    __atomic_fetch_add(&end->wanted, 1, __ATOMIC_RELAXED); /* nobody has it, somebody wants it */
    hands_send(1);
    VIF_WAIT(hands_wait());
    g_assert_cmpint(xen_ring_responses(&hands.to.rx), ==, 0);
    __atomic_fetch_sub(&end->wanted, 1, __ATOMIC_RELAXED);
    hand_expect(&hands.to, &f);
    g_assert_cmpint(hand_tx_status(&hands.from), ==, NETIF_RSP_OKAY);
    hands_down();
}

/* It is too late for the netdev then. */
static void test_receiver_goes(void)
{
    hands_up();
    hands_wait_for_ever();
    hands_send(2);
    VIF_WAIT(hands_wait());
    raw_state(&hands.to.r, XenbusStateClosed);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpint(hand_tx_status(&hands.from), ==, NETIF_RSP_ERROR);
    }
    VIF_WAIT(DIRECT_COUNTER(&hands.from.r.v, tx, drop_peer) == 2);
    VIF_WAIT(hands.to.r.v.back.disconnected == 1);
    hand_connect(&hands.to);
    hands_down();
}

/* The same, as somebody else has its MAC from now on. */
static void test_receiver_has_a_double(void)
{
    Vif other = { 0 };

    hands_up();
    hands_wait_for_ever();
    hands_send(2);
    VIF_WAIT(hands_wait());
    vif_up_beside(&other, &hands.p.a, fake_netdev_new(1, true), fake_netdev_new(1, true));
    other.mac = hands.to.r.v.nb->mac;
    direct_connect(&other, NULL);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpint(hand_tx_status(&hands.from), ==, NETIF_RSP_ERROR);
    }
    VIF_WAIT(DIRECT_COUNTER(&hands.from.r.v, tx, drop_peer) == 2);
    vif_down(&other);
    hands_down();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/netback-direct/" name, fn)
    TEST("no-slots", test_no_slots);
    TEST("gso-slot", test_gso_slot);
    TEST("slots-come-later", test_slots_come_later);
    TEST("netdev-comes-first", test_netdev_comes_first);
    TEST("netdev-found-no-slots", test_netdev_found_no_slots);
    TEST("impossible-ring", test_impossible_ring);
    TEST("slots-while-sending", test_slots_while_sending);
    TEST("ring-is-in-use", test_ring_is_in_use);
    TEST("receiver-goes", test_receiver_goes);
    TEST("receiver-has-a-double", test_receiver_has_a_double);
    return g_test_run();
}
