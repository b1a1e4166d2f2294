/*
 * -device: the registry of devices and of their types.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "device.h"

#include <string.h>

#define MAX_DEVICES 1024u
#define BUS_NAME    "xen-bus.0" /* QEMU's name for the one that we have */

static const DeviceType *const device_types[] = { &device_vif, &device_netfront, NULL };

static Device *device_find(System *s, const char *id)
{
    for (guint i = 0; i < s->devices->len; i++) {
        Device *d = g_ptr_array_index(s->devices, i);

        if (g_str_equal(d->id, id)) {
            return d;
        }
    }
    return NULL;
}

void device_free(gpointer opaque)
{
    Device *d = opaque;

    g_clear_handle_id(&d->gone_tag, g_source_remove);
    if (d->impl) {
        d->type->free(d->impl);
    }
    device_events_done(d);
    for (guint i = 0; i < d->users->len; i++) {
        ((IoThreadObject *)g_ptr_array_index(d->users, i))->users--;
    }
    if (d->peer) {
        netdev_release(d->s, d->peer);
    }
    g_ptr_array_unref(d->users);
    opt_config_free(d->type->options, d->config);
    g_free(d);
}

static void device_start(Device *d)
{
    if (!d->started) {
        d->started = true;
        d->type->start(d->impl);
    }
}

static bool device_find_peer(Device *d, GError **error)
{
    const char *id = *(char **)(void *)((char *)d->config + d->type->netdev_offset);
    Netdev *nd;

    if (!id) {
        return system_set_error(error, "Parameter 'netdev' is missing");
    }
    nd = netdev_find(d->s, id);
    if (!nd) {
        return system_set_error(error, "Property '%s.netdev' can't find value '%s'",
                                d->type->options->name, id);
    }
    if (nd->in_use) {
        return system_set_error(error, "Property '%s.netdev' can't take value '%s', it's in use",
                                d->type->options->name, id);
    }
    nd->in_use = true;
    nd->keep = true;
    d->peer = nd;
    return true;
}

static bool device_set_id(Device *d, GError **error)
{
    char **id = (char **)(void *)((char *)d->config + d->type->id_offset);

    if (!*id) {
        *id = g_strdup_printf("#dev%u", d->s->next_anon++);
    } else if (device_find(d->s, *id)) {
        return system_set_error(error, d->s->up ? "Duplicate device ID '%s'"
                                                : "Duplicate ID '%s' for device", *id);
    }
    d->id = *id;
    return true;
}

static bool device_realize(Device *d, GError **error)
{
    System *s = d->s;

    if (!device_set_id(d, error)) {
        return false;
    }
    if (!s->xen) {
        return system_set_error(error, "No 'xen' bus found for device '%s'",
                                d->type->options->name);
    }
    if (s->devices->len >= MAX_DEVICES) {
        return system_set_error(error, "there are %u devices already", MAX_DEVICES);
    }
    if (!device_find_peer(d, error)) {
        return false;
    }
    d->impl = d->type->create(d, error);
    return d->impl != NULL;
}

static const DeviceType *device_type_find(const char *name)
{
    for (size_t i = 0; device_types[i]; i++) {
        if (g_str_equal(device_types[i]->options->name, name)) {
            return device_types[i];
        }
    }
    return NULL;
}

/* bus=, which is no property. A path that begins with another bus ends there. */
static bool device_check_bus(const System *s, OptDict *args, GError **error)
{
    g_autofree char *bus = NULL;

    if (!opt_dict_get(args, "bus")) {
        return true;
    }
    bus = opt_dict_take(args, "bus", error);
    if (!s->xen || !g_str_equal(bus, BUS_NAME)) {
        return system_set_error(error, "Bus '%.*s' not found", (int)strcspn(bus, "/"), bus);
    }
    return true;
}

bool device_add(System *s, OptDict *args, GError **error)
{
    g_autofree char *driver = opt_dict_take(args, "driver", error);
    const DeviceType *type = driver ? device_type_find(driver) : NULL;
    void *config;
    Device *d;

    if (!type) {
        return driver ? system_set_error(error, "'%s' is not a valid device model name", driver)
                      : false;
    }
    if (s->state == RUN_SHUTDOWN) {
        return system_set_error(error, "the program is about to end");
    }
    if (!device_check_bus(s, args, error)) {
        return false;
    }
    config = opt_config_new(type->options, args, OPT_PROPERTIES, error);
    if (!config) {
        return false;
    }
    d = g_new0(Device, 1);
    d->s = s;
    d->type = type;
    d->config = config;
    d->users = g_ptr_array_new();
    device_events_init(d);
    if (!device_realize(d, error)) {
        device_free(d);
        return false;
    }
    g_ptr_array_add(s->devices, d);
    if (s->state == RUN_RUNNING) {
        device_start(d);
    }
    return true;
}

static void device_close(Device *d, unsigned timeout_ms)
{
    if (!d->closing) {
        d->closing = true;
        d->type->close(d->impl, timeout_ms);
    }
}

bool device_del(System *s, const char *id, GError **error)
{
    Device *d = device_find(s, id);

    if (!d) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return false;
    }
    if (d->closing) {
        return system_set_error(error, "Device %s is already in the process of unplug", id);
    }
    device_close(d, CLOSE_TIMEOUT_MS);
    return true;
}

bool device_set_link(System *s, const char *name, bool up, GError **error)
{
    Device *d = device_find(s, name);
    Netdev *nd = d ? d->peer : netdev_find(s, name);

    if (!nd) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return false;
    }
    netdev_set_link(nd, up);
    return true;
}

void devices_start(System *s)
{
    for (guint i = 0; i < s->devices->len; i++) {
        device_start(g_ptr_array_index(s->devices, i));
    }
}

void devices_pause(System *s, bool paused)
{
    for (guint i = 0; i < s->devices->len; i++) {
        Device *d = g_ptr_array_index(s->devices, i);

        if (d->started && d->paused != paused && d->type->pause) {
            d->paused = paused;
            d->type->pause(d->impl, paused);
        }
    }
}

void devices_close(System *s, unsigned timeout_ms)
{
    for (guint i = 0; i < s->devices->len; i++) {
        device_close(g_ptr_array_index(s->devices, i), timeout_ms);
    }
}

static gboolean device_remove(gpointer opaque)
{
    Device *d = opaque;
    System *s = d->s;
    g_autofree char *id = g_strdup(d->id);

    d->gone_tag = 0;
    device_events_flush(d);
    g_ptr_array_remove(s->devices, d);
    qmp_event_device_deleted(s, id);
    run_device_gone(s);
    return G_SOURCE_REMOVE;
}

void device_gone(Device *d)
{
    d->closing = true;
    if (d->gone_tag == 0) {
        d->gone_tag = g_idle_add_full(G_PRIORITY_DEFAULT, device_remove, d, NULL);
    }
}

char *device_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "driver");
    const DeviceType *type = topic ? device_type_find(topic) : NULL;

    if (topic && topic[0] == '\0') {
        GString *out = g_string_new("Network devices:\n");

        for (size_t i = 0; device_types[i]; i++) {
            g_string_append_printf(out, "name \"%s\", bus xen, desc \"%s\"\n",
                                   device_types[i]->options->name, device_types[i]->desc);
        }
        return g_string_free(out, FALSE);
    }
    if (topic && !type) {
        system_set_error(error, "'%s' is not a valid device model name", topic);
    }
    return type ? opt_table_help(type->options) : NULL;
}
