/*
 * What a front end wants of the device beside its rings: configuration, a NIC's announcement
 * and MTU, and the way back on which it hears of changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

#define CONFIG_HEAD offsetof(VhostUserConfig, data)

/* What it names has to come with it, and to be within the configuration space. */
static bool read_config(const VhostUserMsg *msg, VhostUserConfig *ret, GError **error)
{
    memcpy(ret, msg->payload, msg->hdr.size);
    if (ret->size != msg->hdr.size - CONFIG_HEAD || ret->size == 0 ||
        ret->offset > VHOST_USER_MAX_CONFIG || ret->size > VHOST_USER_MAX_CONFIG - ret->offset) {
        VHOST_USER_LIE(error, "%u bytes at %u, of %u bytes", ret->size, ret->offset,
                       msg->hdr.size);
        return false;
    }
    return true;
}

bool vhost_user_get_config(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                           GError **error)
{
    VhostUserConfig c;

    if (!read_config(msg, &c, error)) {
        return false;
    }
    v->dev->ops->get_config(v->dev, c.offset, c.data, c.size);
    memcpy(reply->payload, &c, msg->hdr.size);
    reply->hdr.size = msg->hdr.size;
    return true;
}

bool vhost_user_set_config(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                           GError **error)
{
    VhostUserConfig c;

    if (!read_config(msg, &c, error)) {
        return false;
    }
    if (c.flags > VHOST_USER_CONFIG_MIGRATION) {
        VHOST_USER_LIE(error, "there are no flags 0x%x", c.flags);
        return false;
    }
    if (!v->dev->ops->set_config(v->dev, c.offset, c.data, c.size)) {
        VHOST_USER_REFUSE(error, "%u bytes at %u can't be written", c.size, c.offset);
        return false;
    }
    return true;
}

/* --- a NIC's --- */

bool vhost_user_send_rarp(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply, GError **error)
{
    if (v->dev->ops->announce) {
        v->dev->ops->announce(v->dev, msg->payload);
    }
    return true;
}

bool vhost_user_net_set_mtu(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                            GError **error)
{
    uint64_t mtu = vhost_user_u64(msg);

    if (mtu > UINT16_MAX || !v->dev->ops->set_mtu) {
        VHOST_USER_REFUSE(error, "an MTU of %" G_GINT64_MODIFIER "u can't be had", mtu);
        return false;
    }
    return v->dev->ops->set_mtu(v->dev, (uint16_t)mtu, error);
}

/* --- the way back --- */

static bool is_unix_stream(int fd)
{
    int domain = 0, type = 0;
    socklen_t len = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

bool vhost_user_set_backend_req_fd(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                                   GError **error)
{
    AUTO_FD int fd = vhost_user_msg_take_fd(msg, 0);

    if (!is_unix_stream(fd)) {
        VHOST_USER_LIE(error, "the descriptor is no unix socket");
        return false;
    }
    fd_close(&v->backend_fd);
    v->backend_fd = g_steal_fd(&fd);
    return true;
}

/*
 * Wants no answer, which we might wait for. If the socket does not take it, it is full of
 * messages that say the same and are not read yet.
 */
void vhost_user_config_changed(void *opaque)
{
    VhostUser *v = opaque;
    VhostUserHeader hdr = {
        .request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
        .flags = VHOST_USER_VERSION,
    };

    if (v->backend_fd >= 0 && vhost_user_has(v, VHOST_USER_PROTOCOL_F_CONFIG) &&
        send(v->backend_fd, &hdr, sizeof(hdr), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        errno != EAGAIN) {
        fd_close(&v->backend_fd);
    }
}
