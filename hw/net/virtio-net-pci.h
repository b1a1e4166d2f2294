/*
 * -device virtio-net-pci: a virtio-net on a machine's PCI bus, whose guest a qtest client plays.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_PCI_H
#define HW_NET_VIRTIO_NET_PCI_H

#include "hw/net/virtio-net.h"
#include "util/options.h"

typedef struct VirtioNetPciConfig {
    char *id;
    char *netdev;
    char *mac;           /* NULL: one that no other device of the class has */
    char *addr;          /* NULL: the first free slot */
    char *iothread;      /* one for all pairs */
    GArray *vq_mapping;  /* iothread-vq-mapping: VqMapping *; NULL: a thread for each pair */
    VirtioNetConfig net;
    bool has_vectors;
    uint32_t vectors;
    int32_t speed;       /* Mbit/s; -1: unknown */
    char *duplex;
    OnOffAuto disable_legacy;
    bool disable_modern;
} VirtioNetPciConfig;

extern const OptTable virtio_net_pci_options;

#endif
