/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/net/xen-netfront.h"

#define OFF(m) offsetof(NetfrontConfig, m)

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .help = "name of the device" },
    { "netdev", OPT_STR, OFF(netdev), .help = "ID of the netdev to connect to",
      .required = true },
    { "idx", OPT_INT32, OFF(idx), .def = "0", .help = "number of the vif in this domain" },
    { "queues", OPT_UINT32, OFF(queues), .def = "0",
      .help = "use at most so many queues, 0: as many as the netdev has" },
    { "split-event-channels", OPT_BOOL, OFF(split_event_channels), .def = "on",
      .help = "two event channels a queue, if the backend can" },
    { "sg", OPT_BOOL, OFF(sg), .def = "on", .help = "packets of more than one page" },
    { "gso", OPT_BOOL, OFF(gso), .def = "on", .help = "TCP packets of up to 64 KiB" },
    { "csum", OPT_BOOL, OFF(csum), .def = "on", .help = "IPv4 checksum offload" },
    { "ipv6-csum", OPT_BOOL, OFF(ipv6_csum), .def = "on", .help = "IPv6 checksum offload" },
    { "rx-notify", OPT_BOOL, OFF(rx_notify), .def = "on",
      .help = "tell the backend of new receive buffers" },
    { NULL },
};

const OptTable netfront_options = {
    .name = "xen-netfront",
    .size = sizeof(NetfrontConfig),
    .members = members,
};
