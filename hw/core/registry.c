/*
 * The list of devices, and what is done with all of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/registry.h"

#include <string.h>

#include "core-internal.h"

#define MAX_DEVICES 1024u

static void registry_free_device(gpointer opaque)
{
    device_free(opaque);
}

DeviceRegistry *device_registry_new(const DeviceHost *host, void *opaque)
{
    DeviceRegistry *r = g_new0(DeviceRegistry, 1);

    r->host = host;
    r->opaque = opaque;
    r->devices = g_ptr_array_new_with_free_func(registry_free_device);
    return r;
}

void device_registry_free(DeviceRegistry *r)
{
    if (r) {
        g_ptr_array_unref(r->devices);
        g_free(r);
    }
}

void device_registry_clear(DeviceRegistry *r)
{
    g_ptr_array_set_size(r->devices, 0);
}

void device_registry_set_up(DeviceRegistry *r)
{
    r->up = true;
}

const DeviceClass *const *device_registry_classes(const DeviceRegistry *r)
{
    return r->host->classes;
}

const DeviceClass *device_class_find(const DeviceRegistry *r, const char *name)
{
    for (size_t i = 0; r->host->classes[i]; i++) {
        if (g_str_equal(device_class_name(r->host->classes[i]), name)) {
            return r->host->classes[i];
        }
    }
    return NULL;
}

Device *device_find(DeviceRegistry *r, const char *id)
{
    for (guint i = 0; i < r->devices->len; i++) {
        Device *d = g_ptr_array_index(r->devices, i);

        if (g_str_equal(d->id, id)) {
            return d;
        }
    }
    return NULL;
}

unsigned device_registry_count(const DeviceRegistry *r)
{
    return r->devices->len;
}

Device *device_registry_nth(const DeviceRegistry *r, unsigned n)
{
    g_assert(n < r->devices->len);
    return g_ptr_array_index(r->devices, n);
}

Device *device_add(DeviceRegistry *r, OptDict *args, GError **error)
{
    g_autofree char *driver = opt_dict_take(args, "driver", error);
    const DeviceClass *c;
    DeviceSeat seat;
    void *config;
    Device *d;

    if (!driver) {
        return NULL;
    }
    c = device_class_find(r, driver);
    if (!c) {
        device_set_error(error, "'%s' is not a valid device model name", driver);
        return NULL;
    }
    if (!device_bus_choose(r, c, args, &seat, error)) {
        return NULL;
    }
    if (r->devices->len >= MAX_DEVICES) {
        device_set_error(error, "there are %u devices already", MAX_DEVICES);
        return NULL;
    }
    config = opt_config_new(c->options, args, OPT_PROPERTIES, error);
    if (!config) {
        return NULL;
    }
    d = device_new(r, c, &seat, config);
    if (!device_realize(d, error)) {
        device_free(d);
        return NULL;
    }
    g_ptr_array_add(r->devices, d);
    return d;
}

void registry_remove(Device *d)
{
    DeviceRegistry *r = d->registry;
    g_autofree char *id = g_strdup(d->id);

    g_ptr_array_remove(r->devices, d);
    registry_drained(r); /* it may have been the last that was waited for */
    r->host->removed(r->opaque, id);
}

/* --- all of them --- */

void device_registry_start(DeviceRegistry *r)
{
    for (guint i = 0; i < r->devices->len; i++) {
        device_start(g_ptr_array_index(r->devices, i));
    }
}

void registry_drained(DeviceRegistry *r)
{
    if (!r->draining) {
        return;
    }
    for (guint i = 0; i < r->devices->len; i++) {
        const Device *d = g_ptr_array_index(r->devices, i);

        if (d->draining && !d->drained) {
            return;
        }
    }
    r->draining = false;
    r->host->drained(r->opaque);
}

void device_registry_drain(DeviceRegistry *r)
{
    r->draining = false; /* none is the last before each was told */
    for (guint i = 0; i < r->devices->len; i++) {
        device_drain(g_ptr_array_index(r->devices, i));
    }
    r->draining = true;
    registry_drained(r);
}

bool device_registry_is_draining(const DeviceRegistry *r)
{
    return r->draining;
}

void device_registry_resume(DeviceRegistry *r)
{
    r->draining = false;
    for (guint i = 0; i < r->devices->len; i++) {
        device_resume(g_ptr_array_index(r->devices, i));
    }
}

void device_registry_close(DeviceRegistry *r, unsigned timeout_ms)
{
    for (guint i = 0; i < r->devices->len; i++) {
        device_close(g_ptr_array_index(r->devices, i), timeout_ms);
    }
}
