/*
 * The bytes of a vhost-user connection: messages with their descriptors come out of whatever
 * pieces the socket has, replies go in as it takes them. Nothing here waits, and nothing is
 * judged but lengths.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_MSG_H
#define HW_VIRTIO_VHOST_USER_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost-user-proto.h"

#define VHOST_USER_MSG_MAX_PAYLOAD 4096u /* far above those that we know, for those we don't */
#define VHOST_USER_MSG_MAX_REPLY   sizeof(VhostUserConfig)
#define VHOST_USER_MSG_MAX_WAITING 32u   /* replies that the front end has not read */

/* A request as it came. */
typedef struct VhostUserMsg {
    VhostUserHeader hdr;
    unsigned n_fds;
    int fd[VHOST_USER_MAX_FDS]; /* -1: was taken */
    _Alignas(uint64_t) uint8_t payload[VHOST_USER_MSG_MAX_PAYLOAD];
} VhostUserMsg;

typedef struct VhostUserReply {
    VhostUserHeader hdr;
    int fd;                     /* goes with it; -1: none */
    _Alignas(uint64_t) uint8_t payload[VHOST_USER_MSG_MAX_REPLY];
} VhostUserReply;

typedef struct VhostUserMsgIo {
    int fd;
    VhostUserMsg in;
    size_t in_got;              /* of header and payload */
    VhostUserReply out[VHOST_USER_MSG_MAX_WAITING];
    unsigned out_first;
    unsigned out_n;
    size_t out_sent;            /* of the first one */
} VhostUserMsgIo;

typedef enum VhostUserMsgResult {
    VHOST_USER_MSG_PARTIAL,  /* not all of it is there yet */
    VHOST_USER_MSG_COMPLETE, /* it is in io->in until vhost_user_msg_next() */
    VHOST_USER_MSG_CLOSED,   /* the front end closed the connection, between two messages */
    VHOST_USER_MSG_BROKEN,   /* nothing can be read any more */
} VhostUserMsgResult;

/* Owns @fd, a connected SOCK_STREAM, from now on. -1: there is none. */
void vhost_user_msg_init(VhostUserMsgIo *io, int fd);
/* Closes the connection, and the descriptors of messages that are under way. Idempotent. */
void vhost_user_msg_done(VhostUserMsgIo *io);

/* Goes on reading. *@ret_why, where it is broken: a literal. */
VhostUserMsgResult vhost_user_msg_read(VhostUserMsgIo *io, const char **ret_why);
/* The descriptor @i of the message: the caller's from now on. -1: there is none. */
int vhost_user_msg_take_fd(VhostUserMsg *msg, unsigned i);
/* Done with it; descriptors that nobody took are closed. */
void vhost_user_msg_next(VhostUserMsgIo *io);

/*
 * Sends @reply or keeps it for vhost_user_msg_flush(); its descriptor is ours from now on.
 * False: the connection is of no use any more, *@ret_why is a literal, NULL if it was closed.
 */
bool vhost_user_msg_send(VhostUserMsgIo *io, const VhostUserReply *reply, const char **ret_why);
bool vhost_user_msg_flush(VhostUserMsgIo *io, const char **ret_why);
/* There is something to be sent when the socket takes it. */
bool vhost_user_msg_waits(const VhostUserMsgIo *io);

#endif
