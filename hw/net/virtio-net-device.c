/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-net-device.h"

#include <string.h>

#include "hw/core/vq-mapping.h"

VirtioNet *virtio_net_device_new(Device *d, const VirtioNetConfig *config,
                                 const VirtioNetDeviceArgs *args, GError **error)
{
    Netdev *peer = device_backend(d, "netdev");
    IoThread *threads[VIRTIO_NET_MAX_PAIRS] = { NULL };
    unsigned n_queues = MIN(peer->n_queues, VIRTIO_NET_MAX_PAIRS);
    VirtioNetEnv env = {
        .name = d->id,
        .peer = peer,
        .threads = threads,
        .failed = args->failed,
        .filter_changed = args->filter_changed,
        .opaque = args->opaque,
    };

    if (!vq_mapping_resolve(d, n_queues, args->iothread, args->vq_mapping, threads, error)) {
        return NULL;
    }
    env.n_threads = threads[0] ? n_queues : 0;
    return virtio_net_new(config, &env, error);
}

void virtio_net_device_info(VirtioNet *vn, const char *last_error, DeviceInfo *ret_info)
{
    VirtioNetInfo info;

    virtio_net_info(vn, &info);
    ret_info->error = info.error ? info.error : last_error;
    memcpy(ret_info->address, info.mac, sizeof(info.mac));
    ret_info->n_queues = info.n_pairs;
    ret_info->max_queues = info.max_pairs;
    ret_info->stats = info.stats;
    memcpy(ret_info->tid, info.tids, sizeof(info.tids[0]) * info.n_pairs);
}

void virtio_net_device_drain(Device *d, VirtioNet *vn)
{
    virtio_net_pause(vn, true);
    device_drained(d);
}
