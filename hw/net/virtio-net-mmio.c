/*
 * -device virtio-net-device: a virtio-net at one of a machine's virtio-mmio transports, whose
 * guest a qtest client plays.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_ids.h>

#include "hw/net/classes.h"
#include "hw/virtio/virtio-mmio.h"
#include "nic-counters.h"
#include "virtio-net-device.h"
#include "virtio-net-nic.h"
#include "virtio-net-options.h"

#define NIC(m) offsetof(VirtioNetNicConfig, m)
#define FEATURE(m) offsetof(VirtioNetNicConfig, net.f.m)
#define IGNORED(name) { name, OPT_ANY, .ignored = true }

static const OptMember members[] = {
    VIRTIO_NET_NIC_MEMBERS(NIC, FEATURE),
    IGNORED("any_layout"),
    IGNORED("bootindex"),
    IGNORED("iommu_platform"),
    IGNORED("tx"),
    { NULL },
};

static const OptTable options = {
    .name = "virtio-net-device",
    .size = sizeof(VirtioNetNicConfig),
    .members = members,
};

typedef struct VirtioNetMmio {
    VirtioNetNic nic;
    VirtioMmio *mmio;
} VirtioNetMmio;

static const VirtioMmioEvents vn_mmio_events = {
    .rings = virtio_net_nic_rings,
    .warned = virtio_net_nic_warned,
};

static void vn_mmio_unrealize(Device *d)
{
    VirtioNetMmio *n = d->impl;

    if (n) {
        virtio_mmio_free(n->mmio);
        virtio_net_nic_done(&n->nic);
        g_free(n);
    }
    d->impl = NULL;
}

static bool vn_mmio_realize(Device *d, GError **error)
{
    const VirtioNetNicConfig *config = d->config;
    VirtioNetMmio *n;

    if (!virtio_net_nic_check(config, error)) {
        return false;
    }
    n = g_new0(VirtioNetMmio, 1);
    d->impl = n;
    if (virtio_net_nic_init(&n->nic, d, config, error)) {
        n->mmio = virtio_mmio_new(d->bus, (unsigned)d->seat.slot, virtio_net_device(n->nic.net),
                                  VIRTIO_ID_NET, &vn_mmio_events, n, error);
    }
    if (!n->mmio) {
        vn_mmio_unrealize(d);
        return false;
    }
    return true;
}

static void vn_mmio_start(Device *d)
{
    VirtioNetMmio *n = d->impl;

    virtio_mmio_hold(n->mmio, false);
}

/* There is no way to ask a guest. */
static void vn_mmio_close(Device *d, unsigned timeout_ms)
{
    device_gone(d, NULL);
}

static void vn_mmio_drain(Device *d)
{
    VirtioNetMmio *n = d->impl;

    virtio_net_device_drain(d, n->nic.net);
}

static void vn_mmio_resume(Device *d)
{
    VirtioNetMmio *n = d->impl;

    virtio_mmio_hold(n->mmio, false);
    virtio_net_pause(n->nic.net, false);
}

/* Its rings stay where they are, until it goes on here after all. */
static bool vn_mmio_save(Device *d, GByteArray *out, GError **error)
{
    VirtioNetMmio *n = d->impl;

    virtio_mmio_hold(n->mmio, true);
    virtio_mmio_save(n->mmio, out);
    return true;
}

static bool vn_mmio_load(Device *d, const uint8_t *data, size_t len, GError **error)
{
    VirtioNetMmio *n = d->impl;
    StateReader in = { .data = data, .left = len };

    virtio_mmio_hold(n->mmio, true);
    return virtio_mmio_load(n->mmio, &in, error);
}

static void vn_mmio_info(Device *d, DeviceInfo *ret_info)
{
    VirtioNetMmio *n = d->impl;

    virtio_net_nic_info(&n->nic, virtio_mmio_has_driver(n->mmio), ret_info);
}

const DeviceClass virtio_net_device_class = {
    .options = &options,
    .desc = "virtio-net by registers in memory, for qtest",
    .category = "Network",
    .bus = "virtio-bus",
    .id_offset = NIC(id),
    .backends = { { "netdev", NIC(netdev) } },
    .queue_stats_size = sizeof(NicQueueStats),
    .counters = nic_counters,
    .nic = &virtio_net_nic_ops,
    .realize = vn_mmio_realize,
    .start = vn_mmio_start,
    .close = vn_mmio_close,
    .drain = vn_mmio_drain,
    .resume = vn_mmio_resume,
    .save = vn_mmio_save,
    .load = vn_mmio_load,
    .unrealize = vn_mmio_unrealize,
    .info = vn_mmio_info,
};
