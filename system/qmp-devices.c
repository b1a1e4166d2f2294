/*
 * QMP: devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

#define PERIPHERALS "/machine/peripheral"

static const OptMember id_members[] = {
    { "id", OPT_STR, offsetof(QmpIdArgs, id), .required = true, .lookup = true },
    { 0 },
};
const OptTable qmp_id_args = { "id", sizeof(QmpIdArgs), id_members };

const OptMember qmp_path_members[] = {
    { "path", OPT_STR, offsetof(QmpPathArgs, path), .required = true },
    { 0 },
};
static const OptTable path_args = { "path", sizeof(QmpPathArgs), qmp_path_members };

typedef struct PropertyInfo {
    char *name;
    char *type;
} PropertyInfo;

static const OptMember property_members[] = {
    { "name", OPT_STR, offsetof(PropertyInfo, name), .required = true },
    { "type", OPT_STR, offsetof(PropertyInfo, type), .required = true },
    { 0 },
};
static const OptTable property_table = { "ObjectPropertyInfo", sizeof(PropertyInfo),
                                         property_members };
static const OptMember property_item = { .type = OPT_STRUCT, .table = &property_table };
static const OptMember property_result = { .type = OPT_LIST, .item = &property_item };

typedef struct DeletedData {
    char *device;
    char *path;
} DeletedData;

static const OptMember deleted_members[] = {
    { "device", OPT_STR, offsetof(DeletedData, device) },
    { "path", OPT_STR, offsetof(DeletedData, path), .required = true },
    { 0 },
};
static const OptTable deleted_data = { "DEVICE_DELETED", sizeof(DeletedData), deleted_members };

static const QmpEvent events[] = { { "DEVICE_DELETED", &deleted_data }, { 0 } };

char *qmp_device_path(const char *device)
{
    return g_strdup_printf("%s/%s", opt_id_wellformed(device) ? PERIPHERALS : PERIPHERALS "-anon",
                           device);
}

void qmp_event_device_deleted(System *s, const char *device)
{
    g_autofree char *path = qmp_device_path(device);

    qmp_event_send(s->qmp, &events[0],
                   &(DeletedData){ .device = opt_id_wellformed(device) ? (char *)device : NULL,
                                   .path = path });
}

/* What any device takes, for the schema; its class knows the rest. */
typedef struct DeviceArgs {
    char *driver;
    char *bus;
    char *id;
} DeviceArgs;

static const OptMember device_members[] = {
    { "driver", OPT_STR, offsetof(DeviceArgs, driver), .required = true },
    { "bus", OPT_STR, offsetof(DeviceArgs, bus) },
    { "id", OPT_STR, offsetof(DeviceArgs, id) },
    { 0 },
};
static const OptTable device_args = { "device_add", sizeof(DeviceArgs), device_members };

/* -device takes JSON, and what it adds can be unplugged. */
static const char *const device_features[] = { "json-cli", "json-cli-hotplug", NULL };

static bool qmp_device_add(void *opaque, QmpMonitor *m, OptDict *args, GError **error)
{
    return devices_add(opaque, args, error);
}

static bool qmp_device_del(void *opaque, QmpMonitor *m, const void *args, void *ret,
                           GError **error)
{
    return devices_del(opaque, ((const QmpIdArgs *)args)->id, error);
}

static void property_add(GArray *list, const char *name, char *type)
{
    PropertyInfo *info = g_new0(PropertyInfo, 1);

    info->name = g_strdup(name);
    info->type = type;
    g_array_append_val(list, info);
}

static bool qom_list(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const System *s = opaque;
    const char *path = ((const QmpPathArgs *)args)->path;
    GArray *list;

    if (!g_str_equal(path, PERIPHERALS)) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", path);
        return false;
    }
    list = g_array_new(FALSE, FALSE, sizeof(PropertyInfo *));
    property_add(list, "type", g_strdup("string"));
    for (unsigned i = 0; i < device_registry_count(s->devices); i++) {
        const Device *d = device_registry_nth(s->devices, i);

        if (opt_id_wellformed(d->id)) {
            property_add(list, d->id, g_strdup_printf("child<%s>", device_class_name(d->class)));
        }
    }
    *(GArray **)ret = list;
    return true;
}

void qmp_devices_register(System *s)
{
    static const QmpCommand commands[] = {
        { "device_add", &device_args, .run_dict = qmp_device_add, .features = device_features },
        { "device_del", &qmp_id_args, .run = qmp_device_del },
        { "qom-list", &path_args, &property_result, qom_list },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
    qmp_register_events(s->qmp, events);
}
