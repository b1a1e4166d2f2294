/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-mmio-guest.h"

#include <linux/virtio_mmio.h>

#define PAGE 4096u

static uint32_t mmio_in(VirtioPciGuest *g, unsigned offset)
{
    return (uint32_t)vpg_in(g, g->base + offset, 4);
}

static void mmio_out(VirtioPciGuest *g, unsigned offset, uint32_t value)
{
    vpg_out(g, g->base + offset, value, 4);
}

static uint8_t mmio_status(VirtioPciGuest *g)
{
    return (uint8_t)mmio_in(g, VIRTIO_MMIO_STATUS);
}

static void mmio_set_status(VirtioPciGuest *g, uint8_t status)
{
    mmio_out(g, VIRTIO_MMIO_STATUS, status);
}

static uint8_t mmio_take_isr(VirtioPciGuest *g)
{
    uint32_t isr = mmio_in(g, VIRTIO_MMIO_INTERRUPT_STATUS);

    mmio_out(g, VIRTIO_MMIO_INTERRUPT_ACK, isr);
    return (uint8_t)isr;
}

static uint8_t mmio_net_config(VirtioPciGuest *g, unsigned offset)
{
    return (uint8_t)vpg_in(g, g->base + VIRTIO_MMIO_CONFIG + offset, 1);
}

static uint64_t mmio_offered(VirtioPciGuest *g)
{
    uint64_t offered = 0;

    for (unsigned w = 0; w < 2; w++) {
        mmio_out(g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, w);
        offered |= (uint64_t)mmio_in(g, VIRTIO_MMIO_DEVICE_FEATURES) << 32 * w;
    }
    return offered;
}

static void mmio_accept(VirtioPciGuest *g, uint64_t features)
{
    for (unsigned w = 0; w < 2; w++) {
        mmio_out(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, w);
        mmio_out(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * w));
    }
}

static void mmio_select(VirtioPciGuest *g, unsigned index)
{
    mmio_out(g, VIRTIO_MMIO_QUEUE_SEL, index);
}

static unsigned mmio_ring_size(VirtioPciGuest *g)
{
    return mmio_in(g, VIRTIO_MMIO_QUEUE_NUM_MAX);
}

static void mmio_set_up_legacy(VirtioPciGuest *g, const VirtqDriver *d)
{
    g_assert_cmphex(mmio_in(g, VIRTIO_MMIO_QUEUE_PFN), ==, 0);
    mmio_out(g, VIRTIO_MMIO_QUEUE_NUM, d->c.size);
    mmio_out(g, VIRTIO_MMIO_QUEUE_ALIGN, PAGE);
    mmio_out(g, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(d->c.gpa / PAGE));
    g_assert_cmphex(mmio_in(g, VIRTIO_MMIO_QUEUE_PFN), ==, d->c.gpa / PAGE);
}

static void mmio_set_up_modern(VirtioPciGuest *g, const VirtqDriver *d)
{
    static const unsigned registers[] = {
        VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_USED_LOW,
    };
    uint64_t at[3];

    virtq_driver_addresses(d, at);
    g_assert_cmphex(mmio_in(g, VIRTIO_MMIO_QUEUE_READY), ==, 0);
    mmio_out(g, VIRTIO_MMIO_QUEUE_NUM, d->c.size);
    for (unsigned i = 0; i < 3; i++) {
        mmio_out(g, registers[i], (uint32_t)at[i]);
        mmio_out(g, registers[i] + 4, (uint32_t)(at[i] >> 32));
    }
    mmio_out(g, VIRTIO_MMIO_QUEUE_READY, 1);
    g_assert_cmphex(mmio_in(g, VIRTIO_MMIO_QUEUE_READY), ==, 1);
}

static void mmio_set_up(VirtioPciGuest *g, unsigned index, const VirtqDriver *d)
{
    if (g->legacy) {
        mmio_set_up_legacy(g, d);
    } else {
        mmio_set_up_modern(g, d);
    }
}

static void mmio_notify(VirtioPciGuest *g, unsigned index)
{
    mmio_out(g, VIRTIO_MMIO_QUEUE_NOTIFY, index);
}

static const VirtioRegsWay mmio = {
    .status = mmio_status,
    .set_status = mmio_set_status,
    .take_isr = mmio_take_isr,
    .net_config = mmio_net_config,
    .offered = mmio_offered,
    .accept = mmio_accept,
    .select = mmio_select,
    .ring_size = mmio_ring_size,
    .set_up = mmio_set_up,
    .notify = mmio_notify,
};

void vmg_find(VirtioPciGuest *g, uint64_t base)
{
    g->base = base;
    g->way = &mmio;
    g_assert_cmphex(mmio_in(g, VIRTIO_MMIO_MAGIC_VALUE), ==, 0x74726976);
    g_assert_cmpuint(mmio_in(g, VIRTIO_MMIO_VERSION), ==, g->legacy ? 1 : 2);
    g_assert_cmpuint(mmio_in(g, VIRTIO_MMIO_DEVICE_ID), !=, 0);
    if (g->legacy) {
        mmio_out(g, VIRTIO_MMIO_GUEST_PAGE_SIZE, PAGE);
    }
}
