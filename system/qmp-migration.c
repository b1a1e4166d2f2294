/*
 * QMP: migration, system/migration.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-commands.h"

/* --- capabilities: events can be asked for --- */

static const char *const capability_names[] = { "events", NULL };
static const OptEnum capability_enum = { "MigrationCapability", capability_names };

typedef struct CapabilityStatus {
    int capability;
    bool state;
} CapabilityStatus;

static const OptMember capability_members[] = {
    { "capability", OPT_ENUM, offsetof(CapabilityStatus, capability), .required = true,
      .values = &capability_enum },
    { "state", OPT_BOOL, offsetof(CapabilityStatus, state), .required = true },
    { 0 },
};
static const OptTable capability_table = { "MigrationCapabilityStatus", sizeof(CapabilityStatus),
                                           capability_members };
static const OptMember capability_item = { .type = OPT_STRUCT, .table = &capability_table };
static const OptMember capabilities_result = { .type = OPT_LIST, .item = &capability_item };

typedef struct CapabilitiesArgs {
    GArray *capabilities; /* CapabilityStatus * */
} CapabilitiesArgs;

static const OptMember capabilities_members[] = {
    { "capabilities", OPT_LIST, offsetof(CapabilitiesArgs, capabilities), .required = true,
      .item = &capability_item },
    { 0 },
};
static const OptTable capabilities_args = { "migrate-set-capabilities", sizeof(CapabilitiesArgs),
                                            capabilities_members };

static bool query_migrate_capabilities(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                       GError **error)
{
    CapabilityStatus *status = g_new0(CapabilityStatus, 1);
    GArray *list = g_array_new(FALSE, FALSE, sizeof(CapabilityStatus *));

    status->state = ((const System *)opaque)->migrate_events;
    g_array_append_val(list, status);
    *(GArray **)ret = list;
    return true;
}

static bool migrate_set_capabilities(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                     GError **error)
{
    const GArray *list = ((const CapabilitiesArgs *)args)->capabilities;

    for (guint i = 0; i < list->len; i++) {
        ((System *)opaque)->migrate_events = g_array_index(list, CapabilityStatus *, i)->state;
    }
    return true;
}

/* --- parameters: most are remembered only, for callers that set them before they migrate --- */

#define PARAMETER(name, field) \
    { name, OPT_UINT64, offsetof(MigrationParameters, field), \
      offsetof(MigrationParameters, has_##field) }

static const OptMember parameter_members[] = {
    PARAMETER("announce-initial", announce_initial),
    PARAMETER("announce-max", announce_max),
    PARAMETER("announce-rounds", announce_rounds),
    PARAMETER("announce-step", announce_step),
    PARAMETER("max-bandwidth", max_bandwidth),
    PARAMETER("downtime-limit", downtime_limit),
    { "local", OPT_BOOL, offsetof(MigrationParameters, local),
      offsetof(MigrationParameters, has_local) },
    { 0 },
};

/* What QEMU takes of these, in its words: a step of 0 is refused, too. */
static const struct {
    const char *name; /* of a member */
    const char *shown;
    uint64_t min, max;
} parameter_limits[] = {
    { "announce-initial", "announce_initial", 0, 100000 },
    { "announce-max", "announce_max", 0, 100000 },
    { "announce-rounds", "announce_rounds", 0, 1000 },
    { "announce-step", "announce_step", 1, 10000 },
};
static const OptTable set_parameters_args = { "migrate-set-parameters",
                                              sizeof(MigrationParameters), parameter_members };
static const OptTable parameters_table = { "MigrationParameters", sizeof(MigrationParameters),
                                           parameter_members };
static const OptMember parameters_result = { .type = OPT_STRUCT, .table = &parameters_table };

static bool *parameter_given(const OptMember *m, const MigrationParameters *p)
{
    return (bool *)(void *)((char *)p + m->has_offset);
}

static uint64_t *parameter_value(const OptMember *m, const MigrationParameters *p)
{
    return (uint64_t *)(void *)((char *)p + m->offset);
}

static bool parameter_is_fine(const OptMember *m, uint64_t value, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(parameter_limits); i++) {
        if (g_str_equal(parameter_limits[i].name, m->name) &&
            (value < parameter_limits[i].min || value > parameter_limits[i].max)) {
            return system_set_error(error, "Parameter '%s' expects a value between 0 and %"
                                    G_GUINT64_FORMAT, parameter_limits[i].shown,
                                    parameter_limits[i].max);
        }
    }
    return true;
}

/* All of them, or none. */
static bool migrate_set_parameters(void *opaque, QmpMonitor *mon, const void *args, void *ret,
                                   GError **error)
{
    MigrationParameters now = ((System *)opaque)->migration.parameters;
    const MigrationParameters *set = args;

    for (const OptMember *m = parameter_members; m->name; m++) {
        if (m->type != OPT_UINT64 || !*parameter_given(m, set)) {
            continue;
        }
        if (!parameter_is_fine(m, *parameter_value(m, set), error)) {
            return false;
        }
        *parameter_value(m, &now) = *parameter_value(m, set);
    }
    if (set->has_local) {
        now.local = set->local;
    }
    ((System *)opaque)->migration.parameters = now;
    return true;
}

static bool query_migrate_parameters(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                     GError **error)
{
    *(MigrationParameters **)ret = g_memdup2(&((const System *)opaque)->migration.parameters,
                                             sizeof(MigrationParameters));
    return true;
}

/* --- query-migrate, MIGRATION --- */

static const char *const status_names[] = {
    [MIGRATION_NONE] = "none",
    [MIGRATION_SETUP] = "setup",
    [MIGRATION_CANCELLING] = "cancelling",
    [MIGRATION_CANCELLED] = "cancelled",
    [MIGRATION_ACTIVE] = "active",
    [MIGRATION_COMPLETED] = "completed",
    [MIGRATION_FAILED] = "failed",
    NULL
};
static const OptEnum status_enum = { "MigrationStatus", status_names };

/* What libvirt wants to see of one that is under way. */
typedef struct MigrationStats {
    uint64_t transferred;
    uint64_t remaining;
    uint64_t total;
} MigrationStats;

static const OptMember stats_members[] = {
    { "transferred", OPT_UINT64, offsetof(MigrationStats, transferred), .required = true },
    { "remaining", OPT_UINT64, offsetof(MigrationStats, remaining), .required = true },
    { "total", OPT_UINT64, offsetof(MigrationStats, total), .required = true },
    { 0 },
};
static const OptTable stats_table = { "MigrationStats", sizeof(MigrationStats), stats_members };

typedef struct MigrationInfo {
    int status;
    bool has_status;
    char *error_desc;
    uint64_t total_time;
    bool has_total_time;
    uint64_t downtime;
    bool has_downtime;
    MigrationStats *ram;
} MigrationInfo;

static const OptMember migration_members[] = {
    { "status", OPT_ENUM, offsetof(MigrationInfo, status), offsetof(MigrationInfo, has_status),
      .values = &status_enum },
    { "ram", OPT_STRUCT, offsetof(MigrationInfo, ram), .table = &stats_table },
    { "total-time", OPT_UINT64, offsetof(MigrationInfo, total_time),
      offsetof(MigrationInfo, has_total_time) },
    { "downtime", OPT_UINT64, offsetof(MigrationInfo, downtime),
      offsetof(MigrationInfo, has_downtime) },
    { "error-desc", OPT_STR, offsetof(MigrationInfo, error_desc) },
    { 0 },
};
static const OptTable migration_table = { "MigrationInfo", sizeof(MigrationInfo),
                                          migration_members };
static const OptMember migration_result = { .type = OPT_STRUCT, .table = &migration_table };

static bool query_migrate(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const System *s = opaque;
    const Migration *mig = &s->migration;
    MigrationInfo *info = g_new0(MigrationInfo, 1);

    info->status = (int)mig->status;
    info->has_status = mig->status != MIGRATION_NONE;
    info->error_desc = g_strdup(mig->error);
    if (!mig->incoming && info->has_status) {
        gint64 until = mig->ended_us ? mig->ended_us : g_get_monotonic_time();

        info->total_time = (uint64_t)(until - mig->began_us) / 1000;
        info->has_total_time = true;
        info->downtime = info->total_time; /* the guest stands still all the time */
        info->has_downtime = mig->status == MIGRATION_COMPLETED;
        info->ram = g_new0(MigrationStats, 1);
        info->ram->transferred = mig->bytes;
        info->ram->total = s->board ? s->board->ram_size : 0;
    }
    *(MigrationInfo **)ret = info;
    return true;
}

typedef struct MigrationData {
    int status;
} MigrationData;

static const OptMember data_members[] = {
    { "status", OPT_ENUM, offsetof(MigrationData, status), .required = true,
      .values = &status_enum },
    { 0 },
};
static const OptTable data_table = { "MIGRATION", sizeof(MigrationData), data_members };
static const QmpEvent events[] = {
    { "MIGRATION", &data_table },
    { 0 },
};

void qmp_event_migration(System *s)
{
    if (s->migrate_events) {
        qmp_event_send(s->qmp, &events[0],
                       &(MigrationData){ .status = (int)s->migration.status });
    }
}

/* --- commands --- */

typedef struct MigrateArgs {
    char *uri;
    bool blk;
    bool inc;
    bool detach;
    bool resume;
} MigrateArgs;

static const OptMember migrate_members[] = {
    { "uri", OPT_STR, offsetof(MigrateArgs, uri), .required = true },
    { "blk", OPT_BOOL, offsetof(MigrateArgs, blk) },
    { "inc", OPT_BOOL, offsetof(MigrateArgs, inc) },
    { "detach", OPT_BOOL, offsetof(MigrateArgs, detach) },
    { "resume", OPT_BOOL, offsetof(MigrateArgs, resume) },
    { 0 },
};
static const OptTable migrate_args = { "migrate", sizeof(MigrateArgs), migrate_members };

static bool qmp_migrate(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const MigrateArgs *a = args;

    if (a->blk || a->inc) {
        return system_set_error(error, "QEMU compiled without old-style (blk/-b, inc/-i) block "
                                "migration");
    }
    if (a->resume) {
        return system_set_error(error, "Cannot resume if there is no paused migration");
    }
    return migration_out(opaque, a->uri, qmp_monitor_take_fd, m, error);
}

typedef struct IncomingArgs {
    char *uri;
} IncomingArgs;

static const OptMember incoming_members[] = {
    { "uri", OPT_STR, offsetof(IncomingArgs, uri), .required = true },
    { 0 },
};
static const OptTable incoming_args = { "migrate-incoming", sizeof(IncomingArgs),
                                        incoming_members };

static bool qmp_migrate_incoming(void *opaque, QmpMonitor *m, const void *args, void *ret,
                                 GError **error)
{
    return migration_in(opaque, ((const IncomingArgs *)args)->uri, qmp_monitor_take_fd, m, error);
}

static bool qmp_migrate_cancel(void *opaque, QmpMonitor *m, const void *args, void *ret,
                               GError **error)
{
    migration_cancel(opaque);
    return true;
}

static void info_migrate(void *opaque, GString *out)
{
    const Migration *m = &((const System *)opaque)->migration;

    if (m->status != MIGRATION_NONE) {
        g_string_append_printf(out, "Migration status: %s", status_names[m->status]);
        if (m->error) {
            g_string_append_printf(out, " (%s)", m->error);
        }
        g_string_append(out, "\r\n");
    }
}

void qmp_migration_register(System *s)
{
    static const QmpCommand commands[] = {
        { "migrate", &migrate_args, .run = qmp_migrate },
        { "migrate-incoming", &incoming_args, .run = qmp_migrate_incoming },
        { "migrate_cancel", .run = qmp_migrate_cancel },
        { "query-migrate", NULL, &migration_result, query_migrate },
        { "query-migrate-capabilities", NULL, &capabilities_result, query_migrate_capabilities },
        { "migrate-set-capabilities", &capabilities_args, .run = migrate_set_capabilities },
        { "migrate-set-parameters", &set_parameters_args, .run = migrate_set_parameters },
        { "query-migrate-parameters", NULL, &parameters_result, query_migrate_parameters },
        { 0 },
    };
    static const HmpCommand hmp[] = {
        { "migrate", "show migration status", info_migrate },
        { 0 },
    };

    s->migration.parameters = (MigrationParameters){ /* QEMU's */
        .announce_initial = 50,
        .has_announce_initial = true,
        .announce_max = 550,
        .has_announce_max = true,
        .announce_rounds = 5,
        .has_announce_rounds = true,
        .announce_step = 100,
        .has_announce_step = true,
        .max_bandwidth = 128u << 20,
        .has_max_bandwidth = true,
        .downtime_limit = 300,
        .has_downtime_limit = true,
        .has_local = true,
    };
    qmp_register(s->qmp, commands, s);
    qmp_register_events(s->qmp, events);
    qmp_register_hmp(s->qmp, hmp, s);
}
