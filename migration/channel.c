/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/stream.h"
#include "util/fd.h"
#include "util/options.h"
#include "util/socket-address.h"

#define BUFFER_LEN 65536u
/* As many as something takes at once, and those of a message that is read ahead. */
#define FDS_MAX    (MIGRATION_FDS_MAX + MIGRATION_FDS_AT_ONCE)

struct MigrationChannel {
    int fd;
    int cancel_fd; /* readable: no more of it */
    bool local;    /* descriptors go along */
    unsigned n_fds;
    int fds[FDS_MAX]; /* that came, and were not taken */
    size_t at;     /* of what was read: what was taken already */
    size_t len;    /* of what is in the buffer */
    uint8_t buffer[BUFFER_LEN];
};

struct MigrationListener {
    MigrationArrived *arrived;
    void *opaque;
    int fd;          /* listens; or -1 */
    guint tag;
    BoundPath bound;
    MigrationChannel *ready; /* nothing is to be waited for */
};

/* --- a URI --- */

typedef enum UriKind { URI_SOCKET, URI_FD, URI_FILE } UriKind;

typedef struct Uri {
    UriKind kind;
    const char *rest; /* of FD and FILE */
    char *path;       /* of FILE */
    uint64_t offset;  /* in it */
    SocketAddress address;
    UnixSocketAddress un;
    InetSocketAddress inet;
    char *host; /* that inet refers to */
} Uri;

/* An address of IPv6 is in brackets. */
static bool uri_parse_tcp(Uri *u, const char *rest, GError **error)
{
    const char *colon = strrchr(rest, ':');

    if (!colon || colon[1] == '\0') {
        return migration_set_error(error, "error parsing address '%s'", rest);
    }
    u->host = rest[0] == '[' && colon > rest + 1 && colon[-1] == ']'
                  ? g_strndup(rest + 1, (gsize)(colon - rest - 2))
                  : g_strndup(rest, (gsize)(colon - rest));
    u->inet = (InetSocketAddress){ .host = u->host, .port = (char *)colon + 1 };
    u->address = (SocketAddress){ SOCKET_ADDRESS_INET, &u->inet };
    return true;
}

#define OFFSET_OPTION ",offset="

/* A path may have a comma, so what it ends with counts, as in QEMU. */
static bool uri_parse_file(Uri *u, const char *rest, GError **error)
{
    const char *option = strstr(rest, OFFSET_OPTION);

    u->kind = URI_FILE;
    if (option && !opt_parse_size(option + strlen(OFFSET_OPTION), 'B', &u->offset)) {
        return migration_set_error(error, "file URI has bad offset %s",
                                   option + strlen(OFFSET_OPTION));
    }
    if (u->offset > INT64_MAX) {
        return migration_set_error(error, "file offset %" PRIu64 " is too large", u->offset);
    }
    u->path = option ? g_strndup(rest, (gsize)(option - rest)) : g_strdup(rest);
    return true;
}

static void uri_done(Uri *u)
{
    g_free(u->host);
    g_free(u->path);
}

static bool uri_parse(Uri *u, const char *uri, GError **error)
{
    const char *colon = strchr(uri, ':');
    size_t len = colon ? (size_t)(colon - uri) : 0;
    const char *rest = colon ? colon + 1 : "";

    *u = (Uri){ .rest = rest };
    if (len == 4 && memcmp(uri, "unix", len) == 0) {
        u->un.path = (char *)rest;
        u->address = (SocketAddress){ SOCKET_ADDRESS_UNIX, &u->un };
        return true;
    }
    if (len == 3 && memcmp(uri, "tcp", len) == 0) {
        return uri_parse_tcp(u, rest, error);
    }
    if (len == 2 && memcmp(uri, "fd", len) == 0) {
        u->kind = URI_FD;
        return true;
    }
    if (len == 4 && memcmp(uri, "file", len) == 0) {
        return uri_parse_file(u, rest, error);
    }
    return migration_set_error(error, "unknown migration protocol: %s", uri);
}

/* --- channels --- */

static bool is_unix_stream(int fd)
{
    int domain, type;
    socklen_t len = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

/* Takes @fd. */
static MigrationChannel *channel_new(int fd)
{
    MigrationChannel *c = g_new(MigrationChannel, 1);

    c->fd = fd;
    c->local = is_unix_stream(fd);
    c->n_fds = 0;
    c->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->at = c->len = 0;
    (void)fd_set_nonblock(fd, true);
    (void)fd_set_cloexec(fd, true);
    return c;
}

void migration_channel_free(MigrationChannel *c)
{
    if (c) {
        while (c->n_fds > 0) {
            fd_close(&c->fds[--c->n_fds]);
        }
        fd_close(&c->fd);
        fd_close(&c->cancel_fd);
        g_free(c);
    }
}

void migration_channel_cancel(MigrationChannel *c)
{
    (void)eventfd_write(c->cancel_fd, 1);
}

static int given_fd(const char *text, const MigrationFiles *files, GError **error)
{
    uint64_t n;
    int fd;

    if (files->by_name && !g_ascii_isdigit(text[0])) {
        fd = files->by_name(files->opaque, text);
        if (fd < 0) {
            migration_set_error(error, "File descriptor named '%s' has not been found", text);
        }
        return fd;
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, INT_MAX, &n, NULL)) {
        migration_set_error(error, "Invalid file descriptor number '%s'", text);
        return -1;
    }
    fd = (int)n;
    if (fd <= STDERR_FILENO || fcntl(fd, F_GETFD) < 0 || (fcntl(fd, F_GETFD) & FD_CLOEXEC)) {
        migration_set_error(error, "Can't use file descriptor %d: it was not inherited, or is in "
                            "use", fd);
        return -1;
    }
    return fd;
}

static int open_path(const char *path, const MigrationFiles *files, int flags)
{
    int fd;

    if (files->fd_sets && fd_sets_names(path)) {
        return fd_sets_open(files->fd_sets, path, flags);
    }
    fd = open(path, flags | O_CLOEXEC, 0660);
    return fd < 0 ? -errno : fd;
}

/* What is no file on a disk has no length that could be cut, and no place but the present one. */
static bool go_to_offset(const Uri *u, int fd, bool out, GError **error)
{
    if (out && ftruncate(fd, (off_t)u->offset) < 0 && errno != EINVAL) {
        return migration_set_error(error, "failed to truncate migration file to offset %" PRIx64
                                   ": %s", u->offset, g_strerror(errno));
    }
    if (lseek(fd, (off_t)u->offset, SEEK_SET) < 0 && (errno != ESPIPE || u->offset > 0)) {
        return migration_set_error(error, "failed to seek to offset %" PRIx64 ": %s", u->offset,
                                   g_strerror(errno));
    }
    return true;
}

static int open_file(const Uri *u, const MigrationFiles *files, bool out, GError **error)
{
    AUTO_FD int fd = open_path(u->path, files, out ? O_WRONLY | O_CREAT : O_RDONLY);

    if (fd < 0) {
        migration_set_error(error, "Could not open '%s': %s", u->path, g_strerror(-fd));
        return -1;
    }
    return go_to_offset(u, fd, out, error) ? g_steal_fd(&fd) : -1;
}

static int connect_socket(const Uri *u, GError **error)
{
    g_autoptr(GError) why = NULL;
    GArray *names;
    int fd = -1;

    if (!socket_address_resolve(&u->address, false, &names, error)) {
        return -1;
    }
    for (guint i = 0; i < names->len && fd < 0; i++) {
        g_clear_error(&why);
        fd = socket_name_connect(&g_array_index(names, SocketName, i), &why);
    }
    g_array_unref(names);
    if (fd < 0) {
        g_propagate_error(error, g_steal_pointer(&why));
    }
    return fd;
}

MigrationChannel *migration_channel_out(const char *uri, const MigrationFiles *files,
                                        GError **error)
{
    Uri u;
    int fd = -1;

    if (!uri_parse(&u, uri, error)) {
        return NULL;
    }
    switch (u.kind) {
    case URI_SOCKET:
        fd = connect_socket(&u, error);
        break;
    case URI_FD:
        fd = given_fd(u.rest, files, error);
        break;
    case URI_FILE:
        fd = open_file(&u, files, true, error);
        break;
    }
    uri_done(&u);
    return fd < 0 ? NULL : channel_new(fd);
}

/* Until @c can be read or written, or is cancelled. */
static bool channel_wait(MigrationChannel *c, short events, GError **error)
{
    struct pollfd fds[] = {
        { .fd = c->fd, .events = events },
        { .fd = c->cancel_fd, .events = POLLIN },
    };

    while (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
        g_assert(errno == EINTR);
    }
    return !fds[1].revents || migration_set_error(error, "Migration was cancelled");
}

bool migration_channel_flush(MigrationChannel *c, GError **error)
{
    size_t at = 0;

    while (at < c->len) {
        ssize_t n;

        if (!channel_wait(c, POLLOUT, error)) {
            return false;
        }
        n = write(c->fd, c->buffer + at, c->len - at);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return migration_set_error(error, "Unable to write to migration stream: %s",
                                       g_strerror(errno));
        }
        at += n > 0 ? (size_t)n : 0;
    }
    c->len = 0;
    return true;
}

bool migration_channel_write(void *channel, const void *data, size_t len, GError **error)
{
    MigrationChannel *c = channel;

    while (len > 0) {
        size_t n = MIN(len, BUFFER_LEN - c->len);

        memcpy(c->buffer + c->len, data, n);
        c->len += n;
        data = (const uint8_t *)data + n;
        len -= n;
        if (c->len == BUFFER_LEN && !migration_channel_flush(c, error)) {
            return false;
        }
    }
    return true;
}

bool migration_channel_is_local(const MigrationChannel *c)
{
    return c->local;
}

/* The byte and its descriptors go together, or not at all. */
static ssize_t send_fds(MigrationChannel *c, const int *fds, unsigned n)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(MIGRATION_FDS_AT_ONCE * sizeof(int))];
    } control = { .align = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                             .cmsg_len = CMSG_LEN(n * sizeof(int)) } };
    uint8_t zero = 0;
    struct iovec iov = { &zero, 1 };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_SPACE(n * sizeof(int)),
    };

    memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
    return sendmsg(c->fd, &msg, MSG_NOSIGNAL);
}

bool migration_channel_write_fds(void *channel, const int *fds, unsigned n, GError **error)
{
    MigrationChannel *c = channel;
    ssize_t sent;

    g_assert(c->local && n >= 1 && n <= MIGRATION_FDS_AT_ONCE);
    if (!migration_channel_flush(c, error)) {
        return false;
    }
    do {
        if (!channel_wait(c, POLLOUT, error)) {
            return false;
        }
        sent = send_fds(c, fds, n);
    } while (sent < 0 && (errno == EAGAIN || errno == EINTR));
    return sent == 1 || migration_set_error(error, "Unable to write to migration stream: %s",
                                            g_strerror(errno));
}

int migration_channel_take_fd(MigrationChannel *c)
{
    int fd = c->n_fds > 0 ? c->fds[0] : -1;

    if (fd >= 0) {
        c->n_fds--;
        memmove(c->fds, c->fds + 1, c->n_fds * sizeof(c->fds[0]));
    }
    return fd;
}

bool migration_channel_turn(MigrationChannel *c, GError **error)
{
    if (c->at != c->len || c->n_fds > 0) {
        return migration_set_error(error, "Migration stream is broken: there is more behind its "
                                   "end");
    }
    c->at = c->len = 0;
    return true;
}

typedef struct Passed {
    MigrationChannel *c;
    bool too_many;
} Passed;

static void keep_fd(void *opaque, int fd)
{
    Passed *p = opaque;

    if (p->c->n_fds < FDS_MAX) {
        p->c->fds[p->c->n_fds++] = fd;
    } else {
        fd_close(&fd);
        p->too_many = true;
    }
}

/* As read(). EMFILE: descriptors were lost. */
static ssize_t channel_recv(MigrationChannel *c)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(MIGRATION_FDS_AT_ONCE * sizeof(int))];
    } control;
    struct iovec iov = { c->buffer, BUFFER_LEN };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    Passed passed = { .c = c };
    ssize_t n;

    if (!c->local) {
        return read(c->fd, c->buffer, BUFFER_LEN);
    }
    n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
    if (n >= 0) {
        fd_each_passed(&msg, keep_fd, &passed);
        if (passed.too_many || (msg.msg_flags & MSG_CTRUNC)) {
            errno = EMFILE;
            return -1;
        }
    }
    return n;
}

static bool channel_fill(MigrationChannel *c, GError **error)
{
    ssize_t n;

    do {
        if (!channel_wait(c, POLLIN, error)) {
            return false;
        }
        n = channel_recv(c);
    } while (n < 0 && (errno == EAGAIN || errno == EINTR));
    if (n <= 0) {
        return migration_set_error(error, "Unable to read from migration stream: %s",
                                   n < 0 ? g_strerror(errno) : "it ends too early");
    }
    c->at = 0;
    c->len = (size_t)n;
    return true;
}

bool migration_channel_read(void *channel, void *data, size_t len, GError **error)
{
    MigrationChannel *c = channel;

    while (len > 0) {
        size_t n;

        if (c->at == c->len && !channel_fill(c, error)) {
            return false;
        }
        n = MIN(len, c->len - c->at);
        memcpy(data, c->buffer + c->at, n);
        c->at += n;
        data = (uint8_t *)data + n;
        len -= n;
    }
    return true;
}

/* --- listeners --- */

static gboolean listener_accept(gint fd, GIOCondition condition, gpointer opaque)
{
    MigrationListener *l = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (peer < 0) {
        return G_SOURCE_CONTINUE; /* it has gone again, or there is nothing left for it now */
    }
    /* One peer is all: another one is refused, not left waiting. */
    l->tag = 0;
    fd_close(&l->fd);
    bound_path_remove(&l->bound);
    l->arrived(l->opaque, channel_new(peer));
    return G_SOURCE_REMOVE;
}

static gboolean listener_is_ready(gpointer opaque)
{
    MigrationListener *l = opaque;

    l->tag = 0;
    l->arrived(l->opaque, g_steal_pointer(&l->ready));
    return G_SOURCE_REMOVE;
}

MigrationListener *migration_listen(const char *uri, const MigrationFiles *files,
                                    MigrationArrived *arrived, void *opaque, GError **error)
{
    MigrationListener *l = g_new0(MigrationListener, 1);
    int fd = -1;
    Uri u;

    l->fd = -1;
    l->arrived = arrived;
    l->opaque = opaque;
    if (!uri_parse(&u, uri, error)) {
        migration_listener_free(l);
        return NULL;
    }
    switch (u.kind) {
    case URI_SOCKET:
        fd = l->fd = socket_address_listen(&u.address, &l->bound, error);
        break;
    case URI_FD:
        fd = given_fd(u.rest, files, error);
        break;
    case URI_FILE:
        fd = open_file(&u, files, false, error);
        break;
    }
    uri_done(&u);
    if (fd < 0) {
        migration_listener_free(l);
        return NULL;
    }
    if (u.kind == URI_SOCKET) {
        l->tag = g_unix_fd_add(fd, G_IO_IN, listener_accept, l);
    } else {
        l->ready = channel_new(fd);
        l->tag = g_idle_add(listener_is_ready, l);
    }
    return l;
}

void migration_listener_free(MigrationListener *l)
{
    if (l) {
        g_clear_handle_id(&l->tag, g_source_remove);
        migration_channel_free(l->ready);
        if (l->fd >= 0) {
            fd_close(&l->fd);
            bound_path_remove(&l->bound);
        }
        g_free(l);
    }
}
