/*
 * -device virtio-net-pci: a virtio-net on a machine's PCI bus, whose guest a qtest client plays.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_PCI_H
#define HW_NET_VIRTIO_NET_PCI_H

#include "util/options.h"
#include "virtio-net-nic.h"

typedef struct VirtioNetPciConfig {
    VirtioNetNicConfig nic;
    char *addr;          /* NULL: the first free slot */
    bool has_vectors;
    uint32_t vectors;
    OnOffAuto disable_legacy;
    bool disable_modern;
} VirtioNetPciConfig;

extern const OptTable virtio_net_pci_options;

#endif
