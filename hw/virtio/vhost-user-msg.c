/*
 * A message is read by its parts, header and payload, and never beyond them: the kernel hands
 * descriptors over with the first byte that they were sent with, so those that come with one of
 * a message's bytes are the message's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-msg.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "util/fd.h"

#define HEADER sizeof(VhostUserHeader)

/* Room for the descriptors that a message may have: the kernel does not install more. */
typedef union VhostUserControl {
    struct cmsghdr align;
    uint8_t buf[CMSG_SPACE(VHOST_USER_MAX_FDS * sizeof(int))];
} VhostUserControl;

void vhost_user_msg_init(VhostUserMsgIo *io, int fd)
{
    io->fd = fd;
    io->in.n_fds = 0;
    io->in_got = 0;
    io->out_first = io->out_n = 0;
    io->out_sent = 0;
}

static void drop_first(VhostUserMsgIo *io)
{
    fd_close(&io->out[io->out_first].fd);
    io->out_first = (io->out_first + 1) % VHOST_USER_MSG_MAX_WAITING;
    io->out_n--;
    io->out_sent = 0;
}

void vhost_user_msg_done(VhostUserMsgIo *io)
{
    while (io->out_n > 0) {
        drop_first(io);
    }
    vhost_user_msg_next(io);
    fd_close(&io->fd);
}

/* --- requests --- */

void vhost_user_msg_next(VhostUserMsgIo *io)
{
    while (io->in.n_fds > 0) {
        fd_close(&io->in.fd[--io->in.n_fds]);
    }
    io->in_got = 0;
}

int vhost_user_msg_take_fd(VhostUserMsg *msg, unsigned i)
{
    int fd = -1;

    if (i < msg->n_fds) {
        fd = msg->fd[i];
        msg->fd[i] = -1;
    }
    return fd;
}

/* Keeps those there is room for, and closes the others: a message may come in many pieces. */
static void keep_fd(void *opaque, int fd)
{
    VhostUserMsg *msg = opaque;

    if (msg->n_fds < VHOST_USER_MAX_FDS) {
        msg->fd[msg->n_fds++] = fd;
    } else {
        fd_close(&fd);
    }
}

static VhostUserMsgResult read_piece(VhostUserMsgIo *io, void *at, size_t len,
                                     const char **ret_why)
{
    VhostUserControl control;
    struct iovec iov = { at, len };
    struct msghdr m = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t n;

    do {
        n = recvmsg(io->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        return VHOST_USER_MSG_PARTIAL;
    }
    /* reset: it was closed with replies unread */
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        *ret_why = "the connection ended within a message";
        return io->in_got == 0 ? VHOST_USER_MSG_CLOSED : VHOST_USER_MSG_BROKEN;
    }
    if (n < 0) {
        *ret_why = "the connection can't be read";
        return VHOST_USER_MSG_BROKEN;
    }
    fd_each_passed(&m, keep_fd, &io->in);
    io->in_got += (size_t)n;
    if (m.msg_flags & MSG_CTRUNC) {
        *ret_why = "descriptors were lost: more than 8 with a message, or we may have no more";
        return VHOST_USER_MSG_BROKEN;
    }
    return VHOST_USER_MSG_COMPLETE;
}

VhostUserMsgResult vhost_user_msg_read(VhostUserMsgIo *io, const char **ret_why)
{
    VhostUserMsg *msg = &io->in;
    VhostUserMsgResult r = VHOST_USER_MSG_COMPLETE;

    while (r == VHOST_USER_MSG_COMPLETE && io->in_got < HEADER) {
        r = read_piece(io, (uint8_t *)&msg->hdr + io->in_got, HEADER - io->in_got, ret_why);
    }
    if (r == VHOST_USER_MSG_COMPLETE && msg->hdr.size > VHOST_USER_MSG_MAX_PAYLOAD) {
        *ret_why = "a message is too long";
        return VHOST_USER_MSG_BROKEN;
    }
    while (r == VHOST_USER_MSG_COMPLETE && io->in_got < HEADER + msg->hdr.size) {
        size_t got = io->in_got - HEADER;

        r = read_piece(io, msg->payload + got, msg->hdr.size - got, ret_why);
    }
    return r;
}

/* --- replies --- */

bool vhost_user_msg_waits(const VhostUserMsgIo *io)
{
    return io->out_n > 0;
}

/* The descriptor goes with the first byte. */
static ssize_t send_rest(VhostUserMsgIo *io, VhostUserReply *r)
{
    size_t skip = MIN(io->out_sent, HEADER);
    VhostUserControl control = { 0 };
    struct iovec iov[2] = {
        { (uint8_t *)&r->hdr + skip, HEADER - skip },
        { r->payload + (io->out_sent - skip), r->hdr.size - (io->out_sent - skip) },
    };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

    if (r->fd >= 0 && io->out_sent == 0) {
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.align), &r->fd, sizeof(int));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(sizeof(int));
    }
    return sendmsg(io->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool vhost_user_msg_flush(VhostUserMsgIo *io, const char **ret_why)
{
    while (io->out_n > 0) {
        VhostUserReply *r = &io->out[io->out_first];
        ssize_t n = send_rest(io, r);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            bool closed = errno == EPIPE || errno == ECONNRESET;

            *ret_why = closed ? NULL : "the connection can't be written";
            return errno == EAGAIN;
        }
        io->out_sent += (size_t)n;
        if (io->out_sent == HEADER + r->hdr.size) {
            drop_first(io);
        }
    }
    return true;
}

bool vhost_user_msg_send(VhostUserMsgIo *io, const VhostUserReply *reply, const char **ret_why)
{
    if (io->out_n == VHOST_USER_MSG_MAX_WAITING) {
        int fd = reply->fd;

        fd_close(&fd);
        *ret_why = "the front end does not read its replies";
        return false;
    }
    io->out[(io->out_first + io->out_n) % VHOST_USER_MSG_MAX_WAITING] = *reply;
    io->out_n++;
    return vhost_user_msg_flush(io, ret_why);
}
