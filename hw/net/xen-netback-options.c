/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/net/xen-netback.h"
#include "util/vq-mapping.h"

#define OFF(m) offsetof(NetbackConfig, m)

/* As NetbackCopy. */
static const char *const copy_names[] = { "ioctl", "hypercall", NULL };
static const OptEnum copy_enum = { "GrantCopy", copy_names };

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .help = "name of the device" },
    { "netdev", OPT_STR, OFF(netdev), .help = "ID of the netdev to connect to",
      .required = true },
    { "mac", OPT_MAC, OFF(mac), .help = "the guest's MAC address (made of its uuid if absent)" },
    { "idx", OPT_INT32, OFF(idx), .def = "-1",
      .help = "number of the vif in the guest, -1: a free one" },
    { "frontend-id", OPT_INT32, OFF(frontend_id), .def = "-1",
      .help = "domain id of the guest, -1: as -xen-domid says" },
    { "iothread", OPT_STR, OFF(iothread), .help = "ID of the iothread for all queues" },
    { "iothread-vq-mapping", OPT_LIST, OFF(vq_mapping), .item = &vq_mapping_item,
      .help = "iothreads for queues (JSON: [{\"iothread\":ID,\"vqs\":[N,...]},...])" },
    { "csum", OPT_BOOL, OFF(csum), .def = "on",
      .help = "packets from the guest may lack their checksum" },
    { "gso", OPT_BOOL, OFF(gso), .def = "on",
      .help = "TCP packets from the guest may be of up to 64 KiB; needs csum" },
    { "host_tso4", OPT_BOOL, OFF(host_tso4), .def = "on", .help = "the same, over IPv4" },
    { "host_tso6", OPT_BOOL, OFF(host_tso6), .def = "on", .help = "the same, over IPv6" },
    { "guest_csum", OPT_BOOL, OFF(guest_csum), .def = "on",
      .help = "packets to the guest may lack their checksum, if it takes them" },
    { "guest_tso4", OPT_BOOL, OFF(guest_tso4), .def = "on",
      .help = "TCP packets over IPv4 to the guest may be of up to 64 KiB; needs guest_csum" },
    { "guest_tso6", OPT_BOOL, OFF(guest_tso6), .def = "on", .help = "the same, over IPv6" },
    { "direct", OPT_BOOL, OFF(direct), .def = "off",
      .help = "packets between vifs that have it on go from guest to guest, past the netdevs" },
    { "grant-copy", OPT_ENUM, OFF(grant_copy), .values = &copy_enum, .def = "ioctl",
      .help = "ioctl, or hypercall: a batch of packets at once, which takes /dev/xen/privcmd" },
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
