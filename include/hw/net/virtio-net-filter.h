/*
 * Which frames a virtio-net's driver wants (VIRTIO 1.2, 5.1.6.5.1 to 5.1.6.5.3): modes, a table of
 * MAC addresses, a table of VLANs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_FILTER_H
#define HW_NET_VIRTIO_NET_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_NET_FILTER_MACS  64u   /* as QEMU's MAC_TABLE_ENTRIES */
#define VIRTIO_NET_FILTER_VLANS 4096u
#define VIRTIO_NET_FILTER_BYTES 16u   /* of a frame that are looked at: up to a first tag */

/*
 * Plain data. The main thread changes its own; what a queue's thread looks at is a copy that does
 * not change.
 */
typedef struct VirtioNetFilter {
    bool promisc, allmulti, alluni;     /* more than the tables say */
    bool nomulti, nouni, nobcast;       /* less */
    bool uni_overflow, multi_overflow;  /* the driver has more addresses than fit: all are taken */
    bool by_vlan;                       /* frames with a tag are taken by vlans[] */
    uint8_t mac[6];
    uint8_t n_uni, n_multi;
    uint8_t table[VIRTIO_NET_FILTER_MACS][6]; /* n_uni addresses, then n_multi */
    uint8_t vlans[VIRTIO_NET_FILTER_VLANS / 8];
} VirtioNetFilter;

/* All is wanted, as after a reset. */
void virtio_net_filter_init(VirtioNetFilter *f, const uint8_t mac[6]);

/* Nothing is filtered at all. */
static inline bool virtio_net_filter_is_open(const VirtioNetFilter *f)
{
    return f->promisc;
}

static inline bool virtio_net_filter_has_vlan(const VirtioNetFilter *f, unsigned vid)
{
    return f->vlans[vid / 8] >> (vid % 8) & 1;
}

static inline void virtio_net_filter_set_vlan(VirtioNetFilter *f, unsigned vid, bool on)
{
    f->vlans[vid / 8] = (uint8_t)((f->vlans[vid / 8] & ~(1u << (vid % 8))) |
                                  ((unsigned)on << (vid % 8)));
}

/* Of a frame its first VIRTIO_NET_FILTER_BYTES, with zeros behind its end. Any thread. */
bool virtio_net_filter_takes(const VirtioNetFilter *f, const uint8_t *frame);

#endif
