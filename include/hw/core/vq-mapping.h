/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HW_CORE_VQ_MAPPING_H
#define HW_CORE_VQ_MAPPING_H

#include "hw/core/device.h"
#include "util/vq-mapping.h"

/*
 * Fills @threads, one NULL for each of @n_queues queues, from one of @iothread and @mapping
 * (not both, that is an error; with neither it stays as it is). The iothreads are in use
 * until the device is freed.
 */
bool vq_mapping_resolve(Device *d, unsigned n_queues, const char *iothread,
                        const GArray *mapping, IoThread **threads, GError **error);

#endif
