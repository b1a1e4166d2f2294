/*
 * What a device tells its operator, in the log and by QMP. All of it is provoked by a
 * guest, which may do so as fast as it likes: of QMP's events some go out at once, the
 * others wait a second, and of those only the last one counts, as in QEMU. A reader that is
 * slow is not flooded then, and still knows how things are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "device.h"

#define EVENTS_BURST 10u
#define EVENTS_INTERVAL_MS 1000u /* of one more */

static void event_send(Device *d, const DeviceEvent *e)
{
    switch (e->kind) {
    case DEVICE_CONNECTED:
        qmp_event_vif_connected(d->s, d->id, e->queues);
        break;
    case DEVICE_DISCONNECTED:
        qmp_event_vif_disconnected(d->s, d->id);
        break;
    case DEVICE_ERROR:
    default:
        qmp_event_vif_error(d->s, d->id, e->reason);
        break;
    }
}

static bool event_may_pass(DeviceEvents *ev)
{
    gint64 now = g_get_monotonic_time();
    gint64 more = (now - ev->credit_us) / (EVENTS_INTERVAL_MS * 1000);

    if (more > 0) {
        ev->credit = (unsigned)MIN(EVENTS_BURST, ev->credit + more);
        ev->credit_us = now;
    }
    if (ev->n_held > 0 || ev->credit == 0) {
        return false;
    }
    ev->credit--;
    return true;
}

void device_events_flush(Device *d)
{
    DeviceEvents *ev = &d->events;

    g_clear_handle_id(&ev->timer, g_source_remove);
    for (unsigned i = 0; i < ev->n_held; i++) {
        event_send(d, &ev->held[i]);
        g_clear_pointer(&ev->held[i].reason, g_free);
    }
    ev->n_held = 0;
    ev->credit = 0;
    ev->credit_us = g_get_monotonic_time();
}

static gboolean events_tick(gpointer opaque)
{
    Device *d = opaque;

    d->events.timer = 0;
    device_events_flush(d);
    return G_SOURCE_REMOVE;
}

/* In the place of an older one that it makes untrue, but behind all others. */
static void event_hold(Device *d, const DeviceEvent *e)
{
    DeviceEvents *ev = &d->events;
    unsigned n = 0;

    for (unsigned i = 0; i < ev->n_held; i++) {
        if ((ev->held[i].kind == DEVICE_ERROR) == (e->kind == DEVICE_ERROR)) {
            g_free(ev->held[i].reason);
        } else {
            ev->held[n++] = ev->held[i];
        }
    }
    ev->held[n] = *e;
    ev->held[n].reason = g_strdup(e->reason);
    ev->n_held = n + 1;
    if (ev->timer == 0) {
        ev->timer = g_timeout_add(EVENTS_INTERVAL_MS, events_tick, d);
    }
}

static void device_event(Device *d, const DeviceEvent *e)
{
    if (event_may_pass(&d->events)) {
        event_send(d, e);
    } else {
        event_hold(d, e);
    }
}

void device_events_init(Device *d)
{
    d->events.info_limit = (LogLimit){ .burst = 10, .interval_ms = 10000 };
    d->events.warn_limit = d->events.info_limit;
    d->events.credit = EVENTS_BURST;
    d->events.credit_us = g_get_monotonic_time();
}

void device_events_done(Device *d)
{
    DeviceEvents *ev = &d->events;

    g_clear_handle_id(&ev->timer, g_source_remove);
    for (unsigned i = 0; i < ev->n_held; i++) {
        g_clear_pointer(&ev->held[i].reason, g_free);
    }
    ev->n_held = 0;
}

void device_connected(Device *d, unsigned queues)
{
    info_report_limited(&d->events.info_limit, "%s: connected, %u queue%s", d->id, queues,
                        queues == 1 ? "" : "s");
    device_event(d, &(DeviceEvent){ .kind = DEVICE_CONNECTED, .queues = queues });
}

void device_disconnected(Device *d)
{
    info_report_limited(&d->events.info_limit, "%s: disconnected", d->id);
    device_event(d, &(DeviceEvent){ .kind = DEVICE_DISCONNECTED });
}

void device_failed(Device *d, const char *reason)
{
    warn_report_limited(&d->events.warn_limit, "%s: %s", d->id, reason);
    device_event(d, &(DeviceEvent){ .kind = DEVICE_ERROR, .reason = (char *)reason });
}
