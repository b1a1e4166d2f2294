/*
 * A machine's virtio-mmio transports, and what a device there is besides its registers: interrupts,
 * and how it comes and goes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_mmio.h>

#include "virtio-mmio-internal.h"

#define LEGACY_ALIGN 4096u /* of a ring whose driver has not said, as in QEMU */

/* --- interrupts --- */

void virtio_mmio_set_isr(VirtioMmio *m, uint8_t isr)
{
    m->isr = isr;
    irq_lines_set(m->slot->bus->irq, m->slot->irq, isr != 0);
}

static void on_ring_interrupt(void *opaque, unsigned index)
{
    VirtioMmio *m = opaque;

    virtio_mmio_set_isr(m, m->isr | VIRTIO_MMIO_INT_VRING);
}

static void on_config_interrupt(void *opaque)
{
    VirtioMmio *m = opaque;

    virtio_mmio_set_isr(m, m->isr | VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
}

static void on_rings(void *opaque, unsigned running)
{
    VirtioMmio *m = opaque;

    m->events->rings(m->opaque, running);
}

static void on_warned(void *opaque, const char *text)
{
    VirtioMmio *m = opaque;

    m->events->warned(m->opaque, text);
}

static const VirtioRegsOps regs_ops = {
    .ring_interrupt = on_ring_interrupt,
    .config_interrupt = on_config_interrupt,
    .rings = on_rings,
    .warned = on_warned,
};

/* --- a device --- */

void virtio_mmio_reset_registers(VirtioMmio *m)
{
    virtio_regs_reset(&m->regs);
    virtio_mmio_set_isr(m, 0);
    m->device_select = m->driver_select = 0;
    m->ring_select = 0;
}

void virtio_mmio_reset(VirtioMmio *m)
{
    virtio_mmio_reset_registers(m);
    m->page_shift = 0;
    for (unsigned i = 0; i < m->regs.dev->n_rings; i++) {
        m->ring_align[i] = LEGACY_ALIGN;
    }
}

VirtioMmio *virtio_mmio_new(VirtioMmioBus *bus, unsigned slot, VirtioDevice *dev, uint16_t type,
                            const VirtioMmioEvents *events, void *opaque, GError **error)
{
    g_autoptr(VirtioMmio) m = g_new0(VirtioMmio, 1);

    g_assert(virtio_mmio_bus_is_free(bus, slot));
    m->slot = &bus->slot[slot];
    m->type = type;
    m->events = events;
    m->opaque = opaque;
    m->ring_align = g_new(uint32_t, dev->n_rings);
    if (!virtio_regs_init(&m->regs, dev, bus->memory, &regs_ops, m, error)) {
        return NULL;
    }
    virtio_mmio_reset(m);
    virtio_regs_set_dma(&m->regs, true);
    m->slot->device = m;
    return g_steal_pointer(&m);
}

void virtio_mmio_free(VirtioMmio *m)
{
    if (m) {
        if (m->slot->device == m) {
            m->slot->device = NULL;
            virtio_mmio_set_isr(m, 0);
        }
        virtio_regs_done(&m->regs);
        g_free(m->ring_align);
        g_free(m);
    }
}

void virtio_mmio_hold(VirtioMmio *m, bool on)
{
    virtio_regs_hold(&m->regs, on);
}

bool virtio_mmio_has_driver(const VirtioMmio *m)
{
    return m->regs.status != 0;
}

/* --- the transports --- */

VirtioMmioBus *virtio_mmio_bus_new(AddressSpace *memory, const VirtioMmioBusConfig *config)
{
    VirtioMmioBus *bus = g_new0(VirtioMmioBus, 1);

    g_assert(config->n <= VIRTIO_MMIO_MAX_SLOTS &&
             config->first_irq + config->n <= irq_lines_count(config->irq));
    bus->memory = memory;
    bus->irq = config->irq;
    bus->legacy = config->legacy;
    bus->n = config->n;
    for (unsigned i = 0; i < bus->n; i++) {
        VirtioMmioSlot *slot = &bus->slot[i];

        *slot = (VirtioMmioSlot){ .bus = bus, .irq = config->first_irq + i };
        slot->region = (IoRegion){
            .ops = &virtio_mmio_ops, .opaque = slot, .size = VIRTIO_MMIO_SLOT_SIZE,
        };
        address_space_map(memory, &slot->region,
                          config->base + (uint64_t)i * VIRTIO_MMIO_SLOT_SIZE);
    }
    return bus;
}

void virtio_mmio_bus_free(VirtioMmioBus *bus)
{
    if (bus) {
        for (unsigned i = 0; i < bus->n; i++) {
            g_assert(!bus->slot[i].device);
            address_space_unmap(&bus->slot[i].region);
        }
        g_free(bus);
    }
}

bool virtio_mmio_bus_is_free(const VirtioMmioBus *bus, unsigned slot)
{
    return slot < bus->n && !bus->slot[slot].device;
}

void virtio_mmio_bus_reset(VirtioMmioBus *bus)
{
    for (unsigned i = 0; i < bus->n; i++) {
        if (bus->slot[i].device) {
            virtio_mmio_reset(bus->slot[i].device);
        }
    }
}
