/*
 * Addresses of datagram sockets, as QEMU reads them, and sockets there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "dgram-internal.h"
#include "net/netdev-impl.h"
#include "util/fd.h"

/* A name: waits for who knows it. */
static bool resolve(const char *host, struct in_addr *ret, GError **error)
{
    const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *list;

    if (getaddrinfo(host, NULL, &hints, &list) != 0) {
        return netdev_set_error(error, 0, "can't resolve host address '%s'", host);
    }
    *ret = ((const struct sockaddr_in *)(const void *)list->ai_addr)->sin_addr;
    freeaddrinfo(list);
    return true;
}

static bool parse_host(const char *host, struct sockaddr_in *in, GError **error)
{
    in->sin_family = AF_INET;
    if (host[0] == '\0') {
        in->sin_addr.s_addr = htonl(INADDR_ANY);
        return true;
    }
    if (!g_ascii_isdigit(host[0])) {
        return resolve(host, &in->sin_addr, error);
    }
    return inet_aton(host, &in->sin_addr) != 0 ||
           netdev_set_error(error, 0, "host address '%s' is not a valid IPv4 address", host);
}

bool dgram_parse_parts(const char *host, const char *port, SocketName *ret, GError **error)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&ret->addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->addr;
    uint64_t n;

    *ret = (SocketName){ .len = sizeof(*in) };
    if (strchr(host, ':')) {
        ret->len = sizeof(*in6);
        in6->sin6_family = AF_INET6;
        if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1) {
            return netdev_set_error(error, 0, "host address '%s' is not a valid IPv6 address",
                                    host);
        }
    } else if (!parse_host(host, in, error)) {
        return false;
    }
    if (!opt_parse_uint(port, UINT16_MAX, &n)) {
        return netdev_set_error(error, 0, "port number '%s' is invalid", port);
    }
    in->sin_port = htons((uint16_t)n); /* at the same place in both */
    return true;
}
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "a port's place");

bool dgram_parse(const char *text, SocketName *ret, GError **error)
{
    const char *colon = strchr(text, ':');
    g_autofree char *host = NULL;

    if (!colon) {
        return netdev_set_error(error, 0, "host address '%s' doesn't contain ':' separating host "
                                "from port", text);
    }
    host = g_strndup(text, (size_t)(colon - text));
    return dgram_parse_parts(host, colon + 1, ret, error);
}

char *dgram_text(const SocketName *name)
{
    g_autofree char *uri = socket_name_uri(name);

    return g_strdup(strchr(uri, ':') + 1);
}

static struct in_addr address_of(const SocketName *name)
{
    return ((const struct sockaddr_in *)&name->addr)->sin_addr;
}

bool dgram_is_multicast(const SocketName *name)
{
    return name->addr.ss_family == AF_INET && IN_MULTICAST(ntohl(address_of(name).s_addr));
}

/* The address alone. Free it. */
static char *host_text(const SocketName *name)
{
    g_autofree char *text = dgram_text(name);

    return g_strndup(text, (size_t)(strrchr(text, ':') - text));
}

int dgram_bind(const SocketName *local, GError **error)
{
    AUTO_FD int fd = socket(local->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0) {
        netdev_set_error(error, errno, "can't create datagram socket");
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&local->addr, local->len) < 0) {
        int err = errno;
        g_autofree char *host = host_text(local);

        netdev_set_error(error, err, "can't bind ip=%s to socket", host);
        return -1;
    }
    return g_steal_fd(&fd);
}

static bool join(int fd, const struct ip_mreq *mreq, bool by_local, const char *group,
                 GError **error)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, mreq, sizeof(*mreq)) < 0) {
        return netdev_set_error(error, errno, "can't add socket to multicast group %s", group);
    }
    /* others on this host are in the group, too; so what we send comes back, as in QEMU */
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on)) < 0) {
        return netdev_set_error(error, errno, "can't force multicast message to loopback");
    }
    return !by_local || setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreq->imr_interface,
                                   sizeof(mreq->imr_interface)) == 0 ||
           netdev_set_error(error, errno, "can't set the default network send interface");
}

int dgram_join(const SocketName *group, const char *localaddr, GError **error)
{
    struct ip_mreq mreq = { .imr_multiaddr = address_of(group) };
    g_autofree char *host = host_text(group);
    AUTO_FD int fd = -1;

    if (localaddr && inet_aton(localaddr, &mreq.imr_interface) == 0) {
        netdev_set_error(error, 0, "localaddr '%s' is not a valid IPv4 address", localaddr);
        return -1;
    }
    if (!dgram_is_multicast(group)) {
        netdev_set_error(error, 0, "specified mcastaddr %s (0x%08x) does not contain a multicast "
                         "address", host, ntohl(mreq.imr_multiaddr.s_addr));
        return -1;
    }
    fd = dgram_bind(group, error);
    if (fd < 0 || !join(fd, &mreq, localaddr != NULL, host, error)) {
        return -1;
    }
    return g_steal_fd(&fd);
}

const char *dgram_kind(int fd, GError **error)
{
    SocketName name = { .len = sizeof(name.addr) };

    if (getsockname(fd, (struct sockaddr *)&name.addr, &name.len) < 0) {
        netdev_set_error(error, errno, "Unable to query local socket address");
        return NULL;
    }
    return name.addr.ss_family == AF_UNIX ? "unix" : "inet";
}
