/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYSTEM_TABLES_H
#define SYSTEM_TABLES_H

#include "hw/core/device.h"
#include "hw/xen/xenbus-attach.h"
#include "system.h"

/* Each ends with NULL. */
extern const DeviceClass *const system_classes[];
extern const DeviceBus *const system_buses[];
extern const DeviceBackendKind *const system_backends[];

/* A kind of backends whose devices -xen-attach makes as a toolstack makes their nodes. */
typedef struct SystemAttach {
    const XenbusBackOps *back;
    /* Linux' own backend of the kind, in sysfs: where it is, the devices are its. NULL: none */
    const char *rival;
    /* The device @idx of the guest, whose backend's directory @be is. */
    bool (*attach)(System *s, const char *kind, unsigned idx, const char *be, GError **error);
} SystemAttach;

/* Ends with a NULL back. */
extern const SystemAttach system_attach[];

/* Each registers commands, events and what else a part of the program has for QMP. */
typedef void SystemQmpRegister(System *s);
extern SystemQmpRegister *const system_qmp[];

#endif
