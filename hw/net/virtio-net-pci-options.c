/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-net-pci.h"

#include "util/vq-mapping.h"
#include "virtio-net-options.h"

#define OFF(m) offsetof(VirtioNetPciConfig, m)
#define FEATURE(m) offsetof(VirtioNetPciConfig, net.f.m)
#define IGNORED(name) { name, OPT_ANY, .ignored = true }

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .help = "name of the device" },
    { "netdev", OPT_STR, OFF(netdev), .help = "ID of the netdev to connect to",
      .required = true },
    { "mac", OPT_MAC, OFF(mac), .help = "MAC address, by default from 52:54:00:12:34:56 on" },
    { "addr", OPT_STR, OFF(addr), .help = "slot[.function] of the bus, hexadecimal" },
    { "mq", OPT_BOOL, FEATURE(mq), .def = "off",
      .help = "a queue pair for each queue of the netdev" },
    { "vectors", OPT_UINT32, OFF(vectors), .has_offset = OFF(has_vectors),
      .help = "MSI-X vectors, by default one for each ring and one more; 0: none" },
    { "rx_queue_size", OPT_UINT16, OFF(net.rx_queue_size), .def = "256",
      .help = "longest rx ring, a power of 2 from 256 to 1024" },
    { "tx_queue_size", OPT_UINT16, OFF(net.tx_queue_size), .def = "256",
      .help = "longest tx ring, a power of 2 from 256 to 1024" },
    { "host_mtu", OPT_UINT16, OFF(net.host_mtu), .help = "MTU that is told to the guest" },
    { "speed", OPT_INT32, OFF(speed), .def = "-1", .help = "of the link, in Mbit/s; -1: unknown" },
    { "duplex", OPT_STR, OFF(duplex), .help = "of the link: half or full" },
    { "disable-legacy", OPT_ON_OFF_AUTO, OFF(disable_legacy),
      .help = "no registers for legacy drivers" },
    { "disable-modern", OPT_BOOL, OFF(disable_modern), .def = "off",
      .help = "only registers for legacy drivers" },
    { "iothread", OPT_STR, OFF(iothread), .help = "ID of the iothread for all queue pairs" },
    { "iothread-vq-mapping", OPT_LIST, OFF(vq_mapping), .item = &vq_mapping_item,
      .help = "iothreads for queue pairs (JSON: [{\"iothread\":ID,\"vqs\":[N,...]},...])" },
    { "ctrl_rx", OPT_BOOL, FEATURE(ctrl_rx), .def = "on",
      .help = "the guest may say which frames it wants" },
    { "ctrl_rx_extra", OPT_BOOL, FEATURE(ctrl_rx_extra), .def = "on",
      .help = "and more of that" },
    { "ctrl_vlan", OPT_BOOL, FEATURE(ctrl_vlan), .def = "on",
      .help = "the guest may say which VLANs it wants" },
    { "ctrl_mac_addr", OPT_BOOL, FEATURE(ctrl_mac_addr), .def = "on",
      .help = "the guest may set its MAC address" },
    { "ctrl_guest_offloads", OPT_BOOL, FEATURE(ctrl_guest_offloads), .def = "on",
      .help = "the guest may switch offloads at run time" },
    { "hash", OPT_BOOL, FEATURE(hash), .def = "off",
      .help = "the guest may have the hash of each packet" },
    VIRTIO_NET_OFFLOAD_MEMBERS(FEATURE),
    { "packed", OPT_BOOL, FEATURE(packed), .def = "off", .help = "packed rings" },
    { "in_order", OPT_BOOL, FEATURE(in_order), .def = "off",
      .help = "the guest may rely on buffers that go back in their order" },
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
