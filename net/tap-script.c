/*
 * script= and downscript=: run in the main loop, which goes on meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/container-of.h"
#include "util/fd.h"

#define HURRY_TIMEOUT_MS 500

struct TapScript {
    Tap *tap;
    bool up;
    char *path;
    pid_t pid;     /* also of its process group; 0: it has been waited for */
    int pid_fd;
    guint source;
    guint timer;
    TapScriptDone *done;
    void *opaque;
};

static void script_free(TapScript *s)
{
    g_clear_handle_id(&s->source, g_source_remove);
    g_clear_handle_id(&s->timer, g_source_remove);
    fd_close(&s->pid_fd);
    g_free(s->path);
    g_free(s);
}

static int script_wait_pid(TapScript *s)
{
    int status = 0;

    while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR) {
        continue;
    }
    s->pid = 0;
    return status;
}

/* With what it started, unless that has made itself a session of its own. */
static void script_kill(TapScript *s)
{
    kill(-s->pid, SIGKILL);
    (void)script_wait_pid(s);
}

static void script_status(const TapScript *s, int status, GError **error)
{
    if (WIFSIGNALED(status)) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                    "network script %s was ended by signal %d (%s)", s->path, WTERMSIG(status),
                    g_strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                    "network script %s failed with status %d", s->path, WEXITSTATUS(status));
    }
}

/* It has ended, or has had its time. Leaves no process, and @s to be freed. */
static void script_finish(TapScript *s, bool in_time, GError **error)
{
    if (in_time) {
        g_autoptr(GError) why = NULL;

        script_status(s, script_wait_pid(s), &why);
        if (why) {
            g_propagate_error(error, g_steal_pointer(&why));
        } else if (s->up) {
            s->tap->script_ran = true;
        }
    } else {
        script_kill(s);
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                    "network script %s did not end within %g seconds", s->path,
                    s->tap->script_timeout_ms / 1000.0);
    }
    if (!s->up) {
        s->tap->script_ran = false;
    }
}

static void script_report(TapScript *s, bool in_time)
{
    TapScriptDone *done = s->done;
    void *opaque = s->opaque;
    g_autoptr(GError) error = NULL;

    script_finish(s, in_time, &error);
    script_free(s);
    done(opaque, error);
}

static gboolean script_ended(gint fd, GIOCondition condition, gpointer opaque)
{
    TapScript *s = opaque;

    s->source = 0;
    script_report(s, true);
    return G_SOURCE_REMOVE;
}

static gboolean script_timeout(gpointer opaque)
{
    TapScript *s = opaque;

    s->timer = 0;
    script_report(s, false);
    return G_SOURCE_REMOVE;
}

/* In the child. A group of its own can be ended as a whole. */
static void script_child(gpointer opaque)
{
    setpgid(0, 0);
}

/* GLib's text has the path in it, in quotes of its own. */
static const char *script_spawn_reason(const GError *why)
{
    switch (why->code) {
    case G_SPAWN_ERROR_ACCES:
        return g_strerror(EACCES);
    case G_SPAWN_ERROR_NOENT:
        return g_strerror(ENOENT);
    default:
        return why->message;
    }
}

static bool script_spawn(TapScript *s, GError **error)
{
    char *argv[] = { s->path, s->tap->nd.ifname, NULL };
    g_autoptr(GError) why = NULL;
    GPid pid;

    if (!g_spawn_async(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, script_child, NULL, &pid,
                       &why)) {
        g_set_error(error, G_SPAWN_ERROR, why->code, "could not launch network script %s: %s%s",
                    s->path, script_spawn_reason(why),
                    g_str_has_suffix(s->path, "/off") ? "\nFor none at all: no" : "");
        return false;
    }
    s->pid = pid;
    s->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (s->pid_fd < 0) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                    "could not wait for network script %s: %s", s->path, g_strerror(errno));
        script_kill(s);
        return false;
    }
    return true;
}

const char *tap_script(const Netdev *nd, bool up)
{
    const Tap *tap;

    if (nd->ops != &tap_ops) {
        return NULL;
    }
    tap = container_of(nd, Tap, nd);
    if (tap->script_ran == up || nd->given_away || nd->awaited) {
        return NULL; /* so it is already, or another process has it */
    }
    return up ? tap->script : tap->downscript;
}

TapScript *tap_script_start(Netdev *nd, bool up, TapScriptDone *done, void *opaque,
                            GError **error)
{
    TapScript *s = g_new0(TapScript, 1);

    s->tap = container_of(nd, Tap, nd);
    s->up = up;
    s->path = g_strdup(tap_script(nd, up));
    s->pid_fd = -1;
    s->done = done;
    s->opaque = opaque;
    if (!script_spawn(s, error)) {
        script_free(s);
        return NULL;
    }
    if (done) {
        s->source = g_unix_fd_add(s->pid_fd, G_IO_IN, script_ended, s);
        s->timer = g_timeout_add((guint)s->tap->script_timeout_ms, script_timeout, s);
    }
    return s;
}

bool tap_script_wait(TapScript *s, GError **error)
{
    struct pollfd p = { .fd = s->pid_fd, .events = POLLIN };
    g_autoptr(GError) why = NULL;
    int r;

    do {
        r = poll(&p, 1, s->tap->script_timeout_ms);
    } while (r < 0 && errno == EINTR);
    script_finish(s, r > 0, &why);
    script_free(s);
    if (why) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    return true;
}

void tap_script_cancel(TapScript *s)
{
    script_kill(s);
    if (!s->up) {
        s->tap->script_ran = false;
    }
    script_free(s);
}

void tap_script_hurry(Netdev *nd)
{
    if (nd->ops == &tap_ops) {
        container_of(nd, Tap, nd)->script_timeout_ms = HURRY_TIMEOUT_MS;
    }
}

bool tap_script_run(Netdev *nd, bool up, GError **error)
{
    TapScript *s;

    if (!tap_script(nd, up)) {
        return true;
    }
    s = tap_script_start(nd, up, NULL, NULL, error);
    return s && tap_script_wait(s, error);
}
