/*
 * The registers of a virtio device on PCI, by all the ways that lead to them: legacy ports, the
 * region of modern drivers, the window in the configuration space, MSI-X's table. Whatever a driver
 * does, a reset brings all back, and the next one is served.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz-virtio-regs.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "hw/virtio/virtio-pci.h"

#define SLOT 4u

typedef enum FuzzPciKind {
    FUZZ_PCI_LEGACY, /* offset @where of the ports */
    FUZZ_PCI_MODERN, /* of the region of modern registers */
    FUZZ_PCI_COMMON, /* of its first part, in which each is a register */
    FUZZ_PCI_CONFIG, /* of the configuration space */
    FUZZ_PCI_WINDOW, /* the register @where, by VIRTIO_PCI_CAP_PCI_CFG */
    FUZZ_PCI_MSIX,   /* of the table */
    FUZZ_PCI_KINDS,
} FuzzPciKind;

typedef struct FuzzPci {
    PciBus *bus;
    VirtioPci *pci;
    unsigned window; /* the capability */
} FuzzPci;

static void pci_rings(void *opaque, unsigned running)
{
    ((FuzzVirtio *)opaque)->running = running;
}

static void pci_warned(void *opaque, const char *text)
{
}

static void pci_ejected(void *opaque)
{
}

static const VirtioPciEvents events = { pci_rings, pci_warned, pci_ejected };

static void pci_up(FuzzVirtio *f)
{
    static const VirtioPciConfig config = {
        .kind = "stub", .id = "stub0", .type = 1, .legacy_id = 0x1000, .class = 0x020000,
        .devfn = PCI_DEVFN(SLOT, 0), .legacy = true, .modern = true,
        .vectors = FUZZ_VIRTIO_RINGS + 1,
    };
    FuzzPci *p = g_new0(FuzzPci, 1);

    f->impl = p;
    f->g.slot = SLOT;
    p->bus = pci_bus_new(f->memory, f->ports);
    p->pci = virtio_pci_new(p->bus, &f->stub->dev, &config, &events, f, NULL);
    g_assert_nonnull(p->pci);
}

static void pci_down(FuzzVirtio *f)
{
    FuzzPci *p = f->impl;

    virtio_pci_free(p->pci);
    pci_bus_free(p->bus);
    g_free(p);
}

static void pci_reset(FuzzVirtio *f)
{
    pci_bus_reset(((FuzzPci *)f->impl)->bus);
}

/* MSI-X stays off for who is found by vpg_find(), and legacy registers where they were placed. */
static void pci_find(FuzzVirtio *f)
{
    FuzzPci *p = f->impl;
    unsigned cap = vpg_config_in(&f->g, PCI_CAPABILITY_LIST, 1);

    vpg_find(&f->g);
    while (vpg_config_in(&f->g, cap, 1) != PCI_CAP_ID_VNDR ||
           vpg_config_in(&f->g, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) != VIRTIO_PCI_CAP_PCI_CFG) {
        cap = vpg_config_in(&f->g, cap + 1, 1);
        g_assert_cmpuint(cap, !=, 0);
    }
    p->window = cap;
}

static void reach_window(FuzzVirtio *f, bool in, const FuzzVirtioAct *a, unsigned len)
{
    unsigned cap = ((FuzzPci *)f->impl)->window;

    vpg_config_out(&f->g, cap + VIRTIO_PCI_CAP_BAR, 4, 1);
    vpg_config_out(&f->g, cap + VIRTIO_PCI_CAP_OFFSET, a->where, 4);
    vpg_config_out(&f->g, cap + VIRTIO_PCI_CAP_LENGTH, len, 4);
    if (in) {
        vpg_config_in(&f->g, cap + sizeof(struct virtio_pci_cap), 4);
    } else {
        vpg_config_out(&f->g, cap + sizeof(struct virtio_pci_cap), (uint32_t)a->value, 4);
    }
}

static void reach_config(FuzzVirtio *f, bool in, const FuzzVirtioAct *a, unsigned len)
{
    fuzz_virtio_reach(f->ports, false, 0xcf8, 0x80000000u | SLOT << 11 | (a->where & 0xfc), 4);
    fuzz_virtio_reach(f->ports, in, 0xcfc + (a->where & 3), a->value, len);
}

static void pci_act(FuzzVirtio *f, unsigned own, bool in, const FuzzVirtioAct *a, unsigned len)
{
    const VirtioPciGuest *g = &f->g;

    switch (own) {
    case FUZZ_PCI_LEGACY:
        fuzz_virtio_reach(f->ports, in, g->port + a->where % 64, a->value, len);
        break;
    case FUZZ_PCI_MODERN:
        fuzz_virtio_reach(f->memory, in, g->common + a->where % 0x4000, a->value, len);
        break;
    case FUZZ_PCI_COMMON:
        fuzz_virtio_reach(f->memory, in, g->common + a->where % 64, a->value, len);
        break;
    case FUZZ_PCI_CONFIG:
        reach_config(f, in, a, len);
        break;
    case FUZZ_PCI_WINDOW:
        reach_window(f, in, a, len);
        break;
    default:
        fuzz_virtio_reach(f->memory, in, g->msix_table + a->where % 0x1000, a->value, len);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const FuzzVirtioWay way = {
        FUZZ_PCI_KINDS, pci_up, pci_act, pci_reset, pci_find, pci_down,
    };

    fuzz_virtio_regs(&way, data, size);
    return 0;
}
