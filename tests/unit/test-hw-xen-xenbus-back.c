/*
 * The life of a backend that is no vif: a made-up kind, whose frontend and toolstack are
 * played by hand, in both orders of events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-back.h"

#include <errno.h>
#include <glib/gstdio.h>

#include "util/container-of.h"

#define BE "/local/domain/0/backend/toy/1/5"
#define FE "/local/domain/1/device/toy/5"

typedef struct Toy {
    XenbusBack bus;
    GString *log;        /* what happened, in order */
    unsigned n_parts;    /* that connect and disconnect in a step each; 0 as 1 */
    unsigned parts;
    bool quiet;          /* about parts */
    unsigned *round;     /* of the main loop, counted by a test; NULL: it does not */
    unsigned step_round; /* when the last step was... */
    unsigned steps;      /* ...and how many there were then */
    bool refuse_connect; /* the last part */
    bool taken_over;
} Toy;

typedef struct Fixture {
    char *dir;
    Xen *host;
    Xen *guest;
    XenStore *dom0;
    XenStore *domu;
    XenWatch *watch_be;
    GString *states;     /* that the frontend has seen of the backend */
    Toy toy;
} Fixture;

static void toy_say(XenbusBack *b, const char *what)
{
    Toy *t = container_of(b, Toy, bus);

    g_string_append_printf(t->log, "%s%s", t->log->len ? " " : "", what);
}

static void toy_step(XenbusBack *b, const char *what)
{
    Toy *t = container_of(b, Toy, bus);

    if (t->round) {
        t->steps = *t->round == t->step_round ? t->steps + 1 : 1;
        t->step_round = *t->round;
        g_assert_cmpuint(t->steps, <=, 2); /* the one that fails, the first of the way back */
    }
    if (!t->quiet) {
        toy_say(b, what);
    }
}

static bool toy_write_nodes(XenbusBack *b, XenTx tx)
{
    return xen_store_printf(b->store, tx, b->be, "colour", "red");
}

static bool toy_take_over(XenbusBack *b, GError **error)
{
    container_of(b, Toy, bus)->taken_over = true;
    return true;
}

static bool toy_publish(XenbusBack *b, XenTx tx)
{
    return xen_store_printf(b->store, tx, b->be, "feature-bounce", "1");
}

static XenbusStep toy_connect(XenbusBack *b, GError **error)
{
    Toy *t = container_of(b, Toy, bus);

    toy_step(b, "connect");
    if (++t->parts < t->n_parts) {
        return XENBUS_STEP_MORE;
    }
    if (t->refuse_connect) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "the ring is square");
        return XENBUS_STEP_FAILED;
    }
    return XENBUS_STEP_DONE;
}

static bool toy_disconnect(XenbusBack *b)
{
    Toy *t = container_of(b, Toy, bus);

    toy_step(b, "disconnect");
    g_assert_cmpuint(t->parts, >, 0);
    return --t->parts > 0;
}

static void toy_event(XenbusBack *b, XenbusEvent event, const char *detail)
{
    static const char *const names[] = {
        [XENBUS_CONNECTED] = "CONNECTED",
        [XENBUS_DISCONNECTED] = "DISCONNECTED",
        [XENBUS_ERROR] = "ERROR",
        [XENBUS_CLOSED] = "CLOSED",
        [XENBUS_GONE] = "GONE",
    };

    toy_say(b, names[event]);
}

static const XenbusBackOps toy_ops = {
    .kind = "toy",
    .max_idx = 10,
    .write_nodes = toy_write_nodes,
    .take_over = toy_take_over,
    .publish = toy_publish,
    .connect = toy_connect,
    .disconnect = toy_disconnect,
    .event = toy_event,
};

/* --- the host, the guest, the toolstack --- */

static char *get(Fixture *f, const char *dir, const char *key)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, key);

    return xen_store_read(f->dom0, 0, path);
}

static bool is(Fixture *f, const char *dir, const char *key, const char *want)
{
    g_autofree char *value = get(f, dir, key);

    return g_strcmp0(value, want) == 0;
}

static void put(Fixture *f, const char *dir, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(f->dom0, 0, dir, key, "%s", value));
}

static void front(Fixture *f, int state)
{
    g_assert_true(xen_store_printf(f->domu, 0, FE, "state", "%d", state));
}

static gboolean tick(gpointer unused)
{
    return G_SOURCE_CONTINUE;
}

#define WAIT_FOR(cond) do {                                                 \
        gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;          \
        guint source = g_timeout_add(5, tick, NULL);                        \
        while (!(cond)) {                                                   \
            g_assert_cmpint(g_get_monotonic_time(), <, end);                \
            g_main_context_iteration(NULL, true);                           \
        }                                                                   \
        g_source_remove(source);                                            \
    } while (0)

static void settle_once(void)
{
    while (g_main_context_iteration(NULL, false)) {
    }
    g_usleep(5000);
}

/* So long that whatever is on its way has arrived. */
static void settle(void)
{
    for (unsigned i = 0; i < 20; i++) {
        settle_once();
    }
}

static void see_state(void *opaque)
{
    Fixture *f = opaque;
    g_autofree char *state = xen_store_read(f->domu, 0, BE "/state");

    if (state && !g_str_has_suffix(f->states->str, state)) {
        g_string_append(f->states, state);
    }
}

static void up(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    g_autofree char *domu = NULL;

    *f = (Fixture){ .dir = g_dir_make_tmp("test-xenbus-XXXXXX", &error) };
    g_assert_no_error(error);
    path = g_build_filename(f->dir, "host", NULL);
    f->host = xen_xenemu_open_host(path, &error);
    g_assert_no_error(error);
    f->guest = xen_xenemu_open_guest(path, 1, 1 << 20, &error);
    g_assert_no_error(error);
    f->dom0 = xen_store_open(f->host->store_path, &error);
    f->domu = xen_store_open(f->guest->store_path, &error);
    g_assert_no_error(error);
    f->states = g_string_new(NULL);
    f->toy.log = g_string_new(NULL);
}

static void back_new(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(xenbus_back_init(&f->toy.bus, &toy_ops, f->host, f->dom0, 1, 5, &error));
    g_assert_no_error(error);
    f->watch_be = xen_store_watch(f->domu, BE "/state", see_state, f, &error);
    g_assert_no_error(error);
}

static void back_start(Fixture *f)
{
    back_new(f);
    xenbus_back_start(&f->toy.bus);
}

static void guest_dies(Fixture *f)
{
    xen_store_unwatch(g_steal_pointer(&f->watch_be));
    xen_store_close(g_steal_pointer(&f->domu));
    xen_close(g_steal_pointer(&f->guest));
}

static void down(Fixture *f)
{
    xenbus_back_done(&f->toy.bus);
    xenbus_back_done(&f->toy.bus);
    if (f->guest) {
        guest_dies(f);
    }
    xen_store_close(f->dom0);
    xen_close(f->host);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_string_free(f->states, true);
    g_string_free(f->toy.log, true);
}

static void expect_log(Fixture *f, const char *want)
{
    g_assert_cmpstr(f->toy.log->str, ==, want);
    g_string_truncate(f->toy.log, 0);
}

/* What a toolstack makes, with its script yet to run. */
static void toolstack_add(Fixture *f)
{
    g_assert_true(xen_store_mkdir(f->dom0, 0, BE, 0, 1));
    put(f, BE, "frontend", FE);
    put(f, BE, "frontend-id", "1");
    put(f, BE, "online", "1");
    put(f, BE, "state", "1");
    put(f, BE, "script", "/etc/xen/scripts/toy");
    put(f, BE, "hotplug-status", "");
    g_assert_true(xen_store_mkdir(f->dom0, 0, FE, 1, 0));
    put(f, FE, "backend", BE);
    put(f, FE, "backend-id", "0");
    put(f, FE, "state", "1");
}

static void connected(Fixture *f)
{
    up(f);
    back_start(f);
    front(f, 4);
    WAIT_FOR(is(f, BE, "state", "4"));
    expect_log(f, "connect CONNECTED");
}

/* --- tests --- */

static void test_makes_nodes(void)
{
    Fixture f;

    up(&f);
    back_new(&f);
    g_assert_true(f.toy.bus.created);
    g_assert_true(is(&f, BE, "frontend", FE));
    g_assert_true(is(&f, BE, "frontend-id", "1"));
    g_assert_true(is(&f, BE, "online", "1"));
    g_assert_true(is(&f, BE, "state", "1"));
    g_assert_true(is(&f, BE, "colour", "red"));
    g_assert_true(is(&f, FE, "backend", BE));
    g_assert_true(is(&f, FE, "backend-id", "0"));
    g_assert_true(is(&f, FE, "state", "1"));
    g_assert_true(is(&f, BE, "feature-bounce", NULL)); /* not offered yet */
    down(&f);
    g_assert_null(f.toy.bus.be);
}

/* The frontend's driver comes after the backend. */
static void test_back_first(void)
{
    Fixture f;

    up(&f);
    back_start(&f);
    g_assert_true(is(&f, BE, "state", "2"));
    g_assert_true(is(&f, BE, "feature-bounce", "1"));
    settle();
    expect_log(&f, "");
    front(&f, 3); /* a state that this protocol does not use */
    settle();
    expect_log(&f, "");
    front(&f, 4);
    WAIT_FOR(f.toy.bus.connected);
    expect_log(&f, "connect CONNECTED");
    g_assert_true(is(&f, BE, "state", "4"));
    front(&f, 4); /* said twice */
    settle();
    expect_log(&f, "");
    down(&f);
}

/* The frontend had said Connected before the backend looked for the first time. */
static void test_front_first(void)
{
    Fixture f;

    up(&f);
    toolstack_add(&f);
    put(&f, BE, "hotplug-status", "connected");
    front(&f, 4);
    back_start(&f);
    WAIT_FOR(f.toy.bus.connected);
    g_assert_true(f.toy.taken_over);
    g_assert_false(f.toy.bus.created);
    expect_log(&f, "connect CONNECTED");
    down(&f);
}

/* Nothing is connected before the toolstack's script has run. */
static void test_waits_for_hotplug(void)
{
    Fixture f;

    up(&f);
    toolstack_add(&f);
    back_start(&f);
    front(&f, 4);
    settle(); /* the main loop has seen the frontend's state, and more */
    expect_log(&f, "");
    g_assert_true(is(&f, BE, "state", "2"));
    put(&f, BE, "hotplug-status", "connected");
    WAIT_FOR(f.toy.bus.connected);
    expect_log(&f, "connect CONNECTED");
    down(&f);
}

/* A driver that is unloaded and loaded again sees each state on the way. */
static void test_reconnect(void)
{
    Fixture f;

    connected(&f);
    WAIT_FOR(g_str_has_suffix(f.states->str, "4"));
    settle(); /* it is not seen once more */
    g_string_truncate(f.states, 0);
    front(&f, 5);
    WAIT_FOR(g_str_has_suffix(f.states->str, "5"));
    front(&f, 6);
    WAIT_FOR(g_str_has_suffix(f.states->str, "6"));
    front(&f, 1);
    WAIT_FOR(g_str_has_suffix(f.states->str, "2"));
    front(&f, 4);
    WAIT_FOR(g_str_has_suffix(f.states->str, "4"));
    expect_log(&f, "disconnect DISCONNECTED connect CONNECTED");
    g_assert_cmpstr(f.states->str, ==, "5624");
    down(&f);
}

/* A crashed kernel's successor starts at Initialising without a word of good-bye. */
static void test_initialising_out_of_the_blue(void)
{
    Fixture f;

    connected(&f);
    front(&f, 1);
    WAIT_FOR(is(&f, BE, "state", "2"));
    expect_log(&f, "disconnect DISCONNECTED");
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "4"));
    down(&f);
}

static void test_refused_connection(void)
{
    Fixture f;

    up(&f);
    back_start(&f);
    f.toy.refuse_connect = true;
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "5"));
    expect_log(&f, "connect disconnect ERROR");
    g_assert_cmpstr(f.toy.bus.error, ==, "the ring is square");
    g_assert_true(is(&f, "/local/domain/0/error/backend/toy/1/5", "error", "the ring is square"));
    /* it may come back, and then the reason is gone */
    f.toy.refuse_connect = false;
    front(&f, 6);
    WAIT_FOR(is(&f, BE, "state", "6"));
    front(&f, 1);
    WAIT_FOR(is(&f, BE, "state", "2"));
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "4"));
    g_assert_null(f.toy.bus.error);
    g_assert_true(is(&f, "/local/domain/0/error/backend/toy/1/5", "error", NULL));
    down(&f);
}

/*
 * A frontend's Initialising may be merged with what it writes next, or was never written: then
 * the backend sees Connected while it is Closing or Closed itself. It walks, and connects.
 */
static void test_connected_while_closed(void)
{
    Fixture f;

    connected(&f);
    for (int state = XenbusStateClosing; state <= XenbusStateClosed; state++) {
        front(&f, state);
        WAIT_FOR(g_str_has_suffix(f.states->str, state == XenbusStateClosing ? "5" : "6"));
        g_string_truncate(f.states, 0);
        front(&f, 4);
        WAIT_FOR(g_str_has_suffix(f.states->str, "4"));
        expect_log(&f, "disconnect DISCONNECTED connect CONNECTED");
        g_assert_true(is(&f, BE, "feature-bounce", "1"));
    }
    down(&f);
}

/* The same of one that was Closed when the backend came. */
static void test_connected_after_closed_at_start(void)
{
    Fixture f;

    up(&f);
    back_new(&f);
    front(&f, 6);
    xenbus_back_start(&f.toy.bus);
    WAIT_FOR(is(&f, BE, "state", "6"));
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "4"));
    expect_log(&f, "connect CONNECTED");
    down(&f);
}

/*
 * One that was refused, or broke the protocol, is asked to close. It may write Connected again
 * instead, with other keys; that it still stands there from before is no new try.
 */
static void test_connected_again_after_refusal(void)
{
    Fixture f;

    up(&f);
    back_start(&f);
    f.toy.refuse_connect = true;
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "5"));
    expect_log(&f, "connect disconnect ERROR");
    put(&f, BE, "online", "1"); /* the backend looks */
    put(&f, BE, "hotplug-status", "connected");
    settle();
    expect_log(&f, "");
    g_assert_true(is(&f, BE, "state", "5"));
    f.toy.refuse_connect = false;
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "4"));
    expect_log(&f, "connect CONNECTED");
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    settle();
    expect_log(&f, "disconnect DISCONNECTED ERROR");
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "4"));
    expect_log(&f, "connect CONNECTED");
    down(&f);
}

/* The script that has to run before belongs to this connection, too. */
static void test_connected_while_closed_waits_for_hotplug(void)
{
    Fixture f;

    up(&f);
    toolstack_add(&f);
    back_start(&f);
    front(&f, 6);
    WAIT_FOR(is(&f, BE, "state", "6"));
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "2"));
    settle();
    expect_log(&f, "");
    put(&f, BE, "hotplug-status", "connected");
    WAIT_FOR(f.toy.bus.connected);
    down(&f);
}

/* Not while the device is going: neither by us, nor by the toolstack. */
static void test_connected_while_it_goes(void)
{
    Fixture f;

    connected(&f);
    put(&f, BE, "online", "0");
    front(&f, 5);
    WAIT_FOR(is(&f, BE, "state", "5"));
    front(&f, 4);
    settle();
    g_assert_true(is(&f, BE, "state", "5"));
    expect_log(&f, "disconnect DISCONNECTED");
    put(&f, BE, "online", "1");
    front(&f, 4);
    WAIT_FOR(is(&f, BE, "state", "4"));
    expect_log(&f, "connect CONNECTED");
    xenbus_back_close(&f.toy.bus, 60000);
    front(&f, 4);
    settle();
    g_assert_true(is(&f, BE, "state", "5"));
    expect_log(&f, ""); /* and goes on until the frontend lets go */
    down(&f);
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
    Fixture f;
    guint counter;

    up(&f);
    f.toy.n_parts = 40;
    back_start(&f);
    settle();
    counter = g_idle_add_full(G_PRIORITY_DEFAULT, count_round, &rounds, NULL);
    for (unsigned i = 0; i < 2; i++) {
        f.toy.refuse_connect = i;
        rounds = 0;
        f.toy.round = &rounds; /* each step looks at it */
        f.toy.step_round = UINT_MAX;
        front(&f, 4);
        WAIT_FOR(is(&f, BE, "state", i ? "5" : "4"));
        g_assert_cmpuint(rounds, >=, i ? 78 : 39);
        front(&f, 5);
        WAIT_FOR(is(&f, BE, "state", "5"));
        g_assert_cmpuint(rounds, >=, 78);
        front(&f, 1);
        WAIT_FOR(is(&f, BE, "state", "2"));
    }
    g_source_remove(counter);
    down(&f);
}

static void connecting(Fixture *f, unsigned parts)
{
    up(f);
    f->toy.quiet = true;
    f->toy.n_parts = parts;
    back_start(f);
    settle(); /* what comes now comes once */
    front(f, 4);
    WAIT_FOR(f->toy.parts > 3);
    g_assert_true(is(f, BE, "state", "2"));
    g_assert_false(f->toy.bus.connected);
}

static void disconnecting(Fixture *f, int state)
{
    connecting(f, 2000);
    WAIT_FOR(f->toy.bus.connected);
    expect_log(f, "CONNECTED");
    front(f, state);
    WAIT_FOR(f->toy.parts < 1997);
    g_assert_cmpuint(f->toy.parts, >, 0);
    g_assert_true(is(f, BE, "state", "4")); /* the guest's pages are in use */
    g_assert_false(f->toy.bus.connected);
    expect_log(f, "");
}

/* Each state that a frontend may go to before it is connected. */
static void test_other_state_while_connecting(void)
{
    static const struct {
        int front;
        const char *back;
    } cases[] = { { 1, "2" }, { 5, "5" }, { 6, "6" } };
    Fixture f;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        connecting(&f, MANY);
        front(&f, cases[i].front);
        WAIT_FOR(f.toy.parts == 0 && is(&f, BE, "state", cases[i].back));
        expect_log(&f, ""); /* it never was connected */
        f.toy.n_parts = 5;
        front(&f, 1);
        WAIT_FOR(is(&f, BE, "state", "2"));
        front(&f, 4);
        WAIT_FOR(f.toy.bus.connected);
        down(&f);
    }
}

/* A Reconfiguring that came too early is answered once it is connected. */
static void test_reconfiguring_while_connecting(void)
{
    Fixture f;

    connecting(&f, 2000);
    front(&f, 7);
    WAIT_FOR(is(&f, BE, "state", "8"));
    expect_log(&f, "CONNECTED");
    down(&f);
}

/* New keys while the old ones are refused: they have their turn. */
static void test_connected_anew_while_connecting(void)
{
    Fixture f;

    connecting(&f, 2000);
    f.toy.refuse_connect = true;
    front(&f, 4);
    WAIT_FOR(f.toy.bus.disconnecting);
    f.toy.refuse_connect = false;
    WAIT_FOR(f.toy.bus.connected);
    expect_log(&f, "ERROR CONNECTED");
    down(&f);
}

/* A frontend that does not wait for answers: the end comes first, then what it wants now. */
static void test_other_state_while_disconnecting(void)
{
    static const struct {
        int first;
        int then;
        const char *back;
    } cases[] = { { 5, 1, "2" }, { 5, 6, "6" }, { 5, 4, "4" }, { 1, 4, "4" }, { 6, 1, "2" } };
    Fixture f;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        disconnecting(&f, cases[i].first);
        f.toy.n_parts = 1;
        front(&f, cases[i].then);
        WAIT_FOR(f.toy.log->len > 0);
        g_assert_true(g_str_has_prefix(f.toy.log->str, "DISCONNECTED"));
        WAIT_FOR(is(&f, BE, "state", cases[i].back) &&
                 f.toy.bus.connected == (cases[i].then == 4));
        down(&f);
    }
}

/* The first reason is the one that is told, once all is given back. */
static void test_faults_while_in_steps(void)
{
    Fixture f;

    connecting(&f, MANY);
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    xenbus_back_fail(&f.toy.bus, "queue 1: that one, too");
    g_assert_true(is(&f, BE, "state", "2"));
    expect_log(&f, "");
    WAIT_FOR(is(&f, BE, "state", "5"));
    expect_log(&f, "ERROR");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    g_assert_cmpstr(f.toy.bus.error, ==, "queue 0: it has holes");
    down(&f);
}

static void test_close_while_in_steps(void)
{
    Fixture f;

    connecting(&f, MANY);
    xenbus_back_close(&f.toy.bus, 60000);
    front(&f, 6);
    WAIT_FOR(f.toy.log->len > 0);
    expect_log(&f, "CLOSED");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    down(&f);

    disconnecting(&f, 5);
    xenbus_back_close(&f.toy.bus, 0); /* over before the steps are */
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    expect_log(&f, "DISCONNECTED CLOSED");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    down(&f);
}

static void test_domain_dies_while_in_steps(void)
{
    Fixture f;

    connecting(&f, MANY);
    guest_dies(&f);
    WAIT_FOR(f.toy.log->len > 0);
    expect_log(&f, "GONE");
    g_assert_cmpuint(f.toy.parts, ==, 0);
    down(&f);

    disconnecting(&f, 5);
    guest_dies(&f);
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "GONE"));
    expect_log(&f, "DISCONNECTED GONE");
    down(&f);
}

/* Freed at once: nothing of the guest's stays. */
static void test_done_while_in_steps(void)
{
    Fixture f;

    connecting(&f, MANY);
    xenbus_back_done(&f.toy.bus);
    g_assert_cmpuint(f.toy.parts, ==, 0);
    down(&f);

    disconnecting(&f, 5);
    xenbus_back_done(&f.toy.bus);
    g_assert_cmpuint(f.toy.parts, ==, 0);
    down(&f);
}

/* --- a frontend that fails again and again --- */

static void fail_once(Fixture *f)
{
    front(f, 4);
    WAIT_FOR(g_str_has_suffix(f->toy.log->str, "ERROR"));
    expect_log(f, "connect disconnect ERROR");
}

/* It waits twice as long each time, up to a second; a connection that lasts makes up for it. */
static void test_failures_wait_longer(void)
{
    Fixture f;

    up(&f);
    back_start(&f);
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
    front(&f, 4);
    WAIT_FOR(f.toy.bus.connected);
    xenbus_back_fail(&f.toy.bus, "it has holes");
    g_assert_cmpuint(f.toy.bus.fail_wait_ms, ==, 1000); /* it was only there to break */
    f.toy.bus.fail_until_us = 0;
    front(&f, 4);
    WAIT_FOR(f.toy.bus.connected);
    f.toy.bus.connected_us -= 2 * G_USEC_PER_SEC;
    xenbus_back_fail(&f.toy.bus, "it has holes");
    g_assert_cmpuint(f.toy.bus.fail_wait_ms, ==, 1);
    down(&f);
}

/* However often it writes meanwhile, and whatever way it goes. */
static void test_no_connection_before_the_wait_is_over(void)
{
    Fixture f;

    up(&f);
    back_start(&f);
    f.toy.refuse_connect = true;
    fail_once(&f);
    f.toy.bus.fail_until_us = g_get_monotonic_time() + 3600 * (gint64)G_USEC_PER_SEC;
    for (unsigned i = 0; i < 20; i++) {
        front(&f, 4);
        settle_once();
        front(&f, 6);
        settle_once();
        front(&f, 1);
        settle_once();
    }
    WAIT_FOR(is(&f, BE, "state", "2"));
    front(&f, 4);
    settle();
    expect_log(&f, "");
    g_assert_cmpuint(f.toy.bus.fail_timer, !=, 0); /* it is not forgotten */
    g_clear_handle_id(&f.toy.bus.fail_timer, g_source_remove);
    f.toy.bus.fail_until_us = g_get_monotonic_time() + 20000;
    f.toy.refuse_connect = false;
    put(&f, BE, "online", "1"); /* it looks */
    WAIT_FOR(f.toy.bus.connected);
    expect_log(&f, "connect CONNECTED");
    down(&f);
}

static void test_fault_while_connected(void)
{
    Fixture f;

    connected(&f);
    xenbus_back_fail(&f.toy.bus, "queue 0: it has holes");
    expect_log(&f, "disconnect DISCONNECTED ERROR");
    g_assert_true(is(&f, BE, "state", "5"));
    down(&f);
}

static void test_reconfiguring_is_answered(void)
{
    Fixture f;

    connected(&f);
    front(&f, 7);
    WAIT_FOR(is(&f, BE, "state", "8"));
    expect_log(&f, "");
    front(&f, 4);
    settle();
    expect_log(&f, ""); /* still connected */
    down(&f);
}

/* xl block-detach and its like: online 0, Closing; the frontend agrees. */
static void test_unplug_by_toolstack(void)
{
    Fixture f;

    up(&f);
    toolstack_add(&f);
    put(&f, BE, "hotplug-status", "connected");
    back_start(&f);
    front(&f, 4);
    WAIT_FOR(f.toy.bus.connected);
    g_string_truncate(f.toy.log, 0);
    put(&f, BE, "online", "0");
    put(&f, BE, "state", "5");
    front(&f, 5);
    WAIT_FOR(is(&f, BE, "state", "5") && !f.toy.bus.connected);
    front(&f, 6);
    WAIT_FOR(is(&f, BE, "state", "6"));
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "GONE"));
    expect_log(&f, "disconnect DISCONNECTED GONE");
    xenbus_back_done(&f.toy.bus);
    g_assert_true(is(&f, BE, "frontend", FE)); /* a toolstack removes its nodes itself */
    down(&f);
}

/* Forced: the directory goes at once. It does not come back with what is written last. */
static void test_directory_removed(void)
{
    Fixture f;

    connected(&f);
    g_assert_true(xen_store_remove(f.dom0, 0, BE));
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "GONE"));
    expect_log(&f, "disconnect DISCONNECTED GONE");
    g_assert_true(is(&f, BE, "state", NULL));
    down(&f);
}

static void test_frontend_removed(void)
{
    Fixture f;

    connected(&f);
    g_assert_true(xen_store_remove(f.domu, 0, FE));
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "GONE"));
    /* the function would be called, were the directory there */
    g_assert_true(xenbus_back_update(&f.toy.bus, true, NULL, NULL));
    down(&f);
}

static void test_domain_dies(void)
{
    Fixture f;

    connected(&f);
    guest_dies(&f);
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "GONE"));
    expect_log(&f, "disconnect DISCONNECTED GONE");
    down(&f);
}

/* We go: requests are served until the frontend has agreed. */
static void test_close(void)
{
    Fixture f;

    connected(&f);
    xenbus_back_close(&f.toy.bus, 60000);
    g_assert_true(is(&f, BE, "online", "0"));
    g_assert_true(is(&f, BE, "state", "5"));
    settle();
    g_assert_true(f.toy.bus.connected);
    front(&f, 6);
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    expect_log(&f, "disconnect DISCONNECTED CLOSED");
    xenbus_back_done(&f.toy.bus);
    g_assert_true(is(&f, BE, "frontend", NULL));
    g_assert_true(is(&f, FE, "backend", NULL));
    down(&f);
}

/* A frontend that never answers is waited for no longer than that. */
static void test_close_times_out(void)
{
    Fixture f;

    connected(&f);
    xenbus_back_close(&f.toy.bus, 20);
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    expect_log(&f, "disconnect DISCONNECTED CLOSED");
    down(&f);
}

/* Nobody has it yet: closed at once. */
static void test_close_unused(void)
{
    Fixture f;

    up(&f);
    back_new(&f);
    xenbus_back_close(&f.toy.bus, 60000);
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    down(&f);
}

/* Who may use the nodes of the backend: their owner. */
static void chown_back(Fixture *f, uint16_t owner, uint16_t reader)
{
    static const char *const keys[] = { "", "/frontend", "/frontend-id", "/online", "/state",
                                        "/script", "/hotplug-status" };

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *path = g_strconcat(BE, keys[i], NULL);

        g_assert_true(xen_store_mkdir(f->dom0, 0, path, owner, reader));
    }
}

/* A backend whose XenStore connection has the rights of domain 1, which dom0 gives and takes. */
static void restricted_start(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    up(f);
    toolstack_add(f);
    put(f, BE, "hotplug-status", "connected");
    chown_back(f, 1, 0);
    g_assert_true(xenbus_back_init(&f->toy.bus, &toy_ops, f->host, f->domu, 1, 5, &error));
    g_assert_no_error(error);
    xenbus_back_start(&f->toy.bus);
    front(f, 4);
    WAIT_FOR(is(f, BE, "state", "4"));
    expect_log(f, "connect CONNECTED");
}

/* What cannot be read is not gone. */
static void test_unreadable_is_not_gone(void)
{
    Fixture f;

    restricted_start(&f);
    chown_back(&f, 0, 0);
    put(&f, BE, "online", "1"); /* wakes it */
    settle();
    front(&f, 4);
    settle();
    g_assert_true(f.toy.bus.connected);
    expect_log(&f, "ERROR"); /* once */
    chown_back(&f, 1, 0);
    front(&f, 5);
    WAIT_FOR(is(&f, BE, "state", "5"));
    expect_log(&f, "disconnect DISCONNECTED");
    down(&f);
}

/* A state that could not be written is written later. */
static void test_unwritten_state_is_written_later(void)
{
    Fixture f;

    restricted_start(&f);
    chown_back(&f, 0, 1); /* it may read */
    front(&f, 5);
    WAIT_FOR(!f.toy.bus.connected);
    settle();
    g_assert_true(is(&f, BE, "state", "4"));
    expect_log(&f, "disconnect DISCONNECTED ERROR");
    chown_back(&f, 1, 0);
    WAIT_FOR(is(&f, BE, "state", "5"));
    expect_log(&f, "");
    down(&f);
}

static void test_idx(void)
{
    g_autoptr(GError) error = NULL;
    XenbusBack other = { 0 };
    Fixture f;

    up(&f);
    g_assert_false(xenbus_back_init(&other, &toy_ops, f.host, f.dom0, 1, 10, &error));
    g_assert_cmpstr(error->message, ==, "idx must be less than 10");
    g_clear_error(&error);
    xenbus_back_done(&other);
    for (int i = 0; i < 2; i++) {
        g_assert_true(xenbus_back_init(&f.toy.bus, &toy_ops, f.host, f.dom0, 1, -1, &error));
        g_assert_true(xenbus_back_init(&other, &toy_ops, f.host, f.dom0, 1, -1, &error));
        g_assert_cmpuint(f.toy.bus.idx, !=, other.idx);
        xenbus_back_done(&other);
        xenbus_back_done(&f.toy.bus);
    }
    down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/xen/xenbus-back/" name, fn)
    TEST("makes-nodes", test_makes_nodes);
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
    TEST("unplug-by-toolstack", test_unplug_by_toolstack);
    TEST("directory-removed", test_directory_removed);
    TEST("frontend-removed", test_frontend_removed);
    TEST("domain-dies", test_domain_dies);
    TEST("close", test_close);
    TEST("close-times-out", test_close_times_out);
    TEST("close-unused", test_close_unused);
    TEST("unreadable-is-not-gone", test_unreadable_is_not_gone);
    TEST("unwritten-state-is-written-later", test_unwritten_state_is_written_later);
    TEST("idx", test_idx);
    return g_test_run();
}
