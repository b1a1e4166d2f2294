/*
 * QMP: what is done to a guest as a whole, and what it would be made of. There is no processor
 * and no firmware that could mind; a bus and its devices do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "board.h"
#include "guest.h"
#include "qmp-commands.h"

#define RESET "host-qmp-system-reset"

/* --- system_reset, system_powerdown --- */

typedef struct ResetData {
    bool guest;
    char *reason;
} ResetData;

static const OptMember reset_members[] = {
    { "guest", OPT_BOOL, offsetof(ResetData, guest), .required = true },
    { "reason", OPT_STR, offsetof(ResetData, reason), .required = true },
    { 0 },
};
static const OptTable reset_data = { "RESET", sizeof(ResetData), reset_members };

enum { EVENT_RESET, EVENT_POWERDOWN };
static const QmpEvent events[] = {
    [EVENT_RESET] = { "RESET", &reset_data },
    [EVENT_POWERDOWN] = { "POWERDOWN", NULL },
    { 0 },
};

void guest_reset(System *s)
{
    if (s->no_reboot) {
        run_shutdown(s, RESET);
        return;
    }
    if (s->board && s->board->pci) {
        pci_bus_reset(s->board->pci);
    }
    if (s->board && s->board->mmio) {
        virtio_mmio_bus_reset(s->board->mmio);
    }
    qmp_event_send(s->qmp, &events[EVENT_RESET], &(ResetData){ .reason = (char *)RESET });
}

void guest_powerdown(System *s)
{
    qmp_event_send(s->qmp, &events[EVENT_POWERDOWN], NULL);
}

static bool system_reset(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    guest_reset(opaque);
    return true;
}

static bool system_powerdown(void *opaque, QmpMonitor *m, const void *args, void *ret,
                             GError **error)
{
    guest_powerdown(opaque);
    return true;
}

/* --- send-key --- */

typedef struct KeyArgs {
    GArray *keys;
} KeyArgs;

static const OptMember key_item = { .type = OPT_ANY };
static const OptMember key_members[] = {
    { "keys", OPT_LIST, offsetof(KeyArgs, keys), .required = true, .item = &key_item },
    { "hold-time", OPT_INT64, .ignored = true },
    { 0 },
};
static const OptTable key_args = { "send-key", sizeof(KeyArgs), key_members };

static bool send_key(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    return true; /* there is no keyboard, as with QEMU's machine none */
}

/* --- what it is --- */

typedef struct UuidInfo {
    char *uuid;
} UuidInfo;

static const OptMember uuid_members[] = {
    { "UUID", OPT_STR, offsetof(UuidInfo, uuid), .required = true },
    { 0 },
};
static const OptTable uuid_table = { "UuidInfo", sizeof(UuidInfo), uuid_members };
static const OptMember uuid_result = { .type = OPT_STRUCT, .table = &uuid_table };

/* Zeroes if it was not said. Free it. */
static char *uuid_of(const System *s)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < sizeof(s->firmware.uuid); i++) {
        g_string_append_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                               s->firmware.uuid[i]);
    }
    return g_string_free(text, FALSE);
}

static bool query_uuid(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    UuidInfo *info = g_new0(UuidInfo, 1);

    info->uuid = uuid_of(opaque);
    *(UuidInfo **)ret = info;
    return true;
}

static void info_uuid(void *opaque, GString *out)
{
    g_autofree char *uuid = uuid_of(opaque);

    g_string_append_printf(out, "%s\r\n", uuid);
}

typedef struct MachineParams {
    bool wakeup;
} MachineParams;

static const OptMember params_members[] = {
    { "wakeup-suspend-support", OPT_BOOL, offsetof(MachineParams, wakeup), .required = true },
    { 0 },
};
static const OptTable params_table = { "CurrentMachineParams", sizeof(MachineParams),
                                       params_members };
static const OptMember params_result = { .type = OPT_STRUCT, .table = &params_table };

static bool query_current_machine(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                  GError **error)
{
    *(MachineParams **)ret = g_new0(MachineParams, 1);
    return true;
}

/* --- processors, which a caller may name: -cpu takes any --- */

typedef struct CpuDefinition {
    char *name;
    char *type_name;
    GArray *unavailable; /* char *; none, but QEMU always has the list */
    bool is_static;
    bool migration_safe;
    bool deprecated;
} CpuDefinition;

static const OptMember feature_item = { .type = OPT_STR };
static const OptMember definition_members[] = {
    { "name", OPT_STR, offsetof(CpuDefinition, name), .required = true },
    { "typename", OPT_STR, offsetof(CpuDefinition, type_name), .required = true },
    { "unavailable-features", OPT_LIST, offsetof(CpuDefinition, unavailable), .required = true,
      .item = &feature_item },
    { "static", OPT_BOOL, offsetof(CpuDefinition, is_static), .required = true },
    { "migration-safe", OPT_BOOL, offsetof(CpuDefinition, migration_safe), .required = true },
    { "deprecated", OPT_BOOL, offsetof(CpuDefinition, deprecated), .required = true },
    { 0 },
};
static const OptTable definition_table = { "CpuDefinitionInfo", sizeof(CpuDefinition),
                                           definition_members };
static const OptMember definition_item = { .type = OPT_STRUCT, .table = &definition_table };
static const OptMember definitions_result = { .type = OPT_LIST, .item = &definition_item };

static bool query_cpu_definitions(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                  GError **error)
{
    CpuDefinition *max = g_new0(CpuDefinition, 1);
    GArray *list = g_array_new(FALSE, FALSE, sizeof(CpuDefinition *));

    max->name = g_strdup("max");
#if defined(__aarch64__)
    max->type_name = g_strdup("max-arm-cpu");
#else
    max->type_name = g_strdup("max-x86_64-cpu");
#endif
    max->unavailable = g_array_new(FALSE, FALSE, sizeof(char *));
    g_array_append_val(list, max);
    *(GArray **)ret = list;
    return true;
}

void qmp_guest_register(System *s)
{
    static const QmpCommand commands[] = {
        { "system_reset", .run = system_reset },
        { "system_powerdown", .run = system_powerdown },
        { "send-key", &key_args, .run = send_key },
        { "query-uuid", NULL, &uuid_result, query_uuid },
        { "query-current-machine", NULL, &params_result, query_current_machine },
        { "query-cpu-definitions", NULL, &definitions_result, query_cpu_definitions },
        { 0 },
    };
    static const HmpCommand hmp[] = {
        { "uuid", "show the current VM UUID", info_uuid },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
    qmp_register_events(s->qmp, events);
    qmp_register_hmp(s->qmp, hmp, s);
}
