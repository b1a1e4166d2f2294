/*
 * QMP: the state of the program, and what it pretends of a machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

static const char *const run_state_names[] = {
    [RUN_PRELAUNCH] = "prelaunch",
    [RUN_RUNNING] = "running",
    [RUN_PAUSED] = "paused",
    [RUN_INMIGRATE] = "inmigrate",
    [RUN_FINISH_MIGRATE] = "finish-migrate",
    [RUN_POSTMIGRATE] = "postmigrate",
    [RUN_SHUTDOWN] = "shutdown",
    NULL
};
static const OptEnum run_state_enum = { "RunState", run_state_names };

typedef struct StatusInfo {
    int status;
    bool running;
} StatusInfo;

static const OptMember status_members[] = {
    { "status", OPT_ENUM, offsetof(StatusInfo, status), .required = true,
      .values = &run_state_enum },
    { "running", OPT_BOOL, offsetof(StatusInfo, running), .required = true },
    { 0 },
};
static const OptTable status_table = { "StatusInfo", sizeof(StatusInfo), status_members };
static const OptMember status_result = { .type = OPT_STRUCT, .table = &status_table };

typedef struct NameInfo {
    char *name;
} NameInfo;

static const OptMember name_members[] = {
    { "name", OPT_STR, offsetof(NameInfo, name) },
    { 0 },
};
static const OptTable name_table = { "NameInfo", sizeof(NameInfo), name_members };
static const OptMember name_result = { .type = OPT_STRUCT, .table = &name_table };

static const char *const arch_names[] = { "aarch64", "x86_64", NULL };
static const OptEnum arch_enum = { "SysEmuTarget", arch_names };

typedef struct TargetInfo {
    int arch;
} TargetInfo;

static const OptMember target_members[] = {
    { "arch", OPT_ENUM, offsetof(TargetInfo, arch), .required = true, .values = &arch_enum },
    { 0 },
};
static const OptTable target_table = { "TargetInfo", sizeof(TargetInfo), target_members };
static const OptMember target_result = { .type = OPT_STRUCT, .table = &target_table };

typedef struct KvmInfo {
    bool enabled;
    bool present;
} KvmInfo;

static const OptMember kvm_members[] = {
    { "enabled", OPT_BOOL, offsetof(KvmInfo, enabled), .required = true },
    { "present", OPT_BOOL, offsetof(KvmInfo, present), .required = true },
    { 0 },
};
static const OptTable kvm_table = { "KvmInfo", sizeof(KvmInfo), kvm_members };
static const OptMember kvm_result = { .type = OPT_STRUCT, .table = &kvm_table };

#define MACHINE_MAX_CPUS 255 /* as many as a caller may ask for: there is none in any case */

typedef struct MachineInfo {
    char *name;
    char *alias;
    bool is_default;
    int64_t cpu_max;
    bool hotpluggable_cpus;
    bool numa_mem_supported;
    bool deprecated;
    bool acpi;
} MachineInfo;

/* Exactly the members of QEMU 10's schema: strict clients abort at another one. */
static const OptMember machine_members[] = {
    { "name", OPT_STR, offsetof(MachineInfo, name), .required = true },
    { "alias", OPT_STR, offsetof(MachineInfo, alias) },
    { "is-default", OPT_BOOL, offsetof(MachineInfo, is_default) },
    { "cpu-max", OPT_INT64, offsetof(MachineInfo, cpu_max), .required = true },
    { "hotpluggable-cpus", OPT_BOOL, offsetof(MachineInfo, hotpluggable_cpus), .required = true },
    { "numa-mem-supported", OPT_BOOL, offsetof(MachineInfo, numa_mem_supported),
      .required = true },
    { "deprecated", OPT_BOOL, offsetof(MachineInfo, deprecated), .required = true },
    { "acpi", OPT_BOOL, offsetof(MachineInfo, acpi), .required = true },
    { 0 },
};
static const OptTable machine_table = { "MachineInfo", sizeof(MachineInfo), machine_members };
static const OptMember machine_item = { .type = OPT_STRUCT, .table = &machine_table };
static const OptMember machine_result = { .type = OPT_LIST, .item = &machine_item };

typedef struct ShutdownData {
    bool guest;
    char *reason;
} ShutdownData;

static const OptMember shutdown_members[] = {
    { "guest", OPT_BOOL, offsetof(ShutdownData, guest), .required = true },
    { "reason", OPT_STR, offsetof(ShutdownData, reason), .required = true },
    { 0 },
};
static const OptTable shutdown_data = { "SHUTDOWN", sizeof(ShutdownData), shutdown_members };

enum { EVENT_SHUTDOWN, EVENT_STOP, EVENT_RESUME };
static const QmpEvent events[] = {
    [EVENT_SHUTDOWN] = { "SHUTDOWN", &shutdown_data },
    [EVENT_STOP] = { "STOP", NULL },
    [EVENT_RESUME] = { "RESUME", NULL },
    { 0 },
};

void qmp_event_shutdown(System *s, const char *reason)
{
    qmp_event_send(s->qmp, &events[EVENT_SHUTDOWN],
                   &(ShutdownData){ .guest = g_str_has_prefix(reason, "guest-"),
                                    .reason = (char *)reason });
}

void qmp_event_stop(System *s)
{
    qmp_event_send(s->qmp, &events[EVENT_STOP], NULL);
}

void qmp_event_resume(System *s)
{
    qmp_event_send(s->qmp, &events[EVENT_RESUME], NULL);
}

static bool query_status(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const System *s = opaque;
    StatusInfo *info = g_new0(StatusInfo, 1);

    info->status = (int)s->state;
    info->running = s->state == RUN_RUNNING;
    *(StatusInfo **)ret = info;
    return true;
}

static bool query_name(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    NameInfo *info = g_new0(NameInfo, 1);

    info->name = g_strdup(((const System *)opaque)->guest_name);
    *(NameInfo **)ret = info;
    return true;
}

/* There is no CPU; callers compare this with the guest's architecture. */
static bool query_target(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    TargetInfo *info = g_new0(TargetInfo, 1);

#if defined(__aarch64__)
    info->arch = 0;
#else
    info->arch = 1;
#endif
    *(TargetInfo **)ret = info;
    return true;
}

static bool query_kvm(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    *(KvmInfo **)ret = g_new0(KvmInfo, 1);
    return true;
}

static bool query_machines(void *opaque, QmpMonitor *m, const void *args, void *ret,
                           GError **error)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(MachineInfo *));

    for (const MachineType *type = machine_types(); type->name; type++) {
        MachineInfo *info = g_new0(MachineInfo, 1);

        info->name = g_strdup(type->name);
        info->alias = g_strdup(type->alias);
        info->is_default = type == machine_types();
        info->cpu_max = type->has_pci || type->has_mmio ? MACHINE_MAX_CPUS : 1;
        info->acpi = type->has_pci;
        g_array_append_val(list, info);
    }
    *(GArray **)ret = list;
    return true;
}

static bool qmp_stop(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    run_stop(opaque);
    return true;
}

static bool qmp_cont(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const System *s = opaque;

    if (s->state == RUN_FINISH_MIGRATE) {
        return system_set_error(error, "Migration is not finalized yet");
    }
    run_cont(opaque);
    return true;
}

static bool qmp_quit(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    run_shutdown(opaque, "host-qmp-quit");
    return true;
}

static void info_status(void *opaque, GString *out)
{
    const System *s = opaque;

    if (s->state == RUN_RUNNING) {
        g_string_append(out, "VM status: running\r\n");
    } else if (s->state == RUN_PAUSED) {
        g_string_append(out, "VM status: paused\r\n");
    } else {
        g_string_append_printf(out, "VM status: paused (%s)\r\n", run_state_names[s->state]);
    }
}

static void info_name(void *opaque, GString *out)
{
    const System *s = opaque;

    if (s->guest_name) {
        g_string_append_printf(out, "%s\r\n", s->guest_name);
    }
}

void qmp_state_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-status", NULL, &status_result, query_status },
        { "query-name", NULL, &name_result, query_name },
        { "query-target", NULL, &target_result, query_target },
        { "query-kvm", NULL, &kvm_result, query_kvm },
        { "query-machines", NULL, &machine_result, query_machines },
        { "stop", .run = qmp_stop },
        { "cont", .run = qmp_cont },
        { "quit", .run = qmp_quit },
        { 0 },
    };
    static const HmpCommand hmp[] = {
        { "status", "show the current VM status (running|paused)", info_status },
        { "name", "show the current VM name", info_name },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
    qmp_register_events(s->qmp, events);
    qmp_register_hmp(s->qmp, hmp, s);
}
