/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pci-toy.h"

#include <string.h>

static void setup(PciToy *t, gconstpointer data)
{
    pci_toy_init(t, 3);
    pci_toy_add(t);
}

static void teardown(PciToy *t, gconstpointer data)
{
    pci_toy_done(t);
}

#define SLOT PCI_TOY_SLOT
#define BAR(n) (PCI_BASE_ADDRESS_0 + 4 * (n))

/* Bits that are not the guest's stay, whatever it writes, wherever it begins. */
static void test_write_masks(PciToy *t, gconstpointer data)
{
    uint8_t before[PCI_CONFIG_SIZE];

    memcpy(before, t->d.config, sizeof(before));
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        pci_config_write(&t->d, i, UINT32_MAX, i % 4 == 0 ? 4 : i % 2 == 0 ? 2 : 1);
    }
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        g_assert_cmphex(t->d.config[i] & ~t->d.writable[i], ==, before[i] & ~t->d.writable[i]);
        g_assert_cmphex(t->d.config[i] & t->d.writable[i], ==, t->d.writable[i]);
    }
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i += 4) {
        pci_config_write(&t->d, i, 0, 4);
    }
    g_assert_cmphex(pci_toy_in(t, SLOT, PCI_VENDOR_ID, 4), ==, 0x10001af4);
    g_assert_cmphex(pci_toy_in(t, SLOT, PCI_COMMAND, 2), ==, 0);
}

/* What a device reports is cleared by ones. */
static void test_write_one_clears(PciToy *t, gconstpointer data)
{
    t->d.config[PCI_STATUS + 1] |= PCI_STATUS_DETECTED_PARITY >> 8;
    pci_toy_out(t, SLOT, PCI_STATUS, 0, 2);
    g_assert_true(pci_toy_in(t, SLOT, PCI_STATUS, 2) & PCI_STATUS_DETECTED_PARITY);
    pci_toy_out(t, SLOT, PCI_STATUS, PCI_STATUS_DETECTED_PARITY, 2);
    g_assert_false(pci_toy_in(t, SLOT, PCI_STATUS, 2) & PCI_STATUS_DETECTED_PARITY);
    g_assert_true(pci_toy_in(t, SLOT, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
}

static void test_bar_sizes(PciToy *t, gconstpointer data)
{
    pci_toy_out(t, SLOT, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 2);
    for (unsigned n = 0; n < PCI_BARS; n++) {
        pci_toy_out(t, SLOT, BAR(n), UINT32_MAX, 4);
    }
    g_assert_cmphex(pci_toy_in(t, SLOT, BAR(0), 4), ==, 0xffffffe1);
    g_assert_cmphex(pci_toy_in(t, SLOT, BAR(1), 4), ==, 0xfffff000);
    g_assert_cmphex(pci_toy_in(t, SLOT, BAR(2), 4), ==, 0);
    g_assert_cmphex(pci_toy_in(t, SLOT, BAR(4), 4), ==, 0xffffc00c);
    g_assert_cmphex(pci_toy_in(t, SLOT, BAR(5), 4), ==, UINT32_MAX);
    for (unsigned n = 0; n < PCI_BARS; n++) {
        g_assert_null(t->d.bar[n].as);
    }
}

static void test_bar_moves(PciToy *t, gconstpointer data)
{
    t->reg = 0x1234;
    pci_toy_out(t, SLOT, BAR(4), 0xe0000000, 4);
    g_assert_cmphex(pci_toy_read(t->memory, 0xe0000000), ==, 0); /* not enabled */
    pci_toy_out(t, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    g_assert_cmphex(pci_toy_read(t->memory, 0xe0003ffc), ==, 0x1234);
    g_assert_cmphex(pci_toy_read(t->memory, 0xe0004000), ==, 0);
    pci_toy_out(t, SLOT, BAR(5), 1, 4);
    g_assert_cmphex(pci_toy_read(t->memory, 0xe0000000), ==, 0);
    g_assert_cmphex(pci_toy_read(t->memory, 0x1e0000000), ==, 0x1234);
    pci_toy_out(t, SLOT, BAR(0), 0xc000, 4);
    g_assert_cmphex(pci_toy_read(t->ports, 0xc000), ==, UINT32_MAX);
    pci_toy_out(t, SLOT, PCI_COMMAND, PCI_COMMAND_IO, 1);
    g_assert_cmphex(pci_toy_read(t->ports, 0xc01c), ==, 0x1234);
    g_assert_cmphex(pci_toy_read(t->memory, 0x1e0000000), ==, 0);
    pci_toy_write(t->ports, 0xc000, 5);
    g_assert_cmphex((uint32_t)t->reg, ==, 5);
}

static void test_capabilities(PciToy *t, gconstpointer data)
{
    unsigned at = pci_toy_in(t, SLOT, PCI_CAPABILITY_LIST, 1);

    g_assert_cmphex(at, ==, 0x40);
    g_assert_cmphex(pci_toy_in(t, SLOT, at, 2), ==, PCI_CAP_ID_MSIX);
    g_assert_cmphex(pci_toy_in(t, SLOT, at + PCI_MSIX_FLAGS, 2), ==, 2);
    g_assert_cmphex(pci_device_add_cap(&t->d, PCI_CAP_ID_VNDR, 17), ==, 0x4c);
    g_assert_cmphex(pci_device_add_cap(&t->d, PCI_CAP_ID_VNDR, 16), ==, 0x60);
    g_assert_cmphex(pci_toy_in(t, SLOT, at + 1, 1), ==, 0x4c);
    g_assert_cmphex(pci_toy_in(t, SLOT, 0x4c, 2), ==, 0x6000 | PCI_CAP_ID_VNDR);
}

static void test_reset(PciToy *t, gconstpointer data)
{
    pci_toy_out(t, SLOT, BAR(4), 0xe0000000, 4);
    pci_toy_out(t, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    pci_device_reset(&t->d);
    g_assert_cmpmem(t->d.config, PCI_CONFIG_SIZE, t->d.after_reset, PCI_CONFIG_SIZE);
    g_assert_null(t->d.bar[4].as);
    g_assert_cmpstr(t->log->str, ==, "reset ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/hw/pci/pci-config/write-masks", PciToy, NULL, setup, test_write_masks, teardown);
    g_test_add("/hw/pci/pci-config/write-one-clears", PciToy, NULL, setup,
               test_write_one_clears, teardown);
    g_test_add("/hw/pci/pci-config/bar-sizes", PciToy, NULL, setup, test_bar_sizes, teardown);
    g_test_add("/hw/pci/pci-config/bar-moves", PciToy, NULL, setup, test_bar_moves, teardown);
    g_test_add("/hw/pci/pci-config/capabilities", PciToy, NULL, setup, test_capabilities, teardown);
    g_test_add("/hw/pci/pci-config/reset", PciToy, NULL, setup, test_reset, teardown);
    return g_test_run();
}
