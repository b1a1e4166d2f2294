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
} MonConfig;

static const OptMember mon_members[] = {
    { "chardev", OPT_STR, offsetof(MonConfig, chardev), .required = true,
      .help = "ID of the chardev" },
    { "mode", OPT_STR, offsetof(MonConfig, mode), .def = "readline",
      .help = "must be \"control\": QMP" },
    { "id", OPT_STR, .ignored = true, .help = "accepted for compatibility, no effect" },
    { "pretty", OPT_BOOL, .ignored = true, .help = "accepted for compatibility, no effect" },
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
                            "path=PATH\nchardev:ID: a chardev that was given before\n")
                 : NULL;
}

static bool monitor_attach(System *s, ChardevObject *o, GError **error)
{
    if (!o->chardev) {
        return system_set_error(error, "chardev \"%s\" is no socket", o->id);
    }
    if (o->in_use) {
        return system_set_error(error, "Device '%s' is in use", o->id);
    }
    o->in_use = true;
    qmp_monitor_new(s->qmp, o->id, o->chardev);
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
        ok = monitor_attach(s, o, error);
    }
    opt_config_free(&mon_options, config);
    return ok;
}

bool monitor_qmp_option(System *s, const char *arg, GError **error)
{
    g_autofree char *mon = NULL;
    g_autofree char *text = NULL;
    g_autoptr(OptDict) args = NULL;
    SocketConfig *config;
    ChardevObject *o;

    if (g_str_has_prefix(arg, "chardev:")) {
        mon = g_strdup_printf("%s,mode=control", arg + strlen("chardev:"));
        return monitor_option(s, mon, error);
    }
    if (!g_str_has_prefix(arg, "unix:")) {
        return system_set_error(error, "'%.*s' is not a valid char driver", (int)strcspn(arg, ":"),
                                arg);
    }
    text = g_strdup_printf("%s,id=compat_monitor%u", arg + strlen("unix:"), s->n_qmp++);
    args = opt_dict_parse(text, "path", error);
    config = args ? opt_config_new(&socket_options, args, OPT_PARAMETERS, error) : NULL;
    if (!config) {
        return false;
    }
    o = chardev_new_socket(s, config, error);
    opt_config_free(&socket_options, config);
    return o && monitor_attach(s, o, error);
}
