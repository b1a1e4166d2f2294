/*
 * The types of netdevs: what -netdev, netdev_add, their help and the schema know of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev.h"
#include "qmp-commands.h"

#include "hw/net/vhost-user-netdev.h"
#include "hw/virtio/vhost-kernel.h"
#include "net/net-socket.h"
#include "util/log.h"

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

/* --- vhost-user --- */

static void release_chardev(void *opaque, Chardev *chardev)
{
    chardev_backend.release(opaque, chardev);
}

/* In QEMU's words. */
static ChardevObject *claim_chardev(System *s, const char *id, GError **error)
{
    ChardevObject *o = chardev_find(s, id);

    if (!o) {
        system_set_error(error, "chardev \"%s\" not found", id);
    } else if (!o->chardev) {
        system_set_error(error, "chardev \"%s\" is not reconnectable", id);
    } else if (!chardev_backend.claim(s, o->chardev)) {
        system_set_error(error, "chardev '%s' is already in use", id);
    } else {
        return o;
    }
    return NULL;
}

/* At the start, as QEMU does: what a driver can have is the back end's to say. */
static bool wait_for_back_end(System *s, const Netdev *nd, const ChardevObject *o, GError **error)
{
    if (!chardev_is_connected(o->chardev)) {
        info_report("waiting for connection on: %s", o->filename);
    }
    while (nd->error && vhost_user_netdev_has_hope(nd) && s->state != RUN_SHUTDOWN) {
        g_main_context_iteration(NULL, TRUE);
    }
    return !nd->error || s->state == RUN_SHUTDOWN || system_set_error(error, "%s", nd->error);
}

static Netdev *open_vhost_user(System *s, void *config, TapFdByName *by_name, void *opaque,
                               GError **error)
{
    const VhostUserNetdevConfig *c = config;
    ChardevObject *o = claim_chardev(s, c->chardev, error);
    VhostUserNetdevEnv env = { .released = release_chardev,
                               .changed = qmp_event_netdev_vhost_user, .opaque = s,
                               .at_start = !s->up };
    Netdev *nd;

    if (!o) {
        return NULL;
    }
    env.chardev = o->chardev;
    nd = vhost_user_netdev_new(c, &env, error);
    if (!nd) {
        release_chardev(s, o->chardev);
        return NULL;
    }
    if (!s->up && !wait_for_back_end(s, nd, o, error)) {
        g_clear_pointer(&nd, netdev_free);
    }
    return nd;
}

/* The three go together, in the order of netdev_types[]. */
const char *const netdev_types[] = { "socket", "stream", "dgram", "tap", "vhost-user", NULL };
const OptBranch netdev_branches[] = {
    { "socket", &socket_netdev_options },
    { "stream", &stream_options },
    { "dgram", &dgram_options },
    { "tap", &tap_options },
    { "vhost-user", &vhost_user_netdev_options },
    { 0 },
};
static NetdevOpen *const openers[] = { open_socket, open_stream, open_dgram, open_tap,
                                     open_vhost_user };
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
