/*
 * Grants: xen/grant_table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib.h"

#include <errno.h>
#include <stdlib.h>
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

    g_assert_true(xenemu_guest_in_use(f->g, f->ref));
    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, -EBUSY);
    xenemu_gnttab_unmap(f->gt, p, 1);
    g_assert_false(xenemu_guest_in_use(f->g, f->ref));
    g_assert_false(xenemu_guest_in_use(f->g, UINT32_MAX));
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

/* grant_table.h, "GTF_reading: currently mapped for reading", "GTF_writing: for writing". */
static void test_in_use_flags(Fixture *f, gconstpointer data)
{
    void *r = map(f, f->ref, false);
    void *w;

    g_assert_cmpuint(entry(f, f->ref)->flags, ==, GTF_permit_access | GTF_reading);
    w = map(f, f->ref, true);
    g_assert_cmpuint(entry(f, f->ref)->flags, ==, GTF_permit_access | GTF_reading | GTF_writing);
    xenemu_gnttab_unmap(f->gt, w, 1);
    g_assert_cmpuint(entry(f, f->ref)->flags, ==, GTF_permit_access | GTF_reading);
    xenemu_gnttab_unmap(f->gt, r, 1);
    g_assert_cmpuint(entry(f, f->ref)->flags, ==, GTF_permit_access);
}

/* grant_table.h, GNTTABOP_unmap_grant_ref: mapped twice, the first unmap does not end it. */
static void test_mapped_twice(Fixture *f, gconstpointer data)
{
    XenemuGnttab *other = xenemu_gnttab_open(f->t->host);
    uint8_t *a = map(f, f->ref, true);
    uint8_t *b = xenemu_gnttab_map(other, 3, &f->ref, 1, true);

    g_assert_true(a != b);
    xenemu_gnttab_unmap(f->gt, a, 1);
    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, -EBUSY);
    b[0] = 42;
    g_assert_cmpuint(f->page[0], ==, 42);
    xenemu_gnttab_unmap(other, b, 1);
    xenemu_gnttab_close(other);
    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, 0);
}

/* A real Xen keeps the page, and the guest never gets it back: an error that is seen here. */
static void test_close_with_mapping(Fixture *f, gconstpointer data)
{
    if (g_test_subprocess()) {
        g_assert_nonnull(map(f, f->ref, false));
        xenemu_gnttab_close(f->gt);
        exit(0);
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*mappings*");
}

/* grant_table.h, "GTF_readonly: Restrict @domid to read-only mappings and accesses". */
static void test_readonly(Fixture *f, gconstpointer data)
{
    uint32_t ref = (uint32_t)xenemu_guest_grant_access(f->g, 0, f->page, false);
    void *p;

    g_assert_null(map(f, ref, true));
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_cmpint(xenemu_gnttab_status(f->gt), ==, GNTST_general_error);
    g_assert_cmpint(copy_status(f, true, ref), ==, GNTST_general_error);
    g_assert_cmpint(copy_status(f, false, ref), ==, GNTST_okay);
    p = map(f, ref, false);
    g_assert_nonnull(p);
    /* Not even while it is mapped for reading. */
    g_assert_cmpint(copy_status(f, true, ref), ==, GNTST_general_error);
    xenemu_gnttab_unmap(f->gt, p, 1);
    g_assert_cmpuint(entry(f, ref)->flags, ==, GTF_permit_access | GTF_readonly);
}

/* What fails to map and to copy with @status leaves the entry as it was. */
static void refused(Fixture *f, uint32_t ref, int status)
{
    uint16_t flags = ref < XENEMU_GRANT_REFS ? entry(f, ref)->flags : 0;

    g_assert_null(map(f, ref, false));
    g_assert_cmpint(xenemu_gnttab_status(f->gt), ==, status);
    g_assert_cmpint(copy_status(f, false, ref), ==, status);
    g_assert_cmpint(copy_status(f, true, ref), ==, status);
    if (ref < XENEMU_GRANT_REFS) {
        g_assert_cmpuint(entry(f, ref)->flags, ==, flags);
    }
}

/* grant_table.h, "domid: The domain being granted foreign privileges". */
static void test_wrong_domid(Fixture *f, gconstpointer data)
{
    refused(f, (uint32_t)xenemu_guest_grant_access(f->g, 7, f->page, true), GNTST_general_error);
}

/* grant_table.h, "GTF_invalid: grants no privileges"; _accept_transfer grants other ones. */
static void test_wrong_type(Fixture *f, gconstpointer data)
{
    refused(f, 100, GNTST_general_error);
    entry(f, f->ref)->flags = GTF_accept_transfer;
    refused(f, f->ref, GNTST_general_error);
    entry(f, f->ref)->flags = GTF_transitive;
    refused(f, f->ref, GNTST_general_error);
}

/* grant_table.h, GNTST_bad_gntref: beyond the table. */
static void test_bad_ref(Fixture *f, gconstpointer data)
{
    refused(f, XENEMU_GRANT_REFS, GNTST_bad_gntref);
    refused(f, UINT32_MAX, GNTST_bad_gntref);
}

/* grant_table.h, GNTST_bad_page: "frame" is outside of the guest's memory. */
static void test_bad_frame(Fixture *f, gconstpointer data)
{
    entry(f, f->ref)->frame = TEST_RAM / XENEMU_PAGE_SIZE;
    refused(f, f->ref, GNTST_bad_page);
    entry(f, f->ref)->frame = UINT32_MAX;
    refused(f, f->ref, GNTST_bad_page);
}

/* grant_table.h, "GTF_sub_page: only be allowed to copy from the grant, and not map it". */
static void test_sub_page(Fixture *f, gconstpointer data)
{
    entry(f, f->ref)->flags |= GTF_sub_page;
    g_assert_null(map(f, f->ref, false));
    g_assert_cmpint(copy_status(f, false, f->ref), ==, GNTST_okay);
}

/* grant_table.h: a mapped entry is Xen's; what the guest writes to it has no effect. */
static void test_change_while_mapped(Fixture *f, gconstpointer data)
{
    uint8_t *p = map(f, f->ref, true);
    uint32_t other = (uint32_t)((f->page - (uint8_t *)xenemu_guest_ram(f->g)) / 4096) + 1;

    entry(f, f->ref)->frame = other;
    g_assert_cmpint(copy_status(f, true, f->ref), ==, GNTST_okay);
    p[100] = 1;
    g_assert_cmpuint(f->page[100], ==, 1);
    entry(f, f->ref)->flags = 0;
    xenemu_gnttab_unmap(f->gt, p, 1);
    refused(f, f->ref, GNTST_general_error);
}

/*
 * XSA-500: a copy of what is mapped is of the frame that is mapped, also if it needs a second
 * look at the entry, for writing: then that must allow it, and its frame counts for nothing.
 */
static void test_copy_while_mapped(Fixture *f, gconstpointer data)
{
    uint8_t *other = xenemu_guest_alloc_pages(f->g, 1);
    uint8_t *p = map(f, f->ref, false);
    char buf[8] = "dom0";
    XenemuCopySeg seg = { .local = buf, .ref = f->ref, .len = sizeof(buf) };

    entry(f, f->ref)->frame = (uint32_t)((other - (uint8_t *)xenemu_guest_ram(f->g)) / 4096);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, &seg, 1), ==, 0);
    g_assert_cmpint(seg.status, ==, GNTST_okay);
    g_assert_cmpstr((char *)p, ==, "dom0");
    g_assert_cmpuint(other[0], ==, 0);
    g_assert_cmpuint(entry(f, f->ref)->flags, ==, GTF_permit_access | GTF_reading);
    entry(f, f->ref)->flags |= GTF_readonly;
    g_assert_cmpint(copy_status(f, true, f->ref), ==, GNTST_general_error);
    memset(buf, 0, sizeof(buf));
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, false, &seg, 1), ==, 0);
    g_assert_cmpint(seg.status, ==, GNTST_okay);
    g_assert_cmpstr(buf, ==, "dom0");
    xenemu_gnttab_unmap(f->gt, p, 1);
}

/* xengnttab_map_domain_grant_refs(): pages in the order of the references, all or nothing. */
static void test_map_several(Fixture *f, gconstpointer data)
{
    uint8_t *pages = xenemu_guest_alloc_pages(f->g, 5);
    uint32_t refs[5];
    uint8_t *p;

    for (int i = 0; i < 5; i++) {
        pages[4096 * i] = (uint8_t)(i + 1);
        refs[4 - i] = (uint32_t)xenemu_guest_grant_access(f->g, 0, pages + 4096 * i, true);
    }
    p = xenemu_gnttab_map(f->gt, 3, refs, 5, true);
    for (int i = 0; i < 5; i++) {
        g_assert_cmpuint(p[4096 * i], ==, 5 - i);
    }
    g_assert_cmpint(xenemu_gnttab_unmap(f->gt, p, 3), ==, -EINVAL);
    g_assert_cmpint(xenemu_gnttab_unmap(f->gt, p + 4096, 4), ==, -EINVAL);
    g_assert_cmpint(xenemu_gnttab_unmap(f->gt, p, 5), ==, 0);
    refs[4] = 200;
    g_assert_null(xenemu_gnttab_map(f->gt, 3, refs, 5, true));
    g_assert_null(xenemu_gnttab_map(f->gt, 3, refs, 0, true));
    for (int i = 0; i < 4; i++) {
        g_assert_cmpint(xenemu_guest_end_access(f->g, refs[i]), ==, 0);
    }
}

/* One page by two references, and one reference twice in a call. */
static void test_map_same(Fixture *f, gconstpointer data)
{
    uint32_t refs[2] = { f->ref, f->ref };
    uint8_t *p = xenemu_gnttab_map(f->gt, 3, refs, 2, true);

    p[0] = 9;
    g_assert_cmpuint(p[4096], ==, 9);
    xenemu_gnttab_unmap(f->gt, p, 2);
    g_assert_cmpuint(entry(f, f->ref)->flags, ==, GTF_permit_access);
}

/* grant_table.h, GNTTABOP_copy: each operation has its own status. */
static void test_copy_statuses(Fixture *f, gconstpointer data)
{
    uint32_t ro = (uint32_t)xenemu_guest_grant_access(f->g, 0, f->page, false);
    char buf[4] = "abc";
    XenemuCopySeg seg[4] = { { .local = buf, .ref = f->ref, .len = 4 },
                             { .local = buf, .ref = 99999, .len = 4 },
                             { .local = buf, .ref = ro, .len = 4 },
                             { .local = buf, .ref = f->ref, .offset = 4096, .len = 0 } };

    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, seg, 4), ==, 0);
    g_assert_cmpint(seg[0].status, ==, GNTST_okay);
    g_assert_cmpint(seg[1].status, ==, GNTST_bad_gntref);
    g_assert_cmpint(seg[2].status, ==, GNTST_general_error);
    g_assert_cmpint(seg[3].status, ==, GNTST_okay);
    g_assert_cmpstr((char *)f->page, ==, "abc");
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 9, true, seg, 4), ==, 0);
    for (int i = 0; i < 4; i++) {
        g_assert_cmpint(seg[i].status, ==, GNTST_bad_domain);
    }
}

/* /dev/xen/gntdev, IOCTL_GNTDEV_GRANT_COPY: a foreign page that is crossed fails the call. */
static void test_copy_bounds(Fixture *f, gconstpointer data)
{
    g_autofree XenemuCopySeg *many = g_new0(XenemuCopySeg, XENEMU_COPY_MAX + 1);
    char buf[8] = "xyz";
    XenemuCopySeg seg[2] = { { .local = buf, .ref = f->ref, .len = 4 },
                             { .local = buf, .ref = f->ref, .offset = 4093, .len = 4 } };

    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, seg, 2), ==, -EINVAL);
    g_assert_cmpuint(f->page[0], ==, 0);
    seg[0].offset = 65535;
    seg[0].len = 65535;
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, seg, 1), ==, -EINVAL);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, many, XENEMU_COPY_MAX + 1), ==, -EINVAL);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, many, 0), ==, 0);
}

/* As xen/include/public/grant_table.h has it: GNTTABOP_copy takes a reference on either side. */
static void test_buffer(Fixture *f, gconstpointer data)
{
    uint8_t *b = xenemu_gnttab_buffer(f->gt, 2 * XENEMU_PAGE_SIZE);
    XenemuCopySeg seg = { .local = b + 4000, .ref = f->ref, .len = 200 };
    XenemuGnttab *other = xenemu_gnttab_open(f->t->host);

    g_assert_nonnull(b);
    memset(f->page, 7, 200);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, false, &seg, 1), ==, 0);
    g_assert_cmpint(seg.status, ==, 0);
    g_assert_cmpint(b[3999], ==, 0);
    g_assert_cmpint(b[4000], ==, 7);
    g_assert_cmpint(b[4199], ==, 7);
    b[4100] = 9;
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, &seg, 1), ==, 0);
    g_assert_cmpint(f->page[100], ==, 9);
    g_assert_cmpuint(xenemu_host_pinned(f->t->host), ==, 0);
    g_assert_cmpint(copy_status(f, true, f->ref), ==, 0);
    g_assert_cmpuint(xenemu_host_pinned(f->t->host), ==, 1);
    g_assert_cmpint(xenemu_gnttab_copy(other, 3, true, &seg, 1), ==, 0); /* not known there */
    g_assert_cmpuint(xenemu_host_pinned(f->t->host), ==, 2);
    g_assert_false(xenemu_gnttab_buffer_free(other, b));
    g_assert_false(xenemu_gnttab_buffer_free(f->gt, b + 1));
    g_assert_true(xenemu_gnttab_buffer_free(f->gt, b));
    xenemu_gnttab_close(other);
}

/* grant_table.h, GNTTABOP_copy: references of two domains; what is put in front of it is dom0's. */
static void test_copy_between(Fixture *f, gconstpointer data)
{
    XenemuGuest *g = test_guest(f->t, 4);
    uint8_t *page = xenemu_guest_alloc_pages(g, 2);
    uint32_t to = (uint32_t)xenemu_guest_grant_access(g, 0, page, true);
    uint32_t ro = (uint32_t)xenemu_guest_grant_access(g, 0, page + XENEMU_PAGE_SIZE, false);
    uint8_t *b = xenemu_gnttab_buffer(f->gt, XENEMU_PAGE_SIZE);
    XenemuCopyBetween seg[6] = {
        { .local = b, .to_ref = to, .to_offset = 10, .len = 4 },
        { .from_ref = f->ref, .from_offset = 4000, .to_ref = to, .to_offset = 14, .len = 96 },
        { .from_ref = 99999, .to_ref = to, .len = 4 },
        { .from_ref = f->ref, .to_ref = ro, .len = 4 },
        { .from_ref = f->ref, .to_ref = 99999, .len = 4 },
        { .from_ref = f->ref, .to_ref = to, .to_offset = 4096, .len = 0 },
    };
    const int wanted[6] = { GNTST_okay, GNTST_okay, GNTST_bad_gntref, GNTST_general_error,
                            GNTST_bad_gntref, GNTST_okay };

    memset(b, 5, 4);
    memset(f->page + 4000, 6, 96);
    g_assert_cmpint(xenemu_gnttab_copy_between(f->gt, 3, 4, seg, 6), ==, 0);
    for (int i = 0; i < 6; i++) {
        g_assert_cmpint(seg[i].status, ==, wanted[i]);
    }
    g_assert_cmpuint(page[9], ==, 0);
    g_assert_cmpuint(page[10], ==, 5);
    g_assert_cmpuint(page[14], ==, 6);
    g_assert_cmpuint(page[109], ==, 6);
    g_assert_cmpuint(page[110], ==, 0);
    g_assert_cmpuint(page[XENEMU_PAGE_SIZE], ==, 0);
    g_assert_cmpuint(xenemu_host_pinned(f->t->host), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 0);
    g_assert_cmpint(xenemu_gnttab_use_hypercall(f->gt), ==, 0);
    g_assert_cmpint(xenemu_gnttab_copy_between(f->gt, 3, 4, seg, 6), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 1);
    g_assert_cmpint(xenemu_gnttab_copy_between(f->gt, 3, 9, seg, 1), ==, 0);
    g_assert_cmpint(seg[0].status, ==, GNTST_bad_domain);
    g_assert_cmpint(xenemu_gnttab_copy_between(f->gt, 9, 4, seg, 2), ==, 0);
    g_assert_cmpint(seg[0].status, ==, GNTST_okay);
    g_assert_cmpint(seg[1].status, ==, GNTST_bad_domain);
    g_assert_cmpint(xenemu_guest_end_access(g, to), ==, 0); /* nothing is in use */
    g_assert_cmpint(xenemu_guest_end_access(g, ro), ==, 0);
    g_assert_cmpint(xenemu_guest_end_access(f->g, f->ref), ==, 0);
    g_assert_true(xenemu_gnttab_buffer_free(f->gt, b));
    xenemu_guest_detach(g);
}

static void test_copy_between_bounds(Fixture *f, gconstpointer data)
{
    XenemuCopyBetween seg = { .from_ref = f->ref, .to_ref = f->ref, .from_offset = 4093, .len = 4 };

    g_assert_cmpint(xenemu_gnttab_copy_between(f->gt, 3, 3, &seg, 1), ==, -EINVAL);
    seg.from_offset = 0;
    seg.to_offset = 65535;
    g_assert_cmpint(xenemu_gnttab_copy_between(f->gt, 3, 3, &seg, 1), ==, -EINVAL);
    seg.to_offset = 2; /* a page to itself */
    memcpy(f->page, "abcd", 4);
    g_assert_cmpint(xenemu_gnttab_copy_between(f->gt, 3, 3, &seg, 1), ==, 0);
    g_assert_cmpint(seg.status, ==, GNTST_okay);
    g_assert_cmpint(memcmp(f->page, "ababcd", 6), ==, 0);
}

static void test_buffer_limits(Fixture *f, gconstpointer data)
{
    uint8_t *b;

    g_assert_null(xenemu_gnttab_buffer(f->gt, 0));
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_null(xenemu_gnttab_buffer(f->gt, 100));
    g_assert_cmpint(errno, ==, EINVAL);
    xenemu_host_limit_buffers(f->t->host, 3);
    b = xenemu_gnttab_buffer(f->gt, 2 * XENEMU_PAGE_SIZE);
    g_assert_nonnull(b);
    g_assert_null(xenemu_gnttab_buffer(f->gt, 2 * XENEMU_PAGE_SIZE));
    g_assert_cmpint(errno, ==, ENOSPC);
    g_assert_true(xenemu_gnttab_buffer_free(f->gt, b));
    b = xenemu_gnttab_buffer(f->gt, 3 * XENEMU_PAGE_SIZE);
    g_assert_nonnull(b);
    g_assert_true(xenemu_gnttab_buffer_free(f->gt, b));
}

/* A copy is one if nothing of it has to be pinned, and another handle has not asked for it. */
static void test_hypercall(Fixture *f, gconstpointer data)
{
    uint8_t *b = xenemu_gnttab_buffer(f->gt, XENEMU_PAGE_SIZE);
    char buf[4] = "abc";
    XenemuCopySeg seg[2] = { { .local = b, .ref = f->ref, .len = 4 },
                             { .local = b + 4, .ref = 99999, .len = 4 } };
    XenemuGnttab *other = xenemu_gnttab_open(f->t->host);
    uint8_t *b2 = xenemu_gnttab_buffer(other, XENEMU_PAGE_SIZE);

    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, seg, 2), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 0);
    g_assert_cmpint(xenemu_gnttab_use_hypercall(f->gt), ==, 0);
    memcpy(b, "xyz", 4);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, seg, 2), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 1);
    g_assert_cmpstr((char *)f->page, ==, "xyz");
    g_assert_cmpint(seg[0].status, ==, GNTST_okay);
    g_assert_cmpint(seg[1].status, ==, GNTST_bad_gntref);
    seg[1].local = buf;
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, seg, 2), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 1);
    g_assert_cmpuint(xenemu_host_pinned(f->t->host), ==, 1);
    seg[0].local = b2;
    g_assert_cmpint(xenemu_gnttab_copy(other, 3, true, seg, 1), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 1);
    g_assert_true(xenemu_gnttab_buffer_free(other, b2));
    g_assert_true(xenemu_gnttab_buffer_free(f->gt, b));
    xenemu_gnttab_close(other);
}

/* A handle that has them keeps them, as an open /dev/xen/privcmd does. */
static void test_hypercall_forbidden(Fixture *f, gconstpointer data)
{
    XenemuGnttab *other = xenemu_gnttab_open(f->t->host);
    uint8_t *b = xenemu_gnttab_buffer(f->gt, XENEMU_PAGE_SIZE);
    XenemuCopySeg seg = { .local = b, .ref = f->ref, .len = 4 };

    xenemu_host_forbid_hypercalls(f->t->host, EACCES);
    g_assert_cmpint(xenemu_gnttab_use_hypercall(f->gt), ==, -EACCES);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, &seg, 1), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 0);
    xenemu_host_forbid_hypercalls(f->t->host, 0);
    g_assert_cmpint(xenemu_gnttab_use_hypercall(f->gt), ==, 0);
    xenemu_host_forbid_hypercalls(f->t->host, ENOENT);
    g_assert_cmpint(xenemu_gnttab_use_hypercall(other), ==, -ENOENT);
    g_assert_cmpint(xenemu_gnttab_copy(f->gt, 3, true, &seg, 1), ==, 0);
    g_assert_cmpuint(xenemu_host_hypercalls(f->t->host), ==, 1);
    g_assert_true(xenemu_gnttab_buffer_free(f->gt, b));
    xenemu_gnttab_close(other);
}

/* grant_table.h, GNTST_bad_domain; what was mapped before stays memory until unmapped. */
static void test_domain_dies(Fixture *f, gconstpointer data)
{
    uint8_t *p = map(f, f->ref, true);
    uint8_t *pages;

    f->page[7] = 77;
    xenemu_guest_detach(f->g);
    g_assert_cmpuint(p[7], ==, 77);
    p[8] = 88;
    g_assert_cmpint(copy_status(f, false, f->ref), ==, GNTST_bad_domain);
    g_assert_null(map(f, f->ref, false));
    g_assert_cmpint(xenemu_gnttab_status(f->gt), ==, GNTST_bad_domain);

    /* A new domain by the same number is another one. */
    f->g = test_guest(f->t, 3);
    g_assert_cmpint(copy_status(f, false, f->ref), ==, GNTST_general_error);
    pages = xenemu_guest_alloc_pages(f->g, 1);
    f->ref = (uint32_t)xenemu_guest_grant_access(f->g, 0, pages, true);
    g_assert_cmpint(copy_status(f, true, f->ref), ==, GNTST_okay);
    g_assert_cmpuint(p[7], ==, 77);
    g_assert_cmpint(xenemu_gnttab_unmap(f->gt, p, 1), ==, 0);
}

/* grant_table.h: 512 entries a frame; pages are 8-aligned numbers, the first 8 reserved. */
static void test_guest_tables(Fixture *f, gconstpointer data)
{
    g_autofree uint32_t *refs = g_new(uint32_t, XENEMU_GRANT_REFS);
    unsigned n = 0;
    int r;

    while ((r = xenemu_guest_grant_access(f->g, 0, f->page, true)) > 0) {
        g_assert_cmpuint((uint32_t)r, >=, XENEMU_GRANT_FIRST);
        refs[n++] = (uint32_t)r;
    }
    g_assert_cmpint(r, ==, -ENOSPC);
    g_assert_cmpuint(n, ==, XENEMU_GRANT_REFS - XENEMU_GRANT_FIRST - 1);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(xenemu_guest_end_access(f->g, refs[i]), ==, 0);
    }
    g_assert_cmpint(xenemu_guest_grant_access(f->g, 0, f->page + 1, true), ==, -EINVAL);
    g_assert_cmpint(xenemu_guest_grant_access(f->g, 0, f->page + TEST_RAM, true), ==, -EINVAL);
    g_assert_null(xenemu_guest_alloc_pages(f->g, TEST_RAM / 4096));
    xenemu_guest_free_pages(f->g, f->page, 1);
    g_assert_true(xenemu_guest_alloc_pages(f->g, 1) == f->page);
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("/gnttab/map", test_map);
    ADD("/gnttab/copy", test_copy);
    ADD("/gnttab/end-access", test_end_access);
    ADD("/gnttab/usage", test_usage);
    ADD("/gnttab/in-use-flags", test_in_use_flags);
    ADD("/gnttab/mapped-twice", test_mapped_twice);
    ADD("/gnttab/close-with-mapping", test_close_with_mapping);
    ADD("/gnttab/readonly", test_readonly);
    ADD("/gnttab/wrong-domid", test_wrong_domid);
    ADD("/gnttab/wrong-type", test_wrong_type);
    ADD("/gnttab/bad-ref", test_bad_ref);
    ADD("/gnttab/bad-frame", test_bad_frame);
    ADD("/gnttab/sub-page", test_sub_page);
    ADD("/gnttab/change-while-mapped", test_change_while_mapped);
    ADD("/gnttab/copy-while-mapped", test_copy_while_mapped);
    ADD("/gnttab/map-several", test_map_several);
    ADD("/gnttab/map-same", test_map_same);
    ADD("/gnttab/copy-statuses", test_copy_statuses);
    ADD("/gnttab/copy-bounds", test_copy_bounds);
    ADD("/gnttab/copy-between", test_copy_between);
    ADD("/gnttab/copy-between-bounds", test_copy_between_bounds);
    ADD("/gnttab/buffer", test_buffer);
    ADD("/gnttab/buffer-limits", test_buffer_limits);
    ADD("/gnttab/hypercall", test_hypercall);
    ADD("/gnttab/hypercall-forbidden", test_hypercall_forbidden);
    ADD("/gnttab/domain-dies", test_domain_dies);
    ADD("/gnttab/guest-tables", test_guest_tables);
    return g_test_run();
}
