/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_NET_VIRTIO_NET_STATE_H
#define HW_NET_VIRTIO_NET_STATE_H

#include "hw/virtio/virtio-device.h"

/* VirtioDeviceOps.save and load. */
void virtio_net_save(VirtioDevice *d, GByteArray *out);
bool virtio_net_load(VirtioDevice *d, StateReader *in, GError **error);

#endif
