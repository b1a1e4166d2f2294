/*
 * A line says back what comes in: a device whose guest is whoever connects to its chardev, one at
 * a time. It is on no bus.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TOY_LINE_H
#define TESTS_TOY_LINE_H

#include "hw/core/device.h"

extern const DeviceClass line_class;

#endif
