/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYSTEM_VQ_MAPPING_H
#define SYSTEM_VQ_MAPPING_H

#include "system.h"

/*
 * Fills @threads, of @n_queues NULLs, from one of @iothread and @mapping (the other is
 * NULL, or it is an error). The iothreads that are used are added to @users.
 */
bool vq_mapping_resolve(System *s, const char *iothread, const GPtrArray *mapping,
                        unsigned n_queues, IoThread **threads, GPtrArray *users, GError **error);

#endif
