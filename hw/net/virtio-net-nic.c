/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-net-nic.h"

#include "hw/core/registry.h"
#include "virtio-net-device.h"

#define MIN_RING 256u
#define MAX_RING 1024u /* of pieces in a chain, as in QEMU */
#define MAX_MACS 1024u

/* --- what happens --- */

void virtio_net_nic_rings(void *opaque, unsigned running)
{
    VirtioNetNic *n = opaque;
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

void virtio_net_nic_warned(void *opaque, const char *text)
{
    VirtioNetNic *n = opaque;

    device_warned(n->d, text);
}

static void nic_peer_failed(void *opaque, const char *reason)
{
    VirtioNetNic *n = opaque;

    g_free(n->error);
    n->error = g_strdup(reason);
    device_failed(n->d, reason);
}

static void nic_filter_changed(void *opaque)
{
    VirtioNetNic *n = opaque;

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
bool virtio_net_nic_check(const VirtioNetNicConfig *c, GError **error)
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

/* --- life --- */

static VirtioNet *make_net(VirtioNetNic *n, const VirtioNetNicConfig *config, GError **error)
{
    VirtioNetConfig net = config->net;
    char mac[18];

    default_mac(n->d, mac, sizeof(mac));
    net.mac = config->mac ? config->mac : mac;
    net.ctrl = true;
    net.has_speed = config->speed >= 0 || config->duplex;
    net.speed = (uint32_t)config->speed;
    net.duplex = !config->duplex ? UINT8_MAX : g_str_equal(config->duplex, "full");
    return virtio_net_device_new(n->d, &net, &(VirtioNetDeviceArgs){
        config->iothread, config->vq_mapping, .failed = nic_peer_failed,
        .filter_changed = nic_filter_changed, .opaque = n,
    }, error);
}

bool virtio_net_nic_init(VirtioNetNic *n, Device *d, const VirtioNetNicConfig *config,
                         GError **error)
{
    n->d = d;
    n->net = make_net(n, config, error);
    return n->net != NULL;
}

void virtio_net_nic_done(VirtioNetNic *n)
{
    virtio_net_free(n->net);
    g_free(n->error);
}

void virtio_net_nic_info(const VirtioNetNic *n, bool has_driver, DeviceInfo *ret_info)
{
    virtio_net_device_info(n->net, n->error, ret_info);
    ret_info->state = n->told ? "connected" : has_driver ? "initialised" : "init-wait";
}

static const VirtioNetFilter *nic_rx_filter(Device *d)
{
    VirtioNetNic *n = d->impl;

    return virtio_net_rx_filter(n->net);
}

static void nic_announce_guest(Device *d)
{
    VirtioNetNic *n = d->impl;

    virtio_net_announce_now(n->net);
}

const NicOps virtio_net_nic_ops = {
    .announce = nic_announce_guest,
    .rx_filter = nic_rx_filter,
};
