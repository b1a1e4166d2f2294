/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/vq-mapping.h"

static const OptMember vqs_item = { .type = OPT_UINT16 };

static const OptMember members[] = {
    { "iothread", OPT_STR, offsetof(VqMapping, iothread), .required = true,
      .help = "ID of the iothread" },
    { "vqs", OPT_LIST, offsetof(VqMapping, vqs), .item = &vqs_item,
      .help = "its queues; absent: the iothreads take turns" },
    { 0 },
};
static const OptTable table = { "IOThreadVirtQueueMapping", sizeof(VqMapping), members };

const OptMember vq_mapping_item = { .type = OPT_STRUCT, .table = &table };
