/*
 * Options that each class has which is a virtio-net, with the same defaults.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_OPTIONS_H
#define HW_NET_VIRTIO_NET_OPTIONS_H

#include "hw/net/virtio-net.h"
#include "util/options.h"
#include "util/vq-mapping.h"

/* @at: the offset in the class's config of a member of VirtioNetFeatures. */
#define VIRTIO_NET_OFFLOAD_MEMBERS(at) \
    { "csum", OPT_BOOL, at(csum), .def = "on", \
      .help = "packets from the guest may lack their checksum" }, \
    { "gso", OPT_BOOL, at(gso), .def = "on", \
      .help = "the old way to say host_tso4 and host_tso6 to the guest" }, \
    { "host_tso4", OPT_BOOL, at(host_tso4), .def = "on", \
      .help = "TCP packets over IPv4 from the guest may be of up to 64 KiB; needs csum" }, \
    { "host_tso6", OPT_BOOL, at(host_tso6), .def = "on", .help = "as host_tso4, over IPv6" }, \
    { "host_ecn", OPT_BOOL, at(host_ecn), .def = "on", \
      .help = "TCP packets to be segmented may have congestion notification" }, \
    { "host_ufo", OPT_BOOL, at(host_ufo), .def = "on", \
      .help = "UDP packets from the guest may be fragmented here" }, \
    { "host_uso", OPT_BOOL, at(host_uso), .def = "on", \
      .help = "UDP packets from the guest may be segmented here, where the netdev can" }, \
    { "guest_csum", OPT_BOOL, at(guest_csum), .def = "on", \
      .help = "packets to the guest may lack their checksum, if it takes them" }, \
    { "guest_tso4", OPT_BOOL, at(guest_tso4), .def = "on", \
      .help = "TCP packets over IPv4 to the guest may be of up to 64 KiB; needs guest_csum" }, \
    { "guest_tso6", OPT_BOOL, at(guest_tso6), .def = "on", \
      .help = "as guest_tso4, over IPv6" }, \
    { "guest_ecn", OPT_BOOL, at(guest_ecn), .def = "on", \
      .help = "TCP packets still to be segmented may have congestion notification" }, \
    { "guest_ufo", OPT_BOOL, at(guest_ufo), .def = "on", \
      .help = "UDP packets to the guest may still be to be fragmented" }, \
    { "guest_uso4", OPT_BOOL, at(guest_uso4), .def = "on", \
      .help = "UDP packets over IPv4 to the guest may still be to be segmented" }, \
    { "guest_uso6", OPT_BOOL, at(guest_uso6), .def = "on", \
      .help = "as guest_uso4, over IPv6" }, \
    { "mrg_rxbuf", OPT_BOOL, at(mrg_rxbuf), .def = "on", \
      .help = "a packet to the guest may take several of its buffers" }, \
    { "guest_announce", OPT_BOOL, at(guest_announce), .def = "on", \
      .help = "the guest may announce itself after a migration" }, \
    { "indirect_desc", OPT_BOOL, at(indirect_desc), .def = "on", \
      .help = "descriptors may be in tables of their own" }, \
    { "event_idx", OPT_BOOL, at(event_idx), .def = "on", \
      .help = "notifications are asked for by ring index" }, \
    { "queue_reset", OPT_BOOL, at(queue_reset), .def = "on", \
      .help = "a queue may be reset alone" }

/*
 * And those of each that has registers. @at: the offset of a member of VirtioNetNicConfig,
 * @feature: of one of its net.f.
 */
#define VIRTIO_NET_NIC_MEMBERS(at, feature) \
    { "id", OPT_STR, at(id), .help = "name of the device" }, \
    { "netdev", OPT_STR, at(netdev), .help = "ID of the netdev to connect to", \
      .required = true }, \
    { "mac", OPT_MAC, at(mac), .help = "MAC address, by default from 52:54:00:12:34:56 on" }, \
    { "mq", OPT_BOOL, at(net.f.mq), .def = "off", \
      .help = "a queue pair for each queue of the netdev" }, \
    { "rx_queue_size", OPT_UINT16, at(net.rx_queue_size), .def = "256", \
      .help = "longest rx ring, a power of 2 from 256 to 1024" }, \
    { "tx_queue_size", OPT_UINT16, at(net.tx_queue_size), .def = "256", \
      .help = "longest tx ring, a power of 2 from 256 to 1024" }, \
    { "host_mtu", OPT_UINT16, at(net.host_mtu), .help = "MTU that is told to the guest" }, \
    { "speed", OPT_INT32, at(speed), .def = "-1", \
      .help = "of the link, in Mbit/s; -1: unknown" }, \
    { "duplex", OPT_STR, at(duplex), .help = "of the link: half or full" }, \
    { "iothread", OPT_STR, at(iothread), .help = "ID of the iothread for all queue pairs" }, \
    { "iothread-vq-mapping", OPT_LIST, at(vq_mapping), .item = &vq_mapping_item, \
      .help = "iothreads for queue pairs (JSON: [{\"iothread\":ID,\"vqs\":[N,...]},...])" }, \
    { "ctrl_rx", OPT_BOOL, at(net.f.ctrl_rx), .def = "on", \
      .help = "the guest may say which frames it wants" }, \
    { "ctrl_rx_extra", OPT_BOOL, at(net.f.ctrl_rx_extra), .def = "on", \
      .help = "and more of that" }, \
    { "ctrl_vlan", OPT_BOOL, at(net.f.ctrl_vlan), .def = "on", \
      .help = "the guest may say which VLANs it wants" }, \
    { "ctrl_mac_addr", OPT_BOOL, at(net.f.ctrl_mac_addr), .def = "on", \
      .help = "the guest may set its MAC address" }, \
    { "ctrl_guest_offloads", OPT_BOOL, at(net.f.ctrl_guest_offloads), .def = "on", \
      .help = "the guest may switch offloads at run time" }, \
    { "hash", OPT_BOOL, at(net.f.hash), .def = "off", \
      .help = "the guest may have the hash of each packet" }, \
    { "rss", OPT_BOOL, at(net.f.rss), .def = "off", \
      .help = "the guest may say by its hash which queue pair has a packet" }, \
    VIRTIO_NET_OFFLOAD_MEMBERS(feature), \
    { "packed", OPT_BOOL, at(net.f.packed), .def = "off", .help = "packed rings" }, \
    { "in_order", OPT_BOOL, at(net.f.in_order), .def = "off", \
      .help = "the guest may rely on buffers that go back in their order" }

#endif
