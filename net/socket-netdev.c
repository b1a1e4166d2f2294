/*
 * -netdev socket: QEMU's older way to say what -netdev stream and dgram do, for IPv4 and for
 * descriptors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "dgram-internal.h"
#include "given-fd.h"
#include "net/netdev-impl.h"
#include "stream-internal.h"
#include "util/fd.h"

#define OFF(member) offsetof(SocketNetdevConfig, member)

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .required = true, .help = "name of the netdev" },
    { "fd", OPT_STR, OFF(fd),
      .help = "an inherited descriptor of a socket, or a name of getfd: a stream of frames or one "
              "frame a datagram, as it is" },
    { "listen", OPT_STR, OFF(listen), .help = "HOST:PORT, for one TCP client at a time" },
    { "connect", OPT_STR, OFF(connect), .help = "HOST:PORT of a TCP server" },
    { "mcast", OPT_STR, OFF(mcast), .help = "GROUP:PORT, where all members hear all" },
    { "localaddr", OPT_STR, OFF(localaddr),
      .help = "with mcast: the address of the interface to use; with udp: HOST:PORT of ours" },
    { "udp", OPT_STR, OFF(udp), .help = "HOST:PORT to send to; localaddr says where from" },
    { 0 },
};
const OptTable socket_netdev_options = {
    .name = "socket",
    .size = sizeof(SocketNetdevConfig),
    .members = members,
};

static const NetdevOps stream_ops = STREAM_NETDEV_OPS("socket");
static const NetdevOps dgram_ops = DGRAM_NETDEV_OPS("socket", true);

static char *describe(const Stream *s, StreamState state, const SocketName *peer)
{
    g_autofree char *text = NULL;

    if (s->where) {
        return g_strdup(state == STREAM_ENDED ? "" : s->where);
    }
    text = state == STREAM_CONNECTED ? dgram_text(peer) : NULL;
    return text ? g_strdup_printf("socket: connection from %s", text) : g_strdup("");
}

static Stream *new_stream(const SocketNetdevConfig *config, const NetSocketEnv *env,
                          GError **error)
{
    const NetSocketEnv quiet = { .fd_by_name = env->fd_by_name, .fd_opaque = env->fd_opaque };
    Stream *s = stream_alloc(config->id, &stream_ops, &quiet, error); /* QEMU: no events of it */

    if (s) {
        s->describe = describe;
    }
    return s;
}

static Netdev *finish_dgram(const SocketNetdevConfig *config, int fd, const SocketName *dest,
                            const char *info, GError **error)
{
    Dgram *d = fd < 0 ? NULL : dgram_alloc(config->id, &dgram_ops, fd, dest, info, error);

    return d ? &d->nd : NULL;
}

static Netdev *open_fd(const SocketNetdevConfig *config, const NetSocketEnv *env, GError **error)
{
    AUTO_FD int fd = given_socket(config->id, config->fd, env, error);
    g_autofree char *info = fd < 0 ? NULL : g_strdup_printf("socket: fd=%d", fd);
    socklen_t len = sizeof(int);
    int type = -1;

    if (fd < 0) {
        return NULL;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        netdev_set_error(error, 0, "can't get socket option SO_TYPE");
    } else if (type == SOCK_DGRAM) {
        const char *kind = dgram_kind(fd, error);
        g_autofree char *more = g_strdup_printf("%s %s", info, kind ? kind : "");

        return kind ? finish_dgram(config, g_steal_fd(&fd), NULL, more, error) : NULL;
    } else if (type == SOCK_STREAM) {
        Stream *s = new_stream(config, env, error);

        if (s) {
            s->where = g_steal_pointer(&info);
            stream_adopt(s, g_steal_fd(&fd));
            return &s->nd;
        }
    } else {
        netdev_set_error(error, 0, "socket type=%d for fd=%d must be either SOCK_DGRAM or "
                         "SOCK_STREAM", type, fd);
    }
    return NULL;
}

static int listen_at(const SocketName *name, GError **error)
{
    g_autofree char *text = dgram_text(name);
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0) {
        netdev_set_error(error, errno, "can't create stream socket");
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&name->addr, name->len) < 0) {
        *strrchr(text, ':') = '\0';
        netdev_set_error(error, errno, "can't bind ip=%s to socket", text);
        return -1;
    }
    if (listen(fd, 1) < 0) {
        netdev_set_error(error, errno, "can't listen on socket");
        return -1;
    }
    return g_steal_fd(&fd);
}

static Netdev *open_listen(const SocketNetdevConfig *config, const NetSocketEnv *env,
                           GError **error)
{
    SocketName name;
    int fd = dgram_parse(config->listen, &name, error) ? listen_at(&name, error) : -1;
    Stream *s = fd < 0 ? NULL : new_stream(config, env, error);

    if (!s) {
        fd_close(&fd);
        return NULL;
    }
    stream_listen(s, fd);
    return &s->nd;
}

static Netdev *open_connect(const SocketNetdevConfig *config, const NetSocketEnv *env,
                            GError **error)
{
    g_autofree char *text = NULL;
    SocketName name;
    GArray *names;
    Stream *s = dgram_parse(config->connect, &name, error) ? new_stream(config, env, error) : NULL;

    if (!s) {
        return NULL;
    }
    text = dgram_text(&name);
    s->where = g_strdup_printf("socket: connect to %s", text);
    names = g_array_new(FALSE, TRUE, sizeof(SocketName));
    g_array_append_val(names, name);
    stream_connect(s, names);
    return &s->nd;
}

static Netdev *open_mcast(const SocketNetdevConfig *config, GError **error)
{
    g_autofree char *info = NULL;
    g_autofree char *text = NULL;
    SocketName group;

    if (!dgram_parse(config->mcast, &group, error)) {
        return NULL;
    }
    text = dgram_text(&group);
    info = g_strdup_printf("socket: mcast=%s", text);
    return finish_dgram(config, dgram_join(&group, config->localaddr, error), &group, info, error);
}

static Netdev *open_udp(const SocketNetdevConfig *config, GError **error)
{
    g_autofree char *info = NULL;
    g_autofree char *text = NULL;
    SocketName from;
    SocketName to;

    if (!config->localaddr) {
        netdev_set_error(error, 0, "localaddr= is mandatory with udp=");
        return NULL;
    }
    if (!dgram_parse(config->localaddr, &from, error) || !dgram_parse(config->udp, &to, error)) {
        return NULL;
    }
    text = dgram_text(&to);
    info = g_strdup_printf("socket: udp=%s", text);
    return finish_dgram(config, dgram_bind(&from, error), &to, info, error);
}

Netdev *socket_netdev_new(const SocketNetdevConfig *config, const NetSocketEnv *env,
                          GError **error)
{
    if (!!config->fd + !!config->listen + !!config->connect + !!config->mcast + !!config->udp
        != 1) {
        netdev_set_error(error, 0, "exactly one of listen=, connect=, mcast= or udp= is required");
        return NULL;
    }
    if (config->localaddr && !config->mcast && !config->udp) {
        netdev_set_error(error, 0, "localaddr= is only valid with mcast= or udp=");
        return NULL;
    }
    return config->fd        ? open_fd(config, env, error)
           : config->listen  ? open_listen(config, env, error)
           : config->connect ? open_connect(config, env, error)
           : config->mcast   ? open_mcast(config, error)
                             : open_udp(config, error);
}
