/*
 * -device vhost-user-net: a virtio-net whose VMM is at the other end of a socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VHOST_USER_NET_H
#define HW_NET_VHOST_USER_NET_H

#include "hw/net/virtio-net.h"
#include "util/options.h"

typedef struct VhostUserNetConfig {
    char *id;
    char *netdev;
    char *chardev;
    char *mac;
    char *iothread;      /* one for all pairs */
    GArray *vq_mapping;  /* iothread-vq-mapping: VqMapping *; NULL: a thread for each pair */
    VirtioNetConfig net; /* net.mac is mac */
} VhostUserNetConfig;

extern const OptTable vhost_user_net_options;

#endif
