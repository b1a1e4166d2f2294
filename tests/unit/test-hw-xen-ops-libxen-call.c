/*
 * Copies by hypercalls of our own: what is made of a hypercall's result and of its statuses. The
 * hypercall is this file's; tests/xen has real ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ops-libxen-internal.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#define N_OPS 5

typedef struct Fixture {
    LibxenCall call; /* the first */
    gnttab_copy_t op[N_OPS];
    unsigned calls;
    unsigned tries[N_OPS];       /* of each operation */
    unsigned eagain[N_OPS];      /* tries of it that are told to come again */
    int16_t status[N_OPS];       /* then */
    unsigned untouched;          /* of the first call: so many at its end get no status */
    unsigned odd_call;           /* the call, counted from 1, that has this result */
    int odd_result;
} Fixture;

static int fake_hypercall(LibxenCall *c, gnttab_copy_t *op, unsigned n)
{
    Fixture *f = (Fixture *)c;

    f->calls++;
    for (unsigned i = 0; i < n - (f->calls == 1 ? f->untouched : 0); i++) {
        unsigned k = (unsigned)(&op[i] - f->op);

        g_assert_cmpuint(k, <, N_OPS);
        op[i].status = f->tries[k]++ < f->eagain[k] ? GNTST_eagain : f->status[k];
    }
    return f->calls == f->odd_call ? f->odd_result : 0;
}

static void setup(Fixture *f, gconstpointer data)
{
    f->call.op = f->op;
    f->call.copy = fake_hypercall;
}

static void teardown(Fixture *f, gconstpointer data)
{
}

static void test_one_for_all(Fixture *f, gconstpointer data)
{
    f->status[1] = GNTST_bad_gntref;
    f->status[4] = 77; /* none that there is */
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, 0);
    g_assert_cmpuint(f->calls, ==, 1);
    g_assert_cmpint(f->op[0].status, ==, GNTST_okay);
    g_assert_cmpint(f->op[1].status, ==, GNTST_bad_gntref);
    g_assert_cmpint(f->op[3].status, ==, GNTST_okay);
    g_assert_cmpint(f->op[4].status, ==, 77);
}

/* What Xen did not come to has no status of Xen's, and that of an earlier batch is none. */
static void test_untouched(Fixture *f, gconstpointer data)
{
    f->untouched = 2;
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, 0);
    g_assert_cmpint(f->op[2].status, ==, GNTST_okay);
    g_assert_cmpint(f->op[3].status, ==, GNTST_general_error);
    g_assert_cmpint(f->op[4].status, ==, GNTST_general_error);
}

static void test_result(Fixture *f, gconstpointer data)
{
    f->odd_call = 1;
    f->odd_result = -EFAULT;
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, -EFAULT);
    f->odd_call = 2;
    f->odd_result = 3; /* not one that the hypercall has */
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, -EIO);
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, 0);
}

/* As the kernel's gnttab_batch_copy() does, by itself and nothing else. */
static void test_eagain(Fixture *f, gconstpointer data)
{
    f->eagain[1] = 3;
    f->eagain[3] = 1;
    f->status[3] = GNTST_bad_page;
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, 0);
    g_assert_cmpuint(f->tries[0], ==, 1);
    g_assert_cmpuint(f->tries[1], ==, 4);
    g_assert_cmpuint(f->tries[2], ==, 1);
    g_assert_cmpuint(f->tries[3], ==, 2);
    g_assert_cmpuint(f->calls, ==, 5);
    g_assert_cmpint(f->op[1].status, ==, GNTST_okay);
    g_assert_cmpint(f->op[3].status, ==, GNTST_bad_page);
}

/* It ends, for all operations together; each has been tried again, and the rest is done. */
static void test_eagain_for_ever(Fixture *f, gconstpointer data)
{
    gint64 start = g_get_monotonic_time();

    f->eagain[0] = f->eagain[2] = UINT32_MAX;
    f->eagain[3] = 1;
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - start, >, G_USEC_PER_SEC / 2);
    g_assert_cmpuint(f->tries[0], >, 10);
    g_assert_cmpuint(f->tries[0], <, 100);
    g_assert_cmpuint(f->tries[2], ==, 2);
    g_assert_cmpint(f->op[0].status, ==, GNTST_bad_page);
    g_assert_cmpint(f->op[1].status, ==, GNTST_okay);
    g_assert_cmpint(f->op[2].status, ==, GNTST_bad_page);
    g_assert_cmpint(f->op[3].status, ==, GNTST_okay);
}

static void test_eagain_fails(Fixture *f, gconstpointer data)
{
    f->eagain[2] = 3;
    f->odd_call = 3;
    f->odd_result = -EINTR;
    g_assert_cmpint(ops_libxen_call_copy(&f->call, N_OPS), ==, -EINTR);
}

static void test_no_privcmd(void)
{
    const Xen xen = { 0 };
    g_autoptr(GError) error = NULL;

    if (g_access("/dev/xen/privcmd", F_OK) == 0) {
        g_test_skip("there is one here");
        return;
    }
    g_assert_null(ops_libxen_call_open(&xen, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    g_assert_cmpstr(error->message, ==, "no Xen here, or modprobe xen-privcmd is wanted: could "
                    "not open /dev/xen/privcmd: No such file or directory");
    ops_libxen_call_close(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/ops-libxen-call/" name, Fixture, NULL, setup, fn, teardown)
    ADD("one-for-all", test_one_for_all);
    ADD("untouched", test_untouched);
    ADD("result", test_result);
    ADD("eagain", test_eagain);
    ADD("eagain-for-ever", test_eagain_for_ever);
    ADD("eagain-fails", test_eagain_fails);
    g_test_add_func("/ops-libxen-call/no-privcmd", test_no_privcmd);
    return g_test_run();
}
