/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtq-rig.h"

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fd.h"

#define ROWS(suffix, n) \
    { "split" suffix, n, false, false, 0 }, { "packed" suffix, n, true, false, 0 }

const RigConfig rig_configs[] = {
    ROWS("-1", 1),
    ROWS("-2", 2),
    ROWS("-8", 8),
    ROWS("-256", 256),
    { "packed-3", 3, true, false, 0 },
    { "packed-7", 7, true, true, 4 },
    { "packed-255", 255, true, false, 0 },
    { "split-event", 8, false, true, 0 },
    { "packed-event", 8, true, true, 0 },
    { "split-indirect", 8, false, false, 16 },
    { "packed-indirect", 8, true, false, 16 },
    { "split-all", 256, false, true, 64 },
    { "packed-all", 256, true, true, 64 },
};
const unsigned rig_n_configs = G_N_ELEMENTS(rig_configs);

static void map(Rig *r, int fd, uint64_t gpa, uint64_t size, uint64_t offset)
{
    g_autoptr(GError) error = NULL;

    guest_mem_add(r->mem, gpa, size, gpa, fd, offset, &error);
    g_assert_no_error(error);
}

static uint64_t features_of(const RigConfig *c)
{
    return 1ull << VIRTIO_F_VERSION_1 | (uint64_t)c->packed << VIRTIO_F_RING_PACKED
           | (uint64_t)c->event_idx << VIRTIO_RING_F_EVENT_IDX
           | (uint64_t)(c->max_indirect > 0) << VIRTIO_RING_F_INDIRECT_DESC;
}

void rig_up(Rig *r, const RigConfig *c)
{
    AUTO_FD int fd = memfd_create("guest", MFD_CLOEXEC);
    VirtqDriverConfig dc = { .size = c->size, .features = features_of(c),
                             .max_indirect = c->max_indirect, .gpa = RIG_RING };
    const char *why = NULL;

    g_assert_cmpint(ftruncate(fd, RIG_RING_SIZE + 3 * RIG_DATA_SIZE), ==, 0);
    r->mem = guest_mem_new();
    map(r, fd, RIG_RING, RIG_RING_SIZE, 0);
    map(r, fd, RIG_DATA, RIG_DATA_SIZE, RIG_RING_SIZE + 2 * RIG_DATA_SIZE);
    map(r, fd, RIG_DATA + RIG_DATA_SIZE, RIG_DATA_SIZE, RIG_RING_SIZE);
    r->ring_host = rig_host(r, RIG_RING);
    dc.mem = r->ring_host;
    g_assert_cmpuint(virtq_driver_size(&dc), <=, RIG_RING_SIZE);
    r->driver = virtq_driver_new(&dc);
    r->setup = virtq_driver_setup(r->driver);
    if (!virtq_start(&r->vq, r->mem, &r->setup, &why)) {
        g_error("virtq_start: %s", why);
    }
    g_assert_true(virtq_flush(&r->vq)); /* the first word is always to call */
}

void rig_down(Rig *r)
{
    if (r->vq.running) {
        virtq_stop(&r->vq);
    }
    virtq_driver_free(r->driver);
    guest_mem_free(r->mem);
}

void rig_restart(Rig *r)
{
    const char *why = NULL;

    r->setup.base = virtq_stop(&r->vq);
    memset(&r->vq, 0x55, sizeof(r->vq));
    if (!virtq_start(&r->vq, r->mem, &r->setup, &why)) {
        g_error("virtq_start: %s", why);
    }
}

uint16_t rig_add(Rig *r, unsigned n_out, unsigned n_in, uint32_t len)
{
    g_autofree VirtqDriverPiece *piece = g_new(VirtqDriverPiece, n_out + n_in);
    int id;

    for (unsigned i = 0; i < n_out + n_in; i++) {
        piece[i] = (VirtqDriverPiece){ RIG_DATA + (uint64_t)i * len, len };
    }
    id = virtq_driver_add(r->driver, piece, n_out, n_in);
    g_assert_cmpint(id, >=, 0);
    virtq_driver_publish(r->driver);
    return (uint16_t)id;
}

int rig_pop(Rig *r, unsigned max)
{
    return virtq_pop(&r->vq, r->chain, max, r->iov, G_N_ELEMENTS(r->iov));
}

bool rig_push(Rig *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        virtq_push(&r->vq, &r->chain[i], 0);
    }
    return virtq_flush(&r->vq);
}

void rig_get(Rig *r, unsigned n)
{
    uint16_t id;
    uint32_t len;

    for (unsigned i = 0; i < n; i++) {
        g_assert_true(virtq_driver_get(r->driver, &id, &len));
    }
    g_assert_false(virtq_driver_get(r->driver, &id, &len));
}

uint8_t *rig_host(Rig *r, uint64_t gpa)
{
    int at = guest_mem_find(r->mem, gpa);

    g_assert_cmpint(at, >=, 0);
    return guest_mem_at(r->mem, (unsigned)at, gpa, 1);
}
