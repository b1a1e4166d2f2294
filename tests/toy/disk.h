/*
 * A disk that nobody reads: it has a block node, with the locks of one that writes or does not, and
 * counts what it is told to have done.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TOY_DISK_H
#define TESTS_TOY_DISK_H

#include "hw/core/device.h"

extern const DeviceClass disk_class;

#endif
