/*
 * -device xen-net-device: netback as a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/core/vq-mapping.h"
#include "hw/net/classes.h"
#include "hw/net/nic.h"
#include "hw/net/xen-netback.h"
#include "hw/xen/xen-device.h"
#include "nic-counters.h"

static bool netback_class_identify(Device *d, GError **error)
{
    const NetbackConfig *config = d->config;

    return xen_device_identify(d, config->frontend_id, config->idx, error);
}

static bool netback_class_realize(Device *d, GError **error)
{
    const NetbackConfig *config = d->config;
    const XenContext *bus = d->bus;
    Netdev *peer = device_backend(d, "netdev");
    IoThread *threads[NETIF_MAX_QUEUES] = { NULL };
    unsigned n_queues = MIN(peer->n_queues, NETIF_MAX_QUEUES);
    NetbackEnv env = {
        .xen = bus->xen,
        .store = bus->store,
        .frontend_id = (uint16_t)d->guest,
        .peer = peer,
        .event = xen_device_event,
        .opaque = d,
    };
    NetbackInfo info;

    if (!vq_mapping_resolve(d, n_queues, config->iothread, config->vq_mapping, threads, error) ||
        !netdev_without_vhost(peer, d->id, NETDEV_NO_VHOST_XEN, error)) {
        return false;
    }
    if (threads[0]) {
        env.threads = threads;
        env.n_threads = n_queues;
    }
    d->impl = netback_new(config, &env, error);
    if (!d->impl) {
        return false;
    }
    netback_info(d->impl, &info);
    d->idx = (int)info.idx;
    return true;
}

static void netback_class_start(Device *d)
{
    netback_start(d->impl);
}

static void netback_class_close(Device *d, unsigned timeout_ms)
{
    netback_close(d->impl, timeout_ms);
}

static void netback_class_drain(Device *d)
{
    netback_pause(d->impl, true);
    device_drained(d);
}

static void netback_class_resume(Device *d)
{
    netback_pause(d->impl, false);
}

static void netback_class_unrealize(Device *d)
{
    netback_free(d->impl);
}

static void netback_class_info(Device *d, DeviceInfo *ret_info)
{
    NetbackInfo info;

    netback_info(d->impl, &info);
    ret_info->state = info.state;
    ret_info->error = info.error;
    memcpy(ret_info->address, info.mac, sizeof(info.mac));
    ret_info->n_queues = info.n_queues;
    ret_info->max_queues = info.max_queues;
    ret_info->stats = info.stats;
    memcpy(ret_info->tid, info.tids, sizeof(info.tids[0]) * info.n_queues);
}

static void netback_class_announce(Device *d)
{
    netback_announce(d->impl);
}

static const NicOps netback_nic = {
    .announce = netback_class_announce,
};

const DeviceClass xen_netback_class = {
    .options = &netback_options,
    .desc = "backend of a guest's vif",
    .category = "Network",
    .bus = "xen",
    .id_offset = offsetof(NetbackConfig, id),
    .backends = { { "netdev", offsetof(NetbackConfig, netdev) } },
    .queue_stats_size = sizeof(NicQueueStats),
    .counters = nic_counters,
    .nic = &netback_nic,
    .identify = netback_class_identify,
    .realize = netback_class_realize,
    .start = netback_class_start,
    .close = netback_class_close,
    .drain = netback_class_drain,
    .resume = netback_class_resume,
    .unrealize = netback_class_unrealize,
    .info = netback_class_info,
};
