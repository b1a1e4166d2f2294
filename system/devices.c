/*
 * -device: what the devices of hw/core get from the program, and whom it tells of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "globals.h"
#include "inert-devices.h"
#include "objects.h"
#include "qmp-commands.h"
#include "tables.h"

static IoThread *devices_find_thread(void *opaque, const char *id)
{
    IoThreadObject *o = object_find(opaque, id);

    return o ? o->thread : NULL;
}

static void devices_claim_thread(void *opaque, IoThread *thread)
{
    object_of_thread(opaque, thread)->users++;
}

static void devices_release_thread(void *opaque, IoThread *thread)
{
    object_of_thread(opaque, thread)->users--;
}

static void devices_log(void *opaque, Device *d, const DeviceEvent *e)
{
    switch (e->kind) {
    case DEVICE_CHANGED:
        break; /* is not told here */
    case DEVICE_CONNECTED:
        info_report_limited(&d->info_limit, "%s: connected, %u queue%s", d->id, e->queues,
                            e->queues == 1 ? "" : "s");
        break;
    case DEVICE_DISCONNECTED:
        info_report_limited(&d->info_limit, "%s: disconnected", d->id);
        break;
    case DEVICE_FAILED:
    case DEVICE_WARNED:
        warn_report_limited(&d->warn_limit, "%s: %s", d->id, e->reason);
        break;
    case DEVICE_GONE:
        info_report("%s: %s", d->id, e->reason);
        break;
    }
}

static void devices_event(void *opaque, Device *d, const DeviceEvent *e)
{
    if (e->kind == DEVICE_CHANGED) {
        qmp_event_rx_filter(opaque, d);
    } else {
        qmp_event_device(opaque, d, e);
    }
}

static void devices_drained(void *opaque)
{
    System *s = opaque;

    qmp_event_stop(s);
    migration_drained(s);
}

static void devices_removed(void *opaque, const char *id)
{
    System *s = opaque;

    qmp_event_device_deleted(s, id);
    attach_device_gone(s);
    run_device_gone(s);
}

DeviceRegistry *devices_new(System *s)
{
    static const DeviceHost host = {
        .classes = system_classes,
        .buses = system_buses,
        .backends = system_backends,
        .find_thread = devices_find_thread,
        .claim_thread = devices_claim_thread,
        .release_thread = devices_release_thread,
        .log = devices_log,
        .event = devices_event,
        .drained = devices_drained,
        .removed = devices_removed,
    };

    return device_registry_new(&host, s);
}

bool devices_add(System *s, OptDict *args, GError **error)
{
    g_autoptr(GError) err = NULL;

    if (s->state == RUN_SHUTDOWN) {
        return system_set_error(error, "the program is about to end");
    }
    if (s->state == RUN_FINISH_MIGRATE) {
        return system_set_error(error, "device_add not allowed while migrating");
    }
    globals_apply(s, args);
    if (!device_add(s->devices, args, &err)) {
        if (g_error_matches(err, DEVICE_ERROR, DEVICE_ERROR_NOT_FOUND)) {
            g_set_error_literal(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, err->message);
        } else {
            g_propagate_error(error, g_steal_pointer(&err));
        }
        return false;
    }
    if (s->state == RUN_RUNNING) {
        device_registry_start(s->devices);
    }
    return true;
}

/* By its id, or by its path among QEMU's objects: of one without an id that is the only name. */
static Device *devices_find(System *s, const char *name)
{
    static const char *const places[] = { "/machine/peripheral/", "/machine/peripheral-anon/" };

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        const char *id = name + strlen(places[i]);

        if (g_str_has_prefix(name, places[i]) && opt_id_wellformed(id) == (i == 0)) {
            return device_find(s->devices, id);
        }
    }
    return device_find(s->devices, name);
}

bool devices_del(System *s, const char *id, GError **error)
{
    Device *d = devices_find(s, id);

    if (!d) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return false;
    }
    if (s->state == RUN_FINISH_MIGRATE) {
        return system_set_error(error, "device_del not allowed while migrating");
    }
    if (!device_may_go(d, error)) {
        return false;
    }
    if (!device_close(d, CLOSE_TIMEOUT_MS)) {
        return system_set_error(error, "Device %s is already in the process of unplug", id);
    }
    return true;
}

bool devices_set_link(System *s, const char *name, bool up, GError **error)
{
    Device *d = device_find(s->devices, name);
    Netdev *nd = d ? device_backend(d, "netdev") : netdev_find(s, name);

    if (!nd) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return false;
    }
    netdev_set_link(nd, up);
    return true;
}

static bool category_is_new(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (g_str_equal(system_classes[i]->category, system_classes[n]->category)) {
            return false;
        }
    }
    return true;
}

/* Of an inert class all options, as there is nothing else to say of it. */
static void help_inert(GString *out, const DeviceClass *c)
{
    g_string_append_printf(out, "name \"%s\", with ", device_class_name(c));
    for (const OptMember *m = c->options->members; m->name; m++) {
        g_string_append_printf(out, "%s%s", m == c->options->members ? "" : ", ", m->name);
    }
    g_string_append_c(out, '\n');
}

static void help_category(GString *out, const char *category)
{
    g_string_append_printf(out, "%s%s devices:\n", out->len > 0 ? "\n" : "", category);
    for (size_t i = 0; system_classes[i]; i++) {
        const DeviceClass *c = system_classes[i];

        if (!g_str_equal(c->category, category)) {
            continue;
        }
        if (g_str_equal(category, INERT_CATEGORY)) {
            help_inert(out, c);
        } else {
            g_string_append_printf(out, "name \"%s\"%s%s, desc \"%s\"\n", device_class_name(c),
                                   c->bus ? ", bus " : "", c->bus ? c->bus : "", c->desc);
        }
    }
}

static const DeviceClass *help_find_class(const char *name)
{
    for (size_t i = 0; system_classes[i]; i++) {
        if (g_str_equal(device_class_name(system_classes[i]), name)) {
            return system_classes[i];
        }
    }
    return NULL;
}

char *devices_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "driver");
    const DeviceClass *c = topic ? help_find_class(topic) : NULL;

    if (topic && topic[0] == '\0') {
        GString *out = g_string_new(NULL);

        for (size_t i = 0; system_classes[i]; i++) {
            if (category_is_new(i)) {
                help_category(out, system_classes[i]->category);
            }
        }
        return g_string_free(out, FALSE);
    }
    if (topic && !c) {
        system_set_error(error, "'%s' is not a valid device model name", topic);
    }
    return c ? opt_table_help(c->options) : NULL;
}
