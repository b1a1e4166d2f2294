/*
 * How the socket of a chardev is opened, with QEMU's words for what can go wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev-internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/process.h"

/* For another process to let go of the socket... */
#define LISTEN_WAIT_MS 1000
/* ...and for one that was killed: with requests of a slow disk under way that may take long. */
#define ENDING_WAIT_MS 30000
#define RETRY_MS       20

static bool G_GNUC_PRINTF(2, 3) chardev_socket_set_error(GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(G_FILE_ERROR, G_FILE_ERROR_FAILED, fmt, ap));
    va_end(ap);
    return false;
}

static bool chardev_socket_address(const char *path, struct sockaddr_un *ret, GError **error)
{
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(ret->sun_path)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NAMETOOLONG, "UNIX socket path '%s' is too "
                    "long\nPath must be less than %zu bytes", path, sizeof(ret->sun_path));
        return false;
    }
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return true;
}

static int chardev_socket_new(const char *path, struct sockaddr_un *ret_addr, GError **error)
{
    int fd;

    if (!chardev_socket_address(path, ret_addr, error)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        chardev_socket_set_error(error, "Failed to create socket: %s", g_strerror(errno));
    }
    return fd;
}

/*
 * True if nobody listens at @addr any more. Else our connection has ended, with whoever listened,
 * or there is none, or @wait_ms are over. Whom it was made to is noted in @owner.
 */
static bool chardev_socket_is_dead(const struct sockaddr_un *addr, int wait_ms, pid_t *owner)
{
    AUTO_FD int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd end = { .fd = probe };
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (probe < 0 || connect(probe, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
        return probe >= 0 && errno == ECONNREFUSED;
    }
    if (getsockopt(probe, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
        *owner = peer.pid;
    }
    poll(&end, 1, wait_ms);
    return false;
}

/*
 * A socket that nobody listens on any more is in the way of a new one. A process that was killed
 * lets go of its own a little later than it is gone, so one of a process is waited for, too, if
 * that is wanted; a living one has a connection to serve for that, if it ends those at once a few
 * more.
 */
static void chardev_socket_remove_stale(const struct sockaddr_un *addr, bool wait)
{
    gint64 start = g_get_monotonic_time();
    gint64 end = start + (wait ? LISTEN_WAIT_MS * 1000 : 0);
    gint64 last = start + (wait ? ENDING_WAIT_MS * 1000 : 0);
    pid_t owner = 0;
    struct stat st;

    while (stat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        gint64 now = g_get_monotonic_time();

        if (chardev_socket_is_dead(addr, (int)(MAX(end - now, 0) / 1000), &owner)) {
            unlink(addr->sun_path);
            return;
        }
        now = g_get_monotonic_time();
        if (now >= last || (now >= end && !(owner > 0 && process_is_ending(owner)))) {
            return;
        }
        poll(NULL, 0, RETRY_MS);
    }
}

int chardev_socket_listen(const char *path, bool wait, BoundPath *bound, GError **error)
{
    struct sockaddr_un addr;
    AUTO_FD int fd = chardev_socket_new(path, &addr, error);

    if (fd < 0) {
        return -1;
    }
    chardev_socket_remove_stale(&addr, wait);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        chardev_socket_set_error(error, "Failed to bind socket to %s: %s", path,
                                 g_strerror(errno));
        return -1;
    }
    if (!bound_path_set(bound, path) || listen(fd, 1) < 0) {
        chardev_socket_set_error(error, "Failed to listen on socket: %s", g_strerror(errno));
        return -1;
    }
    fd_set_nonblock(fd, true);
    return g_steal_fd(&fd);
}

int chardev_socket_connect(const char *path, bool wait, GError **error)
{
    struct sockaddr_un addr;
    AUTO_FD int fd = chardev_socket_new(path, &addr, error);

    if (fd < 0) {
        return -1;
    }
    fd_set_nonblock(fd, !wait);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        chardev_socket_set_error(error, "Failed to connect to '%s': %s", path, g_strerror(errno));
        return -1;
    }
    fd_set_nonblock(fd, true);
    return g_steal_fd(&fd);
}

bool chardev_fd_is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

bool chardev_socket_inherit(int fd, bool server, GError **error)
{
    int type;
    socklen_t len = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        return chardev_socket_set_error(error, "File descriptor '%d' is not a socket", fd);
    }
    if (type != SOCK_STREAM) {
        return chardev_socket_set_error(error, "File descriptor '%d' is not a stream socket", fd);
    }
    if (!server && !chardev_fd_is_connected(fd)) {
        return chardev_socket_set_error(error, "File descriptor '%d' is not connected: is "
                                        "server=on missing?", fd);
    }
    if (server && listen(fd, 1) < 0) {
        return chardev_socket_set_error(error, "Failed to listen on socket: %s",
                                        g_strerror(errno));
    }
    fd_set_cloexec(fd, true);
    fd_set_nonblock(fd, true);
    return true;
}
