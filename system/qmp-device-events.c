/*
 * QMP: what devices report. Those of vifs have names of their own, which were there first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

typedef struct EventData {
    char *device;
    uint32_t queues;
    char *reason;
} EventData;

static const OptMember connected_members[] = {
    { "device", OPT_STR, offsetof(EventData, device), .required = true },
    { "queues", OPT_UINT32, offsetof(EventData, queues), .required = true },
    { 0 },
};
static const OptMember disconnected_members[] = {
    { "device", OPT_STR, offsetof(EventData, device), .required = true },
    { 0 },
};
static const OptMember error_members[] = {
    { "device", OPT_STR, offsetof(EventData, device), .required = true },
    { "reason", OPT_STR, offsetof(EventData, reason), .required = true },
    { 0 },
};
static const OptTable connected_data = { "DeviceConnected", sizeof(EventData),
                                         connected_members };
static const OptTable disconnected_data = { "DeviceDisconnected", sizeof(EventData),
                                            disconnected_members };
static const OptTable error_data = { "DeviceError", sizeof(EventData), error_members };

/* By DeviceEventKind. */
static const QmpEvent events[] = {
    [DEVICE_CONNECTED] = { "DEVICE_CONNECTED", &connected_data },
    [DEVICE_DISCONNECTED] = { "DEVICE_DISCONNECTED", &disconnected_data },
    [DEVICE_FAILED] = { "DEVICE_ERROR", &error_data },
    { 0 },
};
static const QmpEvent vif_events[] = {
    [DEVICE_CONNECTED] = { "VIF_CONNECTED", &connected_data },
    [DEVICE_DISCONNECTED] = { "VIF_DISCONNECTED", &disconnected_data },
    [DEVICE_FAILED] = { "VIF_ERROR", &error_data },
    { 0 },
};

void qmp_event_device(System *s, const Device *d, const DeviceEvent *e)
{
    const QmpEvent *table = qmp_vif_shows(d) ? vif_events : events;

    g_assert(e->kind <= DEVICE_FAILED); /* DEVICE_DELETED follows the others */
    qmp_event_send(s->qmp, &table[e->kind],
                   &(EventData){ .device = (char *)d->id, .queues = e->queues,
                                 .reason = (char *)e->reason });
}

void qmp_device_events_register(System *s)
{
    qmp_register_events(s->qmp, events);
    qmp_register_events(s->qmp, vif_events);
}
