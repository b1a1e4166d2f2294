/*
 * The registers of modern drivers, in one region of memory, and the capabilities that say where
 * (VIRTIO 1.2, 4.1.4). They can be reached by the configuration space, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <string.h>

#include "virtio-pci-internal.h"

/* Younger than Debian 12's headers. */
#define QUEUE_NOTIFY_DATA 56
#define QUEUE_RESET       58

static VirtioRegsRing *selected(VirtioPci *p)
{
    return virtio_regs_ring(&p->regs, p->ring_select);
}

/* --- common configuration --- */

static uint64_t read_ring(VirtioPci *p, uint64_t offset)
{
    VirtioRegsRing *ring = selected(p);

    if (!ring) {
        return offset == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_MSI_NO_VECTOR : 0;
    }
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return virtio_regs_ring_size(ring);
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return p->ring_vector[p->ring_select];
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return ring->enabled;
    case VIRTIO_PCI_COMMON_Q_NOFF:
    case QUEUE_NOTIFY_DATA:
        return p->ring_select;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
        return (uint32_t)ring->at.desc;
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        return ring->at.desc >> 32;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
        return (uint32_t)ring->at.driver;
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        return ring->at.driver >> 32;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
        return (uint32_t)ring->at.device;
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        return ring->at.device >> 32;
    default:
        return 0; /* a reset that is done at once, among others */
    }
}

static uint64_t common_read(VirtioPci *p, uint64_t offset)
{
    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return p->device_select;
    case VIRTIO_PCI_COMMON_DF:
        return virtio_regs_offered_modern(&p->regs, p->device_select);
    case VIRTIO_PCI_COMMON_GFSELECT:
        return p->driver_select;
    case VIRTIO_PCI_COMMON_GF:
        return virtio_regs_accepted(&p->regs, p->driver_select);
    case VIRTIO_PCI_COMMON_MSIX:
        return p->config_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
        return virtio_regs_n_rings(&p->regs);
    case VIRTIO_PCI_COMMON_STATUS:
        return p->regs.status;
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return p->regs.generation;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return p->ring_select;
    default:
        return read_ring(p, offset);
    }
}

static void reset_ring(VirtioPci *p, VirtioRegsRing *ring)
{
    if (p->regs.features & 1ull << VIRTIO_F_RING_RESET) {
        virtio_regs_ring_reset(ring);
        p->ring_vector[ring->index] = VIRTIO_MSI_NO_VECTOR;
    }
}

static void write_ring(VirtioPci *p, VirtioRegsRing *ring, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        virtio_regs_ring_set_size(ring, (uint16_t)value);
        break;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        p->ring_vector[ring->index] = virtio_pci_vector(p, value);
        break;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        if (value == 1) {
            virtio_regs_ring_enable(ring);
        }
        break;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        virtio_regs_ring_set_half(ring, &ring->at.desc, offset & 4, value);
        break;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        virtio_regs_ring_set_half(ring, &ring->at.driver, offset & 4, value);
        break;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        virtio_regs_ring_set_half(ring, &ring->at.device, offset & 4, value);
        break;
    case QUEUE_RESET:
        if (value == 1) {
            reset_ring(p, ring);
        }
        break;
    default:
        break;
    }
}

static void common_write(VirtioPci *p, uint64_t offset, uint32_t value)
{
    VirtioRegsRing *ring = selected(p);

    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        p->device_select = value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        p->driver_select = value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        virtio_regs_accept(&p->regs, p->driver_select, value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        p->config_vector = virtio_pci_vector(p, value);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        virtio_pci_set_status(p, (uint8_t)value);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        p->ring_select = (uint16_t)value;
        break;
    default:
        if (ring) {
            write_ring(p, ring, offset, value);
        }
        break;
    }
}

/* --- the region --- */

static uint64_t modern_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *p = opaque;
    uint64_t at = offset % VIRTIO_PCI_PART_SIZE;

    switch (offset / VIRTIO_PCI_PART_SIZE) {
    case VIRTIO_PCI_COMMON:
        return common_read(p, at);
    case VIRTIO_PCI_ISR_PART:
        return at == 0 ? virtio_pci_take_isr(p) : 0;
    case VIRTIO_PCI_DEVICE:
        return virtio_regs_read_config(&p->regs, at, size);
    default:
        return 0;
    }
}

static void modern_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *p = opaque;
    uint64_t at = offset % VIRTIO_PCI_PART_SIZE;

    switch (offset / VIRTIO_PCI_PART_SIZE) {
    case VIRTIO_PCI_COMMON:
        common_write(p, at, (uint32_t)value);
        break;
    case VIRTIO_PCI_DEVICE:
        virtio_regs_write_config(&p->regs, at, value, size);
        break;
    case VIRTIO_PCI_NOTIFY:
        virtio_regs_notify(&p->regs, (unsigned)(at / VIRTIO_PCI_NOTIFY_STEP));
        break;
    default:
        break;
    }
}

static const IoRegionOps modern_ops = { 4, modern_read, modern_write };

/* --- capabilities --- */

static unsigned add_cap(VirtioPci *p, uint8_t type, unsigned part, unsigned len)
{
    unsigned at = pci_device_add_cap(&p->pci, PCI_CAP_ID_VNDR, len);
    uint8_t *cap = p->pci.config + at;

    cap[VIRTIO_PCI_CAP_LEN] = (uint8_t)len;
    cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
    if (type != VIRTIO_PCI_CAP_PCI_CFG) {
        cap[VIRTIO_PCI_CAP_BAR] = VIRTIO_PCI_MODERN_BAR;
        pci_config_set_long(&p->pci, at + VIRTIO_PCI_CAP_OFFSET, part * VIRTIO_PCI_PART_SIZE);
        pci_config_set_long(&p->pci, at + VIRTIO_PCI_CAP_LENGTH, VIRTIO_PCI_PART_SIZE);
    }
    return at;
}

void virtio_pci_add_modern(VirtioPci *p)
{
    unsigned notify;

    add_cap(p, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_COMMON, sizeof(struct virtio_pci_cap));
    add_cap(p, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_ISR_PART, sizeof(struct virtio_pci_cap));
    add_cap(p, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_DEVICE, sizeof(struct virtio_pci_cap));
    notify = add_cap(p, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_NOTIFY,
                     sizeof(struct virtio_pci_notify_cap));
    pci_config_set_long(&p->pci, notify + VIRTIO_PCI_NOTIFY_CAP_MULT, VIRTIO_PCI_NOTIFY_STEP);
    p->cfg_cap = add_cap(p, VIRTIO_PCI_CAP_PCI_CFG, 0, sizeof(struct virtio_pci_cfg_cap));
    p->pci.writable[p->cfg_cap + VIRTIO_PCI_CAP_BAR] = 0xff;
    memset(p->pci.writable + p->cfg_cap + VIRTIO_PCI_CAP_OFFSET, 0xff,
           sizeof(struct virtio_pci_cfg_cap) - VIRTIO_PCI_CAP_OFFSET);
    pci_device_add_bar(&p->pci, VIRTIO_PCI_MODERN_BAR,
                       PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH,
                       VIRTIO_PCI_PARTS * VIRTIO_PCI_PART_SIZE, &modern_ops, p);
}

/* --- by the configuration space (VIRTIO 1.2, 4.1.4.9) --- */

#define CFG_DATA offsetof(struct virtio_pci_cfg_cap, pci_cfg_data)

static uint32_t cfg_long(const VirtioPci *p, unsigned offset)
{
    return pci_config_word(&p->pci, p->cfg_cap + offset) |
           (uint32_t)pci_config_word(&p->pci, p->cfg_cap + offset + 2) << 16;
}

/* Whether the access is to the data, and what it names is a register of ours. */
static bool cfg_names(const VirtioPci *p, unsigned offset, unsigned len, uint32_t *at,
                      uint32_t *size)
{
    unsigned data = p->cfg_cap + CFG_DATA;

    *at = cfg_long(p, VIRTIO_PCI_CAP_OFFSET);
    *size = cfg_long(p, VIRTIO_PCI_CAP_LENGTH);
    return p->cfg_cap != 0 && offset < data + 4 && data < offset + len &&
           p->pci.config[p->cfg_cap + VIRTIO_PCI_CAP_BAR] == VIRTIO_PCI_MODERN_BAR &&
           (*size == 1 || *size == 2 || *size == 4) && *at % *size == 0 &&
           *at < p->pci.bar[VIRTIO_PCI_MODERN_BAR].size;
}

void virtio_pci_cfg_read(VirtioPci *p, unsigned offset, unsigned len)
{
    uint32_t at, size;

    if (cfg_names(p, offset, len, &at, &size)) {
        pci_config_set_long(&p->pci, p->cfg_cap + CFG_DATA, (uint32_t)modern_read(p, at, size));
    }
}

void virtio_pci_cfg_written(VirtioPci *p, unsigned offset, unsigned len)
{
    uint32_t at, size;

    if (cfg_names(p, offset, len, &at, &size)) {
        modern_write(p, at, cfg_long(p, CFG_DATA) & (uint32_t)(UINT64_MAX >> (64 - 8 * size)),
                     size);
    }
}
