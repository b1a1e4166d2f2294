/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/xen/xen-device.h"

bool xen_device_identify(Device *d, int32_t frontend_id, int32_t idx, GError **error)
{
    const XenContext *bus = d->bus;

    if (frontend_id < -1 || frontend_id > XEN_MAX_DOMID) {
        return device_set_error(error, "frontend-id must be in range [0, %d], or -1",
                                XEN_MAX_DOMID);
    }
    d->guest = frontend_id >= 0 ? frontend_id : bus->guest;
    if (d->guest < 0) {
        return device_set_error(error, "-xen-domid or frontend-id is needed: whose device is it?");
    }
    d->idx = idx;
    return true;
}

void xen_device_event(void *opaque, XenbusEvent event, const char *detail)
{
    Device *d = opaque;
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
