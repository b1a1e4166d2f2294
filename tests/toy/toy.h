/*
 * A type of devices that nobody needs: it shows what a new one takes. A bus, a kind of back
 * end, options, counters, a life, and a command of its own; all of it is here, and a row in
 * each table of tables.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TOY_TOY_H
#define TESTS_TOY_TOY_H

#include "hw/core/device.h"

struct System;

extern const DeviceClass toy_class;
extern const DeviceBus toy_bus;            /* a box, always there */
extern const DeviceBackendKind toy_spring; /* spring0 and spring1 are there */
void toy_qmp_register(struct System *s);          /* toy-wind */

#endif
