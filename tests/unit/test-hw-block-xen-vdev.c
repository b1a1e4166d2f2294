/*
 * Names and numbers of disks: the examples of xen-vbd-interface(7), and what is none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen-vdev.h"

#include <glib.h>

static const struct {
    const char *name;
    uint32_t number;
    const char *again; /* NULL: the same */
} good[] = {
    { "xvda", 51712, NULL },      { "xvda1", 51713, NULL },     { "xvdb", 51728, NULL },
    { "xvdp15", 51967, NULL },    { "xvdq", 268439552, NULL },  { "xvda16", 268435472, NULL },
    { "xvdz", 268441856, NULL },  { "xvdaa", 268442112, NULL }, { "xvdbe3", 268449795, NULL },
    { "sda", 2048, NULL },        { "sdp15", 2303, NULL },      { "hda", 768, NULL },
    { "hdb1", 833, NULL },        { "hdc", 5632, NULL },        { "hdd63", 5759, NULL },
    { "d0", 51712, "xvda" },      { "d0p1", 51713, "xvda1" },   { "d16", 268439552, "xvdq" },
    { "51712", 51712, "xvda" },   { "0", 0, "d0" },             { "65536", 65536, "d65536" },
};

static const char *const bad[] = {
    "", "xvd", "xvda0", "xvda01", "xvda256", "xvdA", "xvda-1", "xvda1 ", " xvda", "sdq", "sda16",
    "hde", "hda64", "vda", "d", "dp1", "d0p", "d0p256", "d1048576", "xvdzzzzz", "536870912", "-1",
    "xvda1p1", "d0p1p2", "xvdaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static void test_good(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *name = xen_vdev_name(good[i].number);
        uint32_t number = 1;

        g_assert_true(xen_vdev_parse(good[i].name, &number));
        g_assert_cmpuint(number, ==, good[i].number);
        g_assert_cmpstr(name, ==, good[i].again ? good[i].again : good[i].name);
    }
}

static void test_bad(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        uint32_t number;

        g_test_message("%s", bad[i]);
        g_assert_false(xen_vdev_parse(bad[i], &number));
    }
}

/* Every disk that is chosen has a name that leads back to it. */
static void test_disks(void)
{
    for (uint32_t disk = 0; disk < 1000; disk++) {
        uint32_t number = xen_vdev_xvd(disk), again;
        g_autofree char *name = xen_vdev_name(number);

        g_assert_true(g_str_has_prefix(name, "xvd"));
        g_assert_true(xen_vdev_parse(name, &again));
        g_assert_cmpuint(again, ==, number);
    }
    g_assert_cmpuint(xen_vdev_xvd(0), ==, 51712);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xen-vdev/good", test_good);
    g_test_add_func("/xen-vdev/bad", test_bad);
    g_test_add_func("/xen-vdev/disks", test_disks);
    return g_test_run();
}
