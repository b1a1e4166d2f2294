/*
 * The queues of a backend come and go in steps: a made-up kind of device on an emulated Xen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "toy-disk.h"

static void up(ToyDisk *d, unsigned n_queues)
{
    toy_disk_up(d, n_queues, 1, 0, TOY_DISK_ENTRY);
}

/* A step for the keys and the first queue, and one for each other; the same on the way back. */
static void test_comes_and_goes(void)
{
    ToyDisk d;

    up(&d, 3);
    for (unsigned i = 0; i < 2; i++) {
        toy_disk_connect(&d, 4);
        toy_disk_expect_log(&d, "prepare queue queue queue all CONNECTED");
        g_assert_cmpuint(d.queues.run.n, ==, 3);
        g_assert_null(d.queues.keys);
        toy_front(&d.f, 6);
        TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "6"));
        toy_disk_expect_log(&d, "less less none DISCONNECTED");
        g_assert_cmpuint(d.made, ==, 0);
        toy_front(&d.f, 1);
        TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "2"));
    }
    toy_disk_down(&d);
}

/* Freed in the middle of it: toy_disk_down() finds nothing left. */
static void test_freed_while_it_comes(void)
{
    ToyDisk d;

    for (unsigned n = 0; n <= 3; n++) {
        up(&d, 3);
        toy_front(&d.f, 4);
        TOY_WAIT(d.queues.run.n >= n);
        toy_disk_down(&d);
    }
}

static void expect_refused(ToyDisk *d, const char *reason)
{
    toy_front(&d->f, 4);
    TOY_WAIT(toy_is(&d->f, TOY_BE, "state", "5"));
    g_assert_true(g_str_has_prefix(d->bus.error, reason));
    g_assert_cmpuint(d->made, ==, 0);
    g_assert_null(d->queues.keys);
    toy_front(&d->f, 6);
    TOY_WAIT(toy_is(&d->f, TOY_BE, "state", "6"));
    toy_front(&d->f, 1);
    TOY_WAIT(toy_is(&d->f, TOY_BE, "state", "2"));
}

/* Each step may fail; what was made before is unmade, and a corrected frontend connects. */
static void test_refused(void)
{
    g_autofree char *ref = NULL;
    ToyDisk d;

    up(&d, 3);
    g_assert_true(xen_store_remove(d.f.domu, 0, TOY_FE "/queue-1/event-channel"));
    expect_refused(&d, TOY_FE "/queue-1/event-channel is missing");
    toy_disk_expect_log(&d, "none ERROR");
    g_assert_true(xen_store_printf(d.f.domu, 0, TOY_FE, "queue-1/event-channel", "%d",
                                   d.front[1].port));
    d.refuse_prepare = true;
    expect_refused(&d, "there is no disk in it");
    toy_disk_expect_log(&d, "prepare none ERROR");
    d.refuse_prepare = false;
    ref = xen_store_read(d.f.domu, 0, TOY_FE "/queue-2/ring-ref");
    toy_put(&d.f, TOY_FE, "queue-2/ring-ref", "30000");
    expect_refused(&d, "queue 2: cannot map ring-ref 30000");
    toy_disk_expect_log(&d, "prepare queue queue queue less none ERROR");
    toy_put(&d.f, TOY_FE, "queue-2/ring-ref", ref);
    toy_disk_connect(&d, 4);
    toy_disk_requests(&d, 2, 5);
    toy_disk_down(&d);
}

/* What is done to all queues. */
static void test_all_queues(void)
{
    int tids[3] = { 0 };
    unsigned polls;
    ToyDisk d;

    up(&d, 3);
    g_assert_null(xen_queues_take(&d.queues.run));
    toy_disk_connect(&d, 4);
    g_assert_null(xen_queues_fault(&d.queues.run));
    xen_queues_tids(&d.queues.run, tids);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(tids[i], >, 0);
        g_assert_cmpint(tids[i], !=, tids[(i + 1) % 3]);
        toy_disk_requests(&d, i, 1 + i);
    }
    xen_queues_set_paused(&d.queues.run, true);
    polls = toy_disk_polls(&d, 0) + toy_disk_polls(&d, 2);
    toy_disk_notify(&d, 0);
    toy_disk_notify(&d, 2);
    toy_settle();
    g_assert_cmpuint(toy_disk_polls(&d, 0) + toy_disk_polls(&d, 2), ==, polls);
    xen_queues_set_paused(&d.queues.run, false);
    for (unsigned i = 0; i < 3; i++) {
        toy_disk_requests(&d, i, 4);
    }
    toy_disk_down(&d);
}

/* A queue that waits before it stops is asked again, and stays one until then. */
static void test_waits(void)
{
    ToyDisk d;

    up(&d, 3);
    toy_disk_connect(&d, 4);
    toy_disk_expect_log(&d, "prepare queue queue queue all CONNECTED");
    d.busy = true;
    toy_front(&d.f, 6);
    TOY_WAIT(d.log->len > 0);
    toy_settle();
    toy_disk_expect_log(&d, "busy wait");
    g_assert_cmpuint(d.queues.run.n, ==, 3);
    g_assert_true(toy_is(&d.f, TOY_BE, "state", "4"));
    d.busy = false;
    xenbus_back_go_on(&d.bus);
    TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "6"));
    toy_disk_expect_log(&d, "less less none DISCONNECTED");
    toy_disk_down(&d);
}

/* The first queue that stopped is named, to people who count from 0. */
static void test_fault(void)
{
    ToyDisk d;

    up(&d, 3);
    toy_disk_connect(&d, 4);
    d.front[1].ring.page->req_prod = 33;
    toy_disk_notify(&d, 1);
    TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "5"));
    g_assert_cmpstr(d.bus.error, ==, "queue 1: the ring's req_prod is impossible");
    toy_disk_expect_log(&d, "prepare queue queue queue all CONNECTED "
                            "less less none DISCONNECTED ERROR");
    toy_disk_down(&d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/back-queues/comes-and-goes", test_comes_and_goes);
    g_test_add_func("/hw/xen/back-queues/freed-while-it-comes", test_freed_while_it_comes);
    g_test_add_func("/hw/xen/back-queues/refused", test_refused);
    g_test_add_func("/hw/xen/back-queues/all-queues", test_all_queues);
    g_test_add_func("/hw/xen/back-queues/waits", test_waits);
    g_test_add_func("/hw/xen/back-queues/fault", test_fault);
    return g_test_run();
}
