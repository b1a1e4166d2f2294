/*
 * What QMP's commands do here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system.h"

#include "device.h"

static const char *sys_guest_name(void *opaque)
{
    return ((System *)opaque)->guest_name;
}

static const char *sys_status(void *opaque)
{
    return run_state_name(((System *)opaque)->state);
}

static void sys_stop(void *opaque)
{
    run_stop(opaque);
}

static void sys_cont(void *opaque)
{
    run_cont(opaque);
}

static void sys_quit(void *opaque)
{
    run_shutdown(opaque, "host-qmp-quit");
}

static bool sys_netdev_add(void *opaque, OptDict *args, QmpMonitor *mon, GError **error)
{
    return netdev_add(opaque, args, qmp_monitor_take_fd, mon, error);
}

static bool sys_netdev_del(void *opaque, const char *id, GError **error)
{
    return netdev_del(opaque, id, error);
}

static bool sys_device_add(void *opaque, OptDict *args, GError **error)
{
    return device_add(opaque, args, error);
}

static bool sys_device_del(void *opaque, const char *id, GError **error)
{
    return device_del(opaque, id, error);
}

static bool sys_object_add(void *opaque, OptDict *args, GError **error)
{
    return object_add(opaque, args, error);
}

static bool sys_object_del(void *opaque, const char *id, GError **error)
{
    return object_del(opaque, id, error);
}

static bool sys_set_link(void *opaque, const char *name, bool up, GError **error)
{
    return device_set_link(opaque, name, up, error);
}

static void sys_foreach_vif(void *opaque, QmpVifFn *fn, void *ctx)
{
    System *s = opaque;

    for (guint i = 0; i < s->devices->len; i++) {
        Device *d = g_ptr_array_index(s->devices, i);

        d->type->visit(d, fn, ctx);
    }
}

static void sys_foreach_iothread(void *opaque, QmpIoThreadFn *fn, void *ctx)
{
    System *s = opaque;

    for (guint i = 0; i < s->iothreads->len; i++) {
        const IoThreadObject *o = g_ptr_array_index(s->iothreads, i);

        fn(ctx, o->id, o->thread);
    }
}

static void sys_foreach_netdev(void *opaque, QmpNetdevFn *fn, void *ctx)
{
    System *s = opaque;

    for (guint i = 0; i < s->netdevs->len; i++) {
        fn(ctx, g_ptr_array_index(s->netdevs, i));
    }
}

Qmp *system_qmp_new(System *s)
{
    static const QmpSystem ops = {
        .version = RINGTAP_VERSION,
        .machines = machine_names,
        .guest_name = sys_guest_name,
        .status = sys_status,
        .stop = sys_stop,
        .cont = sys_cont,
        .quit = sys_quit,
        .netdev_add = sys_netdev_add,
        .netdev_del = sys_netdev_del,
        .device_add = sys_device_add,
        .device_del = sys_device_del,
        .object_add = sys_object_add,
        .object_del = sys_object_del,
        .set_link = sys_set_link,
        .foreach_vif = sys_foreach_vif,
        .foreach_iothread = sys_foreach_iothread,
        .foreach_netdev = sys_foreach_netdev,
    };

    return qmp_new(&ops, s);
}
