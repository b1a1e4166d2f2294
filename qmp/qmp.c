/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qmp/qmp.h"

#include <stdarg.h>

#include "qmp-internal.h"

G_DEFINE_QUARK(qmp-error-quark, qmp_error)

void qmp_set_error(GError **error, QmpError code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(error, g_error_new_valist(QMP_ERROR, (int)code, fmt, ap));
    va_end(ap);
}

bool qmp_has_monitors(const Qmp *q)
{
    return q->monitors->len > 0;
}

static struct json_object *qmp_event_json(const QmpEvent *event, const void *data)
{
    gint64 now = g_get_real_time();
    struct json_object *time = json_object_new_object();
    struct json_object *json = json_object_new_object();

    json_object_object_add(time, "seconds", json_object_new_int64(now / G_USEC_PER_SEC));
    json_object_object_add(time, "microseconds", json_object_new_int64(now % G_USEC_PER_SEC));
    json_object_object_add(json, "timestamp", time);
    json_object_object_add(json, "event", json_object_new_string(event->name));
    if (event->data) {
        OptMember m = { .type = OPT_STRUCT, .table = event->data };

        json_object_object_add(json, "data", opt_value_to_json(&m, &data));
    }
    return json;
}

void qmp_event_send(Qmp *q, const QmpEvent *event, const void *data)
{
    struct json_object *json = qmp_event_json(event, data);

    for (guint i = 0; i < q->monitors->len; i++) {
        QmpMonitor *m = g_ptr_array_index(q->monitors, i);

        if (m->session) {
            qmp_session_event(m->session, json);
        }
    }
    json_object_put(json);
}
