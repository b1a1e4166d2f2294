/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/net/xen-netback.h"
#include "util/vq-mapping.h"

#define OFF(m) offsetof(NetbackConfig, m)

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .help = "name of the device" },
    { "netdev", OPT_STR, OFF(netdev), .help = "ID of the netdev to connect to",
      .required = true },
    { "mac", OPT_MAC, OFF(mac), .help = "the guest's MAC address (made from the domid if absent)" },
    { "idx", OPT_INT32, OFF(idx), .def = "-1",
      .help = "number of the vif in the guest, -1: the first free one" },
    { "iothread", OPT_STR, OFF(iothread), .help = "ID of the iothread for all queues" },
    { "iothread-vq-mapping", OPT_LIST, OFF(vq_mapping), .item = &vq_mapping_item,
      .help = "iothreads for queues (JSON: [{\"iothread\":ID,\"vqs\":[N,...]},...])" },
    { "addr", OPT_STR, 0, .ignored = true, .help = "accepted, no effect" },
    { "mq", OPT_BOOL, 0, .ignored = true, .help = "accepted, no effect" },
    { "vectors", OPT_UINT32, 0, .ignored = true, .help = "accepted, no effect" },
    { "bootindex", OPT_INT32, 0, .ignored = true, .help = "accepted, no effect" },
    { NULL },
};

const OptTable netback_options = {
    .name = "xen-net-device",
    .size = sizeof(NetbackConfig),
    .members = members,
};
