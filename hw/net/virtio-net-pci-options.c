/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-net-pci.h"

#include "virtio-net-options.h"

#define OFF(m) offsetof(VirtioNetPciConfig, m)
#define NIC(m) offsetof(VirtioNetPciConfig, nic.m)
#define FEATURE(m) offsetof(VirtioNetPciConfig, nic.net.f.m)
#define IGNORED(name) { name, OPT_ANY, .ignored = true }

static const OptMember members[] = {
    VIRTIO_NET_NIC_MEMBERS(NIC, FEATURE),
    { "addr", OPT_STR, OFF(addr), .help = "slot[.function] of the bus, hexadecimal" },
    { "vectors", OPT_UINT32, OFF(vectors), .has_offset = OFF(has_vectors),
      .help = "MSI-X vectors, by default one for each ring and one more; 0: none" },
    { "disable-legacy", OPT_ON_OFF_AUTO, OFF(disable_legacy),
      .help = "no registers for legacy drivers" },
    { "disable-modern", OPT_BOOL, OFF(disable_modern), .def = "off",
      .help = "only registers for legacy drivers" },
    IGNORED("acpi-index"),
    IGNORED("any_layout"),
    IGNORED("bootindex"),
    IGNORED("ioeventfd"),
    IGNORED("iommu_platform"),
    IGNORED("multifunction"),
    IGNORED("page-per-vq"),
    IGNORED("rombar"),
    IGNORED("romfile"),
    IGNORED("tx"),
    { NULL },
};

const OptTable virtio_net_pci_options = {
    .name = "virtio-net-pci",
    .size = sizeof(VirtioNetPciConfig),
    .members = members,
    .owner = "virtio-net-device", /* which is on QEMU's proxy, and has all but what PCI needs */
};
