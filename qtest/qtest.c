/*
 * The qtest server: a socket, lines, and which command a line is. It trusts its client,
 * a test on the same machine, but not the client's spelling: whatever is wrong with a
 * line is said in the answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qtest-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "util/options.h"

#define MAX_LINE  (2 * QTEST_MAX_BYTES + 256) /* in hexadecimal, and the words before */
#define MAX_WORDS 8 /* in a command; a longer one has too many arguments */

/* --- answers --- */

static void qtest_log_start(Qtest *q, char kind)
{
    if (q->log) {
        fprintf(q->log, "[%c +%.06f]", kind,
                (double)(g_get_monotonic_time() - q->start_us) / 1000000);
    }
}

static void qtest_log_line(Qtest *q, char kind, const char *line)
{
    if (q->log) {
        qtest_log_start(q, kind);
        fprintf(q->log, " %s\n", line);
        fflush(q->log);
    }
}

void qtest_reply(Qtest *q, const char *fmt, ...)
{
    g_autofree char *line = NULL;
    va_list ap;

    va_start(ap, fmt);
    line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    qtest_log_line(q, 'S', line);
    g_byte_array_append(q->out, (const guint8 *)line, (guint)strlen(line));
    g_byte_array_append(q->out, (const guint8 *)"\n", 1);
}

bool qtest_number(Qtest *q, const char *text, uint64_t max, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = g_ascii_strtoull(text, &end, 0);
    if (!g_ascii_isdigit(text[0]) || *end != '\0' || errno != 0 || *ret > max) {
        qtest_reply(q, "FAIL '%s' is not a number from 0 to %" G_GUINT64_FORMAT, text, max);
        return false;
    }
    return true;
}

/* --- commands --- */

static const QtestCommand *qtest_find(const char *name)
{
    static const QtestCommand *const tables[] = {
        qtest_memory_commands, qtest_irq_commands, qtest_xen_commands,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        for (const QtestCommand *c = tables[i]; c->name; c++) {
            if (strcmp(c->name, name) == 0) {
                return c;
            }
        }
    }
    return NULL;
}

/* Splits @line at single blanks, at most @max pieces; the last one takes what is left. */
static unsigned qtest_split(char *line, char **ret_word, unsigned max)
{
    unsigned n = 0;

    while (n < max) {
        char *blank = strchr(line, ' ');

        ret_word[n++] = line;
        if (!blank || n == max) {
            break;
        }
        *blank = '\0';
        line = blank + 1;
    }
    return n;
}

static void qtest_run_line(Qtest *q, char *line)
{
    char *word[MAX_WORDS + 1] = { NULL };
    unsigned n_words = qtest_split(line, word, 2);
    const QtestCommand *c = qtest_find(word[0]);
    unsigned n_args = 0;

    if (!c) {
        qtest_reply(q, "FAIL Unknown command '%s'", word[0]);
        return;
    }
    if (n_words > 1) {
        n_args = qtest_split(word[1], word, c->rest ? c->max_args : MAX_WORDS);
    }
    word[n_args] = NULL;
    if (n_args < c->min_args || n_args > c->max_args) {
        qtest_reply(q, "FAIL '%s' takes %u to %u arguments", c->name, c->min_args, c->max_args);
        return;
    }
    c->run(q, word, n_args);
}

/* --- the socket --- */

static gboolean qtest_readable(gint fd, GIOCondition cond, gpointer opaque);
static void qtest_process(Qtest *q);

static void qtest_disconnect(Qtest *q)
{
    g_clear_handle_id(&q->in_tag, g_source_remove);
    g_clear_handle_id(&q->out_tag, g_source_remove);
    g_clear_handle_id(&q->flush_tag, g_source_remove);
    if (q->fd >= 0) {
        qtest_log_line(q, 'I', "CLOSED");
    }
    fd_close(&q->fd);
    g_byte_array_set_size(q->in, 0);
    g_byte_array_set_size(q->out, 0);
    q->too_long = false;
    qtest_irq_forget(q);
}

/* Lines are read again if all was written. */
static void qtest_go_on(Qtest *q)
{
    qtest_process(q);
    if (q->fd >= 0 && q->out->len == 0 && q->in_tag == 0) {
        q->in_tag = g_unix_fd_add(q->fd, G_IO_IN, qtest_readable, q);
    }
}

static gboolean qtest_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    Qtest *q = opaque;

    q->out_tag = 0;
    qtest_go_on(q);
    return G_SOURCE_REMOVE;
}

static gboolean qtest_flush_now(gpointer opaque)
{
    Qtest *q = opaque;

    q->flush_tag = 0;
    qtest_go_on(q);
    return G_SOURCE_REMOVE;
}

/* Not at once: a client that is gone is not to be noticed in the midst of a command. */
void qtest_flush_soon(Qtest *q)
{
    if (q->flush_tag == 0) {
        q->flush_tag = g_idle_add_full(G_PRIORITY_DEFAULT, qtest_flush_now, q, NULL);
    }
}

/* False: not all is written yet, or there is nobody any more. */
static bool qtest_flush(Qtest *q)
{
    while (q->out->len > 0) {
        ssize_t n = send(q->fd, q->out->data, q->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            g_byte_array_remove_range(q->out, 0, (guint)n);
        } else if (errno == EAGAIN) {
            if (q->out_tag == 0) {
                q->out_tag = g_unix_fd_add(q->fd, G_IO_OUT, qtest_writable, q);
            }
            return false;
        } else if (errno != EINTR) {
            qtest_disconnect(q);
            return false;
        }
    }
    return true;
}

/* Executes the complete lines that have come, as long as the answers can be sent. */
static void qtest_process(Qtest *q)
{
    while (q->fd >= 0 && qtest_flush(q)) {
        guint8 *end = q->in->len > 0 ? memchr(q->in->data, '\n', q->in->len) : NULL;
        g_autofree char *line = NULL;
        size_t len;

        if (!end) {
            if (q->in->len > MAX_LINE && !q->too_long) {
                q->too_long = true;
                qtest_reply(q, "FAIL line is longer than %u bytes", MAX_LINE);
            }
            if (q->too_long) {
                g_byte_array_set_size(q->in, 0);
            }
            if (q->out->len == 0) {
                return;
            }
            continue;
        }
        len = (size_t)(end - q->in->data);
        line = g_strndup((const char *)q->in->data, len);
        g_byte_array_remove_range(q->in, 0, (guint)len + 1);
        if (q->too_long) {
            q->too_long = false; /* this was its end */
            continue;
        }
        qtest_log_line(q, 'R', line);
        qtest_run_line(q, line);
    }
}

static gboolean qtest_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    Qtest *q = opaque;
    guint8 buf[8192];
    ssize_t n;

    if (q->out->len > 0) {
        /* it shall read our answers first; what it sends meanwhile waits in the kernel */
        q->in_tag = 0;
        return G_SOURCE_REMOVE;
    }
    n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        q->in_tag = 0;
        qtest_disconnect(q);
        return G_SOURCE_REMOVE;
    }
    g_byte_array_append(q->in, buf, (guint)n);
    qtest_process(q);
    return q->fd >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* The next client replaces one that is there: a test that was killed may be. */
static void qtest_connected(void *opaque, int fd)
{
    Qtest *q = opaque;

    qtest_disconnect(q);
    q->fd = fd;
    q->waiting = false;
    q->start_us = g_get_monotonic_time();
    q->in_tag = g_unix_fd_add(fd, G_IO_IN, qtest_readable, q);
    qtest_log_line(q, 'I', "OPENED");
    chardev_set_handler(q->socket, qtest_connected, q);
}

typedef struct QtestSocket {
    char *path;
    bool server;
    bool wait;
} QtestSocket;

static const OptMember socket_members[] = {
    { "path", OPT_STR, offsetof(QtestSocket, path), .required = true },
    { "server", OPT_BOOL, offsetof(QtestSocket, server) },
    { "wait", OPT_BOOL, offsetof(QtestSocket, wait), .def = "on" },
    { NULL },
};
static const OptTable socket_options = { "qtest", sizeof(QtestSocket), socket_members };

static bool qtest_open(Qtest *q, const QtestSocket *s, GError **error)
{
    const ChardevConfig config = {
        .label = "qtest", .path = s->path, .server = s->server, .wait = true,
    };

    q->socket = chardev_new(&config, error);
    if (!q->socket) {
        return false;
    }
    q->waiting = s->server && s->wait;
    chardev_set_handler(q->socket, qtest_connected, q);
    return true;
}

static bool qtest_open_chardev(Qtest *q, GError **error)
{
    g_autoptr(OptDict) args = NULL;
    g_autoptr(GError) err = NULL;
    QtestSocket *s = NULL;
    bool ok;

    if (g_str_has_prefix(q->chardev, "unix:")) {
        args = opt_dict_parse(q->chardev + strlen("unix:"), "path", &err);
        s = args ? opt_config_new(&socket_options, args, OPT_PARAMETERS, &err) : NULL;
    } else {
        g_set_error(&err, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "only unix:PATH is supported");
    }
    ok = s && qtest_open(q, s, &err);
    if (!ok) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "Failed to initialize device for qtest: \"%s\": %s", q->chardev,
                    err->message);
    }
    opt_config_free(&socket_options, s);
    return ok;
}

/* --- public --- */

static bool qtest_open_log(Qtest *q, const char *path, GError **error)
{
    if (!path) {
        q->log = stderr;
    } else if (strcmp(path, "none") != 0) {
        q->log = fopen(path, "we");
        if (!q->log) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                        "cannot open qtest log %s: %s", path, g_strerror(errno));
            return false;
        }
    }
    return true;
}

Qtest *qtest_new(const QtestConfig *config, GError **error)
{
    g_autoptr(Qtest) q = g_new0(Qtest, 1);

    q->fd = -1;
    q->in = g_byte_array_new();
    q->out = g_byte_array_new();
    q->chardev = g_strdup(config->chardev);
    q->start_us = g_get_monotonic_time();
    q->own = address_space_new(UINT64_MAX, 0);
    q->memory = config->memory ? config->memory : q->own;
    q->ports = config->ports;
    q->irqs = config->irqs;
    if (config->xen && config->xen_path) {
        q->xen = config->xen;
        q->xen_path = g_strdup(config->xen_path);
        q->domid = config->domid;
        q->ram_size = config->ram_size ? config->ram_size : QTEST_RAM_DEFAULT;
    }
    if (!qtest_open_log(q, config->log, error) ||
        (q->xen && !qtest_guest_attach(q, q->domid, q->ram_size, error)) ||
        !qtest_open_chardev(q, error)) {
        return NULL;
    }
    return g_steal_pointer(&q);
}

bool qtest_is_waiting(const Qtest *q)
{
    return q->waiting;
}

void qtest_free(Qtest *q)
{
    if (!q) {
        return;
    }
    qtest_disconnect(q);
    chardev_free(q->socket);
    qtest_guest_kill(q);
    xen_store_close(q->dom0_store);
    if (q->log && q->log != stderr) {
        fclose(q->log);
    }
    address_space_free(q->own);
    g_byte_array_unref(q->in);
    g_byte_array_unref(q->out);
    g_free(q->chardev);
    g_free(q->xen_path);
    g_free(q);
}
