/*
 * What a toolstack says of a disk, and what we make of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/block/xen-vbd-params.h"

#include "xen-pair.h"

#define BE "/local/domain/0/backend/qdisk/5/51712"

typedef struct Fixture {
    XenPair pair;
    XenStore *store;
    XenVbdParams p;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    xen_pair_up(&f->pair);
    f->store = xen_store_open(f->pair.host->store_path, &error);
    g_assert_no_error(error);
}

static void teardown(Fixture *f, gconstpointer data)
{
    xen_store_close(f->store);
    xen_pair_down(&f->pair);
}

static void put(Fixture *f, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(f->store, 0, BE, key, "%s", value));
}

static void read_them(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(xen_vbd_params_read(f->store, BE, 51712, &f->p, &error));
    g_assert_no_error(error);
}

static void test_formats(Fixture *f, gconstpointer data)
{
    static const char *const cases[][3] = {
        { "aio:/a", "raw", "/a" },         { "qcow:/a", "qcow", "/a" },
        { "qcow2:/a", "qcow2", "/a" },     { "qed:/a", "qed", "/a" },
        { "vhd:/a", "vpc", "/a" },         { "raw:/a", "raw", "/a" },
        { "/dev/sda", "raw", "/dev/sda" }, { "/a:b", "raw", "/a:b" },
        { "aio:qcow2:/a", "raw", "qcow2:/a" }, { "vhd:/a:b", "vpc", "/a:b" },
        { "a/b", "raw", "a/b" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        put(f, "params", cases[i][0]);
        read_them(f);
        g_assert_cmpstr(f->p.format, ==, cases[i][1]);
        g_assert_cmpstr(f->p.path, ==, cases[i][2]);
        g_assert_cmpstr(f->p.name, ==, "xvda");
        xen_vbd_params_clear(&f->p);
    }
}

/* What is not granted is not there. */
static void test_nothing_said(Fixture *f, gconstpointer data)
{
    put(f, "params", "aio:/a");
    read_them(f);
    g_assert_true(f->p.read_only);
    g_assert_false(f->p.direct);
    g_assert_false(f->p.discard);
    g_assert_false(f->p.cdrom);
    xen_vbd_params_clear(&f->p);
}

static void test_all_said(Fixture *f, gconstpointer data)
{
    put(f, "params", "aio:/a");
    put(f, "mode", "w");
    put(f, "direct-io-safe", "1");
    put(f, "discard-enable", "1");
    put(f, "device-type", "disk");
    read_them(f);
    g_assert_false(f->p.read_only);
    g_assert_true(f->p.direct);
    g_assert_true(f->p.discard);
    g_assert_false(f->p.cdrom);
    xen_vbd_params_clear(&f->p);
    put(f, "device-type", "cdrom");
    read_them(f);
    g_assert_true(f->p.cdrom);
    g_assert_true(f->p.read_only);
    xen_vbd_params_clear(&f->p);
    put(f, "device-type", "disk");
    put(f, "mode", "r");
    read_them(f);
    g_assert_true(f->p.read_only);
    xen_vbd_params_clear(&f->p);
}

static void expect_refused(Fixture *f, const char *params, const char *reason)
{
    g_autoptr(GError) error = NULL;

    if (params) {
        put(f, "params", params);
    }
    g_assert_false(xen_vbd_params_read(f->store, BE, 51712, &f->p, &error));
    g_assert_cmpstr(error->message, ==, reason);
    xen_vbd_params_clear(&f->p);
}

static void test_refused(Fixture *f, gconstpointer data)
{
    expect_refused(f, NULL, "xvda: there is no image");
    expect_refused(f, "", "xvda: there is no image");
    expect_refused(f, "aio:", "xvda: there is no image");
    expect_refused(f, "tap:/a", "xvda: the image's format 'tap' is not known");
    expect_refused(f, ":/a", "xvda: the image's format '' is not known");
    expect_refused(f, "aiox:/a", "xvda: the image's format 'aiox' is not known");
    expect_refused(f, "ai:/a", "xvda: the image's format 'ai' is not known");
    put(f, "device-type", "cdrom");
    expect_refused(f, "aio:", "xvda: a CD-ROM without a medium");
}

#define ADD(name, fn) g_test_add("/xen-vbd-params/" name, Fixture, NULL, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("formats", test_formats);
    ADD("nothing-said", test_nothing_said);
    ADD("all-said", test_all_said);
    ADD("refused", test_refused);
    return g_test_run();
}
