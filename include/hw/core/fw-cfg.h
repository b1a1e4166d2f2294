/*
 * QEMU's firmware configuration device, by which firmware, and tests that play it, learn what the
 * machine has: items of bytes, each with a key, some of them named files.
 * Source: "QEMU Firmware Configuration (fw_cfg) Device" in the specifications of QEMU's manual.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_FW_CFG_H
#define HW_CORE_FW_CFG_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/core/address-space.h"

typedef struct FwCfg FwCfg;

/* Keys of QEMU's. FW_CFG_SIGNATURE and FW_CFG_ID are there from the start. */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
};

#define FW_CFG_FILES    32 /* at most, as QEMU's machines have it */
#define FW_CFG_NAME_MAX 55 /* bytes of a file's name */
#define FW_CFG_DMA_MAX  (16u << 20) /* of one transfer; QEMU has no limit */

/* Where transfers of the device's own go: @memory, which outlives it. Nothing is mapped yet. */
FwCfg *fw_cfg_new(AddressSpace *memory);
void fw_cfg_free(FwCfg *f); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FwCfg, fw_cfg_free)

/* As a PC has it: ports 0x510 (key), 0x511 (data) and 0x514 (transfers). */
void fw_cfg_map_ports(FwCfg *f, AddressSpace *ports);
/* As ARM's virt has it: data at @base, the key at 8 behind it, transfers at 16. */
void fw_cfg_map_memory(FwCfg *f, uint64_t base);

/* An item that a machine has, little-endian; each @key once. @data is copied. */
void fw_cfg_add(FwCfg *f, uint16_t key, const void *data, size_t len);
void fw_cfg_add_u16(FwCfg *f, uint16_t key, uint16_t value);
void fw_cfg_add_u64(FwCfg *f, uint16_t key, uint64_t value);
/* Up to FW_CFG_FILES, each @name once; keys are in the names' order. */
void fw_cfg_add_file(FwCfg *f, const char *name, const void *data, size_t len);

#endif
