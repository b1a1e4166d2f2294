/*
 * What pkt_parse() says about frames, whole and truncated.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <glib.h>
#include <netinet/in.h>
#include <string.h>

#include "frames.h"
#include "net/checksum.h"
#include "pkt-internal.h"

static const FrameSpec specs[] = {
    { .ip_version = 4, .payload = 100 },
    { .ip_version = 4, .payload = 0, .tcp_extra = 12 },
    { .ip_version = 4, .payload = 9, .ip_extra = 40, .tcp_extra = 40, .vlans = 2 },
    { .ip_version = 4, .payload = 30, .udp = true, .vlans = 1 },
    { .ip_version = 6, .payload = 100, .tcp_extra = 20 },
    { .ip_version = 6, .payload = 5, .ip_extra = 24, .vlans = 1 },
    { .ip_version = 6, .payload = 30, .udp = true },
};

/* At each length, in memory that ends there: the sanitizer sees a byte too much. */
static void test_whole_and_truncated(void)
{
    uint8_t frame[512];
    unsigned i;
    size_t n;

    for (i = 0; i < G_N_ELEMENTS(specs); i++) {
        const FrameSpec *s = &specs[i];
        size_t len = frame_build(frame, s);
        size_t ip_min = frame_l3_off(s) + (s->ip_version == 4 ? 20 : 40);

        for (n = 0; n <= len; n++) {
            g_autofree uint8_t *data = g_memdup2(frame, n);
            PktHeaders h;

            g_assert_true(pkt_parse(data, n, &h) == (n >= 14));
            g_assert_cmpuint(h.ip_version, ==, n >= ip_min ? s->ip_version : 0);
            g_assert_true(h.vlan == (n >= 14 && s->vlans > 0));
            g_assert_false(h.fragment);
            g_assert_cmpuint(h.l4_off, ==, n > frame_l4_off(s) ? frame_l4_off(s) : 0);
            g_assert_cmpuint(h.payload_off, ==,
                             n >= frame_payload_off(s) ? frame_payload_off(s) : 0);
        }
    }
}

static void parse_spec(uint8_t *frame, const FrameSpec *s, PktHeaders *h)
{
    size_t len = frame_build(frame, s);

    g_assert_true(pkt_parse(frame, len, h));
}

static void test_protocols(void)
{
    uint8_t frame[512];
    PktHeaders h;

    parse_spec(frame, &specs[0], &h);
    g_assert_cmpuint(h.l4_proto, ==, IPPROTO_TCP);
    parse_spec(frame, &specs[3], &h);
    g_assert_cmpuint(h.l4_proto, ==, IPPROTO_UDP);
    frame[18 + 9] = IPPROTO_SCTP;
    g_assert_true(pkt_parse(frame, 80, &h));
    g_assert_cmpuint(h.l4_proto, ==, IPPROTO_SCTP);
    g_assert_cmpuint(h.l4_off, ==, 38);
    g_assert_cmpuint(h.payload_off, ==, 0);
}

static void test_not_ip(void)
{
    uint8_t frame[512];
    PktHeaders h;

    parse_spec(frame, &specs[0], &h);
    frame[12] = 0x08;
    frame[13] = 0x06; /* ARP */
    g_assert_true(pkt_parse(frame, 60, &h));
    g_assert_cmpuint(h.ip_version, ==, 0);
    g_assert_cmpuint(h.l3_off, ==, 14);
}

static void test_broken_ipv4(void)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } broken[] = {
        { 14, 0x65 }, /* another version */
        { 14, 0x44 }, /* header of 16 bytes */
        { 17, 19 },   /* total length shorter than the header */
    };
    uint8_t frame[512];
    PktHeaders h;
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(broken); i++) {
        parse_spec(frame, &specs[0], &h);
        frame[16] = 0;
        frame[broken[i].at] = broken[i].value;
        g_assert_true(pkt_parse(frame, 100, &h));
        g_assert_cmpuint(h.ip_version, ==, 0);
        g_assert_cmpuint(h.l4_off, ==, 0);
    }
}

static void test_broken_tcp(void)
{
    uint8_t frame[512];
    PktHeaders h;

    parse_spec(frame, &specs[0], &h);
    frame[14 + 20 + 12] = 4 << 4;
    g_assert_true(pkt_parse(frame, 100, &h));
    g_assert_cmpuint(h.l4_off, ==, 34);
    g_assert_cmpuint(h.payload_off, ==, 0);
}

static void test_ipv4_fragments(void)
{
    uint8_t frame[512];
    PktHeaders h;

    parse_spec(frame, &specs[0], &h);
    frame[20] = 0x40; /* don't fragment: no fragment */
    g_assert_true(pkt_parse(frame, 100, &h));
    g_assert_false(h.fragment);
    frame[20] = 0x20; /* the first of them has the TCP header */
    g_assert_true(pkt_parse(frame, 100, &h));
    g_assert_true(h.fragment);
    g_assert_cmpuint(h.payload_off, ==, 54);
    frame[20] = 0;
    frame[21] = 1; /* the next has not */
    g_assert_true(pkt_parse(frame, 100, &h));
    g_assert_true(h.fragment);
    g_assert_cmpuint(h.l4_off, ==, 0);
}

/* An IPv6 packet whose extension headers are all of @type, @n of them, 8 bytes each. */
static size_t build_ext(uint8_t *frame, uint8_t type, unsigned n)
{
    FrameSpec s = { .ip_version = 6, .ip_extra = 8 * n, .payload = 10 };
    size_t len = frame_build(frame, &s);
    unsigned i;

    frame[14 + 6] = type;
    for (i = 0; i < n; i++) {
        uint8_t *ext = frame + 54 + 8 * i;

        memset(ext, 0, 8);
        ext[0] = i + 1 < n ? type : IPPROTO_TCP;
    }
    return len;
}

static void test_ipv6_fragments(void)
{
    uint8_t frame[512];
    size_t len = build_ext(frame, IPPROTO_FRAGMENT, 1);
    PktHeaders h;

    g_assert_true(pkt_parse(frame, len, &h)); /* "atomic": all of it is there */
    g_assert_false(h.fragment);
    g_assert_cmpuint(h.l4_off, ==, 62);
    frame[54 + 3] = 1; /* more of them */
    g_assert_true(pkt_parse(frame, len, &h));
    g_assert_true(h.fragment);
    g_assert_cmpuint(h.l4_proto, ==, IPPROTO_TCP);
    frame[54 + 3] = 8; /* a later one */
    g_assert_true(pkt_parse(frame, len, &h));
    g_assert_true(h.fragment);
    g_assert_cmpuint(h.l4_off, ==, 0);
}

static void test_ipv6_at_most_8_extensions(void)
{
    uint8_t frame[512];
    PktHeaders h;
    unsigned n;

    for (n = 1; n <= 9; n++) {
        size_t len = build_ext(frame, IPPROTO_DSTOPTS, n);

        g_assert_true(pkt_parse(frame, len, &h));
        g_assert_cmpuint(h.ip_version, ==, 6);
        g_assert_cmpuint(h.l4_off, ==, n <= 8 ? 54 + 8 * n : 0);
    }
}

static void test_ipv6_routing_header(void)
{
    uint8_t frame[512];
    size_t len = build_ext(frame, IPPROTO_ROUTING, 1);
    PktHeaders h;

    g_assert_true(pkt_parse(frame, len, &h));
    g_assert_cmpuint(h.l4_off, ==, 62);
    g_assert_true(h.l4_hidden);
    g_assert_false(h.routed);
    frame[54 + 3] = 1; /* one more hop: another address belongs into the checksum */
    g_assert_true(pkt_parse(frame, len, &h));
    g_assert_cmpuint(h.l4_off, ==, 62);
    g_assert_cmpuint(h.l4_proto, ==, IPPROTO_TCP);
    g_assert_true(h.routed);
    build_ext(frame, IPPROTO_DSTOPTS, 1);
    g_assert_true(pkt_parse(frame, len, &h));
    g_assert_false(h.l4_hidden);
    g_assert_false(h.routed);
}

/* Its length is in words of four bytes, and it is one of IPv4, too. */
static void test_authentication_header(void)
{
    static const FrameSpec v4 = { .ip_version = 4, .payload = 100, .ip_extra = 8 };
    uint8_t frame[512];
    size_t len = build_ext(frame, IPPROTO_AH, 3);
    PktHeaders h;

    g_assert_true(pkt_parse(frame, len, &h)); /* (0 + 2) * 4 bytes each */
    g_assert_cmpuint(h.l4_off, ==, 54 + 24);
    g_assert_true(h.l4_hidden);
    frame[54] = IPPROTO_TCP;
    frame[55] = 4;
    g_assert_true(pkt_parse(frame, len, &h));
    g_assert_cmpuint(h.l4_off, ==, 54 + 24);
    frame[55] = 255; /* longer than the frame */
    g_assert_true(pkt_parse(frame, len, &h));
    g_assert_cmpuint(h.l4_off, ==, 0);

    parse_spec(frame, &v4, &h); /* its 8 bytes of options become the header */
    frame[14] = 0x45;
    frame[14 + 9] = IPPROTO_AH;
    memset(frame + 34, 0, 8);
    frame[34] = IPPROTO_TCP;
    g_assert_true(pkt_parse(frame, 100, &h));
    g_assert_cmpuint(h.l4_off, ==, 42);
    g_assert_cmpuint(h.l4_proto, ==, IPPROTO_TCP);
    g_assert_true(h.l4_hidden);
    frame[34] = IPPROTO_ROUTING; /* of IPv4 that is no extension header */
    g_assert_true(pkt_parse(frame, 100, &h));
    g_assert_cmpuint(h.l4_proto, ==, IPPROTO_ROUTING);
    g_assert_cmpuint(h.payload_off, ==, 0);
}

static void test_third_vlan_tag_is_no_ip(void)
{
    uint8_t frame[512];
    PktHeaders h;

    parse_spec(frame, &specs[2], &h);
    memmove(frame + 16, frame + 12, 200);
    g_assert_true(pkt_parse(frame, 200, &h));
    g_assert_true(h.vlan);
    g_assert_cmpuint(h.ip_version, ==, 0);
}

/* As RFC 1071 says it, a 16-bit word at a time. */
static uint16_t slow_sum(const uint8_t *p, size_t len, uint32_t l4_len, uint8_t proto)
{
    uint32_t sum = (l4_len >> 16) + (l4_len & 0xffff) + proto;

    for (size_t i = 0; i < len; i += 2) {
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    }
    while (sum >> 16) {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    return (uint16_t)sum;
}

/* Addresses of ones bring the sum to where the next addition has a carry. */
static void test_pseudo_sum_keeps_its_carry(void)
{
    uint8_t ip[64];
    PktHeaders h = { .l4_proto = IPPROTO_TCP };
    uint32_t len[] = { 20, 1480, 65535 };

    memset(ip, 0xff, sizeof(ip));
    for (unsigned i = 0; i < G_N_ELEMENTS(len); i++) {
        h.ip_version = 4;
        g_assert_cmphex(ntohs(csum_fold(pkt_pseudo_sum(ip, &h, len[i]))), ==,
                        slow_sum(ip + 12, 8, len[i], h.l4_proto));
        h.ip_version = 6;
        g_assert_cmphex(ntohs(csum_fold(pkt_pseudo_sum(ip, &h, len[i]))), ==,
                        slow_sum(ip + 8, 32, len[i], h.l4_proto));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/headers/whole-and-truncated", test_whole_and_truncated);
    g_test_add_func("/net/headers/protocols", test_protocols);
    g_test_add_func("/net/headers/not-ip", test_not_ip);
    g_test_add_func("/net/headers/broken-ipv4", test_broken_ipv4);
    g_test_add_func("/net/headers/broken-tcp", test_broken_tcp);
    g_test_add_func("/net/headers/ipv4-fragments", test_ipv4_fragments);
    g_test_add_func("/net/headers/ipv6-fragments", test_ipv6_fragments);
    g_test_add_func("/net/headers/ipv6-at-most-8-extensions", test_ipv6_at_most_8_extensions);
    g_test_add_func("/net/headers/ipv6-routing-header", test_ipv6_routing_header);
    g_test_add_func("/net/headers/authentication-header", test_authentication_header);
    g_test_add_func("/net/headers/third-vlan-tag-is-no-ip", test_third_vlan_tag_is_no_ip);
    g_test_add_func("/net/headers/pseudo-sum-keeps-its-carry", test_pseudo_sum_keeps_its_carry);
    return g_test_run();
}
