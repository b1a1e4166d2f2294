/*
 * A guest that floods leaves the others their share, by counts: packets in a round of an
 * iothread, rounds of the main loop that a connection takes. scripts/bench has it by the clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "fake-netdev.h"
#include "ring-guest.h"
#include "xen-netback-internal.h"

#define PACKETS      20000u /* that the other vif moves at least, each way counted */
#define BAD_QUEUES   4u     /* of a guest whose last one has a bad reference */
#define FAILURES     10u    /* of its connections, while the other vif is watched */
#define MAIN_QUEUES  8u
#define CONNECTIONS  6u

/* --- the main loop's part of a flood --- */

static void break_last_queue(Raw *r)
{
    g_autofree char *key = g_strdup_printf("queue-%u/rx-ring-ref", r->n_queues - 1);

    g_assert_true(xen_store_printf(r->v.guest_store, 0, r->v.fe, key, "30000"));
}

/* It fails with the last of its queues, and begins anew at once: no wait counts here. */
static gboolean connect_again(gpointer opaque)
{
    Raw *r = opaque;

    r->v.nb->bus.fail_until_us = 0;
    raw_state(r, XenbusStateConnected);
    return G_SOURCE_CONTINUE;
}

/* --- packets in a round --- */

typedef struct Flood {
    bool shared;     /* one iothread for all of both vifs */
    bool reconnects;
} Flood;

static Netdev *endless(unsigned n_queues)
{
    Netdev *nd = fake_netdev_new(n_queues, true);

    fake_netdev_set_endless(nd, RING_GUEST_FRAME);
    return nd;
}

/*
 * Moves PACKETS, and more until @flooder has moved some and failed so often; NULL: there is no
 * flood. Returns packets in a round.
 */
static double move(RingGuest *g, const RingGuest *flooder, unsigned failures)
{
    unsigned end = flooder ? flooder->raw->v.back.errors + failures : 0;

    ring_guest_join(g);
    VIF_WAIT(ring_guest_moved(g) >= PACKETS &&
             (!flooder || (ring_guest_moved(flooder) > 0 && flooder->raw->v.back.errors >= end)));
    ring_guest_leave(g);
    return (double)g->moved / g->rounds;
}

static void flooder_up(Raw *r, const Flood *flood, IoThread *thread)
{
    unsigned n_queues = flood->reconnects ? BAD_QUEUES : 1;

    if (flood->reconnects) {
        raw_prepare(r, endless(n_queues), fake_netdev_new(n_queues, true), true, thread);
        break_last_queue(r);
    } else {
        raw_up(r, endless(n_queues), fake_netdev_new(n_queues, true), true, thread);
    }
}

/*
 * The flood: rings that are always full, in both directions, and an event on each port in each
 * round; from connections that end before they are complete, perhaps.
 */
static void test_packets_in_a_round(gconstpointer data)
{
    const Flood *flood = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(IoThread) one = io_thread_new("one", &error);
    g_autoptr(IoThread) two = io_thread_new("two", &error);
    RingGuest other, flooder;
    double alone, flooded;
    Raw raw[2];
    guint source = 0;

    g_assert_no_error(error);
    raw_up(&raw[0], endless(1), fake_netdev_new(1, true), true, one);
    flooder_up(&raw[1], flood, flood->shared ? one : two);
    ring_guest_init(&other, &raw[0], false);
    ring_guest_init(&flooder, &raw[1], true);
    alone = move(&other, NULL, 0);
    ring_guest_join(&flooder);
    if (flood->reconnects) {
        source = g_idle_add_full(G_PRIORITY_DEFAULT, connect_again, &raw[1], NULL);
    }
    flooded = move(&other, &flooder, flood->reconnects ? FAILURES : 0);
    g_clear_handle_id(&source, g_source_remove);
    ring_guest_leave(&flooder);
    g_test_message("%.1f packets a round, %.1f with the flood of %" G_GUINT64_FORMAT " in %u",
                   alone, flooded, flooder.moved, flooder.rounds);
    g_assert_cmpfloat(flooded, >=, 0.9 * alone);
    /* a queue that came anew may have had two turns between two of its guest's */
    g_assert_cmpuint(flooder.most, <=, NETBACK_BATCH * (flood->reconnects ? 2 : 1));
    ring_guest_down(&flooder);
    ring_guest_down(&other);
}

/* --- rounds of the main loop --- */

typedef struct Rounds {
    Netback *nb;
    unsigned queues; /* in the last round */
    unsigned n;      /* with a step under way */
} Rounds;

static void rounds_look(Rounds *r)
{
    g_assert_cmpint(ABS((int)r->nb->queues.run.n - (int)r->queues), <=, 1);
    r->queues = r->nb->queues.run.n;
    r->n += r->nb->bus.connecting || r->nb->bus.disconnecting;
}

#define RUN_UNTIL(cond) do {                                                \
        gint64 run_end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;      \
        while (!(cond)) {                                                   \
            g_assert_cmpint(g_get_monotonic_time(), <, run_end);            \
            g_main_context_iteration(NULL, false);                          \
            rounds_look(other);                                             \
            rounds_look(flooder);                                           \
        }                                                                   \
    } while (0)

/* Rounds that the steps of CONNECTIONS connections and their ends take. */
static unsigned reconnect(Raw *r, Rounds *other, Rounds *flooder)
{
    other->n = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        unsigned n = r->v.back.connected;

        raw_state(r, XenbusStateInitialising);
        RUN_UNTIL(r->v.back.disconnected == n && r->v.nb->bus.state == XenbusStateInitWait);
        raw_state(r, XenbusStateConnected);
        RUN_UNTIL(r->v.back.connected == n + 1);
    }
    return other->n;
}

/* Both guests are of one host, and their backends at one XenStore. */
static void test_rounds_of_the_main_loop(void)
{
    Rounds other = { 0 }, flooder = { 0 };
    unsigned alone, flooded;
    guint source;
    Raw raw[2];

    raw_up(&raw[0], fake_netdev_new(MAIN_QUEUES, true), fake_netdev_new(MAIN_QUEUES, true), true,
           NULL);
    raw[1] = (Raw) { 0 };
    vif_up_beside(&raw[1].v, &raw[0].v, fake_netdev_new(MAIN_QUEUES, true),
                  fake_netdev_new(MAIN_QUEUES, true));
    vif_back_start(&raw[1].v);
    raw_make(&raw[1], true);
    break_last_queue(&raw[1]);
    other = (Rounds) { .nb = raw[0].v.nb, .queues = MAIN_QUEUES };
    flooder.nb = raw[1].v.nb;
    alone = reconnect(&raw[0], &other, &flooder);
    source = g_idle_add_full(G_PRIORITY_DEFAULT, connect_again, &raw[1], NULL);
    flooded = reconnect(&raw[0], &other, &flooder);
    g_source_remove(source);
    g_test_message("%u rounds alone, %u with a flood of %u failures in %u", alone, flooded,
                   raw[1].v.back.errors, flooder.n);
    g_assert_cmpuint(alone, >=, CONNECTIONS * 2 * (MAIN_QUEUES - 1));
    g_assert_cmpuint(flooded * 9, <=, alone * 10);
    g_assert_cmpuint(raw[1].v.back.errors, >, 0);
    raw_state(&raw[1], XenbusStateClosed);
    VIF_WAIT(raw[1].v.nb->bus.state == XenbusStateClosed);
    raw_down(&raw[1]);
    raw_down(&raw[0]);
}

int main(int argc, char **argv)
{
    static const Flood rings = { .shared = false }, shared_rings = { .shared = true },
                       anew = { .reconnects = true },
                       shared_anew = { .shared = true, .reconnects = true };

    g_test_init(&argc, &argv, NULL);
#define TEST(name, flood) \
    g_test_add_data_func("/netback/flood/packets-in-a-round/" name, flood, \
                         test_packets_in_a_round)
    TEST("full-rings", &rings);
    TEST("full-rings/one-iothread", &shared_rings);
    TEST("reconnecting", &anew);
    TEST("reconnecting/one-iothread", &shared_anew);
    g_test_add_func("/netback/flood/rounds-of-the-main-loop", test_rounds_of_the_main_loop);
    return g_test_run();
}
