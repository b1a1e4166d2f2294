/*
 * -device virtio-net-pci: virtio-net, and the registers on PCI by which its driver has it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-pci.h"

#include <linux/virtio_ids.h>

#include "hw/net/classes.h"
#include "hw/pci/msix.h"
#include "hw/virtio/virtio-pci.h"
#include "nic-counters.h"
#include "virtio-net-device.h"

#define LEGACY_ID    0x1000
#define CLASS_NET    0x020000u

typedef struct VirtioNetPci {
    VirtioNetNic nic;
    VirtioPci *pci;
    guint gone_tag;    /* the guest has so long to let go of it */
} VirtioNetPci;

/* --- what happens --- */

static void vn_pci_ejected(void *opaque)
{
    VirtioNetPci *n = opaque;

    g_clear_handle_id(&n->gone_tag, g_source_remove);
    device_gone(n->nic.d, NULL);
}

static const VirtioPciEvents vn_pci_events = {
    .rings = virtio_net_nic_rings,
    .warned = virtio_net_nic_warned,
    .ejected = vn_pci_ejected,
};

/* --- options --- */

/* What QEMU checks of the same options, in its words. */
static bool check_options(const VirtioNetPciConfig *c, GError **error)
{
    if (!virtio_net_nic_check(&c->nic, error)) {
        return false;
    }
    if (c->disable_modern && c->disable_legacy == ON_OFF_AUTO_ON) {
        return device_set_error(error, "device cannot work as neither modern nor legacy mode is "
                                       "enabled\n"
                                       "Set either disable-modern or disable-legacy to off");
    }
    if (c->has_vectors && c->vectors > PCI_MSIX_MAX_VECTORS) {
        return device_set_error(error, "unable to init msix vectors to %u", c->vectors);
    }
    return true;
}

static bool parse_addr(const VirtioNetPciConfig *c, int *ret_devfn, GError **error)
{
    *ret_devfn = PCI_ANY_DEVFN;
    if (c->addr && !pci_parse_devfn(c->addr, ret_devfn)) {
        return device_set_error(error, "Property 'virtio-net-pci.addr' doesn't take value '%s'",
                                c->addr);
    }
    return true;
}

/* --- as a device --- */

static void vn_pci_unrealize(Device *d)
{
    VirtioNetPci *n = d->impl;

    if (n) {
        g_clear_handle_id(&n->gone_tag, g_source_remove);
        virtio_pci_free(n->pci);
        virtio_net_nic_done(&n->nic);
        g_free(n);
    }
    d->impl = NULL;
}

static bool vn_pci_realize(Device *d, GError **error)
{
    const VirtioNetPciConfig *config = d->config;
    const Netdev *peer = device_backend(d, "netdev");
    VirtioPciConfig pci = {
        .kind = device_class_name(d->class),
        .id = d->id,
        .type = VIRTIO_ID_NET,
        .legacy_id = LEGACY_ID,
        .class = CLASS_NET,
        .legacy = config->disable_legacy != ON_OFF_AUTO_ON,
        .modern = !config->disable_modern,
        .vectors = config->has_vectors ? config->vectors : 2 * peer->n_queues + 2,
    };
    VirtioNetPci *n;

    if (!check_options(config, error) || !parse_addr(config, &pci.devfn, error)) {
        return false;
    }
    n = g_new0(VirtioNetPci, 1);
    d->impl = n;
    if (virtio_net_nic_init(&n->nic, d, &config->nic, error)) {
        n->pci = virtio_pci_new(d->bus, virtio_net_device(n->nic.net), &pci, &vn_pci_events, n,
                                error);
    }
    if (!n->pci) {
        vn_pci_unrealize(d);
        return false;
    }
    return true;
}

/* The guest finds it by itself. After a load it has it already. */
static void vn_pci_start(Device *d)
{
    VirtioNetPci *n = d->impl;

    virtio_pci_hold(n->pci, false);
}

static gboolean vn_pci_not_ejected(gpointer opaque)
{
    VirtioNetPci *n = opaque;

    n->gone_tag = 0;
    device_gone(n->nic.d, "the guest did not let go of it in time");
    return G_SOURCE_REMOVE;
}

static void vn_pci_close(Device *d, unsigned timeout_ms)
{
    VirtioNetPci *n = d->impl;

    if (timeout_ms == 0) {
        device_gone(d, NULL);
        return;
    }
    n->gone_tag = g_timeout_add(timeout_ms, vn_pci_not_ejected, n);
    virtio_pci_request_eject(n->pci);
}

static void vn_pci_drain(Device *d)
{
    VirtioNetPci *n = d->impl;

    virtio_net_device_drain(d, n->nic.net);
}

static void vn_pci_resume(Device *d)
{
    VirtioNetPci *n = d->impl;

    virtio_pci_hold(n->pci, false);
    virtio_net_pause(n->nic.net, false);
}

/* Its rings stay where they are, until it goes on here after all. */
static bool vn_pci_save(Device *d, GByteArray *out, GError **error)
{
    VirtioNetPci *n = d->impl;

    virtio_pci_hold(n->pci, true);
    virtio_pci_save(n->pci, out);
    return true;
}

static bool vn_pci_load(Device *d, const uint8_t *data, size_t len, GError **error)
{
    VirtioNetPci *n = d->impl;
    StateReader in = { .data = data, .left = len };

    virtio_pci_hold(n->pci, true);
    return virtio_pci_load(n->pci, &in, error);
}

static void vn_pci_info(Device *d, DeviceInfo *ret_info)
{
    VirtioNetPci *n = d->impl;

    virtio_net_nic_info(&n->nic, virtio_pci_has_driver(n->pci), ret_info);
}

const DeviceClass virtio_net_pci_class = {
    .options = &virtio_net_pci_options,
    .desc = "virtio-net on a PCI bus, for qtest",
    .category = "Network",
    .bus = "PCI",
    .id_offset = offsetof(VirtioNetPciConfig, nic.id),
    .backends = { { "netdev", offsetof(VirtioNetPciConfig, nic.netdev) } },
    .queue_stats_size = sizeof(NicQueueStats),
    .counters = nic_counters,
    .nic = &virtio_net_nic_ops,
    .realize = vn_pci_realize,
    .start = vn_pci_start,
    .close = vn_pci_close,
    .drain = vn_pci_drain,
    .resume = vn_pci_resume,
    .save = vn_pci_save,
    .load = vn_pci_load,
    .unrealize = vn_pci_unrealize,
    .info = vn_pci_info,
};
