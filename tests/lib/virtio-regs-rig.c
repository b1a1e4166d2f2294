/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-regs-rig.h"

#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT     3u         /* of PCI */
#define MMIO_RAM 0x40000000u /* as QEMU's virt has it */

/* --- the driver's way to the machine --- */

static AddressSpace *space_of(VirtioRegsRig *r, bool port)
{
    return port ? r->ports : r->memory;
}

static void rig_read(void *opaque, bool port, uint64_t addr, void *buf, size_t len)
{
    address_space_read(space_of(opaque, port), addr, buf, len);
}

static void rig_write(void *opaque, bool port, uint64_t addr, const void *buf, size_t len)
{
    address_space_write(space_of(opaque, port), addr, buf, len);
}

static void rig_idle(void *opaque)
{
    if (!g_main_context_iteration(NULL, FALSE)) {
        g_usleep(50);
    }
}

/* --- the device's events --- */

static void rig_rings(void *opaque, unsigned running)
{
    ((VirtioRegsRig *)opaque)->running = running;
}

static void rig_warned(void *opaque, const char *text)
{
    ((VirtioRegsRig *)opaque)->warnings++;
}

static void rig_ejected(void *opaque)
{
}

static const VirtioPciEvents rig_pci_events = {
    .rings = rig_rings,
    .warned = rig_warned,
    .ejected = rig_ejected,
};

static const VirtioMmioEvents rig_mmio_events = { rig_rings, rig_warned };

/* --- life --- */

static uint8_t *rig_add_machine(VirtioRegsRig *r)
{
    void *ram;

    r->ram_fd = memfd_create("ram", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(r->ram_fd, VPG_RAM), ==, 0);
    ram = mmap(NULL, VPG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, r->ram_fd, 0);
    g_assert_true(ram != MAP_FAILED);
    r->memory = address_space_new(UINT64_MAX, 0);
    r->ports = address_space_new(UINT16_MAX, 0xff);
    address_space_add_ram(r->memory, &(RamRegion){
        .base = r->c.mmio ? MMIO_RAM : 0, .size = VPG_RAM, .fd = r->ram_fd, .host = ram,
    });
    if (r->c.mmio) {
        r->irq = irq_lines_new(VIRTIO_REGS_RIG_IRQ + VIRTIO_REGS_RIG_SLOTS);
        r->mmio_bus = virtio_mmio_bus_new(r->memory, &(VirtioMmioBusConfig){
            .base = VIRTIO_REGS_RIG_BASE, .n = VIRTIO_REGS_RIG_SLOTS, .irq = r->irq,
            .first_irq = VIRTIO_REGS_RIG_IRQ, .legacy = r->c.legacy,
        });
    } else {
        r->bus = pci_bus_new(r->memory, r->ports);
    }
    return ram;
}

static void rig_add_to_pci(VirtioRegsRig *r, GError **error)
{
    const VirtioPciConfig pci = {
        .kind = "nic",
        .id = "nic0",
        .type = VIRTIO_ID_NET,
        .legacy_id = 0x1000,
        .class = 0x020000,
        .devfn = PCI_DEVFN(SLOT, 0),
        .legacy = true,
        .modern = true,
        .vectors = r->c.vectors ? r->c.vectors : 2 * r->c.pairs + 2,
    };

    r->pci = virtio_pci_new(r->bus, virtio_net_device(r->vn), &pci, &rig_pci_events, r, error);
}

static void rig_add_device(VirtioRegsRig *r)
{
    g_autoptr(GError) error = NULL;
    VirtioNetConfig config = { .mac = "52:54:00:12:34:56", .ctrl = true };
    VirtioNetEnv env = { .name = "nic" };

    memset(&config.f, 1, sizeof(config.f)); /* all of them */
    r->nd = fake_netdev_new(r->c.pairs, true);
    if (r->c.prepare) {
        r->c.prepare(r->nd);
    }
    env.peer = r->nd;
    r->vn = virtio_net_new(&config, &env, &error);
    g_assert_no_error(error);
    if (r->c.mmio) {
        r->mmio = virtio_mmio_new(r->mmio_bus, VIRTIO_REGS_RIG_SLOT, virtio_net_device(r->vn),
                                  VIRTIO_ID_NET, &rig_mmio_events, r, &error);
    } else {
        rig_add_to_pci(r, &error);
    }
    g_assert_no_error(error);
}

void virtio_regs_rig_up(VirtioRegsRig *r, const VirtioRegsRigConfig *c)
{
    *r = (VirtioRegsRig){ .c = *c };
    r->g = (VirtioPciGuest){
        .a = {
            .read = rig_read, .write = rig_write, .idle = rig_idle, .opaque = r,
            .ram = rig_add_machine(r), .ram_base = c->mmio ? MMIO_RAM : 0,
        },
        .slot = SLOT,
        .legacy = c->legacy,
        .msix = c->msix,
        .wanted = c->wanted,
    };
    rig_add_device(r);
    virtio_regs_rig_find(r);
}

static void rig_remove_device(VirtioRegsRig *r)
{
    virtio_pci_free(r->pci);
    virtio_mmio_free(r->mmio);
    virtio_net_free(r->vn);
    netdev_free(r->nd);
}

void virtio_regs_rig_replace(VirtioRegsRig *r)
{
    rig_remove_device(r);
    r->running = 0;
    rig_add_device(r);
    virtio_regs_rig_hold(r, true);
}

void virtio_regs_rig_down(VirtioRegsRig *r)
{
    rig_remove_device(r);
    pci_bus_free(r->bus);
    virtio_mmio_bus_free(r->mmio_bus);
    irq_lines_free(r->irq);
    address_space_free(r->memory);
    address_space_free(r->ports);
    vpg_done(&r->g);
    munmap(r->g.a.ram, VPG_RAM);
    close(r->ram_fd);
}

/* --- what both have --- */

void virtio_regs_rig_hold(VirtioRegsRig *r, bool on)
{
    if (r->mmio) {
        virtio_mmio_hold(r->mmio, on);
    } else {
        virtio_pci_hold(r->pci, on);
    }
}

GByteArray *virtio_regs_rig_save(VirtioRegsRig *r)
{
    GByteArray *state = g_byte_array_new();

    virtio_regs_rig_hold(r, true);
    if (r->mmio) {
        virtio_mmio_save(r->mmio, state);
    } else {
        virtio_pci_save(r->pci, state);
    }
    return state;
}

bool virtio_regs_rig_load(VirtioRegsRig *r, const uint8_t *data, size_t len, GError **error)
{
    StateReader in = { .data = data, .left = len };

    return r->mmio ? virtio_mmio_load(r->mmio, &in, error) : virtio_pci_load(r->pci, &in, error);
}

void virtio_regs_rig_move(VirtioRegsRig *r)
{
    unsigned running = r->running;
    g_autoptr(GByteArray) state = virtio_regs_rig_save(r);
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GError) error = NULL;

    virtio_regs_rig_replace(r);
    g_assert_true(virtio_regs_rig_load(r, state->data, state->len, &error));
    g_assert_no_error(error);
    again = virtio_regs_rig_save(r); /* nothing of it is lost */
    g_assert_cmpmem(again->data, again->len, state->data, state->len);
    g_assert_cmpuint(r->running, ==, 0);
    virtio_regs_rig_hold(r, false);
    g_assert_cmpuint(r->running, ==, running);
}

bool virtio_regs_rig_has_driver(const VirtioRegsRig *r)
{
    return r->mmio ? virtio_mmio_has_driver(r->mmio) : virtio_pci_has_driver(r->pci);
}

void virtio_regs_rig_reset(VirtioRegsRig *r)
{
    if (r->mmio) {
        virtio_mmio_bus_reset(r->mmio_bus);
    } else {
        pci_bus_reset(r->bus);
    }
}

void virtio_regs_rig_find(VirtioRegsRig *r)
{
    if (r->mmio) {
        vmg_find(&r->g, VIRTIO_REGS_RIG_BASE + VIRTIO_REGS_RIG_SLOT * VIRTIO_MMIO_SLOT_SIZE);
    } else {
        vpg_find(&r->g);
    }
}

bool virtio_regs_rig_irq(VirtioRegsRig *r)
{
    return r->mmio ? irq_lines_level(r->irq, VIRTIO_REGS_RIG_IRQ + VIRTIO_REGS_RIG_SLOT)
                   : vpg_config_in(&r->g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

void virtio_regs_rig_give(VirtioRegsRig *r)
{
    g_autofree FakePkt *in = g_new0(FakePkt, 1);

    in->len = 60;
    memset(in->data, 0xff, in->len);
    fake_netdev_give(r->nd, 0, in);
}

void virtio_regs_rig_pass(VirtioRegsRig *r, unsigned pair)
{
    uint8_t frame[VPG_PACKET];
    g_autofree FakePkt *in = g_new0(FakePkt, 1);
    g_autofree FakePkt *out = NULL;

    memset(frame, (int)(0x10 + pair), sizeof(frame));
    frame[0] = 0xfe;
    vpg_send(&r->g, pair, frame, 60 + pair);
    out = fake_netdev_take(r->nd, pair, 10000);
    g_assert_nonnull(out);
    g_assert_cmpmem(out->data, out->len, frame, 60 + pair);
    in->len = 80;
    memset(in->data, 0xff, in->len); /* to all */
    in->data[20] = (uint8_t)pair;
    fake_netdev_give(r->nd, pair, in);
    g_assert_cmpuint(vpg_recv(&r->g, pair, frame), ==, in->len);
    g_assert_cmpmem(frame, in->len, in->data, in->len);
}
