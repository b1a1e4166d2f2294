/*
 * What a class that is a NIC offers besides what any device does. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_NIC_H
#define HW_NET_NIC_H

#include "hw/core/device.h"
#include "hw/net/virtio-net-filter.h"

/* DeviceClass.nic. A callback that a class has no use for is NULL. */
typedef struct NicOps {
    /*
     * What the guest wants of the frames that come, valid until the main loop goes on. The next
     * time that it says so device_changed() is called, and not again before this is.
     */
    const VirtioNetFilter *(*rx_filter)(Device *d);
    /*
     * The host's switches are told where the guest is, once, and the guest is asked to tell them
     * more, if it can.
     */
    void (*announce)(Device *d);
} NicOps;

#endif
