/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/chardev.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/bound-path.h"
#include "util/fd.h"

struct Chardev {
    int fd;          /* listening or connected, until somebody takes it; -1: none */
    BoundPath bound; /* that we made */
};

static bool G_GNUC_PRINTF(2, 3) chardev_set_error(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(G_FILE_ERROR, G_FILE_ERROR_FAILED, fmt, ap));
    va_end(ap);
    return false;
}

static bool chardev_address(const char *path, struct sockaddr_un *ret, GError **error)
{
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(ret->sun_path)) {
        return chardev_set_error(error, "UNIX socket path '%s' is too long\n"
                                 "Path must be less than %zu bytes", path, sizeof(ret->sun_path));
    }
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return true;
}

static bool chardev_connect(Chardev *c, const char *path, GError **error)
{
    struct sockaddr_un addr;

    if (!chardev_address(path, &addr, error)) {
        return false;
    }
    if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return chardev_set_error(error, "Failed to connect to '%s': %s", path, g_strerror(errno));
    }
    return true;
}

/* A socket that nobody listens on any more is in the way of a new one. */
static void chardev_remove_stale(const struct sockaddr_un *addr)
{
    AUTO_FD int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    if (probe >= 0 && stat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        connect(probe, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
        errno == ECONNREFUSED) {
        unlink(addr->sun_path);
    }
}

static bool chardev_bind(Chardev *c, const char *path, GError **error)
{
    struct sockaddr_un addr;

    if (!chardev_address(path, &addr, error)) {
        return false;
    }
    chardev_remove_stale(&addr);
    if (bind(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return chardev_set_error(error, "Failed to bind socket to %s: %s", path,
                                 g_strerror(errno));
    }
    if (!bound_path_set(&c->bound, path) || listen(c->fd, 1) < 0) {
        return chardev_set_error(error, "Failed to listen on socket: %s", g_strerror(errno));
    }
    return true;
}

static bool chardev_inherit(Chardev *c, const ChardevConfig *config, GError **error)
{
    int type;
    socklen_t len = sizeof(type);

    if (getsockopt(config->fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        return chardev_set_error(error, "File descriptor '%d' is not a socket", config->fd);
    }
    if (config->server && listen(config->fd, 1) < 0) {
        return chardev_set_error(error, "Failed to listen on socket: %s", g_strerror(errno));
    }
    c->fd = config->fd;
    fd_set_cloexec(c->fd, true);
    return true;
}

static bool chardev_open(Chardev *c, const ChardevConfig *config, GError **error)
{
    if (!config->path) {
        return chardev_inherit(c, config, error);
    }
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return chardev_set_error(error, "Failed to create socket: %s", g_strerror(errno));
    }
    return config->server ? chardev_bind(c, config->path, error)
                          : chardev_connect(c, config->path, error);
}

Chardev *chardev_new(const ChardevConfig *config, GError **error)
{
    g_autoptr(Chardev) c = g_new0(Chardev, 1);

    c->fd = -1;
    return chardev_open(c, config, error) ? g_steal_pointer(&c) : NULL;
}

void chardev_free(Chardev *c)
{
    if (c) {
        fd_close(&c->fd);
        bound_path_remove(&c->bound);
        g_free(c);
    }
}

int chardev_take_fd(Chardev *c)
{
    return g_steal_fd(&c->fd);
}
