/*
 * What the human monitor may do, through QMP's human-monitor-command: what scripts and libvirt's
 * "qemu-monitor-command --hmp" use of QEMU's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "objects.h"
#include "qmp-commands.h"

static bool hmp_stop(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    run_stop(opaque);
    return true;
}

static bool hmp_cont(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    run_cont(opaque);
    return true;
}

static bool hmp_quit(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    run_shutdown(opaque, "host-qmp-quit");
    return true;
}

static bool hmp_reset(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    guest_reset(opaque);
    return true;
}

static bool hmp_powerdown(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    guest_powerdown(opaque);
    return true;
}

static bool hmp_set_link(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    return devices_set_link(opaque, args->text, args->on, error);
}

typedef bool AddFn(System *s, OptDict *args, GError **error);

static bool hmp_add(System *s, const HmpArgs *args, const char *implied, AddFn *add,
                    GError **error)
{
    g_autoptr(OptDict) dict = opt_dict_parse(args->text, implied, error);

    return dict && add(s, dict, error);
}

static bool hmp_device_add(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    return hmp_add(opaque, args, "driver", devices_add, error);
}

static bool hmp_device_del(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    return devices_del(opaque, args->text, error);
}

/* Waits for its script, as QEMU does: there is no later reply to tell of its failure. */
static bool hmp_netdev_add(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    g_autoptr(OptDict) dict = opt_dict_parse(args->text, "type", error);

    return dict && netdev_add_from(opaque, dict, m, error);
}

static bool hmp_netdev_del(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    NetdevJob *job = NULL;

    return netdev_del(opaque, args->text, &job, error);
}

static bool hmp_object_add(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    return hmp_add(opaque, args, "qom-type", object_add, error);
}

static bool hmp_object_del(void *opaque, QmpMonitor *m, const HmpArgs *args, GError **error)
{
    return object_del(opaque, args->text, error);
}

void hmp_register(System *s)
{
    static const HmpAction actions[] = {
        { "cont|c", "", "resume emulation", HMP_NOTHING, hmp_cont },
        { "device_add", "driver[,prop=value][,...]",
          "add device, like -device on the command line", HMP_OPTIONS, hmp_device_add },
        { "device_del", "device", "remove device", HMP_NAME, hmp_device_del },
        { "netdev_add", "[socket|stream|dgram|tap|vhost-user],id=str[,prop=value][,...]",
          "add host network device", HMP_OPTIONS, hmp_netdev_add },
        { "netdev_del", "id", "remove host network device", HMP_NAME, hmp_netdev_del },
        { "object_add", "[qom-type=]type,id=str[,prop=value][,...]", "create QOM object",
          HMP_REST, hmp_object_add },
        { "object_del", "id", "destroy QOM object", HMP_NAME, hmp_object_del },
        { "quit|q", "", "quit the emulator", HMP_NOTHING, hmp_quit },
        { "set_link", "name on|off", "change the link status of a network adapter",
          HMP_NAME_ON_OFF, hmp_set_link },
        { "stop|s", "", "stop emulation", HMP_NOTHING, hmp_stop },
        { "system_powerdown", "", "send system power down event", HMP_NOTHING, hmp_powerdown },
        { "system_reset", "", "reset the system", HMP_NOTHING, hmp_reset },
        { 0 },
    };

    qmp_register_hmp_actions(s->qmp, actions, s);
}
