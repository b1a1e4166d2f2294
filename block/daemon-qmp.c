/*
 * Lines of JSON, of which we only need to tell apart what QEMU writes: {"return": ...},
 * {"error": {"class": ..., "desc": ...}} and {"timestamp": ..., "event": ...}.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "daemon-qmp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

#define RUN_US   (10 * G_USEC_PER_SEC)
#define LINE_MAX_BYTES 65536u

static bool no_answer(GError **error)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "qemu-storage-daemon does not answer");
    return false;
}

static bool read_more(DaemonQmp *q, gint64 end)
{
    struct pollfd p = { .fd = q->fd, .events = POLLIN };
    gint64 left = end - g_get_monotonic_time();
    char buf[1024];
    ssize_t n;

    if (left <= 0 || q->in->len > LINE_MAX_BYTES || poll(&p, 1, (int)(left / 1000 + 1)) <= 0) {
        return false;
    }
    n = read(q->fd, buf, sizeof(buf));
    if (n > 0) {
        g_string_append_len(q->in, buf, n);
    }
    return n > 0;
}

/* The next line, without its end; free it. NULL: none came. */
static char *next_line(DaemonQmp *q, gint64 end)
{
    const char *newline;
    char *line;

    if (!q->in) {
        q->in = g_string_new(NULL);
    }
    while ((newline = strchr(q->in->str, '\n')) == NULL) {
        if (!read_more(q, end)) {
            return NULL;
        }
    }
    line = g_strndup(q->in->str, (gsize)(newline - q->in->str));
    g_string_erase(q->in, 0, newline - q->in->str + 1);
    return g_strchomp(line);
}

/* The text of an error, as JSON has it but for its end. */
static bool set_desc(const char *line, GError **error)
{
    const char *at = strstr(line, "\"desc\": \"");
    g_autofree char *text = at ? g_strdup(at + strlen("\"desc\": \"")) : g_strdup(line);
    g_autofree char *plain = NULL;

    if (at && g_str_has_suffix(text, "\"}}")) {
        text[strlen(text) - strlen("\"}}")] = '\0';
    }
    plain = g_strcompress(text);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s", plain);
    return false;
}

static bool is_event(const char *line, const char *name)
{
    g_autofree char *want = g_strdup_printf("\"event\": \"%s\"", name);

    return strstr(line, want) != NULL;
}

static bool run(DaemonQmp *q, const char *command, const char *event, GError **error)
{
    gint64 end = g_get_monotonic_time() + RUN_US;
    bool returned = false;
    bool happened = !event;

    if (send(q->fd, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command)) {
        return no_answer(error);
    }
    while (!returned || !happened) {
        g_autofree char *line = next_line(q, end);

        if (!line) {
            return no_answer(error);
        }
        if (g_str_has_prefix(line, "{\"error\"")) {
            return set_desc(line, error);
        }
        returned |= g_str_has_prefix(line, "{\"return\"");
        happened |= !happened && is_event(line, event);
    }
    return true;
}

bool daemon_qmp_run(DaemonQmp *q, const char *command, const char *event, GError **error)
{
    if (!q->ready && !run(q, "{\"execute\":\"qmp_capabilities\"}\n", NULL, error)) {
        return false;
    }
    q->ready = true;
    return run(q, command, event, error);
}

void daemon_qmp_done(DaemonQmp *q)
{
    fd_close(&q->fd);
    if (q->in) {
        g_string_free(q->in, TRUE);
        q->in = NULL;
    }
}
