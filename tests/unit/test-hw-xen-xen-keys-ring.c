/*
 * Keys of rings of some pages, as blkif.h has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "toy-disk.h"

static void put_refs(ToyTest *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *key = g_strdup_printf("ring-ref%u", i);
        g_autofree char *value = g_strdup_printf("%u", 40 + i);

        toy_put(f, TOY_FE, key, value);
    }
}

static bool read_keys(ToyTest *f, XenQueueKeys *ret, GError **error)
{
    XenKeysDir d = { f->dom0, 0, TOY_FE };
    int order = 99;

    *ret = (XenQueueKeys) { 0 };
    return xen_keys_page_order(&d, TOY_DISK_MAX_ORDER, &order, error) &&
           xen_keys_ring(&d, order, ret, error);
}

/* A number of pages, even one, is another set of keys than none. */
static void test_orders(void)
{
    XenQueueKeys q;
    ToyTest f;

    toy_up(&f);
    put_refs(&f, 16);
    toy_put(&f, TOY_FE, "ring-ref", "30");
    g_assert_true(read_keys(&f, &q, NULL));
    g_assert_cmpuint(q.n_refs, ==, 1);
    g_assert_cmpuint(q.ref[0], ==, 30);
    for (unsigned order = 0; order <= TOY_DISK_MAX_ORDER; order++) {
        g_autofree char *value = g_strdup_printf("%u", order);

        toy_put(&f, TOY_FE, "ring-page-order", value);
        g_assert_true(read_keys(&f, &q, NULL));
        g_assert_cmpuint(q.n_refs, ==, 1u << order);
        for (unsigned i = 0; i < q.n_refs; i++) {
            g_assert_cmpuint(q.ref[i], ==, 40 + i);
        }
    }
    toy_down(&f);
}

static void expect_refused(ToyTest *f, const char *reason)
{
    g_autoptr(GError) error = NULL;
    XenQueueKeys q;

    g_assert_false(read_keys(f, &q, &error));
    g_assert_cmpstr(error->message, ==, reason);
}

static void test_refused(void)
{
    static const char *const bad[] = { "5", "-1", "2147483648", "18446744073709551615", "x", "" };
    ToyTest f;

    toy_up(&f);
    expect_refused(&f, TOY_FE "/ring-ref is missing");
    put_refs(&f, 3);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        toy_put(&f, TOY_FE, "ring-page-order", bad[i]);
        expect_refused(&f, TOY_FE "/ring-page-order is not a number from 0 to 4");
    }
    toy_put(&f, TOY_FE, "ring-page-order", "2");
    expect_refused(&f, TOY_FE "/ring-ref3 is missing");
    toy_put(&f, TOY_FE, "ring-ref3", "4294967296");
    expect_refused(&f, TOY_FE "/ring-ref3 is not a number from 0 to 4294967295");
    toy_down(&f);
}

/* One page twice in a ring: two of its entries would be one. */
static void test_page_twice(void)
{
    g_autofree char *ref = NULL;
    ToyDisk d;

    toy_disk_up(&d, 2, 2, 0, TOY_DISK_ENTRY);
    ref = xen_store_read(d.f.domu, 0, TOY_FE "/queue-1/ring-ref0");
    toy_put(&d.f, TOY_FE, "queue-1/ring-ref1", ref);
    toy_front(&d.f, 4);
    TOY_WAIT(toy_is(&d.f, TOY_BE, "state", "5"));
    g_assert_cmpstr(d.bus.error, ==, "queue 1 has a ring-ref twice");
    toy_disk_down(&d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/xen/keys-ring/orders", test_orders);
    g_test_add_func("/hw/xen/keys-ring/refused", test_refused);
    g_test_add_func("/hw/xen/keys-ring/page-twice", test_page_twice);
    return g_test_run();
}
