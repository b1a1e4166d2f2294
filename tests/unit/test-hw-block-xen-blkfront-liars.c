/*
 * Backends that break the protocol: the disk fails, once and for all requests, and nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "util/container-of.h"
#include "vbd-test.h"

#define N 20

typedef struct Lie {
    VbdLie lie;
    const char *error;
} Lie;

static void connect_all(VbdTest *t)
{
    vbd_test_up(t);
    t->v.config.queues = 2;
    t->v.config.max_indirect = 256;
    vbd_test_connect(t, &vbd_full);
}

static void expect_failed(VbdTest *t, const char *reason)
{
    g_autofree char *error = g_strdup_printf("queue 0: %s", reason);
    XenBlkfrontInfo info;

    xen_blkfront_info(t->v.bf, &info);
    g_assert_true(info.failed);
    g_assert_false(info.connected);
    g_assert_cmpstr(t->v.error, ==, error);
    g_assert_cmpuint(t->v.disconnected, ==, 1);
}

/* The lie is about one of some indirect requests. */
static void test_lie(gconstpointer data)
{
    g_autofree VbdJob *jobs = g_new0(VbdJob, N);
    const Lie *l = data;
    VbdTest t;

    connect_all(&t);
    vbd_back_set_budget(&t.b, 0);
    for (unsigned i = 0; i < N; i++) {
        vbd_submit(&t.v, i % 2, &jobs[i], BLOCK_WRITE, i * 64 * KIB, t.buf, 64 * KIB);
    }
    VBD_WAIT(VBD_COUNT(&t.v, indirect) == N); /* all of them are on the rings */
    vbd_back_lie(&t.b, l->lie);
    vbd_back_set_budget_of(&t.b, 0, 1);
    VBD_WAIT(t.v.errors > 0);
    expect_failed(&t, l->error);
    VBD_WAIT(vbd_is_done(jobs, N));
    for (unsigned i = 0; i < N; i++) {
        g_assert_cmpint(jobs[i].done, ==, 1);
        /* of the same response twice, the first is a good one */
        g_assert_cmpint(jobs[i].res, ==, l->lie == VBD_LIE_TWICE && i == 0 ? 0 : -EIO);
    }
    for (unsigned queue = 0; queue < 2; queue++) {
        vbd_submit(&t.v, queue, &jobs[0], BLOCK_READ, 0, t.buf, 512);
        vbd_expect(jobs, 1, -EIO);
    }
    vbd_test_down(&t);
}

/* What is a lie without persistence is what it is for. */
static void test_persistent(void)
{
    VbdTest t;

    vbd_test_up(&t);
    t.v.config.persistent = true;
    vbd_test_connect(&t, &vbd_full);
    vbd_back_lie(&t.b, VBD_LIE_MAPPED);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 512), ==, 0);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 512), ==, 0);
    g_assert_cmpuint(t.v.errors, ==, 0);
    vbd_test_down(&t);
}

/* A reader that tries again has the main loop to share with others. */
typedef struct Stubborn {
    VbdJob job;
    Vbd *v;
    unsigned left;
} Stubborn;

static void stubborn_done(XenBlkfrontRequest *req, int res)
{
    Stubborn *s = container_of(container_of(req, VbdJob, req), Stubborn, job);

    g_assert_cmpint(res, ==, -EIO);
    if (--s->left > 0) {
        xen_blkfront_submit(s->v->bf, 0, req);
    }
}

static void test_tries_again(void)
{
    Stubborn s = { .left = 100 };
    VbdTest t;

    connect_all(&t);
    s.v = &t.v;
    s.job.req = (XenBlkfrontRequest) { .op = BLOCK_READ, .bytes = 512, .done = stubborn_done };
    vbd_back_lie(&t.b, VBD_LIE_ID);
    xen_blkfront_submit(t.v.bf, 0, &s.job.req);
    VBD_WAIT(s.left == 0);
    vbd_test_down(&t);
}

/* Nor does another backend, or the same one in another connection, bring it back. */
static void test_no_way_back(void)
{
    unsigned errors;
    VbdTest t;

    connect_all(&t);
    vbd_back_lie(&t.b, VBD_LIE_OP);
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 512), ==, -EIO);
    VBD_WAIT(vbd_is(&t.v, t.v.fe, "state", "6"));
    errors = t.v.errors;
    vbd_test_back(&t, &vbd_full);
    VBD_WAIT(vbd_is(&t.v, t.v.be, "state", "2"));
    g_assert_cmpint(vbd_io(&t.v, BLOCK_READ, 0, t.buf, 512), ==, -EIO);
    g_assert_cmpuint(t.v.connected, ==, 1);
    g_assert_cmpuint(t.v.errors, <=, errors + 1); /* at most that the device was taken away */
    vbd_test_down(&t);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        Lie lie;
    } lies[] = {
        { "id", { VBD_LIE_ID, "a response to no request that is under way" } },
        { "high-id", { VBD_LIE_HIGH_ID, "a response to no request that is under way" } },
        { "twice", { VBD_LIE_TWICE, "a response to no request that is under way" } },
        { "operation", { VBD_LIE_OP, "a response of another operation than its request" } },
        { "indirect", { VBD_LIE_INDIRECT, "a response of another operation than its request" } },
        { "xsa-396", { VBD_LIE_MAPPED, "a request is answered, and a page of it mapped" } },
        { "too-many", { VBD_LIE_PROD, "more responses than there are requests" } },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(lies); i++) {
        g_autofree char *path = g_strconcat("/xen-blkfront/liars/", lies[i].name, NULL);

        g_test_add_data_func(path, &lies[i].lie, test_lie);
    }
    g_test_add_func("/xen-blkfront/liars/persistent", test_persistent);
    g_test_add_func("/xen-blkfront/liars/tries-again", test_tries_again);
    g_test_add_func("/xen-blkfront/liars/no-way-back", test_no_way_back);
    return g_test_run();
}
