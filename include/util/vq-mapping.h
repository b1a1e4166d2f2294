/*
 * iothread-vq-mapping=[{"iothread":"io0","vqs":[0,1]},...]: which iothread is for which
 * queues, as a device's option.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_VQ_MAPPING_H
#define UTIL_VQ_MAPPING_H

#include "util/options.h"

typedef struct VqMapping {
    char *iothread;
    GArray *vqs; /* of uint16_t; NULL when "vqs" is absent */
} VqMapping;

/* The .item of an OPT_LIST: a VqMapping *. */
extern const OptMember vq_mapping_item;

#endif
