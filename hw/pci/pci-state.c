/*
 * The state of a PCI device: what the guest wrote into its configuration space, and its messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pci-internal.h"

#include <string.h>

#include "hw/core/device.h"
#include "msix-internal.h"

void pci_device_save(const PciDevice *d, GByteArray *out)
{
    state_put_bytes(out, d->config, sizeof(d->config));
}

/* Bits of the status that come and go. */
static uint8_t transient(unsigned offset)
{
    return offset == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0;
}

bool pci_device_load(PciDevice *d, StateReader *in, GError **error)
{
    uint8_t config[PCI_CONFIG_SIZE];

    state_get_bytes(in, config, sizeof(config));
    for (unsigned i = 0; !in->failed && i < sizeof(config); i++) {
        uint8_t theirs = (uint8_t)(d->writable[i] | d->clears[i] | transient(i));

        if ((config[i] ^ d->after_reset[i]) & ~theirs) {
            return device_set_error(error, "Bad config data: i=0x%x read: %x device: %x", i,
                                    config[i], d->after_reset[i]);
        }
    }
    if (!in->failed) {
        memcpy(d->config, config, sizeof(config));
        pci_device_update_bars(d);
    }
    return true;
}

void pci_msix_save(const PciMsix *m, GByteArray *out)
{
    state_put(out, pci_msix_vectors(m), 2);
    if (m) {
        state_put_bytes(out, m->table, (size_t)m->n * PCI_MSIX_ENTRY_SIZE);
        for (unsigned i = 0; i < (m->n + 63) / 64; i++) {
            state_put(out, m->pending[i], 8);
        }
    }
}

bool pci_msix_load(PciMsix *m, StateReader *in, GError **error)
{
    unsigned n = (unsigned)state_get(in, 2);

    if (n != pci_msix_vectors(m)) {
        return device_set_error(error, "%x != %x: vectors", n, pci_msix_vectors(m));
    }
    if (m) {
        state_get_bytes(in, m->table, (size_t)n * PCI_MSIX_ENTRY_SIZE);
        for (unsigned i = 0; i < n; i++) {
            pci_msix_trim_entry(m, i);
        }
        for (unsigned i = 0; i < (n + 63) / 64; i++) {
            m->pending[i] = state_get(in, 8);
        }
    }
    return true;
}
