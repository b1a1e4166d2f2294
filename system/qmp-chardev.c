/*
 * QMP: chardevs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev.h"

#include "qmp-commands.h"

#include "util/fd.h"

/* --- query-chardev --- */

typedef struct ChardevInfo {
    char *label;
    char *filename;
    bool frontend_open;
} ChardevInfo;

static const OptMember info_members[] = {
    { "frontend-open", OPT_BOOL, offsetof(ChardevInfo, frontend_open), .required = true },
    { "filename", OPT_STR, offsetof(ChardevInfo, filename), .required = true },
    { "label", OPT_STR, offsetof(ChardevInfo, label), .required = true },
    { 0 },
};
static const OptTable info_table = { "ChardevInfo", sizeof(ChardevInfo), info_members };
static const OptMember info_item = { .type = OPT_STRUCT, .table = &info_table };
static const OptMember info_result = { .type = OPT_LIST, .item = &info_item };

static bool query_chardev(void *opaque, QmpMonitor *m, const void *args, void *ret,
                          GError **error)
{
    const System *s = opaque;
    GArray *list = g_array_new(FALSE, FALSE, sizeof(ChardevInfo *));

    for (guint i = 0; i < s->chardevs->len; i++) {
        const ChardevObject *o = g_ptr_array_index(s->chardevs, i);
        bool connected = !o->chardev || chardev_is_connected(o->chardev);
        ChardevInfo *info = g_new0(ChardevInfo, 1);

        info->frontend_open = o->in_use;
        info->filename = g_strconcat(connected ? "" : "disconnected:", o->filename, NULL);
        info->label = g_strdup(o->id);
        g_array_append_val(list, info);
    }
    *(GArray **)ret = list;
    return true;
}

/* --- chardev-add: QEMU's nest of objects, of which sockets are one --- */

static const OptTable path_table = { "UnixSocketAddress", sizeof(QmpPathArgs), qmp_path_members };

typedef struct FdArgs {
    char *str;
} FdArgs;

static const OptMember fd_members[] = {
    { "str", OPT_STR, offsetof(FdArgs, str), .required = true },
    { 0 },
};
static const OptTable fd_table = { "FdSocketAddress", sizeof(FdArgs), fd_members };

/* QEMU's unions have an object around what a branch has. */
typedef struct Wrapper {
    void *data;
} Wrapper;

static const OptMember path_wrapper_members[] = {
    { "data", OPT_STRUCT, offsetof(Wrapper, data), .required = true, .table = &path_table },
    { 0 },
};
static const OptTable path_wrapper = { "UnixSocketAddressWrapper", sizeof(Wrapper),
                                       path_wrapper_members };
static const OptMember fd_wrapper_members[] = {
    { "data", OPT_STRUCT, offsetof(Wrapper, data), .required = true, .table = &fd_table },
    { 0 },
};
static const OptTable fd_wrapper = { "FdSocketAddressWrapper", sizeof(Wrapper),
                                     fd_wrapper_members };

typedef struct AddressArgs {
    int type;
    Wrapper *u;
} AddressArgs;

enum { ADDRESS_UNIX, ADDRESS_FD };
static const char *const address_types[] = { "unix", "fd", NULL };
static const OptEnum address_type = { "SocketAddressType", address_types };
static const OptMember address_members[] = {
    { "type", OPT_ENUM, offsetof(AddressArgs, type), .required = true, .values = &address_type },
    { 0 },
};
static const OptBranch address_branches[] = {
    { "unix", &path_wrapper }, { "fd", &fd_wrapper }, { 0 }
};
static const OptTable address_table = { "SocketAddressLegacy", sizeof(AddressArgs),
                                        address_members, "type", address_branches,
                                        offsetof(AddressArgs, u) };

typedef struct SocketArgs {
    AddressArgs *addr;
    SocketConfig c; /* but for what addr has */
} SocketArgs;

static const OptMember socket_members[] = {
    { "addr", OPT_STRUCT, offsetof(SocketArgs, addr), .required = true, .table = &address_table },
    { "server", OPT_BOOL, offsetof(SocketArgs, c.server), .def = "on" },
    { "wait", OPT_BOOL, offsetof(SocketArgs, c.wait), offsetof(SocketArgs, c.has_wait) },
    { "reconnect", OPT_UINT32, offsetof(SocketArgs, c.reconnect),
      offsetof(SocketArgs, c.has_reconnect) },
    { "reconnect-ms", OPT_UINT32, offsetof(SocketArgs, c.reconnect_ms),
      offsetof(SocketArgs, c.has_reconnect_ms) },
    { 0 },
};
static const OptTable socket_table = { "ChardevSocket", sizeof(SocketArgs), socket_members };
static const OptMember socket_wrapper_members[] = {
    { "data", OPT_STRUCT, offsetof(Wrapper, data), .required = true, .table = &socket_table },
    { 0 },
};
static const OptTable socket_wrapper = { "ChardevSocketWrapper", sizeof(Wrapper),
                                         socket_wrapper_members };

typedef struct BackendArgs {
    int type;
    Wrapper *u;
} BackendArgs;

static const char *const backend_types[] = { "socket", NULL };
static const OptEnum backend_type = { "ChardevBackendKind", backend_types };
static const OptMember backend_members[] = {
    { "type", OPT_ENUM, offsetof(BackendArgs, type), .required = true, .values = &backend_type },
    { 0 },
};
static const OptBranch backend_branches[] = { { "socket", &socket_wrapper }, { 0 } };
static const OptTable backend_table = { "ChardevBackend", sizeof(BackendArgs), backend_members,
                                        "type", backend_branches, offsetof(BackendArgs, u) };

typedef struct AddArgs {
    char *id;
    BackendArgs *backend;
} AddArgs;

static const OptMember add_members[] = {
    { "id", OPT_STR, offsetof(AddArgs, id), .required = true },
    { "backend", OPT_STRUCT, offsetof(AddArgs, backend), .required = true,
      .table = &backend_table },
    { 0 },
};
static const OptTable add_args = { "chardev-add", sizeof(AddArgs), add_members };

/* @fd, which getfd has named, is the chardev's if there is one. */
static bool chardev_add_fd(System *s, SocketConfig *config, int fd, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d", fd);

    config->fd = text;
    if (!chardev_new_socket(s, config, error)) {
        fd_close(&fd);
        return false;
    }
    return true;
}

static bool chardev_add_socket(System *s, QmpMonitor *m, const AddArgs *add, GError **error)
{
    const SocketArgs *args = add->backend->u->data;
    const AddressArgs *addr = args->addr;
    SocketConfig config = args->c;
    const char *name;
    int fd;

    config.id = add->id;
    config.hotplug = true;
    if (addr->type == ADDRESS_UNIX) {
        config.path = ((const QmpPathArgs *)addr->u->data)->path;
        return chardev_new_socket(s, &config, error) != NULL;
    }
    name = ((const FdArgs *)addr->u->data)->str;
    fd = qmp_monitor_take_fd(m, name);
    return fd >= 0 ? chardev_add_fd(s, &config, fd, error)
                   : system_set_error(error, "File descriptor named '%s' has not been found", name);
}

static bool qmp_chardev_add(void *opaque, QmpMonitor *m, const void *args, void *ret,
                            GError **error)
{
    const AddArgs *add = args;

    if (chardev_find(opaque, add->id)) {
        return system_set_error(error, "Chardev with id '%s' already exists", add->id);
    }
    if (!chardev_add_socket(opaque, m, add, error)) {
        g_prefix_error(error, "Failed to add chardev '%s': ", add->id);
        return false;
    }
    return true;
}

static bool qmp_chardev_remove(void *opaque, QmpMonitor *m, const void *args, void *ret,
                               GError **error)
{
    return chardev_del(opaque, ((const QmpIdArgs *)args)->id, error);
}

void qmp_chardev_register(System *s)
{
    static const QmpCommand commands[] = {
        { "query-chardev", NULL, &info_result, query_chardev },
        { "chardev-add", &add_args, .run = qmp_chardev_add },
        { "chardev-remove", &qmp_id_args, .run = qmp_chardev_remove },
        { 0 },
    };

    qmp_register(s->qmp, commands, s);
}
