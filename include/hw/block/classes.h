/*
 * The classes of this folder, for the table of all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_CLASSES_H
#define HW_BLOCK_CLASSES_H

#include "hw/core/device.h"

extern const DeviceClass xen_disk_class;
extern const DeviceClass xen_cdrom_class;

#endif
