/*
 * -netdev socket, stream and dgram: frames over sockets, to another program that speaks as QEMU's
 * netdevs of these names do. One queue, and no vnet header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_NET_SOCKET_H
#define NET_NET_SOCKET_H

#include "net/netdev.h"
#include "util/options.h"
#include "util/socket-address.h"

#define NET_SOCKET_MTU 1500u /* what guests are told; longer frames get through all the same */

/* What these netdevs are told of the program around them. Copied. */
typedef struct NetSocketEnv {
    /* Resolves a name of getfd, as TapFdByName; NULL: there are only numbers. Not kept. */
    int (*fd_by_name)(void *opaque, const char *name);
    void *fd_opaque;
    /* From the main loop: one of type stream was connected to @peer; NULL: no more. Optional. */
    void (*stream_changed)(void *opaque, const Netdev *nd, const SocketAddress *peer);
    void *opaque;
} NetSocketEnv;

typedef struct StreamConfig {
    char *id;
    SocketAddress *addr;
    bool server;
    uint32_t reconnect;
    bool has_reconnect;
    uint32_t reconnect_ms;
    bool has_reconnect_ms;
} StreamConfig;

typedef struct DgramConfig {
    char *id;
    SocketAddress *local;
    SocketAddress *remote;
} DgramConfig;

typedef struct SocketNetdevConfig {
    char *id;
    char *fd;
    char *listen;
    char *connect;
    char *mcast;
    char *localaddr;
    char *udp;
} SocketNetdevConfig;

extern const OptTable stream_options;
extern const OptTable dgram_options;
extern const OptTable socket_netdev_options;

/*
 * All or nothing, with QEMU's words for what is wrong. @config is not kept. Main thread, whose loop
 * makes, accepts and ends connections. A server that is not there is no error: the netdev has no
 * link then.
 */
Netdev *stream_new(const StreamConfig *config, const NetSocketEnv *env, GError **error);
Netdev *dgram_new(const DgramConfig *config, const NetSocketEnv *env, GError **error);
Netdev *socket_netdev_new(const SocketNetdevConfig *config, const NetSocketEnv *env,
                          GError **error);

#endif
