/*
 * The state of a virtio device on PCI: its configuration space, its messages, its registers, and
 * then the device's own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-pci-internal.h"

#include <linux/virtio_pci.h>

#include "hw/core/device.h"

/*
 * What a reader of today cannot read makes it 2. What only some devices have goes behind all this,
 * for those only, so that the others still load where it is not known.
 */
#define VERSION 1u

void virtio_pci_save(VirtioPci *p, GByteArray *out)
{
    state_put(out, VERSION, 1);
    pci_device_save(&p->pci, out);
    pci_msix_save(p->msix, out);
    state_put(out, p->isr, 1);
    state_put(out, p->config_vector, 2);
    state_put(out, p->device_select, 4);
    state_put(out, p->driver_select, 4);
    state_put(out, p->ring_select, 2);
    virtio_regs_save(&p->regs, out);
    for (unsigned i = 0; i < p->regs.dev->n_rings; i++) {
        state_put(out, p->ring_vector[i], 2);
    }
}

static uint16_t load_vector(const VirtioPci *p, StateReader *in)
{
    return virtio_pci_vector(p, state_get(in, 2));
}

static bool load(VirtioPci *p, StateReader *in, GError **error)
{
    unsigned version = (unsigned)state_get(in, 1);

    if (version != VERSION) {
        return device_set_error(error, "version %u of its state is not known", version);
    }
    if (!pci_device_load(&p->pci, in, error) || !pci_msix_load(p->msix, in, error)) {
        return false;
    }
    p->isr = (uint8_t)state_get(in, 1);
    p->config_vector = load_vector(p, in);
    p->device_select = (uint32_t)state_get(in, 4);
    p->driver_select = (uint32_t)state_get(in, 4);
    p->ring_select = (uint16_t)state_get(in, 2);
    virtio_regs_set_dma(&p->regs, pci_device_is_master(&p->pci));
    if (!virtio_regs_load(&p->regs, in, error)) {
        return false;
    }
    for (unsigned i = 0; i < p->regs.dev->n_rings; i++) {
        p->ring_vector[i] = load_vector(p, in);
    }
    return state_is_whole(in) || device_set_error(error, "its state has another length");
}

bool virtio_pci_load(VirtioPci *p, StateReader *in, GError **error)
{
    virtio_pci_reset_registers(p);
    if (!load(p, in, error)) {
        pci_device_reset(&p->pci);
        return false;
    }
    return true;
}
