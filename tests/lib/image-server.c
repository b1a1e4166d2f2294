/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image-server.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_US (20 * G_USEC_PER_SEC)

static void dies_with_us(gpointer opaque)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/*
 * The file is there before anybody listens, and a server of a single client would take us for it if
 * we connected: the kernel is asked, whose flag __SO_ACCEPTCON it is.
 */
static bool listens(const char *path)
{
    g_autofree char *table = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_true(g_file_get_contents("/proc/net/unix", &table, NULL, NULL));
    lines = g_strsplit(table, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (g_str_has_suffix(*line, path) && strstr(*line, " 00010000 ")) {
            return true;
        }
    }
    return false;
}

bool image_server_start(ImageServer *s, const char *path, const char *const *argv)
{
    g_autofree char *program = g_find_program_in_path(argv[0]);
    gint64 end = g_get_monotonic_time() + START_US;
    g_autoptr(GError) error = NULL;

    if (!program) {
        g_autofree char *why = g_strdup_printf("no %s", argv[0]);

        g_test_skip(why);
        return false;
    }
    g_free(s->path);
    s->path = g_strdup(path);
    g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                  dies_with_us, NULL, &s->pid, &error);
    g_assert_no_error(error);
    while (path && !listens(path)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(2000);
    }
    return true;
}

/* It has stopped when all of its threads have, a little after the signal. */
void image_server_signal(const ImageServer *s, int sig)
{
    g_assert_cmpint(kill(s->pid, sig), ==, 0);
    if (sig == SIGSTOP) {
        g_assert_cmpint(waitpid(s->pid, NULL, WUNTRACED), ==, s->pid);
    }
}

void image_server_kill(ImageServer *s)
{
    if (s->pid > 0) {
        image_server_signal(s, SIGKILL);
        g_assert_cmpint(waitpid(s->pid, NULL, 0), ==, s->pid);
        s->pid = 0;
    }
    if (s->path) {
        g_unlink(s->path);
    }
    g_clear_pointer(&s->path, g_free);
}
