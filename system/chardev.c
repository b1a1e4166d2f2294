/*
 * -chardev socket, -mon, -qmp: unix sockets on which monitors listen, or which they
 * connect to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include <string.h>

#include "util/chardev.h"
#include "util/log.h"

typedef struct SocketConfig {
    char *id;
    char *path;
    char *fd;
    bool server;
    bool wait;
    bool has_wait;
    bool nowait;
    uint32_t reconnect;
    bool has_reconnect;
    uint32_t reconnect_ms;
    bool has_reconnect_ms;
} SocketConfig;

typedef struct ChardevObject {
    char *id;
    char *filename;      /* as query-chardev shows it */
    Chardev *chardev;
    bool wait;
    bool in_use;
} ChardevObject;

static const OptMember socket_members[] = {
    { "id", OPT_STR, offsetof(SocketConfig, id), .required = true, .help = "name, for -mon" },
    { "path", OPT_STR, offsetof(SocketConfig, path), .help = "of the unix socket" },
    { "fd", OPT_STR, offsetof(SocketConfig, fd),
      .help = "instead of path: an inherited descriptor of a socket, with server one to listen at, "
              "else connected" },
    { "server", OPT_BOOL, offsetof(SocketConfig, server),
      .help = "listen at it; else connect to it" },
    { "wait", OPT_BOOL, offsetof(SocketConfig, wait), offsetof(SocketConfig, has_wait), "on",
      .help = "with server: start when the first client is there" },
    { "nowait", OPT_BOOL, offsetof(SocketConfig, nowait), .help = "the old way to say wait=off" },
    { "reconnect", OPT_UINT32, offsetof(SocketConfig, reconnect),
      offsetof(SocketConfig, has_reconnect),
      .help = "without server: seconds until it connects again, after it failed or ended; 0 or "
              "absent: never" },
    { "reconnect-ms", OPT_UINT32, offsetof(SocketConfig, reconnect_ms),
      offsetof(SocketConfig, has_reconnect_ms), .help = "the same, in milliseconds" },
    { 0 },
};
static const OptTable socket_options = { "socket", sizeof(SocketConfig), socket_members };

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
static const OptTable mon_options = { "mon", sizeof(MonConfig), mon_members };

char *chardev_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "backend");

    if (topic && topic[0] == '\0') {
        return g_strdup("Available chardev backend types:\nsocket\n");
    }
    return g_strcmp0(topic, "socket") == 0 ? opt_table_help(&socket_options) : NULL;
}

char *monitor_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "chardev");

    return topic ? opt_table_help(&mon_options) : NULL;
}

char *qmp_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "path");

    return topic ? g_strdup("unix:PATH[,server=on|off][,wait=on|off]: as -chardev socket with "
                            "path=PATH\nchardev:ID: a chardev that was given before\n")
                 : NULL;
}

void chardev_object_free(gpointer opaque)
{
    ChardevObject *o = opaque;

    chardev_free(o->chardev);
    g_free(o->filename);
    g_free(o->id);
    g_free(o);
}

/* In QEMU's words, and in its order. */
static bool socket_check(const SocketConfig *config, GError **error)
{
    const char *reconnect = config->has_reconnect      ? "reconnect"
                            : config->has_reconnect_ms ? "reconnect-ms"
                                                       : NULL;

    if ((config->path != NULL) == (config->fd != NULL)) {
        return system_set_error(error, "one of path= and fd= must be given");
    }
    if (config->path && config->path[0] == '\0') {
        return system_set_error(error, "path= must not be empty");
    }
    if (config->fd && reconnect) {
        return system_set_error(error, "'%s' option is incompatible with 'fd' address type",
                                reconnect);
    }
    if (config->server && reconnect) {
        return system_set_error(error, "'%s' option is incompatible with socket in server listen "
                                "mode", reconnect);
    }
    if (!config->server && (config->has_wait || config->nowait)) {
        return system_set_error(error, "'wait' option is incompatible with socket in client "
                                "connect mode");
    }
    return !(config->has_reconnect && config->has_reconnect_ms) ||
           system_set_error(error, "'reconnect' and 'reconnect-ms' are mutually exclusive");
}

static bool socket_open(ChardevObject *o, const SocketConfig *config, GError **error)
{
    ChardevConfig c = {
        .label = config->id,
        .path = config->path,
        .server = config->server,
        .reconnect_ms = config->has_reconnect ? config->reconnect * UINT64_C(1000)
                                              : config->reconnect_ms,
    };
    uint64_t fd = 0;

    if (!socket_check(config, error)) {
        return false;
    }
    if (config->fd && !opt_parse_uint(config->fd, G_MAXINT, &fd)) {
        return system_set_error(error, "Unable to parse FD number %s", config->fd);
    }
    c.fd = (int)fd;
    o->chardev = chardev_new(&c, error);
    return o->chardev != NULL;
}

static ChardevObject *chardev_find(System *s, const char *id)
{
    for (guint i = 0; i < s->chardevs->len; i++) {
        ChardevObject *o = g_ptr_array_index(s->chardevs, i);

        if (g_str_equal(o->id, id)) {
            return o;
        }
    }
    return NULL;
}

static ChardevObject *chardev_new_socket(System *s, const SocketConfig *config, GError **error)
{
    ChardevObject *o;

    if (chardev_find(s, config->id)) {
        system_set_error(error, "Duplicate ID '%s' for chardev", config->id);
        return NULL;
    }
    o = g_new0(ChardevObject, 1);
    o->id = g_strdup(config->id);
    o->wait = config->server && config->wait && !config->nowait;
    o->filename = g_strdup_printf("%s:%s%s", config->path ? "unix" : "fd",
                                  config->path ? config->path : config->fd,
                                  config->server ? ",server=on" : "");
    if (!socket_open(o, config, error)) {
        chardev_object_free(o);
        return NULL;
    }
    g_ptr_array_add(s->chardevs, o);
    return o;
}

bool chardev_add(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "backend", error);
    g_autofree char *backend = NULL;
    SocketConfig *config;
    bool ok;

    if (!args) {
        return false;
    }
    if (!opt_dict_get(args, "id")) {
        return system_set_error(error, "chardev: no id specified");
    }
    backend = opt_dict_take(args, "backend", error);
    if (!backend) {
        return false;
    }
    if (!g_str_equal(backend, "socket")) {
        return system_set_error(error, "'%s' is not a valid char driver name", backend);
    }
    config = opt_config_new(&socket_options, args, OPT_PARAMETERS, error);
    if (!config) {
        return false;
    }
    ok = chardev_new_socket(s, config, error) != NULL;
    opt_config_free(&socket_options, config);
    return ok;
}

static bool chardev_attach_monitor(System *s, ChardevObject *o, GError **error)
{
    if (o->in_use) {
        return system_set_error(error, "Device '%s' is in use", o->id);
    }
    o->in_use = true;
    qmp_monitor_new(s->qmp, o->id, o->filename, o->chardev);
    return true;
}

bool chardev_monitor(System *s, const char *arg, GError **error)
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
        ok = chardev_attach_monitor(s, o, error);
    }
    opt_config_free(&mon_options, config);
    return ok;
}

bool chardev_qmp(System *s, const char *arg, GError **error)
{
    g_autofree char *mon = NULL;
    g_autofree char *text = NULL;
    g_autoptr(OptDict) args = NULL;
    SocketConfig *config;
    ChardevObject *o;

    if (g_str_has_prefix(arg, "chardev:")) {
        mon = g_strdup_printf("%s,mode=control", arg + strlen("chardev:"));
        return chardev_monitor(s, mon, error);
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
    return o && chardev_attach_monitor(s, o, error);
}

void chardev_wait(System *s)
{
    for (guint i = 0; i < s->chardevs->len; i++) {
        const ChardevObject *o = g_ptr_array_index(s->chardevs, i);

        if (o->wait && o->in_use && !chardev_is_connected(o->chardev)) {
            info_report("waiting for connection on: %s", o->filename);
        }
        while (o->wait && o->in_use && !chardev_is_connected(o->chardev) &&
               s->state != RUN_SHUTDOWN) {
            g_main_context_iteration(NULL, TRUE);
        }
    }
}
