/*
 * GSO packets segmented in software: each segment is right, and together they are the whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <glib.h>
#include <string.h>

#include "frames.h"

#define MAX_SEGMENTS 256

typedef struct Fixture {
    struct virtio_net_hdr_v1 hdr;
    struct iovec iov[8];
    Pkt pkt;
    PktArena arena;
    Pkt seg[MAX_SEGMENTS];
    struct iovec seg_iov[MAX_SEGMENTS];
    PktSegmenter s;
    uint8_t frame[FRAME_MAX];
} Fixture;

static Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);

    g_assert_cmpint(pkt_arena_init(&f->arena, MAX_SEGMENTS * 4096 + PKT_ARENA_MIN), ==, 0);
    return f;
}

static void fixture_free(Fixture *f)
{
    pkt_arena_done(&f->arena);
    g_free(f);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)

static void set_up(Fixture *f, const FrameSpec *s, uint16_t mss)
{
    size_t len = frame_build(f->frame, s);
    PktHeaders h;

    memset(&f->hdr, 0, sizeof(f->hdr));
    f->iov[0] = (struct iovec){ f->frame, len };
    f->pkt = (Pkt){ .hdr = &f->hdr, .iov = f->iov, .n_iov = 1, .len = (uint32_t)len };
    g_assert_true(pkt_parse(f->frame, len, &h));
    g_assert_true(pkt_set_gso(&f->pkt, &h, (uint8_t)s->ip_version, mss));
    pkt_arena_reset(&f->arena);
}

/* All at once; 0: it cannot be segmented. */
static unsigned segment(Fixture *f)
{
    unsigned n, left;

    if (!pkt_segmenter_init(&f->s, &f->pkt)) {
        g_assert_false(pkt_segmenter_busy(&f->s));
        return 0;
    }
    left = pkt_segmenter_left(&f->s);
    n = pkt_segment(&f->s, &f->arena, f->seg, f->seg_iov, MAX_SEGMENTS);
    g_assert_false(pkt_segmenter_busy(&f->s));
    g_assert_cmpuint(n, ==, left);
    g_assert_cmpuint(pkt_segment(&f->s, &f->arena, f->seg, f->seg_iov, MAX_SEGMENTS), ==, 0);
    return n;
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The segment at @off of the payload; returns the payload's length in it. */
static size_t check_segment(const Pkt *seg, const FrameSpec *s, size_t off, unsigned i)
{
    static const struct virtio_net_hdr_v1 zero;
    const uint8_t *data = seg->iov[0].iov_base;
    const uint8_t *tcp = data + frame_l4_off(s);
    size_t hdr_len = frame_payload_off(s);
    size_t n = seg->len - hdr_len;
    uint8_t flags = s->tcp_flags;
    size_t k;

    g_assert_cmpuint(seg->n_iov, ==, 1);
    g_assert_cmpuint(seg->iov[0].iov_len, ==, seg->len);
    g_assert_cmpmem(seg->hdr, sizeof(zero), &zero, sizeof(zero));
    g_assert_true((const uint8_t *)(seg->hdr + 1) == data);
    g_assert_true(frame_is_complete(data, seg->len, s));
    g_assert_cmpuint(get32(tcp + 4), ==, (uint32_t)(s->seq + off));
    if (off + n < s->payload) {
        flags &= 0xf6; /* FIN and PSH */
    }
    if (off > 0) {
        flags &= 0x7f; /* CWR */
    }
    g_assert_cmphex(tcp[13], ==, flags);
    if (s->ip_version == 4) {
        g_assert_cmpuint(get32(data + frame_l3_off(s) + 2) & 0xffff, ==,
                         (uint16_t)(s->id + i));
    }
    g_assert_cmpmem(data, 12, frame_macs, 12);
    for (k = 0; k < n; k++) {
        g_assert_cmpuint(data[hdr_len + k], ==, frame_byte(off + k));
    }
    return n;
}

static void check_all(const Fixture *f, const FrameSpec *s, unsigned n, size_t mss)
{
    size_t off = 0;
    unsigned i;

    g_assert_cmpuint(n, ==, (s->payload + mss - 1) / mss);
    for (i = 0; i < n; i++) {
        size_t len = check_segment(&f->seg[i], s, off, i);

        g_assert_cmpuint(len, ==, MIN(mss, s->payload - off));
        off += len;
    }
    g_assert_cmpuint(off, ==, s->payload);
}

static void test_shapes(void)
{
    static const FrameSpec shapes[] = {
        { .ip_version = 4, .payload = 5000, .id = 7, .seq = 1000, .tcp_flags = 0x10 },
        { .ip_version = 4, .payload = 4344, .id = 0xfffe, .seq = 0xfffffff0, .tcp_flags = 0xff },
        { .ip_version = 4, .payload = 65000, .tcp_extra = 12, .tcp_flags = 0x18 },
        { .ip_version = 4, .payload = 3000, .vlans = 2, .ip_extra = 40, .tcp_extra = 40 },
        { .ip_version = 6, .payload = 5000, .seq = 5, .tcp_flags = 0x99 },
        { .ip_version = 6, .payload = 65000, .tcp_extra = 12, .vlans = 1 },
        { .ip_version = 6, .payload = 3001, .ip_extra = 64, .tcp_flags = 0x11 },
    };
    static const uint16_t mss[] = { 536, 1440, 1448, 8948 };
    g_autoptr(Fixture) f = fixture_new();
    unsigned i;
    unsigned k;

    for (i = 0; i < G_N_ELEMENTS(shapes); i++) {
        for (k = 0; k < G_N_ELEMENTS(mss); k++) {
            set_up(f, &shapes[i], mss[k]);
            check_all(f, &shapes[i], segment(f), mss[k]);
        }
    }
}

static void test_pieces_anywhere(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000, .tcp_flags = 0x18 };
    g_autoptr(Fixture) f = fixture_new();
    size_t at;

    for (at = 1; at < 3054; at += 17) {
        set_up(f, &s, 1000);
        f->iov[1] = (struct iovec){ f->frame + at, 0 };
        f->iov[2] = (struct iovec){ f->frame + at, f->pkt.len - at };
        f->iov[0].iov_len = at;
        f->pkt.n_iov = 3;
        check_all(f, &s, segment(f), 1000);
    }
}

static void test_vlan_tags_are_kept(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000, .vlans = 2 };
    g_autoptr(Fixture) f = fixture_new();
    unsigned i;
    unsigned n;

    set_up(f, &s, 1000);
    n = segment(f);
    for (i = 0; i < n; i++) {
        g_assert_cmpmem(f->seg[i].iov[0].iov_base, 22, f->frame, 22);
    }
}

static void test_ecn_type_is_segmented_too(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000, .tcp_flags = 0x90 };
    g_autoptr(Fixture) f = fixture_new();

    set_up(f, &s, 1000);
    f->hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    check_all(f, &s, segment(f), 1000);
}

static void test_shorter_than_mss_is_one(void)
{
    FrameSpec s = { .ip_version = 6, .payload = 10, .tcp_flags = 0x18 };
    g_autoptr(Fixture) f = fixture_new();

    set_up(f, &s, 1448);
    check_all(f, &s, segment(f), 1448);
    s.payload = 0;
    set_up(f, &s, 1448);
    g_assert_cmpuint(segment(f), ==, 1);
    g_assert_true(frame_is_complete(f->seg[0].iov[0].iov_base, f->seg[0].len, &s));
}

static void test_refused(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000 };
    g_autoptr(Fixture) f = fixture_new();

    set_up(f, &s, 1000);
    f->hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    g_assert_cmpuint(segment(f), ==, 0);
    f->hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP;
    g_assert_cmpuint(segment(f), ==, 0);
    set_up(f, &s, 1000);
    f->hdr.gso_size = 0;
    g_assert_cmpuint(segment(f), ==, 0);
    set_up(f, &s, 1000);
    f->frame[20] = 0x20; /* a fragment */
    g_assert_cmpuint(segment(f), ==, 0);
    g_assert_cmpuint(f->arena.used, ==, 0);
}

/* More than there is memory for: a few at a time, as many as it takes. */
static void test_rounds(void)
{
    static const struct {
        size_t payload;
        uint16_t mss;
        unsigned round;
    } cases[] = { { 65000, 253, 64 }, { 65000, 216, 64 }, { 30000, 88, 7 }, { 3000, 1, 256 },
                  { 64, 64, 1 }, { 65000, 8948, 1 } };
    g_autoptr(Fixture) f = fixture_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        FrameSpec s = { .ip_version = 4, .payload = cases[i].payload, .vlans = 1,
                        .tcp_flags = 0x19 };
        size_t off = 0;
        unsigned made = 0, n;

        set_up(f, &s, cases[i].mss);
        g_assert_true(pkt_segmenter_init(&f->s, &f->pkt));
        while (pkt_segmenter_busy(&f->s)) {
            pkt_arena_reset(&f->arena);
            n = pkt_segment(&f->s, &f->arena, f->seg, f->seg_iov, cases[i].round);
            g_assert_cmpuint(n, >, 0);
            g_assert_cmpuint(n, <=, cases[i].round);
            for (unsigned k = 0; k < n; k++) {
                off += check_segment(&f->seg[k], &s, off, made++);
            }
        }
        g_assert_cmpuint(off, ==, s.payload);
        g_assert_cmpuint(made, ==, (s.payload + cases[i].mss - 1) / cases[i].mss);
    }
}

/* An arena that is too full ends a round, not the packet. */
static void test_arena_ends_a_round(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000 };
    g_autoptr(Fixture) f = fixture_new();
    PktArena full = f->arena;

    set_up(f, &s, 1000);
    full.used = full.size - PKT_ARENA_MIN - 4096;
    g_assert_true(pkt_segmenter_init(&f->s, &f->pkt));
    g_assert_cmpuint(pkt_segment(&f->s, &full, f->seg, f->seg_iov, 3), ==, 2);
    g_assert_cmpuint(pkt_segment(&f->s, &full, f->seg, f->seg_iov, 3), ==, 0);
    g_assert_cmpuint(pkt_segmenter_left(&f->s), ==, 1);
    g_assert_cmpuint(pkt_segment(&f->s, &f->arena, f->seg, f->seg_iov, 3), ==, 1);
    check_segment(&f->seg[0], &s, 2000, 2);
    g_assert_false(pkt_segmenter_busy(&f->s));
}

static void test_stop(void)
{
    FrameSpec s = { .ip_version = 4, .payload = 3000 };
    g_autoptr(Fixture) f = fixture_new();

    set_up(f, &s, 1000);
    g_assert_true(pkt_segmenter_init(&f->s, &f->pkt));
    g_assert_cmpuint(pkt_segment(&f->s, &f->arena, f->seg, f->seg_iov, 1), ==, 1);
    pkt_segmenter_stop(&f->s);
    g_assert_cmpuint(pkt_segmenter_left(&f->s), ==, 0);
    g_assert_cmpuint(pkt_segment(&f->s, &f->arena, f->seg, f->seg_iov, 3), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/segment/shapes", test_shapes);
    g_test_add_func("/net/segment/pieces-anywhere", test_pieces_anywhere);
    g_test_add_func("/net/segment/vlan-tags-are-kept", test_vlan_tags_are_kept);
    g_test_add_func("/net/segment/ecn-type-is-segmented-too", test_ecn_type_is_segmented_too);
    g_test_add_func("/net/segment/shorter-than-mss-is-one", test_shorter_than_mss_is_one);
    g_test_add_func("/net/segment/refused", test_refused);
    g_test_add_func("/net/segment/rounds", test_rounds);
    g_test_add_func("/net/segment/arena-ends-a-round", test_arena_ends_a_round);
    g_test_add_func("/net/segment/stop", test_stop);
    return g_test_run();
}
