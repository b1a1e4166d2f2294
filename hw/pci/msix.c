/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/pci/msix.h"

#include <string.h>

#include "msix-internal.h"
#include "pci-internal.h"

#define BAR_MIN     4096u
#define MESSAGE_LEN 4u

static uint8_t *entry_at(const PciMsix *m, unsigned vector)
{
    return m->table + (size_t)vector * PCI_MSIX_ENTRY_SIZE;
}

static uint32_t entry_long(const PciMsix *m, unsigned vector, unsigned offset)
{
    uint32_t value;

    memcpy(&value, entry_at(m, vector) + offset, sizeof(value));
    return GUINT32_FROM_LE(value);
}

static uint16_t msix_flags(const PciMsix *m)
{
    return pci_config_word(m->d, m->cap + PCI_MSIX_FLAGS);
}

static bool is_masked(const PciMsix *m, unsigned vector)
{
    return (msix_flags(m) & PCI_MSIX_FLAGS_MASKALL) ||
           (entry_long(m, vector, PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* --- messages --- */

/* A message to a device's registers could come back to us, and is of no use to a driver. */
static bool is_memory(const AddressSpace *as, uint64_t addr)
{
    const RamRegion *r;

    for (unsigned i = 0; (r = address_space_ram(as, i)) != NULL; i++) {
        if (r->size >= MESSAGE_LEN && addr - r->base <= r->size - MESSAGE_LEN) {
            return true;
        }
    }
    return false;
}

static void msix_send(const PciMsix *m, unsigned vector)
{
    AddressSpace *as = pci_bus_memory(m->d->bus);
    uint64_t addr = entry_long(m, vector, PCI_MSIX_ENTRY_LOWER_ADDR) |
                    (uint64_t)entry_long(m, vector, PCI_MSIX_ENTRY_UPPER_ADDR) << 32;

    if (pci_device_is_master(m->d) && is_memory(as, addr)) {
        address_space_write(as, addr, entry_at(m, vector) + PCI_MSIX_ENTRY_DATA, MESSAGE_LEN);
    }
}

static void send_if_pending(PciMsix *m, unsigned vector)
{
    uint64_t bit = 1ull << vector % 64;

    if ((m->pending[vector / 64] & bit) && !is_masked(m, vector)) {
        m->pending[vector / 64] &= ~bit;
        msix_send(m, vector);
    }
}

void pci_msix_notify(PciMsix *m, unsigned vector)
{
    if (pci_msix_is_enabled(m) && vector < m->n && m->d->bus) {
        m->pending[vector / 64] |= 1ull << vector % 64;
        send_if_pending(m, vector);
    }
}

void pci_msix_config_written(PciMsix *m)
{
    for (unsigned i = 0; pci_msix_is_enabled(m) && i < m->n; i++) {
        send_if_pending(m, i);
    }
}

/* --- the region --- */

static uint64_t msix_read(void *opaque, uint64_t offset, unsigned size)
{
    const PciMsix *m = opaque;
    uint64_t value = 0;
    uint64_t table_len = (uint64_t)m->n * PCI_MSIX_ENTRY_SIZE;
    uint64_t pending_len = (m->n + 63) / 64 * 8;

    if (offset < table_len) {
        memcpy(&value, m->table + offset, size);
        return GUINT64_FROM_LE(value);
    }
    if (offset >= m->pba && offset - m->pba < pending_len) {
        return m->pending[(offset - m->pba) / 8] >> (offset - m->pba) % 8 * 8;
    }
    return 0;
}

void pci_msix_trim_entry(PciMsix *m, unsigned vector)
{
    uint8_t *control = entry_at(m, vector) + PCI_MSIX_ENTRY_VECTOR_CTRL;

    control[0] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
    memset(control + 1, 0, 3);
}

/* Pending bits are ours. */
static void msix_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciMsix *m = opaque;
    unsigned vector = (unsigned)(offset / PCI_MSIX_ENTRY_SIZE);
    uint64_t le = GUINT64_TO_LE(value);

    if (vector >= m->n) {
        return;
    }
    memcpy(m->table + offset, &le, size);
    pci_msix_trim_entry(m, vector);
    if (pci_msix_is_enabled(m) && m->d->bus) {
        send_if_pending(m, vector);
    }
}

static const IoRegionOps msix_ops = { 8, msix_read, msix_write };

/* --- life --- */

bool pci_msix_is_enabled(const PciMsix *m)
{
    return m && (msix_flags(m) & PCI_MSIX_FLAGS_ENABLE);
}

unsigned pci_msix_vectors(const PciMsix *m)
{
    return m ? m->n : 0;
}

void pci_msix_reset(PciMsix *m)
{
    if (!m) {
        return;
    }
    memset(m->table, 0, (size_t)m->n * PCI_MSIX_ENTRY_SIZE);
    memset(m->pending, 0, (m->n + 63) / 64 * sizeof(m->pending[0]));
    for (unsigned i = 0; i < m->n; i++) {
        entry_at(m, i)[PCI_MSIX_ENTRY_VECTOR_CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    }
}

static uint64_t power_of_2(uint64_t size)
{
    uint64_t p = 1;

    while (p < size) {
        p *= 2;
    }
    return p;
}

PciMsix *pci_msix_new(PciDevice *d, unsigned bar, unsigned n_vectors)
{
    PciMsix *m = g_new0(PciMsix, 1);
    unsigned words = (n_vectors + 63) / 64;

    g_assert(n_vectors > 0 && n_vectors <= PCI_MSIX_MAX_VECTORS);
    m->d = d;
    m->n = n_vectors;
    m->pba = MAX(BAR_MIN / 2, n_vectors * PCI_MSIX_ENTRY_SIZE);
    m->table = g_malloc((size_t)n_vectors * PCI_MSIX_ENTRY_SIZE);
    m->pending = g_new(uint64_t, words);
    m->cap = pci_device_add_cap(d, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
    pci_config_set_word(d, m->cap + PCI_MSIX_FLAGS, (uint16_t)(n_vectors - 1));
    pci_config_set_long(d, m->cap + PCI_MSIX_TABLE, bar);
    pci_config_set_long(d, m->cap + PCI_MSIX_PBA, m->pba | bar);
    d->writable[m->cap + PCI_MSIX_FLAGS + 1] =
        (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
    pci_device_add_bar(d, bar, PCI_BASE_ADDRESS_SPACE_MEMORY,
                       power_of_2(MAX(BAR_MIN, m->pba + words * 8)), &msix_ops, m);
    pci_msix_reset(m);
    return m;
}

void pci_msix_free(PciMsix *m)
{
    if (m) {
        g_free(m->table);
        g_free(m->pending);
        g_free(m);
    }
}
