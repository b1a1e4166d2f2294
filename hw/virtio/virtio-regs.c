/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-regs.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/fd.h"

/* Packed: both wrap counters are 1 in the beginning (VIRTIO 1.2, 2.8.1). */
#define PACKED_BASE 0x80008000u
/* Bits of legacy drivers that no modern one accepts. */
#define LEGACY_ONLY (1ull << VIRTIO_F_NOTIFY_ON_EMPTY | 1ull << VIRTIO_F_ANY_LAYOUT)

static bool has_feature(const VirtioRegs *r, unsigned bit)
{
    return r->features & 1ull << bit;
}

/* --- interrupts --- */

static void drain(int fd)
{
    uint64_t n;

    if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN) {
        g_assert_not_reached(); /* an eventfd of ours */
    }
}

static gboolean ring_called(gint fd, GIOCondition condition, gpointer opaque)
{
    VirtioRegsRing *ring = opaque;

    drain(fd);
    ring->regs->ops->ring_interrupt(ring->regs->opaque, ring->index);
    return G_SOURCE_CONTINUE;
}

static void regs_config_changed(void *opaque)
{
    VirtioRegs *r = opaque;

    r->generation++;
    if (r->status & VIRTIO_CONFIG_S_DRIVER_OK) {
        r->ops->config_interrupt(r->opaque);
    }
}

/* Nothing goes on before the driver resets the device (VIRTIO 1.2, 2.1.1). */
static void regs_fail(VirtioRegs *r, unsigned index, const char *reason)
{
    g_autofree char *text = g_strdup_printf("ring %u: %s", index, reason);

    r->ops->warned(r->opaque, text);
    r->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    regs_config_changed(r);
}

static void regs_ring_broken(void *opaque, unsigned index, const char *reason)
{
    regs_fail(opaque, index, reason);
}

static const VirtioTransportOps regs_transport = {
    .config_changed = regs_config_changed,
    .ring_broken = regs_ring_broken,
};

/* --- a ring's life --- */

static uint32_t first_base(const VirtioRegs *r)
{
    return has_feature(r, VIRTIO_F_RING_PACKED) ? PACKED_BASE : 0;
}

/* They stay as long as the device: a ring may come back at any time. */
static bool ring_make_events(VirtioRegsRing *ring)
{
    if (ring->kick_fd < 0) {
        ring->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (ring->call_fd < 0) {
        ring->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ring->call_tag = ring->call_fd >= 0
                             ? g_unix_fd_add(ring->call_fd, G_IO_IN, ring_called, ring) : 0;
    }
    return ring->kick_fd >= 0 && ring->call_fd >= 0;
}

static void ring_start(VirtioRegsRing *ring)
{
    VirtioRegs *r = ring->regs;
    g_autoptr(GError) error = NULL;
    VirtioRing start = {
        .setup = {
            .size = virtio_regs_ring_size(ring),
            .features = r->features,
            .base = ring->base,
        },
        .enabled = true,
    };

    if (!virtq_layout_find(&start.setup, r->mem, &ring->at)) {
        regs_fail(r, ring->index, "its addresses are not in memory");
        return;
    }
    if (!ring_make_events(ring)) {
        regs_fail(r, ring->index, "there are no descriptors for its events");
        return;
    }
    start.kick_fd = ring->kick_fd;
    start.call_fd = ring->call_fd;
    if (!r->dev->ops->ring_start(r->dev, ring->index, &start, &error)) {
        regs_fail(r, ring->index, error->message);
        return;
    }
    ring->running = true;
    r->running++;
}

static void ring_stop(VirtioRegsRing *ring)
{
    if (ring->running) {
        ring->base = ring->regs->dev->ops->ring_stop(ring->regs->dev, ring->index);
        ring->running = false;
        ring->regs->running--;
    }
}

static bool ring_is_wanted(const VirtioRegsRing *ring)
{
    const VirtioRegs *r = ring->regs;

    return ring->enabled && r->dma && !r->held && (r->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
           !(r->status & (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED));
}

static void ring_follow(VirtioRegsRing *ring)
{
    bool wanted = ring_is_wanted(ring);

    if (wanted && !ring->running) {
        ring_start(ring);
    } else if (!wanted) {
        ring_stop(ring);
    }
}

/* Rings are as status, enables and the bus have it. */
static void regs_follow(VirtioRegs *r)
{
    unsigned before = r->running;

    for (unsigned i = 0; i < r->dev->n_rings; i++) {
        ring_follow(&r->ring[i]);
    }
    if (r->running != before && !r->held) {
        r->ops->rings(r->opaque, r->running);
    }
}

static void ring_forget(VirtioRegsRing *ring)
{
    ring->size = 0;
    ring->at = (VirtqAddrs){ 0 };
    ring->enabled = false;
    if (ring->call_fd >= 0) {
        drain(ring->kick_fd);
        drain(ring->call_fd); /* what was not told yet is of a ring that is gone */
    }
}

/* --- what the driver says of a ring --- */

uint16_t virtio_regs_ring_max(const VirtioRegsRing *ring)
{
    const VirtioRegs *r = ring->regs;

    return r->dev->ops->ring_size(r->dev, ring->index);
}

VirtioRegsRing *virtio_regs_ring(VirtioRegs *r, unsigned index)
{
    return index < r->dev->n_rings && virtio_regs_ring_max(&r->ring[index]) > 0 ? &r->ring[index]
                                                                               : NULL;
}

unsigned virtio_regs_n_rings(VirtioRegs *r)
{
    unsigned n = r->dev->n_rings;

    while (n > 0 && !virtio_regs_ring(r, n - 1)) {
        n--;
    }
    return n;
}

uint16_t virtio_regs_ring_size(const VirtioRegsRing *ring)
{
    return ring->size ? ring->size : virtio_regs_ring_max(ring);
}

void virtio_regs_ring_set_size(VirtioRegsRing *ring, uint16_t size)
{
    if (!ring->enabled && size > 0 && size <= virtio_regs_ring_max(ring)) {
        ring->size = size;
    }
}

void virtio_regs_ring_set_half(VirtioRegsRing *ring, uint64_t *at, bool high, uint32_t value)
{
    if (!ring->enabled) {
        *at = high ? (*at & UINT32_MAX) | (uint64_t)value << 32
                   : (*at & ~(uint64_t)UINT32_MAX) | value;
    }
}

void virtio_regs_ring_enable(VirtioRegsRing *ring)
{
    if (!ring->enabled) {
        ring->enabled = true;
        ring->base = first_base(ring->regs);
        regs_follow(ring->regs);
    }
}

void virtio_regs_ring_reset(VirtioRegsRing *ring)
{
    ring->enabled = false;
    regs_follow(ring->regs);
    ring_forget(ring);
}

void virtio_regs_ring_set_page(VirtioRegsRing *ring, uint32_t page, uint32_t page_size,
                               uint32_t align)
{
    uint64_t size = virtio_regs_ring_size(ring);
    uint64_t at = (uint64_t)page * page_size;
    uint64_t used;

    if (page == 0) {
        virtio_regs_ring_reset(ring);
        return;
    }
    if (ring->enabled) {
        return;
    }
    ring->at.desc = at;
    ring->at.driver = at + size * sizeof(struct vring_desc);
    /* flags, index, the ring and the used event (VIRTIO 1.2, 2.7.2) */
    used = ring->at.driver + (3 + size) * sizeof(uint16_t);
    ring->at.device = (used + align - 1) / align * align;
    virtio_regs_ring_enable(ring);
}

void virtio_regs_notify(VirtioRegs *r, unsigned index)
{
    uint64_t one = 1;

    if (index < r->dev->n_rings && r->ring[index].running &&
        write(r->ring[index].kick_fd, &one, sizeof(one)) < 0) {
        g_assert(errno == EAGAIN); /* it is full: nobody misses this one */
    }
}

/* --- features and status --- */

static uint64_t offered(const VirtioRegs *r)
{
    return r->dev->ops->features(r->dev);
}

uint32_t virtio_regs_offered(const VirtioRegs *r, unsigned word)
{
    return word < 2 ? (uint32_t)(offered(r) >> 32 * word) : 0;
}

uint32_t virtio_regs_offered_modern(const VirtioRegs *r, unsigned word)
{
    return virtio_regs_offered(r, word) & ~(uint32_t)(LEGACY_ONLY >> 32 * (word & 1));
}

uint32_t virtio_regs_accepted(const VirtioRegs *r, unsigned word)
{
    return word < 2 ? (uint32_t)(r->accepted >> 32 * word) : 0;
}

void virtio_regs_accept(VirtioRegs *r, unsigned word, uint32_t bits)
{
    uint64_t mask = (uint64_t)UINT32_MAX << 32 * (word & 1);

    if (word < 2 && !(r->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        r->accepted = (r->accepted & ~mask) | (uint64_t)bits << 32 * word;
    }
}

static bool negotiate(VirtioRegs *r)
{
    g_autoptr(GError) error = NULL;

    if (r->running > 0 || (r->accepted & ~offered(r))) {
        return false;
    }
    if (!r->dev->ops->set_features(r->dev, r->accepted, &error)) {
        r->ops->warned(r->opaque, error->message);
        return false;
    }
    r->features = r->accepted;
    return true;
}

void virtio_regs_accept_legacy(VirtioRegs *r, uint32_t bits)
{
    if (!(r->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        r->accepted = bits & virtio_regs_offered(r, 0);
        negotiate(r);
    }
}

void virtio_regs_set_status(VirtioRegs *r, uint8_t status)
{
    uint8_t ours = r->status & VIRTIO_CONFIG_S_NEEDS_RESET;

    if (status == 0) {
        virtio_regs_reset(r);
        return;
    }
    if ((status & ~r->status & VIRTIO_CONFIG_S_FEATURES_OK) && !negotiate(r)) {
        status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
    }
    r->status = (uint8_t)((status & ~VIRTIO_CONFIG_S_NEEDS_RESET) | ours);
    regs_follow(r);
}

void virtio_regs_set_dma(VirtioRegs *r, bool on)
{
    if (r->dma != on) {
        r->dma = on;
        regs_follow(r);
    }
}

void virtio_regs_hold(VirtioRegs *r, bool on)
{
    r->held = on;
    regs_follow(r);
}

/* --- the config space --- */

uint64_t virtio_regs_read_config(VirtioRegs *r, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    r->dev->ops->get_config(r->dev, (uint32_t)offset, (uint8_t *)&value, size);
    return GUINT64_FROM_LE(value);
}

void virtio_regs_write_config(VirtioRegs *r, uint64_t offset, uint64_t value, unsigned size)
{
    value = GUINT64_TO_LE(value);
    r->dev->ops->set_config(r->dev, (uint32_t)offset, (const uint8_t *)&value, size);
}

/* --- life --- */

void virtio_regs_reset(VirtioRegs *r)
{
    r->status = 0;
    regs_follow(r);
    for (unsigned i = 0; i < r->dev->n_rings; i++) {
        ring_forget(&r->ring[i]);
    }
    r->accepted = 0;
    r->features = 0;
    r->dev->ops->reset(r->dev);
}

static bool add_memory(VirtioRegs *r, const AddressSpace *memory, GError **error)
{
    const RamRegion *ram;

    r->mem = guest_mem_new();
    r->mem->handed_on = true; /* the board keeps its descriptors */
    for (unsigned i = 0; (ram = address_space_ram(memory, i)) != NULL; i++) {
        if (!guest_mem_add(r->mem, ram->base, ram->size, ram->base, ram->fd, ram->offset, error)) {
            return false;
        }
    }
    return true;
}

bool virtio_regs_init(VirtioRegs *r, VirtioDevice *dev, const AddressSpace *memory,
                      const VirtioRegsOps *ops, void *opaque, GError **error)
{
    *r = (VirtioRegs){ .dev = dev, .ops = ops, .opaque = opaque };
    r->ring = g_new(VirtioRegsRing, dev->n_rings);
    for (unsigned i = 0; i < dev->n_rings; i++) {
        r->ring[i] = (VirtioRegsRing){ .regs = r, .index = i, .kick_fd = -1, .call_fd = -1 };
    }
    if (!add_memory(r, memory, error)) {
        return false;
    }
    dev->mem = r->mem;
    dev->transport = &regs_transport;
    dev->transport_opaque = r;
    return true;
}

void virtio_regs_done(VirtioRegs *r)
{
    if (!r->ring) {
        return;
    }
    virtio_regs_reset(r);
    for (unsigned i = 0; i < r->dev->n_rings; i++) {
        g_clear_handle_id(&r->ring[i].call_tag, g_source_remove);
        fd_close(&r->ring[i].kick_fd);
        fd_close(&r->ring[i].call_fd);
    }
    r->dev->transport = NULL;
    r->dev->mem = NULL;
    g_clear_pointer(&r->ring, g_free);
    g_clear_pointer(&r->mem, guest_mem_free);
}
