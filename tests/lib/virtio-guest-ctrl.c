/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/virtio_net.h>
#include <string.h>

#include "virtio-guest.h"

#define MAX_PIECES 32u

static VirtioGuestRing *ctrl_ring(VirtioGuest *g)
{
    g_assert_true(g->c.ctrl);
    return &g->ring[g->n_rings - 1];
}

static uint64_t ctrl_slot(const VirtioGuestRing *r, unsigned id)
{
    return r->gpa + (uint64_t)id * VIRTIO_GUEST_SLOT;
}

/* Behind the command. */
static uint64_t ctrl_ack(const VirtioGuestRing *r, unsigned id)
{
    return ctrl_slot(r, id) + VIRTIO_GUEST_SLOT / 2;
}

bool virtio_guest_command_add(VirtioGuest *g, const void *data, size_t len, size_t piece_len,
                              size_t ack_len)
{
    VirtioGuestRing *r = ctrl_ring(g);
    unsigned id = r->driver->free_id;
    VirtqDriverPiece piece[MAX_PIECES + 1];
    unsigned n = 0;

    g_assert_cmpuint(len, <=, VIRTIO_GUEST_SLOT / 2);
    piece_len = piece_len > 0 ? piece_len : MAX(len, 1);
    g_assert_cmpuint(len, <=, MAX_PIECES * piece_len);
    memcpy(virtio_guest_host(g, ctrl_slot(r, id)), data, len);
    memset(virtio_guest_host(g, ctrl_ack(r, id)), VIRTIO_GUEST_NO_ACK, MAX(ack_len, 1));
    for (size_t at = 0; at < len; at += piece_len) {
        piece[n++] = (VirtqDriverPiece){ ctrl_slot(r, id) + at,
                                         (uint32_t)MIN(piece_len, len - at) };
    }
    piece[n] = (VirtqDriverPiece){ ctrl_ack(r, id), (uint32_t)ack_len };
    if (r->driver->n_free < n + (ack_len > 0)) {
        return false;
    }
    g_assert_cmpint(virtq_driver_add(r->driver, piece, n, ack_len > 0), ==, id);
    return true;
}

uint8_t virtio_guest_command_wait(VirtioGuest *g, unsigned n)
{
    VirtioGuestRing *r = ctrl_ring(g);
    gint64 end = g_get_monotonic_time() + VIRTIO_GUEST_WAIT_MS * 1000;
    uint8_t ack = VIRTIO_GUEST_NO_ACK;
    uint16_t id;
    uint32_t len;

    virtio_guest_kick(g, g->n_rings - 1);
    while (n > 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        if (!virtq_driver_get(r->driver, &id, &len)) {
            g_main_context_iteration(NULL, FALSE);
            continue;
        }
        ack = *virtio_guest_host(g, ctrl_ack(r, id));
        g_assert_cmpuint(len, ==, ack == VIRTIO_GUEST_NO_ACK ? 0 : 1);
        n--;
    }
    return ack;
}

uint8_t virtio_guest_command(VirtioGuest *g, uint8_t class, uint8_t command, const void *data,
                             size_t len)
{
    g_autofree uint8_t *all = g_malloc(sizeof(struct virtio_net_ctrl_hdr) + len);

    all[0] = class;
    all[1] = command;
    if (len > 0) {
        memcpy(all + sizeof(struct virtio_net_ctrl_hdr), data, len);
    }
    g_assert_true(virtio_guest_command_add(g, all, sizeof(struct virtio_net_ctrl_hdr) + len, 0, 1));
    return virtio_guest_command_wait(g, 1);
}
