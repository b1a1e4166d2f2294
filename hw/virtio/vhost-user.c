/*
 * A vhost-user back end: its connection, and what is the same for all messages. A message is
 * checked against its row of the table, handled, and answered if an answer is due; whoever lies
 * loses the connection, and what belonged to it is given back before anybody is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/fd.h"

#define MESSAGES_A_TURN 32 /* then others have the main loop */
#define MAX_WARNINGS    32 /* of a front end; further ones are not told */

static const VirtioTransportOps transport_ops = {
    .config_changed = vhost_user_config_changed,
    .ring_broken = vhost_user_vring_broken,
};

static void forget_connection(VhostUser *v)
{
    vhost_user_msg_init(&v->io, -1);
    v->warnings = MAX_WARNINGS;
    v->fault_fd = v->backend_fd = v->log_fd = -1;
    v->protocol = v->features = 0;
    v->features_set = v->features_refused = v->logging = false;
    v->status = 0;
}

VhostUser *vhost_user_new(VirtioDevice *dev, const VhostUserEvents *events, void *opaque)
{
    VhostUser *v = g_new0(VhostUser, 1);

    g_assert(dev->n_rings <= VHOST_USER_VRING_INDEX + 1);
    v->dev = dev;
    v->events = events;
    v->opaque = opaque;
    v->ring = g_new0(VhostUserRing, dev->n_rings);
    v->mem = guest_mem_new();
    vhost_user_rings_init(v);
    forget_connection(v);
    return v;
}

/* Rings first, as they stand on all the rest. */
static void close_connection(VhostUser *v)
{
    g_clear_handle_id(&v->in_tag, g_source_remove);
    g_clear_handle_id(&v->out_tag, g_source_remove);
    g_clear_handle_id(&v->fault_tag, g_source_remove);
    vhost_user_rings_pause(v);
    v->dev->ops->reset(v->dev);
    v->dev->transport = NULL;
    v->dev->mem = NULL;
    vhost_user_rings_done(v);
    guest_mem_clear(v->mem);
    guest_mem_set_log(v->mem, -1, 0, 0, NULL);
    vhost_user_inflight_forget(v);
    v->mem->fault_fd = -1;
    fd_close(&v->fault_fd);
    fd_close(&v->backend_fd);
    fd_close(&v->log_fd);
    vhost_user_msg_done(&v->io);
    forget_connection(v);
}

void vhost_user_free(VhostUser *v)
{
    if (!v) {
        return;
    }
    if (vhost_user_is_connected(v)) {
        close_connection(v);
    }
    event_call_done(&v->call);
    guest_mem_free(v->mem);
    g_free(v->ring);
    g_free(v);
}

/* --- events --- */

void vhost_user_warn(VhostUser *v, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    if (v->warnings == 0) {
        return;
    }
    v->warnings--;
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    v->events->warned(v->opaque, text);
}

static void tell_rings(VhostUser *v)
{
    if (v->running != v->running_told) {
        v->running_told = v->running;
        v->events->rings(v->opaque, v->running);
    }
}

/* The last that is done to @v: its owner may serve the next connection at once. */
void vhost_user_disconnect(VhostUser *v, const char *reason)
{
    if (vhost_user_is_connected(v)) {
        close_connection(v);
        tell_rings(v);
        v->events->ended(v->opaque, reason);
    }
}

/* --- messages --- */

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    VhostUser *v = opaque;
    const char *why = NULL;

    if (!vhost_user_msg_flush(&v->io, &why)) {
        v->out_tag = 0;
        vhost_user_disconnect(v, why);
        return G_SOURCE_REMOVE;
    }
    if (vhost_user_msg_waits(&v->io)) {
        return G_SOURCE_CONTINUE;
    }
    v->out_tag = 0;
    return G_SOURCE_REMOVE;
}

/* False: the connection ended. */
static bool send_reply(VhostUser *v, const VhostUserReply *reply)
{
    const char *why = NULL;

    if (!vhost_user_msg_send(&v->io, reply, &why)) {
        vhost_user_disconnect(v, why);
        return false;
    }
    if (vhost_user_msg_waits(&v->io) && v->out_tag == 0) {
        v->out_tag = g_unix_fd_add(v->io.fd, G_IO_OUT, on_writable, v);
    }
    return true;
}

/* Before it is known what to do with it. */
static bool check_header(const VhostUserHeader *hdr, GError **error)
{
    if ((hdr->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
        hdr->flags & VHOST_USER_REPLY) {
        VHOST_USER_LIE(error, "no request has the flags 0x%x", hdr->flags);
        return false;
    }
    return true;
}

static bool check_message(VhostUser *v, const VhostUserRow *row, VhostUserMsg *msg,
                          GError **error)
{
    if (!check_header(&msg->hdr, error)) {
        return false;
    }
    if (!row) {
        VHOST_USER_REFUSE(error, "there is no such request");
        return false;
    }
    if (row->needs > 0 && !vhost_user_has(v, row->needs - 1u)) {
        VHOST_USER_LIE(error, "protocol feature %u is not negotiated", row->needs - 1u);
        return false;
    }
    if (msg->hdr.size < row->min_size || msg->hdr.size > row->max_size) {
        VHOST_USER_LIE(error, "it has %u bytes", msg->hdr.size);
        return false;
    }
    if (msg->n_fds < row->min_fds) {
        VHOST_USER_LIE(error, "a descriptor is missing");
        return false;
    }
    return true;
}

static char *name_of(const VhostUserRow *row, uint32_t request)
{
    return row ? g_strdup(row->name) : g_strdup_printf("request %u", request);
}

static bool handle(VhostUser *v, const VhostUserRow *row, VhostUserMsg *msg,
                   VhostUserReply *reply, GError **error)
{
    if (!check_message(v, row, msg, error)) {
        return false;
    }
    if (msg->n_fds > row->max_fds) {
        vhost_user_warn(v, "%s: it has %u descriptors, which are too many", row->name,
                        msg->n_fds);
    }
    return row->handler(v, msg, reply, error);
}

/*
 * One message, which is done with when we return. False: the connection ended. What was not
 * obeyed is said so to a front end that wants to know, unless it lied.
 */
static bool take_message(VhostUser *v, VhostUserMsg *msg)
{
    const VhostUserRow *row = vhost_user_row(msg->hdr.request);
    VhostUserReply reply = { .hdr = { .request = msg->hdr.request }, .fd = -1 };
    g_autoptr(GError) error = NULL;
    bool asked, ok;

    reply.hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
    ok = handle(v, row, msg, &reply, &error);
    /* as it is now: the message may be the one that negotiates it */
    asked = msg->hdr.flags & VHOST_USER_NEED_REPLY &&
            vhost_user_has(v, VHOST_USER_PROTOCOL_F_REPLY_ACK);
    vhost_user_msg_next(&v->io);
    if (!ok) {
        g_autofree char *name = name_of(row, msg->hdr.request);
        g_autofree char *text = g_strdup_printf("%s: %s", name, error->message);

        if (!asked || (row && row->answers) ||
            g_error_matches(error, VHOST_USER_ERROR, VHOST_USER_ERROR_LIE)) {
            vhost_user_disconnect(v, text);
            return false;
        }
        vhost_user_warn(v, "%s", text);
    }
    if (asked && !(row && row->answers)) {
        vhost_user_answer_u64(&reply, !ok);
        return send_reply(v, &reply);
    }
    return !row || !row->answers || send_reply(v, &reply);
}

static gboolean on_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    VhostUser *v = opaque;
    const char *why = NULL;

    for (unsigned i = 0; i < MESSAGES_A_TURN; i++) {
        VhostUserMsgResult r = vhost_user_msg_read(&v->io, &why);

        if (r == VHOST_USER_MSG_PARTIAL) {
            break;
        }
        if (r != VHOST_USER_MSG_COMPLETE) {
            vhost_user_disconnect(v, r == VHOST_USER_MSG_CLOSED ? NULL : why);
            return G_SOURCE_REMOVE;
        }
        if (!take_message(v, &v->io.in)) {
            return G_SOURCE_REMOVE;
        }
        tell_rings(v);
    }
    return G_SOURCE_CONTINUE;
}

/* --- the connection --- */

static gboolean on_fault(gint fd, GIOCondition cond, gpointer opaque)
{
    VhostUser *v = opaque;

    v->fault_tag = 0;
    vhost_user_disconnect(v, "the front end took away memory that it shares");
    return G_SOURCE_REMOVE;
}

void vhost_user_serve(VhostUser *v, int fd)
{
    g_assert(!vhost_user_is_connected(v));
    vhost_user_msg_init(&v->io, fd);
    v->dev->mem = v->mem;
    v->dev->transport = &transport_ops;
    v->dev->transport_opaque = v;
    v->fault_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->fault_fd < 0) {
        vhost_user_disconnect(v, "there are no more file descriptors");
        return;
    }
    v->mem->fault_fd = v->fault_fd;
    v->fault_tag = g_unix_fd_add(v->fault_fd, G_IO_IN, on_fault, v);
    v->in_tag = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, v);
}

bool vhost_user_is_connected(const VhostUser *v)
{
    return v->io.fd >= 0;
}
