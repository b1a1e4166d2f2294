/*
 * Messages to a back end, and its answers. It answers in the order in which it was asked, so who
 * owes what is a queue, and whatever else it says is a lie.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-remote-internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "vhost-user-internal.h"

#define PATIENCE_MS 2000 /* the main loop has others to serve */

/* So each answer that we ask for is a u64, and this one: */
_Static_assert(sizeof(struct vhost_vring_state) == sizeof(uint64_t), "as long as a u64");

static gboolean on_lost(gpointer opaque)
{
    VhostUserRemote *r = opaque;
    g_autofree char *reason = g_steal_pointer(&r->reason);

    r->lost_tag = 0;
    r->events->lost(r->opaque, reason);
    return G_SOURCE_REMOVE;
}

/* The owner hears of it later: who lost it may be in the middle of something. */
void remote_lose(VhostUserRemote *r, const char *fmt, ...)
{
    va_list ap;

    if (r->io.fd < 0) {
        return;
    }
    va_start(ap, fmt);
    r->reason = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_clear_handle_id(&r->in_tag, g_source_remove);
    g_clear_handle_id(&r->slow_tag, g_source_remove);
    vhost_user_msg_done(&r->io);
    g_queue_clear_full(&r->owed, g_free);
    r->ready = false;
    remote_forget_rings(r);
    r->lost_tag = g_idle_add_full(G_PRIORITY_DEFAULT, on_lost, r, NULL);
}

/* --- answers --- */

static const char *name_of(uint32_t request)
{
    const VhostUserRow *row = vhost_user_row(request);

    return row ? row->name : "an unknown request";
}

static void take_answer(VhostUserRemote *r, const VhostUserHeader *hdr, uint64_t value)
{
    g_autofree RemoteOwed *owed = g_queue_pop_head(&r->owed);

    if (!owed || owed->request != hdr->request) {
        remote_lose(r, "it answers %s, which it was not asked", name_of(hdr->request));
        return;
    }
    if (hdr->flags != (VHOST_USER_VERSION | VHOST_USER_REPLY) || hdr->size != sizeof(value)) {
        remote_lose(r, "%s: its answer has %u bytes and the flags 0x%x", name_of(owed->request),
                    hdr->size, hdr->flags);
        return;
    }
    if (!owed->ack) {
        remote_answered(r, owed->request, value);
    } else if (value != 0) {
        remote_lose(r, "%s: it refuses", name_of(owed->request));
    }
}

void remote_listen(VhostUserRemote *r)
{
    const char *why = NULL;

    while (r->io.fd >= 0) {
        VhostUserMsgResult result = vhost_user_msg_read(&r->io, &why);

        if (result == VHOST_USER_MSG_PARTIAL) {
            return;
        }
        if (result == VHOST_USER_MSG_COMPLETE) {
            VhostUserHeader hdr = r->io.in.hdr;
            uint64_t value;

            memcpy(&value, r->io.in.payload, sizeof(value));
            vhost_user_msg_next(&r->io); /* who gets it may listen again */
            take_answer(r, &hdr, value);
        } else {
            remote_lose(r, "%s", result == VHOST_USER_MSG_CLOSED ? "it closed the connection"
                                                                 : why);
        }
    }
}

/* Until the socket has room if @out, or it says something. False: the connection is gone. */
static bool await(VhostUserRemote *r, bool out, gint64 until)
{
    struct pollfd p = { .fd = r->io.fd, .events = (short)(POLLIN | (out ? POLLOUT : 0)) };
    gint64 left = until - g_get_monotonic_time();

    if (left <= 0) {
        remote_lose(r, out ? "it reads no messages" : "it does not answer");
    } else if (poll(&p, 1, (int)(left / 1000) + 1) > 0 && (p.revents & ~POLLOUT)) {
        remote_listen(r);
    }
    return r->io.fd >= 0;
}

void remote_settle(VhostUserRemote *r)
{
    gint64 until = g_get_monotonic_time() + PATIENCE_MS * 1000;

    while (r->io.fd >= 0 && !g_queue_is_empty(&r->owed) && await(r, false, until)) {
    }
}

/* --- messages --- */

typedef union Control {
    struct cmsghdr align;
    uint8_t buf[CMSG_SPACE(VHOST_USER_MAX_FDS * sizeof(int))];
} Control;

/* Descriptors go with the first byte. */
static ssize_t send_some(int fd, const VhostUserHeader *hdr, const void *payload, size_t sent,
                         const RemoteExtra *extra)
{
    size_t skip = MIN(sent, sizeof(*hdr));
    Control control = { 0 };
    struct iovec iov[2] = {
        { (uint8_t *)hdr + skip, sizeof(*hdr) - skip },
        { (uint8_t *)payload + (sent - skip), hdr->size - (sent - skip) },
    };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = hdr->size > 0 ? 2 : 1 };
    size_t len = extra->n_fds * sizeof(int);

    if (len > 0 && sent == 0) {
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(len);
        memcpy(CMSG_DATA(&control.align), extra->fd, len);
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(len);
    }
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_all(VhostUserRemote *r, const VhostUserHeader *hdr, const void *payload,
                     const RemoteExtra *extra)
{
    gint64 until = g_get_monotonic_time() + PATIENCE_MS * 1000;
    size_t sent = 0;

    while (sent < sizeof(*hdr) + hdr->size) {
        ssize_t n = send_some(r->io.fd, hdr, payload, sent, extra);

        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (!await(r, true, until)) {
                return;
            }
        } else if (errno != EINTR) {
            remote_lose(r, "%s: it cannot be sent: %s", name_of(hdr->request), g_strerror(errno));
            return;
        }
    }
}

void remote_send(VhostUserRemote *r, uint32_t request, const void *payload, size_t len,
                 const RemoteExtra *extra)
{
    const VhostUserRow *row = vhost_user_row(request);
    bool ack = extra->ack && remote_has(r, VHOST_USER_PROTOCOL_F_REPLY_ACK);
    VhostUserHeader hdr = {
        .request = request,
        .flags = VHOST_USER_VERSION | (ack ? VHOST_USER_NEED_REPLY : 0),
        .size = (uint32_t)len,
    };

    g_assert(row && len >= row->min_size && len <= row->max_size && extra->n_fds <= row->max_fds);
    if (r->io.fd < 0) {
        return;
    }
    if (row->answers || ack) {
        RemoteOwed *owed = g_new(RemoteOwed, 1);

        *owed = (RemoteOwed){ request, ack };
        g_queue_push_tail(&r->owed, owed);
    }
    send_all(r, &hdr, payload, extra);
}

void remote_send_u64(VhostUserRemote *r, uint32_t request, uint64_t value, bool ack)
{
    remote_send(r, request, &value, sizeof(value), &(RemoteExtra){ .ack = ack });
}
