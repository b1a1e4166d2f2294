/*
 * The types of netdevs: what -netdev, netdev_add, their help and the schema know of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

#include "hw/virtio/vhost-kernel.h"
#include "net/net-socket.h"

typedef Netdev *NetdevOpen(System *s, void *config, TapFdByName *by_name, void *opaque,
                           GError **error);

static Netdev *open_tap(System *s, void *config, TapFdByName *by_name, void *opaque,
                        GError **error)
{
    TapConfig *tap = config;

    tap->at_start = !s->up;
    tap->vhost_init = vhost_kernel_init;
    tap->awaited = s->state == RUN_INMIGRATE && tap->local_migration_supported &&
                   (tap->incoming_fds || s->migration.parameters.local);
    return tap_new(tap, by_name, opaque, error);
}

static NetSocketEnv socket_env(System *s, TapFdByName *by_name, void *opaque)
{
    return (NetSocketEnv){ .fd_by_name = by_name, .fd_opaque = opaque,
                           .stream_changed = qmp_event_netdev_stream, .opaque = s };
}

static Netdev *open_socket(System *s, void *config, TapFdByName *by_name, void *opaque,
                           GError **error)
{
    const NetSocketEnv env = socket_env(s, by_name, opaque);

    return socket_netdev_new(config, &env, error);
}

static Netdev *open_stream(System *s, void *config, TapFdByName *by_name, void *opaque,
                           GError **error)
{
    const NetSocketEnv env = socket_env(s, by_name, opaque);

    return stream_new(config, &env, error);
}

static Netdev *open_dgram(System *s, void *config, TapFdByName *by_name, void *opaque,
                          GError **error)
{
    const NetSocketEnv env = socket_env(s, by_name, opaque);

    return dgram_new(config, &env, error);
}

/* The three go together, in the order of netdev_types[]. */
const char *const netdev_types[] = { "socket", "stream", "dgram", "tap", NULL };
const OptBranch netdev_branches[] = {
    { "socket", &socket_netdev_options },
    { "stream", &stream_options },
    { "dgram", &dgram_options },
    { "tap", &tap_options },
    { 0 },
};
static NetdevOpen *const openers[] = { open_socket, open_stream, open_dgram, open_tap };
_Static_assert(G_N_ELEMENTS(netdev_types) == G_N_ELEMENTS(openers) + 1 &&
               G_N_ELEMENTS(netdev_branches) == G_N_ELEMENTS(openers) + 1, "one each");

const OptBranch *netdev_type_find(const char *type)
{
    for (const OptBranch *b = netdev_branches; b->value; b++) {
        if (g_str_equal(b->value, type)) {
            return b;
        }
    }
    return NULL;
}

Netdev *netdev_type_open(System *s, const OptBranch *type, void *config, TapFdByName *by_name,
                         void *opaque, GError **error)
{
    return openers[type - netdev_branches](s, config, by_name, opaque, error);
}
