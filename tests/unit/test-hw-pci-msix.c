/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pci-toy.h"

#define SLOT  PCI_TOY_SLOT
#define TABLE 0xe0010000u
#define FLAGS (0x40 + PCI_MSIX_FLAGS)

/* @data: how many vectors. */
static void setup(PciToy *t, gconstpointer data)
{
    pci_toy_init(t, GPOINTER_TO_UINT(data));
    pci_toy_add(t);
    pci_toy_out(t, SLOT, PCI_BASE_ADDRESS_1, TABLE, 4);
    pci_toy_out(t, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static void teardown(PciToy *t, gconstpointer data)
{
    pci_toy_done(t);
}

static uint64_t entry(unsigned vector, unsigned offset)
{
    return TABLE + vector * PCI_MSIX_ENTRY_SIZE + offset;
}

static void set_vector(PciToy *t, unsigned vector, uint64_t addr, uint32_t value, bool masked)
{
    pci_toy_write(t->memory, entry(vector, PCI_MSIX_ENTRY_LOWER_ADDR), (uint32_t)addr);
    pci_toy_write(t->memory, entry(vector, PCI_MSIX_ENTRY_UPPER_ADDR), (uint32_t)(addr >> 32));
    pci_toy_write(t->memory, entry(vector, PCI_MSIX_ENTRY_DATA), value);
    pci_toy_write(t->memory, entry(vector, PCI_MSIX_ENTRY_VECTOR_CTRL), masked);
}

static void set_flags(PciToy *t, uint16_t flags)
{
    pci_toy_out(t, SLOT, FLAGS, flags, 2);
}

/* What came to the vector's address since the last look. */
static uint32_t message(PciToy *t, unsigned vector)
{
    uint64_t addr = PCI_TOY_RAM + 4 * vector;
    uint32_t value = pci_toy_read(t->memory, addr);

    pci_toy_write(t->memory, addr, 0);
    return value;
}

static uint32_t pba(PciToy *t, unsigned word)
{
    uint32_t at = pci_toy_in(t, SLOT, 0x40 + PCI_MSIX_PBA, 4);

    g_assert_cmpuint(at & PCI_MSIX_PBA_BIR, ==, 1);
    return pci_toy_read(t->memory, TABLE + (at & PCI_MSIX_PBA_OFFSET) + 4 * word);
}

static void test_message(PciToy *t, gconstpointer data)
{
    set_vector(t, 1, PCI_TOY_RAM + 4, 0x1234, false);
    pci_msix_notify(t->msix, 1);
    g_assert_cmphex(message(t, 1), ==, 0); /* not enabled, and forgotten */
    set_flags(t, PCI_MSIX_FLAGS_ENABLE);
    g_assert_cmphex(message(t, 1), ==, 0);
    pci_msix_notify(t->msix, 1);
    g_assert_cmphex(message(t, 1), ==, 0x1234);
    pci_msix_notify(t->msix, 3); /* there is no such */
    pci_msix_notify(t->msix, UINT16_MAX);
    pci_toy_out(t, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    pci_msix_notify(t->msix, 1);
    g_assert_cmphex(message(t, 1), ==, 0); /* it may not write */
}

/* Masked ones wait, each once, until they and the function are unmasked. */
static void test_masks(PciToy *t, gconstpointer data)
{
    set_vector(t, 0, PCI_TOY_RAM, 1, true);
    set_vector(t, 2, PCI_TOY_RAM + 8, 3, false);
    set_flags(t, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    pci_msix_notify(t->msix, 0);
    pci_msix_notify(t->msix, 2);
    pci_msix_notify(t->msix, 2);
    g_assert_cmphex(message(t, 0) | message(t, 2), ==, 0);
    g_assert_cmphex(pba(t, 0), ==, 5);
    set_flags(t, PCI_MSIX_FLAGS_ENABLE);
    g_assert_cmphex(message(t, 0), ==, 0);
    g_assert_cmphex(message(t, 2), ==, 3);
    g_assert_cmphex(pba(t, 0), ==, 1);
    set_vector(t, 0, PCI_TOY_RAM, 7, false);
    g_assert_cmphex(message(t, 0), ==, 7);
    g_assert_cmphex(pba(t, 0), ==, 0);
    set_vector(t, 0, PCI_TOY_RAM, 7, true);
    set_vector(t, 0, PCI_TOY_RAM, 7, false);
    g_assert_cmphex(message(t, 0), ==, 0);
}

/* A message goes to memory or nowhere: not to a register, ours or another's. */
static void test_addresses(PciToy *t, gconstpointer data)
{
    static const uint64_t none[] = {
        TABLE + PCI_MSIX_ENTRY_DATA, PCI_TOY_RAM - 4, PCI_TOY_RAM - 1, PCI_TOY_RAM + 8192 - 3,
        PCI_TOY_RAM + 8192, 0xfee00000, UINT64_MAX - 1, PCI_TOY_RAM | 1ull << 32,
    };

    set_flags(t, PCI_MSIX_FLAGS_ENABLE);
    for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
        set_vector(t, 0, none[i], 0x5a5a5a5a, false);
        pci_msix_notify(t->msix, 0);
        g_assert_cmphex(pci_toy_read(t->memory, entry(0, PCI_MSIX_ENTRY_LOWER_ADDR)), ==,
                        (uint32_t)none[i]);
    }
    for (size_t i = 0; i < sizeof(t->ram); i++) {
        g_assert_cmphex(t->ram[i], ==, 0);
    }
}

/* The table is the guest's but for reserved bits, the pending bits are not. */
static void test_table(PciToy *t, gconstpointer data)
{
    uint64_t bar_end = TABLE + t->d.bar[1].size;

    for (uint64_t at = TABLE; at < bar_end; at += 8) {
        uint64_t ones = UINT64_MAX;

        address_space_write(t->memory, at, &ones, sizeof(ones));
    }
    for (unsigned i = 0; i < pci_msix_vectors(t->msix); i++) {
        g_assert_cmphex(pci_toy_read(t->memory, entry(i, PCI_MSIX_ENTRY_DATA)), ==, UINT32_MAX);
        g_assert_cmphex(pci_toy_read(t->memory, entry(i, PCI_MSIX_ENTRY_VECTOR_CTRL)), ==, 1);
        g_assert_cmphex(pba(t, i / 32), ==, 0);
    }
    pci_device_reset(&t->d);
    pci_toy_out(t, SLOT, PCI_BASE_ADDRESS_1, TABLE, 4);
    pci_toy_out(t, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    g_assert_cmphex(pci_toy_read(t->memory, entry(0, PCI_MSIX_ENTRY_DATA)), ==, 0);
    g_assert_cmphex(pci_toy_read(t->memory, entry(0, PCI_MSIX_ENTRY_VECTOR_CTRL)), ==, 1);
}

static void test_last_vector(PciToy *t, gconstpointer data)
{
    unsigned last = pci_msix_vectors(t->msix) - 1;

    set_vector(t, last, PCI_TOY_RAM, 9, true);
    set_flags(t, PCI_MSIX_FLAGS_ENABLE);
    pci_msix_notify(t->msix, last);
    g_assert_cmphex(pba(t, last / 32), ==, 1u << last % 32);
    set_vector(t, last, PCI_TOY_RAM, 9, false);
    g_assert_cmphex(message(t, 0), ==, 9);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/hw/pci/msix/message", PciToy, GUINT_TO_POINTER(3), setup, test_message, teardown);
    g_test_add("/hw/pci/msix/masks", PciToy, GUINT_TO_POINTER(3), setup, test_masks, teardown);
    g_test_add("/hw/pci/msix/addresses", PciToy, GUINT_TO_POINTER(3), setup,
               test_addresses, teardown);
    g_test_add("/hw/pci/msix/table", PciToy, GUINT_TO_POINTER(3), setup, test_table, teardown);
    g_test_add("/hw/pci/msix/table-large", PciToy, GUINT_TO_POINTER(2048), setup,
               test_table, teardown);
    g_test_add("/hw/pci/msix/last-vector", PciToy, GUINT_TO_POINTER(64), setup,
               test_last_vector, teardown);
    g_test_add("/hw/pci/msix/last-vector-large", PciToy, GUINT_TO_POINTER(2048), setup,
               test_last_vector, teardown);
    return g_test_run();
}
