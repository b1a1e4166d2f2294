/*
 * What each class has in common which is a virtio-net: its netdev and threads, and what it says of
 * itself. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_DEVICE_H
#define HW_NET_VIRTIO_NET_DEVICE_H

#include "hw/core/device.h"
#include "hw/net/virtio-net.h"

typedef struct VirtioNetDeviceArgs {
    /* Of the class's options; at most one of them is set. NULL: a thread for each pair. */
    const char *iothread;
    const GArray *vq_mapping;
    /* As in VirtioNetEnv. */
    void (*failed)(void *opaque, const char *reason);
    void (*filter_changed)(void *opaque);
    void *opaque;
} VirtioNetDeviceArgs;

/* As virtio_net_new(), for @d and its netdev. */
VirtioNet *virtio_net_device_new(Device *d, const VirtioNetConfig *config,
                                 const VirtioNetDeviceArgs *args, GError **error);
/* All but the state. @last_error: the transport's, where the netdev has none. */
void virtio_net_device_info(VirtioNet *vn, const char *last_error, DeviceInfo *ret_info);
/* As in DeviceClass. */
void virtio_net_device_drain(Device *d, VirtioNet *vn);

#endif
