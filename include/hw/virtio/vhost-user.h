/*
 * A back end of vhost-user (QEMU: docs/interop/vhost-user.rst): serves one VMM at a time, which
 * it calls the front end, over a unix socket that somebody else connected.
 *
 * A front end that lies loses its connection and nothing else: the next one is served. Main thread
 * only, driven by its GMainContext; nothing here waits for the front end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_H
#define HW_VIRTIO_VHOST_USER_H

#include <glib.h>
#include <stdbool.h>

#include "hw/virtio/virtio-device.h"

typedef struct VhostUser VhostUser;

/* None but ended() may call back, and that may serve the next connection, but not free. */
typedef struct VhostUserEvents {
    /* The first ring runs, or the number of running rings changed. 0: none any more. */
    void (*rings)(void *opaque, unsigned running);
    /* The connection ended; @reason NULL: the front end closed it. All rings are stopped. */
    void (*ended)(void *opaque, const char *reason);
    /*
     * The front end did something odd that was refused, or a ring is broken; all goes on. A
     * limited number a connection.
     */
    void (*warned)(void *opaque, const char *text);
} VhostUserEvents;

/* @dev outlives it, and is told nothing before vhost_user_serve(). */
VhostUser *vhost_user_new(VirtioDevice *dev, const VhostUserEvents *events, void *opaque);
void vhost_user_free(VhostUser *v); /* ends the connection without an event; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhostUser, vhost_user_free)

/* Takes @fd, a connected SOCK_STREAM. There is no connection at present. May call ended(). */
void vhost_user_serve(VhostUser *v, int fd);
bool vhost_user_is_connected(const VhostUser *v);
/* Ends the connection, rings first; ended() is called with @reason. */
void vhost_user_disconnect(VhostUser *v, const char *reason);

#endif
