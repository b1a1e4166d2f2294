/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/log.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

typedef struct Fixture {
    char *dir;
    char *path;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->dir = g_dir_make_tmp("test-log-XXXXXX", &error);
    g_assert_no_error(error);
    f->path = g_build_filename(f->dir, "log", NULL);
    g_assert_true(log_open_file(f->path, &error));
    g_assert_no_error(error);
    log_set_timestamps(false);
}

static void teardown(Fixture *f, gconstpointer data)
{
    g_unlink(f->path);
    g_rmdir(f->dir);
    g_free(f->path);
    g_free(f->dir);
}

static void assert_log(Fixture *f, const char *expected)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

static void test_kinds(Fixture *f, gconstpointer data)
{
    error_report("one %d", 1);
    warn_report("two");
    info_report("three");
    assert_log(f, "prog: one 1\nprog: warning: two\nprog: info: three\n");
}

static void test_timestamps(Fixture *f, gconstpointer data)
{
    g_autofree char *text = NULL;

    log_set_timestamps(true);
    info_report("x");
    g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
    g_assert_true(g_regex_match_simple(
        "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z prog: info: x\n$", text, 0, 0));
}

static void test_appends(Fixture *f, gconstpointer data)
{
    info_report("a");
    g_assert_true(log_open_file(f->path, NULL));
    info_report("b");
    assert_log(f, "prog: info: a\nprog: info: b\n");
}

static void test_open_fails(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(f->dir, "none", "log", NULL);

    g_assert_false(log_open_file(path, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    info_report("still here");
    assert_log(f, "prog: info: still here\n");
}

static void test_limit(Fixture *f, gconstpointer data)
{
    LogLimit limit = { .burst = 2, .interval_ms = 60000 };

    for (int i = 0; i < 10; i++) {
        warn_report_limited(&limit, "%d", i);
    }
    assert_log(f, "prog: warning: 0\nprog: warning: 1\n");
    g_assert_cmpuint(limit.suppressed, ==, 8);
}

static void test_limit_counts(Fixture *f, gconstpointer data)
{
    LogLimit limit = { .burst = 1, .interval_ms = 10 };

    for (int i = 0; i < 3; i++) {
        info_report_limited(&limit, "%d", i);
    }
    g_usleep(20000);
    info_report_limited(&limit, "3");
    assert_log(f, "prog: info: 0\nprog: warning: 2 lines like the next one were left out\n"
               "prog: info: 3\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init("prog");
    g_test_add("/util/log/kinds", Fixture, NULL, setup, test_kinds, teardown);
    g_test_add("/util/log/timestamps", Fixture, NULL, setup, test_timestamps, teardown);
    g_test_add("/util/log/appends", Fixture, NULL, setup, test_appends, teardown);
    g_test_add("/util/log/open-fails", Fixture, NULL, setup, test_open_fails, teardown);
    g_test_add("/util/log/limit", Fixture, NULL, setup, test_limit, teardown);
    g_test_add("/util/log/limit-counts", Fixture, NULL, setup, test_limit_counts, teardown);
    return g_test_run();
}
