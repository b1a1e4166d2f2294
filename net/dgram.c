/*
 * -netdev dgram.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dgram-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "given-fd.h"
#include "net/netdev-impl.h"
#include "util/container-of.h"
#include "util/fd.h"

static const OptMember members[] = {
    { "id", OPT_STR, offsetof(DgramConfig, id), .required = true, .help = "name of the netdev" },
    { "local", OPT_STRUCT, offsetof(DgramConfig, local), .table = &socket_address_options,
      .help = "its own address, as local.type=inet with local.host= and local.port=, unix with "
              "local.path=, or fd with local.str=; not needed for a multicast group" },
    { "remote", OPT_STRUCT, offsetof(DgramConfig, remote), .table = &socket_address_options,
      .help = "where it sends to, likewise; not with a descriptor, which is connected" },
    { 0 },
};
const OptTable dgram_options = {
    .name = "dgram",
    .size = sizeof(DgramConfig),
    .members = members,
    .keyval = true,
};

static const NetdevOps dgram_ops = DGRAM_NETDEV_OPS("dgram", true);
/* Linux tells of room in another one's queue only who is connected to it. */
static const NetdevOps dgram_unix_ops = DGRAM_NETDEV_OPS("dgram", false);

static Dgram *dgram_of(Netdev *nd)
{
    return container_of(nd, Dgram, nd);
}

Dgram *dgram_alloc(const char *id, const NetdevOps *ops, int fd, const SocketName *dest,
                   const char *info, GError **error)
{
    Dgram *d = g_aligned_alloc0(1, sizeof(Dgram), 64);
    bool ok = netdev_one_init(&d->nd, ops, id, &d->queue.q, error);

    d->queue.q.fd = fd;
    d->info = g_strdup(info);
    if (dest) {
        d->queue.dest = *dest;
    }
    if (!ok || !dgram_queue_init(&d->queue, error)) {
        dgram_free(&d->nd);
        return NULL;
    }
    d->nd.carrier = true;
    d->nd.link_up = true;
    return d;
}

char *dgram_info(Netdev *nd, unsigned queue)
{
    return g_strdup(dgram_of(nd)->info);
}

void dgram_free(Netdev *nd)
{
    Dgram *d = dgram_of(nd);

    fd_close(&d->queue.q.fd);
    bound_path_remove(&d->bound);
    dgram_queue_done(&d->queue);
    netdev_one_done(nd);
    g_free(d->info);
    g_aligned_free(d);
}

/* --- what a user says --- */

static bool parse_inet(const SocketAddress *a, SocketName *ret, GError **error)
{
    const InetSocketAddress *inet = a->u;

    return dgram_parse_parts(inet->host, inet->port, ret, error);
}

static Netdev *open_group(const DgramConfig *config, const SocketName *group, GError **error)
{
    const SocketAddress *local = config->local;
    g_autofree char *text = dgram_text(group);
    g_autofree char *info = g_strdup_printf("mcast=%s", text);
    Dgram *d;
    int fd;

    /* QEMU takes a descriptor as well, and puts a socket of its own in its place. */
    if (local && local->type != SOCKET_ADDRESS_INET) {
        netdev_set_error(error, 0, "only support inet or fd type for local");
        return NULL;
    }
    fd = dgram_join(group, local ? ((InetSocketAddress *)local->u)->host : NULL, error);
    d = fd < 0 ? NULL : dgram_alloc(config->id, &dgram_ops, fd, group, info, error);
    return d ? &d->nd : NULL;
}

static bool check_ends(const DgramConfig *config, GError **error)
{
    const SocketAddress *local = config->local;
    const SocketAddress *remote = config->remote;

    if (!local) {
        return netdev_set_error(error, 0, "dgram requires local= parameter");
    }
    if (!remote) {
        return local->type == SOCKET_ADDRESS_FD ||
               netdev_set_error(error, 0, "type=inet or type=unix requires remote parameter");
    }
    if (local->type == SOCKET_ADDRESS_FD) {
        return netdev_set_error(error, 0, "don't set remote with local.fd");
    }
    return remote->type == local->type ||
           netdev_set_error(error, 0, "remote and local types must be the same");
}

static Netdev *open_inet(const DgramConfig *config, const SocketName *to, GError **error)
{
    g_autofree char *info = NULL;
    g_autofree char *to_text = dgram_text(to);
    g_autofree char *from_text = NULL;
    SocketName from;
    Dgram *d;
    int fd;

    if (!parse_inet(config->local, &from, error)) {
        return NULL;
    }
    if (from.addr.ss_family != to->addr.ss_family) {
        netdev_set_error(error, 0, "remote and local types must be the same");
        return NULL;
    }
    fd = dgram_bind(&from, error);
    from_text = dgram_text(&from);
    info = g_strdup_printf("udp=%s/%s", from_text, to_text);
    d = fd < 0 ? NULL : dgram_alloc(config->id, &dgram_ops, fd, to, info, error);
    return d ? &d->nd : NULL;
}

static bool unix_name(const SocketAddress *a, SocketName *ret, GError **error)
{
    GArray *names;

    if (!socket_address_resolve(a, false, &names, error)) {
        return false;
    }
    *ret = g_array_index(names, SocketName, 0);
    g_array_unref(names);
    return true;
}

/* QEMU removes what is in the way, whatever it is; an ordinary file stays here. */
static int bind_unix(const char *path, const SocketName *name, GError **error)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    if (fd < 0) {
        netdev_set_error(error, errno, "can't create datagram socket");
        return -1;
    }
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && unlink(path) < 0 && errno != ENOENT) {
        netdev_set_error(error, errno, "failed to unlink socket %s", path);
        return -1;
    }
    if (bind(fd, (const struct sockaddr *)&name->addr, name->len) < 0) {
        netdev_set_error(error, errno, "can't bind unix=%s to socket", path);
        return -1;
    }
    return g_steal_fd(&fd);
}

static Netdev *open_unix(const DgramConfig *config, GError **error)
{
    const UnixSocketAddress *local = config->local->u;
    const UnixSocketAddress *remote = config->remote->u;
    g_autofree char *info = g_strdup_printf("udp=%s:%s", local->path, remote->path);
    SocketName from;
    SocketName to;
    Dgram *d;
    int fd;

    if (!unix_name(config->local, &from, error) || !unix_name(config->remote, &to, error)) {
        return NULL;
    }
    fd = bind_unix(local->path, &from, error);
    d = fd < 0 ? NULL : dgram_alloc(config->id, &dgram_unix_ops, fd, &to, info, error);
    if (d && !local->abstract) {
        (void)bound_path_set(&d->bound, local->path);
    }
    return d ? &d->nd : NULL;
}

static Netdev *open_given(const DgramConfig *config, const NetSocketEnv *env, GError **error)
{
    const char *text = ((const FdSocketAddress *)config->local->u)->str;
    AUTO_FD int fd = given_socket(config->id, text, env, error);
    const char *kind = fd < 0 ? NULL : dgram_kind(fd, error);
    socklen_t len = sizeof(int);
    g_autofree char *info = NULL;
    int type = 0;
    Dgram *d;

    if (!kind) {
        return NULL;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_DGRAM) {
        netdev_set_error(error, 0, "File descriptor '%s' is not a datagram socket", text);
        return NULL;
    }
    info = g_strdup_printf("fd=%d %s", fd, kind);
    d = dgram_alloc(config->id, &dgram_ops, g_steal_fd(&fd), NULL, info, error);
    return d ? &d->nd : NULL;
}

Netdev *dgram_new(const DgramConfig *config, const NetSocketEnv *env, GError **error)
{
    SocketName to;

    if (config->remote && config->remote->type == SOCKET_ADDRESS_INET) {
        if (!parse_inet(config->remote, &to, error)) {
            return NULL;
        }
        if (dgram_is_multicast(&to)) {
            return open_group(config, &to, error);
        }
    }
    if (!check_ends(config, error)) {
        return NULL;
    }
    switch (config->local->type) {
    case SOCKET_ADDRESS_INET:
        return open_inet(config, &to, error);
    case SOCKET_ADDRESS_UNIX:
        return open_unix(config, error);
    default:
        return open_given(config, env, error);
    }
}
