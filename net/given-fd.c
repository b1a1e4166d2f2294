/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "given-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "net/netdev-impl.h"
#include "util/fd.h"

bool given_number(const char *id, const char *text, int *ret_fd, GError **error)
{
    uint64_t n;
    int flags;

    if (!g_ascii_string_to_unsigned(text, 10, 0, INT_MAX, &n, NULL)) {
        return netdev_set_error(error, 0, "Invalid file descriptor number '%s'", text);
    }
    *ret_fd = (int)n;
    flags = fcntl(*ret_fd, F_GETFD);
    if (flags < 0) {
        return netdev_set_error(error, errno, "%s: Can't use file descriptor %d", id, *ret_fd);
    }
    return !(flags & FD_CLOEXEC) ||
           netdev_set_error(error, 0, "%s: Can't use file descriptor %d: it was not inherited, or "
                            "is in use", id, *ret_fd);
}

static bool check_socket(int fd, GError **error)
{
    struct stat st;

    return (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) ||
           netdev_set_error(error, 0, "File descriptor '%d' is not a socket", fd);
}

static int prepare(const char *id, int fd, GError **error)
{
    int r = fd_set_nonblock(fd, true);

    r = r < 0 ? r : fd_set_cloexec(fd, true);
    if (r < 0) {
        netdev_set_error(error, -r, "%s: Can't use file descriptor %d", id, fd);
        return -1;
    }
    return fd;
}

static int named_socket(const char *id, const char *name, const NetSocketEnv *env, GError **error)
{
    AUTO_FD int fd = env->fd_by_name(env->fd_opaque, name);

    if (fd < 0) {
        netdev_set_error(error, 0, "File descriptor named '%s' has not been found", name);
        return -1;
    }
    if (!check_socket(fd, error) || prepare(id, fd, error) < 0) {
        return -1;
    }
    return g_steal_fd(&fd);
}

int given_socket(const char *id, const char *text, const NetSocketEnv *env, GError **error)
{
    int fd;

    if (env->fd_by_name && !g_ascii_isdigit(text[0])) {
        return named_socket(id, text, env, error);
    }
    return given_number(id, text, &fd, error) && check_socket(fd, error) ? prepare(id, fd, error)
                                                                         : -1;
}
