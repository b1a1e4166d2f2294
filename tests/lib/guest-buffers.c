/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-buffers.h"

#include <glib.h>
#include <string.h>

#define GUARD   8u
#define NOTHING 0xa5 /* what no frame of the tests is full of */

GuestBuffers *guest_buffers_new(void)
{
    GuestBuffers *g = g_new0(GuestBuffers, 1);

    g->memory = g_malloc(GUEST_MEMORY);
    g->is_piece = g_malloc0(GUEST_MEMORY);
    memset(g->memory, NOTHING, GUEST_MEMORY);
    g->used = GUARD;
    for (unsigned i = 0; i < GUEST_MAX_PACKETS; i++) {
        g->pkt[i].hdr = &g->hdr[i];
    }
    g->b.buf = g->buf;
    g->b.merge = true;
    g->b.max_len = PKT_MAX_LEN;
    g_assert_cmpint(pkt_arena_init(&g->b.spill, PKT_ARENA_MIN), ==, 0);
    return g;
}

void guest_buffers_free(GuestBuffers *g)
{
    guest_buffers_check_guards(g);
    pkt_arena_done(&g->b.spill);
    g_free(g->memory);
    g_free(g->is_piece);
    g_free(g);
}

void guest_buffers_add(GuestBuffers *g, const uint32_t *len, unsigned n_iov)
{
    PktBuffer *buf = &g->buf[g->b.n++];

    g_assert_cmpuint(g->b.n, <=, GUEST_MAX_BUFFERS);
    g_assert_cmpuint(g->n_iov + n_iov, <=, GUEST_MAX_PIECES);
    *buf = (PktBuffer){ .iov = &g->iov[g->n_iov], .n_iov = n_iov };
    for (unsigned i = 0; i < n_iov; i++) {
        g_assert_cmpuint(g->used + len[i] + GUARD, <=, GUEST_MEMORY);
        g->iov[g->n_iov++] = (struct iovec){ g->memory + g->used, len[i] };
        memset(g->is_piece + g->used, 1, len[i]);
        g->used += len[i] + GUARD;
        buf->len += len[i];
    }
}

void guest_buffers_add_n(GuestBuffers *g, unsigned n, uint32_t len)
{
    for (unsigned i = 0; i < n; i++) {
        guest_buffers_add(g, &len, 1);
    }
}

void guest_buffers_compact(GuestBuffers *g)
{
    unsigned gone = 0;

    for (unsigned i = 0; i < g->b.next; i++) {
        gone += g->buf[i].n_iov;
    }
    g->n_iov -= gone;
    memmove(g->iov, g->iov + gone, g->n_iov * sizeof(g->iov[0]));
    g->b.n -= g->b.next;
    memmove(g->buf, g->buf + g->b.next, g->b.n * sizeof(g->buf[0]));
    for (unsigned i = 0; i < g->b.n; i++) {
        g->buf[i].iov -= gone;
    }
    g->b.next = 0;
}

unsigned guest_buffers_check(const GuestBuffers *g, const Pkt *pkt, unsigned first,
                             const uint8_t *frame, uint32_t len)
{
    uint32_t need = g->b.headroom + len;
    uint32_t off = 0;
    unsigned n = 0;

    g_assert_cmpuint(pkt->len, ==, len);
    g_assert_true(pkt->iov == g->buf[first].iov);
    for (uint32_t v = 0; v < pkt->n_iov; v++) {
        const uint8_t *p = pkt->iov[v].iov_base;

        for (size_t k = 0; k < pkt->iov[v].iov_len && off < need; k++, off++) {
            g_assert_cmphex(p[k], ==, off < g->b.headroom ? NOTHING : frame[off - g->b.headroom]);
        }
    }
    g_assert_cmpuint(off, ==, need);
    do {
        off -= MIN(off, g->buf[first + n].len);
        n++;
    } while (off > 0);
    g_assert_true(pkt->iov + pkt->n_iov == g->buf[first + n - 1].iov + g->buf[first + n - 1].n_iov);
    g_assert_cmpuint(pkt->hdr->num_buffers, ==, n);
    return n;
}

void guest_buffers_check_guards(const GuestBuffers *g)
{
    for (size_t i = 0; i < GUEST_MEMORY; i++) {
        g_assert_true(g->is_piece[i] || g->memory[i] == NOTHING);
    }
}
