/*
 * Any bytes as a packet: parsed, pulled, marked, summed and segmented. Each piece is in memory
 * of exactly its length, for the sanitizer to see.
 *
 * An input: 12 bytes of settings (struct Settings), then the frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <glib.h>
#include <string.h>

#define MAX_SEGMENTS 64
#define HEAD_ROOM    256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Settings {
    uint8_t head;        /* bytes in the first piece */
    uint8_t pull;
    uint16_t piece;      /* bytes in the others */
    uint16_t mss;
    uint8_t gso_type;    /* for the segmentation of what was not marked by us */
    uint8_t max;         /* of segments */
    uint16_t csum_start; /* the same for checksums */
    uint16_t csum_offset;
} Settings;

typedef struct Input {
    Settings s;
    struct virtio_net_hdr_v1 hdr;
    struct iovec iov[PKT_MAX_IOV];
    void *memory[PKT_MAX_IOV]; /* of the pieces: pkt_pull() changes where they begin */
    Pkt pkt;
} Input;

static void input_free(Input *in)
{
    unsigned i;

    for (i = 0; i < PKT_MAX_IOV; i++) {
        g_free(in->memory[i]);
    }
}

/* As many pieces as there may be; the last takes what is left. */
static void input_init(Input *in, const uint8_t *data, size_t size)
{
    size_t off = 0;

    memset(&in->hdr, 0, sizeof(in->hdr));
    memset(in->memory, 0, sizeof(in->memory));
    in->pkt = (Pkt){ .hdr = &in->hdr, .iov = in->iov, .len = (uint32_t)size };
    do {
        struct iovec *iov = &in->iov[in->pkt.n_iov];
        size_t n = in->pkt.n_iov == 0 ? in->s.head : MAX(in->s.piece, 1u);

        if (in->pkt.n_iov == PKT_MAX_IOV - 1) {
            n = size - off;
        }
        n = MIN(n, size - off);
        iov->iov_base = g_malloc0(in->pkt.n_iov == 0 ? HEAD_ROOM : n);
        iov->iov_len = n;
        in->memory[in->pkt.n_iov] = iov->iov_base;
        if (n > 0) {
            memcpy(iov->iov_base, data + off, n);
        }
        off += n;
        in->pkt.n_iov++;
    } while (off < size);
}

static size_t sum_of(const Pkt *pkt)
{
    size_t sum = 0;
    uint32_t i;

    for (i = 0; i < pkt->n_iov; i++) {
        sum += pkt->iov[i].iov_len;
    }
    return sum;
}

static void check_headers(const PktHeaders *h, size_t len)
{
    g_assert_cmpuint(h->l3_off, <=, len);
    g_assert_true(h->l4_off == 0 || (h->l4_off > h->l3_off && h->l4_off < len));
    g_assert_true(h->payload_off == 0 || (h->payload_off > h->l4_off && h->payload_off <= len));
    g_assert_true(h->ip_version == 0 || h->ip_version == 4 || h->ip_version == 6);
}

static bool parse_all(const uint8_t *data, size_t size, PktHeaders *h)
{
    g_autofree uint8_t *exact = g_memdup2(data, size);
    bool ok = pkt_parse(exact, size, h);

    if (ok) {
        check_headers(h, size);
    }
    return ok;
}

/* In rounds of as many as the input says, through memory that is used again. */
static void try_segment(const Input *in, size_t payload_off)
{
    static PktSegmenter s;
    Pkt seg[MAX_SEGMENTS];
    struct iovec iov[MAX_SEGMENTS];
    PktArena arena;
    size_t payload = 0;
    unsigned max = MAX(MIN(in->s.max, MAX_SEGMENTS), 1u), n;

    if (!pkt_segmenter_init(&s, &in->pkt)) {
        return;
    }
    g_assert_cmpint(pkt_arena_init(&arena, MAX_SEGMENTS * 4096 + PKT_ARENA_MIN), ==, 0);
    for (unsigned made = 0; pkt_segmenter_busy(&s); made += n) {
        unsigned left = pkt_segmenter_left(&s);

        g_assert_cmpuint(left, <=, PKT_MAX_LEN - made); /* each has a byte at least, but for one */
        pkt_arena_reset(&arena);
        n = pkt_segment(&s, &arena, seg, iov, max);
        g_assert_cmpuint(n, ==, MIN(left, max));
        for (unsigned i = 0; i < n; i++) {
            PktHeaders h;

            g_assert_true(pkt_parse(iov[i].iov_base, iov[i].iov_len, &h));
            g_assert_cmpuint(h.payload_off, >, 0);
            g_assert_cmpuint(iov[i].iov_len - h.payload_off, <=, in->hdr.gso_size);
            payload += iov[i].iov_len - h.payload_off;
        }
    }
    g_assert_cmpuint(pkt_segment(&s, &arena, seg, iov, max), ==, 0);
    g_assert_true(payload_off == 0 || payload == in->pkt.len - payload_off);
    pkt_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PktHeaders all;
    PktHeaders h;
    bool ok;
    Input in;

    if (size < sizeof(in.s) || size > sizeof(in.s) + PKT_MAX_LEN) {
        return 0;
    }
    memcpy(&in.s, data, sizeof(in.s));
    data += sizeof(in.s);
    size -= sizeof(in.s);
    ok = parse_all(data, size, &all);
    input_init(&in, data, size);
    pkt_pull(&in.pkt, in.s.pull);
    g_assert_cmpuint(sum_of(&in.pkt), ==, size);
    g_assert_cmpuint(in.iov[0].iov_len, >=, MIN(in.s.pull, size));
    if (pkt_parse(in.iov[0].iov_base, in.iov[0].iov_len, &h)) {
        check_headers(&h, in.iov[0].iov_len);
        if (pkt_set_csum(&in.pkt, &h, true)) {
            g_assert_true(pkt_complete_csum(&in.pkt));
        }
        if (pkt_set_gso(&in.pkt, &h, h.ip_version, in.s.mss)) {
            try_segment(&in, ok ? all.payload_off : 0);
        }
    }
    in.hdr = (struct virtio_net_hdr_v1){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                         .csum_start = in.s.csum_start,
                                         .csum_offset = in.s.csum_offset };
    (void)pkt_complete_csum(&in.pkt);
    in.hdr.gso_type = in.s.gso_type;
    in.hdr.gso_size = in.s.mss;
    try_segment(&in, 0);
    input_free(&in);
    return 0;
}
