/*
 * virtio-net's features and config space. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_FEATURES_H
#define HW_NET_VIRTIO_NET_FEATURES_H

#include "util/container-of.h"
#include "virtio-net-internal.h"

static inline VirtioNet *virtio_net_of(VirtioDevice *d)
{
    return container_of(d, VirtioNet, dev);
}

/* As VirtioDeviceOps. */
uint64_t virtio_net_features(VirtioDevice *d);
bool virtio_net_set_features(VirtioDevice *d, uint64_t features, GError **error);
void virtio_net_get_config(VirtioDevice *d, uint32_t offset, uint8_t *ret, uint32_t len);
bool virtio_net_set_config(VirtioDevice *d, uint32_t offset, const uint8_t *data, uint32_t len);
bool virtio_net_set_mtu(VirtioDevice *d, uint16_t mtu, GError **error);

/* What packets to the guest may leave to it: @features are VIRTIO_NET_F_GUEST_*. */
bool virtio_net_set_offloads(VirtioNet *vn, uint64_t features, GError **error);
/* False: not one that the netdev could carry. */
bool virtio_net_check_mtu(const VirtioNet *vn, uint16_t mtu, GError **error);

#endif
