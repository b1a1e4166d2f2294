/*
 * GSO packets that are segmented by us, because of a VLAN tag or of a guest that takes none,
 * with an MSS so small that there is no room for all segments at once: each byte arrives. A stack
 * that segmented them itself would make any number; a loss of the whole packet, each time it
 * is sent again, would stall TCP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vif-test.h"

#include <string.h>

typedef struct Low {
    size_t payload;
    uint16_t mss;
    bool no_gso;
    bool ipv6;
} Low;

static void test_low_mss(VifTest *t)
{
    const Low *l = t->arg;
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ .no_gso = l->no_gso });
    VifFrame v = { .vlan = !l->no_gso, .ipv6 = l->ipv6, .payload = l->payload,
                   .csum_blank = true };
    g_autofree uint8_t *f = g_malloc(FRAME_MAX);
    g_autofree FrontFrame *got = g_new0(FrontFrame, 1);
    size_t len = vif_frame_make(&v, f), bytes = 0;
    struct virtio_net_hdr hdr = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = l->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
        .gso_size = l->mss, .hdr_len = (uint16_t)vif_frame_headers(&v),
        .csum_start = (uint16_t)vif_frame_l4(&v), .csum_offset = 16,
    };
    unsigned n = 0;

    front_rx_post(q, 256);
    host_tap_send(t->tap, &hdr, f, len);
    while (bytes < l->payload && front_rx_recv(q, got, 5000)) {
        size_t payload = got->len - vif_frame_headers(&v);

        g_assert_cmpint(got->status, ==, 0);
        g_assert_cmpuint(payload, ==, MIN(l->mss, l->payload - bytes));
        g_assert_cmpmem(got->data + vif_frame_headers(&v), payload,
                        f + vif_frame_headers(&v) + bytes, payload);
        bytes += payload;
        n++;
        front_rx_post(q, got->slots);
    }
    g_assert_cmpuint(bytes, ==, l->payload);
    g_assert_cmpuint(n, ==, (l->payload + l->mss - 1) / l->mss);
    g_assert_cmpuint(vif_test_counter(t, 0, "rx", "drop-malformed"), ==, 0);
    g_assert_cmpuint(vif_test_counter(t, 0, "rx", "packets"), ==, n);
}

/* Behind the stall time-out all that is left of a packet is lost at once, and each is counted. */
static void test_stalled(VifTest *t)
{
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    VifFrame v = { .vlan = true, .payload = 60000, .csum_blank = true };
    g_autofree uint8_t *f = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&v, f);
    struct virtio_net_hdr hdr = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
        .gso_size = 100, .hdr_len = (uint16_t)vif_frame_headers(&v),
        .csum_start = (uint16_t)vif_frame_l4(&v), .csum_offset = 16,
    };

    front_rx_post(q, 70); /* a round of segments, and some of the next */
    host_tap_send(t->tap, &hdr, f, len);
    qtest_wait_for(vif_test_counter(t, 0, "rx", "packets") == 70);
    qtest_clock_step(t->qt, 9900 * 1000000ull);
    g_assert_cmpuint(vif_test_counter(t, 0, "rx", "drop-full"), ==, 0);
    qtest_clock_step(t->qt, 200 * 1000000ull);
    qtest_wait_for(vif_test_counter(t, 0, "rx", "drop-full") == 530);
}

#define CASE(name_, ...) { name_, test_low_mss, .arg = &(const Low){ __VA_ARGS__ } }

int main(int argc, char **argv)
{
    const VifTestCase cases[] = {
        CASE("64k-mss-1448", 65000, 1448),
        CASE("64k-mss-256", 65000, 256),
        CASE("64k-mss-253", 65000, 253),
        CASE("64k-mss-216", 65000, 216),
        CASE("30k-mss-88", 30000, 88),
        CASE("64k-mss-88-ipv6", 64000, 88, .ipv6 = true),
        CASE("no-gso-mss-100", 60000, 100, .no_gso = true),
        CASE("no-gso-mss-100-ipv6", 60000, 100, .no_gso = true, .ipv6 = true),
        { "stalled", test_stalled },
        { NULL },
    };

    return vif_test_main(argc, argv, "/vif/low-mss", cases);
}
