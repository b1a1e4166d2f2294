/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "netif-mac.h"

static void expect_mac(const char *guest, unsigned idx, const char *want)
{
    char mac[NETIF_MAC_SIZE];

    netif_default_mac(guest, idx, mac);
    g_assert_cmpstr(mac, ==, want);
}

/* It must not change with a release: guests keep configurations by it. */
static void test_is_always_the_same(void)
{
    expect_mac("11111111-2222-3333-4444-555555555555", 0, "00:16:3e:68:17:40");
    expect_mac("11111111-2222-3333-4444-555555555555", 1, "00:16:3e:5b:b8:dc");
    expect_mac("domain 5 on host", 0, "00:16:3e:3a:fe:78");
}

/* Not multicast, Xen's OUI, the lower half. */
static void test_is_in_its_range(void)
{
    for (unsigned i = 0; i < 100; i++) {
        char mac[NETIF_MAC_SIZE];

        netif_default_mac("x", i, mac);
        g_assert_true(g_str_has_prefix(mac, "00:16:3e:"));
        g_assert_cmpint(g_ascii_xdigit_value(mac[9]), <, 8);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netif-mac/is-always-the-same", test_is_always_the_same);
    g_test_add_func("/netif-mac/is-in-its-range", test_is_in_its_range);
    return g_test_run();
}
