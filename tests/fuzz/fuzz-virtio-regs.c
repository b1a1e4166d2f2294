/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz-virtio-regs.h"

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/container-of.h"

#define MAX_ACTS  256u
#define MEMORY    0x4000u    /* that acts reach */
#define RAM       (4u << 20) /* what the driver at the end needs is in there */
#define RING_SIZE 64u

/* --- the machine --- */

typedef struct Ram {
    int fd;
    uint8_t *host;
} Ram;

/* The same for all inputs: most of it is never touched. */
static const Ram *the_ram(void)
{
    static Ram ram;

    if (!ram.host) {
        ram.fd = memfd_create("ram", MFD_CLOEXEC);
        g_assert_cmpint(ftruncate(ram.fd, RAM), ==, 0);
        ram.host = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram.fd, 0);
        g_assert_true(ram.host != MAP_FAILED);
    }
    memset(ram.host, 0, MEMORY);
    return &ram;
}

void fuzz_virtio_reach(AddressSpace *as, bool in, uint64_t addr, uint64_t value, unsigned len)
{
    if (in) {
        address_space_read(as, addr, &value, len);
    } else {
        address_space_write(as, addr, &value, len);
    }
}

static void guest_read(void *opaque, bool port, uint64_t addr, void *buf, size_t len)
{
    FuzzVirtio *f = opaque;

    address_space_read(port ? f->ports : f->memory, addr, buf, len);
}

static void guest_write(void *opaque, bool port, uint64_t addr, const void *buf, size_t len)
{
    FuzzVirtio *f = opaque;

    address_space_write(port ? f->ports : f->memory, addr, buf, len);
}

/* A ring that lies is told of, as a device's thread would. */
static void serve(FuzzVirtio *f)
{
    VirtioDevice *d = &f->stub->dev;

    for (unsigned i = 0; i < FUZZ_VIRTIO_RINGS; i++) {
        if (virtio_stub_serve(f->stub, i, RING_SIZE) < 0) {
            d->transport->ring_broken(d->transport_opaque, i, "it lies");
        }
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_string_truncate(f->stub->calls, 0);
}

static void guest_idle(void *opaque)
{
    serve(opaque);
}

static uint16_t stub_ring_size(VirtioDevice *d, unsigned index)
{
    return RING_SIZE;
}

/* What rings go by does not change under them. */
static bool stub_set_features(VirtioDevice *d, uint64_t features, GError **error)
{
    VirtioStub *s = container_of(d, VirtioStub, dev);

    for (unsigned i = 0; i < FUZZ_VIRTIO_RINGS; i++) {
        g_assert_false(s->ring[i].running);
    }
    g_assert_cmphex(features & ~s->offered, ==, 0);
    s->features = features;
    return true;
}

static void machine_up(FuzzVirtio *f)
{
    const Ram *ram = the_ram();

    *f = (FuzzVirtio){
        .memory = address_space_new(UINT64_MAX, 0),
        .ports = address_space_new(UINT16_MAX, 0xff),
        .stub = virtio_stub_new(FUZZ_VIRTIO_RINGS),
    };
    address_space_add_ram(f->memory, &(RamRegion){
        .size = RAM, .fd = ram->fd, .host = ram->host,
    });
    f->stub->ops.ring_size = stub_ring_size;
    f->stub->ops.set_features = stub_set_features;
    f->stub->virtqueues = true;
    f->stub->offered |= 1ull << 40; /* VIRTIO_F_RING_RESET */
    f->g.a = (VpgAccess){ guest_read, guest_write, guest_idle, f, ram->host };
}

static void machine_down(FuzzVirtio *f)
{
    vpg_done(&f->g);
    virtio_stub_free(f->stub);
    address_space_free(f->memory);
    address_space_free(f->ports);
}

/* --- what happens --- */

static void act(FuzzVirtio *f, const FuzzVirtioWay *way, const FuzzVirtioAct *a)
{
    unsigned kind = (a->kind & ~FUZZ_VIRTIO_READ) % (FUZZ_VIRTIO_OWN + way->n_own);
    bool in = a->kind & FUZZ_VIRTIO_READ;
    VirtioDevice *d = &f->stub->dev;

    switch (kind) {
    case FUZZ_VIRTIO_MEMORY:
        fuzz_virtio_reach(f->memory, in, a->where % MEMORY, a->value, 8);
        break;
    case FUZZ_VIRTIO_SERVE:
        serve(f);
        break;
    case FUZZ_VIRTIO_CONFIG:
        d->transport->config_changed(d->transport_opaque);
        break;
    case FUZZ_VIRTIO_RESET:
        way->reset(f);
        way->find(f);
        break;
    default:
        way->act(f, kind - FUZZ_VIRTIO_OWN, in, a, 1u << a->len % 4);
        break;
    }
    g_string_truncate(f->stub->calls, 0);
    g_assert_cmpuint(f->running, <=, FUZZ_VIRTIO_RINGS);
}

/* As a guest's kernel after a crash, which knows nothing of what was. */
static void drive(FuzzVirtio *f, const FuzzVirtioWay *way)
{
    uint8_t frame[VPG_PACKET + 100];
    size_t len;

    way->reset(f);
    g_assert_cmpuint(f->running, ==, 0);
    way->find(f);
    g_assert_cmphex(vpg_status(&f->g), ==, 0);
    vpg_start(&f->g);
    g_assert_cmpuint(f->running, ==, FUZZ_VIRTIO_RINGS);
    vpg_post(&f->g, 0, 1);
    len = vpg_recv(&f->g, 0, frame);
    g_assert_cmpuint(len, >, 0);
    g_assert_cmphex(frame[len - 1], ==, VIRTIO_STUB_BYTE);
    vpg_wait_for(&f->g, vpg_take_isr(&f->g) & 1);
    vpg_reset(&f->g);
    g_assert_cmpuint(f->running, ==, 0);
}

void fuzz_virtio_regs(const FuzzVirtioWay *way, const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };
    FuzzVirtio f;

    machine_up(&f);
    way->up(&f);
    way->find(&f);
    for (unsigned i = 0; in.size > 0 && i < MAX_ACTS; i++) {
        FuzzVirtioAct a;

        fuzz_take(&in, &a, sizeof(a));
        act(&f, way, &a);
    }
    drive(&f, way);
    way->down(&f);
    machine_down(&f);
}
