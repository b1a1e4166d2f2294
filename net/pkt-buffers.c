/*
 * A guest's buffers that packets are read into: as many pieces as a packet is likely to need, and
 * private memory behind them for what is longer.
 *
 * All of a packet's possible 64 KiB are some 40 pieces, which the kernel would have to look at for
 * 60 bytes, too. So it is one buffer as long as packets are small; and nothing behind that, and the
 * header before it, where none is to be segmented: a read() is a fifth cheaper than a readv().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pkt-buffers-internal.h"

#include <glib.h>
#include <string.h>

/* A small packet is in the first buffer, and no longer than that: 1500 bytes and all headers. */
#define SMALL_LEN  2048u
/* So many small ones in a row say that the next is, too; acknowledgements in a stream do not. */
#define SMALL_RUN  16u

#define MAX_DIRECT (PKT_BUFFERS_MAX_IOV - 1)

_Static_assert(PKT_MAX_LEN + 1 <= PKT_ARENA_MIN, "a packet and a byte more fit into the spill");

bool pkt_buffers_drop(PktBuffers *b)
{
    bool waited = b->waiting.waits;

    b->waiting.waits = false;
    return waited;
}

/* Behind the pieces of buffer number @i. */
static const struct iovec *pieces_end(const PktBuffers *b, unsigned i)
{
    return b->buf[i].iov + b->buf[i].n_iov;
}

/* How many buffers from number @i on have @need bytes. 0: there are not enough. */
static unsigned count_buffers(const PktBuffers *b, unsigned i, uint32_t need)
{
    unsigned end = b->merge ? b->n : MIN(i + 1, b->n);

    for (unsigned n = 1; i < end; n++, i++) {
        if (need <= b->buf[i].len) {
            return n;
        }
        need -= b->buf[i].len;
    }
    return 0;
}

/* The next packet, which found too few buffers, may find more of them later. */
static bool may_wait(const PktBuffers *b)
{
    return b->merge && !(b->last && b->next == b->start);
}

/* Copies the rest of the waiting packet behind the first @off bytes of the buffers from @i on. */
static void copy_rest(PktBuffers *b, unsigned i, size_t off)
{
    PktWaiting *w = &b->waiting;
    const struct iovec *v;

    if (i == b->n) {
        return;
    }
    for (v = b->buf[i].iov; w->rest > 0 && v < pieces_end(b, b->n - 1); v++) {
        size_t n;

        if (off >= v->iov_len) {
            off -= v->iov_len;
            continue;
        }
        n = MIN(v->iov_len - off, w->rest);
        memcpy((uint8_t *)v->iov_base + off, w->from, n);
        w->from += n;
        w->rest -= (uint32_t)n;
        off = 0;
    }
}

/* @pkt is a frame of @len bytes in the next @n buffers. */
static void give(PktBuffers *b, Pkt *pkt, unsigned n, uint32_t len)
{
    const PktBuffer *first = &b->buf[b->next];

    pkt->hdr->num_buffers = (uint16_t)n;
    pkt->iov = first->iov;
    pkt->n_iov = (uint32_t)(pieces_end(b, b->next + n - 1) - first->iov);
    pkt->len = len;
    b->next += n;
}

/* A frame of @len bytes, of which @direct are in place and the others at @rest. */
static bool put_in_several(PktBuffers *b, Pkt *pkt, uint32_t len, uint32_t direct,
                           const uint8_t *rest)
{
    unsigned n = count_buffers(b, b->next, b->headroom + len);
    PktWaiting *w = &b->waiting;

    if (len > b->max_len || b->headroom > b->buf[b->next].len || (n == 0 && !may_wait(b))) {
        b->too_long++;
        return false;
    }
    w->rest = len - direct;
    w->from = rest;
    copy_rest(b, b->next, b->headroom + direct);
    if (n > 0) {
        give(b, pkt, n, len);
        return true;
    }
    w->waits = true;
    w->hdr = *pkt->hdr;
    w->len = len;
    w->n_buf = b->n - b->next;
    return false;
}

/* What was expected of packets, and is from now on. */
static void adapt(PktBuffers *b, uint32_t len)
{
    if (len > b->direct) {
        b->large = true;
        b->n_small = 0;
    } else if (b->large) {
        bool small = len <= SMALL_LEN && b->headroom + len <= b->buf[b->next].len;

        b->n_small = small ? b->n_small + 1 : 0;
        b->large = b->n_small < SMALL_RUN;
    }
}

bool pkt_buffers_put(PktBuffers *b, Pkt *pkt, uint32_t len)
{
    adapt(b, len);
    if (len <= b->direct && len <= b->max_len && b->headroom + len <= b->buf[b->next].len) {
        give(b, pkt, 1, len);
        return true;
    }
    return put_in_several(b, pkt, len, MIN(len, b->direct), b->spill.base);
}

bool pkt_buffers_copy(PktBuffers *b, Pkt *pkt, const uint8_t *data, uint32_t len)
{
    return put_in_several(b, pkt, len, 0, data);
}

void pkt_buffers_start(PktBuffers *b)
{
    g_assert(!b->waiting.waits);
    b->start = b->next;
}

PktStored pkt_buffers_store(PktBuffers *b, Pkt *pkt, const uint8_t *data, uint32_t len)
{
    bool stored;

    if (b->next == b->n) {
        return PKT_NO_ROOM;
    }
    if (len <= b->max_len && b->headroom <= b->buf[b->next].len && may_wait(b) &&
        count_buffers(b, b->next, b->headroom + len) == 0) {
        return PKT_NO_ROOM;
    }
    stored = pkt_buffers_copy(b, pkt, data, len);
    return stored ? PKT_STORED : PKT_TOO_LONG;
}

bool pkt_buffers_ready(PktBuffers *b)
{
    b->starved = b->waiting.waits || b->next == b->n;
    b->more = b->more && !b->starved;
    return !b->starved;
}

/* A packet, and what tells that it is longer than we know, into the first piece of @buf. */
static bool place_in(const PktBuffers *b, const PktBuffer *buf, struct iovec *ret_place)
{
    if (buf->n_iov == 0 || buf->iov->iov_len <= b->headroom + b->usual_len) {
        return false;
    }
    ret_place->iov_base = buf->iov->iov_base;
    ret_place->iov_len = MIN(buf->iov->iov_len, b->headroom + b->max_len + 1u);
    return true;
}

unsigned pkt_buffers_place(PktBuffers *b, uint32_t hdr_len, struct iovec *ret_place, unsigned max)
{
    unsigned n = 0;

    if (b->usual_len == 0 || b->headroom != hdr_len || !pkt_buffers_ready(b)) {
        return 0;
    }
    max = MIN(max, b->n - b->next);
    while (n < max && place_in(b, &b->buf[b->next + n], &ret_place[n])) {
        n++;
    }
    return n;
}

bool pkt_buffers_put_placed(PktBuffers *b, Pkt *pkt, const struct iovec *place, uint32_t len)
{
    const struct iovec *next = b->buf[b->next].iov;

    memcpy(pkt->hdr, place->iov_base, b->headroom);
    if (b->headroom + len == place->iov_len || b->headroom + len > next->iov_len) { /* or longer */
        b->usual_len = 0;
        b->too_long++;
        return false;
    }
    if (place->iov_base != next->iov_base) { /* a guest's buffers may overlap */
        memmove(next->iov_base, place->iov_base, b->headroom + len);
    }
    give(b, pkt, 1, len);
    return true;
}

unsigned pkt_buffers_gather(PktBuffers *b, struct iovec *ret_iov)
{
    size_t left = b->max_len + 1u;
    size_t end_at = b->large || left < SMALL_LEN ? 0 : left - SMALL_LEN; /* enough is gathered */
    size_t skip = b->headroom;
    const struct iovec *end;
    unsigned n = 0;

    if (!pkt_buffers_ready(b)) {
        return 0;
    }
    end = pieces_end(b, b->merge && b->large ? b->n - 1 : b->next);
    for (const struct iovec *v = b->buf[b->next].iov; v < end && n < MAX_DIRECT; v++) {
        if (left <= end_at) {
            break;
        }
        if (skip >= v->iov_len) {
            skip -= v->iov_len;
            continue;
        }
        ret_iov[n].iov_base = (uint8_t *)v->iov_base + skip;
        ret_iov[n].iov_len = MIN(v->iov_len - skip, left);
        left -= ret_iov[n++].iov_len;
        skip = 0;
    }
    b->direct = (uint32_t)(b->max_len + 1u - left);
    if (left > 0) {
        ret_iov[n++] = (struct iovec){ .iov_base = b->spill.base, .iov_len = left };
    }
    return n;
}

/* Goes on with the packet that waits. True: it is complete, and @pkt. */
static bool resume(PktBuffers *b, Pkt *pkt)
{
    PktWaiting *w = &b->waiting;
    unsigned first = b->next + w->n_buf;
    unsigned n;

    g_assert(first <= b->n);
    n = count_buffers(b, first, w->rest);
    if (n == 0 && b->last) {
        b->too_long++;
        w->waits = false;
        return false;
    }
    copy_rest(b, first, 0);
    if (n == 0) {
        w->n_buf = b->n - b->next;
        return false;
    }
    *pkt->hdr = w->hdr;
    give(b, pkt, w->n_buf + n, w->len);
    w->waits = false;
    return true;
}

unsigned pkt_buffers_begin(PktBuffers *b, Pkt *pkt, unsigned max)
{
    g_assert(b->next <= b->n && b->n <= UINT16_MAX && b->max_len <= PKT_MAX_LEN);
    b->starved = false;
    b->more = true;
    b->start = b->next;
    return max > 0 && b->waiting.waits && resume(b, pkt) ? 1 : 0;
}
