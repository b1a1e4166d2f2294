/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <glib/gstdio.h>

#include "util/host-id.h"

static void expect_id(const char *first, const char *second, const char *want)
{
    g_autofree char *dir = g_dir_make_tmp("host-id-XXXXXX", NULL);
    g_autofree char *a = g_build_filename(dir, "a", NULL);
    g_autofree char *b = g_build_filename(dir, "b", NULL);
    const char *const files[] = { a, b, NULL };
    g_autofree char *id = NULL;

    if (first) {
        g_assert_true(g_file_set_contents(a, first, -1, NULL));
    }
    if (second) {
        g_assert_true(g_file_set_contents(b, second, -1, NULL));
    }
    id = host_id_read(files);
    g_assert_cmpstr(id, ==, want);
    g_unlink(a);
    g_unlink(b);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

static void test_first_line(void)
{
    expect_id("0123abc\n", NULL, "0123abc");
    expect_id("0123abc\nmore\n", "4567\n", "0123abc");
    expect_id("0123abc", NULL, "0123abc");
}

static void test_next_file(void)
{
    expect_id(NULL, "4567\n", "4567");
    expect_id("\n", "4567\n", "4567");
    expect_id("", "4567\n", "4567");
}

static void test_name_of_the_host(void)
{
    expect_id(NULL, NULL, g_get_host_name());
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host-id/first-line", test_first_line);
    g_test_add_func("/host-id/next-file", test_next_file);
    g_test_add_func("/host-id/name-of-the-host", test_name_of_the_host);
    return g_test_run();
}
