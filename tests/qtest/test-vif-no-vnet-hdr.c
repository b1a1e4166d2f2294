/*
 * Guest to host on a tap without a vnet header: checksums and segments are made in software.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vif-test.h"

#include <string.h>

typedef struct Padding {
    unsigned n;
    int byte;
    bool udp;
    bool ipv6;
} Padding;

/* RFC 9293 3.1, RFC 768: the sum covers as much as the IP header says; padding is not of it. */
static void test_padded(VifTest *t)
{
    const Padding *p = t->arg;
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    VifFrame v = { .payload = 0, .csum_blank = true, .udp = p->udp, .ipv6 = p->ipv6 };
    g_autofree uint8_t *f = g_malloc(FRAME_MAX);
    g_autofree uint8_t *got = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&v, f), n;
    struct virtio_net_hdr hdr;

    memset(f + len, p->byte, p->n);
    front_tx_frame(q, f, len + p->n, NULL, 0, NETTXF_csum_blank | NETTXF_data_validated, 0);
    front_tx_push(q);
    front_tx_expect(q, 1, NETIF_RSP_OKAY);
    n = host_tap_recv(t->tap, &hdr, got, QTEST_TIMEOUT_MS);
    g_assert_cmpuint(n, ==, len + p->n);
    g_assert_cmphex(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, ==, 0);
    g_assert_true(vif_frame_complete(&v, got, len));
}

typedef struct Gso {
    uint16_t mss;
    bool ipv6;
    bool ip_sum_0; /* as NDIS hands LSO down */
} Gso;

static void test_gso(VifTest *t)
{
    const Gso *g = t->arg;
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    VifFrame v = { .payload = 60000, .csum_blank = true, .ipv6 = g->ipv6 };
    g_autofree uint8_t *f = g_malloc(FRAME_MAX);
    g_autofree uint8_t *got = g_malloc(FRAME_MAX);
    size_t len = vif_frame_make(&v, f), n, bytes = 0;
    size_t hdr_len = vif_frame_headers(&v);
    struct virtio_net_hdr hdr;
    unsigned slots;

    if (g->ip_sum_0) {
        memset(f + 24, 0, 2);
    }
    slots = front_tx_frame(q, f, len, NULL, 0, NETTXF_csum_blank | NETTXF_data_validated, g->mss);
    front_tx_push(q);
    while (bytes < v.payload && (n = host_tap_recv(t->tap, &hdr, got, QTEST_TIMEOUT_MS)) > 0) {
        size_t payload = n - hdr_len;

        g_assert_true(vif_frame_complete(&v, got, n));
        g_assert_cmpuint(payload, ==, MIN(g->mss, v.payload - bytes));
        g_assert_cmpmem(got + hdr_len, payload, f + hdr_len + bytes, payload);
        bytes += payload;
    }
    g_assert_cmpuint(bytes, ==, v.payload);
    front_tx_expect(q, slots, NETIF_RSP_OKAY);
    g_assert_cmpuint(vif_test_counter(t, 0, "tx", "drop-malformed"), ==, 0);
    g_assert_cmpuint(vif_test_counter(t, 0, "tx", "drop-peer"), ==, 0);
}

#define PADDED(name_, ...) \
    { "padded/" name_, test_padded, .arg = &(const Padding){ __VA_ARGS__ }, .no_vnet_hdr = true }
#define GSO(name_, ...) \
    { "gso/" name_, test_gso, .arg = &(const Gso){ __VA_ARGS__ }, .no_vnet_hdr = true }

int main(int argc, char **argv)
{
    const VifTestCase cases[] = {
        PADDED("tcp-zeros", 6, 0),
        PADDED("tcp", 6, 0x5b),
        PADDED("tcp-one-byte", 1, 0x5a),
        PADDED("udp", 18, 0x5b, .udp = true),
        PADDED("tcp-ipv6", 7, 0x5b, .ipv6 = true),
        PADDED("udp-ipv6", 3, 0x5b, .udp = true, .ipv6 = true),
        GSO("mss-1448", 1448),
        GSO("ip-sum-0", 1448, .ip_sum_0 = true),
        GSO("mss-230", 230),
        GSO("mss-88-ipv6", 88, .ipv6 = true),
        { NULL },
    };

    return vif_test_main(argc, argv, "/vif/no-vnet-hdr", cases);
}
