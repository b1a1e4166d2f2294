/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/socket-address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "chardev-internal.h"
#include "util/fd.h"

static const char *const types[] = { "inet", "unix", "fd", NULL };
static const OptEnum type = { "SocketAddressType", types };

static const OptMember inet_members[] = {
    { "host", OPT_STR, offsetof(InetSocketAddress, host), .required = true },
    { "port", OPT_STR, offsetof(InetSocketAddress, port), .required = true },
    { "numeric", OPT_BOOL, offsetof(InetSocketAddress, numeric),
      offsetof(InetSocketAddress, has_numeric) },
    { "ipv4", OPT_BOOL, offsetof(InetSocketAddress, ipv4), offsetof(InetSocketAddress, has_ipv4) },
    { "ipv6", OPT_BOOL, offsetof(InetSocketAddress, ipv6), offsetof(InetSocketAddress, has_ipv6) },
    { 0 },
};
static const OptMember unix_members[] = {
    { "path", OPT_STR, offsetof(UnixSocketAddress, path), .required = true },
    { "abstract", OPT_BOOL, offsetof(UnixSocketAddress, abstract),
      offsetof(UnixSocketAddress, has_abstract) },
    { "tight", OPT_BOOL, offsetof(UnixSocketAddress, tight),
      offsetof(UnixSocketAddress, has_tight) },
    { 0 },
};
static const OptMember fd_members[] = {
    { "str", OPT_STR, offsetof(FdSocketAddress, str), .required = true },
    { 0 },
};
static const OptTable inet_options = { "InetSocketAddress", sizeof(InetSocketAddress),
                                       inet_members };
static const OptTable unix_options = { "UnixSocketAddress", sizeof(UnixSocketAddress),
                                       unix_members };
static const OptTable fd_options = { "FdSocketAddress", sizeof(FdSocketAddress), fd_members };

static const OptMember members[] = {
    { "type", OPT_ENUM, offsetof(SocketAddress, type), .required = true, .values = &type },
    { 0 },
};
static const OptBranch branches[] = {
    { "inet", &inet_options }, { "unix", &unix_options }, { "fd", &fd_options }, { 0 },
};
const OptTable socket_address_options = {
    .name = "SocketAddress",
    .size = sizeof(SocketAddress),
    .members = members,
    .tag = "type",
    .branches = branches,
    .branch_offset = offsetof(SocketAddress, u),
    .keyval = true,
};

static bool G_GNUC_PRINTF(3, 4) fail(GError **error, int err, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s%s%s", text, err ? ": " : "",
                err ? g_strerror(err) : "");
    return false;
}

/* --- what a user said --- */

/* As in QEMU: what is off leaves the other one. */
static int inet_family(const InetSocketAddress *a)
{
    bool no4 = a->has_ipv4 && !a->ipv4;
    bool no6 = a->has_ipv6 && !a->ipv6;

    if (a->ipv4 && a->ipv6) {
        return AF_UNSPEC;
    }
    if (a->ipv6 || no4) {
        return AF_INET6;
    }
    return a->ipv4 || no6 ? AF_INET : AF_UNSPEC;
}

static bool resolve_inet(const InetSocketAddress *a, bool listen, GArray *names, GError **error)
{
    const char *host = a->host[0] ? a->host : NULL;
    struct addrinfo hints = {
        .ai_family = inet_family(a), .ai_socktype = SOCK_STREAM,
        .ai_flags = (listen ? AI_PASSIVE : 0) | (a->numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0),
    };
    struct addrinfo *list;
    int r;

    if (a->has_ipv4 && a->has_ipv6 && !a->ipv4 && !a->ipv6) {
        return fail(error, 0, "Cannot disable IPv4 and IPv6 at same time");
    }
    r = getaddrinfo(host, a->port, &hints, &list);
    if (r != 0) {
        return fail(error, 0, "address resolution failed for %s:%s: %s", a->host, a->port,
                    gai_strerror(r));
    }
    for (struct addrinfo *i = list; i; i = i->ai_next) {
        SocketName name = { .len = i->ai_addrlen };

        memcpy(&name.addr, i->ai_addr, i->ai_addrlen);
        g_array_append_val(names, name);
    }
    freeaddrinfo(list);
    return true;
}

static bool resolve_unix(const UnixSocketAddress *a, GArray *names, GError **error)
{
    SocketName name = { .len = sizeof(struct sockaddr_un) };
    struct sockaddr_un *un = (struct sockaddr_un *)&name.addr;
    size_t len = strlen(a->path);
    size_t skip = a->abstract ? 1 : 0;

    if (len == 0) {
        return fail(error, 0, "UNIX socket path must not be empty");
    }
    if (len >= sizeof(un->sun_path)) {
        return fail(error, 0, "UNIX socket path '%s' is too long\nPath must be less than %zu bytes",
                    a->path, sizeof(un->sun_path));
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + skip, a->path, len);
    if (a->abstract && (a->tight || !a->has_tight)) {
        name.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + skip + len);
    }
    g_array_append_val(names, name);
    return true;
}

bool socket_address_resolve(const SocketAddress *a, bool listen, GArray **ret_names,
                            GError **error)
{
    GArray *names = g_array_new(FALSE, TRUE, sizeof(SocketName));

    if (a->type == SOCKET_ADDRESS_INET ? resolve_inet(a->u, listen, names, error)
        : a->type == SOCKET_ADDRESS_UNIX ? resolve_unix(a->u, names, error)
                                         : fail(error, 0, "a descriptor has no address")) {
        *ret_names = names;
        return true;
    }
    g_array_unref(names);
    return false;
}

/* --- what the kernel says --- */

static bool is_inet(const SocketName *name)
{
    return name->addr.ss_family == AF_INET || name->addr.ss_family == AF_INET6;
}

static void inet_text(const SocketName *name, char host[NI_MAXHOST], char port[NI_MAXSERV])
{
    if (getnameinfo((const struct sockaddr *)&name->addr, name->len, host, NI_MAXHOST, port,
                    NI_MAXSERV, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        host[0] = '\0';
        port[0] = '\0';
    }
}

static bool unix_is_abstract(const SocketName *name)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&name->addr;

    return name->len > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0] == '\0';
}

/* Without the NUL in front of it; "" of one that has none. Free it. */
static char *unix_path(const SocketName *name)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&name->addr;
    size_t skip = unix_is_abstract(name) ? 1 : 0;
    size_t off = offsetof(struct sockaddr_un, sun_path) + skip;

    return g_strndup(un->sun_path + skip, name->len > off ? name->len - off : 0);
}

char *socket_name_uri(const SocketName *name)
{
    g_autofree char *path = NULL;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];

    if (is_inet(name)) {
        inet_text(name, host, port);
        return g_strdup_printf("tcp:%s:%s", host, port);
    }
    path = unix_path(name);
    return g_strdup_printf("unix:%s", path);
}

SocketAddress *socket_name_address(const SocketName *name)
{
    SocketAddress *a = g_new0(SocketAddress, 1);

    if (is_inet(name)) {
        InetSocketAddress *inet = g_new0(InetSocketAddress, 1);
        char host[NI_MAXHOST];
        char port[NI_MAXSERV];

        inet_text(name, host, port);
        inet->host = g_strdup(host);
        inet->port = g_strdup(port);
        inet->ipv4 = inet->has_ipv4 = name->addr.ss_family == AF_INET;
        inet->ipv6 = inet->has_ipv6 = name->addr.ss_family == AF_INET6;
        a->type = SOCKET_ADDRESS_INET;
        a->u = inet;
    } else {
        UnixSocketAddress *un = g_new0(UnixSocketAddress, 1);

        un->path = unix_path(name);
        un->abstract = un->has_abstract = un->has_tight = unix_is_abstract(name);
        un->tight = un->abstract && name->len < sizeof(struct sockaddr_un);
        a->type = SOCKET_ADDRESS_UNIX;
        a->u = un;
    }
    return a;
}

/* --- sockets --- */

static int listen_at(const SocketName *name, GError **error)
{
    AUTO_FD int fd = socket(name->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0) {
        fail(error, errno, "Failed to create socket");
        return -1;
    }
    if (is_inet(name)) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (name->addr.ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, (const struct sockaddr *)&name->addr, name->len) < 0) {
        fail(error, errno, "Failed to bind socket");
        return -1;
    }
    if (listen(fd, 1) < 0) {
        fail(error, errno, "Failed to listen on socket");
        return -1;
    }
    return g_steal_fd(&fd);
}

int socket_address_listen(const SocketAddress *a, BoundPath *bound, GError **error)
{
    const UnixSocketAddress *un = a->type == SOCKET_ADDRESS_UNIX ? a->u : NULL;
    g_autoptr(GError) why = NULL;
    GArray *names;
    int fd = -1;

    if (un && !un->abstract) {
        return chardev_socket_listen(un->path, false, bound, error);
    }
    if (!socket_address_resolve(a, true, &names, error)) {
        return -1;
    }
    for (guint i = 0; i < names->len && fd < 0; i++) {
        g_clear_error(&why);
        fd = listen_at(&g_array_index(names, SocketName, i), &why);
    }
    g_array_unref(names);
    if (fd < 0) {
        g_propagate_error(error, g_steal_pointer(&why));
    }
    return fd;
}

int socket_name_connect(const SocketName *name, GError **error)
{
    AUTO_FD int fd = socket(name->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        fail(error, errno, "Failed to create socket");
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&name->addr, name->len) < 0 && errno != EINPROGRESS) {
        int err = errno;
        g_autofree char *uri = socket_name_uri(name);

        fail(error, err, "Failed to connect to '%s'", strchr(uri, ':') + 1);
        return -1;
    }
    return g_steal_fd(&fd);
}
