/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/block/xen-blkback.h"
#include "util/vq-mapping.h"

#define OFF(m) offsetof(XenBlkbackConfig, m)

/* As XenBlkbackKind. */
static const char *const kind_names[] = { "qdisk", "vbd", NULL };
static const OptEnum kind_enum = { "XenDiskBackendType", kind_names };

static const OptMember members[] = {
    { "id", OPT_STR, OFF(id), .help = "name of the device" },
    { "drive", OPT_STR, OFF(drive), .required = true,
      .help = "node-name of a block node, or ID of a drive" },
    { "vdev", OPT_STR, OFF(vdev),
      .help = "the disk's name in the guest: xvda, sdb, hdc, d5 or a number (a free xvd if "
              "absent)" },
    { "frontend-id", OPT_INT32, OFF(frontend_id), .def = "-1",
      .help = "domain id of the guest, -1: as -xen-domid says" },
    { "backend-type", OPT_ENUM, OFF(backend_type), .values = &kind_enum, .def = "qdisk",
      .help = "qdisk, or vbd, which Linux' blkback takes for its own where it is loaded" },
    { "iothread", OPT_STR, OFF(iothread), .help = "ID of the iothread for all queues" },
    { "iothread-vq-mapping", OPT_LIST, OFF(vq_mapping), .item = &vq_mapping_item,
      .help = "iothreads for queues (JSON: [{\"iothread\":ID,\"vqs\":[N,...]},...])" },
    { "num-queues", OPT_UINT16, OFF(num_queues), .def = "0",
      .help = "rings that the guest may have, 0: one for each processor, up to 8" },
    { "max-ring-page-order", OPT_UINT16, OFF(max_ring_page_order), .def = "4",
      .help = "a ring has up to 2 to the power of it pages" },
    { "max-indirect-segments", OPT_UINT16, OFF(max_indirect_segments), .def = "256",
      .help = "pages of the largest request, 0: no indirect requests, which leaves 11" },
    { "persistent-grants", OPT_BOOL, OFF(persistent_grants), .def = "on",
      .help = "pages of the guest stay mapped, if it does its part; off: data is copied" },
    { "share-rw", OPT_BOOL, OFF(share_rw), .def = "off",
      .help = "others may write to the image, too" },
    { "removable", OPT_BOOL, OFF(removable), .def = "off",
      .help = "the guest is told that the medium may change" },
    { "logical_block_size", OPT_UINT32, OFF(logical_block_size), .def = "512",
      .help = "the least that the guest reads or writes; other guests than Linux may take sizes "
              "wrongly if it is not 512" },
    { "physical_block_size", OPT_UINT32, OFF(physical_block_size), .def = "0",
      .help = "what is best written at once, 0: as the image has it" },
    { "discard_granularity", OPT_UINT32, OFF(discard_granularity), .def = "0",
      .help = "what is discarded at once, 0: as the image has it" },
    { "bootindex", OPT_INT32, 0, .ignored = true, .help = "accepted, no effect" },
    { "min_io_size", OPT_UINT32, 0, .ignored = true, .help = "accepted, no effect" },
    { "opt_io_size", OPT_UINT32, 0, .ignored = true, .help = "accepted, no effect" },
    { "write-cache", OPT_ON_OFF_AUTO, 0, .ignored = true, .help = "accepted, no effect" },
    { NULL },
};

const OptTable xen_disk_options = {
    .name = "xen-disk",
    .size = sizeof(XenBlkbackConfig),
    .members = members,
};

const OptTable xen_cdrom_options = {
    .name = "xen-cdrom",
    .size = sizeof(XenBlkbackConfig),
    .members = members,
};
