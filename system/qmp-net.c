/*
 * QMP: netdevs, and the human monitor's "info network".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

typedef struct LinkArgs {
    char *name;
    bool up;
} LinkArgs;

static const OptMember link_members[] = {
    { "name", OPT_STR, offsetof(LinkArgs, name), .required = true },
    { "up", OPT_BOOL, offsetof(LinkArgs, up), .required = true },
    { 0 },
};
static const OptTable link_args = { "set_link", sizeof(LinkArgs), link_members };

/* What netdev_add() takes, for the schema: it reads the branch by its own table. */
typedef struct NetdevArgs {
    int type;
    char *id;
    void *u;
} NetdevArgs;

static const OptEnum netdev_type = { "NetClientDriver", netdev_types };
static const OptMember netdev_members[] = {
    { "id", OPT_STR, offsetof(NetdevArgs, id), .required = true },
    { "type", OPT_ENUM, offsetof(NetdevArgs, type), .required = true, .values = &netdev_type },
    { 0 },
};
static const OptTable netdev_args = { "Netdev", sizeof(NetdevArgs), netdev_members, "type",
                                      netdev_branches, offsetof(NetdevArgs, u) };

typedef struct StreamEvent {
    char *id;
    SocketAddress *addr;
} StreamEvent;

static const OptMember connected_members[] = {
    { "netdev-id", OPT_STR, offsetof(StreamEvent, id), .required = true },
    { "addr", OPT_STRUCT, offsetof(StreamEvent, addr), .required = true,
      .table = &socket_address_options },
    { 0 },
};
static const OptMember disconnected_members[] = {
    { "netdev-id", OPT_STR, offsetof(StreamEvent, id), .required = true },
    { 0 },
};
static const OptTable connected_data = { "NetdevStreamConnected", sizeof(StreamEvent),
                                         connected_members };
static const OptTable disconnected_data = { "NetdevStreamDisconnected", sizeof(StreamEvent),
                                            disconnected_members };
static const QmpEvent stream_events[] = {
    { "NETDEV_STREAM_CONNECTED", &connected_data },
    { "NETDEV_STREAM_DISCONNECTED", &disconnected_data },
    { 0 },
};

void qmp_event_netdev_stream(void *opaque, const Netdev *nd, const SocketAddress *peer)
{
    System *s = opaque;

    qmp_event_send(s->qmp, &stream_events[peer ? 0 : 1],
                   &(StreamEvent){ .id = nd->id, .addr = (SocketAddress *)peer });
}

typedef struct VhostUserEvent {
    char *id;
    char *chardev;
} VhostUserEvent;

static const OptMember back_end_members[] = {
    { "netdev-id", OPT_STR, offsetof(VhostUserEvent, id), .required = true },
    { "chardev-id", OPT_STR, offsetof(VhostUserEvent, chardev), .required = true },
    { 0 },
};
static const OptMember no_back_end_members[] = {
    { "netdev-id", OPT_STR, offsetof(VhostUserEvent, id), .required = true },
    { 0 },
};
static const OptTable back_end_data = { "NetdevVhostUserConnected", sizeof(VhostUserEvent),
                                        back_end_members };
static const OptTable no_back_end_data = { "NetdevVhostUserDisconnected", sizeof(VhostUserEvent),
                                           no_back_end_members };
static const QmpEvent vhost_user_events[] = {
    { "NETDEV_VHOST_USER_CONNECTED", &back_end_data },
    { "NETDEV_VHOST_USER_DISCONNECTED", &no_back_end_data },
    { 0 },
};

void qmp_event_netdev_vhost_user(void *opaque, const Netdev *nd, const char *chardev, bool up)
{
    System *s = opaque;

    qmp_event_send(s->qmp, &vhost_user_events[up ? 0 : 1],
                   &(VhostUserEvent){ .id = nd->id, .chardev = (char *)chardev });
}

static void netdev_reply(void *opaque, const GError *error)
{
    qmp_reply_send(opaque, error);
}

static bool qmp_netdev_add(void *opaque, QmpMonitor *m, OptDict *args, GError **error)
{
    NetdevJob *job = NULL;
    bool ok = netdev_add_later(opaque, args, m, &job, error);

    if (job) {
        netdev_job_then(job, netdev_reply, qmp_reply_later(m));
    }
    return ok;
}

static bool qmp_netdev_del(void *opaque, QmpMonitor *m, const void *args, void *ret,
                           GError **error)
{
    NetdevJob *job = NULL;
    bool ok = netdev_del(opaque, ((const QmpIdArgs *)args)->id, &job, error);

    if (job) {
        netdev_job_then(job, netdev_reply, qmp_reply_later(m));
    }
    return ok;
}

static bool qmp_set_link(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const LinkArgs *link = args;

    return devices_set_link(opaque, link->name, link->up, error);
}

static void print_netdev_queue(GString *out, Netdev *nd, unsigned queue, const char *indent)
{
    g_autofree char *info = nd->ops->info(nd, queue);

    g_string_append_printf(out, "%s%s: index=%u,type=%s,%s%s\r\n", indent, nd->id, queue,
                           nd->ops->type, info,
                           nd->queue[queue]->vhost_serves ? ",vhost=on" : "");
}

/* As QEMU: a NIC and its netdev in pairs, one for each queue. */
static void print_nic(GString *out, Device *d, Netdev *peer)
{
    DeviceInfo info;

    device_info(d, &info);
    for (unsigned i = 0; i < peer->n_queues; i++) {
        g_string_append_printf(out, "%s: index=%u,type=nic,", d->id, i);
        if (i == 0) {
            g_string_append_printf(out, "model=%s", device_class_name(d->class));
            if (info.address[0]) {
                g_string_append_printf(out, ",macaddr=%s", info.address);
            }
        }
        g_string_append(out, "\r\n");
        print_netdev_queue(out, peer, i, " \\ ");
    }
}

static void info_network(void *opaque, GString *out)
{
    System *s = opaque;

    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        Device *d = device_registry_nth(s->devices, i);
        Netdev *peer = device_backend(d, "netdev");

        if (peer) {
            print_nic(out, d, peer);
        }
    }
    for (guint i = 0; i < s->netdevs->len; i++) {
        Netdev *nd = g_ptr_array_index(s->netdevs, i);

        for (unsigned q = 0; !nd->in_use && q < nd->n_queues; q++) {
            print_netdev_queue(out, nd, q, "");
        }
    }
}

void qmp_net_register(System *s)
{
    static const QmpCommand commands[] = {
        { "netdev_add", &netdev_args, .run_dict = qmp_netdev_add },
        { "netdev_del", &qmp_id_args, .run = qmp_netdev_del },
        { "set_link", &link_args, .run = qmp_set_link },
        { 0 },
    };
    static const HmpCommand hmp[] = {
        { "network", "show the network state", info_network },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
    qmp_register_events(s->qmp, stream_events);
    qmp_register_events(s->qmp, vhost_user_events);
    qmp_register_hmp(s->qmp, hmp, s);
}
