/*
 * -device virtio-net-pci: virtio-net, and the registers on PCI by which its driver has it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-pci.h"

#include <linux/virtio_ids.h>

#include "hw/core/registry.h"
#include "hw/net/classes.h"
#include "hw/net/nic.h"
#include "hw/pci/msix.h"
#include "hw/virtio/virtio-pci.h"
#include "nic-counters.h"
#include "virtio-net-device.h"

#define LEGACY_ID    0x1000
#define CLASS_NET    0x020000u
#define MIN_RING     256u
#define MAX_RING     1024u /* of pieces in a chain, as in QEMU */
#define MAX_MACS     1024u

typedef struct VirtioNetPci {
    Device *d;
    VirtioNet *net;
    VirtioPci *pci;
    bool told;         /* that its driver has it */
    bool moved;        /* and had it elsewhere before */
    char *error;       /* why its driver has to begin anew */
    guint gone_tag;    /* the guest has so long to let go of it */
} VirtioNetPci;

/* --- what happens --- */

static void vn_pci_rings(void *opaque, unsigned running)
{
    VirtioNetPci *n = opaque;
    VirtioNetInfo info;

    if ((running > 0) == n->told) {
        return;
    }
    n->told = running > 0;
    if (n->told) {
        virtio_net_info(n->net, &info);
        device_connected(n->d, MAX(info.n_pairs, 1));
    } else {
        device_disconnected(n->d);
    }
}

static void vn_pci_warned(void *opaque, const char *text)
{
    VirtioNetPci *n = opaque;

    device_warned(n->d, text);
}

static void vn_pci_ejected(void *opaque)
{
    VirtioNetPci *n = opaque;

    g_clear_handle_id(&n->gone_tag, g_source_remove);
    device_gone(n->d, NULL);
}

static const VirtioPciEvents vn_pci_events = {
    .rings = vn_pci_rings,
    .warned = vn_pci_warned,
    .ejected = vn_pci_ejected,
};

static void vn_pci_peer_failed(void *opaque, const char *reason)
{
    VirtioNetPci *n = opaque;

    g_free(n->error);
    n->error = g_strdup(reason);
    device_failed(n->d, reason);
}

static void vn_pci_filter_changed(void *opaque)
{
    VirtioNetPci *n = opaque;

    device_changed(n->d);
}

/* --- options --- */

static bool ring_size_is_fine(const char *name, uint16_t size, const char *stop, GError **error)
{
    if (size < MIN_RING || size > MAX_RING || (size & (size - 1)) != 0) {
        return device_set_error(error, "Invalid %s (= %u), must be a power of 2 between %u and "
                                "%u%s", name, size, MIN_RING, MAX_RING, stop);
    }
    return true;
}

/* What QEMU checks of the same options, in its words. */
static bool check_options(const VirtioNetPciConfig *c, GError **error)
{
    if (!ring_size_is_fine("rx_queue_size", c->net.rx_queue_size, ".", error) ||
        !ring_size_is_fine("tx_queue_size", c->net.tx_queue_size, "", error)) {
        return false;
    }
    if (c->speed < -1) {
        return device_set_error(error, "'speed' must be between 0 and INT_MAX");
    }
    if (c->duplex && !g_str_equal(c->duplex, "half") && !g_str_equal(c->duplex, "full")) {
        return device_set_error(error, "'duplex' must be 'half' or 'full'");
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

static bool mac_is_taken(const Device *d, const char *mac)
{
    for (unsigned i = 0; i < device_registry_count(d->registry); i++) {
        Device *other = device_registry_nth(d->registry, i);
        DeviceInfo info;

        if (other->class == d->class && other != d) {
            device_info(other, &info);
            if (g_str_equal(info.address, mac)) {
                return true;
            }
        }
    }
    return false;
}

/* As QEMU has it for NICs that are not told theirs. */
static void default_mac(const Device *d, char *ret, size_t size)
{
    unsigned n = 0;

    do {
        g_snprintf(ret, size, "52:54:00:12:%02x:%02x", ((0x3456 + n) >> 8) & 0xff,
                   (0x3456 + n) & 0xff);
    } while (++n < MAX_MACS && mac_is_taken(d, ret));
}

/* --- as a device --- */

static void vn_pci_unrealize(Device *d)
{
    VirtioNetPci *n = d->impl;

    if (n) {
        g_clear_handle_id(&n->gone_tag, g_source_remove);
        virtio_pci_free(n->pci);
        virtio_net_free(n->net);
        g_free(n->error);
        g_free(n);
    }
    d->impl = NULL;
}

static VirtioNet *make_net(VirtioNetPci *n, GError **error)
{
    const VirtioNetPciConfig *config = n->d->config;
    VirtioNetConfig net = config->net;
    char mac[18];

    default_mac(n->d, mac, sizeof(mac));
    net.mac = config->mac ? config->mac : mac;
    net.ctrl = true;
    net.has_speed = config->speed >= 0 || config->duplex;
    net.speed = (uint32_t)config->speed;
    net.duplex = !config->duplex ? UINT8_MAX : g_str_equal(config->duplex, "full");
    return virtio_net_device_new(n->d, &net, &(VirtioNetDeviceArgs){
        config->iothread, config->vq_mapping, .failed = vn_pci_peer_failed,
        .filter_changed = vn_pci_filter_changed, .opaque = n,
    }, error);
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
    n->d = d;
    d->impl = n;
    n->net = make_net(n, error);
    if (n->net) {
        n->pci = virtio_pci_new(d->bus, virtio_net_device(n->net), &pci, &vn_pci_events, n, error);
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
    if (n->moved && n->told) {
        virtio_net_announce_now(n->net);
    }
    n->moved = false;
}

static gboolean vn_pci_not_ejected(gpointer opaque)
{
    VirtioNetPci *n = opaque;

    n->gone_tag = 0;
    device_gone(n->d, "the guest did not let go of it in time");
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

    virtio_net_device_drain(d, n->net);
}

static void vn_pci_resume(Device *d)
{
    VirtioNetPci *n = d->impl;

    virtio_pci_hold(n->pci, false);
    virtio_net_pause(n->net, false);
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
    n->moved = virtio_pci_load(n->pci, &in, error);
    return n->moved;
}

static void vn_pci_info(Device *d, DeviceInfo *ret_info)
{
    VirtioNetPci *n = d->impl;

    virtio_net_device_info(n->net, n->error, ret_info);
    ret_info->state = n->told                          ? "connected"
                      : virtio_pci_has_driver(n->pci) ? "initialised"
                                                       : "init-wait";
}

static const VirtioNetFilter *vn_pci_rx_filter(Device *d)
{
    VirtioNetPci *n = d->impl;

    return virtio_net_rx_filter(n->net);
}

static const NicOps vn_pci_nic = {
    .rx_filter = vn_pci_rx_filter,
};

const DeviceClass virtio_net_pci_class = {
    .options = &virtio_net_pci_options,
    .desc = "virtio-net on a PCI bus, for qtest",
    .category = "Network",
    .bus = "PCI",
    .id_offset = offsetof(VirtioNetPciConfig, id),
    .backends = { { "netdev", offsetof(VirtioNetPciConfig, netdev) } },
    .queue_stats_size = sizeof(NicQueueStats),
    .counters = nic_counters,
    .nic = &vn_pci_nic,
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
