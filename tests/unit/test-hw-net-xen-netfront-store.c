/*
 * Netfront's XenStore, whose nodes somebody removes while netfront is at them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "fake-netdev.h"
#include "store-proxy.h"
#include "vif.h"

/* Netfront's connection to XenStore passes a proxy. */
typedef struct Fixture {
    Vif v;
    StoreProxy *proxy;
    XenStore *direct;
} Fixture;

static void up(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    Vif *v = &f->v;

    vif_up(v, fake_netdev_new(2, true), fake_netdev_new(2, true));
    path = g_strdup_printf("%s/proxy", v->dir);
    f->proxy = store_proxy_new(path, v->guest->store_path);
    f->direct = v->guest_store;
    v->guest_store = xen_store_open(path, &error);
    g_assert_no_error(error);
    vif_back_start(v);
}

static void down(Fixture *f)
{
    Vif *v = &f->v;

    vif_front_close(v);
    if (v->back.gone) {
        g_clear_pointer(&v->nb, netback_free);
    }
    xen_store_close(v->guest_store);
    store_proxy_free(f->proxy);
    v->guest_store = f->direct;
    vif_down(v);
}

static void expect_gone(Fixture *f)
{
    g_autofree char *directory = NULL;

    VIF_WAIT(f->v.back.gone && f->v.front.connected == f->v.front.disconnected);
    directory = xen_store_read(f->v.host_store, 0, f->v.fe);
    g_assert_null(directory);
}

/* An old one, while it is written anew: all of them are written again. */
static void test_key(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree char *key = NULL;
    Fixture f;

    up(&f);
    key = g_strdup_printf("%s/request-rx-copy", f.v.fe);
    g_assert_true(xen_store_write(f.direct, 0, key, "0"));
    store_proxy_remove_in(f.proxy, key, key);
    vif_front_start(&f.v, &config);
    VIF_WAIT(f.v.front.connected + f.v.front.errors > 0);
    g_assert_true(store_proxy_removed(f.proxy));
    g_assert_cmpuint(f.v.front.connected, ==, 1);
    g_assert_cmpuint(f.v.back.errors, ==, 0);
    down(&f);
}

/* While keys are written: what is not there is not made again, and the reason is told. */
static void test_directory(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree char *key = NULL;
    Fixture f;

    up(&f);
    key = g_strdup_printf("%s/request-rx-copy", f.v.fe);
    store_proxy_remove_in(f.proxy, key, f.v.fe);
    vif_front_start(&f.v, &config);
    VIF_WAIT(f.v.front.errors > 0);
    g_assert_true(g_str_has_prefix(f.v.front.error, "cannot write /local/domain/"));
    g_assert_true(store_proxy_removed(f.proxy));
    g_assert_cmpuint(f.v.front.connected, ==, 0);
    expect_gone(&f);
    down(&f);
}

/* Before each request that netfront makes from its start on until it is connected. */
static void test_any_moment(void)
{
    NetfrontConfig config = vif_front_config();
    bool removed = true;
    unsigned n;

    for (n = 0; removed; n++) {
        Fixture f;

        up(&f);
        store_proxy_remove_at(f.proxy, n, f.v.fe);
        vif_front_start(&f.v, &config);
        VIF_WAIT(f.v.front.connected > 0 || store_proxy_removed(f.proxy));
        removed = store_proxy_removed(f.proxy);
        if (removed) {
            expect_gone(&f);
        }
        down(&f);
    }
    g_assert_cmpuint(n, >, 20);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, fn) g_test_add_func("/hw/net/xen-netfront-store/removed/" name, fn)
    TEST("key", test_key);
    TEST("directory", test_directory);
    TEST("at-any-moment", test_any_moment);
    return g_test_run();
}
