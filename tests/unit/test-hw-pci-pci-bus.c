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

/* Each guest finds these; libqtest takes all ones for an empty slot. */
static void test_bridges(PciToy *t, gconstpointer data)
{
    g_assert_cmphex(pci_toy_in(t, 0, PCI_VENDOR_ID, 4), ==, 0x12378086);
    g_assert_cmphex(pci_toy_in(t, 0, PCI_CLASS_DEVICE, 2), ==, 0x0600);
    g_assert_cmphex(pci_toy_in(t, 1, PCI_VENDOR_ID, 4), ==, 0x70008086);
    g_assert_cmphex(pci_toy_in(t, 2, PCI_VENDOR_ID, 2), ==, 0xffff);
    g_assert_cmphex(pci_toy_in(t, PCI_TOY_SLOT, PCI_DEVICE_ID, 2), ==, 0x1000);
}

static void test_ports(PciToy *t, gconstpointer data)
{
    uint8_t byte = 0;

    pci_toy_write(t->ports, 0xcf8, 0x80000000);
    g_assert_cmphex(pci_toy_read(t->ports, 0xcf8), ==, 0x80000000);
    address_space_write(t->ports, 0xcf9, &byte, 1); /* that is another register */
    address_space_write(t->ports, 0xcfb, &byte, 1);
    g_assert_cmphex(pci_toy_read(t->ports, 0xcf8), ==, 0x80000000);
    pci_toy_write(t->ports, 0xcf8, 0x80000002); /* its low bits count, too, as libqtest has it */
    address_space_read(t->ports, 0xcfc, &byte, 1);
    g_assert_cmphex(byte, ==, 0x37);
    pci_toy_write(t->ports, 0xcf8, 0); /* not enabled */
    g_assert_cmphex(pci_toy_read(t->ports, 0xcfc), ==, UINT32_MAX);
    pci_toy_write(t->ports, 0xcf8, 0x80010000); /* another bus */
    g_assert_cmphex(pci_toy_read(t->ports, 0xcfc), ==, UINT32_MAX);
    pci_toy_write(t->ports, 0xcfc, 0);
    pci_toy_write(t->ports, 0xcf8, 0x800020ff); /* beyond the end */
    g_assert_cmphex(pci_toy_read(t->ports, 0xcfc), ==, 0xffffff00);
}

static void test_slots(PciToy *t, gconstpointer data)
{
    g_autofree PciDevice *other = g_new0(PciDevice, 40);
    g_autoptr(GError) error = NULL;
    unsigned n = 0;

    other[0].kind = "toy2";
    g_assert_false(pci_bus_add(t->bus, &other[0], PCI_DEVFN(PCI_TOY_SLOT, 0), &error));
    g_assert_cmpstr(error->message, ==,
                    "PCI: slot 4 function 0 not available for toy2, in use by toy,id=t0");
    g_clear_error(&error);
    g_assert_false(pci_bus_add(t->bus, &other[0], PCI_DEVFN(1, 0), &error));
    g_assert_cmpstr(error->message, ==,
                    "PCI: slot 1 function 0 not available for toy2, in use by PIIX3,id=(null)");
    g_clear_error(&error);
    while (pci_bus_add(t->bus, &other[n], PCI_ANY_DEVFN, &error)) {
        n++;
        other[n].kind = "toy2";
    }
    g_assert_cmpstr(error->message, ==,
                    "PCI: no slot/function available for toy2, all in use or reserved");
    g_assert_cmpuint(n, ==, 29);
    g_assert_cmphex(other[0].devfn, ==, PCI_DEVFN(2, 0));
    g_assert_cmphex(other[2].devfn, ==, PCI_DEVFN(5, 0));
    for (unsigned i = 0; i < n; i++) {
        pci_bus_remove(&other[i]);
    }
}

/* What goes takes its regions along. */
static void test_remove(PciToy *t, gconstpointer data)
{
    pci_toy_out(t, PCI_TOY_SLOT, PCI_BASE_ADDRESS_4, 0xe0000000, 4);
    pci_toy_out(t, PCI_TOY_SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    g_assert_nonnull(t->d.bar[4].as);
    pci_bus_remove(&t->d);
    g_assert_null(t->d.bar[4].as);
    g_assert_cmphex(pci_toy_in(t, PCI_TOY_SLOT, PCI_VENDOR_ID, 2), ==, 0xffff);
    pci_bus_remove(&t->d);
}

static void test_parse_devfn(PciToy *t, gconstpointer data)
{
    static const struct {
        const char *text;
        int devfn; /* -1: it is none */
    } rows[] = {
        { "4", 0x20 }, { "04.0", 0x20 }, { "0x1f.7", 0xff }, { "1f", 0xf8 }, { "a.1", 0x51 },
        { "20", -1 }, { "4.8", -1 }, { "", -1 }, { ".", -1 }, { "4.", -1 }, { "-1", -1 },
        { "4.0x", -1 }, { "g", -1 }, { "4 ", -1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        int devfn = -1;
        bool ok = pci_parse_devfn(rows[i].text, &devfn);

        g_test_message("'%s'", rows[i].text);
        g_assert_cmpint(ok ? devfn : -1, ==, rows[i].devfn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/hw/pci/pci-bus/bridges", PciToy, NULL, setup, test_bridges, teardown);
    g_test_add("/hw/pci/pci-bus/ports", PciToy, NULL, setup, test_ports, teardown);
    g_test_add("/hw/pci/pci-bus/slots", PciToy, NULL, setup, test_slots, teardown);
    g_test_add("/hw/pci/pci-bus/remove", PciToy, NULL, setup, test_remove, teardown);
    g_test_add("/hw/pci/pci-bus/parse-devfn", PciToy, NULL, setup, test_parse_devfn, teardown);
    return g_test_run();
}
