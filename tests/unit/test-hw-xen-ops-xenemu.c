/*
 * XenOps over the emulated Xen, both ends in this process: the host in one Xen, a guest
 * in another. The rules themselves are tested in subprojects/xenemu.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xen-ops.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "xen-pair.h"
#include "xenemu.h"

typedef XenPair Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    xen_pair_up(f);
}

static void teardown(Fixture *f, gconstpointer data)
{
    xen_pair_down(f);
}

static void test_identity(Fixture *f, gconstpointer data)
{
    g_autofree char *store = g_strconcat(f->path, ".xenstore", NULL);
    g_autofree char *own = g_strconcat(f->path, ".xenstore.5", NULL);

    g_assert_cmpuint(f->host->domid, ==, 0);
    g_assert_cmpuint(f->guest->domid, ==, 5);
    g_assert_true(f->host->emulated);
    g_assert_true(f->guest->emulated);
    g_assert_cmpstr(f->host->store_path, ==, store);
    g_assert_cmpstr(f->guest->store_path, ==, own);
}

static void test_open_errors(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(xen_xenemu_open_host(f->path, &error));
    g_assert_nonnull(strstr(error->message, "is in use by another process"));
    g_clear_error(&error);
    g_assert_null(xen_xenemu_open_guest(f->path, 5, 4 << 20, &error));
    g_assert_nonnull(strstr(error->message, "the domain exists already"));
}

/* Each end has what it can do, and says why not for the rest. */
static void test_roles(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(f->host->ops->share_open(f->host, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS);
    g_clear_error(&error);
    g_assert_null(f->guest->ops->gnttab_open(f->guest, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS);
}

static void test_share(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    XenGnttab *g = f->host->ops->gnttab_open(f->host, NULL);
    char local[8] = "hello";
    XenCopySeg seg = { .local = local, .offset = 10, .len = 6 };
    uint32_t refs[3];
    uint8_t *pages = f->guest->ops->share_alloc(s, 0, 3, true, refs);
    uint8_t *mapped;

    g_assert_nonnull(pages);
    pages[2 * XEN_PAGE_SIZE] = 7;
    mapped = f->host->ops->gnttab_map(g, 5, refs, 3, true);
    g_assert_nonnull(mapped);
    g_assert_cmpuint(mapped[2 * XEN_PAGE_SIZE], ==, 7);
    seg.ref = refs[1];
    g_assert_cmpint(f->host->ops->gnttab_copy(g, 5, true, &seg, 1), ==, 0);
    g_assert_cmpint(seg.status, ==, 0);
    g_assert_cmpstr((char *)pages + XEN_PAGE_SIZE + 10, ==, "hello");
    seg.offset = 4095;
    g_assert_cmpint(f->host->ops->gnttab_copy(g, 5, true, &seg, 1), ==, -EINVAL);
    g_assert_cmpint(f->host->ops->gnttab_unmap(g, mapped, 3), ==, 0);
    g_assert_cmpint(f->guest->ops->share_free(s, pages, 3), ==, 0);
    g_assert_cmpint(f->guest->ops->share_free(s, pages, 3), ==, -EINVAL);
    f->host->ops->gnttab_close(g);
    f->guest->ops->share_close(s);
}

/* -EBUSY: nothing was freed; later it is. And pages that are used are not given out again. */
static void test_share_busy(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    XenGnttab *g = f->host->ops->gnttab_open(f->host, NULL);
    uint32_t refs[2], more[1];
    uint8_t *pages = f->guest->ops->share_alloc(s, 0, 2, true, refs);
    uint8_t *mapped = f->host->ops->gnttab_map(g, 5, refs + 1, 1, true);

    g_assert_cmpint(f->guest->ops->share_free(s, pages, 2), ==, -EBUSY);
    g_assert_false(f->guest->ops->share_in_use(s, refs[0]));
    g_assert_true(f->guest->ops->share_in_use(s, refs[1]));
    mapped[0] = 3;
    g_assert_cmpuint(pages[XEN_PAGE_SIZE], ==, 3);
    g_assert_true(f->guest->ops->share_alloc(s, 0, 1, true, more) != pages);
    g_assert_cmpint(f->host->ops->gnttab_unmap(g, mapped, 1), ==, 0);
    g_assert_cmpint(f->guest->ops->share_free(s, pages, 2), ==, 0);
    g_assert_true(f->guest->ops->share_alloc(s, 0, 1, true, more) == pages);
    f->host->ops->gnttab_close(g);
    f->guest->ops->share_close(s);
}

static void test_share_full(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    g_autofree uint32_t *refs = g_new(uint32_t, 2048);

    g_assert_null(f->guest->ops->share_alloc(s, 0, 2048, true, refs));
    g_assert_cmpint(errno, ==, ENOMEM);
    f->guest->ops->share_close(s);
}

/* A mapping larger than any ring, which is left as a whole. */
static void test_map_many(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    XenGnttab *g = f->host->ops->gnttab_open(f->host, NULL);
    g_autofree uint32_t *refs = g_new(uint32_t, 200);
    uint8_t *pages = f->guest->ops->share_alloc(s, 0, 200, true, refs), *mapped;

    for (unsigned i = 0; i < 200; i++) {
        pages[i * XEN_PAGE_SIZE] = (uint8_t)i;
    }
    mapped = f->host->ops->gnttab_map(g, 5, refs, 200, true);
    g_assert_nonnull(mapped);
    for (unsigned i = 0; i < 200; i++) {
        g_assert_cmpuint(mapped[i * XEN_PAGE_SIZE], ==, i);
    }
    g_assert_cmpint(f->host->ops->gnttab_unmap(g, mapped, 200), ==, 0);
    g_assert_cmpint(f->guest->ops->share_free(s, pages, 200), ==, 0);
    f->host->ops->gnttab_close(g);
    f->guest->ops->share_close(s);
}

/* Pages that are kept are mapped one by one, and go one by one, in any order. */
static void test_map_pages(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    XenGnttab *g = f->host->ops->gnttab_open(f->host, NULL);
    g_autofree uint32_t *refs = g_new(uint32_t, 100);
    g_autofree void **mapped = g_new(void *, 100);
    uint8_t *pages = f->guest->ops->share_alloc(s, 0, 100, true, refs);

    g_assert_cmpuint(xen_gnttab_map_pages(f->host, g, 5, refs, 100, true, mapped), ==, 100);
    for (unsigned i = 0; i < 100; i++) {
        *(uint8_t *)mapped[i] = (uint8_t)i;
        g_assert_cmpuint(pages[i * XEN_PAGE_SIZE], ==, i);
    }
    for (unsigned i = 0; i < 100; i++) {
        unsigned k = (i * 37) % 100;

        g_assert_cmpint(f->host->ops->gnttab_unmap(g, mapped[k], 1), ==, 0);
        if (i < 99) {
            g_assert_cmpint(f->guest->ops->share_free(s, pages, 100), ==, -EBUSY);
        }
    }
    g_assert_cmpint(f->guest->ops->share_free(s, pages, 100), ==, 0);
    f->host->ops->gnttab_close(g);
    f->guest->ops->share_close(s);
}

/* One that is not granted: those before it are mapped and stay. */
static void test_map_pages_fails(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    XenGnttab *g = f->host->ops->gnttab_open(f->host, NULL);
    uint32_t refs[3];
    void *mapped[3] = { NULL };
    uint8_t *pages = f->guest->ops->share_alloc(s, 0, 3, true, refs);

    refs[2] += 10;
    g_assert_cmpuint(xen_gnttab_map_pages(f->host, g, 5, refs, 3, true, mapped), ==, 2);
    g_assert_cmpint(errno, !=, 0);
    g_assert_cmpint(f->host->ops->gnttab_unmap(g, mapped[0], 1), ==, 0);
    g_assert_cmpint(f->host->ops->gnttab_unmap(g, mapped[1], 1), ==, 0);
    g_assert_cmpint(f->guest->ops->share_free(s, pages, 3), ==, 0);
    f->host->ops->gnttab_close(g);
    f->guest->ops->share_close(s);
}

static void test_readonly(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    XenGnttab *g = f->host->ops->gnttab_open(f->host, NULL);
    uint32_t ref;
    void *mapped;

    g_assert_nonnull(f->guest->ops->share_alloc(s, 0, 1, false, &ref));
    g_assert_null(f->host->ops->gnttab_map(g, 5, &ref, 1, true));
    mapped = f->host->ops->gnttab_map(g, 5, &ref, 1, false);
    g_assert_nonnull(mapped);
    g_assert_cmpint(f->host->ops->gnttab_unmap(g, mapped, 1), ==, 0);
    f->host->ops->gnttab_close(g);
    f->guest->ops->share_close(s);
}

/* A host without privcmd says so; one with it counts the calls. */
static void test_hypercall(Fixture *f, gconstpointer data)
{
    XenShare *s = f->guest->ops->share_open(f->guest, NULL);
    XenGnttab *g = f->host->ops->gnttab_open(f->host, NULL);
    g_autoptr(GError) error = NULL;
    XenCopySeg seg = { .len = 6 };
    uint8_t *page = f->guest->ops->share_alloc(s, 0, 1, true, &seg.ref);

    seg.local = f->host->ops->gnttab_buffer(g, XEN_PAGE_SIZE);
    memcpy(seg.local, "hello", 6);
    xenemu_host_forbid_hypercalls(f->host->opaque, ENOENT);
    g_assert_false(f->host->ops->gnttab_use_hypercall(g, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    g_assert_cmpstr(error->message, ==,
                    "could not open privcmd of the emulated Xen: No such file or directory");
    g_clear_error(&error);
    xenemu_host_forbid_hypercalls(f->host->opaque, 0);
    g_assert_true(f->host->ops->gnttab_use_hypercall(g, &error));
    g_assert_true(f->host->ops->gnttab_use_hypercall(g, &error)); /* again: nothing */
    g_assert_no_error(error);
    g_assert_cmpint(f->host->ops->gnttab_copy(g, 5, true, &seg, 1), ==, 0);
    g_assert_cmpstr((char *)page, ==, "hello");
    g_assert_cmpuint(xenemu_host_hypercalls(f->host->opaque), ==, 1);
    g_assert_true(f->host->ops->gnttab_buffer_free(g, seg.local));
    f->host->ops->gnttab_close(g);
    g_assert_cmpint(f->guest->ops->share_free(s, page, 1), ==, 0);
    f->guest->ops->share_close(s);
}

static bool readable(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };

    return poll(&p, 1, 1000) == 1;
}

static void test_evtchn(Fixture *f, gconstpointer data)
{
    const XenOps *ho = f->host->ops;
    const XenOps *go = f->guest->ops;
    XenEvtchn *h = ho->evtchn_open(f->host, NULL);
    XenEvtchn *g = go->evtchn_open(f->guest, NULL);
    int gp = go->evtchn_alloc_unbound(g, 0);
    int hp = ho->evtchn_bind_interdomain(h, 5, (uint32_t)gp);

    g_assert_cmpint(gp, >, 0);
    g_assert_cmpint(hp, >, 0);
    g_assert_true(readable(ho->evtchn_fd(h)));
    g_assert_cmpint(ho->evtchn_pending(h), ==, hp);
    g_assert_cmpint(ho->evtchn_unmask(h, (uint32_t)hp), ==, 0);
    g_assert_cmpint(ho->evtchn_notify(h, (uint32_t)hp), ==, 0);
    g_assert_true(readable(go->evtchn_fd(g)));
    g_assert_cmpint(go->evtchn_pending(g), ==, gp);
    g_assert_cmpint(go->evtchn_pending(g), ==, -EAGAIN);
    g_assert_cmpint(go->evtchn_unmask(g, (uint32_t)gp), ==, 0);
    g_assert_cmpint(go->evtchn_notify(g, (uint32_t)gp), ==, 0);
    g_assert_cmpint(ho->evtchn_pending(h), ==, hp);
    g_assert_cmpint(ho->evtchn_unbind(h, (uint32_t)hp), ==, 0);
    g_assert_cmpint(ho->evtchn_notify(h, (uint32_t)hp), ==, -ENOTCONN);
    go->evtchn_close(g);
    ho->evtchn_close(h);
}

/* What each end lacks is named, and who lacks it. */
static void test_errors_of_the_host(void)
{
    const Xen emulated = { .emulated = true };
    const Xen real = { 0 };

    g_assert_cmpstr(xen_strerror(&emulated, ENFILE), ==,
                    "the emulated Xen's host has no file descriptors left");
    g_assert_cmpstr(xen_strerror(&emulated, ETIMEDOUT), ==,
                    "the emulated Xen's host does not answer");
    g_assert_cmpstr(xen_strerror(&emulated, EMFILE), ==,
                    "this process has no file descriptors left");
    g_assert_cmpstr(xen_strerror(&real, EMFILE), ==, "this process has no file descriptors left");
    g_assert_cmpstr(xen_strerror(&real, ENFILE), ==, g_strerror(ENFILE)); /* the machine has none */
    g_assert_cmpstr(xen_strerror(&real, ETIMEDOUT), ==, g_strerror(ETIMEDOUT));
}

int main(int argc, char **argv)
{
#define ADD(name, fn) g_test_add("/ops-xenemu/" name, Fixture, NULL, setup, fn, teardown)
    g_test_init(&argc, &argv, NULL);
    ADD("identity", test_identity);
    ADD("open-errors", test_open_errors);
    ADD("roles", test_roles);
    ADD("share", test_share);
    ADD("share-busy", test_share_busy);
    ADD("share-full", test_share_full);
    ADD("map-many", test_map_many);
    ADD("map-pages", test_map_pages);
    ADD("map-pages-fails", test_map_pages_fails);
    ADD("readonly", test_readonly);
    ADD("hypercall", test_hypercall);
    ADD("evtchn", test_evtchn);
    g_test_add_func("/ops-xenemu/errors-of-the-host", test_errors_of_the_host);
    return g_test_run();
}
