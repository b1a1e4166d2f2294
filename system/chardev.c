/*
 * -chardev: sockets by which clients of monitors, and the guests of devices, come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/socket-address.h"

#define MAX_CHARDEVS 1024u

static const OptMember socket_members[] = {
    { "id", OPT_STR, offsetof(SocketConfig, id), .required = true,
      .help = "name, for -mon and for chardev= of a device" },
    { "path", OPT_STR, offsetof(SocketConfig, path), .help = "of the unix socket" },
    { "fd", OPT_STR, offsetof(SocketConfig, fd),
      .help = "instead of path: an inherited descriptor of a socket, with server one to listen at, "
              "else connected" },
    { "host", OPT_STR, offsetof(SocketConfig, host),
      .help = "instead of path, with server, for a monitor: an address to listen at; absent: all" },
    { "port", OPT_STR, offsetof(SocketConfig, port), .help = "of TCP, on host" },
    { "ipv4", OPT_BOOL, offsetof(SocketConfig, ipv4), offsetof(SocketConfig, has_ipv4),
      .help = "host may be one of IPv4, or not" },
    { "ipv6", OPT_BOOL, offsetof(SocketConfig, ipv6), offsetof(SocketConfig, has_ipv6),
      .help = "or of IPv6" },
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
const OptTable socket_options = { "socket", sizeof(SocketConfig), socket_members };

/* -chardev pty and null: for devices that are only accepted. */
typedef struct IdleConfig {
    char *id;
} IdleConfig;

static const OptMember idle_members[] = {
    { "id", OPT_STR, offsetof(IdleConfig, id), .required = true, .help = "name" },
    { "logfile", OPT_STR, .ignored = true },
    { "logappend", OPT_BOOL, .ignored = true },
    { "mux", OPT_BOOL, .ignored = true },
    { 0 },
};
static const OptTable idle_options = { "idle", sizeof(IdleConfig), idle_members };

char *chardev_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "backend");

    if (topic && topic[0] == '\0') {
        return g_strdup("Available chardev backend types:\nnull\npty\nsocket\n");
    }
    return g_strcmp0(topic, "socket") == 0 ? opt_table_help(&socket_options) : NULL;
}

void chardev_object_free(gpointer opaque)
{
    ChardevObject *o = opaque;

    chardev_free(o->chardev);
    fd_close(&o->fd);
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

    if (config->host && !config->port) {
        return system_set_error(error, "chardev: socket: no port given");
    }
    if ((config->path != NULL) + (config->fd != NULL) + (config->port != NULL) != 1) {
        return system_set_error(error, "one of path=, fd= and port= must be given");
    }
    if (config->port && !config->server) {
        return system_set_error(error, "port= is only for server=on");
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

static Chardev *socket_open_inet(const SocketConfig *config, ChardevConfig *c, GError **error)
{
    InetSocketAddress inet = {
        .host = config->host ? config->host : (char *)"",
        .port = config->port,
        .ipv4 = config->ipv4,
        .has_ipv4 = config->has_ipv4,
        .ipv6 = config->ipv6,
        .has_ipv6 = config->has_ipv6,
    };
    const SocketAddress address = { SOCKET_ADDRESS_INET, &inet };
    BoundPath none = { 0 };
    Chardev *chardev;

    c->fd = socket_address_listen(&address, &none, error);
    if (c->fd < 0) {
        return NULL;
    }
    chardev = chardev_new(c, error);
    if (!chardev) {
        fd_close(&c->fd);
    }
    return chardev;
}

/* As query-chardev shows it. Free it. */
static char *socket_filename(const SocketConfig *config)
{
    return g_strdup_printf("%s:%s%s%s%s",
                           config->path ? "unix" : config->fd ? "fd" : "tcp",
                           config->path ? config->path : config->fd ? config->fd
                           : config->host ? config->host : "",
                           config->port ? ":" : "", config->port ? config->port : "",
                           config->server ? ",server=on" : "");
}

static Chardev *socket_open(System *s, const SocketConfig *config, GError **error)
{
    ChardevConfig c = {
        .label = config->id,
        .path = config->path,
        .server = config->server,
        .wait = !config->hotplug,
        .reconnect_ms = config->has_reconnect ? config->reconnect * UINT64_C(1000)
                                              : config->reconnect_ms,
        .ended = config->ended,
        .opaque = s,
    };
    uint64_t fd = 0;

    if (!socket_check(config, error)) {
        return NULL;
    }
    if (config->fd && !opt_parse_uint(config->fd, G_MAXINT, &fd)) {
        system_set_error(error, "Unable to parse FD number %s", config->fd);
        return NULL;
    }
    c.fd = (int)fd;
    return config->port ? socket_open_inet(config, &c, error) : chardev_new(&c, error);
}

ChardevObject *chardev_find(System *s, const char *id)
{
    return system_find(s->chardevs, id);
}

/* With the id alone; NULL: it is taken, or there are too many. */
static ChardevObject *chardev_object_new(System *s, const char *id, GError **error)
{
    ChardevObject *o;

    if (chardev_find(s, id)) {
        system_set_error(error, "Duplicate ID '%s' for chardev", id);
        return NULL;
    }
    if (s->chardevs->len >= MAX_CHARDEVS) {
        system_set_error(error, "there are %u chardevs already", MAX_CHARDEVS);
        return NULL;
    }
    o = g_new0(ChardevObject, 1);
    o->id = g_strdup(id);
    o->fd = -1;
    return o;
}

static bool chardev_open_pty(ChardevObject *o, GError **error)
{
    char name[64];

    o->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (o->fd < 0 || grantpt(o->fd) != 0 || unlockpt(o->fd) != 0 ||
        ptsname_r(o->fd, name, sizeof(name)) != 0) {
        return system_set_error(error, "Failed to create PTY: %s", g_strerror(errno));
    }
    o->filename = g_strdup_printf("pty:%s", name);
    return true;
}

static bool chardev_add_idle(System *s, OptDict *args, bool pty, GError **error)
{
    IdleConfig *config = opt_config_new(&idle_options, args, OPT_PARAMETERS, error);
    ChardevObject *o = config ? chardev_object_new(s, config->id, error) : NULL;
    bool ok = o && (!pty || chardev_open_pty(o, error));

    if (ok) {
        o->filename = o->filename ? o->filename : g_strdup("null");
        g_ptr_array_add(s->chardevs, o);
    } else if (o) {
        chardev_object_free(o);
    }
    opt_config_free(&idle_options, config);
    return ok;
}

ChardevObject *chardev_new_socket(System *s, const SocketConfig *config, GError **error)
{
    ChardevObject *o = chardev_object_new(s, config->id, error);

    if (!o) {
        return NULL;
    }
    o->wait = config->server && config->wait && !config->nowait && !config->hotplug;
    o->inet = config->port != NULL;
    o->filename = socket_filename(config);
    o->chardev = socket_open(s, config, error);
    if (!o->chardev) {
        chardev_object_free(o);
        return NULL;
    }
    g_ptr_array_add(s->chardevs, o);
    return o;
}

bool chardev_option(System *s, const char *arg, GError **error)
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
    backend = opt_dict_take(args, "backend", NULL);
    if (!backend) {
        return system_set_error(error, "chardev: \"%s\" missing backend",
                                opt_dict_get(args, "id"));
    }
    if (g_str_equal(backend, "pty") || g_str_equal(backend, "null")) {
        return chardev_add_idle(s, args, backend[0] == 'p', error);
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

bool chardev_del(System *s, const char *id, GError **error)
{
    ChardevObject *o = chardev_find(s, id);

    if (!o) {
        return system_set_error(error, "Chardev '%s' not found", id);
    }
    if (o->in_use || o->wait) {
        return system_set_error(error, "Chardev '%s' is busy", id);
    }
    g_ptr_array_remove(s->chardevs, o);
    return true;
}

/* --- for devices --- */

static ChardevObject *chardev_of(System *s, const Chardev *c)
{
    for (guint i = 0; i < s->chardevs->len; i++) {
        ChardevObject *o = g_ptr_array_index(s->chardevs, i);

        if (o->chardev == c) {
            return o;
        }
    }
    g_assert_not_reached();
}

static void *chardev_backend_find(void *opaque, const char *id)
{
    ChardevObject *o = chardev_find(opaque, id);

    return o && !o->inet ? o->chardev : NULL;
}

static bool chardev_backend_claim(void *opaque, void *backend)
{
    ChardevObject *o = chardev_of(opaque, backend);

    if (o->in_use) {
        return false;
    }
    o->in_use = true;
    return true;
}

static void chardev_backend_release(void *opaque, void *backend)
{
    chardev_set_handler(backend, NULL, NULL);
    chardev_of(opaque, backend)->in_use = false;
}

const DeviceBackendKind chardev_backend = {
    .property = "chardev",
    .find = chardev_backend_find,
    .claim = chardev_backend_claim,
    .release = chardev_backend_release,
};

/* --- wait=on --- */

static ChardevObject *chardev_to_wait_for(System *s)
{
    for (guint i = 0; i < s->chardevs->len; i++) {
        ChardevObject *o = g_ptr_array_index(s->chardevs, i);

        if (o->wait) {
            return o;
        }
    }
    return NULL;
}

void chardev_wait(System *s)
{
    ChardevObject *o;

    while ((o = chardev_to_wait_for(s)) != NULL && s->state != RUN_SHUTDOWN) {
        if (!chardev_is_connected(o->chardev)) {
            info_report("waiting for connection on: %s", o->filename);
        }
        chardev_accept_early(o->chardev); /* its device is not there yet */
        while (!chardev_is_connected(o->chardev) && s->state != RUN_SHUTDOWN) {
            g_main_context_iteration(NULL, TRUE);
        }
        o->wait = false;
    }
}
