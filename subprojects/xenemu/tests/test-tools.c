/*
 * Debian's xenstore-* tools against the emulated XenStore: what an operator types.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <unistd.h>

#include "lib.h"

/* Runs "xenstore-@args" with its socket at @store. Its output; *ok: it exited with 0. */
static char *run(const char *store, const char *args, bool *ok)
{
    g_autofree char *command = g_strconcat("xenstore-", args, NULL);
    g_auto(GStrv) argv = g_strsplit(command, " ", -1);
    g_auto(GStrv) env = g_environ_setenv(g_get_environ(), "XENSTORED_PATH", store, TRUE);
    g_autoptr(GError) error = NULL;
    char *out = NULL;
    int status = -1;

    g_spawn_sync(NULL, argv, env, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                 &out, NULL, &status, &error);
    g_assert_no_error(error);
    *ok = g_spawn_check_wait_status(status, NULL);
    return out;
}

#define ASSERT_RUN(store, args, expected)                          \
    G_STMT_START                                                   \
    {                                                              \
        bool ok_;                                                  \
        g_autofree char *out_ = run(store, args, &ok_);            \
        g_assert_cmpstr(out_, ==, expected);                       \
        g_assert_true(ok_);                                        \
    }                                                              \
    G_STMT_END

/* man xenstore-write, xenstore-read, xenstore-list, xenstore-ls, xenstore-rm, -exists, -chmod */
static void test_tools(TestHost *t)
{
    const char *s = xenemu_host_store_path(t->host);
    g_autofree char *perms = NULL;
    g_autofree char *out = NULL;
    bool ok;

    ASSERT_RUN(s, "write /a/b/c hello /a/d world", "");
    ASSERT_RUN(s, "read /a/b/c", "hello\n");
    ASSERT_RUN(s, "list /a", "b\nd\n");
    ASSERT_RUN(s, "ls /a", "b = \"\"\n c = \"hello\"\nd = \"world\"\n");
    ASSERT_RUN(s, "exists /a/b", "");
    ASSERT_RUN(s, "chmod /a/d n0 r5", "");
    perms = run(s, "ls -p /a", &ok);
    g_assert_nonnull(strstr(perms, "(n0,r5)\n"));
    ASSERT_RUN(s, "rm /a/b", "");
    ASSERT_RUN(s, "list /a", "d\n");
    out = run(s, "read /a/b/c", &ok);
    g_assert_false(ok);
}

/* xenstore-watch -n: so many events, then the end. */
static void test_watch(TestHost *t)
{
    const char *s = xenemu_host_store_path(t->host);
    const char *argv[] = { "xenstore-watch", "-n", "3", "/a", NULL };
    g_auto(GStrv) env = g_environ_setenv(g_get_environ(), "XENSTORED_PATH", s, TRUE);
    g_autoptr(GIOChannel) out = NULL;
    g_autofree char *line = NULL;
    g_autofree char *rest = NULL;
    gsize len;
    int fd;

    g_assert_true(g_spawn_async_with_pipes(NULL, (char **)argv, env, G_SPAWN_SEARCH_PATH, NULL,
                                           NULL, NULL, NULL, &fd, NULL, NULL));
    out = g_io_channel_unix_new(fd);
    g_io_channel_set_close_on_unref(out, TRUE);
    g_io_channel_read_line(out, &line, NULL, NULL, NULL);
    g_assert_cmpstr(line, ==, "/a\n");
    ASSERT_RUN(s, "write /a/b 1", "");
    ASSERT_RUN(s, "rm /a/b", "");
    g_io_channel_read_to_end(out, &rest, &len, NULL);
    g_assert_cmpstr(rest, ==, "/a/b\n/a/b\n");
}

/* A directory that does not fit one answer: XS_DIRECTORY_PART, by libxenstore. */
static void test_long_directory(TestHost *t)
{
    const char *s = xenemu_host_store_path(t->host);
    g_autoptr(GString) expected = g_string_new(NULL);
    int fd = test_store_connect(s);

    for (int i = 0; i < 400; i++) {
        g_autofree char *path = g_strdup_printf("/long/a-name-of-some-length-%04d", i);

        g_assert_cmpint(test_store_write(fd, 0, path, ""), ==, 0);
        g_string_append_printf(expected, "a-name-of-some-length-%04d\n", i);
    }
    ASSERT_RUN(s, "list /long", expected->str);
    close(fd);
}

/* A guest's socket: relative paths, and its rights. */
static void test_guest_socket(TestHost *t)
{
    XenemuGuest *g = test_guest(t, 4);
    const char *s = xenemu_guest_store_path(g);
    g_autofree char *out = NULL;
    bool ok;

    ASSERT_RUN(s, "read domid", "4\n");
    ASSERT_RUN(s, "write data/x 1", "");
    ASSERT_RUN(xenemu_host_store_path(t->host), "read /local/domain/4/data/x", "1\n");
    out = run(s, "write /local/domain/0/x 1", &ok);
    g_assert_false(ok);
    xenemu_guest_detach(g);
    test_wait_dead(t, 4);
}

static void with_host(gconstpointer fn)
{
    g_autofree char *tool = g_find_program_in_path("xenstore-watch");
    TestHost *t;

    if (!tool) {
        g_test_skip("the xenstore-* tools are missing (package xenstore-utils)");
        return;
    }
    t = test_host_new();
    ((void (*)(TestHost *))fn)(t);
    test_host_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tools/all", (gconstpointer)test_tools, with_host);
    g_test_add_data_func("/tools/watch", (gconstpointer)test_watch, with_host);
    g_test_add_data_func("/tools/long-directory", (gconstpointer)test_long_directory, with_host);
    g_test_add_data_func("/tools/guest-socket", (gconstpointer)test_guest_socket, with_host);
    return g_test_run();
}
