/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pci-toy.h"

static PciToy *toy_of(PciDevice *d)
{
    return (PciToy *)(void *)((char *)d - offsetof(PciToy, d));
}

static void toy_written(PciDevice *d, unsigned offset, unsigned len)
{
    pci_msix_config_written(toy_of(d)->msix);
}

static void toy_reset(PciDevice *d)
{
    pci_msix_reset(toy_of(d)->msix);
    g_string_append(toy_of(d)->log, "reset ");
}

static void toy_ejected(PciDevice *d)
{
    g_string_append(toy_of(d)->log, "ejected ");
}

static const PciDeviceOps toy_ops = {
    .config_written = toy_written,
    .reset = toy_reset,
    .ejected = toy_ejected,
};

static uint64_t toy_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((PciToy *)opaque)->reg;
}

static void toy_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ((PciToy *)opaque)->reg = value;
}

static const IoRegionOps toy_region = { 4, toy_read, toy_write };

void pci_toy_init(PciToy *t, unsigned n_vectors)
{
    *t = (PciToy){ .d = { .ops = &toy_ops, .kind = "toy", .id = "t0" } };
    t->log = g_string_new(NULL);
    t->memory = address_space_new(UINT64_MAX, 0);
    t->ports = address_space_new(UINT16_MAX, 0xff);
    address_space_add_ram(t->memory, &(RamRegion){
        .base = PCI_TOY_RAM, .size = sizeof(t->ram), .fd = -1, .host = t->ram,
    });
    t->bus = pci_bus_new(t->memory, t->ports);
    pci_device_init(&t->d, &(PciIdentity){
        .vendor = 0x1af4, .device = 0x1000, .class = 0x020000, .subsystem = 1, .interrupt = true,
    });
    pci_device_add_bar(&t->d, 0, PCI_BASE_ADDRESS_SPACE_IO, 32, &toy_region, t);
    pci_device_add_bar(&t->d, 4, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH,
                       0x4000, &toy_region, t);
    t->msix = pci_msix_new(&t->d, 1, n_vectors);
    pci_device_complete(&t->d);
}

void pci_toy_add(PciToy *t)
{
    g_assert_true(pci_bus_add(t->bus, &t->d, PCI_DEVFN(PCI_TOY_SLOT, 0), NULL));
}

void pci_toy_done(PciToy *t)
{
    pci_bus_remove(&t->d);
    pci_msix_free(t->msix);
    pci_bus_free(t->bus);
    address_space_free(t->memory);
    address_space_free(t->ports);
    g_string_free(t->log, TRUE);
}

uint32_t pci_toy_read(AddressSpace *as, uint64_t addr)
{
    uint32_t value;

    address_space_read(as, addr, &value, sizeof(value));
    return GUINT32_FROM_LE(value);
}

void pci_toy_write(AddressSpace *as, uint64_t addr, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    address_space_write(as, addr, &value, sizeof(value));
}

static uint64_t select_config(PciToy *t, unsigned slot, unsigned offset)
{
    pci_toy_write(t->ports, 0xcf8, 0x80000000u | slot << 11 | (offset & 0xfc));
    return 0xcfc + (offset & 3);
}

uint32_t pci_toy_in(PciToy *t, unsigned slot, unsigned offset, unsigned len)
{
    uint32_t value = 0;

    address_space_read(t->ports, select_config(t, slot, offset), &value, len);
    return GUINT32_FROM_LE(value);
}

void pci_toy_out(PciToy *t, unsigned slot, unsigned offset, uint32_t value, unsigned len)
{
    uint64_t port = select_config(t, slot, offset);

    value = GUINT32_TO_LE(value);
    address_space_write(t->ports, port, &value, len);
}
