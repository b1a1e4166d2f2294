/*
 * A back end in another process: what its connection (vhost-user-remote-io.c), what it says of
 * itself (vhost-user-remote.c) and its rings (vhost-user-remote-rings.c) have from each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_REMOTE_INTERNAL_H
#define HW_VIRTIO_VHOST_USER_REMOTE_INTERNAL_H

#include "hw/virtio/vhost-user-remote.h"
#include "vhost-user-msg.h"

#define REMOTE_BIT(n) (1ull << (n))

/* What we negotiate, if it has it. */
#define REMOTE_PROTOCOL \
    (REMOTE_BIT(VHOST_USER_PROTOCOL_F_MQ) | REMOTE_BIT(VHOST_USER_PROTOCOL_F_RARP) | \
     REMOTE_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | REMOTE_BIT(VHOST_USER_PROTOCOL_F_MTU) | \
     REMOTE_BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | \
     REMOTE_BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | \
     REMOTE_BIT(VHOST_USER_PROTOCOL_F_STATUS))

/* An answer that it owes, in the order in which they were asked for. */
typedef struct RemoteOwed {
    uint32_t request;
    bool ack;               /* of what has no answer of its own */
} RemoteOwed;

struct VhostUserRemote {
    const VhostUserRemoteEvents *events;
    void *opaque;
    unsigned n_pairs;
    uint64_t features;      /* of the last one that was ready */

    /* Of the connection. */
    VhostUserMsgIo io;      /* fd -1: there is none */
    guint in_tag;
    guint slow_tag;         /* it has so long to get ready */
    guint lost_tag;         /* the owner is to hear why it is lost */
    char *reason;
    GQueue owed;            /* RemoteOwed */
    unsigned step;          /* of those that lead to ready */
    bool ready;
    uint64_t offered;       /* features */
    uint64_t protocol;      /* negotiated protocol features */
    uint64_t max_queues;
    uint64_t max_slots;

    /* Of the rings that it has. */
    GArray *told;           /* VhostUserRegion: the memory that it knows */
    unsigned serving;       /* pairs */
    uint64_t taken;         /* the features of these */
    uint32_t base[2 * VHOST_USER_REMOTE_MAX_PAIRS]; /* as it said last */
};

static inline bool remote_has(const VhostUserRemote *r, unsigned protocol_feature)
{
    return r->protocol & REMOTE_BIT(protocol_feature);
}

/* --- vhost-user-remote-io.c --- */

/* What a message has besides its payload. */
typedef struct RemoteExtra {
    const int *fd;          /* the caller's */
    unsigned n_fds;
    bool ack;               /* it is to say whether it could, if it does that at all */
} RemoteExtra;

/*
 * Sends a message; an answer will come to remote_answered(). What goes wrong loses the connection,
 * and without one nothing happens.
 */
void remote_send(VhostUserRemote *r, uint32_t request, const void *payload, size_t len,
                 const RemoteExtra *extra);
void remote_send_u64(VhostUserRemote *r, uint32_t request, uint64_t value, bool ack);
/* Until it owes nothing; else the connection is lost. */
void remote_settle(VhostUserRemote *r);
/* Takes what it has said, if it has said something. */
void remote_listen(VhostUserRemote *r);
/* Closes the connection; the first reason is the one that is told. */
void remote_lose(VhostUserRemote *r, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* --- vhost-user-remote.c --- */

/* An answer that it owed. */
void remote_answered(VhostUserRemote *r, uint32_t request, uint64_t value);

/* --- vhost-user-remote-rings.c --- */

/* The connection is gone: it knows nothing any more. */
void remote_forget_rings(VhostUserRemote *r);
void remote_got_status(VhostUserRemote *r, uint64_t status);
void remote_got_base(VhostUserRemote *r, uint64_t answer);

#endif
