/*
 * Which records of requests are removed, and which stay. Domain 77 is not there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-blkback-sweep.h"

#include <fcntl.h>
#include <glib/gstdio.h>

#include "xen-blkback-record.h"
#include "xen-pair.h"

typedef struct Fixture {
    XenPair pair;
    XenStore *store;
    char *path;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    xen_pair_up(&f->pair);
    f->store = xen_store_open(f->pair.host->store_path, &error);
    g_assert_no_error(error);
    f->path = g_dir_make_tmp("sweep-XXXXXX", &error);
    g_assert_no_error(error);
}

static void teardown(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(g_rmdir(f->path), ==, 0);
    g_free(f->path);
    xen_store_close(f->store);
    xen_pair_down(&f->pair);
}

static void make(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->path, name, NULL);

    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
}

/* It was there. */
static bool take(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->path, name, NULL);

    return g_unlink(path) == 0;
}

static unsigned sweep(Fixture *f)
{
    return xen_blkback_sweep_dir(open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), f->store);
}

static void test_of_a_dead_domain(Fixture *f, gconstpointer data)
{
    g_autofree char *name = xen_blkback_record_name(77, 51712, 3);

    make(f, name);
    make(f, "vbd-77-268439552-0");
    g_assert_cmpuint(sweep(f), ==, 2);
    g_assert_false(take(f, name));
    g_assert_false(take(f, "vbd-77-268439552-0"));
    g_assert_cmpuint(sweep(f), ==, 0);
}

static void test_a_live_one_keeps_its_own(Fixture *f, gconstpointer data)
{
    g_autofree char *name = xen_blkback_record_name(XEN_PAIR_DOMID, 51712, 0);

    make(f, name);
    g_assert_cmpuint(sweep(f), ==, 0);
    g_assert_true(take(f, name));
}

static void test_what_is_not_meant_stays(Fixture *f, gconstpointer data)
{
    static const char *const names[] = {
        "vbd-77-51712", "vbd-77-51712-0-1", "vbd-x-51712-0", "vif-77-0-0", "vbd-77-51712-x",
        "vbd-32752-51712-0", "vbd--51712-0", "77",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        make(f, names[i]);
    }
    g_assert_cmpuint(sweep(f), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_true(take(f, names[i]));
    }
}

#define ADD(name, fn) \
    g_test_add("/xen-blkback-sweep/" name, Fixture, NULL, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("of-a-dead-domain", test_of_a_dead_domain);
    ADD("a-live-one-keeps-its-own", test_a_live_one_keeps_its_own);
    ADD("what-is-not-meant-stays", test_what_is_not_meant_stays);
    return g_test_run();
}
