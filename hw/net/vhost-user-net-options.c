/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost-user-net.h"

#include "util/vq-mapping.h"
#include "virtio-net-options.h"

#define OFF(m) offsetof(VhostUserNetConfig, m)
#define FEATURE(m) offsetof(VhostUserNetConfig, net.f.m)

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .help = "name of the device" },
    { "chardev", OPT_STR, OFF(chardev), .help = "ID of the socket on which the VMM is",
      .required = true },
    { "netdev", OPT_STR, OFF(netdev), .help = "ID of the netdev to connect to",
      .required = true },
    { "mac", OPT_MAC, OFF(mac), .help = "the guest's MAC address, for a VMM that asks for it" },
    { "host_mtu", OPT_UINT16, OFF(net.host_mtu), .help = "MTU that is told to the guest" },
    { "iothread", OPT_STR, OFF(iothread), .help = "ID of the iothread for all queue pairs" },
    { "iothread-vq-mapping", OPT_LIST, OFF(vq_mapping), .item = &vq_mapping_item,
      .help = "iothreads for queue pairs (JSON: [{\"iothread\":ID,\"vqs\":[N,...]},...])" },
    { "mq", OPT_BOOL, FEATURE(mq), .def = "on",
      .help = "a queue pair for each queue of the netdev" },
    VIRTIO_NET_OFFLOAD_MEMBERS(FEATURE),
    { "packed", OPT_BOOL, FEATURE(packed), .def = "on",
      .help = "packed rings, if the VMM wants them" },
    { "in_order", OPT_BOOL, FEATURE(in_order), .def = "on",
      .help = "buffers go back in their order" },
    { NULL },
};

const OptTable vhost_user_net_options = {
    .name = "vhost-user-net",
    .size = sizeof(VhostUserNetConfig),
    .members = members,
};
