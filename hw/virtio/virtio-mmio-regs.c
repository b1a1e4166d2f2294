/*
 * The registers of a transport, legacy and modern (VIRTIO 1.2, 4.2.2 and 4.2.4): 32 bits each,
 * and behind them the device's config space. Without a device it tells who it is, and that there
 * is none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include "virtio-mmio-internal.h"

#define MAGIC          0x74726976u /* "virt" */
#define VENDOR         0x554d4551u /* "QEMU" */
#define VERSION_LEGACY 1u
#define VERSION_MODERN 2u
#define MAX_RINGS      1024u       /* of any device */
/* Younger than Debian 12's headers. */
#define QUEUE_RESET    0x0c0
/* Of it there is none: all bits are set. */
#define SHM_FIRST      VIRTIO_MMIO_SHM_LEN_LOW
#define SHM_LAST       VIRTIO_MMIO_SHM_BASE_HIGH

static bool is_legacy(const VirtioMmio *m)
{
    return m->slot->bus->legacy;
}

static VirtioRegsRing *selected(VirtioMmio *m)
{
    return virtio_regs_ring(&m->regs, m->ring_select);
}

/* --- read --- */

static uint32_t read_slot(const VirtioMmioSlot *slot, uint64_t offset)
{
    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
        return MAGIC;
    case VIRTIO_MMIO_VERSION:
        return slot->bus->legacy ? VERSION_LEGACY : VERSION_MODERN;
    case VIRTIO_MMIO_VENDOR_ID:
        return VENDOR;
    default:
        return 0;
    }
}

static uint64_t read_legacy(VirtioMmio *m, uint64_t offset)
{
    VirtioRegsRing *ring = selected(m);

    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return m->device_select ? 0 : virtio_regs_offered(&m->regs, 0);
    case VIRTIO_MMIO_QUEUE_PFN:
        return ring && ring->enabled ? ring->at.desc >> m->page_shift : 0;
    default:
        return 0;
    }
}

static uint64_t read_modern(VirtioMmio *m, uint64_t offset)
{
    VirtioRegsRing *ring = selected(m);

    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return virtio_regs_offered_modern(&m->regs, m->device_select);
    case VIRTIO_MMIO_QUEUE_READY:
        return ring && ring->enabled;
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return m->regs.generation;
    default:
        return offset >= SHM_FIRST && offset <= SHM_LAST ? UINT32_MAX : 0;
    }
}

static uint64_t read_register(VirtioMmio *m, uint64_t offset)
{
    VirtioRegsRing *ring;

    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
    case VIRTIO_MMIO_VERSION:
    case VIRTIO_MMIO_VENDOR_ID:
        return read_slot(m->slot, offset);
    case VIRTIO_MMIO_DEVICE_ID:
        return m->type;
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        ring = selected(m);
        return ring ? virtio_regs_ring_max(ring) : 0;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return m->isr;
    case VIRTIO_MMIO_STATUS:
        return m->regs.status;
    default:
        return is_legacy(m) ? read_legacy(m, offset) : read_modern(m, offset);
    }
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    const VirtioMmioSlot *slot = opaque;

    if (slot->device && offset >= VIRTIO_MMIO_CONFIG) {
        return virtio_regs_read_config(&slot->device->regs, offset - VIRTIO_MMIO_CONFIG, size);
    }
    if (size != 4) {
        return 0;
    }
    return slot->device ? read_register(slot->device, offset) : read_slot(slot, offset);
}

/* --- write --- */

static void set_page_size(VirtioMmio *m, uint32_t size)
{
    unsigned shift = size ? (unsigned)__builtin_ctz(size) : 0;

    m->page_shift = (uint8_t)MIN(shift, VIRTIO_MMIO_MAX_SHIFT);
}

static void write_legacy(VirtioMmio *m, uint64_t offset, uint32_t value)
{
    VirtioRegsRing *ring = selected(m);

    switch (offset) {
    case VIRTIO_MMIO_DRIVER_FEATURES:
        if (m->driver_select == 0) {
            virtio_regs_accept_legacy(&m->regs, value);
        }
        break;
    case VIRTIO_MMIO_GUEST_PAGE_SIZE:
        set_page_size(m, value);
        break;
    case VIRTIO_MMIO_QUEUE_ALIGN:
        if (ring && value > 0) {
            m->ring_align[ring->index] = value;
        }
        break;
    case VIRTIO_MMIO_QUEUE_PFN:
        if (ring) {
            virtio_regs_ring_set_page(ring, value, 1u << m->page_shift,
                                      m->ring_align[ring->index]);
        }
        break;
    default:
        break;
    }
}

static void set_ready(VirtioRegsRing *ring, bool ready)
{
    if (ready) {
        virtio_regs_ring_enable(ring);
    } else if (ring->enabled) {
        virtio_regs_ring_reset(ring);
    }
}

static void write_ring(VirtioMmio *m, VirtioRegsRing *ring, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_READY:
        set_ready(ring, value);
        break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
        virtio_regs_ring_set_half(ring, &ring->at.desc, offset & 4, value);
        break;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
        virtio_regs_ring_set_half(ring, &ring->at.driver, offset & 4, value);
        break;
    case VIRTIO_MMIO_QUEUE_USED_LOW:
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        virtio_regs_ring_set_half(ring, &ring->at.device, offset & 4, value);
        break;
    case QUEUE_RESET:
        if (value == 1 && (m->regs.features & 1ull << VIRTIO_F_RING_RESET)) {
            virtio_regs_ring_reset(ring);
        }
        break;
    default:
        break;
    }
}

static void write_modern(VirtioMmio *m, uint64_t offset, uint32_t value)
{
    VirtioRegsRing *ring = selected(m);

    if (offset == VIRTIO_MMIO_DRIVER_FEATURES) {
        virtio_regs_accept(&m->regs, m->driver_select, value);
    } else if (ring) {
        write_ring(m, ring, offset, value);
    }
}

static void set_status(VirtioMmio *m, uint8_t status)
{
    if (status == 0) {
        virtio_mmio_reset_registers(m);
    } else {
        virtio_regs_set_status(&m->regs, status);
    }
}

static void write_register(VirtioMmio *m, uint64_t offset, uint32_t value)
{
    VirtioRegsRing *ring = selected(m);

    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        m->device_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        m->driver_select = value;
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        m->ring_select = value < MAX_RINGS ? value : m->ring_select;
        break;
    case VIRTIO_MMIO_QUEUE_NUM:
        if (ring && value <= UINT16_MAX) {
            virtio_regs_ring_set_size(ring, (uint16_t)value);
        }
        break;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        virtio_regs_notify(&m->regs, value);
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        virtio_mmio_set_isr(m, (uint8_t)(m->isr & ~value));
        break;
    case VIRTIO_MMIO_STATUS:
        set_status(m, (uint8_t)value);
        break;
    default:
        if (is_legacy(m)) {
            write_legacy(m, offset, value);
        } else {
            write_modern(m, offset, value);
        }
        break;
    }
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioMmio *m = ((VirtioMmioSlot *)opaque)->device;

    if (!m) {
        return;
    }
    if (offset >= VIRTIO_MMIO_CONFIG) {
        virtio_regs_write_config(&m->regs, offset - VIRTIO_MMIO_CONFIG, value, size);
    } else if (size == 4) {
        write_register(m, offset, (uint32_t)value);
    }
}

const IoRegionOps virtio_mmio_ops = { 4, mmio_read, mmio_write };
