/*
 * Event channels: xen/event_channel.h, and what /dev/xen/evtchn makes of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <xen/xen.h>
#include <xen/event_channel.h>

typedef struct Fixture {
    TestHost *t;
    XenemuGuest *g;
    XenemuEvtchn *host;
    XenemuEvtchn *guest;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->t = test_host_new();
    f->g = test_guest(f->t, 3);
    f->host = xenemu_host_evtchn_open(f->t->host);
    f->guest = xenemu_guest_evtchn_open(f->g);
}

static void teardown(Fixture *f, gconstpointer data)
{
    xenemu_evtchn_close(f->guest);
    xenemu_guest_detach(f->g);
    xenemu_evtchn_close(f->host);
    test_host_free(f->t);
}

/* A channel with nothing pending: the guest's port and dom0's. */
static void connect_ports(Fixture *f, int *gp, int *hp)
{
    *gp = xenemu_evtchn_alloc_unbound(f->guest, 0);
    g_assert_cmpint(*gp, >, 0);
    *hp = xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)*gp);
    g_assert_cmpint(*hp, >, 0);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, *hp);
    g_assert_cmpint(xenemu_evtchn_unmask(f->host, (uint32_t)*hp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
}

/* event_channel.h, EVTCHNOP_alloc_unbound, bind_interdomain, status: the states. */
static void test_states(Fixture *f, gconstpointer data)
{
    int gp, hp;

    g_assert_cmpint(xenemu_evtchn_status(f->guest, 1), ==, EVTCHNSTAT_closed);
    gp = xenemu_evtchn_alloc_unbound(f->guest, 0);
    g_assert_cmpint(xenemu_evtchn_status(f->guest, (uint32_t)gp), ==, EVTCHNSTAT_unbound);
    hp = xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp);
    g_assert_cmpint(xenemu_evtchn_status(f->guest, (uint32_t)gp), ==, EVTCHNSTAT_interdomain);
    g_assert_cmpint(xenemu_evtchn_status(f->host, (uint32_t)hp), ==, EVTCHNSTAT_interdomain);
    g_assert_cmpint(xenemu_evtchn_unbind(f->host, (uint32_t)hp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_status(f->host, (uint32_t)hp), ==, EVTCHNSTAT_closed);
    g_assert_cmpint(xenemu_evtchn_status(f->guest, (uint32_t)gp), ==, EVTCHNSTAT_unbound);
}

/* event_channel.h, bind_interdomain: "always sets the local event channel pending". */
static void test_bind_is_pending(Fixture *f, gconstpointer data)
{
    int gp = xenemu_evtchn_alloc_unbound(f->guest, 0);
    int hp = xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp);
    int hp2 = xenemu_evtchn_alloc_unbound(f->host, 3);
    int gp2 = xenemu_evtchn_bind_interdomain(f->guest, 0, (uint32_t)hp2);

    g_assert_true(test_readable(xenemu_evtchn_fd(f->host), 0));
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    g_assert_true(test_readable(xenemu_evtchn_fd(f->guest), 0));
    g_assert_cmpint(xenemu_evtchn_pending(f->guest), ==, gp2);
    g_assert_cmpint(xenemu_evtchn_pending(f->guest), ==, -EAGAIN);
}

/* event_channel.h, EVTCHNOP_send: both directions, and once however often it is sent. */
static void test_notify(Fixture *f, gconstpointer data)
{
    int gp, hp;

    connect_ports(f, &gp, &hp);
    g_assert_false(test_readable(xenemu_evtchn_fd(f->host), 0));
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(xenemu_evtchn_notify(f->guest, (uint32_t)gp), ==, 0);
        g_assert_cmpint(xenemu_evtchn_notify(f->host, (uint32_t)hp), ==, 0);
    }
    g_assert_true(test_readable(xenemu_evtchn_fd(f->host), 1000));
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    g_assert_false(test_readable(xenemu_evtchn_fd(f->host), 0));
    g_assert_true(test_readable(xenemu_evtchn_fd(f->guest), 1000));
    g_assert_cmpint(xenemu_evtchn_pending(f->guest), ==, gp);
    g_assert_cmpint(xenemu_evtchn_pending(f->guest), ==, -EAGAIN);
    g_assert_false(test_readable(xenemu_evtchn_fd(f->guest), 0));
}

/* event_channel.h, EVTCHNOP_unmask: what came while masked is delivered then, not before. */
static void test_mask(Fixture *f, gconstpointer data)
{
    int gp, hp;

    connect_ports(f, &gp, &hp);
    xenemu_evtchn_notify(f->guest, (uint32_t)gp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    xenemu_evtchn_notify(f->guest, (uint32_t)gp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    g_assert_false(test_readable(xenemu_evtchn_fd(f->host), 20));
    xenemu_evtchn_unmask(f->host, (uint32_t)hp);
    g_assert_true(test_readable(xenemu_evtchn_fd(f->host), 0));
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    xenemu_evtchn_unmask(f->host, (uint32_t)hp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    g_assert_false(test_readable(xenemu_evtchn_fd(f->host), 0));
}

/* The handle stays readable until the last pending port was taken, in any order of calls. */
static void test_several_ports(Fixture *f, gconstpointer data)
{
    int gp[20], hp[20];
    bool seen[20] = { false };

    for (int i = 0; i < 20; i++) {
        connect_ports(f, &gp[i], &hp[i]);
    }
    for (int i = 0; i < 20; i++) {
        xenemu_evtchn_notify(f->guest, (uint32_t)gp[i]);
    }
    for (int i = 0; i < 20; i++) {
        int port;

        g_assert_true(test_readable(xenemu_evtchn_fd(f->host), 0));
        port = xenemu_evtchn_pending(f->host);
        for (int j = 0; j < 20; j++) {
            if (hp[j] == port) {
                g_assert_false(seen[j]);
                seen[j] = true;
            }
        }
    }
    for (int i = 0; i < 20; i++) {
        g_assert_true(seen[i]);
    }
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    g_assert_false(test_readable(xenemu_evtchn_fd(f->host), 0));
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("/evtchn/states", test_states);
    ADD("/evtchn/bind-is-pending", test_bind_is_pending);
    ADD("/evtchn/notify", test_notify);
    ADD("/evtchn/mask", test_mask);
    ADD("/evtchn/several-ports", test_several_ports);
    return g_test_run();
}
