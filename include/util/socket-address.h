/*
 * QEMU's SocketAddress: where a socket is, as a user says it, and as the kernel does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SOCKET_ADDRESS_H
#define UTIL_SOCKET_ADDRESS_H

#include <sys/socket.h>

#include "util/bound-path.h"
#include "util/options.h"

typedef enum SocketAddressType {
    SOCKET_ADDRESS_INET,
    SOCKET_ADDRESS_UNIX,
    SOCKET_ADDRESS_FD,
} SocketAddressType;

typedef struct InetSocketAddress {
    char *host; /* a name or a number; "": any of ours */
    char *port; /* likewise */
    bool numeric; /* it is a number, or wrong */
    bool has_numeric;
    bool ipv4; /* which may be, or not */
    bool has_ipv4;
    bool ipv6;
    bool has_ipv6;
} InetSocketAddress;

typedef struct UnixSocketAddress {
    char *path;
    bool abstract; /* no file */
    bool has_abstract;
    bool tight;    /* then: the name has the length of path */
    bool has_tight;
} UnixSocketAddress;

typedef struct FdSocketAddress {
    char *str; /* the number of an inherited descriptor, or a name of getfd */
} FdSocketAddress;

typedef struct SocketAddress {
    int type;
    void *u; /* of these */
} SocketAddress;

/* One that opt_config_new() made, or socket_name_address(). Freed by opt_config_free(). */
extern const OptTable socket_address_options;

typedef struct SocketName {
    struct sockaddr_storage addr;
    socklen_t len;
} SocketName;

/*
 * What the kernel calls @a, no descriptor: SocketName's in the order in which they are to be tried,
 * at least one. Waits for a name server, if it has to ask one. @ret_names is the caller's.
 */
bool socket_address_resolve(const SocketAddress *a, bool listen, GArray **ret_names,
                            GError **error);

/* "tcp:HOST:PORT" or "unix:PATH", as QEMU shows it. Free it. */
char *socket_name_uri(const SocketName *name);
SocketAddress *socket_name_address(const SocketName *name);

/*
 * A stream socket that listens at @a, or one that begins to connect to @name, non-blocking and
 * close-on-exec; -1 and the error. @bound: of a file that was made for it; for the end.
 */
int socket_address_listen(const SocketAddress *a, BoundPath *bound, GError **error);
int socket_name_connect(const SocketName *name, GError **error);

#endif
