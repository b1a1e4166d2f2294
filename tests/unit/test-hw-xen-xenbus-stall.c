/*
 * A backend whose XenStore stops answering for a while, at a bad moment, or in part.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/xen/xenbus-back.h"

#include <glib/gstdio.h>

#include "store-proxy.h"
#include "util/container-of.h"

#define BE "/local/domain/0/backend/toy/1/5"
#define FE "/local/domain/1/device/toy/5"

typedef struct Toy {
    XenbusBack bus;
    StoreProxy *proxy;
    bool hold_publish;
    bool hold_connect;
    unsigned connected;
    unsigned errors;
} Toy;

typedef struct Fixture {
    char *dir;
    char *path;      /* of the proxy */
    Xen *host;
    Xen *guest;      /* it is there, and does nothing */
    XenStore *dom0;  /* the toolstack's and the guest's */
    XenStore *store; /* the backend's */
    Toy toy;
} Fixture;

static bool toy_none(XenbusBack *b, XenTx tx)
{
    return true;
}

static bool toy_take_over(XenbusBack *b, GError **error)
{
    return true;
}

/* It stops once, and is there again when the hold is let go. */
static void toy_hold(Toy *t, bool *hold)
{
    if (*hold) {
        *hold = false;
        store_proxy_hold(t->proxy, true);
    }
}

static bool toy_publish(XenbusBack *b, XenTx tx)
{
    Toy *t = container_of(b, Toy, bus);

    toy_hold(t, &t->hold_publish);
    return xen_store_printf(b->store, tx, b->be, "feature-bounce", "1");
}

static XenbusStep toy_connect(XenbusBack *b, GError **error)
{
    Toy *t = container_of(b, Toy, bus);

    toy_hold(t, &t->hold_connect);
    if (!xen_store_has(b->store, 0, b->fe, "state")) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "cannot read %s", b->fe);
        return XENBUS_STEP_FAILED;
    }
    return XENBUS_STEP_DONE;
}

static XenbusStep toy_disconnect(XenbusBack *b)
{
    return XENBUS_STEP_DONE;
}

static void toy_event(XenbusBack *b, XenbusEvent event, const char *detail)
{
    Toy *t = container_of(b, Toy, bus);

    t->connected += event == XENBUS_CONNECTED;
    t->errors += event == XENBUS_ERROR;
}

static const XenbusBackOps toy_ops = {
    .kind = "toy",
    .toolstack_key = "script",
    .max_idx = 10,
    .write_nodes = toy_none,
    .take_over = toy_take_over,
    .publish = toy_publish,
    .connect = toy_connect,
    .disconnect = toy_disconnect,
    .event = toy_event,
};

static bool back_is(Fixture *f, const char *want)
{
    g_autofree char *state = xen_store_read(f->dom0, 0, BE "/state");

    return g_strcmp0(state, want) == 0;
}

static void front_state(Fixture *f, const char *state)
{
    g_assert_true(xen_store_write(f->dom0, 0, FE "/state", state));
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

static void up(Fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    f->dir = g_dir_make_tmp("test-xenbus-XXXXXX", &error);
    g_assert_no_error(error);
    path = g_build_filename(f->dir, "host", NULL);
    f->path = g_build_filename(f->dir, "proxy", NULL);
    f->host = xen_xenemu_open_host(path, &error);
    g_assert_no_error(error);
    f->guest = xen_xenemu_open_guest(path, 1, 1 << 20, &error);
    g_assert_no_error(error);
    f->dom0 = xen_store_open(f->host->store_path, &error);
    f->toy.proxy = store_proxy_new(f->path, f->host->store_path);
    f->store = xen_store_open(f->path, &error);
    g_assert_no_error(error);
    xen_store_end_soon(f->store); /* stalls are short */
    g_assert_true(xenbus_back_init(&f->toy.bus, &toy_ops, f->host, f->store, 1, 5, &error));
    g_assert_no_error(error);
}

static void down(Fixture *f, gconstpointer unused)
{
    xenbus_back_done(&f->toy.bus);
    xen_store_close(f->store);
    store_proxy_free(f->toy.proxy);
    xen_store_close(f->dom0);
    xen_close(f->guest);
    xen_close(f->host);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->path);
}

/* While the features are written: InitWait comes later. */
static void test_publish(Fixture *f, gconstpointer unused)
{
    f->toy.hold_publish = true;
    xenbus_back_start(&f->toy.bus);
    g_assert_true(back_is(f, "1"));
    store_proxy_hold(f->toy.proxy, false);
    WAIT_FOR(back_is(f, "2"));
    g_assert_cmpuint(f->toy.errors, ==, 1);
    front_state(f, "4");
    WAIT_FOR(back_is(f, "4"));
}

/* While it connects: the frontend is not sent away, it is asked again. */
static void test_connect(Fixture *f, gconstpointer unused)
{
    xenbus_back_start(&f->toy.bus);
    f->toy.hold_connect = true;
    front_state(f, "4");
    WAIT_FOR(f->toy.errors > 0);
    g_assert_true(back_is(f, "2"));
    g_assert_cmpint(f->toy.bus.state, ==, XenbusStateInitWait);
    g_assert_null(f->toy.bus.error);
    store_proxy_hold(f->toy.proxy, false);
    WAIT_FOR(back_is(f, "4"));
    g_assert_cmpuint(f->toy.errors, ==, 1);
    g_assert_cmpuint(f->toy.connected, ==, 1);
}

/* While it is connected, it stays so; and it ends in its time. */
static void test_close(Fixture *f, gconstpointer unused)
{
    xenbus_back_start(&f->toy.bus);
    front_state(f, "4");
    WAIT_FOR(f->toy.connected);
    store_proxy_hold(f->toy.proxy, true);
    xenbus_back_close(&f->toy.bus, 20);
    WAIT_FOR(f->toy.bus.closed_sent);
    store_proxy_hold(f->toy.proxy, false);
}

/* Nobody says whether the guest is still there: it is served on. */
static void test_unknown_domain(Fixture *f, gconstpointer unused)
{
    xenbus_back_start(&f->toy.bus);
    front_state(f, "4");
    WAIT_FOR(f->toy.connected);
    store_proxy_refuse_domains(f->toy.proxy);
    front_state(f, "4"); /* wakes it */
    WAIT_FOR(store_proxy_refused(f->toy.proxy) > 0);
    front_state(f, "5");
    WAIT_FOR(back_is(f, "5") || f->toy.bus.closed_sent);
    g_assert_false(f->toy.bus.closed_sent);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add("/hw/xen/xenbus-stall/" name, Fixture, NULL, up, fn, down)
    TEST("publish", test_publish);
    TEST("connect", test_connect);
    TEST("close", test_close);
    TEST("unknown-domain", test_unknown_domain);
    return g_test_run();
}
