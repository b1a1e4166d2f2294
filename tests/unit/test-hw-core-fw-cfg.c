/*
 * fw_cfg, as firmware reads it. What the registers answer was compared with QEMU 7.2's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/fw-cfg.h"

#include <string.h>

#define RAM      0x10000
#define REGS     0x20000 /* where memory has the registers */
#define KEY_PORT 0x510
#define DMA_PORT 0x514
#define NO_KEY   (FW_CFG_FILE_FIRST + FW_CFG_FILES)

enum { READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

typedef struct Fixture {
    AddressSpace *memory;
    AddressSpace *ports;
    uint8_t *ram;
    FwCfg *f;
} Fixture;

static void setup(Fixture *x, gconstpointer data)
{
    x->memory = address_space_new(UINT64_MAX, 0);
    x->ports = address_space_new(UINT16_MAX, 0xff);
    x->ram = g_malloc0(RAM);
    address_space_add_ram(x->memory, &(RamRegion){ .size = RAM, .fd = -1, .host = x->ram });
    x->f = fw_cfg_new(x->memory);
}

static void teardown(Fixture *x, gconstpointer data)
{
    fw_cfg_free(x->f);
    address_space_free(x->memory);
    address_space_free(x->ports);
    g_free(x->ram);
}

static void select_port(Fixture *x, uint16_t key)
{
    uint8_t bytes[] = { (uint8_t)key, (uint8_t)(key >> 8) };

    address_space_write(x->ports, KEY_PORT, bytes, 2);
}

/* @len bytes one by one, as libqos reads them. */
static void read_port(Fixture *x, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        address_space_read(x->ports, KEY_PORT + 1, (uint8_t *)buf + i, 1);
    }
}

static void expect_key(Fixture *x, uint16_t key, const void *bytes, size_t len)
{
    g_autofree uint8_t *got = g_malloc(len);

    select_port(x, key);
    read_port(x, got, len);
    g_assert_cmpmem(got, len, bytes, len);
}

static void test_items(Fixture *x, gconstpointer data)
{
    fw_cfg_map_ports(x->f, x->ports);
    fw_cfg_add_u64(x->f, FW_CFG_RAM_SIZE, 0x123456789aull);
    fw_cfg_add_u16(x->f, FW_CFG_NB_CPUS, 0x0201);
    expect_key(x, FW_CFG_SIGNATURE, "QEMU\0\0", 6);
    expect_key(x, FW_CFG_ID, "\3\0\0\0\0", 5);
    expect_key(x, FW_CFG_RAM_SIZE, "\x9a\x78\x56\x34\x12\0\0\0\0", 9);
    expect_key(x, FW_CFG_NB_CPUS, "\1\2\0", 3);
    expect_key(x, FW_CFG_NB_CPUS | 0x4000, "\1\2\0", 3); /* the bit for writing */
    expect_key(x, FW_CFG_NB_CPUS | 0x8000, "\0\0", 2);   /* of the architecture: none */
    expect_key(x, FW_CFG_UUID, "\0\0", 2);
    expect_key(x, NO_KEY, "\0\0", 2);
    expect_key(x, 0x3fff, "\0\0", 2);
}

/* As QEMU's machine has it at reset, and where an access of another width goes. */
static void test_port_widths(Fixture *x, gconstpointer data)
{
    uint8_t b[2];

    fw_cfg_map_ports(x->f, x->ports);
    read_port(x, b, 1);
    g_assert_cmpint(b[0], ==, 'Q');
    address_space_read(x->ports, KEY_PORT, b, 2);
    g_assert_cmpmem(b, 2, "\0\0", 2);
    address_space_read(x->ports, KEY_PORT, b, 1);
    g_assert_cmpint(b[0], ==, 'E');
    address_space_write(x->ports, KEY_PORT, "\1", 1);
    address_space_write(x->ports, KEY_PORT + 1, "\1", 1);
    read_port(x, b, 1);
    g_assert_cmpint(b[0], ==, 'M');
}

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void test_files(Fixture *x, gconstpointer data)
{
    uint8_t dir[4 + 2 * 64];

    fw_cfg_map_ports(x->f, x->ports);
    expect_key(x, FW_CFG_FILE_DIR, "\0\0\0\0", 4);
    fw_cfg_add_file(x->f, "etc/b", "bcd", 3);
    fw_cfg_add_file(x->f, "etc/a", "", 0);
    select_port(x, FW_CFG_FILE_DIR);
    read_port(x, dir, sizeof(dir));
    g_assert_cmpuint(be32(dir), ==, 2);
    g_assert_cmpmem(dir + 4, 14, "\0\0\0\0\0\x20\0\0etc/a", 14);
    g_assert_cmpmem(dir + 68, 14, "\0\0\0\3\0\x21\0\0etc/b", 14);
    expect_key(x, 0x20, "\0\0", 2);
    expect_key(x, 0x21, "bcd\0", 4);
    expect_key(x, 0x22, "\0\0", 2);
}

static void test_files_fill_up(Fixture *x, gconstpointer data)
{
    fw_cfg_map_ports(x->f, x->ports);
    for (int i = FW_CFG_FILES - 1; i >= 0; i--) {
        g_autofree char *name = g_strdup_printf("%0*d", FW_CFG_NAME_MAX, i);
        uint8_t byte = (uint8_t)(i + 1);

        fw_cfg_add_file(x->f, name, &byte, 1);
    }
    for (int i = 0; i < FW_CFG_FILES; i++) {
        const uint8_t bytes[] = { (uint8_t)(i + 1), 0 };

        expect_key(x, (uint16_t)(FW_CFG_FILE_FIRST + i), bytes, 2);
    }
}

/* --- transfers --- */

static void put_be(uint8_t *at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
}

/* The request at 0x100, by two writes to the ports; what its control is then. */
static uint32_t dma(Fixture *x, uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t at[8];

    put_be(x->ram + 0x100, 4, control);
    put_be(x->ram + 0x104, 4, length);
    put_be(x->ram + 0x108, 8, address);
    put_be(at, 8, 0x100);
    address_space_write(x->ports, DMA_PORT, at, 4);
    g_assert_cmpuint(be32(x->ram + 0x100), ==, control); /* it takes both halves */
    address_space_write(x->ports, DMA_PORT + 4, at + 4, 4);
    return be32(x->ram + 0x100);
}

static void test_dma(Fixture *x, gconstpointer data)
{
    uint8_t signature[8];

    fw_cfg_map_ports(x->f, x->ports);
    fw_cfg_add_file(x->f, "f", "abcdefgh", 8);
    address_space_read(x->ports, DMA_PORT, signature, 8);
    g_assert_cmpmem(signature, 8, "QEMU CFG", 8);
    address_space_read(x->ports, DMA_PORT + 2, signature, 2);
    g_assert_cmpmem(signature, 2, "MU", 2);

    g_assert_cmpuint(dma(x, 0x20 << 16 | SELECT | READ, 3, 0x200), ==, 0);
    g_assert_cmpmem(x->ram + 0x200, 4, "abc", 4);
    g_assert_cmpuint(dma(x, SKIP, 2, 0), ==, 0);
    memset(x->ram + 0x200, 'x', 8);
    g_assert_cmpuint(dma(x, READ, 6, 0x200), ==, 0); /* behind the end there are zeros */
    g_assert_cmpmem(x->ram + 0x200, 7, "fgh\0\0\0x", 7);
    g_assert_cmpuint(dma(x, 0x20 << 16 | SELECT, 9, 0x200), ==, 0); /* no more than that */
    g_assert_cmpmem(x->ram + 0x200, 1, "f", 1);
    g_assert_cmpuint(dma(x, SKIP, UINT32_MAX, 0), ==, 0);
    g_assert_cmpuint(dma(x, READ, 1, 0x200), ==, 0);
    g_assert_cmpmem(x->ram + 0x200, 1, "", 1);
}

static void test_dma_errors(Fixture *x, gconstpointer data)
{
    fw_cfg_map_ports(x->f, x->ports);
    g_assert_cmpuint(dma(x, FW_CFG_ID << 16 | SELECT | WRITE, 4, 0x200), ==, 1);
    expect_key(x, FW_CFG_ID, "\3\0\0\0", 4);
    g_assert_cmpuint(dma(x, WRITE, 0, 0x200), ==, 0);
    g_assert_cmpuint(dma(x, READ, FW_CFG_DMA_MAX + 1, 0x200), ==, 1);
    g_assert_cmpuint(dma(x, READ, UINT32_MAX, 0x200), ==, 1);
    g_assert_cmpuint(dma(x, READ, 0x2000, UINT64_MAX - 0x10), ==, 0); /* to nowhere */
}

/* Registers in memory: the key and the address are big-endian, transfers lead anywhere. */
static void test_in_memory(Fixture *x, gconstpointer data)
{
    uint8_t b[8];

    fw_cfg_map_memory(x->f, REGS);
    fw_cfg_add_file(x->f, "f", "\0\0\0\0\0\0\1\0", 8); /* the address of the request */
    address_space_write(x->memory, REGS + 8, "\0\x1", 2);
    address_space_read(x->memory, REGS, b, 4);
    g_assert_cmpmem(b, 4, "\3\0\0\0", 4);
    address_space_write(x->memory, REGS + 8, "\0\0", 2);
    address_space_read(x->memory, REGS, b, 8);
    g_assert_cmpmem(b, 8, "QEMU\0\0\0\0", 8);

    put_be(x->ram + 0x100, 4, 0x20 << 16 | SELECT | READ);
    put_be(x->ram + 0x104, 4, 8);
    put_be(x->ram + 0x108, 8, REGS + 16); /* would ask for itself, for ever */
    put_be(b, 8, 0x100);
    address_space_write(x->memory, REGS + 16, b, 8);
    g_assert_cmpuint(be32(x->ram + 0x100), ==, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Fixture *x, gconstpointer data);
    } tests[] = {
        { "/hw/core/fw-cfg/items", test_items },
        { "/hw/core/fw-cfg/port-widths", test_port_widths },
        { "/hw/core/fw-cfg/files", test_files },
        { "/hw/core/fw-cfg/files-fill-up", test_files_fill_up },
        { "/hw/core/fw-cfg/dma", test_dma },
        { "/hw/core/fw-cfg/dma-errors", test_dma_errors },
        { "/hw/core/fw-cfg/in-memory", test_in_memory },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].name, Fixture, NULL, setup, tests[i].run, teardown);
    }
    return g_test_run();
}
