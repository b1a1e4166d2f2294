/*
 * A monitor: a socket, its client, and the descriptors that clients left by name.
 *
 * Output that a client does not read is kept up to a limit; long before it we stop
 * executing the client's commands, so only events can reach it, and then the client goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmp-internal.h"
#include "util/fd.h"
#include "util/log.h"

#define READ_SIZE      4096
#define MAX_PASSED_FDS 16         /* in one message, and waiting for getfd */
#define OUT_PAUSE      (256u << 10) /* no commands are executed while so much waits */
#define OUT_MAX        (4u << 20)

static void qmp_monitor_watch(QmpMonitor *m);

static void qmp_close_fd(gpointer fd)
{
    close(GPOINTER_TO_INT(fd));
}

static void qmp_monitor_close_fds(QmpMonitor *m)
{
    while (!g_queue_is_empty(&m->fds)) {
        qmp_close_fd(g_queue_pop_head(&m->fds));
    }
}

/* The client is gone, or has to go: the next one may come. */
static void qmp_monitor_drop(QmpMonitor *m)
{
    bool connected = m->session != NULL;

    g_clear_handle_id(&m->in_tag, g_source_remove);
    g_clear_handle_id(&m->out_tag, g_source_remove);
    g_clear_pointer(&m->session, qmp_session_free);
    g_byte_array_set_size(m->in, 0);
    g_byte_array_set_size(m->out, 0);
    fd_close(&m->fd);
    qmp_monitor_close_fds(m);
    m->doomed = false;
    if (connected && m->chardev) {
        chardev_disconnected(m->chardev);
    }
}

/* False: the connection is broken. */
static bool qmp_monitor_write_out(QmpMonitor *m)
{
    while (m->out->len > 0) {
        ssize_t n = send(m->fd, m->out->data, m->out->len, MSG_NOSIGNAL);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        g_byte_array_remove_range(m->out, 0, (guint)n);
    }
    return true;
}

/*
 * Executes what was read, as long as the client reads the answers. False: the client has to
 * go.
 */
static bool qmp_monitor_execute(QmpMonitor *m)
{
    while (m->in->len > 0 && m->out->len <= OUT_PAUSE && !qmp_session_is_waiting(m->session)) {
        size_t used = qmp_session_feed(m->session, (const char *)m->in->data, m->in->len);

        if (m->doomed) {
            return false;
        }
        g_byte_array_remove_range(m->in, 0, (guint)used);
        m->executed = m->executed || qmp_session_has_executed(m->session);
    }
    if (m->in->len == 0 && m->executed && !qmp_session_is_within(m->session)) {
        qmp_monitor_close_fds(m); /* those that came with a command are for it only */
    }
    return true;
}

static gboolean qmp_monitor_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    QmpMonitor *m = opaque;

    if (!qmp_monitor_write_out(m) || m->doomed) {
        m->out_tag = 0;
        qmp_monitor_drop(m);
        return G_SOURCE_REMOVE;
    }
    if (m->out->len > 0) {
        return G_SOURCE_CONTINUE;
    }
    m->out_tag = 0;
    if (!qmp_monitor_execute(m)) {
        qmp_monitor_drop(m);
    } else if (m->out->len <= OUT_PAUSE) {
        qmp_monitor_watch(m);
    }
    return G_SOURCE_REMOVE;
}

/* From within commands too: only marks what has to be done to the client. */
static void qmp_monitor_write(void *opaque, const char *data, size_t len)
{
    QmpMonitor *m = opaque;

    if (m->doomed) {
        return;
    }
    g_byte_array_append(m->out, (const guint8 *)data, (guint)len);
    if (!qmp_monitor_write_out(m)) {
        m->doomed = true;
    } else if (m->out->len > OUT_MAX) {
        warn_report("monitor %s: the client does not read, closing it", m->label);
        m->doomed = true;
    }
    if ((m->out->len > 0 || m->doomed) && m->out_tag == 0) {
        m->out_tag = g_unix_fd_add(m->fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, qmp_monitor_writable, m);
    }
}

/* More than there is room for are closed. */
static void qmp_monitor_keep_fd(void *opaque, int fd)
{
    QmpMonitor *m = opaque;

    if (g_queue_get_length(&m->fds) < MAX_PASSED_FDS) {
        g_queue_push_tail(&m->fds, GINT_TO_POINTER(fd));
    } else {
        close(fd);
    }
}

static ssize_t qmp_monitor_recv(QmpMonitor *m, char *buf, size_t size)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(MAX_PASSED_FDS * sizeof(int))];
    } control;
    struct iovec iov = { buf, size };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t n = recvmsg(m->fd, &msg, MSG_CMSG_CLOEXEC);

    if (n >= 0) {
        fd_each_passed(&msg, qmp_monitor_keep_fd, m);
    }
    return n;
}

static gboolean qmp_monitor_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    QmpMonitor *m = opaque;
    char buf[READ_SIZE];
    ssize_t n = qmp_monitor_recv(m, buf, sizeof(buf));
    guint tag = m->in_tag;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (n > 0) {
        g_byte_array_append(m->in, (const guint8 *)buf, (guint)n);
        m->executed = false;
        qmp_session_begin_piece(m->session);
    }
    if (n <= 0 || !qmp_monitor_execute(m)) {
        m->in_tag = 0;
        qmp_monitor_drop(m);
        return G_SOURCE_REMOVE;
    }
    if ((m->out->len > OUT_PAUSE || qmp_session_is_waiting(m->session)) && m->in_tag == tag) {
        m->in_tag = 0;
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

void qmp_monitor_go_on(QmpMonitor *m)
{
    if (m->doomed || !qmp_monitor_execute(m)) {
        qmp_monitor_drop(m);
    } else if (m->out->len <= OUT_PAUSE) {
        qmp_monitor_watch(m);
    }
}

/* Waits for commands. */
static void qmp_monitor_watch(QmpMonitor *m)
{
    if (m->session && m->in_tag == 0 && !qmp_session_is_waiting(m->session)) {
        m->in_tag = g_unix_fd_add(m->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, qmp_monitor_readable, m);
    }
}

static void qmp_monitor_connected(void *opaque, int fd)
{
    QmpMonitor *m = opaque;

    m->fd = fd;
    m->session = qmp_session_new(m, qmp_monitor_write, m);
    qmp_monitor_watch(m);
}

QmpMonitor *qmp_monitor_new(Qmp *q, const char *label, Chardev *c)
{
    QmpMonitor *m = g_new0(QmpMonitor, 1);

    m->qmp = q;
    m->label = g_strdup(label);
    m->named_fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, qmp_close_fd);
    m->fd = -1;
    m->in = g_byte_array_new();
    m->out = g_byte_array_new();
    g_queue_init(&m->fds);
    g_ptr_array_add(q->monitors, m);
    if (c) {
        m->chardev = c;
        chardev_set_handler(c, qmp_monitor_connected, m);
    }
    return m;
}

void qmp_monitor_set_pretty(QmpMonitor *m, bool pretty)
{
    m->pretty = pretty;
}

static void qmp_monitor_free(gpointer opaque)
{
    QmpMonitor *m = opaque;

    if (m->chardev) {
        chardev_set_handler(g_steal_pointer(&m->chardev), NULL, NULL);
    }
    qmp_monitor_drop(m);
    g_hash_table_unref(m->named_fds);
    g_byte_array_unref(m->in);
    g_byte_array_unref(m->out);
    g_free(m->label);
    g_free(m);
}

Qmp *qmp_new(const char *version)
{
    Qmp *q = g_new0(Qmp, 1);

    q->version = g_strdup(version);
    q->monitors = g_ptr_array_new_with_free_func(qmp_monitor_free);
    q->commands = g_array_new(FALSE, FALSE, sizeof(QmpEntry));
    q->events = g_array_new(FALSE, FALSE, sizeof(QmpEntry));
    q->hmp = g_array_new(FALSE, FALSE, sizeof(QmpEntry));
    q->hmp_actions = g_array_new(FALSE, FALSE, sizeof(QmpEntry));
    qmp_register_own(q);
    return q;
}

void qmp_free(Qmp *q)
{
    if (q) {
        g_ptr_array_unref(q->monitors);
        g_array_unref(q->commands);
        g_array_unref(q->events);
        g_array_unref(q->hmp);
        g_array_unref(q->hmp_actions);
        g_free(q->version);
        g_free(q);
    }
}

void qmp_flush(Qmp *q, unsigned timeout_ms)
{
    gint64 end = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

    for (guint i = 0; i < q->monitors->len; i++) {
        QmpMonitor *m = g_ptr_array_index(q->monitors, i);

        while (m->session && !m->doomed && m->out->len > 0 && g_get_monotonic_time() < end) {
            struct pollfd p = { .fd = m->fd, .events = POLLOUT };

            if (poll(&p, 1, 10) > 0 && !qmp_monitor_write_out(m)) {
                break;
            }
        }
    }
}

int qmp_monitor_take_passed_fd(QmpMonitor *m)
{
    return g_queue_is_empty(&m->fds) ? -1 : GPOINTER_TO_INT(g_queue_pop_head(&m->fds));
}

bool qmp_monitor_name_fd(QmpMonitor *m, const char *name, GError **error)
{
    int fd = qmp_monitor_take_passed_fd(m);

    if (fd < 0) {
        qmp_set_error(error, QMP_ERROR_GENERIC, "No file descriptor supplied via SCM_RIGHTS");
        return false;
    }
    if (g_ascii_isdigit(name[0])) {
        close(fd);
        qmp_set_error(error, QMP_ERROR_GENERIC,
                      "Parameter 'fdname' expects a name not starting with a digit");
        return false;
    }
    if (g_hash_table_size(m->named_fds) >= QMP_MAX_NAMED_FDS &&
        !g_hash_table_contains(m->named_fds, name)) {
        close(fd);
        qmp_set_error(error, QMP_ERROR_GENERIC, "Too many named file descriptors");
        return false;
    }
    g_hash_table_replace(m->named_fds, g_strdup(name), GINT_TO_POINTER(fd));
    return true;
}

int qmp_monitor_take_fd(void *monitor, const char *name)
{
    QmpMonitor *m = monitor;
    gpointer key;
    gpointer fd;

    if (!m || !g_hash_table_steal_extended(m->named_fds, name, &key, &fd)) {
        return -1;
    }
    g_free(key);
    return GPOINTER_TO_INT(fd);
}
