/*
 * The commands that are about QMP itself: the negotiation, the lists of what there is, and the
 * descriptors that clients passed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include "qmp-internal.h"

/* What we promise to clients that look at QEMU's version. */
#define QEMU_MAJOR 10
#define QEMU_MINOR 0
#define QEMU_MICRO 0

typedef struct VersionTriple {
    int64_t major;
    int64_t minor;
    int64_t micro;
} VersionTriple;

typedef struct VersionInfo {
    VersionTriple *qemu;
    char *package;
} VersionInfo;

static const OptMember triple_members[] = {
    { "micro", OPT_INT64, offsetof(VersionTriple, micro), .required = true },
    { "minor", OPT_INT64, offsetof(VersionTriple, minor), .required = true },
    { "major", OPT_INT64, offsetof(VersionTriple, major), .required = true },
    { 0 },
};
static const OptTable triple_table = { "VersionTriple", sizeof(VersionTriple), triple_members };

static const OptMember version_members[] = {
    { "qemu", OPT_STRUCT, offsetof(VersionInfo, qemu), .required = true, .table = &triple_table },
    { "package", OPT_STR, offsetof(VersionInfo, package), .required = true },
    { 0 },
};
static const OptTable version_table = { "VersionInfo", sizeof(VersionInfo), version_members };
static const OptMember version_result = { .type = OPT_STRUCT, .table = &version_table };

typedef struct CommandInfo {
    char *name;
} CommandInfo;

static const OptMember command_members[] = {
    { "name", OPT_STR, offsetof(CommandInfo, name), .required = true },
    { 0 },
};
static const OptTable command_table = { "CommandInfo", sizeof(CommandInfo), command_members };
static const OptMember command_item = { .type = OPT_STRUCT, .table = &command_table };
static const OptMember command_result = { .type = OPT_LIST, .item = &command_item };

typedef struct FdArgs {
    char *fdname;
} FdArgs;

static const OptMember fd_members[] = {
    { "fdname", OPT_STR, offsetof(FdArgs, fdname), .required = true },
    { 0 },
};
static const OptTable fd_args = { "fdname", sizeof(FdArgs), fd_members };

typedef struct HmpLine {
    char *command_line;
} HmpLine;

static const OptMember hmp_members[] = {
    { "command-line", OPT_STR, offsetof(HmpLine, command_line), .required = true },
    { "cpu-index", OPT_UINT32, .ignored = true },
    { 0 },
};
static const OptTable hmp_args = { "human-monitor-command", sizeof(HmpLine), hmp_members };
static const OptMember hmp_result = { .type = OPT_STR };

/* The session has validated it. */
static const char *const capabilities[] = { "oob", NULL };
static const OptEnum capability = { "QMPCapability", capabilities };
static const OptMember capability_item = { .type = OPT_ENUM, .values = &capability };
static const OptMember capabilities_members[] = {
    { "enable", OPT_LIST, .ignored = true, .item = &capability_item },
    { 0 },
};
static const OptTable capabilities_args = { "qmp_capabilities", 1, capabilities_members };

static VersionInfo *version_info(const Qmp *q)
{
    VersionInfo *info = g_new0(VersionInfo, 1);

    info->qemu = g_new0(VersionTriple, 1);
    *info->qemu = (VersionTriple){ QEMU_MAJOR, QEMU_MINOR, QEMU_MICRO };
    info->package = g_strdup_printf("ringtap %s", q->version);
    return info;
}

struct json_object *qmp_version_json(const Qmp *q)
{
    void *info = version_info(q);
    struct json_object *json = opt_value_to_json(&version_result, &info);

    opt_value_clear(&version_result, &info);
    return json;
}

static bool query_version(void *opaque, QmpMonitor *m, const void *args, void *ret,
                          GError **error)
{
    *(VersionInfo **)ret = version_info(opaque);
    return true;
}

static bool query_commands(void *opaque, QmpMonitor *m, const void *args, void *ret,
                           GError **error)
{
    const Qmp *q = opaque;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(CommandInfo *));

    for (guint i = 0; i < q->commands->len; i++) {
        const QmpCommand *c = g_array_index(q->commands, QmpEntry, i).row;
        CommandInfo *info = g_new0(CommandInfo, 1);

        info->name = g_strdup(c->name);
        g_array_append_val(list, info);
    }
    *(GArray **)ret = list;
    return true;
}

static bool query_schema(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    *(GArray **)ret = qmp_schema(opaque);
    return true;
}

static bool run_capabilities(void *opaque, QmpMonitor *m, const void *args, void *ret,
                             GError **error)
{
    return true;
}

static bool run_getfd(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    return qmp_monitor_name_fd(m, ((const FdArgs *)args)->fdname, error);
}

static bool run_closefd(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const char *name = ((const FdArgs *)args)->fdname;

    if (!g_hash_table_remove(m->named_fds, name)) {
        qmp_set_error(error, QMP_ERROR_GENERIC, "File descriptor named '%s' not found", name);
        return false;
    }
    return true;
}

static bool run_hmp(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    *(char **)ret = hmp_run(m, ((const HmpLine *)args)->command_line);
    return true;
}

static void hmp_version(void *opaque, GString *out)
{
    g_string_append_printf(out, "ringtap %s\r\n", ((const Qmp *)opaque)->version);
}

void qmp_register_own(Qmp *q)
{
    static const QmpCommand commands[] = {
        { "qmp_capabilities", &capabilities_args, .run = run_capabilities },
        { "query-version", NULL, &version_result, query_version },
        { "query-commands", NULL, &command_result, query_commands },
        { "query-qmp-schema", NULL, &qmp_schema_result, query_schema },
        { "getfd", &fd_args, .run = run_getfd },
        { "closefd", &fd_args, .run = run_closefd },
        { "human-monitor-command", &hmp_args, &hmp_result, run_hmp },
        { 0 },
    };
    static const HmpCommand hmp[] = {
        { "version", "show the version", hmp_version },
        { 0 },
    };

    qmp_register(q, commands, q);
    qmp_register_hmp(q, hmp, q);
}
