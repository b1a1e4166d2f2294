/*
 * Which frames a driver wants. The order of the rules is QEMU's: a promiscuous one gets all, VLANs
 * come before addresses, and "no" before "all".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/net/virtio-net-filter.h"

#include <linux/if_ether.h>
#include <string.h>

#define VID_MASK 0xfffu

void virtio_net_filter_init(VirtioNetFilter *f, const uint8_t mac[6])
{
    memset(f, 0, sizeof(*f));
    f->promisc = true;
    memcpy(f->mac, mac, sizeof(f->mac));
}

static bool filter_has_mac(const VirtioNetFilter *f, unsigned from, unsigned n,
                           const uint8_t *mac)
{
    for (unsigned i = from; i < from + n; i++) {
        if (memcmp(f->table[i], mac, ETH_ALEN) == 0) {
            return true;
        }
    }
    return false;
}

static bool filter_takes_group(const VirtioNetFilter *f, const uint8_t *mac)
{
    static const uint8_t all[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (memcmp(mac, all, ETH_ALEN) == 0) {
        return !f->nobcast;
    }
    return !f->nomulti && (f->allmulti || f->multi_overflow ||
                           filter_has_mac(f, f->n_uni, f->n_multi, mac));
}

bool virtio_net_filter_takes(const VirtioNetFilter *f, const uint8_t *frame)
{
    if (f->promisc) {
        return true;
    }
    if (f->by_vlan && frame[12] == ETH_P_8021Q >> 8 && frame[13] == (ETH_P_8021Q & 0xff) &&
        !virtio_net_filter_has_vlan(f, (((unsigned)frame[14] << 8) | frame[15]) & VID_MASK)) {
        return false;
    }
    if (frame[0] & 1) {
        return filter_takes_group(f, frame);
    }
    return !f->nouni && (f->alluni || f->uni_overflow || memcmp(f->mac, frame, ETH_ALEN) == 0 ||
                         filter_has_mac(f, 0, f->n_uni, frame));
}
