/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-buffers.h"

#include <glib.h>
#include <string.h>

#include "pkt-buffers-internal.h"

#define GUARD   8u
#define NOTHING 0xa5 /* what no frame of the tests is full of */

GuestBuffers *guest_buffers_new(void)
{
    GuestBuffers *g = g_new0(GuestBuffers, 1);

    g->memory = g_malloc(GUEST_MEMORY);
    g->is_piece = g_malloc0(GUEST_MEMORY);
    memset(g->memory, NOTHING, GUARD);
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
        memset(g->memory + g->used, NOTHING, len[i] + GUARD);
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
            uint8_t byte = off < g->b.headroom ? NOTHING : frame[off - g->b.headroom];

            g_assert_true(p[k] == byte || (off < g->b.headroom && g->dropped));
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
    for (size_t i = 0; i < g->used; i++) {
        g_assert_true(g->is_piece[i] || g->memory[i] == NOTHING);
    }
}

/* --- the source --- */

const uint8_t *frame_source_frame(unsigned id)
{
    static uint8_t bytes[1 << 17];
    static gsize ready;

    g_assert_cmpuint(id, <, FRAME_SOURCE_MAX);
    if (g_once_init_enter(&ready)) {
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)(i % 157 + 1);
        }
        g_once_init_leave(&ready, 1);
    }
    return bytes + id;
}

/* As readv() would. Returns how many bytes there was room for. */
static uint32_t scatter(const struct iovec *iov, unsigned n, const uint8_t *frame, uint32_t len)
{
    uint32_t off = 0;

    for (unsigned i = 0; i < n && off < len; i++) {
        size_t part = MIN(iov[i].iov_len, len - off);

        memcpy(iov[i].iov_base, frame + off, part);
        off += (uint32_t)part;
    }
    return off;
}

static struct virtio_net_hdr_v1 header_of(unsigned id)
{
    return (struct virtio_net_hdr_v1){ .hdr_len = (uint16_t)(1000 + id) };
}

/* To a place that a plain read may be made to: header, frame. */
static bool source_read_placed(FrameSource *s, PktBuffers *b, Pkt *pkt, const struct iovec *place)
{
    struct virtio_net_hdr_v1 hdr = header_of(s->done);
    struct iovec behind = { (uint8_t *)place->iov_base + sizeof(hdr),
                            place->iov_len - sizeof(hdr) };

    memcpy(place->iov_base, &hdr, sizeof(hdr));
    return pkt_buffers_put_placed(b, pkt, place, scatter(&behind, 1, frame_source_frame(s->done),
                                                         s->len[s->done]));
}

static bool source_read_gathered(FrameSource *s, PktBuffers *b, Pkt *pkt, const struct iovec *iov,
                                 unsigned n)
{
    g_assert_cmpuint(n, <=, PKT_BUFFERS_MAX_IOV);
    *pkt->hdr = header_of(s->done);
    return pkt_buffers_put(b, pkt, scatter(iov, n, frame_source_frame(s->done), s->len[s->done]));
}

static unsigned source_recv_into(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max)
{
    FrameSource *s = (FrameSource *)q->nd;
    struct iovec iov[PKT_BUFFERS_MAX_IOV];
    unsigned n = 0;

    for (unsigned tries = 0; n < max && tries < 4 * max; tries++) {
        unsigned places = pkt_buffers_place(b, PKT_HDR_LEN, iov, s->burst ? s->burst : 1);
        unsigned pieces = places > 0 ? places : pkt_buffers_gather(b, iov);

        if (pieces == 0 || s->done == s->n) {
            b->more = false;
            break;
        }
        s->plain = places > 0;
        s->pieces = s->plain ? 1 : pieces;
        if (!s->plain) {
            n += source_read_gathered(s, b, &pkt[n], iov, pieces);
            s->done++;
        }
        for (unsigned i = 0; i < places && n < max && s->done < s->n; i++) {
            if (!(s->holes >> i & 1)) {
                n += source_read_placed(s, b, &pkt[n], &iov[i]);
                s->done++;
            }
        }
    }
    return n;
}

static unsigned source_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                            unsigned max)
{
    FrameSource *s = (FrameSource *)q->nd;
    unsigned n = 0;
    uint8_t *data;

    for (; n < max && s->done < s->n && (data = pkt_arena_next(arena)); n++, s->done++) {
        uint32_t len = MIN(s->len[s->done], PKT_MAX_LEN);

        iov[n] = (struct iovec){ data, len };
        pkt[n] = (Pkt){ .hdr = (void *)(data - PKT_HDR_LEN), .iov = &iov[n], .n_iov = 1,
                        .len = len };
        *pkt[n].hdr = header_of(s->done);
        memcpy(data, frame_source_frame(s->done), len);
        pkt_arena_take(arena, len);
    }
    return n;
}

static const NetdevOps into_ops = { .type = "into", .recv = source_recv,
                                    .recv_into = source_recv_into };
static const NetdevOps plain_ops = { .type = "plain", .recv = source_recv };

void frame_source_init(FrameSource *s, bool into)
{
    *s = (FrameSource){ .nd.ops = into ? &into_ops : &plain_ops };
    s->q.nd = &s->nd;
}

void frame_source_add(FrameSource *s, const uint32_t *len, unsigned n)
{
    g_assert_cmpuint(s->n + n, <=, FRAME_SOURCE_MAX);
    memcpy(s->len + s->n, len, n * sizeof(*len));
    s->n += n;
}

unsigned frame_source_read(FrameSource *s, GuestBuffers *g, unsigned max)
{
    g_assert_cmpuint(max, <=, GUEST_MAX_PACKETS);
    return netdev_recv_into(&s->q, &g->b, g->pkt, max);
}

unsigned frame_source_check(const FrameSource *s, const GuestBuffers *g, unsigned i, unsigned id,
                            unsigned first)
{
    g_assert_cmpuint(g->pkt[i].hdr->hdr_len, ==, header_of(id).hdr_len);
    return guest_buffers_check(g, &g->pkt[i], first, frame_source_frame(id), s->len[id]);
}
