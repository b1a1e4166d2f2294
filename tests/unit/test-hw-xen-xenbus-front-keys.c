/*
 * The keys of a frontend's queues, of a made-up kind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "hw/xen/xenbus-front.h"
#include "toy-back.h"

typedef struct FrontTest {
    ToyTest f;
    XenbusFront front;
    XenQueue queue[3];
    XenQueues queues;
} FrontTest;

static void up(FrontTest *t, unsigned n)
{
    *t = (FrontTest) { 0 };
    toy_up(&t->f);
    t->front = (XenbusFront) { .store = t->f.domu, .fe = (char *)TOY_FE };
    g_assert_true(xen_store_mkdir(t->f.dom0, 0, TOY_FE, 1, 0));
    for (unsigned i = 0; i < n; i++) {
        t->queue[i].q.index = i;
        xen_queues_add(&t->queues, &t->queue[i]);
    }
}

static bool write_index(XenStore *s, XenTx tx, const char *dir, const XenQueue *q)
{
    return xen_store_printf(s, tx, dir, "index", "%u", q->q.index);
}

static bool write_fails(XenStore *s, XenTx tx, const char *dir, const XenQueue *q)
{
    errno = ENOSPC;
    return q->q.index == 0;
}

/* One queue's are in the directory itself, others in one for each. */
static void test_directories(void)
{
    FrontTest t;

    up(&t, 1);
    g_assert_true(xenbus_front_write_queues(&t.front, 0, &t.queues, write_index));
    g_assert_true(toy_is(&t.f, TOY_FE, "index", "0"));
    g_assert_true(toy_is(&t.f, TOY_FE "/queue-0", "index", NULL));
    toy_down(&t.f);

    up(&t, 3);
    g_assert_true(xenbus_front_write_queues(&t.front, 0, &t.queues, write_index));
    g_assert_true(toy_is(&t.f, TOY_FE, "index", NULL));
    g_assert_true(toy_is(&t.f, TOY_FE "/queue-0", "index", "0"));
    g_assert_true(toy_is(&t.f, TOY_FE "/queue-2", "index", "2"));
    g_assert_false(xenbus_front_write_queues(&t.front, 0, &t.queues, write_fails));
    g_assert_cmpint(errno, ==, ENOSPC);
    toy_down(&t.f);
}

/* What is a queue's goes, whoever wrote it; all else stays. */
static void test_clear(void)
{
    static const char *const keys[] = { "ring-ref", "port", NULL };
    FrontTest t;

    up(&t, 0);
    toy_put(&t.f, TOY_FE, "multi-queue-num-queues", "9");
    toy_put(&t.f, TOY_FE, "ring-ref", "12");
    toy_put(&t.f, TOY_FE, "queue-0/ring-ref", "13");
    toy_put(&t.f, TOY_FE, "queue-8/ring-ref", "14");
    toy_put(&t.f, TOY_FE, "state", "1");
    toy_put(&t.f, TOY_FE, "colour", "red");
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(xenbus_front_clear_queues(&t.front, 0, keys));
        g_assert_true(toy_is(&t.f, TOY_FE, "multi-queue-num-queues", NULL));
        g_assert_true(toy_is(&t.f, TOY_FE, "ring-ref", NULL));
        g_assert_true(toy_is(&t.f, TOY_FE, "queue-0", NULL));
        g_assert_true(toy_is(&t.f, TOY_FE, "queue-8", NULL));
        g_assert_true(toy_is(&t.f, TOY_FE, "state", "1"));
        g_assert_true(toy_is(&t.f, TOY_FE, "colour", "red"));
    }
    g_assert_true(xen_store_remove(t.f.dom0, 0, TOY_FE));
    g_assert_false(xenbus_front_clear_queues(&t.front, 0, keys)); /* there is no device */
    toy_down(&t.f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/xenbus-front-keys/directories", test_directories);
    g_test_add_func("/hw/xen/xenbus-front-keys/clear", test_clear);
    return g_test_run();
}
