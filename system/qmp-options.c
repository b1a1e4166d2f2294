/*
 * QMP: query-command-line-options, from the tables of the options that have one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev.h"

#include "qmp-commands.h"
#include "fd-sets.h"
#include "firmware.h"
#include "settings.h"

/* By the names of QEMU's lists, which are those of the options but for -m, -smp and -boot. */
static const struct {
    const char *name;
    const OptTable *table; /* NULL: what it takes depends on a type, and is in the schema */
} lists[] = {
    { "add-fd", &add_fd_options },  { "boot-opts", &boot_options },
    { "chardev", &socket_options }, { "device", NULL },
    { "machine", &xenpv_options },  { "memory", &memory_options },
    { "mon", &mon_options },        { "msg", &msg_options },
    { "name", &name_options },      { "netdev", NULL },
    { "object", NULL },             { "smp-opts", &smp_options },
};

typedef struct ListArgs {
    char *option;
} ListArgs;

static const OptMember args_members[] = {
    { "option", OPT_STR, offsetof(ListArgs, option) },
    { 0 },
};
static const OptTable args_table = { "query-command-line-options", sizeof(ListArgs),
                                     args_members };

enum { TYPE_STRING, TYPE_BOOLEAN, TYPE_NUMBER, TYPE_SIZE };
static const char *const types[] = { "string", "boolean", "number", "size", NULL };
static const OptEnum type_enum = { "CommandLineParameterType", types };

typedef struct ParameterInfo {
    char *name;
    int type;
    char *help;
    char *def;
} ParameterInfo;

static const OptMember parameter_members[] = {
    { "name", OPT_STR, offsetof(ParameterInfo, name), .required = true },
    { "type", OPT_ENUM, offsetof(ParameterInfo, type), .required = true, .values = &type_enum },
    { "help", OPT_STR, offsetof(ParameterInfo, help) },
    { "default", OPT_STR, offsetof(ParameterInfo, def) },
    { 0 },
};
static const OptTable parameter_table = { "CommandLineParameterInfo", sizeof(ParameterInfo),
                                          parameter_members };
static const OptMember parameter_item = { .type = OPT_STRUCT, .table = &parameter_table };

typedef struct OptionInfo {
    char *option;
    GArray *parameters;
} OptionInfo;

static const OptMember option_members[] = {
    { "option", OPT_STR, offsetof(OptionInfo, option), .required = true },
    { "parameters", OPT_LIST, offsetof(OptionInfo, parameters), .required = true,
      .item = &parameter_item },
    { 0 },
};
static const OptTable option_table = { "CommandLineOptionInfo", sizeof(OptionInfo),
                                       option_members };
static const OptMember option_item = { .type = OPT_STRUCT, .table = &option_table };
static const OptMember options_result = { .type = OPT_LIST, .item = &option_item };

static int parameter_type(const OptMember *m)
{
    switch (m->type) {
    case OPT_BOOL:
    case OPT_ON_OFF_AUTO:
        return TYPE_BOOLEAN;
    case OPT_UINT16:
    case OPT_UINT32:
    case OPT_INT32:
    case OPT_UINT64:
    case OPT_INT64:
        return TYPE_NUMBER;
    case OPT_SIZE:
        return TYPE_SIZE;
    default:
        return TYPE_STRING;
    }
}

static OptionInfo *option_info(const char *name, const OptTable *table)
{
    OptionInfo *info = g_new0(OptionInfo, 1);

    info->option = g_strdup(name);
    info->parameters = g_array_new(FALSE, FALSE, sizeof(ParameterInfo *));
    for (const OptMember *m = table ? table->members : NULL; m && m->name; m++) {
        ParameterInfo *p = g_new0(ParameterInfo, 1);

        p->name = g_strdup(m->name);
        p->type = parameter_type(m);
        p->help = g_strdup(m->help);
        p->def = g_strdup(m->def);
        g_array_append_val(info->parameters, p);
    }
    return info;
}

static bool query_options(void *opaque, QmpMonitor *m, const void *args, void *ret, GError **error)
{
    const char *wanted = ((const ListArgs *)args)->option;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(OptionInfo *));

    *(GArray **)ret = list;
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        if (!wanted || g_str_equal(wanted, lists[i].name)) {
            OptionInfo *info = option_info(lists[i].name, lists[i].table);

            g_array_append_val(list, info);
        }
    }
    return !wanted || list->len > 0 ||
           system_set_error(error, "invalid option name: %s", wanted);
}

void qmp_options_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-command-line-options", &args_table, &options_result, query_options },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
