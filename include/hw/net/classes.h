/*
 * The classes of this folder, for the table of all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_CLASSES_H
#define HW_NET_CLASSES_H

#include "hw/core/device.h"

extern const DeviceClass vhost_user_net_class;
extern const DeviceClass virtio_net_device_class;
extern const DeviceClass virtio_net_pci_class;
extern const DeviceClass xen_netback_class;
extern const DeviceClass xen_netfront_class;

#endif
