/*
 * The virtio-net header: what is asked for, and checksums completed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <glib.h>
#include <string.h>

#include "frames.h"

typedef struct Fixture {
    struct virtio_net_hdr_v1 hdr;
    struct iovec iov[8];
    Pkt pkt;
    PktHeaders h;
    uint8_t frame[FRAME_MAX];
} Fixture;

static void set_up(Fixture *f, const FrameSpec *s)
{
    size_t len = frame_build(f->frame, s);

    memset(&f->hdr, 0, sizeof(f->hdr));
    f->iov[0] = (struct iovec){ f->frame, len };
    f->pkt = (Pkt){ .hdr = &f->hdr, .iov = f->iov, .n_iov = 1, .len = (uint32_t)len };
    g_assert_true(pkt_parse(f->frame, len, &f->h));
}

/* Splits the packet's one piece at @at. */
static void split(Fixture *f, size_t at)
{
    f->iov[1] = (struct iovec){ f->frame + at, f->iov[0].iov_len - at };
    f->iov[0].iov_len = at;
    f->pkt.n_iov = 2;
}

static void test_csum_is_completed(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    unsigned version;
    unsigned kind;
    size_t payload;

    for (version = 4; version <= 6; version += 2) {
        for (kind = 0; kind < 8; kind++) {
            for (payload = 0; payload < 70; payload++) {
                FrameSpec s = { .ip_version = version, .udp = kind & 1, .payload = payload,
                                .ip_extra = kind & 2 ? 16 : 0, .vlans = kind & 4 ? 1 : 0 };

                set_up(f, &s);
                g_assert_true(pkt_set_csum(&f->pkt, &f->h, true));
                g_assert_cmpuint(f->hdr.flags, ==, VIRTIO_NET_HDR_F_NEEDS_CSUM);
                g_assert_cmpuint(f->hdr.csum_start, ==, frame_l4_off(&s));
                g_assert_cmpuint(f->hdr.csum_offset, ==, s.udp ? 6 : 16);
                g_assert_true(pkt_complete_csum(&f->pkt));
                g_assert_cmpuint(f->hdr.flags, ==, 0);
                g_assert_true(frame_is_complete(f->frame, f->pkt.len, &s));
            }
        }
    }
}

static void test_csum_over_any_split(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 4, .payload = 33 };
    size_t at;

    for (at = 52; at <= 54 + 33; at++) { /* the field is in the first piece */
        set_up(f, &s);
        g_assert_true(pkt_set_csum(&f->pkt, &f->h, true));
        split(f, at);
        g_assert_true(pkt_complete_csum(&f->pkt));
        g_assert_true(frame_is_complete(f->frame, f->pkt.len, &s));
    }
}

static void test_udp_zero_is_sent_as_ones(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 4, .udp = true, .payload = 2 };
    unsigned v;

    for (v = 0; v < 65536; v++) {
        set_up(f, &s);
        f->frame[42] = (uint8_t)(v >> 8);
        f->frame[43] = (uint8_t)v;
        g_assert_true(pkt_set_csum(&f->pkt, &f->h, true));
        g_assert_true(pkt_complete_csum(&f->pkt));
        g_assert_true(f->frame[40] != 0 || f->frame[41] != 0);
    }
}

static void test_pseudo_sum_is_left_alone(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 6, .payload = 10 };

    set_up(f, &s);
    g_assert_true(pkt_set_csum(&f->pkt, &f->h, false));
    g_assert_cmpuint(f->frame[54 + 16], ==, 0);
    g_assert_cmpuint(f->frame[54 + 17], ==, 0);
}

static void test_csum_refused(void)
{
    static const struct virtio_net_hdr_v1 zero;
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 4, .payload = 10 };

    set_up(f, &s);
    f->h.fragment = true;
    g_assert_false(pkt_set_csum(&f->pkt, &f->h, true));
    set_up(f, &s);
    f->h.l4_proto = 132; /* SCTP */
    g_assert_false(pkt_set_csum(&f->pkt, &f->h, true));
    set_up(f, &s);
    split(f, 53); /* a byte of the TCP header is elsewhere */
    g_assert_false(pkt_set_csum(&f->pkt, &f->h, true));
    g_assert_cmpmem(&f->hdr, sizeof(f->hdr), &zero, sizeof(zero));
    g_assert_cmpuint(f->frame[50], ==, 0);
}

/*
 * A short frame is padded to 60 bytes, by some drivers with what was in the buffer before: no part
 * of the checksum (RFC 894, RFC 9293 3.1).
 */
static void test_padding_is_not_summed(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);

    for (unsigned kind = 0; kind < 16; kind++) {
        for (unsigned pad = 1; pad <= 9; pad += 4) {
            FrameSpec s = { .ip_version = kind & 1 ? 6 : 4, .udp = kind & 2,
                            .vlans = kind & 4 ? 1 : 0, .payload = kind & 8 ? 3 : 0 };
            size_t len;

            set_up(f, &s);
            len = f->pkt.len;
            memset(f->frame + len, 0x5b, pad);
            f->iov[0].iov_len += pad;
            f->pkt.len += pad;
            g_assert_true(pkt_set_csum(&f->pkt, &f->h, true));
            if (kind & 8) {
                split(f, f->h.payload_off + 1); /* the padding is in another piece */
            }
            g_assert_true(pkt_complete_csum(&f->pkt));
            g_assert_true(frame_is_complete(f->frame, len, &s));
        }
    }
}

/* A length that makes no sense is not believed: all that there is is summed. */
static void test_bad_length_is_not_believed(void)
{
    static const uint16_t lengths[] = { 0, 1, 19, 20, 39, 2000, 65535 };
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 4, .payload = 10 };

    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        uint8_t want[2];

        set_up(f, &s);
        g_assert_true(pkt_set_csum(&f->pkt, &f->h, true));
        g_assert_true(pkt_complete_csum(&f->pkt));
        memcpy(want, f->frame + 50, 2);
        set_up(f, &s);
        g_assert_true(pkt_set_csum(&f->pkt, &f->h, true));
        f->frame[16] = (uint8_t)(lengths[i] >> 8);
        f->frame[17] = (uint8_t)lengths[i];
        g_assert_true(pkt_complete_csum(&f->pkt));
        g_assert_cmpmem(f->frame + 50, 2, want, 2);
    }
}

/* Of a packet in pieces only the first one is ours to write to. */
static void test_field_outside_of_the_first_piece(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 4, .payload = 10 };

    set_up(f, &s);
    g_assert_true(pkt_set_csum(&f->pkt, &f->h, true));
    split(f, 51); /* in the middle of the field */
    g_assert_false(pkt_complete_csum(&f->pkt));
}

static void test_complete_refused(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 4, .payload = 10 };

    set_up(f, &s);
    f->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    f->hdr.csum_start = 50;
    f->hdr.csum_offset = 13; /* 50 + 13 + 2 is one more than the 64 there are */
    g_assert_false(pkt_complete_csum(&f->pkt));
    f->hdr.csum_start = 65535;
    f->hdr.csum_offset = 65535;
    g_assert_false(pkt_complete_csum(&f->pkt));
    f->hdr.csum_start = 50;
    f->hdr.csum_offset = 12;
    g_assert_true(pkt_complete_csum(&f->pkt));
    g_assert_true(pkt_complete_csum(&f->pkt)); /* nothing more to do */
}

static void test_gso_header(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec s = { .ip_version = 6, .payload = 5000, .tcp_extra = 12 };

    set_up(f, &s);
    g_assert_true(pkt_set_gso(&f->pkt, &f->h, 6, 1440));
    g_assert_cmpuint(f->hdr.flags, ==, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    g_assert_cmpuint(f->hdr.gso_type, ==, VIRTIO_NET_HDR_GSO_TCPV6);
    g_assert_cmpuint(f->hdr.gso_size, ==, 1440);
    g_assert_cmpuint(f->hdr.hdr_len, ==, 14 + 40 + 32);
    g_assert_cmpuint(f->hdr.csum_start, ==, 54);
    g_assert_cmpuint(f->hdr.csum_offset, ==, 16);
    /* the pseudo-header's sum is over the whole: completed as it is, it is right */
    g_assert_true(pkt_complete_csum(&f->pkt));
    g_assert_true(frame_is_complete(f->frame, f->pkt.len, &s));
}

static void test_gso_refused(void)
{
    g_autofree Fixture *f = g_new(Fixture, 1);
    FrameSpec tcp = { .ip_version = 4, .payload = 5000 };
    FrameSpec udp = { .ip_version = 4, .payload = 5000, .udp = true };

    set_up(f, &udp);
    g_assert_false(pkt_set_gso(&f->pkt, &f->h, 4, 1448));
    set_up(f, &tcp);
    g_assert_false(pkt_set_gso(&f->pkt, &f->h, 6, 1448));
    g_assert_false(pkt_set_gso(&f->pkt, &f->h, 4, 0));
    split(f, 40);
    g_assert_false(pkt_set_gso(&f->pkt, &f->h, 4, 1448));
    g_assert_cmpuint(f->hdr.gso_type, ==, VIRTIO_NET_HDR_GSO_NONE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/offload/csum-is-completed", test_csum_is_completed);
    g_test_add_func("/net/offload/csum-over-any-split", test_csum_over_any_split);
    g_test_add_func("/net/offload/udp-zero-is-sent-as-ones", test_udp_zero_is_sent_as_ones);
    g_test_add_func("/net/offload/pseudo-sum-is-left-alone", test_pseudo_sum_is_left_alone);
    g_test_add_func("/net/offload/csum-refused", test_csum_refused);
    g_test_add_func("/net/offload/padding-is-not-summed", test_padding_is_not_summed);
    g_test_add_func("/net/offload/bad-length-is-not-believed", test_bad_length_is_not_believed);
    g_test_add_func("/net/offload/field-outside-of-the-first-piece",
                    test_field_outside_of_the_first_piece);
    g_test_add_func("/net/offload/complete-refused", test_complete_refused);
    g_test_add_func("/net/offload/gso-header", test_gso_header);
    g_test_add_func("/net/offload/gso-refused", test_gso_refused);
    return g_test_run();
}
