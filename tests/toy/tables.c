/*
 * The tables of system/tables.c with the toy in them: a row in each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tables.h"

#include "qmp-commands.h"
#include "disk.h"
#include "hw/net/classes.h"
#include "line.h"
#include "toy.h"

const DeviceClass *const system_classes[] = {
    &xen_netback_class,
    &xen_netfront_class,
    &toy_class,
    &line_class,
    &disk_class,
    NULL
};

const DeviceBus *const system_buses[] = {
    &xen_bus,
    &toy_bus,
    NULL
};

const DeviceBackendKind *const system_backends[] = {
    &netdev_backend,
    &chardev_backend,
    &blockdev_backend,
    &toy_spring,
    NULL
};

const SystemAttach system_attach[] = {
    { NULL }
};

SystemQmpRegister *const system_qmp[] = {
    qmp_state_register,
    qmp_objects_register,
    qmp_chardev_register,
    qmp_net_register,
    qmp_block_register,
    qmp_query_block_register,
    qmp_query_blockstats_register,
    qmp_devices_register,
    qmp_query_devices_register,
    qmp_device_events_register,
    qmp_vif_register,
    qmp_qom_register,
    qmp_machine_register,
    qmp_migration_register,
    qmp_options_register,
    toy_qmp_register,
    NULL
};
