/*
 * The connection of a netdev over a stream socket: made, accepted, lost and made again.
 *
 * The queue's descriptor keeps its number, and is of another file while there is no connection. It
 * changes in three steps: the queue is told that it is down; nd->reopened() makes sure that its
 * thread has heard; then the descriptor is of another file, and the NIC is told to wait for that.
 *
 *              connect                           lost
 *   CONNECTING --------> CONNECTED ----------------------> ENDED
 *        ^                 ^   |                  (no reconnect)
 *        |  lost, reconnect|   | lost
 *        +-----------------+   v
 *                     LISTENING, or CONNECTING
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/netdev-impl.h"
#include "util/container-of.h"
#include "util/fd.h"
#include "util/log.h"

/* What was sent before the end is read by then, or never: as when the guest takes nothing. */
#define STREAM_LINGER_MS 1000u
#define STREAM_ACCEPT_PAUSE_S 1 /* after a failure, which would come again at once */

static void stream_go_on(Stream *s);
static void stream_try(Stream *s);

static Stream *stream_of(Netdev *nd)
{
    return container_of(nd, Stream, nd);
}

static void stream_say(Stream *s, StreamState state, const SocketName *peer)
{
    g_free(s->info);
    s->info = s->describe(s, state, peer);
}

/* The queue's thread has seen what was told before, and waits for the descriptor as it is now. */
static void stream_sync(Stream *s)
{
    if (s->nd.reopened) {
        s->nd.reopened(s->nd.changed_opaque);
    }
}

static void stream_put_fd(Stream *s, int fd)
{
    if (!s->given && dup3(fd, s->queue.q.fd, O_CLOEXEC) < 0) {
        warn_report("netdev %s: %s", s->nd.id, g_strerror(errno));
    }
}

/* --- the end of a connection --- */

static void stream_lost(Stream *s)
{
    g_clear_handle_id(&s->conn_tag, g_source_remove);
    g_clear_handle_id(&s->end_tag, g_source_remove);
    g_clear_handle_id(&s->wait_tag, g_source_remove);
    stream_queue_stop(&s->queue);
    stream_sync(s);
    shutdown(s->conn_fd, SHUT_RDWR);
    if (!s->given) {
        stream_put_fd(s, s->nothing_fd);
        fd_close(&s->conn_fd);
    }
    s->conn_fd = -1;
    stream_sync(s);
    netdev_set_state(&s->nd, s->nd.mtu, false);
    if (s->env.stream_changed) {
        s->env.stream_changed(s->env.opaque, &s->nd, NULL);
    }
    stream_go_on(s);
}

static gboolean stream_waited(gpointer opaque)
{
    Stream *s = opaque;

    s->wait_tag = 0;
    stream_lost(s);
    return G_SOURCE_REMOVE;
}

static gboolean stream_queue_ended(gint fd, GIOCondition cond, gpointer opaque)
{
    Stream *s = opaque;

    s->end_tag = 0;
    stream_lost(s);
    return G_SOURCE_REMOVE;
}

/* The other end has closed it. A NIC's queue may not have read all that came before. */
static gboolean stream_hung_up(gint fd, GIOCondition cond, gpointer opaque)
{
    Stream *s = opaque;

    s->conn_tag = 0;
    if (s->nd.in_use) {
        s->wait_tag = g_timeout_add(STREAM_LINGER_MS, stream_waited, s);
    } else {
        stream_lost(s);
    }
    return G_SOURCE_REMOVE;
}

/* --- its beginning --- */

static void stream_name(const Stream *s, SocketName *ret)
{
    bool of_server = s->listen_fd >= 0;

    *ret = (SocketName){ .len = sizeof(ret->addr) };
    if (getsockname(s->conn_fd, (struct sockaddr *)&ret->addr, &ret->len) == 0 &&
        of_server && ret->addr.ss_family == AF_UNIX) {
        return; /* a client has no name: QEMU shows the server's */
    }
    ret->len = sizeof(ret->addr);
    if (getpeername(s->conn_fd, (struct sockaddr *)&ret->addr, &ret->len) < 0) {
        *ret = (SocketName){ .addr.ss_family = AF_UNIX, .len = sizeof(sa_family_t) };
    }
}

static void stream_connected(Stream *s)
{
    int on = 1;
    SocketName peer;

    (void)setsockopt(s->conn_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    stream_put_fd(s, s->conn_fd);
    stream_queue_start(&s->queue);
    stream_sync(s);
    s->reported = false;
    s->conn_tag = g_unix_fd_add(s->conn_fd, (GIOCondition)(POLLRDHUP | POLLHUP | POLLERR),
                                stream_hung_up, s);
    s->end_tag = g_unix_fd_add(s->queue.ended_fd, G_IO_IN, stream_queue_ended, s);
    stream_name(s, &peer);
    stream_say(s, STREAM_CONNECTED, &peer);
    netdev_set_state(&s->nd, s->nd.mtu, true);
    if (s->env.stream_changed) {
        SocketAddress *a = socket_name_address(&peer);

        s->env.stream_changed(s->env.opaque, &s->nd, a);
        opt_config_free(&socket_address_options, a);
    }
}

static gboolean stream_accept_again(gpointer opaque)
{
    Stream *s = opaque;

    s->accept_tag = 0;
    stream_go_on(s);
    return G_SOURCE_REMOVE;
}

static gboolean stream_accept(gint fd, GIOCondition cond, gpointer opaque)
{
    Stream *s = opaque;

    s->conn_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (s->conn_fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
        return G_SOURCE_CONTINUE;
    }
    s->accept_tag = 0;
    if (s->conn_fd < 0) {
        warn_report("netdev %s: cannot accept a connection: %s", s->nd.id, g_strerror(errno));
        s->accept_tag = g_timeout_add_seconds(STREAM_ACCEPT_PAUSE_S, stream_accept_again, s);
    } else {
        stream_connected(s);
    }
    return G_SOURCE_REMOVE;
}

/* A server that is not there is told once: it will be so for each try until it is. */
static void stream_failed(Stream *s, const char *why)
{
    if (!s->reported) {
        warn_report("netdev %s: %s", s->nd.id, why);
    }
    s->reported = true;
    s->next_name++;
    if (s->next_name < s->names->len) {
        stream_try(s);
        return;
    }
    s->next_name = 0;
    if (s->reconnect_ms == 0) {
        g_free(s->where);
        s->where = g_strdup_printf("error: %s", why);
    }
    stream_go_on(s);
}

/* The socket that was connecting is writable, or has an error. */
static gboolean stream_settled(gint fd, GIOCondition cond, gpointer opaque)
{
    Stream *s = opaque;
    socklen_t len = sizeof(int);
    int err = 0;

    s->conn_tag = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) {
        err = errno;
    }
    if (err == 0) {
        stream_connected(s);
    } else {
        const SocketName *name = &g_array_index(s->names, SocketName, s->next_name);
        g_autofree char *uri = socket_name_uri(name);
        g_autofree char *why = g_strdup_printf("Failed to connect to '%s': %s",
                                               strchr(uri, ':') + 1, g_strerror(err));

        fd_close(&s->conn_fd);
        stream_failed(s, why);
    }
    return G_SOURCE_REMOVE;
}

static void stream_try(Stream *s)
{
    g_autoptr(GError) error = NULL;

    s->conn_fd = socket_name_connect(&g_array_index(s->names, SocketName, s->next_name), &error);
    if (s->conn_fd < 0) {
        stream_failed(s, error->message);
    } else {
        s->conn_tag = g_unix_fd_add(s->conn_fd, G_IO_OUT, stream_settled, s);
    }
}

static gboolean stream_again(gpointer opaque)
{
    Stream *s = opaque;

    s->again_tag = 0;
    stream_try(s);
    return G_SOURCE_REMOVE;
}

static gboolean stream_begin(gpointer opaque)
{
    Stream *s = opaque;

    s->again_tag = 0;
    stream_connected(s);
    return G_SOURCE_REMOVE;
}

/* There is no connection: what next. */
static void stream_go_on(Stream *s)
{
    if (s->listen_fd >= 0) {
        stream_say(s, STREAM_LISTENING, NULL);
        s->accept_tag = g_unix_fd_add(s->listen_fd, G_IO_IN, stream_accept, s);
    } else if (s->names && s->reconnect_ms > 0) {
        stream_say(s, STREAM_CONNECTING, NULL);
        s->again_tag = g_timeout_add(s->reconnect_ms, stream_again, s);
    } else {
        stream_say(s, STREAM_ENDED, NULL);
    }
}

/* --- its life --- */

Stream *stream_alloc(const char *id, const NetdevOps *ops, const NetSocketEnv *env, GError **error)
{
    Stream *s = g_aligned_alloc0(1, sizeof(Stream), 64);

    s->env = *env;
    s->nothing_fd = s->conn_fd = s->listen_fd = -1;
    s->queue.ended_fd = -1;
    if (!netdev_one_init(&s->nd, ops, id, &s->queue.q, error) ||
        !stream_queue_init(&s->queue, error)) {
        stream_free(&s->nd);
        return NULL;
    }
    s->nothing_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->queue.q.fd = fcntl(s->nothing_fd, F_DUPFD_CLOEXEC, 0);
    if (s->nothing_fd < 0 || s->queue.q.fd < 0) {
        netdev_set_error(error, errno, "no descriptor");
        stream_free(&s->nd);
        return NULL;
    }
    return s;
}

void stream_listen(Stream *s, int listen_fd)
{
    s->listen_fd = listen_fd;
    stream_go_on(s);
}

void stream_connect(Stream *s, GArray *names)
{
    s->names = names;
    stream_say(s, STREAM_CONNECTING, NULL);
    s->again_tag = g_idle_add(stream_again, s);
}

void stream_adopt(Stream *s, int fd)
{
    fd_close(&s->queue.q.fd);
    s->queue.q.fd = fd;
    s->conn_fd = fd;
    s->given = true;
    stream_say(s, STREAM_CONNECTING, NULL);
    s->again_tag = g_idle_add(stream_begin, s);
}

char *stream_info(Netdev *nd, unsigned queue)
{
    return g_strdup(stream_of(nd)->info);
}

void stream_free(Netdev *nd)
{
    Stream *s = stream_of(nd);
    unsigned *const tags[] = { &s->conn_tag, &s->end_tag, &s->wait_tag, &s->accept_tag,
                               &s->again_tag };

    for (unsigned i = 0; i < G_N_ELEMENTS(tags); i++) {
        g_clear_handle_id(tags[i], g_source_remove);
    }
    if (!s->given) {
        fd_close(&s->conn_fd);
    }
    fd_close(&s->queue.q.fd);
    fd_close(&s->nothing_fd);
    fd_close(&s->listen_fd);
    bound_path_remove(&s->bound);
    stream_queue_done(&s->queue);
    netdev_one_done(nd);
    if (s->names) {
        g_array_unref(s->names);
    }
    g_free(s->info);
    g_free(s->where);
    g_aligned_free(s);
}
