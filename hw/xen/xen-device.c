/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-device.h"

void xen_device_event(Device *d, XenbusEvent event, const char *detail)
{
    DeviceInfo info;

    switch (event) {
    case XENBUS_CONNECTED:
        device_info(d, &info);
        device_connected(d, info.n_queues);
        break;
    case XENBUS_DISCONNECTED:
        device_disconnected(d);
        break;
    case XENBUS_ERROR:
        device_failed(d, detail);
        break;
    case XENBUS_WARNING:
        device_warned(d, detail);
        break;
    case XENBUS_GONE:
        device_gone(d, "the guest or its toolstack took the device away");
        break;
    case XENBUS_CLOSED:
        device_gone(d, NULL);
        break;
    }
}
