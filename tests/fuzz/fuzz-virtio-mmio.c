/*
 * The registers of a virtio device on MMIO, modern, or legacy if the first byte is odd. Whatever
 * a driver does, a reset brings all back, and the next one is served; the interrupt line is high
 * as long as the device has something to tell.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz-virtio-regs.h"

#include "hw/virtio/virtio-mmio.h"
#include "virtio-mmio-guest.h"

#define BASE 0x0a000000u
#define SLOT 1u /* of two */
#define AT   (BASE + SLOT * VIRTIO_MMIO_SLOT_SIZE)

typedef enum FuzzMmioKind {
    FUZZ_MMIO_REGISTER, /* all of one */
    FUZZ_MMIO_ANY,      /* bytes of both transports */
    FUZZ_MMIO_KINDS,
} FuzzMmioKind;

typedef struct FuzzMmio {
    IrqLines *irq;
    VirtioMmioBus *bus;
    VirtioMmio *mmio;
} FuzzMmio;

static void mmio_rings(void *opaque, unsigned running)
{
    ((FuzzVirtio *)opaque)->running = running;
}

static void mmio_warned(void *opaque, const char *text)
{
}

static const VirtioMmioEvents events = { mmio_rings, mmio_warned };

static void up(FuzzVirtio *f, bool legacy)
{
    FuzzMmio *m = g_new0(FuzzMmio, 1);

    f->impl = m;
    f->g.legacy = legacy;
    m->irq = irq_lines_new(2);
    m->bus = virtio_mmio_bus_new(f->memory, &(VirtioMmioBusConfig){
        .base = BASE, .n = 2, .irq = m->irq, .legacy = legacy,
    });
    m->mmio = virtio_mmio_new(m->bus, SLOT, &f->stub->dev, 1, &events, f, NULL);
    g_assert_nonnull(m->mmio);
}

static void mmio_up_modern(FuzzVirtio *f)
{
    up(f, false);
}

static void mmio_up_legacy(FuzzVirtio *f)
{
    up(f, true);
}

static void mmio_down(FuzzVirtio *f)
{
    FuzzMmio *m = f->impl;

    virtio_mmio_free(m->mmio);
    virtio_mmio_bus_free(m->bus);
    irq_lines_free(m->irq);
    g_free(m);
}

static void mmio_reset(FuzzVirtio *f)
{
    FuzzMmio *m = f->impl;

    virtio_mmio_bus_reset(m->bus);
    g_assert_false(irq_lines_level(m->irq, SLOT));
}

static void mmio_find(FuzzVirtio *f)
{
    vmg_find(&f->g, AT);
}

static void mmio_act(FuzzVirtio *f, unsigned own, bool in, const FuzzVirtioAct *a, unsigned len)
{
    const FuzzMmio *m = f->impl;
    bool isr;

    if (own == FUZZ_MMIO_REGISTER) {
        fuzz_virtio_reach(f->memory, in, AT + a->where % 0x80 * 4, a->value, 4);
    } else {
        fuzz_virtio_reach(f->memory, in, BASE + a->where % (2 * VIRTIO_MMIO_SLOT_SIZE), a->value,
                          len);
    }
    isr = vpg_in(&f->g, AT + 0x60, 4) != 0;
    g_assert_cmpint(irq_lines_level(m->irq, SLOT), ==, isr);
    g_assert_false(irq_lines_level(m->irq, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const FuzzVirtioWay modern = {
        FUZZ_MMIO_KINDS, mmio_up_modern, mmio_act, mmio_reset, mmio_find, mmio_down,
    };
    static const FuzzVirtioWay legacy = {
        FUZZ_MMIO_KINDS, mmio_up_legacy, mmio_act, mmio_reset, mmio_find, mmio_down,
    };

    if (size > 0) {
        fuzz_virtio_regs(data[0] & 1 ? &legacy : &modern, data + 1, size - 1);
    }
    return 0;
}
