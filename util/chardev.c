/*
 * Who has the connection of a chardev, and what is waited for while nobody has one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "util/log.h"

#define ACCEPT_PAUSE_S 1 /* after a failure, which would come again at once */

struct Chardev {
    char *label;
    char *path;       /* where to connect; NULL: it does not */
    guint reconnect_ms;
    int listen_fd;    /* -1: it does not listen */
    BoundPath bound;  /* that we made */
    int fd;           /* a connection that is to be handed over; -1: none */
    bool handed_over; /* and not back yet */
    bool early;       /* a client is welcome before there is a handler */
    bool reported;    /* that it cannot connect, since it last could */
    guint tag;        /* source of what comes next; 0: nothing does */
    LogLimit accept_limit;
    void (*connected)(void *opaque, int fd);
    void *opaque;
    void (*ended)(void *opaque); /* ChardevConfig's */
    void *ended_opaque;
};

static void chardev_watch(Chardev *c);

static gboolean chardev_hand_over(gpointer opaque)
{
    Chardev *c = opaque;

    c->tag = 0;
    c->handed_over = true;
    c->connected(c->opaque, g_steal_fd(&c->fd));
    return G_SOURCE_REMOVE;
}

static gboolean chardev_accept_again(gpointer opaque)
{
    Chardev *c = opaque;

    c->tag = 0;
    chardev_watch(c);
    return G_SOURCE_REMOVE;
}

static gboolean chardev_accept(gint listen_fd, GIOCondition cond, gpointer opaque)
{
    Chardev *c = opaque;

    c->fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (c->fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
        return G_SOURCE_CONTINUE;
    }
    if (c->fd < 0) {
        warn_report_limited(&c->accept_limit, "chardev %s: cannot accept a client: %s", c->label,
                            g_strerror(errno));
        c->tag = g_timeout_add_seconds(ACCEPT_PAUSE_S, chardev_accept_again, c);
        return G_SOURCE_REMOVE;
    }
    c->tag = 0;
    c->early = false;
    if (c->connected) {
        chardev_hand_over(c);
    }
    return G_SOURCE_REMOVE;
}

/* A server that is not there is told once, as in QEMU: it will be so for each try until it is. */
static bool chardev_try_to_connect(Chardev *c, GError **error)
{
    g_autoptr(GError) why = NULL;

    c->fd = chardev_socket_connect(c->path, false, &why);
    if (g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_NAMETOOLONG)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    if (why && !c->reported) {
        warn_report("Unable to connect character device %s: %s", c->label, why->message);
    }
    c->reported = why != NULL;
    return true;
}

static gboolean chardev_reconnect(gpointer opaque)
{
    Chardev *c = opaque;

    c->tag = 0;
    chardev_try_to_connect(c, NULL);
    if (c->fd >= 0) {
        chardev_hand_over(c);
    } else {
        chardev_watch(c);
    }
    return G_SOURCE_REMOVE;
}

/* Waits for what comes next, unless that is up to the handler. */
static void chardev_watch(Chardev *c)
{
    if (c->tag != 0 || c->handed_over) {
        return;
    }
    if (c->fd >= 0) {
        if (c->connected) {
            c->tag = g_idle_add_full(G_PRIORITY_DEFAULT, chardev_hand_over, c, NULL);
        }
    } else if (c->listen_fd >= 0 && (c->connected || c->early)) {
        c->tag = g_unix_fd_add(c->listen_fd, G_IO_IN, chardev_accept, c);
    } else if (c->reconnect_ms > 0 && c->connected) {
        c->tag = g_timeout_add(c->reconnect_ms, chardev_reconnect, c);
    }
}

static bool chardev_open(Chardev *c, const ChardevConfig *config, GError **error)
{
    int *fd = config->server ? &c->listen_fd : &c->fd;

    if (c->reconnect_ms > 0) {
        return chardev_try_to_connect(c, error);
    }
    if (config->path) {
        *fd = config->server ? chardev_socket_listen(config->path, config->wait, &c->bound, error)
                             : chardev_socket_connect(config->path, config->wait, error);
    } else if (chardev_socket_inherit(config->fd, config->server, error)) {
        *fd = config->fd;
    }
    return *fd >= 0;
}

Chardev *chardev_new(const ChardevConfig *config, GError **error)
{
    g_autoptr(Chardev) c = g_new0(Chardev, 1);

    c->label = g_strdup(config->label);
    if (config->path && !config->server) {
        /* a daemon changes directory */
        c->path = g_path_is_absolute(config->path) ? g_strdup(config->path)
                                                   : g_canonicalize_filename(config->path, NULL);
        c->reconnect_ms = (guint)MIN(config->reconnect_ms, G_MAXUINT);
    }
    c->listen_fd = -1;
    c->fd = -1;
    c->ended = config->ended;
    c->ended_opaque = config->opaque;
    c->accept_limit = (LogLimit){ .burst = 1, .interval_ms = 60000 };
    return chardev_open(c, config, error) ? g_steal_pointer(&c) : NULL;
}

void chardev_free(Chardev *c)
{
    if (c) {
        g_clear_handle_id(&c->tag, g_source_remove);
        fd_close(&c->fd);
        fd_close(&c->listen_fd);
        bound_path_remove(&c->bound);
        g_free(c->path);
        g_free(c->label);
        g_free(c);
    }
}

void chardev_set_handler(Chardev *c, void (*connected)(void *opaque, int fd), void *opaque)
{
    g_clear_handle_id(&c->tag, g_source_remove);
    c->handed_over = false;
    c->connected = connected;
    c->opaque = opaque;
    chardev_watch(c);
}

static gboolean chardev_end(gpointer opaque)
{
    Chardev *c = opaque;

    c->tag = 0;
    c->ended(c->ended_opaque);
    return G_SOURCE_REMOVE;
}

void chardev_disconnected(Chardev *c)
{
    c->handed_over = false;
    chardev_watch(c);
    if (c->ended && !chardev_can_come_back(c) && c->tag == 0) {
        c->tag = g_idle_add_full(G_PRIORITY_DEFAULT, chardev_end, c, NULL);
    }
}

void chardev_accept_early(Chardev *c)
{
    c->early = true;
    chardev_watch(c);
}

bool chardev_can_come_back(const Chardev *c)
{
    return c->listen_fd >= 0 || c->reconnect_ms > 0;
}

bool chardev_is_connected(const Chardev *c)
{
    return c->fd >= 0 || c->handed_over;
}
