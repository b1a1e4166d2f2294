/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYSTEM_TABLES_H
#define SYSTEM_TABLES_H

#include "hw/core/device.h"
#include "system.h"

/* Each ends with NULL. */
extern const DeviceClass *const system_classes[];
extern const DeviceBus *const system_buses[];
extern const DeviceBackendKind *const system_backends[];

/* Each registers commands, events and what else a part of the program has for QMP. */
typedef void SystemQmpRegister(System *s);
extern SystemQmpRegister *const system_qmp[];

#endif
