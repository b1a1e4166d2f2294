/*
 * Guest to guest: what goes there without the netdev, and what does not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-netdev.h"
#include "vif-direct.h"

/* Packets of all forms, both ways; nothing of it gets into our memory but the heads. */
static void test_goes_directly(void)
{
    unsigned n = 0;
    DirectPair p;

    direct_pair_up(&p, 1, 1, NULL);
    for (unsigned i = 0; i < 64; i++) {
        bool gso = i & 1;
        VifFrame f = { .csum_blank = i & 3, .udp = (i & 3) == 2, .ipv6 = i & 4, .seed = i,
                       .payload = gso ? 1500 + i * 1000 : 1 + i * 22 };

        direct_a_to_b(&p, f, gso ? 1448 : 0);
        f.to = p.mac_a;
        f.from = p.mac_b;
        vif_frame_give(p.b.front_dev, 0, &f, gso ? 1448 : 0);
        vif_frame_expect(p.a.front_dev, 0, &f, gso ? 1448 : 0);
        n++;
    }
    VIF_WAIT(DIRECT_COUNTER(&p.a, tx, direct) == n);
    VIF_WAIT(DIRECT_COUNTER(&p.a, rx, direct) == n);
    VIF_WAIT(DIRECT_COUNTER(&p.b, tx, direct) == n);
    VIF_WAIT(DIRECT_COUNTER(&p.b, rx, direct) == n);
    VIF_WAIT(DIRECT_COUNTER(&p.a, tx, packets) == n);
    VIF_WAIT(DIRECT_COUNTER(&p.b, rx, packets) == n);
    VIF_WAIT(DIRECT_COUNTER(&p.a, tx, bytes) == DIRECT_COUNTER(&p.b, rx, bytes));
    g_assert_null(fake_netdev_take(p.a.back_dev, 0, 0));
    g_assert_null(fake_netdev_take(p.b.back_dev, 0, 0));
    direct_pair_down(&p);
}

static void test_others_go_by_the_netdev(void)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    static const uint8_t unknown[6] = { 2, 0, 0, 0, 0, 9 };
    VifFrame f = { .payload = 500 };
    DirectPair p;

    direct_pair_up(&p, 1, 1, NULL);
    f.from = p.mac_a;
    f.to = broadcast;
    direct_to_netdev(&p, "broadcast", f, 0);
    f.to = unknown;
    direct_to_netdev(&p, "unknown", f, 0);
    f.to = p.mac_a;
    direct_to_netdev(&p, "itself", f, 0);
    f.to = p.mac_b;
    f.from = unknown;
    direct_to_netdev(&p, "from another one than itself", f, 0);
    f.from = p.mac_a;
    f.payload = 1600;
    direct_to_netdev(&p, "larger than the MTU", f, 0);
    f.payload = 500;
    f.vlan = true;
    direct_a_to_b(&p, f, 0);
    f.vlan = false;
    f.payload = 1500 + 4 - 40; /* a bridge has room for a tag */
    direct_a_to_b(&p, f, 0);
    VIF_WAIT(DIRECT_COUNTER(&p.a, tx, direct) == 2);
    g_assert_null(fake_netdev_take(p.b.front_dev, 0, 0));
    direct_pair_down(&p);
}

static void test_receiver_can_do_less(void)
{
    NetfrontConfig plain = vif_front_config();
    VifFrame f = { .payload = 500 };
    DirectPair p;

    plain.sg = plain.gso = plain.csum = plain.ipv6_csum = false;
    direct_pair_up(&p, 1, 1, &plain);
    direct_a_to_b(&p, f, 0);
    f.to = p.mac_b;
    f.from = p.mac_a;
    f.csum_blank = true;
    direct_to_netdev(&p, "a checksum to do", f, 0);
    f.payload = 3000;
    direct_to_netdev(&p, "segments to make", f, 1000);
    direct_pair_down(&p);
}

static void test_queues(void)
{
    VifFrame f = { .payload = 200 };
    DirectPair p;

    direct_pair_up(&p, 4, 2, NULL);
    f.to = p.mac_b;
    f.from = p.mac_a;
    for (unsigned i = 0; i < 4; i++) {
        f.seed = i;
        vif_frame_give(p.a.front_dev, i, &f, 0);
        vif_frame_expect(p.b.front_dev, i % 2, &f, 0);
    }
    VIF_WAIT(counter_read(&p.b.nb->stats[0].rx.direct) == 2);
    VIF_WAIT(counter_read(&p.b.nb->stats[1].rx.direct) == 2);
    direct_pair_down(&p);
}

static void test_who_takes_part(void)
{
    VifFrame f = { .payload = 200 };
    Vif other = { 0 };
    DirectPair p;

    direct_pair_up(&p, 1, 1, NULL);
    f.to = p.mac_b;
    f.from = p.mac_a;
    netback_pause(p.b.nb, true);
    direct_to_netdev(&p, "paused", f, 0);
    netback_pause(p.b.nb, false);
    direct_a_to_b(&p, f, 0);
    netdev_set_link(p.b.back_dev, false);
    direct_to_netdev(&p, "no link", f, 0);
    netdev_set_link(p.b.back_dev, true);
    direct_a_to_b(&p, f, 0);
    netdev_set_link(p.a.back_dev, false);
    vif_frame_give(p.a.front_dev, 0, &f, 0);
    VIF_WAIT(DIRECT_COUNTER(&p.a, tx, drop_peer) == 1);
    netdev_set_link(p.a.back_dev, true);
    direct_a_to_b(&p, f, 0);
    vif_front_close(&p.b);
    direct_to_netdev(&p, "no guest", f, 0);
    vif_back_close(&p.b);
    direct_to_netdev(&p, "no vif", f, 0);
    direct_connect(&p.b, NULL);
    direct_a_to_b(&p, f, 0);

    vif_up_beside(&other, &p.a, fake_netdev_new(1, true), fake_netdev_new(1, true));
    other.mac = p.b.nb->mac;
    direct_connect(&other, NULL);
    direct_to_netdev(&p, "two have the MAC", f, 0);
    vif_down(&other);
    direct_a_to_b(&p, f, 0);
    direct_pair_down(&p);
}

/* direct=on is the vif's own word, for both directions. */
static void test_off(void)
{
    NetfrontConfig config = vif_front_config();
    VifFrame f = { .payload = 200 };
    DirectPair p;

    direct_pair_up(&p, 1, 1, NULL);
    vif_back_close(&p.b);
    vif_front_close(&p.b);
    p.b.direct = false;
    vif_connect(&p.b, &config);
    f.to = p.mac_b;
    f.from = p.mac_a;
    direct_to_netdev(&p, "the receiver has it off", f, 0);
    f.to = p.mac_a;
    f.from = p.mac_b;
    vif_frame_give(p.b.front_dev, 0, &f, 0);
    vif_frame_expect(p.b.back_dev, 0, &f, 0);
    direct_pair_down(&p);
}

/* In as many slots as it came in, if the receiver takes so many. */
static void test_slots_of_a_packet(void)
{
    static const struct { unsigned n, size; bool sg, direct; } rows[] = {
        { 2, 600, true, true }, { 4, 200, true, true }, { 5, 200, true, false },
        { 2, 600, false, false }, { 19, 60, true, false }, { 3, 700, true, false },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        NetfrontConfig config = vif_front_config();
        VifFrame f = { .payload = 1400, .seed = i };
        HandGuest h;
        DirectPair p;

        config.sg = config.gso = rows[i].sg;
        direct_pair_up(&p, 1, 1, &config);
        hand_up(&h, &p.a);
        f.from = h.mac;
        f.to = p.mac_b;
        if (i == 5) {
            f.payload = 1400 + 14 - vif_frame_headers(&f); /* 14 bytes are in the first slot */
        }
        hand_put_tx_slots(&h, &f, rows[i].n, rows[i].size);
        vif_frame_expect(rows[i].direct ? p.b.front_dev : h.r.v.back_dev, 0, &f, 0);
        VIF_WAIT(DIRECT_COUNTER(&h.r.v, tx, direct) == rows[i].direct);
        direct_hands_down(&p, &h);
    }
}

/* netif has no way to say where the checksum of a tagged packet is: the netdev has. */
static void test_checksum_without_a_name(void)
{
    VifFrame f = { .payload = 300, .vlan = true, .csum_blank = true };
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    f.from = h.mac;
    f.to = p.mac_b;
    hand_put_tx(&h, 0, &f, NULL);
    hand_push_tx(&h);
    vif_frame_expect(h.r.v.back_dev, 0, &f, 0);
    VIF_WAIT(DIRECT_COUNTER(&h.r.v, tx, direct) == 0);
    direct_hands_down(&p, &h);
}

/* Only the netdev's packets leave an XDP program its headroom. */
static void test_headroom(void)
{
    VifFrame f = { .payload = 300 };
    XenStore *s;
    HandGuest h;
    DirectPair p;

    direct_hands_up(&p, &h);
    s = h.r.v.guest_store;
    hand_post(&h, 8, NULL);
    f.from = p.mac_a;
    f.to = h.mac;
    for (unsigned i = 0; i < 4; i++) {
        unsigned headroom = i % 2 ? 0 : 256;

        g_assert_true(xen_store_printf(s, 0, h.r.v.fe, "xdp-headroom", "%u", headroom));
        raw_state(&h.r, XenbusStateReconfiguring);
        VIF_WAIT(h.r.v.nb->headroom == headroom);
        vif_frame_give(p.a.front_dev, 0, &f, 0);
        if (headroom == 0) {
            hand_expect(&h, &f);
        } else {
            vif_frame_expect(p.a.back_dev, 0, &f, 0);
        }
        raw_state(&h.r, XenbusStateConnected);
        VIF_WAIT(h.r.v.nb->bus.state == XenbusStateConnected);
    }
    direct_hands_down(&p, &h);
}

/* Each sends to each, while one comes and goes, is paused, and others join the set. */
static void test_threads(void)
{
    VifFrame f = { .payload = 1200, .csum_blank = true };
    Vif other = { 0 };
    DirectPair p;

    direct_pair_up(&p, 2, 2, NULL);
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < 200; i++) {
            f.from = p.mac_a;
            f.to = p.mac_b;
            vif_frame_give(p.a.front_dev, i % 2, &f, i % 3 ? 0 : 500);
            f.from = p.mac_b;
            f.to = p.mac_a;
            vif_frame_give(p.b.front_dev, i % 2, &f, i % 3 ? 0 : 500);
            vif_frame_give(p.a.back_dev, i % 2, &f, 0);
        }
        switch (round % 4) {
        case 0:
            vif_front_close(&p.b);
            vif_back_close(&p.b);
            direct_connect(&p.b, NULL);
            break;
        case 1:
            netback_pause(p.a.nb, true);
            netback_pause(p.a.nb, false);
            break;
        case 2:
            vif_up_beside(&other, &p.a, fake_netdev_new(1, true), fake_netdev_new(1, true));
            direct_connect(&other, NULL);
            break;
        default:
            vif_down(&other);
            break;
        }
    }
    VIF_WAIT(fake_netdev_unread(p.a.front_dev, 0) + fake_netdev_unread(p.a.front_dev, 1) +
             fake_netdev_unread(p.b.front_dev, 0) + fake_netdev_unread(p.b.front_dev, 1) == 0);
    VIF_WAIT(DIRECT_COUNTER(&p.a, tx, drop_grant) + DIRECT_COUNTER(&p.b, tx, drop_grant) == 0);
    g_assert_cmpuint(DIRECT_COUNTER(&p.a, rx, direct), >, 0);
    direct_pair_down(&p);
}

/* Each is taken by another thread, in each round; and what senders read of the vif is apart. */
static void test_locks_share_no_line_of_the_cache(void)
{
    const DirectVif *v;
    DirectPair p;

    direct_pair_up(&p, 4, 2, NULL);
    v = p.a.nb->direct;
    g_assert_cmpuint(v->n_ends, ==, 4);
    for (unsigned i = 0; i < v->n_ends; i++) {
        g_assert_cmpuint((uintptr_t)&v->end[i].lock % 64, ==, 0);
    }
    direct_pair_down(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/netback-direct/" name, fn)
    TEST("goes-directly", test_goes_directly);
    TEST("others-go-by-the-netdev", test_others_go_by_the_netdev);
    TEST("receiver-can-do-less", test_receiver_can_do_less);
    TEST("queues", test_queues);
    TEST("who-takes-part", test_who_takes_part);
    TEST("off", test_off);
    TEST("slots-of-a-packet", test_slots_of_a_packet);
    TEST("checksum-without-a-name", test_checksum_without_a_name);
    TEST("headroom", test_headroom);
    TEST("threads", test_threads);
    TEST("locks-share-no-line-of-the-cache", test_locks_share_no_line_of_the_cache);
    return g_test_run();
}
