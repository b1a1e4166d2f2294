/*
 * What some kinds of backends do in other ways than a vif's: those of disks (blkif.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "toy-back.h"

#include <errno.h>

/* --- connection at the frontend's Initialised --- */

static void initialised_up(ToyTest *f)
{
    toy_up(f);
    f->ops.at_initialised = true;
}

static void initialised_connected(ToyTest *f)
{
    initialised_up(f);
    toy_back_start(f);
    g_assert_true(toy_is(f, TOY_BE, "state", "2"));
    toy_front(f, 3);
    TOY_WAIT(toy_is(f, TOY_BE, "state", "4"));
    toy_expect_log(f, "connect CONNECTED");
}

/* The frontend's Connected is its answer, and changes nothing. */
static void test_initialised(void)
{
    ToyTest f;

    initialised_connected(&f);
    toy_front(&f, 4);
    toy_settle();
    toy_front(&f, 4);
    toy_settle();
    toy_expect_log(&f, "");
    g_assert_true(toy_is(&f, TOY_BE, "state", "4"));
    toy_down(&f);
}

/* Its keys were there before the backend looked, and so was its state: 3, or 4 at once. */
static void test_initialised_front_first(void)
{
    for (int state = 3; state <= 4; state++) {
        ToyTest f;

        initialised_up(&f);
        toy_back_new(&f);
        toy_front(&f, state);
        xenbus_back_start(&f.toy.bus);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
        toy_expect_log(&f, "connect CONNECTED");
        toy_down(&f);
    }
}

static void test_initialised_waits_for_hotplug(void)
{
    ToyTest f;

    initialised_up(&f);
    toy_toolstack_add(&f);
    toy_back_start(&f);
    toy_front(&f, 3);
    toy_settle();
    g_assert_true(toy_is(&f, TOY_BE, "state", "2"));
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_down(&f);
}

/* Firmware closes its disk, or does not; a kernel begins anew, and so does its successor. */
static void test_initialised_reconnect(void)
{
    static const int goodbye[][3] = { { 5, 6, 1 }, { 6, 1, 0 }, { 5, 1, 0 }, { 1, 0, 0 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(goodbye); i++) {
        ToyTest f;

        initialised_connected(&f);
        toy_front(&f, 4);
        toy_settle_once();
        for (unsigned k = 0; k < 3 && goodbye[i][k] > 0; k++) {
            static const char *const answer[] = { [1] = "2", [5] = "5", [6] = "6" };

            toy_front(&f, goodbye[i][k]);
            TOY_WAIT(toy_is(&f, TOY_BE, "state", answer[goodbye[i][k]]));
        }
        toy_expect_log(&f, "disconnect DISCONNECTED");
        toy_front(&f, 3);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
        toy_expect_log(&f, "connect CONNECTED");
        toy_down(&f);
    }
}

/* Initialised written anew, without a word before it: as Connected of the kinds that say that. */
static void test_initialised_while_closed(void)
{
    ToyTest f;

    initialised_connected(&f);
    toy_front(&f, 6);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    toy_expect_log(&f, "disconnect DISCONNECTED");
    toy_front(&f, 3);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_expect_log(&f, "connect CONNECTED");
    toy_down(&f);
}

/* The connection ends before the frontend has answered: its answer does not begin another one. */
static void test_answer_after_the_end(void)
{
    ToyTest f;

    initialised_connected(&f);
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    toy_expect_log(&f, "disconnect DISCONNECTED ERROR");
    toy_front(&f, 4);
    toy_settle();
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "");
    toy_front(&f, 3);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_down(&f);
}

/* What is no state at all asks for nothing. */
static void test_initialised_and_nonsense(void)
{
    static const char *const nonsense[] = { "0", "9", "x", "" };
    ToyTest f;

    initialised_up(&f);
    toy_back_start(&f);
    for (unsigned i = 0; i < G_N_ELEMENTS(nonsense); i++) {
        toy_put(&f, TOY_FE, "state", nonsense[i]);
        toy_settle_once();
    }
    toy_settle();
    g_assert_true(toy_is(&f, TOY_BE, "state", "2"));
    toy_expect_log(&f, "");
    toy_down(&f);
}

/* A backend that died between the two: the next one goes on. */
static void test_initialised_goes_on(void)
{
    ToyTest f;

    initialised_up(&f);
    g_assert_true(xen_store_mkdir(f.dom0, 0, TOY_BE, 0, 1));
    toy_put(&f, TOY_BE, "frontend", TOY_FE);
    toy_put(&f, TOY_BE, "state", "4");
    g_assert_true(xen_store_mkdir(f.dom0, 0, TOY_FE, 1, 0));
    toy_put(&f, TOY_FE, "backend", TOY_BE);
    toy_put(&f, TOY_FE, "state", "3");
    toy_back_start(&f);
    TOY_WAIT(f.toy.bus.connected);
    g_assert_true(f.toy.bus.resumed);
    g_assert_cmpstr(f.states->str, ==, "4"); /* and no other one */
    toy_down(&f);
}

/* --- what is said with Connected --- */

static unsigned size = 100;      /* of the toy, which is a disk here */
static unsigned failures;        /* so many writes of it fail */

static bool publish_size(XenbusBack *b, XenTx tx)
{
    if (failures > 0) {
        failures--;
        errno = EIO;
        return false;
    }
    return xen_store_printf(b->store, tx, b->be, "size", "%u", size);
}

/* As the frontend sees it: each time that the state changes, with the size that is there then. */
static void see_size(void *opaque)
{
    ToyTest *f = opaque;
    g_autofree char *state = xen_store_read(f->domu, 0, TOY_BE "/state");
    g_autofree char *now = xen_store_read(f->domu, 0, TOY_BE "/size");

    g_string_append_printf(f->states, " %s:%s", state, now ? now : "-");
}

static void size_up(ToyTest *f)
{
    g_autoptr(GError) error = NULL;

    size = 100;
    toy_up(f);
    f->ops.publish_connected = publish_size;
    toy_back_start(f);
    g_assert_true(toy_is(f, TOY_BE, "size", NULL)); /* not before */
    xen_store_unwatch(f->watch_be);
    f->watch_be = xen_store_watch(f->domu, TOY_BE "/state", see_size, f, &error);
    g_assert_no_error(error);
    TOY_WAIT(g_str_has_suffix(f->states->str, "2:-"));
    g_string_truncate(f->states, 0);
}

/* It is there when Connected is, and a new one comes with another Connected. */
static void test_size(void)
{
    ToyTest f;

    size_up(&f);
    toy_front(&f, 4);
    TOY_WAIT(f.states->len > 0);
    g_assert_cmpstr(f.states->str, ==, " 4:100");
    size = 200;
    xenbus_back_republish(&f.toy.bus);
    TOY_WAIT(g_str_has_suffix(f.states->str, "200"));
    g_assert_cmpstr(f.states->str, ==, " 4:100 4:200");
    toy_expect_log(&f, "connect CONNECTED"); /* the connection goes on */
    toy_down(&f);
}

/* Nothing is said before, and after a connection: the next one says it. */
static void test_size_without_connection(void)
{
    ToyTest f;

    size_up(&f);
    size = 150;
    xenbus_back_republish(&f.toy.bus);
    g_assert_true(toy_is(&f, TOY_BE, "size", NULL));
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "size", "150"));
    toy_front(&f, 5);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    size = 300;
    xenbus_back_republish(&f.toy.bus);
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    g_assert_true(toy_is(&f, TOY_BE, "size", "150"));
    toy_front(&f, 6);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    toy_front(&f, 1);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "size", "300"));
    toy_down(&f);
}

/* Asked to close it still serves its frontend: Closing is not taken back. */
static void test_size_while_it_closes(void)
{
    ToyTest f;

    size_up(&f);
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    xenbus_back_close(&f.toy.bus, 60000);
    xenbus_back_republish(&f.toy.bus);
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    g_assert_true(f.toy.bus.connected);
    toy_down(&f);
}

/* Neither of both is written without the other, and both are tried again. */
static void test_size_not_written(void)
{
    ToyTest f;

    size_up(&f);
    failures = 1;
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    g_assert_true(toy_is(&f, TOY_BE, "state", "2"));
    g_assert_true(toy_is(&f, TOY_BE, "size", NULL));
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    g_assert_true(toy_is(&f, TOY_BE, "size", "100"));
    toy_expect_log(&f, "connect ERROR CONNECTED");
    toy_down(&f);
}

/* --- what is under way is waited for --- */

static void waiting(ToyTest *f, int state)
{
    toy_connected(f);
    f->toy.busy = true;
    toy_front(f, state);
    TOY_WAIT(f->toy.bus.waiting);
    toy_settle(); /* it takes no turns */
    toy_expect_log(f, "wait");
    g_assert_true(toy_is(f, TOY_BE, "state", "4")); /* the guest's pages are in use */
    g_assert_false(f->toy.bus.connected);
}

static void go_on(ToyTest *f)
{
    f->toy.busy = false;
    xenbus_back_go_on(&f->toy.bus);
    xenbus_back_go_on(&f->toy.bus); /* fine at any time */
}

/* What the frontend says meanwhile is followed afterwards: the next connection, too. */
static void test_wait(void)
{
    static const struct {
        int first;
        int then;
        const char *back;
    } cases[] = { { 5, 5, "5" }, { 6, 6, "6" }, { 1, 1, "2" }, { 5, 6, "6" }, { 6, 1, "2" },
                  { 6, 4, "4" } };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        ToyTest f;

        waiting(&f, cases[i].first);
        toy_front(&f, cases[i].then);
        toy_settle();
        toy_expect_log(&f, "");
        go_on(&f);
        TOY_WAIT(g_str_has_prefix(f.toy.log->str, "disconnect DISCONNECTED"));
        TOY_WAIT(toy_is(&f, TOY_BE, "state", cases[i].back) &&
                 f.toy.bus.connected == (cases[i].then == 4));
        toy_down(&f);
    }
}

/* Asked again, it may wait again. */
static void test_wait_again(void)
{
    ToyTest f;

    waiting(&f, 5);
    xenbus_back_go_on(&f.toy.bus);
    TOY_WAIT(f.toy.log->len > 0);
    toy_expect_log(&f, "wait");
    toy_settle();
    toy_expect_log(&f, "");
    go_on(&f);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "disconnect DISCONNECTED");
    xenbus_back_go_on(&f.toy.bus);
    toy_settle();
    toy_expect_log(&f, "");
    toy_down(&f);
}

/* The reason is told once nothing is in use any more. */
static void test_wait_after_a_fault(void)
{
    ToyTest f;

    toy_connected(&f);
    f.toy.busy = true;
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    toy_settle();
    toy_expect_log(&f, "wait");
    go_on(&f);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "disconnect DISCONNECTED ERROR");
    toy_down(&f);
}

/* The same where it waits in the middle of its steps. */
static void test_wait_in_the_middle(void)
{
    ToyTest f;

    toy_up(&f);
    f.toy.n_parts = 3;
    toy_back_start(&f);
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    toy_expect_log(&f, "connect connect connect CONNECTED");
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    f.toy.busy = true;
    toy_settle();
    toy_expect_log(&f, "disconnect wait");
    g_assert_true(toy_is(&f, TOY_BE, "state", "4"));
    go_on(&f);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "disconnect disconnect DISCONNECTED ERROR");
    toy_down(&f);
}

/* However the end comes: not before what is under way is over. */
static void test_wait_at_the_end(void)
{
    ToyTest f;

    waiting(&f, 6);
    xenbus_back_close(&f.toy.bus, 0);
    toy_settle();
    toy_expect_log(&f, "");
    go_on(&f);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    toy_expect_log(&f, "disconnect DISCONNECTED CLOSED");
    toy_down(&f);

    waiting(&f, 6);
    toy_guest_dies(&f);
    toy_settle();
    toy_expect_log(&f, "");
    go_on(&f);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "GONE"));
    toy_expect_log(&f, "disconnect DISCONNECTED GONE");
    toy_down(&f);

    waiting(&f, 6);
    xenbus_back_done(&f.toy.bus); /* at once: the device itself waits */
    g_assert_cmpuint(f.toy.parts, ==, 0);
    toy_down(&f);
}

/* --- nodes --- */

#define OTHER_BE "/local/domain/0/backend/qtoy/1/5"

/* Of backend/qtoy and device/toy, as a disk's of backend/qdisk and device/vbd. */
static void test_front_kind(void)
{
    g_autoptr(GError) error = NULL;
    Toy other = { .log = g_string_new(NULL) };
    ToyTest f;

    toy_up(&f);
    f.ops.kind = "qtoy";
    f.ops.front_kind = "toy";
    toy_back_start(&f);
    g_assert_cmpstr(f.toy.bus.be, ==, OTHER_BE);
    g_assert_cmpstr(f.toy.bus.fe, ==, TOY_FE);
    g_assert_true(toy_is(&f, OTHER_BE, "frontend", TOY_FE));
    g_assert_true(toy_is(&f, TOY_FE, "backend", OTHER_BE));
    /* to the guest it is one device, which has a backend */
    g_assert_false(xenbus_back_init(&other.bus, &toy_ops, f.host, f.dom0, 1, 5, &error));
    g_assert_cmpstr(error->message, ==, "toy 5 of domain 1 has a backend already");
    xenbus_back_done(&other.bus);
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    xenbus_back_fail(&f.toy.bus, "it has holes");
    g_assert_true(toy_is(&f, "/local/domain/0/error/backend/qtoy/1/5", "error", "it has holes"));
    g_string_free(other.log, true);
    toy_down(&f);
}

/* One that a backend of this kind left behind is found by its frontend's directory. */
static void test_front_kind_left_behind(void)
{
    g_autoptr(GError) error = NULL;
    ToyTest f;

    toy_up(&f);
    f.ops.kind = "qtoy";
    f.ops.front_kind = "toy";
    g_assert_true(xen_store_mkdir(f.dom0, 0, OTHER_BE, 0, 1));
    toy_put(&f, OTHER_BE, "frontend", TOY_FE);
    g_assert_true(xen_store_mkdir(f.dom0, 0, TOY_FE, 1, 0));
    toy_put(&f, TOY_FE, "backend", OTHER_BE);
    g_assert_true(xenbus_back_init(&f.toy.bus, &f.ops, f.host, f.dom0, 1, -1, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(f.toy.bus.idx, ==, 5);
    g_assert_true(f.toy.bus.resumed);
    toy_down(&f);
}

/* A toolstack that has no script for a kind has another mark, and there is nothing to wait for. */
static void test_toolstack_without_script(void)
{
    ToyTest f;

    toy_up(&f);
    f.ops.toolstack_key = "params";
    toy_toolstack_add(&f);
    toy_put(&f, TOY_BE, "params", "raw:/disk");
    g_assert_true(xen_store_remove(f.dom0, 0, TOY_BE "/script"));
    g_assert_true(xen_store_remove(f.dom0, 0, TOY_BE "/hotplug-status"));
    toy_back_start(&f);
    g_assert_true(f.toy.taken_over);
    g_assert_false(f.toy.bus.created);
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    xenbus_back_done(&f.toy.bus);
    g_assert_true(toy_is(&f, TOY_BE, "params", "raw:/disk")); /* the toolstack removes them */
    toy_down(&f);
}

/* The same with a script, which some of its disks have. */
static void test_toolstack_with_script(void)
{
    ToyTest f;

    toy_up(&f);
    f.ops.toolstack_key = "params";
    toy_toolstack_add(&f);
    toy_put(&f, TOY_BE, "params", "/dev/disk");
    toy_back_start(&f);
    g_assert_false(f.toy.bus.created);
    toy_front(&f, 4);
    toy_settle();
    g_assert_true(toy_is(&f, TOY_BE, "state", "2"));
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    TOY_WAIT(f.toy.bus.connected);
    toy_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/xen/xenbus-back/" name, fn)
    TEST("initialised/connects", test_initialised);
    TEST("initialised/front-first", test_initialised_front_first);
    TEST("initialised/waits-for-hotplug", test_initialised_waits_for_hotplug);
    TEST("initialised/reconnect", test_initialised_reconnect);
    TEST("initialised/while-closed", test_initialised_while_closed);
    TEST("initialised/answer-after-the-end", test_answer_after_the_end);
    TEST("initialised/and-nonsense", test_initialised_and_nonsense);
    TEST("initialised/goes-on", test_initialised_goes_on);
    TEST("size/comes-with-connected", test_size);
    TEST("size/without-connection", test_size_without_connection);
    TEST("size/while-it-closes", test_size_while_it_closes);
    TEST("size/not-written", test_size_not_written);
    TEST("wait/what-is-said-meanwhile", test_wait);
    TEST("wait/again", test_wait_again);
    TEST("wait/after-a-fault", test_wait_after_a_fault);
    TEST("wait/in-the-middle", test_wait_in_the_middle);
    TEST("wait/at-the-end", test_wait_at_the_end);
    TEST("front-kind", test_front_kind);
    TEST("front-kind/left-behind", test_front_kind_left_behind);
    TEST("toolstack/without-script", test_toolstack_without_script);
    TEST("toolstack/with-script", test_toolstack_with_script);
    return g_test_run();
}
