/*
 * What every class of Xen devices has in common.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_DEVICE_H
#define HW_XEN_XEN_DEVICE_H

#include "hw/core/device.h"
#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-event.h"

#define XEN_MAX_DOMID 0x7fef /* those above are reserved: xen/include/public/xen.h */

/* What a device finds on the Xen bus: its Device.bus. */
typedef struct XenContext {
    Xen *xen;
    XenStore *store;
    int guest; /* the domain whose backends we are, where a device says no other; -1: none */
} XenContext;

/*
 * For identify() of a backend: whose it is, as frontend-id= says, or the bus for all (-1), and its
 * number there. Main thread, as the next one.
 */
bool xen_device_identify(Device *d, int32_t frontend_id, int32_t idx, GError **error);
/* An event of its xenbus end as that of the Device @opaque. */
void xen_device_event(void *opaque, XenbusEvent event, const char *detail);

#endif
