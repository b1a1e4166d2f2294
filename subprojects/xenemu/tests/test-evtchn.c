/*
 * Event channels: xen/event_channel.h, and what /dev/xen/evtchn makes of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "guest.h"

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

/* event_channel.h, bind_interdomain: "must identify a port that is unbound and accepting". */
static void test_bind_errors(Fixture *f, gconstpointer data)
{
    int gp, hp;

    connect_ports(f, &gp, &hp);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 9, 1), ==, -ESRCH);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 3, 0), ==, -EINVAL);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 3, 200), ==, -EINVAL);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 3, UINT32_MAX), ==, -EINVAL);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp), ==, -EINVAL);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->guest, 0, (uint32_t)hp), ==, -EINVAL);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->guest, 0, UINT32_MAX), ==, -EINVAL);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->guest, 9, 1), ==, -ESRCH);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->guest, 3, 1), ==, -EOPNOTSUPP);
}

/* event_channel.h, bind_interdomain: "marked as accepting bindings from the calling domain". */
static void test_bind_reserved(Fixture *f, gconstpointer data)
{
    int gp = xenemu_evtchn_alloc_unbound(f->guest, 7);
    int hp = xenemu_evtchn_alloc_unbound(f->host, 7);

    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp), ==, -EINVAL);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->guest, 0, (uint32_t)hp), ==, -EINVAL);
}

/*
 * event_channel.h, EVTCHNOP_close: "the remote end is placed in the unbound state". A
 * backend that starts again binds to the same port; what was notified meanwhile is lost,
 * what is notified afterwards is not.
 */
static void test_backend_restarts(Fixture *f, gconstpointer data)
{
    int gp, hp;

    connect_ports(f, &gp, &hp);
    xenemu_evtchn_close(f->host);
    g_assert_cmpint(xenemu_evtchn_status(f->guest, (uint32_t)gp), ==, EVTCHNSTAT_unbound);
    g_assert_cmpint(xenemu_evtchn_notify(f->guest, (uint32_t)gp), ==, 0);
    f->host = xenemu_host_evtchn_open(f->t->host);
    hp = xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    xenemu_evtchn_unmask(f->host, (uint32_t)hp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    xenemu_evtchn_notify(f->guest, (uint32_t)gp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    xenemu_evtchn_notify(f->host, (uint32_t)hp);
    g_assert_true(test_readable(xenemu_evtchn_fd(f->guest), 1000));
    g_assert_cmpint(xenemu_evtchn_pending(f->guest), ==, gp);
}

/* The same, for a guest that dies: dom0's port waits for the same domid again. */
static void test_guest_dies(Fixture *f, gconstpointer data)
{
    int gp, hp, hp2;

    connect_ports(f, &gp, &hp);
    hp2 = xenemu_evtchn_alloc_unbound(f->host, 3);
    xenemu_evtchn_notify(f->guest, (uint32_t)gp);
    xenemu_evtchn_close(f->guest);
    xenemu_guest_detach(f->g);
    g_assert_cmpint(xenemu_evtchn_status(f->host, (uint32_t)hp), ==, EVTCHNSTAT_unbound);
    g_assert_cmpint(xenemu_evtchn_status(f->host, (uint32_t)hp2), ==, EVTCHNSTAT_unbound);
    g_assert_cmpint(xenemu_evtchn_notify(f->host, (uint32_t)hp), ==, 0);
    /* What it said last is not lost. */
    g_assert_true(test_readable(xenemu_evtchn_fd(f->host), 0));
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    xenemu_evtchn_unmask(f->host, (uint32_t)hp);

    f->g = test_guest(f->t, 3);
    f->guest = xenemu_guest_evtchn_open(f->g);
    gp = xenemu_evtchn_bind_interdomain(f->guest, 0, (uint32_t)hp);
    g_assert_cmpint(gp, >, 0);
    g_assert_cmpint(xenemu_evtchn_notify(f->guest, (uint32_t)gp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
}

/* The same, without a word: its handles are still open when its connection ends. */
static void test_guest_dies_at_once(Fixture *f, gconstpointer data)
{
    XenemuGuest *g = test_guest(f->t, 4);
    XenemuEvtchn *e = xenemu_guest_evtchn_open(g);
    int gp = xenemu_evtchn_alloc_unbound(e, 0);
    int hp = xenemu_evtchn_bind_interdomain(f->host, 4, (uint32_t)gp);

    shutdown(xenemu_guest_fd(g), SHUT_RDWR);
    test_wait_dead(f->t, 4);
    g_assert_cmpint(xenemu_evtchn_status(f->host, (uint32_t)hp), ==, EVTCHNSTAT_unbound);
    g_assert_cmpint(xenemu_evtchn_notify(e, (uint32_t)gp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_status(e, (uint32_t)gp), ==, -ENOTCONN);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(e, 0), ==, -ENOTCONN);
    xenemu_evtchn_close(e);
    xenemu_guest_detach(g);
}

/* The host ends first: its guests go on without events, and can be taken down. */
static void test_host_ends(void)
{
    TestHost *t = test_host_new();
    XenemuGuest *g = test_guest(t, 3);
    XenemuEvtchn *e = xenemu_guest_evtchn_open(g);
    int gp = xenemu_evtchn_alloc_unbound(e, 0);

    test_host_free(t);
    g_assert_true(test_readable(xenemu_guest_fd(g), 1000));
    g_assert_cmpint(xenemu_evtchn_notify(e, (uint32_t)gp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(e, 0, 1), ==, -ENOTCONN);
    xenemu_evtchn_close(e);
    xenemu_guest_detach(g);
}

/* event_channel.h: a number is given again only after its port was closed. */
static void test_reuse(Fixture *f, gconstpointer data)
{
    int a = xenemu_evtchn_alloc_unbound(f->guest, 0);
    int b = xenemu_evtchn_alloc_unbound(f->guest, 0);
    int hp = xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)a);

    g_assert_cmpint(a, !=, b);
    g_assert_cmpint(xenemu_evtchn_unbind(f->host, (uint32_t)hp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->guest, 0), !=, a);
    g_assert_cmpint(xenemu_evtchn_unbind(f->guest, (uint32_t)a), ==, 0);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->guest, 0), ==, a);
}

/* A port closed by the guest and used anew has nothing to do with dom0's old end. */
static void test_reuse_is_separate(Fixture *f, gconstpointer data)
{
    int gp, old, new;

    connect_ports(f, &gp, &old);
    xenemu_evtchn_unbind(f->guest, (uint32_t)gp);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->guest, 0), ==, gp);
    new = xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp);
    g_assert_cmpint(new, !=, old);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, new);
    xenemu_evtchn_unmask(f->host, (uint32_t)new);
    xenemu_evtchn_notify(f->host, (uint32_t)old);
    g_assert_cmpint(xenemu_evtchn_pending(f->guest), ==, -EAGAIN);
    xenemu_evtchn_notify(f->guest, (uint32_t)gp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, new);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
}

/* Xen's evtchn device: what is not a port of this handle is ENOTCONN. */
static void test_foreign_handle(Fixture *f, gconstpointer data)
{
    XenemuEvtchn *other = xenemu_host_evtchn_open(f->t->host);
    int gp, hp;

    connect_ports(f, &gp, &hp);
    g_assert_cmpint(xenemu_evtchn_notify(other, (uint32_t)hp), ==, -ENOTCONN);
    g_assert_cmpint(xenemu_evtchn_unmask(other, (uint32_t)hp), ==, -ENOTCONN);
    g_assert_cmpint(xenemu_evtchn_unbind(other, (uint32_t)hp), ==, -ENOTCONN);
    g_assert_cmpint(xenemu_evtchn_test_and_clear(other, (uint32_t)hp), ==, -ENOTCONN);
    g_assert_cmpint(xenemu_evtchn_unbind(f->guest, 77), ==, -ENOTCONN);
    xenemu_evtchn_close(other);
}

/* event_channel.h, note 2 of alloc_unbound: "allowing loopback connections", in dom0. */
static void test_loopback(Fixture *f, gconstpointer data)
{
    XenemuEvtchn *other = xenemu_host_evtchn_open(f->t->host);
    int a = xenemu_evtchn_alloc_unbound(f->host, DOMID_SELF);
    int b = xenemu_evtchn_bind_interdomain(other, 0, (uint32_t)a);

    g_assert_cmpint(b, >, 0);
    g_assert_cmpint(xenemu_evtchn_pending(other), ==, b);
    xenemu_evtchn_unmask(other, (uint32_t)b);
    xenemu_evtchn_notify(other, (uint32_t)b);
    g_assert_true(test_readable(xenemu_evtchn_fd(f->host), 0));
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, a);
    xenemu_evtchn_notify(f->host, (uint32_t)a);
    g_assert_cmpint(xenemu_evtchn_pending(other), ==, b);
    xenemu_evtchn_close(other);
    g_assert_cmpint(xenemu_evtchn_status(f->host, (uint32_t)a), ==, EVTCHNSTAT_unbound);
    g_assert_cmpint(xenemu_evtchn_notify(f->host, (uint32_t)a), ==, 0);
}

/* A guest that polls by hand, as under qtest. */
static void test_by_hand(Fixture *f, gconstpointer data)
{
    int gp, hp;

    connect_ports(f, &gp, &hp);
    g_assert_cmpint(xenemu_evtchn_test_and_clear(f->guest, (uint32_t)gp), ==, 0);
    xenemu_evtchn_notify(f->host, (uint32_t)hp);
    g_assert_cmpint(xenemu_evtchn_test_and_clear(f->guest, (uint32_t)gp), ==, 1);
    g_assert_cmpint(xenemu_evtchn_test_and_clear(f->guest, (uint32_t)gp), ==, 0);
    xenemu_evtchn_notify(f->host, (uint32_t)hp);
    g_assert_cmpint(xenemu_evtchn_test_and_clear(f->guest, (uint32_t)gp), ==, 1);
}

/* A guest has so many ports and no more, and dom0 has descriptors left. */
static void test_limit(Fixture *f, gconstpointer data)
{
    struct rlimit lim;
    int n = 0;

    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = lim.rlim_max;
    if (lim.rlim_cur < 8 * XENEMU_PORTS || setrlimit(RLIMIT_NOFILE, &lim) < 0) {
        g_test_skip("not enough descriptors to use up a guest's ports (ulimit -Hn)");
        return;
    }
    while (xenemu_evtchn_alloc_unbound(f->guest, 0) > 0) {
        n++;
    }
    g_assert_cmpint(n, ==, XENEMU_PORTS - 1);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->guest, 0), ==, -ENOSPC);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->host, 3), >, 0);
    /* Each one of them works. */
    for (uint32_t port = 1; port < XENEMU_PORTS; port++) {
        g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 3, port), >, 0);
    }
}

/*
 * A guest writes what it likes to what it shares with dom0: dom0 gives out a port once
 * for each unmask, and its own state does not change.
 */
static void test_scribble(Fixture *f, gconstpointer data)
{
    int gp, hp;
    PortRecord *rec;

    connect_ports(f, &gp, &hp);
    rec = &f->g->records[gp];
    __atomic_store_n(&rec->host, UINT32_MAX, __ATOMIC_SEQ_CST);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    for (int i = 0; i < 100; i++) {
        __atomic_store_n(&rec->host, PORT_PENDING, __ATOMIC_SEQ_CST);
        g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    }
    memset(f->g->records, 0xff, RPC_RECORDS_SIZE);
    g_assert_cmpint(xenemu_evtchn_unmask(f->host, (uint32_t)hp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, hp);
    g_assert_cmpint(xenemu_evtchn_pending(f->host), ==, -EAGAIN);
    g_assert_cmpint(xenemu_evtchn_notify(f->host, (uint32_t)hp), ==, 0);
    g_assert_cmpint(xenemu_evtchn_status(f->host, (uint32_t)hp), ==, EVTCHNSTAT_interdomain);
    g_assert_cmpint(xenemu_evtchn_unbind(f->host, (uint32_t)hp), ==, 0);
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
    ADD("/evtchn/bind-errors", test_bind_errors);
    ADD("/evtchn/bind-reserved", test_bind_reserved);
    ADD("/evtchn/backend-restarts", test_backend_restarts);
    ADD("/evtchn/guest-dies", test_guest_dies);
    ADD("/evtchn/guest-dies-at-once", test_guest_dies_at_once);
    g_test_add_func("/evtchn/host-ends", test_host_ends);
    ADD("/evtchn/reuse", test_reuse);
    ADD("/evtchn/reuse-is-separate", test_reuse_is_separate);
    ADD("/evtchn/foreign-handle", test_foreign_handle);
    ADD("/evtchn/loopback", test_loopback);
    ADD("/evtchn/by-hand", test_by_hand);
    ADD("/evtchn/limit", test_limit);
    ADD("/evtchn/scribble", test_scribble);
    return g_test_run();
}
