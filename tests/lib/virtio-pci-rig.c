/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-pci-rig.h"

#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT 3u

/* --- the driver's way to the machine --- */

static AddressSpace *space_of(VirtioPciRig *r, bool port)
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
    ((VirtioPciRig *)opaque)->running = running;
}

static void rig_warned(void *opaque, const char *text)
{
    ((VirtioPciRig *)opaque)->warnings++;
}

static void rig_ejected(void *opaque)
{
}

static const VirtioPciEvents rig_events = {
    .rings = rig_rings,
    .warned = rig_warned,
    .ejected = rig_ejected,
};

/* --- life --- */

static uint8_t *rig_add_machine(VirtioPciRig *r)
{
    void *ram;

    r->ram_fd = memfd_create("ram", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(r->ram_fd, VPG_RAM), ==, 0);
    ram = mmap(NULL, VPG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, r->ram_fd, 0);
    g_assert_true(ram != MAP_FAILED);
    r->memory = address_space_new(UINT64_MAX, 0);
    r->ports = address_space_new(UINT16_MAX, 0xff);
    address_space_add_ram(r->memory, &(RamRegion){
        .size = VPG_RAM, .fd = r->ram_fd, .host = ram,
    });
    r->bus = pci_bus_new(r->memory, r->ports);
    return ram;
}

static void rig_add_device(VirtioPciRig *r)
{
    g_autoptr(GError) error = NULL;
    VirtioNetConfig config = { .mac = "52:54:00:12:34:56", .ctrl = true };
    VirtioNetEnv env = { .name = "nic" };
    VirtioPciConfig pci = {
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

    memset(&config.f, 1, sizeof(config.f)); /* all of them */
    r->nd = fake_netdev_new(r->c.pairs, true);
    env.peer = r->nd;
    r->vn = virtio_net_new(&config, &env, &error);
    g_assert_no_error(error);
    r->pci = virtio_pci_new(r->bus, virtio_net_device(r->vn), &pci, &rig_events, r, &error);
    g_assert_no_error(error);
}

void virtio_pci_rig_up(VirtioPciRig *r, const VirtioPciRigConfig *c)
{
    *r = (VirtioPciRig){ .c = *c };
    r->g = (VirtioPciGuest){
        .a = {
            .read = rig_read, .write = rig_write, .idle = rig_idle, .opaque = r,
            .ram = rig_add_machine(r),
        },
        .slot = SLOT,
        .legacy = c->legacy,
        .msix = c->msix,
        .wanted = c->wanted,
    };
    rig_add_device(r);
    vpg_find(&r->g);
}

static void rig_remove_device(VirtioPciRig *r)
{
    virtio_pci_free(r->pci);
    virtio_net_free(r->vn);
    netdev_free(r->nd);
}

void virtio_pci_rig_replace(VirtioPciRig *r)
{
    rig_remove_device(r);
    r->running = 0;
    rig_add_device(r);
    virtio_pci_hold(r->pci, true);
}

void virtio_pci_rig_down(VirtioPciRig *r)
{
    rig_remove_device(r);
    pci_bus_free(r->bus);
    address_space_free(r->memory);
    address_space_free(r->ports);
    vpg_done(&r->g);
    munmap(r->g.a.ram, VPG_RAM);
    close(r->ram_fd);
}

void virtio_pci_rig_pass(VirtioPciRig *r, unsigned pair)
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
