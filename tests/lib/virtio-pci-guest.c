/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-pci-guest.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define MMIO_BASE  0xe0000000u
#define PORT_BASE  0xc000u
#define BAR_STEP   0x100000u
#define MESSAGES   0x8000u   /* where vectors write, 4 bytes each */

/* --- registers --- */

static uint32_t port_in(VirtioPciGuest *g, uint64_t port, unsigned len)
{
    uint32_t value = 0;

    g->a.read(g->a.opaque, true, port, &value, len);
    return GUINT32_FROM_LE(value);
}

static void port_out(VirtioPciGuest *g, uint64_t port, uint32_t value, unsigned len)
{
    value = GUINT32_TO_LE(value);
    g->a.write(g->a.opaque, true, port, &value, len);
}

static uint64_t config_port(VirtioPciGuest *g, unsigned offset)
{
    port_out(g, 0xcf8, 0x80000000u | g->slot << 11 | (offset & 0xfc), 4);
    return 0xcfc + (offset & 3);
}

uint32_t vpg_config_in(VirtioPciGuest *g, unsigned offset, unsigned len)
{
    return port_in(g, config_port(g, offset), len);
}

void vpg_config_out(VirtioPciGuest *g, unsigned offset, uint32_t value, unsigned len)
{
    port_out(g, config_port(g, offset), value, len);
}

/* --- modern registers --- */

static uint8_t modern_status(VirtioPciGuest *g)
{
    return (uint8_t)vpg_in(g, g->common + VIRTIO_PCI_COMMON_STATUS, 1);
}

static void modern_set_status(VirtioPciGuest *g, uint8_t status)
{
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_STATUS, status, 1);
}

static uint8_t modern_take_isr(VirtioPciGuest *g)
{
    return (uint8_t)vpg_in(g, g->isr, 1);
}

static uint8_t modern_net_config(VirtioPciGuest *g, unsigned offset)
{
    return (uint8_t)vpg_in(g, g->device + offset, 1);
}

static uint64_t modern_offered(VirtioPciGuest *g)
{
    uint64_t offered = 0;

    for (unsigned w = 0; w < 2; w++) {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_DFSELECT, w, 4);
        offered |= vpg_in(g, g->common + VIRTIO_PCI_COMMON_DF, 4) << 32 * w;
    }
    return offered;
}

static void modern_accept(VirtioPciGuest *g, uint64_t features)
{
    for (unsigned w = 0; w < 2; w++) {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_GFSELECT, w, 4);
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> 32 * w), 4);
    }
}

static void modern_select(VirtioPciGuest *g, unsigned index)
{
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
}

static unsigned modern_ring_size(VirtioPciGuest *g)
{
    return (unsigned)vpg_in(g, g->common + VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

static void modern_set_up(VirtioPciGuest *g, unsigned index, const VirtqDriver *d)
{
    uint64_t at[3];

    virtq_driver_addresses(d, at);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_SIZE, d->c.size, 2);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_DESCLO, at[0], 8);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_AVAILLO, at[1], 8);
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_USEDLO, at[2], 8);
    if (g->msix) {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_MSIX, index, 2);
        g_assert_cmpuint(vpg_in(g, g->common + VIRTIO_PCI_COMMON_Q_MSIX, 2), ==, index);
    }
    vpg_out(g, g->common + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

static void modern_notify(VirtioPciGuest *g, unsigned index)
{
    vpg_out(g, g->notify + (uint64_t)index * g->notify_step, index, 2);
}

static void set_vectors(VirtioPciGuest *g)
{
    for (unsigned i = 0; i <= g->n_rings; i++) {
        uint64_t entry = g->msix_table + i * PCI_MSIX_ENTRY_SIZE;

        vpg_out(g, entry + PCI_MSIX_ENTRY_LOWER_ADDR, g->a.ram_base + MESSAGES + 4 * i, 8);
        vpg_out(g, entry + PCI_MSIX_ENTRY_DATA, i + 1, 4);
        vpg_msix_mask(g, i, false);
        vpg_msix_came(g, i);
    }
}

static void modern_prepare(VirtioPciGuest *g)
{
    if (g->msix) {
        vpg_out(g, g->common + VIRTIO_PCI_COMMON_MSIX, g->n_rings, 2);
        set_vectors(g);
    }
}

static const VirtioRegsWay modern = {
    .status = modern_status,
    .set_status = modern_set_status,
    .take_isr = modern_take_isr,
    .net_config = modern_net_config,
    .offered = modern_offered,
    .accept = modern_accept,
    .prepare = modern_prepare,
    .select = modern_select,
    .ring_size = modern_ring_size,
    .set_up = modern_set_up,
    .notify = modern_notify,
};

/* --- legacy registers --- */

static uint8_t legacy_status(VirtioPciGuest *g)
{
    return (uint8_t)port_in(g, g->port + VIRTIO_PCI_STATUS, 1);
}

static void legacy_set_status(VirtioPciGuest *g, uint8_t status)
{
    port_out(g, g->port + VIRTIO_PCI_STATUS, status, 1);
}

static uint8_t legacy_take_isr(VirtioPciGuest *g)
{
    return (uint8_t)port_in(g, g->port + VIRTIO_PCI_ISR, 1);
}

static uint8_t legacy_net_config(VirtioPciGuest *g, unsigned offset)
{
    return (uint8_t)port_in(g, g->port + VIRTIO_PCI_CONFIG_OFF(g->msix) + offset, 1);
}

static uint64_t legacy_offered(VirtioPciGuest *g)
{
    return port_in(g, g->port + VIRTIO_PCI_HOST_FEATURES, 4);
}

static void legacy_accept(VirtioPciGuest *g, uint64_t features)
{
    port_out(g, g->port + VIRTIO_PCI_GUEST_FEATURES, (uint32_t)features, 4);
}

static void legacy_prepare(VirtioPciGuest *g)
{
    if (g->msix) {
        port_out(g, g->port + VIRTIO_MSI_CONFIG_VECTOR, g->n_rings, 2);
        set_vectors(g);
    }
}

static void legacy_select(VirtioPciGuest *g, unsigned index)
{
    port_out(g, g->port + VIRTIO_PCI_QUEUE_SEL, index, 2);
}

static unsigned legacy_ring_size(VirtioPciGuest *g)
{
    return port_in(g, g->port + VIRTIO_PCI_QUEUE_NUM, 2);
}

static void legacy_set_up(VirtioPciGuest *g, unsigned index, const VirtqDriver *d)
{
    port_out(g, g->port + VIRTIO_PCI_QUEUE_PFN, (uint32_t)(d->c.gpa >> 12), 4);
    if (g->msix) {
        port_out(g, g->port + VIRTIO_MSI_QUEUE_VECTOR, index, 2);
        g_assert_cmpuint(port_in(g, g->port + VIRTIO_MSI_QUEUE_VECTOR, 2), ==, index);
    }
}

static void legacy_notify(VirtioPciGuest *g, unsigned index)
{
    port_out(g, g->port + VIRTIO_PCI_QUEUE_NOTIFY, index, 2);
}

static const VirtioRegsWay legacy = {
    .status = legacy_status,
    .set_status = legacy_set_status,
    .take_isr = legacy_take_isr,
    .net_config = legacy_net_config,
    .offered = legacy_offered,
    .accept = legacy_accept,
    .prepare = legacy_prepare,
    .select = legacy_select,
    .ring_size = legacy_ring_size,
    .set_up = legacy_set_up,
    .notify = legacy_notify,
};

/* --- MSI-X --- */

void vpg_msix_mask(VirtioPciGuest *g, unsigned vector, bool masked)
{
    vpg_out(g, g->msix_table + vector * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL, masked,
            4);
}

void vpg_msix_mask_all(VirtioPciGuest *g, bool masked)
{
    vpg_config_out(g, g->msix_cap + PCI_MSIX_FLAGS,
                   PCI_MSIX_FLAGS_ENABLE | (masked ? PCI_MSIX_FLAGS_MASKALL : 0), 2);
}

bool vpg_msix_is_pending(VirtioPciGuest *g, unsigned vector)
{
    return vpg_in(g, g->msix_pba + vector / 32 * 4, 4) >> vector % 32 & 1;
}

bool vpg_msix_came(VirtioPciGuest *g, unsigned vector)
{
    uint32_t *at = (void *)(g->a.ram + MESSAGES + 4 * vector);
    uint32_t value = __atomic_exchange_n(at, 0, __ATOMIC_SEQ_CST);

    g_assert_true(value == 0 || value == vector + 1);
    return value != 0;
}

/* --- what it has --- */

static void place_bars(VirtioPciGuest *g)
{
    for (unsigned n = 0; n < 6; n++) {
        unsigned at = PCI_BASE_ADDRESS_0 + 4 * n;
        uint32_t type = vpg_config_in(g, at, 4) & 0xf;

        vpg_config_out(g, at, UINT32_MAX, 4);
        if (vpg_config_in(g, at, 4) == 0) {
            continue;
        }
        if (type & PCI_BASE_ADDRESS_SPACE_IO) {
            g->port = PORT_BASE;
            vpg_config_out(g, at, PORT_BASE, 4);
            continue;
        }
        vpg_config_out(g, at, MMIO_BASE + n * BAR_STEP, 4);
        if (type & PCI_BASE_ADDRESS_MEM_TYPE_64) {
            vpg_config_out(g, at + 4, 0, 4);
            n++;
        }
    }
    vpg_config_out(g, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static uint64_t placed(uint32_t bar, uint32_t offset)
{
    return MMIO_BASE + (uint64_t)bar * BAR_STEP + offset;
}

static void found_vendor_cap(VirtioPciGuest *g, unsigned cap)
{
    uint64_t at = placed(vpg_config_in(g, cap + VIRTIO_PCI_CAP_BAR, 1),
                         vpg_config_in(g, cap + VIRTIO_PCI_CAP_OFFSET, 4));

    switch (vpg_config_in(g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        g->common = at;
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        g->notify = at;
        g->notify_step = vpg_config_in(g, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        g->isr = at;
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        g->device = at;
        break;
    default:
        break;
    }
}

static void found_msix(VirtioPciGuest *g, unsigned cap)
{
    uint32_t table = vpg_config_in(g, cap + PCI_MSIX_TABLE, 4);
    uint32_t pba = vpg_config_in(g, cap + PCI_MSIX_PBA, 4);

    g->msix_cap = cap;
    g->msix_table = placed(table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET);
    g->msix_pba = placed(pba & PCI_MSIX_PBA_BIR, pba & PCI_MSIX_PBA_OFFSET);
}

void vpg_find(VirtioPciGuest *g)
{
    unsigned cap = vpg_config_in(g, PCI_CAPABILITY_LIST, 1);

    g_assert_cmphex(vpg_config_in(g, PCI_VENDOR_ID, 2), ==, 0x1af4);
    g->way = g->legacy ? &legacy : &modern;
    g->common = g->msix_cap = 0;
    place_bars(g);
    for (; cap != 0; cap = vpg_config_in(g, cap + 1, 1)) {
        unsigned id = vpg_config_in(g, cap, 1);

        if (id == PCI_CAP_ID_VNDR) {
            found_vendor_cap(g, cap);
        } else if (id == PCI_CAP_ID_MSIX) {
            found_msix(g, cap);
        }
    }
    if (g->msix) {
        g_assert_cmpuint(g->msix_cap, !=, 0);
        vpg_config_out(g, g->msix_cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
    }
}
