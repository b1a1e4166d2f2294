/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

void sock_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    errno = saved;
}

static bool sock_address(struct sockaddr_un *sa, const char *path)
{
    memset(sa, 0, sizeof(*sa));
    sa->sun_family = AF_UNIX;
    return g_strlcpy(sa->sun_path, path, sizeof(sa->sun_path)) < sizeof(sa->sun_path);
}

int sock_connect(const char *path, int type)
{
    const struct timeval timeout = { .tv_sec = SOCK_TIMEOUT_S };
    struct sockaddr_un sa;
    int fd, r;

    if (!sock_address(&sa, path)) {
        return -ENAMETOOLONG;
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    /* A listener that never accepts: not for ever. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        r = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* True: there is nothing at @path any more, or nothing that we would disturb. */
static bool sock_clear_path(const char *path, int type, char **errmsg)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) < 0) {
        return true;
    }
    if (!S_ISSOCK(st.st_mode)) {
        *errmsg = g_strdup_printf("%s exists and is not a socket", path);
        return false;
    }
    fd = sock_connect(path, type);
    if (fd >= 0 || fd != -ECONNREFUSED) {
        sock_close(&fd);
        *errmsg = g_strdup_printf("%s is in use by another process", path);
        return false;
    }
    unlink(path);
    return true;
}

int sock_listen(const char *path, int type, char **errmsg)
{
    struct sockaddr_un sa;
    int fd;

    if (!sock_address(&sa, path)) {
        *errmsg = g_strdup_printf("%s is too long for a unix socket (%zu bytes at most)", path,
                                  sizeof(sa.sun_path) - 1);
        return -1;
    }
    if (!sock_clear_path(path, type, errmsg)) {
        return -1;
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Nobody can connect before listen(), so the mode is right in time. */
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(path, 0600) < 0 ||
        listen(fd, 64) < 0) {
        *errmsg = g_strdup_printf("could not listen on %s: %s", path, g_strerror(errno));
        sock_close(&fd);
        return -1;
    }
    return fd;
}

int sock_spare_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int sock_accept(int listener, int *spare, const void *refusal, size_t len)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        return fd;
    }
    if (errno != EMFILE && errno != ENFILE) {
        return -errno;
    }
    sock_close(spare);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && len > 0) {
        sock_send(fd, refusal, len, NULL, 0);
    }
    sock_close(&fd);
    *spare = sock_spare_open();
    return -EMFILE;
}

int sock_send(int fd, const void *msg, size_t len, const int *fds, unsigned n_fds)
{
    union {
        char buf[CMSG_SPACE(SOCK_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { (void *)(uintptr_t)msg, len };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
    struct cmsghdr *c;
    ssize_t n;

    if (n_fds > 0) {
        memset(&control, 0, sizeof(control));
        mh.msg_control = control.buf;
        mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    do {
        n = sendmsg(fd, &mh, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static unsigned sock_take_fds(struct msghdr *mh, int *ret_fds, unsigned max_fds)
{
    unsigned n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        unsigned count;
        int fd;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count; i++) {
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (n < max_fds) {
                ret_fds[n++] = fd;
            } else {
                close(fd);
            }
        }
    }
    return n;
}

int sock_recv(int fd, void *msg, size_t len, int *ret_fds, unsigned max_fds, unsigned *ret_n)
{
    union {
        char buf[CMSG_SPACE(SOCK_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { msg, len };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf) };
    unsigned n_fds;
    ssize_t n;

    *ret_n = 0;
    do {
        n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    n_fds = sock_take_fds(&mh, ret_fds, max_fds);
    if (n != 0 && ((size_t)n != len || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))) {
        for (unsigned i = 0; i < n_fds; i++) {
            close(ret_fds[i]);
        }
        return (size_t)n == len && (mh.msg_flags & MSG_CTRUNC) ? -EMFILE : -EPROTO;
    }
    *ret_n = n_fds;
    return n == 0 ? 0 : (int)n;
}
