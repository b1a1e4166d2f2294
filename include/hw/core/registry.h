/*
 * The registry: which devices there are, and what the program gives them. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_REGISTRY_H
#define HW_CORE_REGISTRY_H

#include "hw/core/device.h"


/* Who makes a registry. Outlives it, as what the callbacks return outlives the devices. */
typedef struct DeviceHost {
    const DeviceClass *const *classes;          /* ends with NULL, as the other tables */
    const DeviceBus *const *buses;
    const DeviceBackendKind *const *backends;
    IoThread *(*find_thread)(void *opaque, const char *id); /* NULL: there is none */
    void (*claim_thread)(void *opaque, IoThread *thread);   /* as often as it is released */
    void (*release_thread)(void *opaque, IoThread *thread);
    /* Every event, as often as a guest causes one: d->info_limit and warn_limit bound a log. */
    void (*log)(void *opaque, Device *d, const DeviceEvent *e);
    /* Those that pass the rate limit. */
    void (*event)(void *opaque, Device *d, const DeviceEvent *e);
    void (*drained)(void *opaque);              /* all, after device_registry_drain() */
    void (*removed)(void *opaque, const char *id); /* after device_gone(); it is freed */
} DeviceHost;

DeviceRegistry *device_registry_new(const DeviceHost *host, void *opaque);
void device_registry_free(DeviceRegistry *r); /* with all devices; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DeviceRegistry, device_registry_free)

const DeviceClass *const *device_registry_classes(const DeviceRegistry *r);
const DeviceClass *device_class_find(const DeviceRegistry *r, const char *name);
/*
 * -device: makes a device of the class that "driver" names, with "bus" and the class's
 * options. The registry's; not started. @args is spent.
 */
Device *device_add(DeviceRegistry *r, OptDict *args, GError **error);
Device *device_find(DeviceRegistry *r, const char *id); /* NULL: there is none */
unsigned device_registry_count(const DeviceRegistry *r);
Device *device_registry_nth(const DeviceRegistry *r, unsigned n); /* in the order of addition */
/* From now on errors have the words that QEMU has for a device which is plugged in. */
void device_registry_set_up(DeviceRegistry *r);

void device_registry_start(DeviceRegistry *r); /* those that are not yet */
void device_registry_drain(DeviceRegistry *r); /* those that can, and are started */
bool device_registry_is_draining(const DeviceRegistry *r); /* drained() is still to come */
void device_registry_resume(DeviceRegistry *r);
void device_registry_close(DeviceRegistry *r, unsigned timeout_ms);
void device_registry_clear(DeviceRegistry *r); /* no device is left; not from one's callback */

#endif
