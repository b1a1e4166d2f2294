/*
 * What a device tells its operator. All of it is provoked by a guest, which may do so as
 * fast as it likes: some events go out at once, the others wait a second, and of those
 * only the last one counts, as in QEMU. A reader that is slow is not flooded then, and
 * still knows how things are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core-internal.h"

#define EVENTS_BURST 10u
#define EVENTS_INTERVAL_MS 1000u /* of one more */

static void event_send(Device *d, const DeviceEvent *e)
{
    d->registry->host->event(d->registry->opaque, d, e);
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
        event_send(d, &(DeviceEvent){ ev->held[i].kind, ev->held[i].queues,
                                      ev->held[i].reason });
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
        if ((ev->held[i].kind == DEVICE_FAILED) == (e->kind == DEVICE_FAILED)) {
            g_free(ev->held[i].reason);
        } else {
            ev->held[n++] = ev->held[i];
        }
    }
    ev->held[n].kind = e->kind;
    ev->held[n].queues = e->queues;
    ev->held[n].reason = g_strdup(e->reason);
    ev->n_held = n + 1;
    if (ev->timer == 0) {
        ev->timer = g_timeout_add(EVENTS_INTERVAL_MS, events_tick, d);
    }
}

static void device_event(Device *d, const DeviceEvent *e)
{
    d->registry->host->log(d->registry->opaque, d, e);
    if (event_may_pass(&d->events)) {
        event_send(d, e);
    } else {
        event_hold(d, e);
    }
}

void device_events_init(Device *d)
{
    d->info_limit = (LogLimit){ .burst = 10, .interval_ms = 10000 };
    d->warn_limit = d->info_limit;
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
    d->shown_queues = queues;
    device_event(d, &(DeviceEvent){ .kind = DEVICE_CONNECTED, .queues = queues });
}

void device_disconnected(Device *d)
{
    device_event(d, &(DeviceEvent){ .kind = DEVICE_DISCONNECTED });
}

void device_changed(Device *d)
{
    event_send(d, &(DeviceEvent){ .kind = DEVICE_CHANGED });
}

void device_warned(Device *d, const char *text)
{
    d->registry->host->log(d->registry->opaque, d,
                           &(DeviceEvent){ .kind = DEVICE_WARNED, .reason = text });
}

void device_failed(Device *d, const char *reason)
{
    device_event(d, &(DeviceEvent){ .kind = DEVICE_FAILED, .reason = reason });
}
