/*
 * A bus with its configuration ports (configuration mechanism 1), and the two bridges that each
 * guest of QEMU's pc finds on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pci-internal.h"

#define ADDRESS_PORT   0xcf8u
#define DATA_PORT      0xcfcu
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BUS    0x00ff0000u

#define VENDOR_INTEL   0x8086
#define DEVICE_82441   0x1237 /* host bridge */
#define DEVICE_82371SB 0x7000 /* ISA bridge */
/* What QEMU gives its own devices as a subsystem. */
#define SUBSYSTEM_VENDOR 0x1af4
#define SUBSYSTEM_QEMU   0x1100

#define PCI_ERROR g_quark_from_static_string("pci-error-quark")

/* --- the configuration ports --- */

static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    const PciBus *bus = opaque;

    return size == 4 ? bus->address : UINT32_MAX;
}

/* Only as a whole: its second byte by itself is another port, which resets. */
static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciBus *bus = opaque;

    if (size == 4) {
        bus->address = (uint32_t)value;
    }
}

static const IoRegionOps address_ops = { 4, address_read, address_write };

/* Who answers to the address; NULL: nobody. */
static PciDevice *addressed(const PciBus *bus)
{
    if (!(bus->address & ADDRESS_ENABLE) || (bus->address & ADDRESS_BUS)) {
        return NULL;
    }
    return bus->device[bus->address >> 8 & 0xff];
}

static unsigned config_offset(const PciBus *bus, uint64_t offset)
{
    return (bus->address & 0xff) | (unsigned)offset;
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    PciBus *bus = opaque;
    PciDevice *d = addressed(bus);

    return d ? pci_config_read(d, config_offset(bus, offset), size) : UINT32_MAX;
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciBus *bus = opaque;
    PciDevice *d = addressed(bus);

    if (d) {
        pci_config_write(d, config_offset(bus, offset), (uint32_t)value, size);
    }
}

static const IoRegionOps data_ops = { 4, data_read, data_write };

/* --- who is on it --- */

static bool slot_is_free(const PciBus *bus, unsigned slot)
{
    for (unsigned f = 0; f < PCI_FUNCTIONS; f++) {
        if (bus->device[PCI_DEVFN(slot, f)]) {
            return false;
        }
    }
    return true;
}

static bool find_devfn(const PciBus *bus, const PciDevice *d, int *devfn, GError **error)
{
    for (unsigned slot = 0; *devfn == PCI_ANY_DEVFN && slot < PCI_SLOTS; slot++) {
        if (slot_is_free(bus, slot)) {
            *devfn = PCI_DEVFN(slot, 0);
        }
    }
    if (*devfn == PCI_ANY_DEVFN) {
        g_set_error(error, PCI_ERROR, 0,
                    "PCI: no slot/function available for %s, all in use or reserved", d->kind);
        return false;
    }
    if (bus->device[*devfn]) {
        const PciDevice *other = bus->device[*devfn];

        g_set_error(error, PCI_ERROR, 0,
                    "PCI: slot %u function %u not available for %s, in use by %s,id=%s",
                    *devfn / PCI_FUNCTIONS, *devfn % PCI_FUNCTIONS, d->kind, other->kind,
                    other->id ? other->id : "(null)");
        return false;
    }
    return true;
}

bool pci_bus_add(PciBus *bus, PciDevice *d, int devfn, GError **error)
{
    g_assert(!d->bus);
    if (!find_devfn(bus, d, &devfn, error)) {
        return false;
    }
    d->bus = bus;
    d->devfn = (uint8_t)devfn;
    bus->device[devfn] = d;
    return true;
}

void pci_bus_remove(PciDevice *d)
{
    PciBus *bus = d->bus;

    if (!bus) {
        return;
    }
    d->bus = NULL;
    pci_device_update_bars(d);
    bus->device[d->devfn] = NULL;
    if (slot_is_free(bus, d->devfn / PCI_FUNCTIONS)) {
        bus->going &= ~(1u << d->devfn / PCI_FUNCTIONS);
    }
}

bool pci_parse_devfn(const char *text, int *ret_devfn)
{
    char *end;
    guint64 slot = g_ascii_strtoull(text, &end, 16);
    guint64 function = 0;

    if (!g_ascii_isxdigit(text[0]) || slot >= PCI_SLOTS) {
        return false;
    }
    if (*end == '.' && g_ascii_isxdigit(end[1])) {
        function = g_ascii_strtoull(end + 1, &end, 16);
    }
    *ret_devfn = PCI_DEVFN(slot, function);
    return *end == '\0' && function < PCI_FUNCTIONS;
}

/* --- the bus itself --- */

static void add_bridge(PciBus *bus, PciDevice *d, const char *kind, uint8_t devfn,
                       const PciIdentity *identity)
{
    d->kind = kind;
    pci_device_init(d, identity);
    pci_device_complete(d);
    pci_bus_add(bus, d, devfn, NULL);
}

static void map_ports(PciBus *bus, IoRegion *r, uint64_t base, uint64_t size,
                      const IoRegionOps *ops)
{
    *r = (IoRegion){ .ops = ops, .opaque = bus, .size = size };
    address_space_map(bus->ports, r, base);
}

PciBus *pci_bus_new(AddressSpace *memory, AddressSpace *ports)
{
    PciBus *bus = g_new0(PciBus, 1);

    bus->memory = memory;
    bus->ports = ports;
    map_ports(bus, &bus->address_port, ADDRESS_PORT, 4, &address_ops);
    map_ports(bus, &bus->data_port, DATA_PORT, 4, &data_ops);
    map_ports(bus, &bus->eject_ports, PCI_EJECT_PORTS, PCI_EJECT_SIZE, &pci_eject_ops);
    add_bridge(bus, &bus->host_bridge, "i440FX", PCI_DEVFN(0, 0), &(PciIdentity){
        .vendor = VENDOR_INTEL, .device = DEVICE_82441, .class = 0x060000, .revision = 2,
        .subsystem_vendor = SUBSYSTEM_VENDOR, .subsystem = SUBSYSTEM_QEMU,
    });
    add_bridge(bus, &bus->isa_bridge, "PIIX3", PCI_DEVFN(1, 0), &(PciIdentity){
        .vendor = VENDOR_INTEL, .device = DEVICE_82371SB, .class = 0x060100,
        .subsystem_vendor = SUBSYSTEM_VENDOR, .subsystem = SUBSYSTEM_QEMU,
    });
    return bus;
}

void pci_bus_free(PciBus *bus)
{
    if (!bus) {
        return;
    }
    pci_bus_remove(&bus->host_bridge);
    pci_bus_remove(&bus->isa_bridge);
    for (unsigned i = 0; i < G_N_ELEMENTS(bus->device); i++) {
        g_assert(!bus->device[i]);
    }
    address_space_unmap(&bus->address_port);
    address_space_unmap(&bus->data_port);
    address_space_unmap(&bus->eject_ports);
    g_free(bus);
}

AddressSpace *pci_bus_memory(const PciBus *bus)
{
    return bus->memory;
}

AddressSpace *pci_bus_ports(const PciBus *bus)
{
    return bus->ports;
}

void pci_bus_set_guest(PciBus *bus, bool there)
{
    bus->guest = there;
}
