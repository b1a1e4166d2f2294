/*
 * -device xen-netfront: netfront as a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/net/classes.h"
#include "hw/net/xen-netfront.h"
#include "hw/xen/xen-device.h"
#include "nic-counters.h"

/* The guest is we. */
static bool netfront_class_identify(Device *d, GError **error)
{
    const NetfrontConfig *config = d->config;

    d->idx = config->idx;
    return true;
}

static bool netfront_class_realize(Device *d, GError **error)
{
    const XenContext *bus = d->bus;
    NetfrontEnv env = {
        .xen = bus->xen,
        .store = bus->store,
        .peer = device_backend(d, "netdev"),
        .event = xen_device_event,
        .opaque = d,
    };

    if (!netdev_without_vhost(env.peer, d->id, NETDEV_NO_VHOST_XEN, error)) {
        return false;
    }
    d->impl = netfront_new(d->config, &env, error);
    return d->impl != NULL;
}

static void netfront_class_start(Device *d)
{
    netfront_start(d->impl);
}

static void netfront_class_close(Device *d, unsigned timeout_ms)
{
    netfront_close(d->impl, timeout_ms);
}

static void netfront_class_drain(Device *d)
{
    netfront_pause(d->impl, true);
    device_drained(d);
}

static void netfront_class_resume(Device *d)
{
    netfront_pause(d->impl, false);
}

static void netfront_class_unrealize(Device *d)
{
    netfront_free(d->impl);
}

static void netfront_class_info(Device *d, DeviceInfo *ret_info)
{
    NetfrontInfo info;

    netfront_info(d->impl, &info);
    ret_info->state = info.state;
    ret_info->error = info.error;
    ret_info->n_queues = info.n_queues;
    ret_info->max_queues = info.max_queues;
    ret_info->stats = info.stats;
    memcpy(ret_info->tid, info.tids, sizeof(info.tids[0]) * info.n_queues);
}

const DeviceClass xen_netfront_class = {
    .options = &netfront_options,
    .desc = "frontend of a vif, in a process that is a Xen guest",
    .category = "Network",
    .bus = "xen",
    .id_offset = offsetof(NetfrontConfig, id),
    .backends = { { "netdev", offsetof(NetfrontConfig, netdev) } },
    .queue_stats_size = sizeof(NicQueueStats),
    .counters = nic_counters,
    .identify = netfront_class_identify,
    .realize = netfront_class_realize,
    .start = netfront_class_start,
    .close = netfront_class_close,
    .drain = netfront_class_drain,
    .resume = netfront_class_resume,
    .unrealize = netfront_class_unrealize,
    .info = netfront_class_info,
};
