/*
 * A netdev over a datagram socket, and those that make one: -netdev dgram and -netdev socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_DGRAM_INTERNAL_H
#define NET_DGRAM_INTERNAL_H

#include <netinet/in.h>

#include "dgram-queue.h"
#include "net/net-socket.h"

typedef struct Dgram {
    Netdev nd;
    DgramQueue queue;
    char *info;
    BoundPath bound;
} Dgram;

/*
 * A netdev that lives, on @fd, which is its own, also where this fails. @dest: where it sends to;
 * NULL: where @fd is connected to. @info is what "info network" shows.
 */
Dgram *dgram_alloc(const char *id, const NetdevOps *ops, int fd, const SocketName *dest,
                   const char *info, GError **error);
void dgram_free(Netdev *nd);
char *dgram_info(Netdev *nd, unsigned queue);

#define DGRAM_NETDEV_OPS(name, tells)           \
    {                                           \
        .type = name,                           \
        .tells_writable = tells,                \
        .send = dgram_queue_send,               \
        .recv = dgram_queue_recv,               \
        .set_offload = netdev_one_set_offload,  \
        .set_active = netdev_one_set_active,    \
        .info = dgram_info,                     \
        .free = dgram_free,                     \
    }

/* dgram-address.c: "HOST:PORT", as -netdev socket has it: IPv4, "" is any of ours. */
bool dgram_parse(const char *text, SocketName *ret, GError **error);
/* The same in two, also of IPv6 if @host is a number of that. */
bool dgram_parse_parts(const char *host, const char *port, SocketName *ret, GError **error);
/* "127.0.0.1:7". Free it. */
char *dgram_text(const SocketName *name);
bool dgram_is_multicast(const SocketName *name); /* of IPv4 */

/* Sockets; -1 and the error. */
int dgram_bind(const SocketName *local, GError **error); /* of inet */
int dgram_join(const SocketName *group, const char *localaddr, GError **error);

/* "unix" or "inet": of a given socket. NULL and the error. */
const char *dgram_kind(int fd, GError **error);

#endif
