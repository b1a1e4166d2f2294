/*
 * The life of a frontend that is no vif: a made-up kind, whose backend and toolstack are
 * played by hand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-front.h"

#include <glib/gstdio.h>

#include "store-proxy.h"
#include "util/container-of.h"

#define BE "/local/domain/0/backend/toy/1/5"
#define FE "/local/domain/1/device/toy/5"

typedef struct Toy {
    XenbusFront bus;
    GString *log;   /* what happened, in order */
    void *page;
    uint32_t ref;
    bool refuse_connect;
    bool refuse_run;
    unsigned level; /* the key that it follows */
} Toy;

typedef struct Fixture {
    char *dir;
    Xen *host;
    Xen *guest;
    XenStore *dom0;
    XenStore *domu;
    StoreProxy *proxy; /* between the frontend and its XenStore */
    XenbusFrontOps ops;
    Toy toy;
} Fixture;

static void toy_say(XenbusFront *f, const char *what)
{
    Toy *t = container_of(f, Toy, bus);

    g_string_append_printf(t->log, "%s%s", t->log->len ? " " : "", what);
}

static bool toy_connect(XenbusFront *f, GError **error)
{
    Toy *t = container_of(f, Toy, bus);

    toy_say(f, "connect");
    t->page = f->xen->ops->share_alloc(f->share, f->backend_id, 1, true, &t->ref);
    g_assert_nonnull(t->page);
    if (t->refuse_connect) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "no ring is round enough");
        return false;
    }
    return true;
}

static bool toy_run(XenbusFront *f, GError **error)
{
    toy_say(f, "run");
    if (container_of(f, Toy, bus)->refuse_run) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "no legs");
        return false;
    }
    return true;
}

static void toy_disconnect(XenbusFront *f)
{
    Toy *t = container_of(f, Toy, bus);

    if (t->page) {
        toy_say(f, "disconnect");
        xenbus_front_unshare(f, g_steal_pointer(&t->page), 1);
    }
}

static void toy_changed(XenbusFront *f)
{
    container_of(f, Toy, bus)->level = (unsigned)(f->be ? xenbus_front_feature(f, "level", 7) : 0);
}

static void toy_event(XenbusFront *f, XenbusEvent event, const char *detail)
{
    static const char *const names[] = {
        [XENBUS_CONNECTED] = "CONNECTED",
        [XENBUS_DISCONNECTED] = "DISCONNECTED",
        [XENBUS_ERROR] = "ERROR",
        [XENBUS_CLOSED] = "CLOSED",
        [XENBUS_GONE] = "GONE",
    };

    toy_say(f, names[event]);
}

static const XenbusFrontOps toy_ops = {
    .kind = "toy",
    .follow = "level",
    .connect = toy_connect,
    .run = toy_run,
    .disconnect = toy_disconnect,
    .changed = toy_changed,
    .event = toy_event,
};

/* --- the host --- */

static bool front_is(Fixture *f, const char *want)
{
    g_autofree char *state = xen_store_read(f->dom0, 0, FE "/state");

    return g_strcmp0(state, want) == 0;
}

static void put(Fixture *f, const char *dir, const char *key, const char *value)
{
    g_assert_true(xen_store_printf(f->dom0, 0, dir, key, "%s", value));
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

static void toolstack_add(Fixture *f, const char *state)
{
    g_assert_true(xen_store_mkdir(f->dom0, 0, BE, 0, 1));
    put(f, BE, "frontend", FE);
    put(f, BE, "frontend-id", "1");
    put(f, BE, "online", "1");
    put(f, BE, "state", state);
    g_assert_true(xen_store_mkdir(f->dom0, 0, FE, 1, 0));
    put(f, FE, "state", "1");
    put(f, FE, "backend-id", "0");
    put(f, FE, "backend", BE);
}

static void up_with(Fixture *f, const XenbusFrontOps *ops)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL, *domu = NULL;

    *f = (Fixture){ .dir = g_dir_make_tmp("test-xenbus-XXXXXX", &error), .ops = *ops };
    g_assert_no_error(error);
    path = g_build_filename(f->dir, "host", NULL);
    f->host = xen_xenemu_open_host(path, &error);
    g_assert_no_error(error);
    f->guest = xen_xenemu_open_guest(path, 1, 1 << 20, &error);
    g_assert_no_error(error);
    f->dom0 = xen_store_open(f->host->store_path, &error);
    domu = g_build_filename(f->dir, "domu", NULL);
    f->proxy = store_proxy_new(domu, f->guest->store_path);
    f->domu = xen_store_open(domu, &error);
    g_assert_no_error(error);
    f->toy.log = g_string_new(NULL);
    g_assert_true(xenbus_front_init(&f->toy.bus, &f->ops, f->guest, f->domu, 5, &error));
    xenbus_front_start(&f->toy.bus);
}

static void up(Fixture *f)
{
    up_with(f, &toy_ops);
}

static void down(Fixture *f)
{
    xenbus_front_done(&f->toy.bus);
    xenbus_front_done(&f->toy.bus);
    g_assert_null(f->toy.page);
    xen_store_close(f->domu);
    store_proxy_free(f->proxy);
    xen_close(f->guest);
    xen_store_close(f->dom0);
    xen_close(f->host);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_string_free(f->toy.log, true);
}

static void expect_log(Fixture *f, const char *want)
{
    g_assert_cmpstr(f->toy.log->str, ==, want);
    g_string_truncate(f->toy.log, 0);
}

static void connected(Fixture *f)
{
    up(f);
    toolstack_add(f, "2");
    WAIT_FOR(front_is(f, "4"));
    put(f, BE, "state", "4");
    WAIT_FOR(f->toy.bus.running);
    expect_log(f, "connect run CONNECTED");
}

/* --- tests --- */

/* The backend is there later than its nodes. */
static void test_connect(void)
{
    Fixture f;

    up(&f);
    toolstack_add(&f, "1");
    WAIT_FOR(f.toy.bus.state == XenbusStateInitialising);
    expect_log(&f, "");
    put(&f, BE, "state", "2");
    WAIT_FOR(front_is(&f, "4"));
    expect_log(&f, "connect");
    g_assert_false(f.toy.bus.running);
    put(&f, BE, "state", "4");
    WAIT_FOR(f.toy.bus.running);
    expect_log(&f, "run CONNECTED");
    down(&f);
}

/* As a vbd's frontend: it is Connected after the backend, and reads before that what it said. */
static void up_initialised(Fixture *f)
{
    XenbusFrontOps ops = toy_ops;

    ops.at_initialised = true;
    up_with(f, &ops);
    toolstack_add(f, "2");
    WAIT_FOR(front_is(f, "3"));
    expect_log(f, "connect");
}

static void test_initialised(void)
{
    Fixture f;

    up_initialised(&f);
    g_assert_false(f.toy.bus.running);
    put(&f, BE, "state", "4");
    WAIT_FOR(front_is(&f, "4"));
    g_assert_true(f.toy.bus.running);
    expect_log(&f, "run CONNECTED");
    put(&f, BE, "state", "4"); /* something has changed: no other connection */
    put(&f, BE, "level", "3");
    WAIT_FOR(f.toy.level == 3);
    expect_log(&f, "");
    put(&f, BE, "state", "5");
    WAIT_FOR(front_is(&f, "6"));
    expect_log(&f, "disconnect DISCONNECTED");
    down(&f);
}

/* Until the backend has looked at the keys, its InitWait is that which they were written for. */
static void test_initialised_waits(void)
{
    Fixture f;

    up_initialised(&f);
    put(&f, BE, "state", "2");
    put(&f, BE, "level", "3");
    WAIT_FOR(f.toy.level == 3);
    g_assert_true(front_is(&f, "3"));
    expect_log(&f, "");
    put(&f, BE, "state", "5"); /* it does not want them */
    WAIT_FOR(front_is(&f, "6"));
    down(&f);
}

/* The same backend once more: the frontend begins anew. */
static void test_initialised_again(void)
{
    Fixture f;

    up_initialised(&f);
    put(&f, BE, "state", "4");
    WAIT_FOR(f.toy.bus.running);
    put(&f, BE, "state", "2");
    WAIT_FOR(front_is(&f, "3"));
    expect_log(&f, "run CONNECTED disconnect DISCONNECTED connect");
    down(&f);
}

static void test_initialised_run_fails(void)
{
    Fixture f;

    up_initialised(&f);
    f.toy.refuse_run = true;
    put(&f, BE, "state", "4");
    WAIT_FOR(front_is(&f, "6"));
    expect_log(&f, "run disconnect ERROR");
    down(&f);
}

/* It was connected to a frontend before us, which has to be seen to be gone first. */
static void test_former_frontend(void)
{
    Fixture f;

    up(&f);
    toolstack_add(&f, "4");
    WAIT_FOR(front_is(&f, "6"));
    put(&f, BE, "state", "6");
    WAIT_FOR(front_is(&f, "1"));
    put(&f, BE, "state", "2");
    WAIT_FOR(front_is(&f, "4"));
    down(&f);
}

static void test_follows_a_key(void)
{
    Fixture f;

    connected(&f);
    g_assert_cmpuint(f.toy.level, ==, 7); /* absent */
    put(&f, BE, "level", "3");
    WAIT_FOR(f.toy.level == 3);
    down(&f);
}

/* Pages stay granted until the backend says that it is Closed. */
static void test_pages_wait_for_the_backend(void)
{
    uint32_t ref;
    XenGnttab *g;
    void *page;
    Fixture f;

    connected(&f);
    ref = f.toy.ref;
    g = f.host->ops->gnttab_open(f.host, NULL);
    put(&f, BE, "state", "5");
    WAIT_FOR(front_is(&f, "6"));
    expect_log(&f, "disconnect DISCONNECTED");
    page = f.host->ops->gnttab_map(g, 1, &ref, 1, true);
    g_assert_nonnull(page);
    g_assert_cmpint(f.host->ops->gnttab_unmap(g, page, 1), ==, 0);
    put(&f, BE, "online", "0");
    put(&f, BE, "state", "6");
    WAIT_FOR(f.toy.bus.pages_timer == 0);
    g_assert_null(f.host->ops->gnttab_map(g, 1, &ref, 1, true));
    f.host->ops->gnttab_close(g);
    down(&f);
}

static void test_reconnect(void)
{
    Fixture f;

    connected(&f);
    put(&f, BE, "state", "5");
    WAIT_FOR(front_is(&f, "6"));
    put(&f, BE, "state", "6");
    WAIT_FOR(front_is(&f, "1"));
    put(&f, BE, "state", "2");
    WAIT_FOR(front_is(&f, "4"));
    put(&f, BE, "state", "4");
    WAIT_FOR(f.toy.bus.running);
    expect_log(&f, "disconnect DISCONNECTED connect run CONNECTED");
    down(&f);
}

/* A backend that was started again is at InitWait without a word of good-bye. */
static void test_another_backend(void)
{
    Fixture f;

    connected(&f);
    put(&f, BE, "state", "2");
    WAIT_FOR(front_is(&f, "4") && !f.toy.bus.running);
    put(&f, BE, "state", "4");
    WAIT_FOR(f.toy.bus.running);
    expect_log(&f, "disconnect DISCONNECTED connect run CONNECTED");
    down(&f);
}

static void test_connect_fails(void)
{
    Fixture f;

    up(&f);
    f.toy.refuse_connect = true;
    toolstack_add(&f, "2");
    WAIT_FOR(f.toy.bus.error);
    g_assert_cmpstr(f.toy.bus.error, ==, "no ring is round enough");
    g_assert_true(g_str_has_prefix(f.toy.log->str, "connect disconnect ERROR"));
    f.toy.refuse_connect = false;
    WAIT_FOR(front_is(&f, "4")); /* tried again, after a while */
    down(&f);
}

static void test_run_fails(void)
{
    Fixture f;

    up(&f);
    f.toy.refuse_run = true;
    toolstack_add(&f, "2");
    WAIT_FOR(front_is(&f, "4"));
    put(&f, BE, "state", "4");
    WAIT_FOR(front_is(&f, "6"));
    expect_log(&f, "connect run disconnect ERROR");
    down(&f);
}

/* The device is taken away, and another one takes its place. */
static void test_device_removed(void)
{
    Fixture f;

    connected(&f);
    g_assert_true(xen_store_remove(f.dom0, 0, FE));
    g_assert_true(xen_store_remove(f.dom0, 0, BE));
    WAIT_FOR(!f.toy.bus.be);
    expect_log(&f, "disconnect DISCONNECTED ERROR");
    toolstack_add(&f, "2");
    WAIT_FOR(front_is(&f, "4"));
    down(&f);
}

static bool error_is(Fixture *f, const char *want)
{
    return g_strcmp0(f->toy.bus.error, want) == 0;
}

/* What it waits for is said once: first the device, then the backend's state. */
static void test_says_what_it_waits_for(void)
{
    Fixture f;

    up(&f);
    WAIT_FOR(error_is(&f, "waits for a backend: there is no " FE "/backend"));
    expect_log(&f, "ERROR");
    toolstack_add(&f, "1");
    WAIT_FOR(front_is(&f, "1"));
    put(&f, BE, "state", "2");
    WAIT_FOR(front_is(&f, "4"));
    put(&f, BE, "state", "4");
    WAIT_FOR(f.toy.bus.running);
    g_assert_null(f.toy.bus.error);
    expect_log(&f, "connect run CONNECTED");
    down(&f);
}

static void test_says_that_the_backend_waits(void)
{
    Fixture f;

    up(&f);
    toolstack_add(&f, "1");
    WAIT_FOR(error_is(&f, "waits for the backend: " BE "/state is initialising"));
    expect_log(&f, "ERROR");
    down(&f);
}

#define REASON "/local/domain/0/error/backend/toy/1/5"

static void refused(Fixture *f)
{
    up(f);
    toolstack_add(f, "2");
    WAIT_FOR(front_is(f, "4"));
    put(f, BE, "state", "5");
    WAIT_FOR(front_is(f, "6"));
}

static void test_says_why_it_was_refused(void)
{
    Fixture f;

    up(&f);
    g_assert_true(xen_store_mkdir(f.dom0, 0, REASON, 0, 1));
    put(&f, REASON, "error", "the ring is square");
    toolstack_add(&f, "2");
    WAIT_FOR(front_is(&f, "4"));
    put(&f, BE, "state", "5");
    WAIT_FOR(error_is(&f, "the backend refused: the ring is square (" REASON "/error)"));
    down(&f);
}

/* A Linux backend's reason is not readable for a guest: then it is said where it is. */
static void test_says_that_it_was_refused(void)
{
    Fixture f;

    refused(&f);
    g_assert_cmpstr(f.toy.bus.error, ==,
                    "the backend refused; its reason may be in " REASON "/error");
    down(&f);
}

/* Somebody took its own key away. */
static void test_says_that_the_device_is_gone(void)
{
    Fixture f;

    connected(&f);
    g_assert_true(xen_store_remove(f.dom0, 0, FE "/backend"));
    WAIT_FOR(error_is(&f, FE "/backend is gone: the device was taken away"));
    expect_log(&f, "disconnect DISCONNECTED ERROR");
    down(&f);
}

static void test_close(void)
{
    Fixture f;

    connected(&f);
    xenbus_front_close(&f.toy.bus, 60000);
    g_assert_true(front_is(&f, "5"));
    g_assert_true(f.toy.bus.running); /* until the backend agrees */
    put(&f, BE, "state", "5");
    WAIT_FOR(front_is(&f, "6"));
    put(&f, BE, "state", "6");
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    expect_log(&f, "disconnect DISCONNECTED CLOSED");
    down(&f);
}

static void test_close_times_out(void)
{
    Fixture f;

    connected(&f);
    xenbus_front_close(&f.toy.bus, 20);
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    g_assert_true(front_is(&f, "6"));
    down(&f);
}

static void test_close_without_device(void)
{
    Fixture f;

    up(&f);
    xenbus_front_close(&f.toy.bus, 60000);
    WAIT_FOR(g_str_has_suffix(f.toy.log->str, "CLOSED"));
    down(&f);
}

/* XenStore does not answer: what it says is not known, so nothing is taken away. */
static void test_store_stalls(void)
{
    Fixture f;

    connected(&f);
    xen_store_end_soon(f.domu);
    store_proxy_hold(f.proxy, true);
    xenbus_front_start(&f.toy.bus); /* it looks */
    g_assert_true(f.toy.bus.running);
    g_assert_cmpstr(f.toy.bus.be, ==, BE);
    xenbus_front_start(&f.toy.bus);
    expect_log(&f, "ERROR"); /* once */
    put(&f, BE, "level", "5");
    store_proxy_hold(f.proxy, false);
    WAIT_FOR(f.toy.level == 5);
    g_assert_true(f.toy.bus.running);
    expect_log(&f, "");
    down(&f);
}

/* The state that could not be written is written later. */
static void test_state_is_written_later(void)
{
    Fixture f;

    connected(&f);
    xen_store_end_soon(f.domu);
    store_proxy_hold(f.proxy, true);
    xenbus_front_start(&f.toy.bus); /* from now on calls fail at once */
    xenbus_front_fail(&f.toy.bus, "queue 0: it has holes");
    store_proxy_hold(f.proxy, false);
    g_assert_true(front_is(&f, "4"));
    WAIT_FOR(front_is(&f, "6"));
    down(&f);
}

/* The watches of a backend, too. */
static void test_watches_later(void)
{
    Fixture f;

    up(&f);
    xen_store_end_soon(f.domu);
    store_proxy_hold(f.proxy, true);
    xenbus_front_start(&f.toy.bus);
    toolstack_add(&f, "2");
    store_proxy_hold(f.proxy, false);
    WAIT_FOR(front_is(&f, "4"));
    put(&f, BE, "state", "4");
    WAIT_FOR(f.toy.bus.running);
    down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/xen/xenbus-front/" name, fn)
    TEST("connect", test_connect);
    TEST("initialised", test_initialised);
    TEST("initialised-waits", test_initialised_waits);
    TEST("initialised-again", test_initialised_again);
    TEST("initialised-run-fails", test_initialised_run_fails);
    TEST("former-frontend", test_former_frontend);
    TEST("follows-a-key", test_follows_a_key);
    TEST("pages-wait-for-the-backend", test_pages_wait_for_the_backend);
    TEST("reconnect", test_reconnect);
    TEST("another-backend", test_another_backend);
    TEST("connect-fails", test_connect_fails);
    TEST("run-fails", test_run_fails);
    TEST("device-removed", test_device_removed);
    TEST("says-what-it-waits-for", test_says_what_it_waits_for);
    TEST("says-that-the-backend-waits", test_says_that_the_backend_waits);
    TEST("says-why-it-was-refused", test_says_why_it_was_refused);
    TEST("says-that-it-was-refused", test_says_that_it_was_refused);
    TEST("says-that-the-device-is-gone", test_says_that_the_device_is_gone);
    TEST("close", test_close);
    TEST("close-times-out", test_close_times_out);
    TEST("close-without-device", test_close_without_device);
    TEST("store-stalls", test_store_stalls);
    TEST("state-is-written-later", test_state_is_written_later);
    TEST("watches-later", test_watches_later);
    return g_test_run();
}
