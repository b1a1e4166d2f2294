/*
 * -netdev vhost-user: a back end of vhost-user in another process is behind it, and serves the
 * rings of the virtio-net that has it. No packet goes through us.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VHOST_USER_NETDEV_H
#define HW_NET_VHOST_USER_NETDEV_H

#include "net/netdev.h"
#include "util/chardev.h"
#include "util/options.h"

typedef struct VhostUserNetdevConfig {
    char *id;
    char *chardev;
    bool vhostforce; /* no effect, as in QEMU: there is nothing else that could serve it */
    int64_t queues;
} VhostUserNetdevConfig;

extern const OptTable vhost_user_netdev_options;

/* What it is told of the program around it, in its main thread. Copied. */
typedef struct VhostUserNetdevEnv {
    Chardev *chardev;       /* by which the back end comes: the netdev's until released() */
    void (*released)(void *opaque, Chardev *chardev);
    /* From the main loop: the back end is there, or no more. Optional. */
    void (*changed)(void *opaque, const Netdev *nd, const char *chardev_id, bool connected);
    void *opaque;
    bool at_start;          /* the caller waits, and tells of it if there is no hope */
} VhostUserNetdevEnv;

/*
 * All or nothing, with QEMU's words for what is wrong. Nothing waits: its link is down until the
 * back end has come, by the main loop, and said what it can. If it does not come to a netdev, the
 * chardev is still the caller's.
 */
Netdev *vhost_user_netdev_new(const VhostUserNetdevConfig *config, const VhostUserNetdevEnv *env,
                              GError **error);

/* False: its first back end was refused, or is gone, and no other one can come. */
bool vhost_user_netdev_has_hope(const Netdev *nd);

#endif
