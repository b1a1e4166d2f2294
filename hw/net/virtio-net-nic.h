/*
 * A virtio-net whose driver has registers: what the classes on PCI and MMIO have in common. Main
 * thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_NIC_H
#define HW_NET_VIRTIO_NET_NIC_H

#include "hw/core/device.h"
#include "hw/net/nic.h"
#include "hw/net/virtio-net.h"
#include "util/options.h"

/* Options of both: VIRTIO_NET_NIC_MEMBERS(). */
typedef struct VirtioNetNicConfig {
    char *id;
    char *netdev;
    char *mac;           /* NULL: one that no other device of the class has */
    char *iothread;      /* one for all pairs */
    GArray *vq_mapping;  /* iothread-vq-mapping: VqMapping *; NULL: a thread for each pair */
    VirtioNetConfig net;
    int32_t speed;       /* Mbit/s; -1: unknown */
    char *duplex;
} VirtioNetNicConfig;

/* What the class's impl begins with; zeroed before virtio_net_nic_init(). */
typedef struct VirtioNetNic {
    Device *d;
    VirtioNet *net;
    bool told;         /* that its driver has it */
    char *error;       /* why its driver has to begin anew */
} VirtioNetNic;

extern const NicOps virtio_net_nic_ops;

bool virtio_net_nic_check(const VirtioNetNicConfig *c, GError **error);
bool virtio_net_nic_init(VirtioNetNic *n, Device *d, const VirtioNetNicConfig *config,
                         GError **error);
void virtio_net_nic_done(VirtioNetNic *n); /* after the registers; half-built is fine */
void virtio_net_nic_info(const VirtioNetNic *n, bool has_driver, DeviceInfo *ret_info);

/* Events of the registers, whose opaque is the impl. */
void virtio_net_nic_rings(void *opaque, unsigned running);
void virtio_net_nic_warned(void *opaque, const char *text);

#endif
