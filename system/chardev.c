/*
 * -chardev socket, -mon, -qmp: unix sockets on which monitors listen, or which they
 * connect to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/bound-path.h"
#include "util/fd.h"
#include "util/log.h"

typedef struct SocketConfig {
    char *id;
    char *path;
    char *fd;
    bool server;
    bool wait;
    bool nowait;
} SocketConfig;

typedef struct Chardev {
    char *id;
    char *filename;      /* as query-chardev shows it */
    int fd;              /* listening or connected, until a monitor takes it */
    bool server;
    bool wait;
    BoundPath bound;     /* that we made */
    QmpMonitor *monitor; /* the Qmp's */
} Chardev;

static const OptMember socket_members[] = {
    { "id", OPT_STR, offsetof(SocketConfig, id), .required = true, .help = "name, for -mon" },
    { "path", OPT_STR, offsetof(SocketConfig, path), .help = "of the unix socket" },
    { "fd", OPT_STR, offsetof(SocketConfig, fd),
      .help = "instead of path: an inherited descriptor of a socket" },
    { "server", OPT_BOOL, offsetof(SocketConfig, server),
      .help = "listen at it; else connect to it" },
    { "wait", OPT_BOOL, offsetof(SocketConfig, wait), .def = "on",
      .help = "with server: start when the first client is there" },
    { "nowait", OPT_BOOL, offsetof(SocketConfig, nowait), .help = "the old way to say wait=off" },
    { "reconnect", OPT_STR, .ignored = true, .help = "accepted for compatibility, no effect" },
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

void chardev_free(gpointer opaque)
{
    Chardev *c = opaque;

    fd_close(&c->fd);
    bound_path_remove(&c->bound);
    g_free(c->filename);
    g_free(c->id);
    g_free(c);
}

static bool socket_address(const char *path, struct sockaddr_un *ret, GError **error)
{
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(ret->sun_path)) {
        return system_set_error(error, "UNIX socket path '%s' is too long\n"
                                "Path must be less than %zu bytes", path, sizeof(ret->sun_path));
    }
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return true;
}

static bool socket_connect(Chardev *c, const char *path, GError **error)
{
    struct sockaddr_un addr;

    if (!socket_address(path, &addr, error)) {
        return false;
    }
    if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return system_set_error(error, "Failed to connect to '%s': %s", path, g_strerror(errno));
    }
    return true;
}

/* A socket that nobody listens on any more is in the way of a new one. */
static void socket_remove_stale(const struct sockaddr_un *addr)
{
    AUTO_FD int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    if (probe >= 0 && stat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        connect(probe, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
        errno == ECONNREFUSED) {
        unlink(addr->sun_path);
    }
}

static bool socket_bind(Chardev *c, const char *path, GError **error)
{
    struct sockaddr_un addr;

    if (!socket_address(path, &addr, error)) {
        return false;
    }
    socket_remove_stale(&addr);
    if (bind(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return system_set_error(error, "Failed to bind socket to %s: %s", path, g_strerror(errno));
    }
    if (!bound_path_set(&c->bound, path) || listen(c->fd, 1) < 0) {
        return system_set_error(error, "Failed to listen on socket: %s", g_strerror(errno));
    }
    return true;
}

static bool socket_inherit(Chardev *c, const char *text, GError **error)
{
    uint64_t fd;
    int type;
    socklen_t len = sizeof(type);

    if (!opt_parse_uint(text, G_MAXINT, &fd)) {
        return system_set_error(error, "Unable to parse FD number %s", text);
    }
    if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        return system_set_error(error, "File descriptor '%s' is not a socket", text);
    }
    c->fd = (int)fd;
    fd_set_cloexec(c->fd, true);
    if (c->server && listen(c->fd, 1) < 0) {
        return system_set_error(error, "Failed to listen on socket: %s", g_strerror(errno));
    }
    return true;
}

static bool socket_open(Chardev *c, const SocketConfig *config, GError **error)
{
    if ((config->path != NULL) == (config->fd != NULL)) {
        return system_set_error(error, "one of path= and fd= must be given");
    }
    if (config->path && config->path[0] == '\0') {
        return system_set_error(error, "path= must not be empty");
    }
    if (config->fd) {
        return socket_inherit(c, config->fd, error);
    }
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return system_set_error(error, "Failed to create socket: %s", g_strerror(errno));
    }
    return config->server ? socket_bind(c, config->path, error)
                          : socket_connect(c, config->path, error);
}

static Chardev *chardev_find(System *s, const char *id)
{
    for (guint i = 0; i < s->chardevs->len; i++) {
        Chardev *c = g_ptr_array_index(s->chardevs, i);

        if (g_str_equal(c->id, id)) {
            return c;
        }
    }
    return NULL;
}

static Chardev *chardev_new_socket(System *s, const SocketConfig *config, GError **error)
{
    Chardev *c;

    if (chardev_find(s, config->id)) {
        system_set_error(error, "Duplicate ID '%s' for chardev", config->id);
        return NULL;
    }
    c = g_new0(Chardev, 1);
    c->fd = -1;
    c->id = g_strdup(config->id);
    c->server = config->server;
    c->wait = config->server && config->wait && !config->nowait;
    c->filename = g_strdup_printf("%s:%s%s", config->path ? "unix" : "fd",
                                  config->path ? config->path : config->fd,
                                  config->server ? ",server=on" : "");
    if (!socket_open(c, config, error)) {
        chardev_free(c);
        return NULL;
    }
    g_ptr_array_add(s->chardevs, c);
    return c;
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

static bool chardev_attach_monitor(System *s, Chardev *c, GError **error)
{
    if (c->monitor) {
        return system_set_error(error, "Device '%s' is in use", c->id);
    }
    c->monitor = qmp_monitor_new(s->qmp, c->id, c->filename);
    if (c->server) {
        qmp_monitor_listen(c->monitor, g_steal_fd(&c->fd));
    } else {
        qmp_monitor_connect(c->monitor, g_steal_fd(&c->fd));
    }
    return true;
}

bool chardev_monitor(System *s, const char *arg, GError **error)
{
    g_autoptr(OptDict) args = opt_dict_parse(arg, "chardev", error);
    MonConfig *config = args ? opt_config_new(&mon_options, args, OPT_PARAMETERS, error) : NULL;
    Chardev *c;
    bool ok = false;

    if (!config) {
        return false;
    }
    c = chardev_find(s, config->chardev);
    if (!g_str_equal(config->mode, "control")) {
        system_set_error(error, "Parameter 'mode' does not accept value '%s'", config->mode);
    } else if (!c) {
        system_set_error(error, "chardev \"%s\" not found", config->chardev);
    } else {
        ok = chardev_attach_monitor(s, c, error);
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
    Chardev *c;

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
    c = chardev_new_socket(s, config, error);
    opt_config_free(&socket_options, config);
    return c && chardev_attach_monitor(s, c, error);
}

void chardev_wait(System *s)
{
    for (guint i = 0; i < s->chardevs->len; i++) {
        const Chardev *c = g_ptr_array_index(s->chardevs, i);

        if (c->wait && c->monitor && !qmp_monitor_is_connected(c->monitor)) {
            info_report("waiting for connection on: %s", c->filename);
        }
        while (c->wait && c->monitor && !qmp_monitor_is_connected(c->monitor) &&
               s->state != RUN_SHUTDOWN) {
            g_main_context_iteration(NULL, TRUE);
        }
    }
}
