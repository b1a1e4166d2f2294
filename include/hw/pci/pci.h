/*
 * PCI, as far as drivers of conventional devices look: a bus of single functions, their
 * configuration spaces, and regions that the guest places (PCI Local Bus 3.0, chapter 6).
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include <glib.h>
#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/core/address-space.h"
#include "util/state.h"

#define PCI_CONFIG_SIZE 256u
#define PCI_BARS        6u
#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))
#define PCI_ANY_DEVFN   (-1)

typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;

/* What a device wants to know. Each may be NULL. */
typedef struct PciDeviceOps {
    /* @len bytes at @offset are about to be read, or were written, by the guest. */
    void (*config_read)(PciDevice *d, unsigned offset, unsigned len);
    void (*config_written)(PciDevice *d, unsigned offset, unsigned len);
    void (*reset)(PciDevice *d);   /* the bus is reset; the configuration space was already */
    void (*ejected)(PciDevice *d); /* the guest let go of it, which may free it */
} PciDeviceOps;

typedef struct PciIdentity {
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem;
    uint32_t class; /* with the programming interface: 0x020000 */
    uint8_t revision;
    bool interrupt; /* it has INTA# */
} PciIdentity;

struct PciDevice {
    const PciDeviceOps *ops;
    const char *kind;   /* the class's name, for messages */
    const char *id;     /* the device's */
    PciBus *bus;        /* NULL: it is on none */
    uint8_t devfn;
    /* What the guest reads; a device writes what is its own to say. Little-endian. */
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE]; /* bits that the guest can set and clear */
    uint8_t clears[PCI_CONFIG_SIZE];   /* bits that it clears by writing 1 */
    uint8_t after_reset[PCI_CONFIG_SIZE];
    unsigned cap_end;   /* the next capability begins here */
    uint8_t cap_last;   /* 0: there is none */
    IoRegion bar[PCI_BARS]; /* ops NULL: there is none */
};

/* --- pci-config.c --- */

/* @d is zeroed, with ops, kind and id. */
void pci_device_init(PciDevice *d, const PciIdentity *identity);
/*
 * Before it is on a bus: region @n is of @size bytes, a power of 2, with @type as in
 * PCI_BASE_ADDRESS_*; one of 64 bits takes n + 1, too.
 */
void pci_device_add_bar(PciDevice *d, unsigned n, uint8_t type, uint64_t size,
                        const IoRegionOps *ops, void *opaque);
/* A capability of @size bytes, its head among them, zeros so far. Where it is. */
unsigned pci_device_add_cap(PciDevice *d, uint8_t id, unsigned size);
/* What config has now is what a reset brings back: the device is made. */
void pci_device_complete(PciDevice *d);

uint32_t pci_config_read(PciDevice *d, unsigned offset, unsigned len); /* 1, 2 or 4 bytes */
void pci_config_write(PciDevice *d, unsigned offset, uint32_t value, unsigned len);
uint16_t pci_config_word(const PciDevice *d, unsigned offset);
void pci_config_set_word(PciDevice *d, unsigned offset, uint16_t value);
void pci_config_set_long(PciDevice *d, unsigned offset, uint32_t value);

/* It may read and write memory. */
bool pci_device_is_master(const PciDevice *d);
/* INTA#. It is to be seen in the status; no interrupt controller is there. */
void pci_device_set_irq(PciDevice *d, bool on);
/* Its regions are where its configuration says. */
void pci_device_update_bars(PciDevice *d);
void pci_device_reset(PciDevice *d);

/* --- pci-state.c --- */

void pci_device_save(const PciDevice *d, GByteArray *out);
/* False: it is another device, whose configuration space differs where no guest can write. */
bool pci_device_load(PciDevice *d, StateReader *in, GError **error);

/* --- pci-bus.c --- */

/*
 * Bus 0 of QEMU's pc: the configuration ports, a host bridge in slot 0, an ISA bridge in slot 1,
 * and the ports by which ACPI ejects. Both address spaces outlive it.
 */
PciBus *pci_bus_new(AddressSpace *memory, AddressSpace *ports);
void pci_bus_free(PciBus *bus); /* no device is left; NULL is fine */
AddressSpace *pci_bus_memory(const PciBus *bus);
AddressSpace *pci_bus_ports(const PciBus *bus);
/* Somebody plays the guest: a device that is to go waits for it. */
void pci_bus_set_guest(PciBus *bus, bool there);

/* @devfn: PCI_ANY_DEVFN: the first slot that is free. The device outlives its stay. */
bool pci_bus_add(PciBus *bus, PciDevice *d, int devfn, GError **error);
void pci_bus_remove(PciDevice *d); /* one that is on no bus is fine */
/* The guest is asked to let go of it: ejected() follows, at once if there is no guest. */
void pci_bus_request_eject(PciDevice *d);
void pci_bus_reset(PciBus *bus); /* what is to be ejected is */

/* "04.0", "4", in hexadecimal as QEMU's. False: it is none. */
bool pci_parse_devfn(const char *text, int *ret_devfn);

#endif
