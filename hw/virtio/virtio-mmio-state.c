/*
 * The state of a virtio device on MMIO: its registers, and then the device's own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-mmio-internal.h"

#include "hw/core/device.h"

/*
 * What a reader of today cannot read makes it 2. What only some devices have goes behind all this,
 * for those only, so that the others still load where it is not known.
 */
#define VERSION 1u

void virtio_mmio_save(VirtioMmio *m, GByteArray *out)
{
    state_put(out, VERSION, 1);
    state_put(out, m->slot->bus->legacy, 1);
    state_put(out, m->isr, 1);
    state_put(out, m->device_select, 4);
    state_put(out, m->driver_select, 4);
    state_put(out, m->ring_select, 4);
    state_put(out, m->page_shift, 1);
    virtio_regs_save(&m->regs, out);
    for (unsigned i = 0; i < m->regs.dev->n_rings; i++) {
        state_put(out, m->ring_align[i], 4);
    }
}

static bool load_aligns(VirtioMmio *m, StateReader *in, GError **error)
{
    for (unsigned i = 0; i < m->regs.dev->n_rings; i++) {
        m->ring_align[i] = (uint32_t)state_get(in, 4);
        if (m->ring_align[i] == 0) {
            return device_set_error(error, "VQ %u has no alignment", i);
        }
    }
    return true;
}

static bool load(VirtioMmio *m, StateReader *in, GError **error)
{
    unsigned version = (unsigned)state_get(in, 1);
    uint8_t isr;

    if (version != VERSION) {
        return device_set_error(error, "version %u of its state is not known", version);
    }
    if (state_get(in, 1) != m->slot->bus->legacy) {
        return device_set_error(error, "one of them has legacy registers, the other has not");
    }
    isr = (uint8_t)state_get(in, 1);
    m->device_select = (uint32_t)state_get(in, 4);
    m->driver_select = (uint32_t)state_get(in, 4);
    m->ring_select = (uint32_t)state_get(in, 4);
    m->page_shift = (uint8_t)state_get(in, 1);
    if (m->page_shift > VIRTIO_MMIO_MAX_SHIFT) {
        return device_set_error(error, "a page of 2^%u bytes is too large", m->page_shift);
    }
    if (!virtio_regs_load(&m->regs, in, error) || !load_aligns(m, in, error)) {
        return false;
    }
    if (!state_is_whole(in)) {
        return device_set_error(error, "its state has another length");
    }
    virtio_mmio_set_isr(m, isr);
    return true;
}

bool virtio_mmio_load(VirtioMmio *m, StateReader *in, GError **error)
{
    virtio_mmio_reset(m);
    if (!load(m, in, error)) {
        virtio_mmio_reset(m);
        return false;
    }
    return true;
}
