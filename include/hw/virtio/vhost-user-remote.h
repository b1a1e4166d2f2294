/*
 * A back end of vhost-user (QEMU: docs/interop/vhost-user.rst) in another process, which serves
 * all pairs of a NIC; we are its front end. vhost-user.h is the other side of it.
 *
 * It may lie, die and be silent: that costs its connection, and rings are where the guest's memory
 * says. Main thread only, driven by its GMainContext. Nothing waits for it but what takes rings
 * back, and what finds the socket full, each two seconds at most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_REMOTE_H
#define HW_VIRTIO_VHOST_USER_REMOTE_H

#include <glib.h>
#include <stdbool.h>

#include "hw/virtio/vhost.h"

/* Rings are told by a byte of most messages. */
#define VHOST_USER_REMOTE_MAX_PAIRS 128u

typedef struct VhostUserRemote VhostUserRemote;

/* From the main loop, and from nowhere else. */
typedef struct VhostUserRemoteEvents {
    /* Its features are known, and it has enough queues: rings may be handed over. */
    void (*ready)(void *opaque);
    /*
     * The connection is closed, for a reason that is told; it was ready or not. Rings that it has
     * are still to be taken back. The next connection is welcome.
     */
    void (*lost)(void *opaque, const char *reason);
} VhostUserRemoteEvents;

/* @n_pairs: how many it has to have, up to VHOST_USER_REMOTE_MAX_PAIRS. */
VhostUserRemote *vhost_user_remote_new(unsigned n_pairs, const VhostUserRemoteEvents *events,
                                       void *opaque);
void vhost_user_remote_free(VhostUserRemote *r); /* it has no ring; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhostUserRemote, vhost_user_remote_free)

/* Takes @fd, a connected SOCK_STREAM that does not block. There is no connection at present. */
void vhost_user_remote_connect(VhostUserRemote *r, int fd);
bool vhost_user_remote_is_ready(const VhostUserRemote *r);

/*
 * The features that it had when it was ready last; before that all, so that a driver may come
 * first. Who connects with fewer than a driver took loses the connection when rings are handed
 * over. All pairs with the same memory, and with the same features while one of them is handed
 * over. start() returns before the back end has done what it says.
 */
extern const VhostOps vhost_user_remote_ops;

#endif
