/*
 * What a machine without Xen is made of: memory, and the buses by which its devices are reached.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_BOARD_H
#define SYSTEM_BOARD_H

#include <glib.h>
#include <stdbool.h>

#include "hw/core/address-space.h"
#include "hw/core/device.h"
#include "hw/core/fw-cfg.h"
#include "hw/core/irq.h"
#include "hw/pci/pci.h"
#include "hw/virtio/virtio-mmio.h"
#include "qtest/qtest.h"

struct System;

typedef struct Board {
    AddressSpace *memory;
    AddressSpace *ports;
    PciBus *pci;          /* NULL: the machine has none */
    VirtioMmioBus *mmio;  /* the same */
    int ram_fd;
    void *ram;
    size_t ram_size;
    FwCfg *fw_cfg;
    IrqLines *irq;        /* inputs of the interrupt controller; NULL: the machine has none */
    QtestIrqs irqs[3];    /* the same, as a test names it; ends with a NULL path */
} Board;

extern const DeviceBus board_pci_bus;
extern const DeviceBus board_mmio_bus;

/* s->board, if the machine has one; before there are devices. */
bool board_open(struct System *s, GError **error);
bool board_clear_ram(Board *b, GError **error); /* all of it is zero */
void board_close(struct System *s); /* after the devices */

#endif
