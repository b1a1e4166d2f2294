/*
 * -mon and -qmp: monitors on chardevs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev.h"

#include <string.h>

typedef struct MonConfig {
    char *chardev;
    char *mode;
    bool pretty;
} MonConfig;

static const OptMember mon_members[] = {
    { "chardev", OPT_STR, offsetof(MonConfig, chardev), .required = true,
      .help = "ID of the chardev" },
    { "mode", OPT_STR, offsetof(MonConfig, mode), .def = "readline",
      .help = "must be \"control\": QMP" },
    { "id", OPT_STR, .ignored = true, .help = "accepted for compatibility, no effect" },
    { "pretty", OPT_BOOL, offsetof(MonConfig, pretty), .help = "replies over several lines" },
    { 0 },
};
const OptTable mon_options = { "mon", sizeof(MonConfig), mon_members };

char *monitor_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "chardev");

    return topic ? opt_table_help(&mon_options) : NULL;
}

char *monitor_qmp_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "path");

    return topic ? g_strdup("unix:PATH[,server=on|off][,wait=on|off]: as -chardev socket with "
                            "path=PATH\n"
                            "tcp:[HOST]:PORT,server=on[,wait=on|off]: with host=HOST,port=PORT\n"
                            "chardev:ID: a chardev that was given before\n")
                 : NULL;
}

static bool monitor_attach(System *s, ChardevObject *o, bool pretty, GError **error)
{
    if (!o->chardev) {
        return system_set_error(error, "chardev \"%s\" is no socket", o->id);
    }
    if (o->in_use) {
        return system_set_error(error, "Device '%s' is in use", o->id);
    }
    o->in_use = true;
    qmp_monitor_set_pretty(qmp_monitor_new(s->qmp, o->id, o->chardev), pretty);
    return true;
}

bool monitor_option(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "chardev", error);
    MonConfig *config = args ? opt_config_new(&mon_options, args, OPT_PARAMETERS, error) : NULL;
    ChardevObject *o;
    bool ok = false;

    if (!config) {
        return false;
    }
    o = chardev_find(s, config->chardev);
    if (!g_str_equal(config->mode, "control")) {
        system_set_error(error, "Parameter 'mode' does not accept value '%s'", config->mode);
    } else if (!o) {
        system_set_error(error, "chardev \"%s\" not found", config->chardev);
    } else {
        ok = monitor_attach(s, o, config->pretty, error);
    }
    opt_config_free(&mon_options, config);
    return ok;
}

/* What -chardev socket has for "unix:PATH,..." or "tcp:[HOST]:PORT,..."; NULL: it is neither. */
static OptDict *monitor_parse_address(const char *arg, GError **error)
{
    size_t end = strcspn(arg, ",");
    const char *more = arg[end] == ',' ? arg + end + 1 : "";
    g_autofree char *text = NULL;
    const char *colon;
    OptDict *args;

    if (g_str_has_prefix(arg, "unix:")) {
        return opt_dict_parse(arg + strlen("unix:"), "path", error);
    }
    colon = g_str_has_prefix(arg, "tcp:") ? memrchr(arg + 4, ':', end - 4) : NULL;
    if (!colon || colon + 1 == arg + end) {
        system_set_error(error, "parse error: %s", arg);
        return NULL;
    }
    args = opt_dict_parse(more, NULL, error);
    if (args && colon > arg + 4) {
        text = g_strndup(arg + 4, (gsize)(colon - arg - 4));
        opt_dict_set(args, "host", text);
        g_clear_pointer(&text, g_free);
    }
    text = g_strndup(colon + 1, (gsize)(arg + end - colon - 1));
    if (args) {
        opt_dict_set(args, "port", text);
    }
    return args;
}

static bool monitor_qmp(System *s, const char *arg, bool pretty, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(OptDict) args = NULL;
    SocketConfig *config;
    ChardevObject *o;

    if (g_str_has_prefix(arg, "chardev:")) {
        text = g_strdup_printf("%s,mode=control,pretty=%s", arg + strlen("chardev:"),
                               pretty ? "on" : "off");
        return monitor_option(s, text, error);
    }
    args = monitor_parse_address(arg, error);
    if (!args) {
        return false;
    }
    text = g_strdup_printf("compat_monitor%u", s->n_qmp++);
    opt_dict_set(args, "id", text);
    config = opt_config_new(&socket_options, args, OPT_PARAMETERS, error);
    if (!config) {
        return false;
    }
    o = chardev_new_socket(s, config, error);
    opt_config_free(&socket_options, config);
    return o && monitor_attach(s, o, pretty, error);
}

bool monitor_qmp_option(System *s, const char *arg, GError **error)
{
    return monitor_qmp(s, arg, false, error);
}

bool monitor_qmp_pretty_option(System *s, const char *arg, GError **error)
{
    return monitor_qmp(s, arg, true, error);
}
