/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYSTEM_VQ_MAPPING_H
#define SYSTEM_VQ_MAPPING_H

#include "device.h"

/* How many queues of @d can have a thread: those of its netdev, at most NETIF_MAX_QUEUES. */
unsigned vq_mapping_queues(const Device *d);

/*
 * Fills @threads, one NULL for each of these queues, from one of @iothread and @mapping
 * (not both, that is an error; with neither it stays as it is). The iothreads are in use
 * until the device is freed.
 */
bool vq_mapping_resolve(Device *d, const char *iothread, const GArray *mapping,
                        IoThread **threads, GError **error);

#endif
