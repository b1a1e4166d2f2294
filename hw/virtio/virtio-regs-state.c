/*
 * The state of what a driver set up by registers: status, features, rings and where they stand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-regs.h"

#include <inttypes.h>

#include "hw/core/device.h"

static void ring_save(const VirtioRegsRing *ring, GByteArray *out)
{
    state_put(out, ring->size, 2);
    state_put(out, ring->at.desc, 8);
    state_put(out, ring->at.driver, 8);
    state_put(out, ring->at.device, 8);
    state_put(out, ring->enabled, 1);
    state_put(out, ring->base, 4);
}

void virtio_regs_save(VirtioRegs *r, GByteArray *out)
{
    g_assert(r->held && r->running == 0);
    state_put(out, r->status, 1);
    state_put(out, r->generation, 1);
    state_put(out, r->accepted, 8);
    state_put(out, r->features, 8);
    r->dev->ops->save(r->dev, out);
    state_put(out, r->dev->n_rings, 2);
    for (unsigned i = 0; i < r->dev->n_rings; i++) {
        ring_save(&r->ring[i], out);
    }
}

static bool load_features(VirtioRegs *r, StateReader *in, GError **error)
{
    uint64_t offered = r->dev->ops->features(r->dev);
    uint64_t accepted = state_get(in, 8);
    uint64_t features = state_get(in, 8);

    if (features & ~offered) {
        return device_set_error(error, "Features 0x%" PRIx64 " unsupported. Allowed features: 0x%"
                                PRIx64, features, offered);
    }
    r->accepted = accepted;
    r->features = features;
    return features == 0 || r->dev->ops->set_features(r->dev, features, error);
}

/* Its addresses are judged when it starts, as they are when a driver sets it up. */
static bool ring_load(VirtioRegsRing *ring, StateReader *in, GError **error)
{
    VirtioRegs *r = ring->regs;
    uint16_t size = (uint16_t)state_get(in, 2);

    ring->at.desc = state_get(in, 8);
    ring->at.driver = state_get(in, 8);
    ring->at.device = state_get(in, 8);
    ring->enabled = state_get(in, 1) != 0;
    ring->base = (uint32_t)state_get(in, 4);
    ring->size = size;
    if (size > 0 && size > r->dev->ops->ring_size(r->dev, ring->index)) {
        return device_set_error(error, "VQ %u size 0x%x is longer than the device has it",
                                ring->index, size);
    }
    if (ring->enabled && !virtio_regs_ring(r, ring->index)) {
        return device_set_error(error, "VQ %u is not there with these features", ring->index);
    }
    return true;
}

bool virtio_regs_load(VirtioRegs *r, StateReader *in, GError **error)
{
    uint8_t status = (uint8_t)state_get(in, 1);
    unsigned n;

    g_assert(r->held && r->running == 0);
    r->generation = (uint8_t)state_get(in, 1);
    if (!load_features(r, in, error) || !r->dev->ops->load(r->dev, in, error)) {
        return false;
    }
    n = (unsigned)state_get(in, 2);
    if (n != r->dev->n_rings) {
        return device_set_error(error, "%x != %x: queues", n, r->dev->n_rings);
    }
    for (unsigned i = 0; i < n; i++) {
        if (!ring_load(&r->ring[i], in, error)) {
            return false;
        }
    }
    r->status = status;
    return true;
}
