/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    errno = saved;
}

static int fd_change(int fd, int get, int set, int bit, bool on)
{
    int flags = fcntl(fd, get);

    if (flags < 0) {
        return -errno;
    }
    flags = on ? flags | bit : flags & ~bit;
    return fcntl(fd, set, flags) < 0 ? -errno : 0;
}

int fd_set_nonblock(int fd, bool on)
{
    return fd_change(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_set_cloexec(int fd, bool on)
{
    return fd_change(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}
