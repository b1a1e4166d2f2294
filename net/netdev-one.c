/*
 * What netdevs of one queue and no vnet header have in common.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/netdev-impl.h"

#include "net/net-socket.h"

bool netdev_set_error(GError **error, int err, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s%s%s", text, err ? ": " : "",
                err ? g_strerror(err) : "");
    return false;
}

bool netdev_one_init(Netdev *nd, const NetdevOps *ops, const char *id, NetdevQueue *queue,
                     GError **error)
{
    nd->ops = ops;
    nd->id = g_strdup(id);
    nd->n_queues = 1;
    nd->n_active = 1;
    nd->queue = g_new0(NetdevQueue *, 1);
    nd->queue[0] = queue;
    nd->host_offload = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_TSO_ECN;
    nd->mtu = NET_SOCKET_MTU;
    queue->nd = nd;
    queue->fd = -1;
    queue->vhost_fd = -1;
    return netdev_add_scratch(nd, error);
}

void netdev_one_done(Netdev *nd)
{
    netdev_remove_scratch(nd);
    g_clear_pointer(&nd->queue, g_free);
    g_clear_pointer(&nd->id, g_free);
    g_clear_pointer(&nd->error, g_free);
}

/* Packets to the guest are complete in any case. */
bool netdev_one_set_offload(Netdev *nd, unsigned offload, GError **error)
{
    return true;
}

bool netdev_one_set_active(Netdev *nd, unsigned n, GError **error)
{
    return true;
}
