/*
 * Names of a guest's disks and their numbers: xen-vbd-interface(7), as libxl has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_VDEV_H
#define HW_BLOCK_XEN_VDEV_H

#include <stdbool.h>
#include <stdint.h>

#define XEN_VDEV_MAX (1u << 29) /* numbers are below it */

/*
 * "xvda", "xvda1", "sdb", "hdc", "d0p1", or a number as it is. False: it is none of these, or one
 * that has no number.
 */
bool xen_vdev_parse(const char *name, uint32_t *ret);
/* The whole disk @disk, as "xvda" is 0; below 2^20. */
uint32_t xen_vdev_xvd(uint32_t disk);
/* The name of the number; g_free(). Those that no name has are "d" and the number. */
char *xen_vdev_name(uint32_t number);

#endif
