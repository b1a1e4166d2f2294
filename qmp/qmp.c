/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qmp/qmp.h"

#include <stdarg.h>

#include "qmp-internal.h"

G_DEFINE_QUARK(qmp-error-quark, qmp_error)

/* What we promise to clients that look at QEMU's version. */
#define QEMU_MAJOR 10
#define QEMU_MINOR 0
#define QEMU_MICRO 0

void qmp_set_error(GError **error, QmpError code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(QMP_ERROR, (int)code, fmt, ap));
    va_end(ap);
}

struct json_object *qmp_version_json(const Qmp *q)
{
    struct json_object *qemu = json_object_new_object();
    struct json_object *version = json_object_new_object();
    g_autofree char *package = g_strdup_printf("ringtap %s", q->sys->version);

    json_object_object_add(qemu, "micro", json_object_new_int(QEMU_MICRO));
    json_object_object_add(qemu, "minor", json_object_new_int(QEMU_MINOR));
    json_object_object_add(qemu, "major", json_object_new_int(QEMU_MAJOR));
    json_object_object_add(version, "qemu", qemu);
    json_object_object_add(version, "package", json_object_new_string(package));
    return version;
}

bool qmp_has_monitors(const Qmp *q)
{
    return q->monitors->len > 0;
}

/* Takes @data, which may be NULL. */
static void qmp_event(Qmp *q, const char *name, struct json_object *data)
{
    gint64 now = g_get_real_time();
    struct json_object *time = json_object_new_object();
    struct json_object *event = json_object_new_object();

    json_object_object_add(time, "seconds", json_object_new_int64(now / G_USEC_PER_SEC));
    json_object_object_add(time, "microseconds", json_object_new_int64(now % G_USEC_PER_SEC));
    json_object_object_add(event, "timestamp", time);
    json_object_object_add(event, "event", json_object_new_string(name));
    if (data) {
        json_object_object_add(event, "data", data);
    }
    for (guint i = 0; i < q->monitors->len; i++) {
        QmpMonitor *m = g_ptr_array_index(q->monitors, i);

        if (m->session) {
            qmp_session_event(m->session, event);
        }
    }
    json_object_put(event);
}

static struct json_object *qmp_data_str(const char *key, const char *value)
{
    struct json_object *data = json_object_new_object();

    json_object_object_add(data, key, json_object_new_string(value));
    return data;
}

void qmp_event_shutdown(Qmp *q, const char *reason)
{
    struct json_object *data = json_object_new_object();

    json_object_object_add(data, "guest", json_object_new_boolean(false));
    json_object_object_add(data, "reason", json_object_new_string(reason));
    qmp_event(q, "SHUTDOWN", data);
}

void qmp_event_stop(Qmp *q)
{
    qmp_event(q, "STOP", NULL);
}

void qmp_event_resume(Qmp *q)
{
    qmp_event(q, "RESUME", NULL);
}

void qmp_event_device_deleted(Qmp *q, const char *device)
{
    struct json_object *data = json_object_new_object();
    g_autofree char *path = NULL;

    if (opt_id_wellformed(device)) {
        path = g_strdup_printf("/machine/peripheral/%s", device);
        json_object_object_add(data, "device", json_object_new_string(device));
    } else {
        path = g_strdup_printf("/machine/peripheral-anon/%s", device);
    }
    json_object_object_add(data, "path", json_object_new_string(path));
    qmp_event(q, "DEVICE_DELETED", data);
}

void qmp_event_vif_connected(Qmp *q, const char *device, unsigned queues)
{
    struct json_object *data = qmp_data_str("device", device);

    json_object_object_add(data, "queues", json_object_new_int64(queues));
    qmp_event(q, "VIF_CONNECTED", data);
}

void qmp_event_vif_disconnected(Qmp *q, const char *device)
{
    qmp_event(q, "VIF_DISCONNECTED", qmp_data_str("device", device));
}

void qmp_event_vif_error(Qmp *q, const char *device, const char *reason)
{
    struct json_object *data = qmp_data_str("device", device);

    json_object_object_add(data, "reason", json_object_new_string(reason));
    qmp_event(q, "VIF_ERROR", data);
}
