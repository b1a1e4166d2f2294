/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYSTEM_INERT_DEVICES_H
#define SYSTEM_INERT_DEVICES_H

#include "hw/core/device.h"

#define INERT_CATEGORY "Inert"

extern const DeviceClass inert_balloon;
extern const DeviceClass inert_cirrus_vga;
extern const DeviceClass inert_ehci;
extern const DeviceClass inert_i6300esb;
extern const DeviceClass inert_isa_serial;
extern const DeviceClass inert_pci_bridge;
extern const DeviceClass inert_piix3_uhci;
extern const DeviceClass inert_pvpanic;
extern const DeviceClass inert_qemu_xhci;
extern const DeviceClass inert_rng;
extern const DeviceClass inert_serial;
extern const DeviceClass inert_serialport;
extern const DeviceClass inert_uhci1;
extern const DeviceClass inert_uhci2;
extern const DeviceClass inert_uhci3;
extern const DeviceClass inert_usb_kbd;
extern const DeviceClass inert_usb_mouse;
extern const DeviceClass inert_usb_tablet;
extern const DeviceClass inert_vga;
extern const DeviceClass inert_virtconsole;

#endif
