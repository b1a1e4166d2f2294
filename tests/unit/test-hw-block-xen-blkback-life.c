/*
 * A vbd's connections: how they begin and end while its disk has requests, what a pause leaves,
 * and what its frontend hears of a new size.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vbd-raw.h"

static void setup(VbdRaw *r, gconstpointer data)
{
    vbd_raw_init(r);
    r->held = true;
}

static void teardown(VbdRaw *r, gconstpointer data)
{
    vbd_raw_down(r);
}

/* What is on its way arrives. */
static void settle(void)
{
    for (unsigned i = 0; i < 20; i++) {
        while (g_main_context_iteration(NULL, false)) {
        }
        g_usleep(2000);
    }
}

/* @n writes on each queue, which the disk has got. */
static void put_writes(VbdRaw *r, unsigned n)
{
    for (unsigned q = 0; q < r->n_queues; q++) {
        for (unsigned i = 0; i < n; i++) {
            XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_WRITE, 1024 + 8 * i, 1, i);

            vbd_raw_put(r, q, &req);
        }
        vbd_raw_push(r, q);
    }
    VBD_WAIT(held_disk_submitted(&r->disk, BLOCK_WRITE) >= n * r->n_queues);
}

/* The same, and it keeps them. */
static void get_busy(VbdRaw *r, unsigned n)
{
    held_disk_hold(&r->disk, true);
    put_writes(r, n);
    VBD_WAIT(held_disk_held(&r->disk) == n * r->n_queues);
}

static void expect_works(VbdRaw *r)
{
    for (unsigned q = 0; q < r->n_queues; q++) {
        XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 8 * q, 1, 30);

        g_assert_cmpint(vbd_raw_do(r, q, &req), ==, BLKIF_RSP_OKAY);
        g_assert_cmpuint(vbd_raw_page(r, 30)[5], ==, block_rig_byte(8 * q * 512 + 5));
    }
}

/* --- connections --- */

/* Firmware, then a kernel: other rings, another ABI, other features, each time. */
static void test_reconnect(VbdRaw *r, gconstpointer data)
{
    static const struct {
        unsigned n_queues;
        int order;
        bool persistent;
        const char *protocol;
    } fronts[] = {
        { 1, -1, false, NULL },
        { 4, 2, true, XEN_IO_PROTO_ABI_X86_64 },
        { 2, 4, false, XEN_IO_PROTO_ABI_X86_32 },
        { 1, 0, true, XEN_IO_PROTO_ABI_ARM },
        { 1, -1, true, XEN_IO_PROTO_ABI_X86_64 },
    };

    vbd_raw_back(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(fronts); i++) {
        r->n_queues = fronts[i].n_queues;
        r->order = fronts[i].order;
        r->persistent = fronts[i].persistent;
        r->protocol = fronts[i].protocol;
        VBD_WAIT(vbd_raw_back_is(r, 2));
        vbd_raw_front(r);
        vbd_raw_connect(r);
        expect_works(r);
        vbd_raw_close(r);
        g_assert_cmpuint(r->disconnected, ==, i + 1);
        vbd_raw_state(r, 1);
    }
    VBD_WAIT(vbd_raw_back_is(r, 2));
    g_assert_cmpuint(r->errors, ==, 0);
}

/*
 * The frontend is done with it while the disk is not: nobody's page is let go before, the next
 * state is not said before, and then the rest is answered.
 */
static void test_park_and_drain(VbdRaw *r, gconstpointer data)
{
    static const int goodbye[] = { 5, 6, 1 };

    vbd_raw_back(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(goodbye); i++) {
        r->n_queues = 2;
        r->persistent = i != 1;
        vbd_raw_front(r);
        vbd_raw_connect(r);
        get_busy(r, 5);
        vbd_raw_state(r, goodbye[i]);
        settle();
        g_assert_true(vbd_raw_back_is(r, 4));
        g_assert_cmpuint(vbd_raw_mapped(r), >, 0);
        held_disk_end(&r->disk, 9, false);
        settle();
        g_assert_true(vbd_raw_back_is(r, 4));
        held_disk_hold(&r->disk, false);
        VBD_WAIT(!vbd_raw_back_is(r, 4));
        for (unsigned q = 0; q < r->n_queues; q++) {
            g_assert_cmpint(xen_ring_responses(&r->queue[q].ring), ==, 5);
        }
        VBD_WAIT(r->disconnected == i + 1);
        g_assert_cmpuint(vbd_raw_mapped(r), ==, 0);
        vbd_raw_state(r, 6);
        vbd_raw_front_free(r);
        vbd_raw_state(r, 1);
        VBD_WAIT(vbd_raw_back_is(r, 2));
    }
}

/* What the frontend asks for meanwhile counts afterwards. */
static void test_connected_again_while_it_drains(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    get_busy(r, 3);
    vbd_raw_state(r, 6);
    settle();
    vbd_raw_state(r, 1);
    settle();
    held_disk_hold(&r->disk, false);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    vbd_raw_front_free(r);
    vbd_raw_front(r);
    vbd_raw_connect(r);
    expect_works(r);
}

/* What is on the ring and was not taken, is left there. */
static void test_requests_that_were_not_taken(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req;

    vbd_raw_up(r);
    get_busy(r, 3);
    vbd_raw_state(r, 5);
    settle();
    req = vbd_raw_rw(r, BLKIF_OP_WRITE, 0, 1, 0);
    vbd_raw_put(r, 0, &req);
    vbd_raw_push(r, 0);
    settle();
    held_disk_hold(&r->disk, false);
    VBD_WAIT(vbd_raw_back_is(r, 5));
    g_assert_cmpint(xen_ring_responses(&r->queue[0].ring), ==, 3);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_WRITE), ==, 3);
}

/* --- removal --- */

#define DELAY_MS 400u /* of the disk's: longer than what a test does meanwhile */

/* At once: the disk still has our memory, and the guest's, and is waited for. */
static void free_busy(VbdRaw *r)
{
    vbd_raw_back_free(r);
    g_assert_cmpuint(held_disk_held(&r->disk), ==, 0);
    g_assert_cmpuint(vbd_raw_mapped(r), ==, 0);
    vbd_raw_front_free(r);
}

static void free_under_load(VbdRaw *r, bool persistent)
{
    r->persistent = persistent;
    r->n_queues = 3;
    vbd_raw_up(r);
    held_disk_delay(&r->disk, DELAY_MS);
    put_writes(r, 8);
    free_busy(r);
}

static void test_free_under_load(VbdRaw *r, gconstpointer data)
{
    free_under_load(r, true);
}

static void test_free_under_load_copied(VbdRaw *r, gconstpointer data)
{
    free_under_load(r, false);
}

/* The same while it waits for the drain already, and a barrier waits for the others. */
static void test_free_while_it_drains(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest barrier;

    vbd_raw_up(r);
    held_disk_delay(&r->disk, DELAY_MS);
    put_writes(r, 4);
    barrier = vbd_raw_rw(r, BLKIF_OP_WRITE_BARRIER, 0, 1, 9);
    vbd_raw_put(r, 0, &barrier);
    vbd_raw_push(r, 0);
    vbd_raw_state(r, 6);
    settle();
    free_busy(r);
}

/* In the proper way requests go on until the frontend has let go. */
static void test_close_under_load(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    get_busy(r, 4);
    xen_blkback_close(r->d, 60000);
    VBD_WAIT(vbd_raw_back_is(r, 5));
    held_disk_hold(&r->disk, false);
    vbd_raw_wait(r, 0, 4);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(vbd_raw_get(r, 0).status, ==, BLKIF_RSP_OKAY);
    }
    expect_works(r);
    vbd_raw_state(r, 5);
    vbd_raw_state(r, 6);
    VBD_WAIT(r->closed);
    vbd_raw_front_free(r);
    vbd_raw_back_free(r);
    g_assert_true(vbd_is(&r->v, r->v.be, "frontend", NULL));
}

/* The guest dies with requests under way. */
static void test_guest_dies_under_load(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    get_busy(r, 4);
    xen_store_close(g_steal_pointer(&r->v.guest_store));
    r->ops->evtchn_close(g_steal_pointer(&r->evtchn));
    r->ops->share_close(g_steal_pointer(&r->share));
    xen_close(g_steal_pointer(&r->v.guest));
    settle();
    g_assert_false(r->gone);
    held_disk_hold(&r->disk, false);
    VBD_WAIT(r->gone);
    vbd_raw_back_free(r);
}

/* --- pause --- */

/* Requests stay on the ring; those that the disk has are waited for, and answered. */
static void test_pause(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req;

    r->n_queues = 2;
    vbd_raw_up(r);
    get_busy(r, 3);
    xen_blkback_pause(r->d);
    settle();
    g_assert_cmpuint(r->drained, ==, 0);
    req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 0);
    vbd_raw_put(r, 1, &req);
    vbd_raw_push(r, 1);
    held_disk_hold(&r->disk, false);
    VBD_WAIT(r->drained == 1);
    vbd_raw_wait(r, 0, 3);
    vbd_raw_wait(r, 1, 3);
    settle();
    g_assert_cmpint(xen_ring_responses(&r->queue[1].ring), ==, 3);
    g_assert_cmpuint(held_disk_submitted(&r->disk, BLOCK_READ), ==, 0);
    xen_blkback_resume(r->d);
    vbd_raw_wait(r, 1, 4);
    g_assert_cmpuint(r->drained, ==, 1);
}

/* Nobody is connected: there is nothing to wait for; and who comes then, is served later. */
static void test_pause_before_connection(VbdRaw *r, gconstpointer data)
{
    XenBlkifRequest req;

    vbd_raw_back(r);
    xen_blkback_pause(r->d);
    g_assert_cmpuint(r->drained, ==, 1);
    vbd_raw_front(r);
    vbd_raw_connect(r);
    req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 0);
    vbd_raw_put(r, 0, &req);
    vbd_raw_push(r, 0);
    settle();
    g_assert_cmpint(xen_ring_responses(&r->queue[0].ring), ==, 0);
    xen_blkback_resume(r->d);
    vbd_raw_wait(r, 0, 1);
    g_assert_cmpuint(r->drained, ==, 1);
}

/* A frontend that goes while all stands still does not wait for the resume. */
static void test_close_while_paused(VbdRaw *r, gconstpointer data)
{
    r->n_queues = 2;
    vbd_raw_up(r);
    xen_blkback_pause(r->d);
    VBD_WAIT(r->drained == 1);
    vbd_raw_close(r);
    xen_blkback_resume(r->d);
    vbd_raw_state(r, 1);
    VBD_WAIT(vbd_raw_back_is(r, 2));
    vbd_raw_front(r);
    vbd_raw_connect(r);
    expect_works(r);
}

/* Resumed while its end waits for the disk: it still comes to it. */
static void test_resume_while_it_drains(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    get_busy(r, 3);
    xen_blkback_pause(r->d);
    vbd_raw_state(r, 6);
    settle();
    xen_blkback_resume(r->d);
    settle();
    held_disk_hold(&r->disk, false);
    VBD_WAIT(vbd_raw_back_is(r, 6));
    g_assert_cmpint(xen_ring_responses(&r->queue[0].ring), ==, 3);
}

/*
 * Paused, and its thread has drained; resumed before the main loop has heard of that, and a request
 * comes, which the disk keeps.
 */
static void get_busy_after_stale_drain(VbdRaw *r)
{
    XenBlkifRequest req = vbd_raw_rw(r, BLKIF_OP_READ, 0, 1, 0);

    xen_blkback_pause(r->d);
    g_usleep(5000);
    xen_blkback_resume(r->d);
    vbd_raw_put(r, 0, &req);
    vbd_raw_push(r, 0);
    for (unsigned i = 0; i < 5000 && held_disk_held(&r->disk) == 0; i++) {
        g_usleep(1000); /* without a main loop */
    }
    g_assert_cmpuint(held_disk_held(&r->disk), ==, 1);
}

/* Stop, cont, stop at once: what is told of the first is not true of the second. */
static void test_pause_again_at_once(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    for (unsigned i = 0; i < 3; i++) {
        held_disk_hold(&r->disk, true);
        get_busy_after_stale_drain(r);
        xen_blkback_pause(r->d);
        settle();
        g_assert_cmpuint(r->drained, ==, i);
        held_disk_hold(&r->disk, false);
        VBD_WAIT(r->drained == i + 1);
        xen_blkback_resume(r->d);
        g_assert_cmpint(vbd_raw_get(r, 0).status, ==, BLKIF_RSP_OKAY);
    }
}

static void test_free_after_pause_and_resume(VbdRaw *r, gconstpointer data)
{
    vbd_raw_up(r);
    held_disk_delay(&r->disk, DELAY_MS);
    get_busy_after_stale_drain(r);
    free_busy(r);
}

/* --- size --- */

static bool sectors_are(VbdRaw *r, uint64_t bytes)
{
    g_autofree char *want = g_strdup_printf("%" G_GUINT64_FORMAT, bytes / 512);

    return vbd_is(&r->v, r->v.be, "sectors", want);
}

static void see_size(void *opaque)
{
    VbdRaw *r = ((void **)opaque)[0];
    GString *seen = ((void **)opaque)[1];
    g_autofree char *state = g_strdup_printf("%s/state", r->v.be);
    g_autofree char *sectors = g_strdup_printf("%s/sectors", r->v.be);
    g_autofree char *a = xen_store_read(r->v.guest_store, 0, state);
    g_autofree char *b = xen_store_read(r->v.guest_store, 0, sectors);

    g_string_append_printf(seen, " %s:%s", a, b);
}

/* The frontend looks again at each Connected: the size is there when it does. */
static void test_resize(VbdRaw *r, gconstpointer data)
{
    g_autoptr(GString) seen = g_string_new(NULL);
    g_autofree char *path = g_strdup_printf("%s/state", r->v.be);
    g_autoptr(GError) error = NULL;
    void *opaque[] = { r, seen };
    XenBlkifRequest last;
    XenWatch *w;

    vbd_raw_up(r);
    get_busy(r, 3); /* those go on */
    w = xen_store_watch(r->v.guest_store, path, see_size, opaque, &error);
    g_assert_no_error(error);
    VBD_WAIT(seen->len > 0);
    g_string_truncate(seen, 0);
    last = vbd_raw_rw(r, BLKIF_OP_READ, VBD_RAW_BYTES / 512, 1, 0);
    g_assert_cmpint(vbd_raw_do(r, 0, &last), ==, BLKIF_RSP_ERROR);
    g_assert_true(block_node_resize(r->rig.node, 2 * VBD_RAW_BYTES, &error));
    VBD_WAIT(sectors_are(r, 2 * VBD_RAW_BYTES));
    VBD_WAIT(seen->len > 0);
    g_assert_cmpstr(seen->str, ==, " 4:131072");
    g_assert_cmpuint(r->connected, ==, 1);
    held_disk_hold(&r->disk, false);
    vbd_raw_wait(r, 0, 3);
    for (unsigned i = 0; i < 3; i++) {
        vbd_raw_get(r, 0);
    }
    g_assert_cmpint(vbd_raw_do(r, 0, &last), ==, BLKIF_RSP_OKAY);
    g_assert_true(block_node_resize(r->rig.node, VBD_RAW_BYTES, &error));
    g_assert_cmpint(vbd_raw_do(r, 0, &last), ==, BLKIF_RSP_ERROR);
    VBD_WAIT(sectors_are(r, VBD_RAW_BYTES));
    xen_store_unwatch(w);
}

/* Nobody is connected: the next one finds the new size. */
static void test_resize_without_connection(VbdRaw *r, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    vbd_raw_back(r);
    g_assert_true(block_node_resize(r->rig.node, 4096, &error));
    settle();
    g_assert_true(vbd_is(&r->v, r->v.be, "sectors", NULL));
    g_assert_true(vbd_raw_back_is(r, 2));
    vbd_raw_front(r);
    vbd_raw_connect(r);
    g_assert_true(sectors_are(r, 4096));
}

typedef struct Test {
    const char *name;
    void (*run)(VbdRaw *r, gconstpointer data);
} Test;

static const Test tests[] = {
    { "reconnect", test_reconnect },
    { "park-and-drain", test_park_and_drain },
    { "connected-again-while-it-drains", test_connected_again_while_it_drains },
    { "requests-that-were-not-taken", test_requests_that_were_not_taken },
    { "free-under-load", test_free_under_load },
    { "free-under-load-copied", test_free_under_load_copied },
    { "free-while-it-drains", test_free_while_it_drains },
    { "close-under-load", test_close_under_load },
    { "guest-dies-under-load", test_guest_dies_under_load },
    { "pause", test_pause },
    { "pause-before-connection", test_pause_before_connection },
    { "close-while-paused", test_close_while_paused },
    { "resume-while-it-drains", test_resume_while_it_drains },
    { "pause-again-at-once", test_pause_again_at_once },
    { "free-after-pause-and-resume", test_free_after_pause_and_resume },
    { "resize", test_resize },
    { "resize-without-connection", test_resize_without_connection },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/xen-blkback/life/%s", tests[i].name);

        g_test_add(path, VbdRaw, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
