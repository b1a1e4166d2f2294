/*
 * A netdev over a stream socket, and those that make one: -netdev stream and -netdev socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_STREAM_INTERNAL_H
#define NET_STREAM_INTERNAL_H

#include "net/net-socket.h"
#include "stream-queue.h"

typedef enum StreamState {
    STREAM_LISTENING,
    STREAM_CONNECTING, /* or about to try again */
    STREAM_CONNECTED,
    STREAM_ENDED,      /* and that is that */
} StreamState;

typedef struct Stream Stream;

struct Stream {
    Netdev nd;
    StreamQueue queue;
    NetSocketEnv env;
    /* What "info network" shows in a state, a text to be freed; @peer: of STREAM_CONNECTED. */
    char *(*describe)(const Stream *s, StreamState state, const SocketName *peer);
    char *info;
    char *where;       /* for describe */

    int nothing_fd;    /* what the queue's descriptor is of without a connection: never readable */
    int conn_fd;       /* the connection, or what is to be one; -1: none */
    bool given;        /* it is the queue's descriptor itself, which somebody else may have, too */
    unsigned conn_tag; /* it is connected, or not; then: its end */
    unsigned end_tag;  /* the queue's own word for that */
    unsigned wait_tag; /* for what the queue still reads of it */

    int listen_fd;     /* -1: none */
    unsigned accept_tag;
    BoundPath bound;

    GArray *names;       /* SocketName: where to connect to; NULL: nowhere */
    unsigned next_name;
    uint32_t reconnect_ms; /* 0: once */
    unsigned again_tag;
    bool reported;       /* that it could not connect, since it last could */
};

/* Without a socket. NULL: no memory, or no descriptors. */
Stream *stream_alloc(const char *id, const NetdevOps *ops, const NetSocketEnv *env,
                     GError **error);

/* One of them: from here on @s is a netdev that lives. */
void stream_listen(Stream *s, int listen_fd);     /* which is its own, as is bound */
void stream_connect(Stream *s, GArray *names);    /* likewise; from the main loop */
void stream_adopt(Stream *s, int fd);             /* a connection, likewise */

/* What all NetdevOps of them have but their type. */
void stream_free(Netdev *nd);
char *stream_info(Netdev *nd, unsigned queue);

#define STREAM_NETDEV_OPS(name)                 \
    {                                           \
        .type = name,                           \
        .tells_writable = true,                 \
        .send = stream_queue_send,              \
        .send_stop = stream_queue_send_stop,    \
        .recv = stream_queue_recv,              \
        .set_offload = netdev_one_set_offload,  \
        .set_active = netdev_one_set_active,    \
        .info = stream_info,                    \
        .free = stream_free,                    \
    }

#endif
