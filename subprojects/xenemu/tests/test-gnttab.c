/*
 * Grants: xen/grant_table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <string.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

typedef struct Fixture {
    TestHost *t;
    XenemuGuest *g;
    XenemuGnttab *gt;
    uint8_t *page;
    uint32_t ref; /* the page, writable by dom0 */
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->t = test_host_new();
    f->g = test_guest(f->t, 3);
    f->gt = xenemu_gnttab_open(f->t->host);
    f->page = xenemu_guest_alloc_pages(f->g, 1);
    f->ref = (uint32_t)xenemu_guest_grant_access(f->g, 0, f->page, true);
    g_assert_cmpuint(f->ref, >=, XENEMU_GRANT_FIRST);
}

static void teardown(Fixture *f, gconstpointer data)
{
    xenemu_gnttab_close(f->gt);
    xenemu_guest_detach(f->g);
    test_host_free(f->t);
}

static grant_entry_v1_t *entry(Fixture *f, uint32_t ref)
{
    return (grant_entry_v1_t *)xenemu_guest_ram(f->g) + ref;
}

static int copy_status(Fixture *f, bool to_guest, uint32_t ref)
{
    uint8_t buf[16] = { 0 };
    XenemuCopySeg seg = { .local = buf, .ref = ref, .len = sizeof(buf) };

    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, to_guest, &seg, 1), ==, 0);
    return seg.status;
}

static void *map(Fixture *f, uint32_t ref, bool writable)
{
    return xenemu_gnttab_map(f->gt, 3, &ref, 1, writable);
}

/* grant_table.h, GNTTABOP_map_grant_ref: one page seen from both sides. */
static void test_map(Fixture *f, gconstpointer data)
{
    uint8_t *p = map(f, f->ref, true);

    g_assert_nonnull(p);
    memcpy(p, "from dom0", sizeof("from dom0"));
    g_assert_cmpstr((char *)f->page, ==, "from dom0");
    g_assert_cmpint(xenemu_gnttab_unmap(f->gt, p, 1), ==, 0);
    g_assert_cmpint(xenemu_gnttab_unmap(f->gt, p, 1), ==, -EINVAL);
}

/* grant_table.h, GNTTABOP_copy: both directions. */
static void test_copy(Fixture *f, gconstpointer data)
{
    char buf[8] = "guest";
    XenemuCopySeg seg[2] = { { .local = buf, .ref = f->ref, .offset = 4088, .len = 8 },
                             { .local = buf, .ref = f->ref, .offset = 0, .len = 8 } };

    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, seg, 2), ==, 0);
    g_assert_cmpint(seg[0].status, ==, GNTST_okay);
    g_assert_cmpint(seg[1].status, ==, GNTST_okay);
    g_assert_cmpstr((char *)f->page + 4088, ==, "guest");
    memcpy(f->page, "dom0", sizeof("dom0"));
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, false, seg + 1, 1), ==, 0);
    g_assert_cmpstr(buf, ==, "dom0");
    g_assert_cmpuint(entry(f, f->ref)->flags, ==, GTF_permit_access);
}

/* grant_table.h, "invalidating an in-use GTF_permit_access entry": not while it is mapped. */
static void test_end_access(Fixture *f, gconstpointer data)
{
    uint8_t *p = map(f, f->ref, false);

    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, -EBUSY);
    xenemu_gnttab_unmap(f->gt, p, 1);
    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, 0);
    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, -EINVAL);
    g_assert_null(map(f, f->ref, false));
    g_assert_cmpint(xenemu_gnttab_status(f->gt), ==, GNTST_general_error);
    g_assert_cmpint(copy_status(f, true, f->ref), ==, GNTST_general_error);
}

/* What dom0 holds is counted, for tests that look for leaks. */
static void test_usage(Fixture *f, gconstpointer data)
{
    unsigned mapped, ports;
    XenemuEvtchn *e = xenemu_host_evtchn_open(f->t->host);
    int port = xenemu_evtchn_alloc_unbound(e, 3);
    uint8_t *p = map(f, f->ref, true);

    xenemu_host_usage(f->t->host, &mapped, &ports);
    g_assert_cmpuint(mapped, ==, 1);
    g_assert_cmpuint(ports, ==, 1);
    xenemu_evtchn_unbind(e, (uint32_t)port);
    xenemu_gnttab_unmap(f->gt, p, 1);
    xenemu_host_usage(f->t->host, &mapped, &ports);
    g_assert_cmpuint(mapped, ==, 0);
    g_assert_cmpuint(ports, ==, 0);
    xenemu_evtchn_close(e);
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("/gnttab/map", test_map);
    ADD("/gnttab/copy", test_copy);
    ADD("/gnttab/end-access", test_end_access);
    ADD("/gnttab/usage", test_usage);
    return g_test_run();
}
