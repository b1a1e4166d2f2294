/*
 * What is removed of domains that are gone, and what stays. Domain 77 is not there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "fake-netdev.h"
#include "hw/xen/xenbus-sweep.h"
#include "store-proxy.h"
#include "vif.h"

static void up(Vif *v)
{
    vif_up(v, fake_netdev_new(1, true), fake_netdev_new(1, true));
}

static void put(Vif *v, const char *path, const char *value)
{
    g_assert_true(xen_store_write(v->host_store, 0, path, value));
}

static bool is_there(Vif *v, const char *path)
{
    g_autofree char *value = xen_store_read(v->host_store, 0, path);

    return value != NULL;
}

/* As a backend leaves them that was killed. */
static void test_of_a_dead_domain(void)
{
    Vif v;

    up(&v);
    put(&v, "/local/domain/0/backend/vif/77/0/frontend", "/local/domain/77/device/vif/0");
    put(&v, "/local/domain/0/backend/vif/77/0/state", "4");
    put(&v, "/local/domain/0/backend/vif/77/3/frontend", "/local/domain/77/device/vif/3");
    put(&v, "/local/domain/0/error/backend/vif/77/0/error", "why");
    put(&v, "/local/domain/0/device-model/77/state", "running");
    g_assert_cmpuint(xenbus_sweep(v.host, v.host_store, "vif", "script"), ==, 4);
    g_assert_false(is_there(&v, "/local/domain/0/backend/vif/77"));
    g_assert_false(is_there(&v, "/local/domain/0/error/backend/vif/77"));
    g_assert_false(is_there(&v, "/local/domain/0/device-model/77"));
    g_assert_cmpuint(xenbus_sweep(v.host, v.host_store, "vif", "script"), ==, 0);
    vif_down(&v);
}

static void test_a_live_one_keeps_its_own(void)
{
    NetfrontConfig config = vif_front_config();
    g_autofree char *model = NULL;
    Vif v;

    up(&v);
    vif_connect(&v, &config);
    model = g_strdup_printf("/local/domain/0/device-model/%u/state", v.guest->domid);
    put(&v, model, "running");
    g_assert_cmpuint(xenbus_sweep(v.host, v.host_store, "vif", "script"), ==, 0);
    g_assert_true(is_there(&v, v.be));
    g_assert_true(is_there(&v, model));
    vif_down(&v);
}

static void test_a_toolstack_removes_its_own(void)
{
    Vif v;

    up(&v);
    put(&v, "/local/domain/0/backend/vif/77/0/frontend", "/local/domain/77/device/vif/0");
    put(&v, "/local/domain/0/backend/vif/77/0/script", "/etc/xen/scripts/vif-bridge");
    put(&v, "/local/domain/0/backend/vif/77/1/frontend", "/local/domain/77/device/vif/1");
    put(&v, "/local/domain/0/device-model/77/state", "running");
    put(&v, "/local/domain/0/device-model/77/physmap", "");
    g_assert_cmpuint(xenbus_sweep(v.host, v.host_store, "vif", "script"), ==, 1);
    g_assert_true(is_there(&v, "/local/domain/0/backend/vif/77/0/script"));
    g_assert_false(is_there(&v, "/local/domain/0/backend/vif/77/1"));
    g_assert_true(is_there(&v, "/local/domain/0/device-model/77/state"));
    vif_down(&v);
}

/* A kind whose toolstack has another mark. */
static void test_another_mark(void)
{
    Vif v;

    up(&v);
    put(&v, "/local/domain/0/backend/qdisk/77/0/frontend", "/local/domain/77/device/vbd/0");
    put(&v, "/local/domain/0/backend/qdisk/77/0/params", "raw:/disk");
    put(&v, "/local/domain/0/backend/qdisk/77/1/frontend", "/local/domain/77/device/vbd/1");
    g_assert_cmpuint(xenbus_sweep(v.host, v.host_store, "qdisk", "params"), ==, 1);
    g_assert_true(is_there(&v, "/local/domain/0/backend/qdisk/77/0"));
    g_assert_false(is_there(&v, "/local/domain/0/backend/qdisk/77/1"));
    vif_down(&v);
}

/* Nobody says whether it is: what it has is left alone. */
static void test_unknown_is_not_dead(void)
{
    const char *node = "/local/domain/0/backend/vif/77/0/frontend";
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    StoreProxy *proxy;
    XenStore *store;
    Vif v;

    up(&v);
    put(&v, node, "/local/domain/77/device/vif/0");
    path = g_strdup_printf("%s/proxy", v.dir);
    proxy = store_proxy_new(path, v.host->store_path);
    store = xen_store_open(path, &error);
    g_assert_no_error(error);
    store_proxy_refuse_domains(proxy);
    g_assert_cmpuint(xenbus_sweep(v.host, store, "vif", "script"), ==, 0);
    g_assert_cmpuint(store_proxy_refused(proxy), ==, 1);
    g_assert_true(is_there(&v, node));
    xen_store_close(store);
    store_proxy_free(proxy);
    vif_down(&v);
}

/* Of another kind, or no number at all. */
static void test_what_is_not_meant_stays(void)
{
    Vif v;

    up(&v);
    put(&v, "/local/domain/0/backend/vbd/77/0/frontend", "/local/domain/77/device/vbd/0");
    put(&v, "/local/domain/0/backend/vif/77x/0/frontend", "/x");
    put(&v, "/local/domain/0/backend/vif/32752/0/frontend", "/x");
    g_assert_cmpuint(xenbus_sweep(v.host, v.host_store, "vif", "script"), ==, 0);
    g_assert_true(is_there(&v, "/local/domain/0/backend/vbd/77/0/frontend"));
    g_assert_true(is_there(&v, "/local/domain/0/backend/vif/77x/0/frontend"));
    vif_down(&v);
}

/* A guest cannot ask, and has nothing to remove. */
static void test_not_dom0(void)
{
    g_autofree char *path = NULL;
    Vif v;

    up(&v);
    path = g_strdup_printf("/local/domain/%u/backend/vif/77/0/frontend", v.guest->domid);
    put(&v, path, "/x");
    g_assert_cmpuint(xenbus_sweep(v.guest, v.guest_store, "vif", "script"), ==, 0);
    g_assert_true(is_there(&v, path));
    vif_down(&v);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sweep/of-a-dead-domain", test_of_a_dead_domain);
    g_test_add_func("/sweep/a-live-one-keeps-its-own", test_a_live_one_keeps_its_own);
    g_test_add_func("/sweep/a-toolstack-removes-its-own", test_a_toolstack_removes_its_own);
    g_test_add_func("/sweep/another-mark", test_another_mark);
    g_test_add_func("/sweep/unknown-is-not-dead", test_unknown_is_not_dead);
    g_test_add_func("/sweep/what-is-not-meant-stays", test_what_is_not_meant_stays);
    g_test_add_func("/sweep/not-dom0", test_not_dom0);
    return g_test_run();
}
