/*
 * Faults on demand: xenemu_host_fail().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <xen/xen.h>
#include <xen/grant_table.h>

typedef struct Fixture {
    TestHost *t;
    XenemuGuest *g;
    XenemuGnttab *gt;
    XenemuEvtchn *host;
    XenemuEvtchn *guest;
    uint32_t ref;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->t = test_host_new();
    f->g = test_guest(f->t, 3);
    f->gt = xenemu_gnttab_open(f->t->host);
    f->host = xenemu_host_evtchn_open(f->t->host);
    f->guest = xenemu_guest_evtchn_open(f->g);
    f->ref = (uint32_t)xenemu_guest_grant_access(f->g, 0, xenemu_guest_alloc_pages(f->g, 1),
                                                 true);
}

static void teardown(Fixture *f, gconstpointer data)
{
    xenemu_gnttab_close(f->gt);
    xenemu_evtchn_close(f->guest);
    xenemu_guest_detach(f->g);
    xenemu_evtchn_close(f->host);
    test_host_free(f->t);
}

/* grant_table.h, GNTST_*: the third segment from now, in whatever call it is. */
static void test_copy(Fixture *f, gconstpointer data)
{
    char buf[4] = "";
    XenemuCopySeg seg[2] = { { .local = buf, .ref = f->ref, .len = 4 },
                             { .local = buf, .ref = f->ref, .len = 4 } };

    xenemu_host_fail(f->t->host, XENEMU_OP_GNTTAB_COPY, 3, GNTST_eagain);
    xenemu_gnttab_copy(f->gt, 3, false, seg, 2);
    g_assert_cmpint(seg[0].status, ==, GNTST_okay);
    g_assert_cmpint(seg[1].status, ==, GNTST_okay);
    xenemu_gnttab_copy(f->gt, 3, false, seg, 2);
    g_assert_cmpint(seg[0].status, ==, GNTST_eagain);
    g_assert_cmpint(seg[1].status, ==, GNTST_okay);
}

/* The whole call, as the device's ioctl may fail. */
static void test_batch(Fixture *f, gconstpointer data)
{
    char buf[4] = "";
    XenemuCopySeg seg = { .local = buf, .ref = f->ref, .len = 4 };

    xenemu_host_fail(f->t->host, XENEMU_OP_GNTTAB_BATCH, 2, -EFAULT);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, false, &seg, 1), ==, 0);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, false, &seg, 1), ==, -EFAULT);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, false, &seg, 1), ==, 0);
}

static void test_map(Fixture *f, gconstpointer data)
{
    xenemu_host_fail(f->t->host, XENEMU_OP_GNTTAB_MAP, 1, GNTST_eagain);
    g_assert_null(xenemu_gnttab_map(f->gt, 3, &f->ref, 1, true));
    g_assert_cmpint(errno, ==, EAGAIN);
    g_assert_cmpint(xenemu_gnttab_status(f->gt), ==, GNTST_eagain);
    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, 0);
}

/* event_channel.h: each operation, once, without effect. */
static void test_evtchn(Fixture *f, gconstpointer data)
{
    XenemuHost *h = f->t->host;
    int gp = xenemu_evtchn_alloc_unbound(f->guest, 0);
    int hp;

    xenemu_host_fail(h, XENEMU_OP_EVTCHN_ALLOC, 1, -ENOSPC);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->host, 3), ==, -ENOSPC);
    xenemu_host_fail(h, XENEMU_OP_EVTCHN_BIND, 1, -ENOMEM);
    g_assert_cmpint(xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp), ==, -ENOMEM);
    hp = xenemu_evtchn_bind_interdomain(f->host, 3, (uint32_t)gp);
    g_assert_cmpint(hp, >, 0);
    xenemu_host_fail(h, XENEMU_OP_EVTCHN_NOTIFY, 1, -EIO);
    g_assert_cmpint(xenemu_evtchn_notify(f->host, (uint32_t)hp), ==, -EIO);
    g_assert_cmpint(xenemu_evtchn_pending(f->guest), ==, -EAGAIN);
    xenemu_host_fail(h, XENEMU_OP_EVTCHN_UNMASK, 1, -EIO);
    g_assert_cmpint(xenemu_evtchn_unmask(f->host, (uint32_t)hp), ==, -EIO);
    xenemu_host_fail(h, XENEMU_OP_EVTCHN_UNBIND, 1, -EIO);
    g_assert_cmpint(xenemu_evtchn_unbind(f->host, (uint32_t)hp), ==, -EIO);
    g_assert_cmpint(xenemu_evtchn_unbind(f->host, (uint32_t)hp), ==, 0);
}

/* 0 takes it back; and faults are dom0's, not a guest's. */
static void test_forget(Fixture *f, gconstpointer data)
{
    xenemu_host_fail(f->t->host, XENEMU_OP_EVTCHN_ALLOC, 1, -ENOSPC);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->guest, 0), >, 0);
    xenemu_host_fail(f->t->host, XENEMU_OP_EVTCHN_ALLOC, 0, 0);
    g_assert_cmpint(xenemu_evtchn_alloc_unbound(f->host, 3), >, 0);
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("/faults/copy", test_copy);
    ADD("/faults/batch", test_batch);
    ADD("/faults/map", test_map);
    ADD("/faults/evtchn", test_evtchn);
    ADD("/faults/forget", test_forget);
    return g_test_run();
}
