/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test-log.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

char *test_log_open(void)
{
    char *log = g_build_filename(g_get_tmp_dir(), "ringtap-test-log-XXXXXX", NULL);
    g_autoptr(GError) error = NULL;
    int fd = g_mkstemp(log);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    log_open_file(log, &error);
    g_assert_no_error(error);
    return log;
}

unsigned test_log_count(const char *log, const char *what)
{
    g_autofree char *text = NULL;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

void test_log_close(const char *log)
{
    g_unlink(log);
}
