/*
 * -netdev: the registry of netdevs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include "util/log.h"

#define MAX_NETDEVS 1024u

/* QEMU's others, as a QEMU without them names them. */
static const char *const absent_types[] = {
    "none", "nic", "user", "l2tpv3", "vde", "bridge", "hubport", "netmap", "vhost-vdpa",
    NULL
};

Netdev *netdev_find(System *s, const char *id)
{
    for (guint i = 0; i < s->netdevs->len; i++) {
        Netdev *nd = g_ptr_array_index(s->netdevs, i);

        if (!nd->deleted && g_str_equal(nd->id, id)) {
            return nd;
        }
    }
    return NULL;
}

/* One that a NIC waits with. */
static Netdev *netdev_find_deleted(System *s, const char *id)
{
    for (guint i = 0; i < s->netdevs->len; i++) {
        Netdev *nd = g_ptr_array_index(s->netdevs, i);

        if (nd->deleted && g_str_equal(nd->id, id)) {
            return nd;
        }
    }
    return NULL;
}

static Netdev *netdev_new_of(System *s, const OptBranch *type, OptDict *args,
                             TapFdByName *by_name, void *opaque, GError **error)
{
    void *config = opt_config_new(type->table, args, OPT_PARAMETERS, error);
    const char *id = config ? *(char **)config : NULL; /* the first member of all of them */
    Netdev *nd = NULL;

    if (!config) {
        return NULL;
    }
    if (netdev_find(s, id) || netdev_job_has(s, id)) {
        system_set_error(error, s->up ? "Duplicate ID '%s'" : "Duplicate ID '%s' for netdev", id);
    } else if (s->netdevs->len + s->netdev_jobs->len >= MAX_NETDEVS) {
        system_set_error(error, "there are %u netdevs already", MAX_NETDEVS);
    } else {
        nd = netdev_type_open(s, type, config, by_name, opaque, error);
    }
    opt_config_free(type->table, config);
    return nd;
}

static bool netdev_check_type(const char *type, const OptDict *args, GError **error)
{
    if (netdev_type_find(type)) {
        return true;
    }
    if (!g_strv_contains(absent_types, type)) {
        return system_set_error(error, "Parameter 'type' does not accept value '%s'", type);
    }
    return opt_dict_get(args, "id")
               ? system_set_error(error, "network backend '%s' is not compiled into this binary",
                                  type)
               : system_set_error(error, "Parameter 'id' is missing");
}

bool netdev_insert(System *s, Netdev *nd, GError **error)
{
    Netdev *waiting = netdev_find_deleted(s, nd->id);

    if (waiting) {
        return netdev_replace(waiting, nd, error);
    }
    g_ptr_array_add(s->netdevs, nd);
    return true;
}

static Netdev *netdev_new(System *s, OptDict *args, TapFdByName *by_name, void *opaque,
                          GError **error)
{
    g_autofree char *type = NULL;

    if (!opt_dict_get(args, "type") && !opt_dict_get(args, "id")) {
        system_set_error(error, "Parameter 'id' is missing");
        return NULL;
    }
    type = opt_dict_take(args, "type", error);
    if (!type || !netdev_check_type(type, args, error)) {
        return NULL;
    }
    return netdev_new_of(s, netdev_type_find(type), args, by_name, opaque, error);
}

bool netdev_add_from(System *s, OptDict *args, QmpMonitor *mon, GError **error)
{
    g_autoptr(Netdev) nd = netdev_new(s, args, mon ? qmp_monitor_take_fd : NULL, mon, error);

    return nd && tap_script_run(nd, true, error) && netdev_insert(s, g_steal_pointer(&nd), error);
}

bool netdev_add(System *s, OptDict *args, GError **error)
{
    return netdev_add_from(s, args, NULL, error);
}

bool netdev_add_later(System *s, OptDict *args, QmpMonitor *mon, NetdevJob **ret_job,
                      GError **error)
{
    g_autoptr(Netdev) nd = netdev_new(s, args, qmp_monitor_take_fd, mon, error);

    if (!nd) {
        return false;
    }
    if (!tap_script(nd, true)) {
        return netdev_insert(s, g_steal_pointer(&nd), error);
    }
    *ret_job = netdev_job_start(s, nd, true, error);
    if (!*ret_job) {
        return false;
    }
    g_steal_pointer(&nd);
    return true;
}

/* A script that cannot be started keeps no netdev. */
static void netdev_end(System *s, Netdev *nd, NetdevJob **ret_job)
{
    g_autoptr(GError) error = NULL;
    guint i;

    if (!tap_script(nd, false)) {
        g_ptr_array_remove(s->netdevs, nd);
        return;
    }
    *ret_job = netdev_job_start(s, nd, false, &error);
    if (!*ret_job) {
        g_ptr_array_remove(s->netdevs, nd); /* tries it once more, and says why not */
    } else if (g_ptr_array_find(s->netdevs, nd, &i)) {
        g_ptr_array_steal_index(s->netdevs, i);
    }
}

static void *netdev_backend_find(void *opaque, const char *id)
{
    return netdev_find(opaque, id);
}

static bool netdev_backend_claim(void *opaque, void *backend)
{
    Netdev *nd = backend;

    if (nd->in_use) {
        return false;
    }
    nd->in_use = true;
    nd->keep = true;
    return true;
}

static void netdev_backend_release(void *opaque, void *backend)
{
    System *s = opaque;
    Netdev *nd = backend;

    nd->in_use = false;
    if (!s->up) {
        nd->keep = nd->found; /* the program did not get far: all as it was */
    } else if (s->state != RUN_SHUTDOWN) {
        nd->keep = false; /* the device will not be back with the program */
    }
    if (nd->deleted) {
        NetdevJob *job = NULL;

        netdev_end(s, nd, &job);
    }
}

const DeviceBackendKind netdev_backend = {
    .property = "netdev",
    .find = netdev_backend_find,
    .claim = netdev_backend_claim,
    .release = netdev_backend_release,
};

bool netdev_del(System *s, const char *id, NetdevJob **ret_job, GError **error)
{
    Netdev *nd = netdev_find(s, id);

    if (!nd) {
        g_set_error(error, QMP_ERROR, QMP_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return false;
    }
    if (nd->in_use && nd->error) {
        /* nothing is behind it, and its NIC takes a new one of that id */
        nd->deleted = true;
        return true;
    }
    if (nd->in_use) {
        return system_set_error(error, "netdev '%s' is in use", id);
    }
    nd->keep = false;
    netdev_end(s, nd, ret_job);
    return true;
}

bool netdevs_close(System *s)
{
    netdev_jobs_cancel(s, false);
    while (s->netdevs->len > 0) {
        NetdevJob *job = NULL;

        netdev_end(s, g_ptr_array_index(s->netdevs, 0), &job);
    }
    return s->netdev_jobs->len > 0;
}

void netdevs_free(System *s)
{
    netdev_jobs_cancel(s, true);
    for (guint i = 0; i < s->netdevs->len && s->state == RUN_SHUTDOWN; i++) {
        tap_script_hurry(g_ptr_array_index(s->netdevs, i));
    }
    g_ptr_array_unref(s->netdev_jobs);
    g_ptr_array_unref(s->netdevs);
}

void netdevs_warn_unused(System *s)
{
    for (guint i = 0; i < s->netdevs->len; i++) {
        const Netdev *nd = g_ptr_array_index(s->netdevs, i);

        if (!nd->in_use) {
            warn_report("netdev %s has no peer", nd->id);
        }
    }
}

char *netdev_help(const char *arg, GError **error)
{
    g_autofree char *topic = system_help_topic(arg, "type");
    const OptBranch *type = topic ? netdev_type_find(topic) : NULL;

    if (topic && topic[0] == '\0') {
        GString *out = g_string_new("Available netdev backend types:\n");

        for (size_t i = 0; netdev_types[i]; i++) {
            g_string_append_printf(out, "%s\n", netdev_types[i]);
        }
        return g_string_free(out, FALSE);
    }
    return type ? opt_table_help(type->table) : NULL;
}
