/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-regs-guest.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#define RINGS     0x100000u /* in memory */
#define RING_STEP 0x80000u
#define BUFFERS   0x20000u  /* of a ring, from its beginning on */
#define BUFFER    1024u
#define RING_MAX  256u
#define WAIT_US   (20 * G_USEC_PER_SEC)

uint64_t vpg_in(VirtioPciGuest *g, uint64_t addr, unsigned len)
{
    uint64_t value = 0;

    g->a.read(g->a.opaque, false, addr, &value, len);
    return GUINT64_FROM_LE(value);
}

void vpg_out(VirtioPciGuest *g, uint64_t addr, uint64_t value, unsigned len)
{
    value = GUINT64_TO_LE(value);
    g->a.write(g->a.opaque, false, addr, &value, len);
}

/* --- registers --- */

uint8_t vpg_status(VirtioPciGuest *g)
{
    return g->way->status(g);
}

void vpg_set_status(VirtioPciGuest *g, uint8_t status)
{
    g->way->set_status(g, status);
}

uint8_t vpg_take_isr(VirtioPciGuest *g)
{
    return g->way->take_isr(g);
}

uint8_t vpg_net_config(VirtioPciGuest *g, unsigned offset)
{
    return g->way->net_config(g, offset);
}

bool vpg_negotiate(VirtioPciGuest *g)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    uint64_t always = g->legacy ? 0 : 1ull << VIRTIO_F_VERSION_1;
    bool mergeable;
    unsigned pairs = 1;

    vpg_set_status(g, status);
    g->features = g->way->offered(g) & (g->wanted | always);
    g->way->accept(g, g->features);
    if (!g->legacy) {
        vpg_set_status(g, status | VIRTIO_CONFIG_S_FEATURES_OK);
    }
    mergeable = g->features & (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_MRG_RXBUF);
    g->hdr_len = g->features & 1ull << VIRTIO_NET_F_HASH_REPORT
                     ? sizeof(struct virtio_net_hdr_v1_hash)
                 : mergeable ? sizeof(struct virtio_net_hdr_v1)
                             : sizeof(struct virtio_net_hdr);
    if (g->features & (1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_RSS)) {
        pairs = vpg_net_config(g, offsetof(struct virtio_net_config, max_virtqueue_pairs));
    }
    g->n_rings = 2 * pairs + 1;
    g_assert_cmpuint(g->n_rings, <=, VPG_MAX_RINGS);
    return g->legacy || (vpg_status(g) & VIRTIO_CONFIG_S_FEATURES_OK);
}

/* --- rings --- */

void vpg_select(VirtioPciGuest *g, unsigned index)
{
    g->way->select(g, index);
}

unsigned vpg_ring_size(VirtioPciGuest *g, unsigned index)
{
    vpg_select(g, index);
    return g->way->ring_size(g);
}

/* A legacy driver on PCI has to take the size that there is. */
void vpg_add_ring(VirtioPciGuest *g, unsigned index)
{
    uint32_t at = RINGS + index * RING_STEP;
    VirtqDriverConfig c = {
        .features = g->features,
        .legacy = g->legacy,
        .mem = g->a.ram + at,
        .gpa = g->a.ram_base + at,
        .size = (uint16_t)vpg_ring_size(g, index),
    };

    g_assert_cmpuint(c.size, >, 0);
    if (!g->legacy) {
        c.size = (uint16_t)MIN(c.size, RING_MAX);
    }
    g_assert_cmpuint(virtq_driver_size(&c), <=, BUFFERS);
    g_assert_cmpuint(c.size, <=, RING_MAX);
    virtq_driver_free(g->ring[index]);
    g->ring[index] = virtq_driver_new(&c);
    g->way->set_up(g, index, g->ring[index]);
}

void vpg_reset(VirtioPciGuest *g)
{
    vpg_set_status(g, 0);
    g_assert_cmphex(vpg_status(g), ==, 0);
}

void vpg_start(VirtioPciGuest *g)
{
    uint8_t status;

    vpg_reset(g);
    g_assert_true(vpg_negotiate(g));
    if (g->way->prepare) {
        g->way->prepare(g);
    }
    for (unsigned i = 0; i < g->n_rings; i++) {
        vpg_add_ring(g, i);
    }
    status = vpg_status(g) | VIRTIO_CONFIG_S_DRIVER_OK;
    vpg_set_status(g, status);
    g_assert_cmphex(vpg_status(g), ==, status);
}

void vpg_done(VirtioPciGuest *g)
{
    for (unsigned i = 0; i < VPG_MAX_RINGS; i++) {
        g_clear_pointer(&g->ring[i], virtq_driver_free);
    }
}

void vpg_kick(VirtioPciGuest *g, unsigned index)
{
    if (virtq_driver_publish(g->ring[index])) {
        g->way->notify(g, index);
    }
}

bool vpg_get(VirtioPciGuest *g, unsigned index, uint16_t *ret_id, uint32_t *ret_len)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (!virtq_driver_get(g->ring[index], ret_id, ret_len)) {
        if (g_get_monotonic_time() > end) {
            return false;
        }
        g->a.idle(g->a.opaque);
    }
    return true;
}

/* --- packets --- */

/* In memory, from its beginning. */
static uint32_t buffer_of(unsigned index, unsigned id)
{
    return RINGS + index * RING_STEP + BUFFERS + id * BUFFER;
}

static void add(VirtioPciGuest *g, unsigned index, unsigned n_out, unsigned n_in,
                VirtqDriverPiece *piece)
{
    g_assert_cmpint(virtq_driver_add(g->ring[index], piece, n_out, n_in), >=, 0);
}

static void send_frame(VirtioPciGuest *g, unsigned index, const void *frame, size_t len)
{
    uint32_t at = buffer_of(index, g->ring[index]->free_id);
    VirtqDriverPiece piece = { g->a.ram_base + at, g->hdr_len + (uint32_t)len };

    g_assert_cmpuint(len, <=, VPG_PACKET);
    memset(g->a.ram + at, 0, g->hdr_len);
    memcpy(g->a.ram + at + g->hdr_len, frame, len);
    add(g, index, 1, 0, &piece);
    vpg_kick(g, index);
}

bool vpg_try_send(VirtioPciGuest *g, unsigned pair, const void *frame, size_t len)
{
    unsigned index = 2 * pair + 1;
    uint16_t id;
    uint32_t written;

    while (virtq_driver_get(g->ring[index], &id, &written)) {
        g_assert_cmpuint(written, ==, 0);
    }
    if (g->ring[index]->n_free == 0) {
        return false;
    }
    send_frame(g, index, frame, len);
    return true;
}

void vpg_send(VirtioPciGuest *g, unsigned pair, const void *frame, size_t len)
{
    unsigned index = 2 * pair + 1;
    uint16_t id;
    uint32_t written;

    send_frame(g, index, frame, len);
    g_assert_true(vpg_get(g, index, &id, &written));
    g_assert_cmpuint(written, ==, 0);
}

void vpg_post(VirtioPciGuest *g, unsigned pair, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        VirtqDriverPiece piece = {
            g->a.ram_base + buffer_of(2 * pair, g->ring[2 * pair]->free_id), BUFFER
        };

        add(g, 2 * pair, 0, 1, &piece);
    }
    vpg_kick(g, 2 * pair);
}

static size_t received(VirtioPciGuest *g, unsigned pair, void *frame, uint16_t id, uint32_t len)
{
    g_assert_cmpuint(len, >, g->hdr_len);
    memcpy(frame, g->a.ram + buffer_of(2 * pair, id) + g->hdr_len, len - g->hdr_len);
    return len - g->hdr_len;
}

size_t vpg_recv(VirtioPciGuest *g, unsigned pair, void *frame)
{
    uint16_t id;
    uint32_t len;

    return vpg_get(g, 2 * pair, &id, &len) ? received(g, pair, frame, id, len) : 0;
}

size_t vpg_try_recv(VirtioPciGuest *g, unsigned pair, void *frame)
{
    uint16_t id;
    uint32_t len;

    return virtq_driver_get(g->ring[2 * pair], &id, &len) ? received(g, pair, frame, id, len) : 0;
}

uint8_t vpg_command(VirtioPciGuest *g, uint8_t class, uint8_t command, const void *data,
                    size_t len)
{
    unsigned index = g->n_rings - 1;
    uint32_t from = buffer_of(index, g->ring[index]->free_id);
    uint64_t gpa = g->a.ram_base + from;
    VirtqDriverPiece piece[] = { { gpa, 2 + (uint32_t)len }, { gpa + 2 + (uint32_t)len, 1 } };
    uint8_t *at = g->a.ram + from;
    uint16_t id;
    uint32_t written;

    g_assert_cmpuint(len, <=, BUFFER - 3);
    at[0] = class;
    at[1] = command;
    memcpy(at + 2, data, len);
    at[2 + len] = VPG_NO_ACK;
    add(g, index, 1, 1, piece);
    vpg_kick(g, index);
    return vpg_get(g, index, &id, &written) ? at[2 + len] : VPG_NO_ACK;
}

uint8_t vpg_set_pairs(VirtioPciGuest *g, uint16_t pairs)
{
    uint16_t le = GUINT16_TO_LE(pairs);

    return vpg_command(g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &le, sizeof(le));
}
