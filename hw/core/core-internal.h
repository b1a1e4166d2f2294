/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_CORE_CORE_INTERNAL_H
#define HW_CORE_CORE_INTERNAL_H

#include "hw/core/registry.h"

struct DeviceRegistry {
    const DeviceHost *host;
    void *opaque;
    GPtrArray *devices; /* Device *, owned */
    unsigned next_anon; /* number of the next device without an id */
    bool up;            /* the command line is done */
    bool draining;      /* all of them, and the host waits for the end of it */
};

/* device.c */
Device *device_new(DeviceRegistry *r, const DeviceClass *c, const DeviceSeat *seat,
                   void *config);
bool device_realize(Device *d, GError **error);
void device_free(Device *d);
void device_start(Device *d);
void device_drain(Device *d);
void device_resume(Device *d);

/*
 * device-bus.c: bus=, which no property is unless the class makes it one of its own, or what has
 * room. No bus: there is none, or none that is free.
 */
bool device_bus_choose(const DeviceRegistry *r, const DeviceClass *c, OptDict *args,
                       DeviceSeat *ret, GError **error);

/* registry.c */
void registry_drained(DeviceRegistry *r); /* one more device is */
void registry_remove(Device *d);          /* frees it */

/* device-events.c */
void device_events_init(Device *d);
void device_events_flush(Device *d); /* sends what is held back */
void device_events_done(Device *d);

#endif
