/*
 * virtio-net: the features that it offers and what those that were negotiated mean, and its config
 * space.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-ctrl.h"
#include "virtio-net-features.h"
#include "virtio-net-vhost.h"

#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define BIT(n) (1ull << (n))

/* --- features --- */

/* What the driver may leave to the host. */
static uint64_t features_host(const VirtioNet *vn)
{
    const VirtioNetFeatures *f = &vn->config.f;
    unsigned able = vn->env.peer->host_offload;
    uint64_t bits = f->csum ? BIT(VIRTIO_NET_F_CSUM) : 0;

    if (!f->csum) {
        return 0;
    }
    bits |= f->host_tso4 ? BIT(VIRTIO_NET_F_HOST_TSO4) : 0;
    bits |= f->host_tso6 ? BIT(VIRTIO_NET_F_HOST_TSO6) : 0;
    bits |= f->gso && f->host_tso4 && f->host_tso6 ? BIT(VIRTIO_NET_F_GSO) : 0;
    bits |= f->host_ecn && (able & NETDEV_TSO_ECN) ? BIT(VIRTIO_NET_F_HOST_ECN) : 0;
    bits |= f->host_ufo && (able & NETDEV_UFO) ? BIT(VIRTIO_NET_F_HOST_UFO) : 0;
    bits |= f->host_uso && (able & NETDEV_USO) ? BIT(VIRTIO_NET_F_HOST_USO) : 0;
    return bits;
}

/* What the host may leave to the driver: nothing, where the netdev's packets are complete. */
static uint64_t features_guest(const VirtioNet *vn)
{
    const VirtioNetFeatures *f = &vn->config.f;
    unsigned able = vn->env.peer->host_offload;
    uint64_t bits;

    if (!f->guest_csum || !vn->env.peer->has_vnet_hdr) {
        return 0;
    }
    bits = BIT(VIRTIO_NET_F_GUEST_CSUM);
    bits |= f->guest_tso4 ? BIT(VIRTIO_NET_F_GUEST_TSO4) : 0;
    bits |= f->guest_tso6 ? BIT(VIRTIO_NET_F_GUEST_TSO6) : 0;
    bits |= f->guest_ecn && (able & NETDEV_TSO_ECN) ? BIT(VIRTIO_NET_F_GUEST_ECN) : 0;
    bits |= f->guest_ufo && (able & NETDEV_UFO) ? BIT(VIRTIO_NET_F_GUEST_UFO) : 0;
    if (able & NETDEV_USO) {
        bits |= f->guest_uso4 ? BIT(VIRTIO_NET_F_GUEST_USO4) : 0;
        bits |= f->guest_uso6 ? BIT(VIRTIO_NET_F_GUEST_USO6) : 0;
    }
    return bits;
}

/* What the control queue can do; where it is not ours, whoever has it takes from this. */
static uint64_t features_ctrl(const VirtioNet *vn)
{
    const VirtioNetFeatures *f = &vn->config.f;
    bool ours = vn->ctrl != NULL;
    uint64_t bits = 0;

    bits |= f->ctrl_rx || !ours ? BIT(VIRTIO_NET_F_CTRL_RX) : 0;
    bits |= f->ctrl_vlan || !ours ? BIT(VIRTIO_NET_F_CTRL_VLAN) : 0;
    bits |= f->ctrl_mac_addr || !ours ? BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) : 0;
    bits |= f->ctrl_rx_extra && ours ? BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) : 0;
    bits |= f->ctrl_guest_offloads && ours ? BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) : 0;
    bits |= f->hash && ours && !vn->vhost ? BIT(VIRTIO_NET_F_HASH_REPORT) : 0;
    bits |= f->rss && ours && !vn->vhost ? BIT(VIRTIO_NET_F_RSS) : 0;
    return bits;
}

uint64_t virtio_net_features(VirtioDevice *d)
{
    VirtioNet *vn = virtio_net_of(d);
    const VirtioNetFeatures *f = &vn->config.f;
    uint64_t bits = features_host(vn) | features_guest(vn) | BIT(VIRTIO_F_VERSION_1) |
                    BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_NET_F_STATUS) |
                    BIT(VIRTIO_NET_F_CTRL_VQ) | features_ctrl(vn) | BIT(VIRTIO_NET_F_MTU);

    bits |= vn->has_mac ? BIT(VIRTIO_NET_F_MAC) : 0;
    bits |= f->mrg_rxbuf ? BIT(VIRTIO_NET_F_MRG_RXBUF) : 0;
    bits |= f->mq ? BIT(VIRTIO_NET_F_MQ) : 0;
    bits |= f->guest_announce ? BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) : 0;
    bits |= vn->config.has_speed ? BIT(VIRTIO_NET_F_SPEED_DUPLEX) : 0;
    bits |= f->indirect_desc ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0;
    bits |= f->event_idx ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0;
    bits |= f->packed ? BIT(VIRTIO_F_RING_PACKED) : 0;
    bits |= f->in_order ? BIT(VIRTIO_F_IN_ORDER) : 0;
    bits |= f->queue_reset ? BIT(VIRTIO_F_RING_RESET) : 0;
    return virtio_net_vhost_features(vn, bits);
}

#define GSO (NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_UFO | NETDEV_USO)

/* NetdevOffload bits for what @features let packets to the guest lack. */
static unsigned offload_of(uint64_t features)
{
    unsigned offload = 0;

    if (!(features & BIT(VIRTIO_NET_F_GUEST_CSUM))) {
        return 0;
    }
    offload |= NETDEV_CSUM4 | NETDEV_CSUM6;
    offload |= features & BIT(VIRTIO_NET_F_GUEST_TSO4) ? NETDEV_TSO4 : 0;
    offload |= features & BIT(VIRTIO_NET_F_GUEST_TSO6) ? NETDEV_TSO6 : 0;
    offload |= features & BIT(VIRTIO_NET_F_GUEST_ECN) ? NETDEV_TSO_ECN : 0;
    offload |= features & BIT(VIRTIO_NET_F_GUEST_UFO) ? NETDEV_UFO : 0;
    /* the kernel has both or neither */
    offload |= (features & BIT(VIRTIO_NET_F_GUEST_USO4)) &&
               (features & BIT(VIRTIO_NET_F_GUEST_USO6)) ? NETDEV_USO : 0;
    return offload;
}

bool virtio_net_set_offloads(VirtioNet *vn, uint64_t features, GError **error)
{
    Netdev *peer = vn->env.peer;

    if (!peer->ops->set_offload(peer, offload_of(features), error)) {
        return false;
    }
    vn->offloads = features & features_guest(vn);
    vn->guest_gso = (offload_of(features) & GSO) != 0;
    for (unsigned i = 0; i < vn->dev.n_rings / 2; i++) {
        if (vn->queue[i]) {
            virtio_net_queue_update(vn->queue[i]);
        }
    }
    return true;
}

bool virtio_net_set_features(VirtioDevice *d, uint64_t features, GError **error)
{
    VirtioNet *vn = virtio_net_of(d);

    if (!virtio_net_set_offloads(vn, features, error)) {
        return false;
    }
    vn->features = features;
    virtio_net_ctrl_negotiated(vn->ctrl);
    return true;
}

/* --- config space --- */

/* As in QEMU, whose table has one entry where nothing is steered. */
static void config_of_hash(const VirtioNet *vn, struct virtio_net_config *c)
{
    uint64_t features = features_ctrl(vn);

    if (features & (BIT(VIRTIO_NET_F_HASH_REPORT) | BIT(VIRTIO_NET_F_RSS))) {
        c->rss_max_key_size = VIRTIO_NET_HASH_KEY;
        c->rss_max_indirection_table_length =
            features & BIT(VIRTIO_NET_F_RSS) ? VIRTIO_NET_RSS_TABLE : 1;
        c->supported_hash_types = VIRTIO_NET_HASH_TYPES;
    }
}

void virtio_net_get_config(VirtioDevice *d, uint32_t offset, uint8_t *ret, uint32_t len)
{
    VirtioNet *vn = virtio_net_of(d);
    struct virtio_net_config c = {
        .status = vn->status,
        .max_virtqueue_pairs = (uint16_t)(d->n_rings / 2),
        .mtu = vn->config.host_mtu ? vn->config.host_mtu : (uint16_t)vn->env.peer->mtu,
        .speed = vn->config.has_speed ? vn->config.speed : UINT32_MAX, /* unknown */
        .duplex = vn->config.has_speed ? vn->config.duplex : UINT8_MAX,
    };
    uint32_t there = offset < sizeof(c) ? MIN(len, (uint32_t)sizeof(c) - offset) : 0;

    config_of_hash(vn, &c);
    memcpy(c.mac, vn->mac, sizeof(c.mac));
    memset(ret, 0, len);
    if (there > 0) {
        memcpy(ret, (const uint8_t *)&c + offset, there);
    }
}

/* Legacy drivers write their MAC address here, some of them byte by byte. */
bool virtio_net_set_config(VirtioDevice *d, uint32_t offset, const uint8_t *data,
                           uint32_t len)
{
    VirtioNet *vn = virtio_net_of(d);
    uint64_t modern = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

    if (!vn->ctrl && (offset != 0 || len != sizeof(vn->mac))) {
        return false;
    }
    if (offset >= sizeof(vn->mac) || len > sizeof(vn->mac) - offset ||
        (vn->ctrl && (vn->features & modern))) {
        return false;
    }
    memcpy(vn->mac + offset, data, len);
    virtio_net_ctrl_set_mac(vn->ctrl);
    return true;
}

bool virtio_net_check_mtu(const VirtioNet *vn, uint16_t mtu, GError **error)
{
    if (mtu < ETH_MIN_MTU || (mtu > vn->env.peer->mtu && !vn->env.peer->mtu_is_nics)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "the guest's MTU of %u does not fit the netdev's of %u", mtu,
                    vn->env.peer->mtu);
        return false;
    }
    return true;
}

bool virtio_net_set_mtu(VirtioDevice *d, uint16_t mtu, GError **error)
{
    VirtioNet *vn = virtio_net_of(d);

    if (!virtio_net_check_mtu(vn, mtu, error)) {
        return false;
    }
    vn->config.host_mtu = mtu;
    return true;
}
