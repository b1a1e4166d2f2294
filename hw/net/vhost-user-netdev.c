/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/net/vhost-user-netdev.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "hw/virtio/vhost-user-remote.h"
#include "net/netdev-impl.h"
#include "util/container-of.h"
#include "util/fd.h"
#include "util/log.h"

#define MAX_QUEUES 1024 /* QEMU's, in its words */
#define MTU        1500 /* until a NIC says another */

typedef struct VhostUserNetdev {
    Netdev nd;
    NetdevQueue *queues;    /* nd.n_queues */
    VhostUserNetdevEnv env;
    char *chardev_id;
    VhostUserRemote *remote;
    bool up;                /* relaxed atomic: the back end is there, and rings go to it */
    bool hopeless;
    LogLimit limit;         /* of what a back end can cause that comes again and again */
} VhostUserNetdev;

#define OFF(member) offsetof(VhostUserNetdevConfig, member)

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .required = true, .help = "name of the netdev" },
    { "chardev", OPT_STR, OFF(chardev), .required = true,
      .help = "a -chardev socket, by which the back end comes or is connected to" },
    { "vhostforce", OPT_BOOL, OFF(vhostforce), .help = "no effect: nobody else could serve it" },
    { "queues", OPT_INT64, OFF(queues), .def = "1",
      .help = "number of queue pairs, which the back end has to have, 1 to 128" },
    { 0 },
};
const OptTable vhost_user_netdev_options = {
    .name = "vhost-user",
    .size = sizeof(VhostUserNetdevConfig),
    .members = members,
};

static VhostUserNetdev *netdev_of(Netdev *nd)
{
    return container_of(nd, VhostUserNetdev, nd);
}

/* --- what is left of a data path: rings that the back end has not --- */

/*
 * Packets of a ring that is about to go to the back end, or was given up by it, stay where they
 * are; without one they are lost, as with any link that is down.
 */
static unsigned no_send(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    const VhostUserNetdev *v = container_of(q->nd, VhostUserNetdev, nd);

    if (__atomic_load_n(&v->up, __ATOMIC_RELAXED)) {
        return 0;
    }
    q->refused += n;
    return n;
}

static unsigned no_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov, unsigned max)
{
    return 0;
}

/* --- the back end comes and goes --- */

static void set_up(VhostUserNetdev *v, bool up)
{
    __atomic_store_n(&v->up, up, __ATOMIC_RELAXED);
    if (v->env.changed) {
        v->env.changed(v->env.opaque, &v->nd, v->chardev_id, up);
    }
}

static void on_ready(void *opaque)
{
    VhostUserNetdev *v = opaque;

    v->env.at_start = false; /* from now on nobody waits */
    set_up(v, true);
    netdev_recover(&v->nd);
}

/* One that was never ready is told of here: its NIC knows that there is none. */
static void on_lost(void *opaque, const char *reason)
{
    VhostUserNetdev *v = opaque;

    v->hopeless = !chardev_can_come_back(v->env.chardev);
    if (v->up) {
        set_up(v, false);
        netdev_fail(&v->nd, "netdev %s: the back end is lost: %s", v->nd.id, reason);
    } else {
        g_free(v->nd.error);
        v->nd.error = g_strdup_printf("netdev %s: the back end cannot be used: %s", v->nd.id,
                                      reason);
        if (!v->env.at_start || !v->hopeless) {
            warn_report_limited(&v->limit, "%s", v->nd.error);
        }
    }
    chardev_disconnected(v->env.chardev);
}

static const VhostUserRemoteEvents remote_events = { .ready = on_ready, .lost = on_lost };

static void on_connected(void *opaque, int fd)
{
    VhostUserNetdev *v = opaque;

    vhost_user_remote_connect(v->remote, fd);
}

/* --- as a netdev --- */

static bool set_offload(Netdev *nd, unsigned offload, GError **error)
{
    return true; /* the back end hears of features when rings go to it */
}

static bool set_active(Netdev *nd, unsigned n, GError **error)
{
    return true; /* by enabled rings */
}

static char *info(Netdev *nd, unsigned queue)
{
    return g_strdup_printf("vhost-user%u to %s", queue, netdev_of(nd)->chardev_id);
}

static void netdev_close(Netdev *nd)
{
    VhostUserNetdev *v = netdev_of(nd);

    if (v->env.chardev) {
        vhost_user_remote_free(v->remote);
        v->env.released(v->env.opaque, v->env.chardev);
    }
    for (unsigned i = 0; i < nd->n_queues; i++) {
        fd_close(&v->queues[i].fd);
    }
    g_free(v->queues);
    g_free(nd->queue);
    g_free(nd->error);
    g_free(nd->id);
    g_free(v->chardev_id);
    g_free(v);
}

static const NetdevOps ops = {
    .type = "vhost-user",
    .send = no_send,
    .recv = no_recv,
    .set_offload = set_offload,
    .set_active = set_active,
    .info = info,
    .free = netdev_close,
};

/* Its queues' threads wait for something that never comes. */
static bool open_queues(VhostUserNetdev *v, GError **error)
{
    for (unsigned i = 0; i < v->nd.n_queues; i++) {
        v->queues[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (v->queues[i].fd < 0) {
            return netdev_set_error(error, errno, "no descriptor");
        }
    }
    return true;
}

static VhostUserNetdev *netdev_alloc(const VhostUserNetdevConfig *config)
{
    VhostUserNetdev *v = g_new0(VhostUserNetdev, 1);
    unsigned n = (unsigned)config->queues;

    v->nd = (Netdev){
        .ops = &ops,
        .id = g_strdup(config->id),
        .n_queues = n,
        .n_active = 1,
        .queue = g_new(NetdevQueue *, n),
        .has_vnet_hdr = true,
        .host_offload = NETDEV_CSUM4 | NETDEV_CSUM6 | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_TSO_ECN |
                        NETDEV_UFO | NETDEV_USO,
        .mtu = MTU,
        .mtu_is_nics = true,
        .vhost = &vhost_user_remote_ops,
        .error = g_strdup_printf("netdev %s: the back end is not connected", config->id),
    };
    v->queues = g_new0(NetdevQueue, n);
    for (unsigned i = 0; i < n; i++) {
        v->queues[i] = (NetdevQueue){ .nd = &v->nd, .index = i, .fd = -1, .vhost_fd = -1 };
        v->nd.queue[i] = &v->queues[i];
    }
    v->chardev_id = g_strdup(config->chardev);
    v->limit = (LogLimit){ .burst = 5, .interval_ms = 60000 };
    return v;
}

Netdev *vhost_user_netdev_new(const VhostUserNetdevConfig *config, const VhostUserNetdevEnv *env,
                              GError **error)
{
    VhostUserNetdev *v;

    if (config->queues < 1 || config->queues > MAX_QUEUES) {
        netdev_set_error(error, 0, "vhost-user number of queues must be in range [1, %d]",
                         MAX_QUEUES);
        return NULL;
    }
    if (config->queues > VHOST_USER_REMOTE_MAX_PAIRS) {
        netdev_set_error(error, 0, "no message of vhost-user can name more than %u queues",
                         VHOST_USER_REMOTE_MAX_PAIRS);
        return NULL;
    }
    v = netdev_alloc(config);
    if (!open_queues(v, error)) {
        netdev_free(&v->nd);
        return NULL;
    }
    v->env = *env;
    v->remote = vhost_user_remote_new(v->nd.n_queues, &remote_events, v);
    v->nd.vhost_remote = v->remote;
    chardev_set_handler(env->chardev, on_connected, v);
    return &v->nd;
}

bool vhost_user_netdev_has_hope(const Netdev *nd)
{
    return !container_of(nd, const VhostUserNetdev, nd)->hopeless;
}
