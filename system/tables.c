/*
 * What the program is made of: a class, a bus or a kind of back end is a row here, and what
 * is named by it lies in a folder of its own. A program with other tables is another one,
 * as tests/toy shows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tables.h"

#include "announce.h"
#include "hw/block/classes.h"
#include "hw/block/xen-blkback.h"
#include "hw/net/classes.h"
#include "inert-devices.h"
#include "qmp-commands.h"

const DeviceClass *const system_classes[] = {
    &vhost_user_net_class,
    &virtio_net_device_class,
    &virtio_net_pci_class,
    &xen_cdrom_class,
    &xen_disk_class,
    &xen_netback_class,
    &xen_netfront_class,
    &inert_balloon,
    &inert_cirrus_vga,
    &inert_ehci,
    &inert_i6300esb,
    &inert_isa_serial,
    &inert_pci_bridge,
    &inert_piix3_uhci,
    &inert_pvpanic,
    &inert_qemu_xhci,
    &inert_rng,
    &inert_serial,
    &inert_serialport,
    &inert_uhci1,
    &inert_uhci2,
    &inert_uhci3,
    &inert_usb_kbd,
    &inert_usb_mouse,
    &inert_usb_tablet,
    &inert_vga,
    &inert_virtconsole,
    NULL
};

const DeviceBus *const system_buses[] = {
    &xen_bus,
    &board_pci_bus,
    &board_mmio_bus,
    NULL
};

const DeviceBackendKind *const system_backends[] = {
    &netdev_backend,
    &chardev_backend,
    &blockdev_backend,
    NULL
};

const SystemAttach system_attach[] = {
    { &xen_blkback_bus[XEN_BLKBACK_QDISK], NULL, disk_attach },
    { &xen_blkback_bus[XEN_BLKBACK_VBD], "/sys/bus/xen-backend/drivers/vbd", disk_attach },
    { NULL }
};

SystemQmpRegister *const system_qmp[] = {
    qmp_state_register,
    qmp_objects_register,
    qmp_chardev_register,
    qmp_net_register,
    qmp_rx_filter_register,
    qmp_announce_register,
    qmp_block_register,
    qmp_query_block_register,
    qmp_query_blockstats_register,
    qmp_devices_register,
    qmp_query_devices_register,
    qmp_device_events_register,
    qmp_vif_register,
    qmp_qom_register,
    qmp_fd_sets_register,
    qmp_guest_register,
    hmp_register,
    qmp_machine_register,
    qmp_migration_register,
    qmp_options_register,
    NULL
};
