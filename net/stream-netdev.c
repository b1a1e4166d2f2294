/*
 * -netdev stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "given-fd.h"

#include <errno.h>

#include "net/netdev-impl.h"
#include "stream-internal.h"
#include "util/fd.h"

static const OptMember members[] = {
    { "id", OPT_STR, offsetof(StreamConfig, id), .required = true, .help = "name of the netdev" },
    { "addr", OPT_STRUCT, offsetof(StreamConfig, addr), .required = true,
      .table = &socket_address_options,
      .help = "where it listens or connects to: addr.type=inet with addr.host= and addr.port=, "
              "unix with addr.path=, or fd with addr.str=" },
    { "server", OPT_BOOL, offsetof(StreamConfig, server),
      .help = "listen there, for one client at a time (default: off)" },
    { "reconnect", OPT_UINT32, offsetof(StreamConfig, reconnect),
      offsetof(StreamConfig, has_reconnect),
      .help = "seconds until it connects again after it failed or ended; 0 or absent: never" },
    { "reconnect-ms", OPT_UINT32, offsetof(StreamConfig, reconnect_ms),
      offsetof(StreamConfig, has_reconnect_ms), .help = "the same, in milliseconds" },
    { 0 },
};
const OptTable stream_options = {
    .name = "stream",
    .size = sizeof(StreamConfig),
    .members = members,
    .keyval = true,
};

static char *describe(const Stream *s, StreamState state, const SocketName *peer)
{
    switch (state) {
    case STREAM_LISTENING:
        return g_strdup("listening");
    case STREAM_CONNECTING:
        return g_strdup("connecting");
    case STREAM_CONNECTED:
        return socket_name_uri(peer);
    default:
        return g_strdup(s->where ? s->where : "");
    }
}

static const NetdevOps stream_ops = STREAM_NETDEV_OPS("stream");

/* In QEMU's words and order. */
static bool check(const StreamConfig *config, GError **error)
{
    bool again = config->has_reconnect || config->has_reconnect_ms;

    if (!config->server && config->has_reconnect && config->has_reconnect_ms) {
        return netdev_set_error(error, 0, "'reconnect' and 'reconnect-ms' are mutually exclusive");
    }
    if (config->server && again) {
        return netdev_set_error(error, 0, "'reconnect' and 'reconnect-ms' options are incompatible "
                                "with socket in server mode");
    }
    return !(again && config->addr->type == SOCKET_ADDRESS_FD) ||
           netdev_set_error(error, 0, "a descriptor cannot be connected again");
}

static bool check_stream(int fd, const char *text, GError **error)
{
    socklen_t len = sizeof(int);
    int type = 0;

    return (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM) ||
           netdev_set_error(error, 0, "File descriptor '%s' is not a stream socket", text);
}

static bool open_given(Stream *s, const StreamConfig *config, GError **error)
{
    const char *text = ((const FdSocketAddress *)config->addr->u)->str;
    AUTO_FD int fd = given_socket(config->id, text, &s->env, error);

    if (fd < 0 || !check_stream(fd, text, error)) {
        return false;
    }
    if (!config->server) {
        stream_adopt(s, g_steal_fd(&fd));
        return true;
    }
    if (listen(fd, 1) < 0) {
        return netdev_set_error(error, errno, "Failed to listen on socket");
    }
    stream_listen(s, g_steal_fd(&fd));
    return true;
}

static bool open_server(Stream *s, const StreamConfig *config, GError **error)
{
    int fd = socket_address_listen(config->addr, &s->bound, error);

    if (fd >= 0) {
        stream_listen(s, fd);
    }
    return fd >= 0;
}

static bool open_client(Stream *s, const StreamConfig *config, GError **error)
{
    uint64_t ms = config->has_reconnect ? config->reconnect * UINT64_C(1000)
                                        : config->reconnect_ms;
    GArray *names;

    s->reconnect_ms = (uint32_t)MIN(ms, G_MAXINT);
    if (!socket_address_resolve(config->addr, false, &names, error)) {
        return false;
    }
    stream_connect(s, names);
    return true;
}

Netdev *stream_new(const StreamConfig *config, const NetSocketEnv *env, GError **error)
{
    Stream *s = check(config, error) ? stream_alloc(config->id, &stream_ops, env, error) : NULL;
    bool ok;

    if (!s) {
        return NULL;
    }
    s->describe = describe;
    if (config->addr->type == SOCKET_ADDRESS_FD) {
        ok = open_given(s, config, error);
    } else {
        ok = config->server ? open_server(s, config, error) : open_client(s, config, error);
    }
    if (!ok) {
        netdev_free(&s->nd);
        return NULL;
    }
    return &s->nd;
}
