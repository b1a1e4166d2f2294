/*
 * What a guest does with a PCI bus: configuration ports, regions that it places anywhere, the table
 * of MSI-X, ACPI's ports, and a device that comes and goes meanwhile. Whatever it does, what it
 * cannot change stays as it was, regions are where the configuration space says, and no message is
 * sent where none may be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fuzz.h"

#include <linux/pci_regs.h>

#include "msix-internal.h"
#include "pci-toy.h"

#define MAX_ACTS  512u
#define VECTORS   70u   /* more than a word of pending bits */
#define ANY_DEVFN 0x80u /* of FuzzPciAct.region: not the device's, but what @where has */

typedef enum FuzzPciKind {
    FUZZ_PCI_CONFIG_IN,  /* offset @where & 0xff of the device, or of devfn @where >> 8 */
    FUZZ_PCI_CONFIG_OUT,
    FUZZ_PCI_PORT_IN,    /* a port of the bus, or any other */
    FUZZ_PCI_PORT_OUT,
    FUZZ_PCI_BAR_IN,     /* offset @where of region @region */
    FUZZ_PCI_BAR_OUT,
    FUZZ_PCI_MEM_IN,     /* address @value */
    FUZZ_PCI_MEM_OUT,
    FUZZ_PCI_NOTIFY,     /* vector @where */
    FUZZ_PCI_IRQ,
    FUZZ_PCI_PLUG,       /* or, if it is there, it is to go */
    FUZZ_PCI_RESET,
    FUZZ_PCI_KINDS,
} FuzzPciKind;

typedef struct FuzzPciAct {
    uint8_t kind;
    uint8_t len;
    uint8_t region;
    uint8_t zero;
    uint16_t where;
    uint16_t zero2;
    uint64_t value;
} FuzzPciAct;

/* --- what happens --- */

static void reach(AddressSpace *as, bool out, uint64_t addr, uint64_t value, unsigned len)
{
    uint8_t buf[sizeof(value)];

    memcpy(buf, &value, sizeof(value));
    if (out) {
        address_space_write(as, addr, buf, len);
    } else {
        address_space_read(as, addr, buf, len);
    }
}

static void reach_config(PciToy *t, bool out, const FuzzPciAct *a, unsigned len)
{
    uint32_t devfn = a->region & ANY_DEVFN ? a->where >> 8 : PCI_DEVFN(PCI_TOY_SLOT, 0);

    reach(t->ports, true, 0xcf8, 0x80000000u | devfn << 8 | (a->where & 0xff), 4);
    reach(t->ports, out, 0xcfc + a->region % 4u, a->value, len);
}

static void reach_port(PciToy *t, bool out, const FuzzPciAct *a, unsigned len)
{
    static const uint16_t known[] = { 0xcf8, 0xcfc, 0xae00, 0xae04, 0xae08, 0xae0c };
    unsigned n = a->region % 8;

    reach(t->ports, out, n < G_N_ELEMENTS(known) ? known[n] + a->where % 4u : a->where, a->value,
          len);
}

static void reach_bar(PciToy *t, bool out, const FuzzPciAct *a, unsigned len)
{
    const IoRegion *bar = &t->d.bar[a->region % PCI_BARS];

    if (bar->as) {
        reach(bar->as, out, bar->base + a->where % bar->size, a->value, len);
    }
}

/* A device that is to go does it when the guest says so, as its user would have it. */
static void plug(PciToy *t)
{
    if (t->d.bus) {
        pci_bus_request_eject(&t->d);
    } else {
        pci_toy_add(t);
    }
}

static void follow_log(PciToy *t)
{
    if (strstr(t->log->str, "ejected") && t->d.bus) {
        pci_bus_remove(&t->d);
        pci_device_reset(&t->d);
    }
    g_string_truncate(t->log, 0);
}

static void act(PciToy *t, const FuzzPciAct *a)
{
    unsigned len = 1 + a->len % 8;

    switch (a->kind % FUZZ_PCI_KINDS) {
    case FUZZ_PCI_CONFIG_IN:
    case FUZZ_PCI_CONFIG_OUT:
        reach_config(t, a->kind % FUZZ_PCI_KINDS == FUZZ_PCI_CONFIG_OUT, a, len);
        break;
    case FUZZ_PCI_PORT_IN:
    case FUZZ_PCI_PORT_OUT:
        reach_port(t, a->kind % FUZZ_PCI_KINDS == FUZZ_PCI_PORT_OUT, a, len);
        break;
    case FUZZ_PCI_BAR_IN:
    case FUZZ_PCI_BAR_OUT:
        reach_bar(t, a->kind % FUZZ_PCI_KINDS == FUZZ_PCI_BAR_OUT, a, len);
        break;
    case FUZZ_PCI_MEM_IN:
    case FUZZ_PCI_MEM_OUT:
        reach(t->memory, a->kind % FUZZ_PCI_KINDS == FUZZ_PCI_MEM_OUT, a->value, a->where, len);
        break;
    case FUZZ_PCI_NOTIFY:
        pci_msix_notify(t->msix, a->where);
        break;
    case FUZZ_PCI_IRQ:
        pci_device_set_irq(&t->d, t->d.bus && a->value & 1);
        break;
    case FUZZ_PCI_PLUG:
        plug(t);
        break;
    default:
        pci_bus_reset(t->bus);
        break;
    }
    follow_log(t);
}

/* --- what holds --- */

static void check_config(const PciDevice *d)
{
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        uint8_t theirs = (uint8_t)(d->writable[i] | d->clears[i]);

        theirs |= i == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0;
        g_assert_cmphex((d->config[i] ^ d->after_reset[i]) & ~theirs, ==, 0);
    }
}

static void check_bars(const PciToy *t)
{
    uint16_t command = pci_config_word(&t->d, PCI_COMMAND);

    for (unsigned n = 0; n < PCI_BARS; n++) {
        const IoRegion *bar = &t->d.bar[n];
        unsigned at = PCI_BASE_ADDRESS_0 + 4 * n;
        uint32_t low = pci_config_word(&t->d, at) | (uint32_t)pci_config_word(&t->d, at + 2) << 16;

        if (bar->as) {
            g_assert_true(t->d.bus == t->bus);
            g_assert_true(bar->as == (n == 0 ? t->ports : t->memory));
            g_assert_true(command & (n == 0 ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY));
            g_assert_cmphex((uint32_t)bar->base, ==, low & ~(uint32_t)(bar->size - 1));
            g_assert_cmphex(bar->base + bar->size, >, bar->base);
        }
    }
}

static bool may_send(const PciToy *t)
{
    return t->d.bus && pci_device_is_master(&t->d) && pci_msix_is_enabled(t->msix);
}

/* Memory may change by the access itself: that hides a region. */
static bool may_hit_ram(const PciToy *t, const FuzzPciAct *a)
{
    const IoRegion *bar = &t->d.bar[a->region % PCI_BARS];

    return a->kind % FUZZ_PCI_KINDS == FUZZ_PCI_MEM_OUT ||
           (a->kind % FUZZ_PCI_KINDS == FUZZ_PCI_BAR_OUT &&
            bar->base < PCI_TOY_RAM + sizeof(t->ram));
}

static void check_msix(const PciToy *t)
{
    const PciMsix *m = t->msix;

    for (unsigned i = 0; i < VECTORS; i++) {
        const uint8_t *control = m->table + i * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL;

        g_assert_cmphex(control[0] & ~PCI_MSIX_ENTRY_CTRL_MASKBIT, ==, 0);
        g_assert_cmphex(control[1] | control[2] | control[3], ==, 0);
    }
    g_assert_cmphex(m->pending[VECTORS / 64] >> VECTORS % 64, ==, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };
    uint8_t before[sizeof(((PciToy *)0)->ram)];
    g_autofree PciToy *t = g_new(PciToy, 1);

    pci_toy_init(t, VECTORS);
    pci_bus_set_guest(t->bus, true);
    pci_toy_add(t);
    for (unsigned i = 0; in.size > 0 && i < MAX_ACTS; i++) {
        FuzzPciAct a;
        bool hit;

        fuzz_take(&in, &a, sizeof(a));
        hit = may_hit_ram(t, &a);
        memcpy(before, t->ram, sizeof(before));
        act(t, &a);
        if (!hit && !may_send(t)) {
            g_assert_cmpmem(before, sizeof(before), t->ram, sizeof(t->ram));
        }
        check_config(&t->d);
        check_bars(t);
        check_msix(t);
    }
    pci_bus_reset(t->bus);
    check_bars(t);
    g_assert_cmpmem(t->d.config, PCI_CONFIG_SIZE, t->d.after_reset, PCI_CONFIG_SIZE);
    pci_toy_done(t);
    return 0;
}
