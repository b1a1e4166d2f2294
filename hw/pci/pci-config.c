/*
 * A function's configuration space: what the guest may change of it, bit by bit, and regions that
 * follow their base addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pci-internal.h"

#include <string.h>

uint16_t pci_config_word(const PciDevice *d, unsigned offset)
{
    return (uint16_t)(d->config[offset] | d->config[offset + 1] << 8);
}

static uint32_t config_long(const PciDevice *d, unsigned offset)
{
    return pci_config_word(d, offset) | (uint32_t)pci_config_word(d, offset + 2) << 16;
}

void pci_config_set_word(PciDevice *d, unsigned offset, uint16_t value)
{
    d->config[offset] = (uint8_t)value;
    d->config[offset + 1] = (uint8_t)(value >> 8);
}

void pci_config_set_long(PciDevice *d, unsigned offset, uint32_t value)
{
    pci_config_set_word(d, offset, (uint16_t)value);
    pci_config_set_word(d, offset + 2, (uint16_t)(value >> 16));
}

/* --- what a device is made of --- */

static void writable_word(PciDevice *d, unsigned offset, uint16_t bits)
{
    d->writable[offset] = (uint8_t)bits;
    d->writable[offset + 1] = (uint8_t)(bits >> 8);
}

void pci_device_init(PciDevice *d, const PciIdentity *identity)
{
    uint16_t errors = PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
                      PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
                      PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY;

    pci_config_set_word(d, PCI_VENDOR_ID, identity->vendor);
    pci_config_set_word(d, PCI_DEVICE_ID, identity->device);
    pci_config_set_long(d, PCI_CLASS_REVISION, identity->class << 8 | identity->revision);
    pci_config_set_word(d, PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
    pci_config_set_word(d, PCI_SUBSYSTEM_ID, identity->subsystem);
    d->config[PCI_INTERRUPT_PIN] = identity->interrupt ? 1 : 0;
    writable_word(d, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                  PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                                  PCI_COMMAND_INTX_DISABLE);
    d->clears[PCI_STATUS] = (uint8_t)errors;
    d->clears[PCI_STATUS + 1] = (uint8_t)(errors >> 8);
    d->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    d->writable[PCI_INTERRUPT_LINE] = 0xff;
    d->cap_end = PCI_STD_HEADER_SIZEOF;
}

static unsigned bar_offset(unsigned n)
{
    return PCI_BASE_ADDRESS_0 + 4 * n;
}

static bool bar_is_io(const PciDevice *d, unsigned n)
{
    return d->config[bar_offset(n)] & PCI_BASE_ADDRESS_SPACE_IO;
}

static bool bar_is_64(const PciDevice *d, unsigned n)
{
    return !bar_is_io(d, n) && (d->config[bar_offset(n)] & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
                                   PCI_BASE_ADDRESS_MEM_TYPE_64;
}

void pci_device_add_bar(PciDevice *d, unsigned n, uint8_t type, uint64_t size,
                        const IoRegionOps *ops, void *opaque)
{
    uint64_t mask = ~(size - 1);
    unsigned len;

    g_assert(n < PCI_BARS && size >= 4 && (size & (size - 1)) == 0 && !d->bus);
    d->bar[n] = (IoRegion){ .ops = ops, .opaque = opaque, .size = size };
    pci_config_set_long(d, bar_offset(n), type);
    len = bar_is_64(d, n) ? 8 : 4;
    g_assert(bar_offset(n) + len <= bar_offset(PCI_BARS));
    for (unsigned i = 0; i < len; i++) {
        d->writable[bar_offset(n) + i] = (uint8_t)(mask >> 8 * i);
    }
    d->writable[bar_offset(n)] &= type & PCI_BASE_ADDRESS_SPACE_IO ? 0xfc : 0xf0;
}

unsigned pci_device_add_cap(PciDevice *d, uint8_t id, unsigned size)
{
    unsigned at = d->cap_end;

    g_assert(size >= 2 && at + size <= PCI_CONFIG_SIZE);
    d->config[at] = id;
    d->config[d->cap_last ? d->cap_last + 1u : PCI_CAPABILITY_LIST] = (uint8_t)at;
    d->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    d->cap_last = (uint8_t)at;
    d->cap_end = (at + size + 3) & ~3u;
    return at;
}

void pci_device_complete(PciDevice *d)
{
    memcpy(d->after_reset, d->config, sizeof(d->config));
}

/* --- regions --- */

/*
 * False: it is nowhere. A region at the end of the addresses is one whose size is being asked for,
 * with all address bits set.
 */
static bool bar_address(const PciDevice *d, unsigned n, uint64_t *ret)
{
    uint16_t command = pci_config_word(d, PCI_COMMAND);
    uint64_t at = config_long(d, bar_offset(n));
    uint64_t limit = bar_is_64(d, n) ? UINT64_MAX : UINT32_MAX;

    if (!(command & (bar_is_io(d, n) ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY))) {
        return false;
    }
    if (bar_is_64(d, n)) {
        at |= (uint64_t)config_long(d, bar_offset(n + 1)) << 32;
    }
    *ret = at & ~(d->bar[n].size - 1);
    return limit - *ret > d->bar[n].size - 1;
}

void pci_device_update_bars(PciDevice *d)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        IoRegion *r = &d->bar[n];
        uint64_t at;
        bool there = r->ops && d->bus && bar_address(d, n, &at);

        if (r->as && (!there || r->base != at)) {
            address_space_unmap(r);
        }
        if (there && !r->as) {
            address_space_map(bar_is_io(d, n) ? pci_bus_ports(d->bus) : pci_bus_memory(d->bus), r,
                              at);
        }
    }
}

/* --- accesses --- */

uint32_t pci_config_read(PciDevice *d, unsigned offset, unsigned len)
{
    uint32_t value = 0;

    if (d->ops && d->ops->config_read) {
        d->ops->config_read(d, offset, len);
    }
    for (unsigned i = 0; i < len; i++) {
        uint32_t byte = offset + i < PCI_CONFIG_SIZE ? d->config[offset + i] : 0xff;

        value |= byte << 8 * i;
    }
    return value;
}

static bool overlaps(unsigned offset, unsigned len, unsigned at, unsigned size)
{
    return offset < at + size && at < offset + len;
}

void pci_config_write(PciDevice *d, unsigned offset, uint32_t value, unsigned len)
{
    for (unsigned i = 0; i < len && offset + i < PCI_CONFIG_SIZE; i++) {
        uint8_t *byte = &d->config[offset + i];
        uint8_t may = d->writable[offset + i];
        uint8_t now = (uint8_t)(value >> 8 * i);

        *byte = (uint8_t)((*byte & ~may) | (now & may));
        *byte &= (uint8_t)~(now & d->clears[offset + i]);
    }
    if (overlaps(offset, len, PCI_COMMAND, 2) ||
        overlaps(offset, len, PCI_BASE_ADDRESS_0, 4 * PCI_BARS)) {
        pci_device_update_bars(d);
    }
    if (d->ops && d->ops->config_written) {
        d->ops->config_written(d, offset, len);
    }
}

/* --- state --- */

bool pci_device_is_master(const PciDevice *d)
{
    return pci_config_word(d, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

void pci_device_set_irq(PciDevice *d, bool on)
{
    d->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
    d->config[PCI_STATUS] |= on ? PCI_STATUS_INTERRUPT : 0;
}

void pci_device_reset(PciDevice *d)
{
    memcpy(d->config, d->after_reset, sizeof(d->config));
    pci_device_update_bars(d);
    if (d->ops && d->ops->reset) {
        d->ops->reset(d);
    }
}
