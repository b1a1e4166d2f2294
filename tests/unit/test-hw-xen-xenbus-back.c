/*
 * The life of a backend that is no vif: a made-up kind, whose frontend and toolstack are
 * played by hand, in both orders of events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "toy-back.h"
#include "xenemu.h"

/* --- tests --- */

/* The frontend's driver comes after the backend. */
static void test_back_first(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_start(&f);
    g_assert_true(toy_is(&f, TOY_BE, "state", "2"));
    g_assert_true(toy_is(&f, TOY_BE, "feature-bounce", "1"));
    toy_settle();
    toy_expect_log(&f, "");
    toy_front(&f, 3); /* a state that this protocol does not use */
    toy_settle();
    toy_expect_log(&f, "");
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    toy_expect_log(&f, "connect CONNECTED");
    g_assert_true(toy_is(&f, TOY_BE, "state", "4"));
    toy_front(&f, 4); /* said twice */
    toy_settle();
    toy_expect_log(&f, "");
    toy_down(&f);
}

/* The frontend had said Connected before the backend looked for the first time. */
static void test_front_first(void)
{
    ToyTest f;

    toy_up(&f);
    toy_toolstack_add(&f);
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    toy_front(&f, 4);
    toy_back_start(&f);
    TOY_WAIT(f.toy.bus.connected);
    g_assert_true(f.toy.taken_over);
    g_assert_false(f.toy.bus.created);
    toy_expect_log(&f, "connect CONNECTED");
    toy_down(&f);
}

/* Nothing is connected before the toolstack's script has run. */
static void test_waits_for_hotplug(void)
{
    ToyTest f;

    toy_up(&f);
    toy_toolstack_add(&f);
    toy_back_start(&f);
    toy_front(&f, 4);
    toy_settle(); /* the main loop has seen the frontend's state, and more */
    toy_expect_log(&f, "");
    g_assert_true(toy_is(&f, TOY_BE, "state", "2"));
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    TOY_WAIT(f.toy.bus.connected);
    toy_expect_log(&f, "connect CONNECTED");
    toy_down(&f);
}

/* A driver that is unloaded and loaded again sees each state on the way. */
static void test_reconnect(void)
{
    ToyTest f;

    toy_connected(&f);
    TOY_WAIT(g_str_has_suffix(f.states->str, "4"));
    toy_settle(); /* it is not seen once more */
    g_string_truncate(f.states, 0);
    toy_front(&f, 5);
    TOY_WAIT(g_str_has_suffix(f.states->str, "5"));
    toy_front(&f, 6);
    TOY_WAIT(g_str_has_suffix(f.states->str, "6"));
    toy_front(&f, 1);
    TOY_WAIT(g_str_has_suffix(f.states->str, "2"));
    toy_front(&f, 4);
    TOY_WAIT(g_str_has_suffix(f.states->str, "4"));
    toy_expect_log(&f, "disconnect DISCONNECTED connect CONNECTED");
    g_assert_cmpstr(f.states->str, ==, "5624");
    toy_down(&f);
}

/* A crashed kernel's successor starts at Initialising without a word of good-bye. */
static void test_initialising_out_of_the_blue(void)
{
    ToyTest f;

    toy_connected(&f);
    toy_front(&f, 1);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    toy_expect_log(&f, "disconnect DISCONNECTED");
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_down(&f);
}

static void test_refused_connection(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_start(&f);
    f.toy.refuse_connect = true;
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "connect disconnect ERROR");
    g_assert_cmpstr(f.toy.bus.error, ==, "the ring is square");
    g_assert_true(toy_is(&f, "/local/domain/0/error/backend/toy/1/5", "error",
                         "the ring is square"));
    /* it may come back, and then the reason is gone */
    f.toy.refuse_connect = false;
    toy_front(&f, 6);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    toy_front(&f, 1);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    g_assert_null(f.toy.bus.error);
    g_assert_true(toy_is(&f, "/local/domain/0/error/backend/toy", "1", NULL)); /* nothing of it */
    toy_down(&f);
}

/*
 * A frontend's Initialising may be merged with what it writes next, or was never written: then
 * the backend sees Connected while it is Closing or Closed itself. It walks, and connects.
 */
static void test_connected_while_closed(void)
{
    ToyTest f;

    toy_connected(&f);
    for (int state = XenbusStateClosing; state <= XenbusStateClosed; state++) {
        toy_front(&f, state);
        TOY_WAIT(g_str_has_suffix(f.states->str, state == XenbusStateClosing ? "5" : "6"));
        g_string_truncate(f.states, 0);
        toy_front(&f, 4);
        TOY_WAIT(g_str_has_suffix(f.states->str, "4"));
        toy_expect_log(&f, "disconnect DISCONNECTED connect CONNECTED");
        g_assert_true(toy_is(&f, TOY_BE, "feature-bounce", "1"));
    }
    toy_down(&f);
}

/* The same of one that was Closed when the backend came. */
static void test_connected_after_closed_at_start(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_new(&f);
    toy_front(&f, 6);
    xenbus_back_start(&f.toy.bus);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_expect_log(&f, "connect CONNECTED");
    toy_down(&f);

    /* written before the backend's watch has called for the first time */
    toy_up(&f);
    toy_back_new(&f);
    toy_front(&f, 6);
    xenbus_back_start(&f.toy.bus);
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_expect_log(&f, "connect CONNECTED");
    toy_down(&f);
}

/*
 * One that was refused, or broke the protocol, is asked to close. It may write Connected again
 * instead, with other keys; that it still stands there from before is no new try.
 */
static void test_connected_again_after_refusal(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_start(&f);
    f.toy.refuse_connect = true;
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "connect disconnect ERROR");
    toy_put(&f, TOY_BE, "online", "1"); /* the backend looks */
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    toy_settle();
    toy_expect_log(&f, "");
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    f.toy.refuse_connect = false;
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_expect_log(&f, "connect CONNECTED");
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    toy_settle();
    toy_expect_log(&f, "disconnect DISCONNECTED ERROR");
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_expect_log(&f, "connect CONNECTED");
    toy_down(&f);
}

/* The script that has to run before belongs to this connection, too. */
static void test_connected_while_closed_waits_for_hotplug(void)
{
    ToyTest f;

    toy_up(&f);
    toy_toolstack_add(&f);
    toy_back_start(&f);
    toy_front(&f, 6);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    toy_settle();
    toy_expect_log(&f, "");
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    TOY_WAIT(f.toy.bus.connected);
    toy_down(&f);
}

/* Not while the device is going: neither by us, nor by the toolstack. */
static void test_connected_while_it_goes(void)
{
    ToyTest f;

    toy_connected(&f);
    toy_put(&f, TOY_BE, "online", "0");
    toy_front(&f, 5);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_front(&f, 4);
    toy_settle();
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "disconnect DISCONNECTED");
    toy_put(&f, TOY_BE, "online", "1");
    toy_front(&f, 4);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "4"));
    toy_expect_log(&f, "connect CONNECTED");
    xenbus_back_close(&f.toy.bus, 60000);
    toy_front(&f, 4);
    toy_settle();
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, ""); /* and goes on until the frontend lets go */
    toy_down(&f);
}

/* --- connection in steps --- */

#define MANY 1000000u /* parts: it does not end before something else happens */

static gboolean count_round(gpointer opaque)
{
    ++*(unsigned *)opaque;
    return G_SOURCE_CONTINUE;
}

/* Others have the main loop between two steps, of a connection and of its end. */
static void test_steps_leave_the_loop_to_others(void)
{
    unsigned rounds = 0;
    ToyTest f;
    guint counter;

    toy_up(&f);
    f.toy.n_parts = 40;
    toy_back_start(&f);
    toy_settle();
    counter = g_idle_add_full(G_PRIORITY_DEFAULT, count_round, &rounds, NULL);
    for (unsigned i = 0; i < 2; i++) {
        f.toy.refuse_connect = i;
        rounds = 0;
        f.toy.round = &rounds; /* each step looks at it */
        f.toy.step_round = UINT_MAX;
        toy_front(&f, 4);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", i ? "5" : "4"));
        g_assert_cmpuint(rounds, >=, i ? 78 : 39);
        toy_front(&f, 5);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
        g_assert_cmpuint(rounds, >=, 78);
        toy_front(&f, 1);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    }
    g_source_remove(counter);
    toy_down(&f);
}

static void connecting(ToyTest *f, unsigned parts)
{
    toy_up(f);
    f->toy.quiet = true;
    f->toy.n_parts = parts;
    toy_back_start(f);
    toy_front(f, 4);
    TOY_WAIT(f->toy.parts > 3);
    g_assert_true(toy_is(f, TOY_BE, "state", "2"));
    g_assert_false(f->toy.bus.connected);
}

static void disconnecting(ToyTest *f, int state)
{
    connecting(f, 2000);
    TOY_WAIT(f->toy.bus.connected);
    toy_expect_log(f, "CONNECTED");
    toy_front(f, state);
    TOY_WAIT(f->toy.parts < 1997);
    g_assert_cmpuint(f->toy.parts, >, 0);
    g_assert_true(toy_is(f, TOY_BE, "state", "4")); /* the guest's pages are in use */
    g_assert_false(f->toy.bus.connected);
    toy_expect_log(f, "");
}

/* Each state that a frontend may go to before it is connected. */
static void test_other_state_while_connecting(void)
{
    static const struct {
        int front;
        const char *back;
    } cases[] = { { 1, "2" }, { 5, "5" }, { 6, "6" } };
    ToyTest f;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        connecting(&f, MANY);
        toy_front(&f, cases[i].front);
        TOY_WAIT(f.toy.parts == 0 && toy_is(&f, TOY_BE, "state", cases[i].back));
        toy_expect_log(&f, ""); /* it never was connected */
        f.toy.n_parts = 5;
        toy_front(&f, 1);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
        toy_front(&f, 4);
        TOY_WAIT(f.toy.bus.connected);
        toy_down(&f);
    }
}

/* A Reconfiguring that came too early is answered once it is connected. */
static void test_reconfiguring_while_connecting(void)
{
    ToyTest f;

    connecting(&f, 2000);
    toy_front(&f, 7);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "8"));
    toy_expect_log(&f, "CONNECTED");
    g_assert_cmpuint(f.toy.reconfigured, >, 0);
    toy_down(&f);
}

/* New keys while the old ones are refused: they have their turn. */
static void test_connected_anew_while_connecting(void)
{
    ToyTest f;

    connecting(&f, 2000);
    f.toy.refuse_connect = true;
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.disconnecting);
    f.toy.refuse_connect = false;
    TOY_WAIT(f.toy.bus.connected);
    toy_expect_log(&f, "ERROR CONNECTED");
    toy_down(&f);
}

/* A frontend that does not wait for answers: the end comes first, then what it wants now. */
static void test_other_state_while_disconnecting(void)
{
    static const struct {
        int first;
        int then;
        const char *back;
    } cases[] = { { 5, 1, "2" }, { 5, 6, "6" }, { 5, 4, "4" }, { 1, 4, "4" }, { 6, 1, "2" } };
    ToyTest f;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        disconnecting(&f, cases[i].first);
        f.toy.n_parts = 1;
        toy_front(&f, cases[i].then);
        TOY_WAIT(f.toy.log->len > 0);
        g_assert_true(g_str_has_prefix(f.toy.log->str, "DISCONNECTED"));
        TOY_WAIT(toy_is(&f, TOY_BE, "state", cases[i].back) &&
                 f.toy.bus.connected == (cases[i].then == 4));
        toy_down(&f);
    }
}

/* The first reason is the one that is told, once all is given back. */
static void test_faults_while_in_steps(void)
{
    ToyTest f;

    connecting(&f, MANY);
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    xenbus_back_fail(&f.toy.bus, "queue 1: that one, too");
    g_assert_true(toy_is(&f, TOY_BE, "state", "2"));
    toy_expect_log(&f, "");
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "ERROR");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    g_assert_cmpstr(f.toy.bus.error, ==, "queue 0: it has holes");
    toy_down(&f);
}

static void test_close_while_in_steps(void)
{
    ToyTest f;

    connecting(&f, MANY);
    xenbus_back_close(&f.toy.bus, 60000);
    toy_front(&f, 6);
    TOY_WAIT(f.toy.log->len > 0);
    toy_expect_log(&f, "CLOSED");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    toy_down(&f);

    disconnecting(&f, 5);
    xenbus_back_close(&f.toy.bus, 0); /* over before the steps are */
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    toy_expect_log(&f, "DISCONNECTED CLOSED");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    toy_down(&f);
}

static void test_domain_dies_while_in_steps(void)
{
    ToyTest f;

    connecting(&f, MANY);
    toy_guest_dies(&f);
    TOY_WAIT(f.toy.log->len > 0);
    toy_expect_log(&f, "GONE");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    toy_down(&f);

    disconnecting(&f, 5);
    toy_guest_dies(&f);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "GONE"));
    toy_expect_log(&f, "DISCONNECTED GONE");
    toy_down(&f);
}

/* Freed at once: nothing of the guest's stays. */
static void test_done_while_in_steps(void)
{
    ToyTest f;

    connecting(&f, MANY);
    xenbus_back_done(&f.toy.bus);
    g_assert_cmpuint(f.toy.parts, ==, 0);
    toy_down(&f);

    disconnecting(&f, 5);
    xenbus_back_done(&f.toy.bus);
    g_assert_cmpuint(f.toy.parts, ==, 0);
    toy_down(&f);
}

/* --- a frontend that fails again and again --- */

static void fail_once(ToyTest *f)
{
    toy_front(f, 4);
    TOY_WAIT(g_str_has_suffix(f->toy.log->str, "ERROR"));
    toy_expect_log(f, "connect disconnect ERROR");
}

/* It waits twice as long each time, up to a second; a connection that lasts makes up for it. */
static void test_failures_wait_longer(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_start(&f);
    f.toy.refuse_connect = true;
    for (unsigned i = 0; i < 4; i++) {
        fail_once(&f);
        g_assert_cmpuint(f.toy.bus.fail_wait_ms, ==, 1u << i);
    }
    f.toy.bus.fail_wait_ms = 900;
    fail_once(&f);
    g_assert_cmpuint(f.toy.bus.fail_wait_ms, ==, 1000);
    f.toy.bus.fail_until_us = 0;
    f.toy.refuse_connect = false;
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    xenbus_back_fail(&f.toy.bus, "it has holes");
    g_assert_cmpuint(f.toy.bus.fail_wait_ms, ==, 1000); /* it was only there to break */
    f.toy.bus.fail_until_us = 0;
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    f.toy.bus.connected_us -= 2 * G_USEC_PER_SEC;
    xenbus_back_fail(&f.toy.bus, "it has holes");
    g_assert_cmpuint(f.toy.bus.fail_wait_ms, ==, 1);
    toy_down(&f);
}

/* However often it writes meanwhile, and whatever way it goes. */
static void test_no_connection_before_the_wait_is_over(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_start(&f);
    f.toy.refuse_connect = true;
    fail_once(&f);
    f.toy.bus.fail_until_us = g_get_monotonic_time() + 3600 * (gint64)G_USEC_PER_SEC;
    for (unsigned i = 0; i < 20; i++) {
        toy_front(&f, 4);
        toy_settle_once();
        toy_front(&f, 6);
        toy_settle_once();
        toy_front(&f, 1);
        toy_settle_once();
    }
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "2"));
    toy_front(&f, 4);
    toy_settle();
    toy_expect_log(&f, "");
    g_assert_cmpuint(f.toy.bus.fail_timer, !=, 0); /* it is not forgotten */
    g_clear_handle_id(&f.toy.bus.fail_timer, g_source_remove);
    f.toy.bus.fail_until_us = g_get_monotonic_time() + 20000;
    f.toy.refuse_connect = false;
    toy_put(&f, TOY_BE, "online", "1"); /* it looks */
    TOY_WAIT(f.toy.bus.connected);
    toy_expect_log(&f, "connect CONNECTED");
    toy_down(&f);
}

static void test_fault_while_connected(void)
{
    ToyTest f;

    toy_connected(&f);
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    toy_expect_log(&f, "disconnect DISCONNECTED ERROR");
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    toy_down(&f);
}

static void test_reconfiguring_is_answered(void)
{
    ToyTest f;

    toy_connected(&f);
    toy_front(&f, 7);
    for (unsigned i = 0; i < 2; i++) {
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "8"));
        g_assert_cmpuint(f.toy.reconfigured, >, 0);
        f.toy.reconfigured = 0;
        toy_front(&f, 4);
        TOY_WAIT(toy_is(&f, TOY_BE, "state", "4")); /* the next answer will be one */
        toy_expect_log(&f, ""); /* still connected */
        toy_front(&f, 7);
    }
    toy_down(&f);
}

/* The Connected between two of them was not seen: what is new is taken up all the same. */
static void test_reconfiguring_twice(void)
{
    ToyTest f;

    toy_connected(&f);
    toy_front(&f, 7);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "8"));
    toy_settle();
    f.toy.reconfigured = 0;
    toy_front(&f, 4);
    toy_front(&f, 7);
    TOY_WAIT(f.toy.reconfigured > 0);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "8"));
    toy_down(&f);
}

/* xl block-detach and its like: online 0, Closing; the frontend agrees. */
static void test_unplug_by_toolstack(void)
{
    ToyTest f;

    toy_up(&f);
    toy_toolstack_add(&f);
    toy_put(&f, TOY_BE, "hotplug-status", "connected");
    toy_back_start(&f);
    toy_front(&f, 4);
    TOY_WAIT(f.toy.bus.connected);
    g_string_truncate(f.toy.log, 0);
    toy_put(&f, TOY_BE, "online", "0");
    toy_put(&f, TOY_BE, "state", "5");
    toy_front(&f, 5);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5") && !f.toy.bus.connected);
    toy_front(&f, 6);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "6"));
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "GONE"));
    toy_expect_log(&f, "disconnect DISCONNECTED GONE");
    xenbus_back_done(&f.toy.bus);
    /* a toolstack removes its nodes itself */
    g_assert_true(toy_is(&f, TOY_BE, "frontend", TOY_FE));
    toy_down(&f);
}

/* Forced: the directory goes at once. It does not come back with what is written last. */
static void test_directory_removed(void)
{
    ToyTest f;

    toy_connected(&f);
    g_assert_true(xen_store_remove(f.dom0, 0, TOY_BE));
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "GONE"));
    toy_expect_log(&f, "disconnect DISCONNECTED GONE");
    g_assert_true(toy_is(&f, TOY_BE, "state", NULL));
    toy_down(&f);
}

static void test_frontend_removed(void)
{
    ToyTest f;

    toy_connected(&f);
    g_assert_true(xen_store_remove(f.domu, 0, TOY_FE));
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "GONE"));
    /* the function would be called, were the directory there */
    g_assert_true(xenbus_back_update(&f.toy.bus, true, NULL, NULL));
    toy_down(&f);
}

static void test_domain_dies(void)
{
    ToyTest f;

    toy_connected(&f);
    toy_guest_dies(&f);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "GONE"));
    toy_expect_log(&f, "disconnect DISCONNECTED GONE");
    toy_down(&f);
}

/* Without a toolstack that removes its nodes: the death is noticed for itself. */
static void test_domain_dies_nodes_stay(void)
{
    g_autofree char *state = NULL;
    ToyTest f;

    toy_connected(&f);
    xenemu_host_keep_nodes(f.host->opaque, true);
    toy_guest_dies(&f);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "GONE"));
    toy_expect_log(&f, "disconnect DISCONNECTED GONE");
    state = xen_store_read(f.dom0, 0, TOY_FE "/state");
    g_assert_cmpstr(state, ==, "4");
    toy_down(&f);
}

/* We go: requests are served until the frontend has agreed. */
static void test_close(void)
{
    ToyTest f;

    toy_connected(&f);
    xenbus_back_close(&f.toy.bus, 60000);
    g_assert_true(toy_is(&f, TOY_BE, "online", "0"));
    g_assert_true(toy_is(&f, TOY_BE, "state", "5"));
    toy_settle();
    g_assert_true(f.toy.bus.connected);
    toy_front(&f, 6);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    toy_expect_log(&f, "disconnect DISCONNECTED CLOSED");
    xenbus_back_done(&f.toy.bus);
    g_assert_true(toy_is(&f, TOY_BE, "frontend", NULL));
    g_assert_true(toy_is(&f, TOY_FE, "backend", NULL));
    toy_down(&f);
}

/* A frontend that never answers is waited for no longer than that. */
static void test_close_times_out(void)
{
    ToyTest f;

    toy_connected(&f);
    xenbus_back_close(&f.toy.bus, 20);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    toy_expect_log(&f, "disconnect DISCONNECTED CLOSED");
    toy_down(&f);
}

/* Nobody has it yet: closed at once. */
static void test_close_unused(void)
{
    ToyTest f;

    toy_up(&f);
    toy_back_new(&f);
    xenbus_back_close(&f.toy.bus, 60000);
    TOY_WAIT(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    toy_down(&f);
}

/* A backend whose XenStore connection has the rights of domain 1, which dom0 gives and takes. */
static void restricted_start(ToyTest *f)
{
    g_autoptr(GError) error = NULL;

    toy_up(f);
    toy_toolstack_add(f);
    toy_put(f, TOY_BE, "hotplug-status", "connected");
    toy_chown_back(f, 1, 0);
    g_assert_true(xenbus_back_init(&f->toy.bus, &toy_ops, f->host, f->domu, 1, 5, &error));
    g_assert_no_error(error);
    xenbus_back_start(&f->toy.bus);
    toy_front(f, 4);
    TOY_WAIT(toy_is(f, TOY_BE, "state", "4"));
    toy_expect_log(f, "connect CONNECTED");
}

/* What cannot be read is not gone. */
static void test_unreadable_is_not_gone(void)
{
    ToyTest f;

    restricted_start(&f);
    toy_chown_back(&f, 0, 0);
    toy_put(&f, TOY_BE, "online", "1"); /* wakes it */
    toy_settle();
    toy_front(&f, 4);
    toy_settle();
    g_assert_true(f.toy.bus.connected);
    toy_expect_log(&f, "ERROR"); /* once */
    toy_chown_back(&f, 1, 0);
    toy_front(&f, 5);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "disconnect DISCONNECTED");
    toy_down(&f);
}

/* The frontend's state alone, which is no less there. */
static void test_unreadable_frontend_is_not_gone(void)
{
    ToyTest f;

    restricted_start(&f);
    g_assert_true(xen_store_mkdir(f.dom0, 0, TOY_FE "/state", 0, 0));
    toy_put(&f, TOY_BE, "online", "1"); /* wakes it */
    toy_settle();
    g_assert_true(f.toy.bus.connected);
    toy_expect_log(&f, "");
    g_assert_true(xen_store_mkdir(f.dom0, 0, TOY_FE "/state", 1, 0));
    toy_front(&f, 5);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "disconnect DISCONNECTED");
    toy_down(&f);
}

/* A state that could not be written is written later. */
static void test_unwritten_state_is_written_later(void)
{
    ToyTest f;

    restricted_start(&f);
    toy_chown_back(&f, 0, 1); /* it may read */
    toy_front(&f, 5);
    TOY_WAIT(!f.toy.bus.connected);
    toy_settle();
    g_assert_true(toy_is(&f, TOY_BE, "state", "4"));
    toy_expect_log(&f, "disconnect DISCONNECTED ERROR");
    toy_chown_back(&f, 1, 0);
    TOY_WAIT(toy_is(&f, TOY_BE, "state", "5"));
    toy_expect_log(&f, "");
    toy_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/xen/xenbus-back/" name, fn)
    TEST("back-first", test_back_first);
    TEST("front-first", test_front_first);
    TEST("waits-for-hotplug", test_waits_for_hotplug);
    TEST("reconnect", test_reconnect);
    TEST("initialising-out-of-the-blue", test_initialising_out_of_the_blue);
    TEST("refused-connection", test_refused_connection);
    TEST("connected-while-closed", test_connected_while_closed);
    TEST("connected-after-closed-at-start", test_connected_after_closed_at_start);
    TEST("connected-again-after-refusal", test_connected_again_after_refusal);
    TEST("connected-while-closed-waits-for-hotplug",
         test_connected_while_closed_waits_for_hotplug);
    TEST("connected-while-it-goes", test_connected_while_it_goes);
    TEST("steps-leave-the-loop-to-others", test_steps_leave_the_loop_to_others);
    TEST("other-state-while-connecting", test_other_state_while_connecting);
    TEST("reconfiguring-while-connecting", test_reconfiguring_while_connecting);
    TEST("connected-anew-while-connecting", test_connected_anew_while_connecting);
    TEST("other-state-while-disconnecting", test_other_state_while_disconnecting);
    TEST("faults-while-in-steps", test_faults_while_in_steps);
    TEST("close-while-in-steps", test_close_while_in_steps);
    TEST("domain-dies-while-in-steps", test_domain_dies_while_in_steps);
    TEST("done-while-in-steps", test_done_while_in_steps);
    TEST("failures-wait-longer", test_failures_wait_longer);
    TEST("no-connection-before-the-wait-is-over", test_no_connection_before_the_wait_is_over);
    TEST("fault-while-connected", test_fault_while_connected);
    TEST("reconfiguring-is-answered", test_reconfiguring_is_answered);
    TEST("reconfiguring-twice", test_reconfiguring_twice);
    TEST("unplug-by-toolstack", test_unplug_by_toolstack);
    TEST("directory-removed", test_directory_removed);
    TEST("frontend-removed", test_frontend_removed);
    TEST("domain-dies", test_domain_dies);
    TEST("domain-dies-nodes-stay", test_domain_dies_nodes_stay);
    TEST("close", test_close);
    TEST("close-times-out", test_close_times_out);
    TEST("close-unused", test_close_unused);
    TEST("unreadable-is-not-gone", test_unreadable_is_not_gone);
    TEST("unreadable-frontend-is-not-gone", test_unreadable_frontend_is_not_gone);
    TEST("unwritten-state-is-written-later", test_unwritten_state_is_written_later);
    return g_test_run();
}
