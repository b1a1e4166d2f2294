/*
 * The index of QMP: every command, its arguments, who does it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp/qmp.h"

#include <string.h>

#include "qmp-internal.h"

typedef struct NoArgs {
    char unused;
} NoArgs;

static const OptMember no_members[] = { { 0 } };
static const OptTable no_args = { "no arguments", sizeof(NoArgs), no_members };

typedef struct StrArgs {
    char *str;
} StrArgs;

static const OptMember fdname_members[] = {
    { "fdname", OPT_STR, offsetof(StrArgs, str), .required = true },
    { 0 },
};
static const OptMember path_members[] = {
    { "path", OPT_STR, offsetof(StrArgs, str), .required = true },
    { 0 },
};
static const OptTable fdname_args = { "fdname", sizeof(StrArgs), fdname_members };
static const OptTable path_args = { "path", sizeof(StrArgs), path_members };

typedef struct LinkArgs {
    char *name;
    bool up;
} LinkArgs;

static const OptMember link_members[] = {
    { "name", OPT_STR, offsetof(LinkArgs, name), .required = true },
    { "up", OPT_BOOL, offsetof(LinkArgs, up), .required = true },
    { 0 },
};
static const OptTable link_args = { "set_link", sizeof(LinkArgs), link_members };

typedef struct HmpArgs {
    char *command_line;
} HmpArgs;

static const OptMember hmp_members[] = {
    { "command-line", OPT_STR, offsetof(HmpArgs, command_line), .required = true },
    { "cpu-index", OPT_UINT32, .ignored = true },
    { 0 },
};
static const OptTable hmp_args = { "human-monitor-command", sizeof(HmpArgs), hmp_members };

/* The session has judged it. */
static const OptMember capabilities_members[] = {
    { "enable", OPT_STR, .ignored = true },
    { 0 },
};
static const OptTable capabilities_args = { "qmp_capabilities", sizeof(NoArgs),
                                            capabilities_members };

static struct json_object *qmp_empty(bool ok)
{
    return ok ? json_object_new_object() : NULL;
}

static struct json_object *run_capabilities(QmpMonitor *m, const void *args, GError **error)
{
    return qmp_empty(true);
}

static struct json_object *run_stop(QmpMonitor *m, const void *args, GError **error)
{
    m->qmp->sys->stop(m->qmp->opaque);
    return qmp_empty(true);
}

static struct json_object *run_cont(QmpMonitor *m, const void *args, GError **error)
{
    m->qmp->sys->cont(m->qmp->opaque);
    return qmp_empty(true);
}

static struct json_object *run_quit(QmpMonitor *m, const void *args, GError **error)
{
    m->qmp->sys->quit(m->qmp->opaque);
    return qmp_empty(true);
}

static struct json_object *run_netdev_add(QmpMonitor *m, OptDict *args, GError **error)
{
    return qmp_empty(m->qmp->sys->netdev_add(m->qmp->opaque, args, m, error));
}

static struct json_object *run_device_add(QmpMonitor *m, OptDict *args, GError **error)
{
    return qmp_empty(m->qmp->sys->device_add(m->qmp->opaque, args, error));
}

static struct json_object *run_object_add(QmpMonitor *m, OptDict *args, GError **error)
{
    return qmp_empty(m->qmp->sys->object_add(m->qmp->opaque, args, error));
}

/*
 * The "id" of @args, and nothing else, is handed to @fn. No table: what does not exist is
 * "not found", also if it is no identifier.
 */
static struct json_object *run_by_id(QmpMonitor *m, OptDict *args, GError **error,
                                     bool (*fn)(void *opaque, const char *id, GError **error))
{
    g_autofree char *id = opt_dict_take(args, "id", error);
    void *rest = id ? opt_config_new(&no_args, args, OPT_PARAMETERS, error) : NULL;

    opt_config_free(&no_args, rest);
    return qmp_empty(rest && fn(m->qmp->opaque, id, error));
}

static struct json_object *run_netdev_del(QmpMonitor *m, OptDict *args, GError **error)
{
    return run_by_id(m, args, error, m->qmp->sys->netdev_del);
}

static struct json_object *run_device_del(QmpMonitor *m, OptDict *args, GError **error)
{
    return run_by_id(m, args, error, m->qmp->sys->device_del);
}

static struct json_object *run_object_del(QmpMonitor *m, OptDict *args, GError **error)
{
    return run_by_id(m, args, error, m->qmp->sys->object_del);
}

static struct json_object *run_getfd(QmpMonitor *m, const void *opaque, GError **error)
{
    const StrArgs *args = opaque;

    return qmp_empty(qmp_monitor_name_fd(m, args->str, error));
}

static struct json_object *run_closefd(QmpMonitor *m, const void *opaque, GError **error)
{
    const StrArgs *args = opaque;

    if (!g_hash_table_remove(m->named_fds, args->str)) {
        qmp_set_error(error, QMP_ERROR_GENERIC, "File descriptor named '%s' not found", args->str);
        return NULL;
    }
    return qmp_empty(true);
}

static struct json_object *run_set_link(QmpMonitor *m, const void *opaque, GError **error)
{
    const LinkArgs *args = opaque;

    return qmp_empty(m->qmp->sys->set_link(m->qmp->opaque, args->name, args->up, error));
}

static struct json_object *run_qom_list(QmpMonitor *m, const void *opaque, GError **error)
{
    const StrArgs *args = opaque;

    if (!g_str_equal(args->str, "/machine/peripheral")) {
        qmp_set_error(error, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", args->str);
        return NULL;
    }
    return qmp_list_peripherals(m);
}

static struct json_object *run_hmp(QmpMonitor *m, const void *opaque, GError **error)
{
    const HmpArgs *args = opaque;
    g_autofree char *text = hmp_run(m, args->command_line);

    return json_object_new_string(text);
}

static struct json_object *run_query_commands(QmpMonitor *m, const void *args, GError **error);

static const QmpCommand commands[] = {
    { "qmp_capabilities", &capabilities_args, run_capabilities },

    { "query-version", &no_args, qmp_query_version },
    { "query-commands", &no_args, run_query_commands },
    { "query-status", &no_args, qmp_query_status },
    { "query-name", &no_args, qmp_query_name },
    { "query-chardev", &no_args, qmp_query_chardev },
    { "query-iothreads", &no_args, qmp_query_iothreads },
    { "query-target", &no_args, qmp_query_target },
    { "query-kvm", &no_args, qmp_query_kvm },
    { "query-machines", &no_args, qmp_query_machines },
    { "query-vif", &no_args, qmp_query_vif },

    { "stop", &no_args, run_stop },
    { "cont", &no_args, run_cont },
    { "quit", &no_args, run_quit },

    { "netdev_add", .run_dict = run_netdev_add },
    { "netdev_del", .run_dict = run_netdev_del },
    { "device_add", .run_dict = run_device_add },
    { "device_del", .run_dict = run_device_del },
    { "object-add", .run_dict = run_object_add },
    { "object-del", .run_dict = run_object_del },
    { "set_link", &link_args, run_set_link },
    { "getfd", &fdname_args, run_getfd },
    { "closefd", &fdname_args, run_closefd },

    { "qom-list", &path_args, run_qom_list },
    { "human-monitor-command", &hmp_args, run_hmp },
};

static struct json_object *run_query_commands(QmpMonitor *m, const void *args, GError **error)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        struct json_object *item = json_object_new_object();

        json_object_object_add(item, "name", json_object_new_string(commands[i].name));
        json_object_array_add(list, item);
    }
    return list;
}

const QmpCommand *qmp_command_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (g_str_equal(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

struct json_object *qmp_command_run(const QmpCommand *c, QmpMonitor *m,
                                    struct json_object *arguments, GError **error)
{
    g_autoptr(OptDict) dict = opt_dict_from_json(arguments);
    struct json_object *result;
    void *args;

    if (!c->args) {
        return c->run_dict(m, dict, error);
    }
    args = opt_config_new(c->args, dict, OPT_PARAMETERS, error);
    if (!args) {
        return NULL;
    }
    result = c->run(m, args, error);
    opt_config_free(c->args, args);
    return result;
}
