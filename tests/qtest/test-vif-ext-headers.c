/*
 * IPv6 extension headers and AH before TCP or UDP, both ways. A checksum that is left to the other
 * side has the pseudo-header's sum in its field (RFC 8200 8.1: with the final destination, which
 * need not be in the IP header), and netif.h says no more than that: so none of the addresses
 * need be known to finish it. Linux netback and tap carry such packets, GSO too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vif-test.h"

#include <string.h>

#define EXT_MAX 128

typedef struct Ext {
    uint8_t first;        /* next header in the IPv6 header; of IPv4, the protocol */
    uint8_t ext[EXT_MAX]; /* headers; the place of the last "next" holds 6 or 17 */
    unsigned len;
    bool udp;
    bool gso;
    bool ipv4;
} Ext;

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static unsigned l4_off(const Ext *e)
{
    return 14 + (e->ipv4 ? 20 : 40) + e->len;
}

static unsigned headers(const Ext *e)
{
    return l4_off(e) + (e->udp ? 8 : 20);
}

static void make_ip(uint8_t *ip, const Ext *e, size_t l4_len)
{
    if (e->ipv4) {
        ip[0] = 0x45;
        put16(ip + 2, (unsigned)(20 + e->len + l4_len));
        ip[8] = 64;
        ip[9] = e->first;
        ip[12] = 10, ip[15] = 1;
        ip[16] = 10, ip[19] = 2;
        put16(ip + 10, frame_naive_csum(0, ip, 20));
        return;
    }
    ip[0] = 0x60;
    put16(ip + 4, (unsigned)(e->len + l4_len));
    ip[6] = e->first;
    ip[7] = 64;
    ip[8] = 0xfd, ip[23] = 1;
    ip[24] = 0xfd, ip[39] = 2;
}

/* The pseudo-header's sum with the final destination: fd00::9 behind a routing header. */
static uint16_t pseudo_sum(const Ext *e, size_t l4_len)
{
    uint8_t pseudo[40] = { 0 };
    size_t n = e->ipv4 ? 12 : 40;

    if (e->ipv4) {
        pseudo[0] = 10, pseudo[3] = 1;
        pseudo[4] = 10, pseudo[7] = 2;
        pseudo[9] = e->udp ? 17 : 6;
        put16(pseudo + 10, (unsigned)l4_len);
    } else {
        pseudo[0] = 0xfd, pseudo[15] = 1;
        pseudo[16] = 0xfd, pseudo[31] = e->first == 43 && e->ext[3] > 0 ? 9 : 2;
        put16(pseudo + 34, (unsigned)l4_len);
        pseudo[39] = e->udp ? 17 : 6;
    }
    return (uint16_t)~frame_naive_csum(0, pseudo, n);
}

static size_t make(uint8_t *f, const Ext *e, size_t payload)
{
    uint8_t *ip = f + 14;
    uint8_t *l4 = f + l4_off(e);
    size_t l4_len = (e->udp ? 8 : 20) + payload;

    memset(f, 0, l4_off(e) + l4_len);
    memcpy(f, frame_macs, 12);
    put16(f + 12, e->ipv4 ? 0x0800 : 0x86dd);
    make_ip(ip, e, l4_len);
    memcpy(ip + (e->ipv4 ? 20 : 40), e->ext, e->len);
    put16(l4, 1000);
    put16(l4 + 2, 2000);
    if (e->udp) {
        put16(l4 + 4, (unsigned)l4_len);
    } else {
        l4[12] = 0x50;
        l4[13] = 0x10;
        put16(l4 + 14, 0xffff);
    }
    for (size_t i = 0; i < payload; i++) {
        l4[(e->udp ? 8 : 20) + i] = frame_byte(i);
    }
    put16(l4 + (e->udp ? 6 : 16), pseudo_sum(e, l4_len));
    return l4_off(e) + l4_len;
}

/* Its checksum is right: with the pseudo-header in the place of the field the sum is 0. */
static void check_complete(const Ext *e, const uint8_t *f, size_t len)
{
    g_autofree uint8_t *l4 = g_memdup2(f + l4_off(e), len - l4_off(e));
    size_t n = len - l4_off(e);
    unsigned at = e->udp ? 6 : 16;
    unsigned field = (unsigned)l4[at] << 8 | l4[at + 1];

    put16(l4 + at, pseudo_sum(e, n));
    g_assert_cmphex(field, ==, frame_naive_csum(0, l4, n));
}

static void test_rx(VifTest *t)
{
    const Ext *e = t->arg;
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    g_autofree uint8_t *f = g_malloc(FRAME_MAX);
    g_autofree FrontFrame *got = g_new0(FrontFrame, 1);
    size_t payload = e->gso ? 20000 : 200, len = make(f, e, payload), bytes = 0;
    struct virtio_net_hdr hdr = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_size = e->gso ? 1400 : 0,
        .gso_type = !e->gso ? 0 : e->ipv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
        .hdr_len = (uint16_t)headers(e),
        .csum_start = (uint16_t)l4_off(e),
        .csum_offset = e->udp ? 6 : 16,
    };

    front_rx_post(q, 64);
    host_tap_send(t->tap, &hdr, f, len);
    while (bytes < payload && front_rx_recv(q, got, 3000)) {
        g_assert_cmpmem(got->data + headers(e), got->len - headers(e), f + headers(e) + bytes,
                        got->len - headers(e));
        if (!(got->flags & NETRXF_csum_blank)) {
            check_complete(e, got->data, got->len);
        }
        bytes += got->len - headers(e);
    }
    g_assert_cmpuint(vif_test_counter(t, 0, "rx", "drop-malformed"), ==, 0);
    g_assert_cmpuint(bytes, ==, payload);
}

static void test_tx(VifTest *t)
{
    const Ext *e = t->arg;
    FrontQueue *q = vif_test_connect(t, &(FrontConfig){ 0 });
    g_autofree uint8_t *f = g_malloc(FRAME_MAX);
    g_autofree uint8_t *got = g_malloc(FRAME_MAX);
    size_t len = make(f, e, e->gso ? 20000 : 200), n;
    struct virtio_net_hdr hdr;
    netif_tx_response_t rsp[32];
    unsigned slots = front_tx_frame(q, f, len, NULL, 0, NETTXF_csum_blank | NETTXF_data_validated,
                                    e->gso ? 1400 : 0);

    front_tx_push(q);
    front_tx_responses(q, rsp, slots);
    g_assert_cmpint(rsp[0].status, ==, NETIF_RSP_OKAY);
    n = host_tap_recv(t->tap, &hdr, got, 3000);
    g_assert_cmpmem(got, n, f, len); /* the field as it was, too */
    g_assert_cmpuint(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, !=, 0);
    g_assert_cmpuint(hdr.csum_start, ==, l4_off(e));
    g_assert_cmpuint(hdr.csum_offset, ==, e->udp ? 6 : 16);
    g_assert_cmpuint(hdr.gso_size, ==, e->gso ? 1400 : 0);
}

/* routing header, type 2 (mobile IPv6) or 4: one address fd00::9, segments left 1 or 0 */
#define RH(next, type, left) { next, 2, type, left, 0, 0, 0, 0, 0xfd, [23] = 9 }
#define CASE(name_, ...)                                                       \
    { "rx/" name_, test_rx, .arg = &(const Ext){ __VA_ARGS__ } },              \
    { "tx/" name_, test_tx, .arg = &(const Ext){ __VA_ARGS__ } }

int main(int argc, char **argv)
{
    const VifTestCase cases[] = {
        CASE("hop-by-hop/tcp", .first = 0, .ext = { 6, 0, 1, 4 }, .len = 8),
        CASE("destination/udp", .first = 60, .ext = { 17, 0, 1, 4 }, .len = 8, .udp = true),
        CASE("destination/gso", .first = 60, .ext = { 6, 0, 1, 4 }, .len = 8, .gso = true),
        CASE("routing-used-up/tcp", .first = 43, .ext = RH(6, 4, 0), .len = 24),
        CASE("routing-left-1/tcp", .first = 43, .ext = RH(6, 4, 1), .len = 24),
        CASE("routing-left-1/udp", .first = 43, .ext = RH(17, 2, 1), .len = 24, .udp = true),
        CASE("routing-left-1/gso", .first = 43, .ext = RH(6, 4, 1), .len = 24, .gso = true),
        CASE("routing-then-destination/tcp", .first = 43,
             .ext = { 60, 2, 4, 1, [8] = 0xfd, [23] = 9, [24] = 6, [26] = 1, [27] = 4 },
             .len = 32),
        CASE("ah/tcp", .first = 51, .ext = { 6, 4 }, .len = 24),
        CASE("ah/udp", .first = 51, .ext = { 17, 4 }, .len = 24, .udp = true),
        CASE("ah-ipv4/tcp", .first = 51, .ext = { 6, 4 }, .len = 24, .ipv4 = true),
        CASE("atomic-fragment/tcp", .first = 44, .ext = { 6, 0, 0, 0, 1, 2, 3, 4 }, .len = 8),
        { NULL },
    };

    return vif_test_main(argc, argv, "/vif/ext-headers", cases);
}
