/*
 * Netback's XenStore, whose nodes somebody removes while netback is at them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "fake-netdev.h"
#include "store-proxy.h"
#include "vif-raw.h"

/* Netback's connection to XenStore passes a proxy. */
typedef struct Fixture {
    Raw r;
    StoreProxy *proxy;
    XenStore *dom0;   /* another one, of whoever looks */
    char *ring_ref;   /* a key of the frontend, and directories; paths */
    char *queue;
} Fixture;

static void up(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    Vif *v = &f->r.v;

    *f = (Fixture) { 0 };
    vif_up(v, fake_netdev_new(2, true), fake_netdev_new(2, true));
    path = g_strdup_printf("%s/proxy", v->dir);
    f->proxy = store_proxy_new(path, v->host->store_path);
    f->dom0 = v->host_store;
    v->host_store = xen_store_open(path, &error);
    g_assert_no_error(error);
    f->queue = g_strdup_printf("%s/queue-1", v->fe);
    f->ring_ref = g_strdup_printf("%s/rx-ring-ref", f->queue);
}

/* Netback and its frontend, which is ready; netback has not looked yet. */
static void make(Fixture *f)
{
    vif_back_new(&f->r.v);
    raw_make(&f->r, true);
    raw_state(&f->r, XenbusStateConnected);
}

static void down(Fixture *f)
{
    Vif *v = &f->r.v;

    g_clear_pointer(&v->nb, netback_free);
    xen_store_close(v->host_store);
    store_proxy_free(f->proxy);
    v->host_store = f->dom0;
    if (f->r.share) {
        raw_free(&f->r);
    } else {
        vif_down(v);
    }
    g_free(f->queue);
    g_free(f->ring_ref);
}

static bool is_there(Fixture *f, const char *path)
{
    g_autofree char *value = xen_store_read(f->dom0, 0, path);

    return value != NULL;
}

static bool back_is(Fixture *f, const char *state)
{
    g_autofree char *path = g_strdup_printf("%s/state", f->r.v.be);
    g_autofree char *value = xen_store_read(f->dom0, 0, path);

    return g_strcmp0(value, state) == 0;
}

/* Between its being read and the end of the transaction: what was read counts for nothing. */
static void test_key(void)
{
    g_autofree char *want = NULL;
    Fixture f;

    up(&f);
    make(&f);
    want = g_strdup_printf("%s is missing", f.ring_ref);
    store_proxy_remove_in(f.proxy, f.ring_ref, f.ring_ref);
    netback_start(f.r.v.nb);
    VIF_WAIT(f.r.v.back.errors > 0);
    g_assert_true(store_proxy_removed(f.proxy));
    g_assert_cmpstr(f.r.v.back.error, ==, want);
    g_assert_cmpuint(f.r.v.back.connected, ==, 0);
    g_assert_true(back_is(&f, "5"));
    g_assert_false(is_there(&f, f.ring_ref));
    down(&f);
}

/* What a backend left that died, as it is taken up: what is missing then is made anew. */
static void test_taken_up(void)
{
    static const char *const keys[] = { "frontend", "frontend-id", "online", "hotplug-status",
                                        "state", "handle", "type", "mac" };
    g_autofree char *mac = NULL;
    Fixture f;
    Vif *v = &f.r.v;

    up(&f);
    g_assert_true(xen_store_mkdir(f.dom0, 0, v->be, 0, v->guest->domid));
    g_assert_true(xen_store_printf(f.dom0, 0, v->be, "frontend", "%s", v->fe));
    g_assert_true(xen_store_mkdir(f.dom0, 0, v->fe, v->guest->domid, 0));
    g_assert_true(xen_store_printf(f.dom0, 0, v->fe, "backend", "%s", v->be));
    mac = g_strdup_printf("%s/mac", v->be);
    store_proxy_remove_in(f.proxy, mac, v->be);
    vif_back_new(v);
    g_assert_true(store_proxy_removed(f.proxy));
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", v->be, keys[i]);

        g_assert_true(is_there(&f, path));
    }
    down(&f);
}

/* While a node of ours is written in the guest's directory. */
static void test_mtu(void)
{
    g_autofree char *mtu = NULL;
    Fixture f;

    up(&f);
    make(&f);
    netback_start(f.r.v.nb);
    VIF_WAIT(f.r.v.back.connected > 0);
    mtu = g_strdup_printf("%s/mtu", f.r.v.fe);
    store_proxy_remove_in(f.proxy, mtu, f.r.v.fe);
    f.r.v.back_dev->mtu = 9000;
    f.r.v.back_dev->changed(f.r.v.back_dev->changed_opaque);
    g_assert_true(store_proxy_removed(f.proxy));
    g_assert_false(is_there(&f, f.r.v.fe));
    VIF_WAIT(f.r.v.back.gone);
    down(&f);
}

typedef enum Removed {
    REMOVED_KEY,
    REMOVED_QUEUE,
    REMOVED_FRONT,
    REMOVED_BACK,
} Removed;

static const char *path_of(const Fixture *f, Removed what)
{
    switch (what) {
    case REMOVED_KEY:
        return f->ring_ref;
    case REMOVED_QUEUE:
        return f->queue;
    case REMOVED_FRONT:
        return f->r.v.fe;
    case REMOVED_BACK:
    default:
        return f->r.v.be;
    }
}

/* A key is read in time or is missing; a directory ends the device. */
static bool is_settled(const Fixture *f, Removed what)
{
    const VifEnd *back = &f->r.v.back;

    if (what == REMOVED_KEY || what == REMOVED_QUEUE) {
        return back->connected + back->errors > 0;
    }
    return back->gone;
}

/* Before each request that netback makes from its start on until it is connected. */
static void test_any_moment(gconstpointer data)
{
    const Removed what = GPOINTER_TO_UINT(data);
    bool removed = true;
    unsigned n;

    for (n = 0; removed; n++) {
        Fixture f;

        up(&f);
        make(&f);
        store_proxy_remove_at(f.proxy, n, path_of(&f, what));
        netback_start(f.r.v.nb);
        VIF_WAIT(f.r.v.back.connected > 0 || is_settled(&f, what));
        removed = store_proxy_removed(f.proxy);
        if (removed) {
            VIF_WAIT(is_settled(&f, what));
            if (f.r.v.back.errors > 0) {
                g_assert_true(g_str_has_prefix(f.r.v.back.error, f.r.v.fe)); /* of a key */
                g_assert_cmpuint(f.r.v.back.connected, ==, 0);
            }
            g_assert_false(is_there(&f, path_of(&f, what)));
        }
        down(&f);
    }
    g_assert_cmpuint(n, >, 20);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/net/xen-netback-store/removed/" name, fn)
#define ANY_MOMENT(name, what)                                                                 \
    g_test_add_data_func("/hw/net/xen-netback-store/removed/at-any-moment/" name,              \
                         GUINT_TO_POINTER(what), test_any_moment)
    TEST("key", test_key);
    TEST("taken-up", test_taken_up);
    TEST("mtu", test_mtu);
    ANY_MOMENT("key", REMOVED_KEY);
    ANY_MOMENT("queue", REMOVED_QUEUE);
    ANY_MOMENT("frontend", REMOVED_FRONT);
    ANY_MOMENT("backend", REMOVED_BACK);
    return g_test_run();
}
