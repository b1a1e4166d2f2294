/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pci-toy.h"

static void setup(PciToy *t, gconstpointer data)
{
    pci_toy_init(t, 3);
    pci_toy_add(t);
}

static void teardown(PciToy *t, gconstpointer data)
{
    pci_toy_done(t);
}

#define DOWN    0xae04
#define EJECT   0xae08
#define REMOVES 0xae0c
#define BIT     (1u << PCI_TOY_SLOT)

static void test_without_guest(PciToy *t, gconstpointer data)
{
    pci_bus_request_eject(&t->d);
    g_assert_cmpstr(t->log->str, ==, "ejected ");
    g_assert_cmphex(pci_toy_read(t->ports, DOWN), ==, 0);
}

static void test_by_guest(PciToy *t, gconstpointer data)
{
    pci_bus_set_guest(t->bus, true);
    g_assert_cmphex(pci_toy_read(t->ports, REMOVES), ==, BIT);
    pci_toy_write(t->ports, EJECT, UINT32_MAX); /* nothing is to go */
    g_assert_cmpstr(t->log->str, ==, "");
    pci_bus_request_eject(&t->d);
    g_assert_cmphex(pci_toy_read(t->ports, DOWN), ==, BIT);
    pci_toy_write(t->ports, EJECT, BIT << 1);
    pci_toy_write(t->ports, DOWN, BIT);
    g_assert_cmpstr(t->log->str, ==, "");
    pci_toy_write(t->ports, EJECT, BIT);
    g_assert_cmpstr(t->log->str, ==, "ejected ");
    g_assert_cmphex(pci_toy_read(t->ports, DOWN), ==, 0);
    pci_toy_write(t->ports, EJECT, BIT);
    g_assert_cmpstr(t->log->str, ==, "ejected ");
}

static void test_by_reset(PciToy *t, gconstpointer data)
{
    pci_bus_set_guest(t->bus, true);
    pci_bus_reset(t->bus);
    g_assert_cmpstr(t->log->str, ==, "reset ");
    pci_bus_request_eject(&t->d);
    pci_bus_reset(t->bus);
    g_assert_cmpstr(t->log->str, ==, "reset ejected reset ");
}

/* A slot that was to be emptied, and was by somebody else, has nothing to eject. */
static void test_removed(PciToy *t, gconstpointer data)
{
    pci_bus_set_guest(t->bus, true);
    pci_bus_request_eject(&t->d);
    pci_bus_remove(&t->d);
    g_assert_cmphex(pci_toy_read(t->ports, DOWN), ==, 0);
    pci_toy_write(t->ports, EJECT, BIT);
    g_assert_cmpstr(t->log->str, ==, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/hw/pci/pci-eject/without-guest", PciToy, NULL, setup,
               test_without_guest, teardown);
    g_test_add("/hw/pci/pci-eject/by-guest", PciToy, NULL, setup, test_by_guest, teardown);
    g_test_add("/hw/pci/pci-eject/by-reset", PciToy, NULL, setup, test_by_reset, teardown);
    g_test_add("/hw/pci/pci-eject/removed", PciToy, NULL, setup, test_removed, teardown);
    return g_test_run();
}
