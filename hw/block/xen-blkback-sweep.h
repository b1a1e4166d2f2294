/*
 * Records of requests of domains that are gone: nobody will ever go on with them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_SWEEP_H
#define HW_BLOCK_XEN_BLKBACK_SWEEP_H

#include "hw/xen/xen-store.h"

/* As xen_blkback_sweep(), in the directory @dir, a descriptor that is closed. */
unsigned xen_blkback_sweep_dir(int dir, XenStore *s);

#endif
