/*
 * The hash of received packets: Microsoft's published vectors for RSS, and which packets are hashed
 * as what.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-hash.h"

#include <arpa/inet.h>
#include <glib.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#define TYPE(name)   VIRTIO_NET_RSS_HASH_TYPE_##name
#define REPORT(name) VIRTIO_NET_HASH_REPORT_##name
#define EX           (TYPE(IP_EX) | TYPE(TCP_EX) | TYPE(UDP_EX))
#define PLAIN        (VIRTIO_NET_HASH_TYPES & ~(unsigned)EX)

/* "Verifying the RSS Hash Calculation", of Microsoft's documentation of NDIS. */
static const uint8_t key[VIRTIO_NET_HASH_KEY] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

typedef struct Vector {
    const char *dst;
    uint16_t dst_port;
    const char *src;
    uint16_t src_port;
    uint32_t ip, tcp;
} Vector;

static const Vector vectors4[] = {
    { "161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178 },
    { "65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea },
    { "12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a },
    { "209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f },
    { "202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2 },
};

static const Vector vectors6[] = {
    { "3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d },
    { "ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf },
    { "fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251,
      0x4b61e985, 0x02d1feef },
};

/* --- frames, byte by byte --- */

static void put(GByteArray *f, const void *data, size_t len)
{
    g_byte_array_append(f, data, (guint)len);
}

static void put16(GByteArray *f, uint16_t v)
{
    v = htons(v);
    put(f, &v, sizeof(v));
}

static void put_zeros(GByteArray *f, size_t n)
{
    g_byte_array_set_size(f, f->len + (guint)n);
    memset(f->data + f->len - n, 0, n);
}

static void put_address(GByteArray *f, int family, const char *text)
{
    uint8_t a[16];

    g_assert_cmpint(inet_pton(family, text, a), ==, 1);
    put(f, a, family == AF_INET ? 4 : 16);
}

static GByteArray *ethernet(uint16_t type, unsigned vlans)
{
    GByteArray *f = g_byte_array_new();

    put_zeros(f, 12);
    for (unsigned i = 0; i < vlans; i++) {
        put16(f, i + 1 < vlans ? 0x88a8 : 0x8100);
        put16(f, (uint16_t)(100 + i));
    }
    put16(f, type);
    return f;
}

/* @words of options, and @frag as it is in the header. */
static GByteArray *ipv4(const Vector *v, uint8_t proto, unsigned words, uint16_t frag,
                        unsigned vlans)
{
    GByteArray *f = ethernet(0x0800, vlans);
    uint8_t first[2] = { (uint8_t)(0x45 + words), 0 };
    uint8_t ttl[2] = { 64, proto };

    put(f, first, 2);
    put16(f, 1000);
    put16(f, 1);
    put16(f, frag);
    put(f, ttl, 2);
    put16(f, 0);
    put_address(f, AF_INET, v->src);
    put_address(f, AF_INET, v->dst);
    put_zeros(f, 4 * words);
    return f;
}

static GByteArray *ipv6(const char *src, const char *dst, uint8_t next, unsigned vlans)
{
    GByteArray *f = ethernet(0x86dd, vlans);
    uint8_t hops[2] = { next, 64 };

    put16(f, 0x6000);
    put16(f, 0);
    put16(f, 1000);
    put(f, hops, 2);
    put_address(f, AF_INET6, src);
    put_address(f, AF_INET6, dst);
    return f;
}

/* A header of TCP or UDP, and some bytes of data. */
static void put_ports(GByteArray *f, const Vector *v, uint8_t proto)
{
    put16(f, v->src_port);
    put16(f, v->dst_port);
    if (proto == IPPROTO_TCP) {
        put_zeros(f, 8);
        put16(f, 0x5010);
        put_zeros(f, 6);
    } else {
        put16(f, 8);
        put16(f, 0);
    }
    put_zeros(f, 10);
}

/* Takes @f. It is in memory of its own, that ends where it does. */
static void check(GByteArray *f, uint32_t types, uint16_t report, uint32_t hash)
{
    size_t len = f->len;
    uint8_t *frame = g_byte_array_free(f, FALSE);
    g_autofree uint8_t *exact = g_memdup2(frame, len);
    VirtioNetHash h;
    uint32_t got = 1;

    g_free(frame);
    virtio_net_hash_init(&h, types, key, sizeof(key));
    g_assert_cmpuint(virtio_net_hash_frame(&h, exact, len, &got), ==, report);
    g_assert_cmphex(got, ==, hash);
}

static GByteArray *tcp4(const Vector *v, uint8_t proto, unsigned words, uint16_t frag,
                        unsigned vlans)
{
    GByteArray *f = ipv4(v, proto, words, frag, vlans);

    put_ports(f, v, proto);
    return f;
}

static GByteArray *tcp6(const Vector *v, uint8_t proto, unsigned vlans)
{
    GByteArray *f = ipv6(v->src, v->dst, proto, vlans);

    put_ports(f, v, proto);
    return f;
}

/* --- tests --- */

static void test_vectors(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(vectors4); i++) {
        const Vector *v = &vectors4[i];

        for (unsigned vlans = 0; vlans < 3; vlans++) {
            check(tcp4(v, IPPROTO_TCP, 0, 0, vlans), PLAIN, REPORT(TCPv4), v->tcp);
            check(tcp4(v, IPPROTO_UDP, 0, 0, vlans), PLAIN, REPORT(UDPv4), v->tcp);
            check(tcp4(v, IPPROTO_ICMP, 0, 0, vlans), PLAIN, REPORT(IPv4), v->ip);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(vectors6); i++) {
        const Vector *v = &vectors6[i];

        for (unsigned vlans = 0; vlans < 3; vlans++) {
            check(tcp6(v, IPPROTO_TCP, vlans), PLAIN, REPORT(TCPv6), v->tcp);
            check(tcp6(v, IPPROTO_UDP, vlans), PLAIN, REPORT(UDPv6), v->tcp);
            check(tcp6(v, IPPROTO_ICMPV6, vlans), PLAIN, REPORT(IPv6), v->ip);
        }
    }
}

/* Without its own type a packet is hashed as IP, or not at all. */
static void test_types(void)
{
    const Vector *v4 = vectors4;
    const Vector *v6 = vectors6;

    check(tcp4(v4, IPPROTO_TCP, 0, 0, 0), PLAIN & ~TYPE(TCPv4), REPORT(IPv4), v4->ip);
    check(tcp4(v4, IPPROTO_UDP, 0, 0, 0), PLAIN & ~TYPE(UDPv4), REPORT(IPv4), v4->ip);
    check(tcp4(v4, IPPROTO_TCP, 0, 0, 0), TYPE(TCPv4), REPORT(TCPv4), v4->tcp);
    check(tcp4(v4, IPPROTO_TCP, 0, 0, 0), TYPE(UDPv4), REPORT(NONE), 0);
    check(tcp4(v4, IPPROTO_ICMP, 0, 0, 0), TYPE(TCPv4), REPORT(NONE), 0);
    check(tcp4(v4, IPPROTO_TCP, 0, 0, 0), TYPE(TCPv6) | TYPE(IPv6), REPORT(NONE), 0);
    check(tcp4(v4, IPPROTO_TCP, 0, 0, 0), 0, REPORT(NONE), 0);
    check(tcp6(v6, IPPROTO_TCP, 0), PLAIN & ~TYPE(TCPv6), REPORT(IPv6), v6->ip);
    check(tcp6(v6, IPPROTO_UDP, 0), PLAIN & ~TYPE(UDPv6), REPORT(IPv6), v6->ip);
    check(tcp6(v6, IPPROTO_UDP, 0), EX, REPORT(NONE), 0); /* it has no extension headers */
}

static void test_odd(void)
{
    const Vector *v = vectors4;
    GByteArray *f;

    check(tcp4(v, IPPROTO_TCP, 10, 0, 1), PLAIN, REPORT(TCPv4), v->tcp);     /* options */
    check(tcp4(v, IPPROTO_TCP, 0, 0x2000, 0), PLAIN, REPORT(IPv4), v->ip);   /* first fragment */
    check(tcp4(v, IPPROTO_UDP, 0, 0x2010, 0), PLAIN, REPORT(IPv4), v->ip);
    check(tcp4(v, IPPROTO_UDP, 0, 0x0010, 0), PLAIN, REPORT(IPv4), v->ip);   /* the last one */
    check(tcp4(v, IPPROTO_UDP, 0, 0x4000, 0), PLAIN, REPORT(UDPv4), v->tcp); /* don't fragment */
    f = tcp4(v, IPPROTO_TCP, 0, 0, 0);
    put_zeros(f, 40); /* padding */
    check(f, PLAIN, REPORT(TCPv4), v->tcp);
    f = ethernet(0x0806, 0);
    put_zeros(f, 46);
    check(f, VIRTIO_NET_HASH_TYPES, REPORT(NONE), 0);
    f = g_byte_array_new();
    put_zeros(f, 5);
    check(f, VIRTIO_NET_HASH_TYPES, REPORT(NONE), 0);
}

/* Cut at each byte: ports only with all of the header, addresses only with all of theirs. */
static void test_truncated(void)
{
    const Vector *v = vectors4;

    for (unsigned len = 1; len < 14 + 20 + 20 + 10; len++) {
        GByteArray *f = tcp4(v, IPPROTO_TCP, 0, 0, 0);

        g_byte_array_set_size(f, len);
        if (len < 14 + 20) {
            check(f, PLAIN, REPORT(NONE), 0);
        } else if (len < 14 + 20 + 20) {
            check(f, PLAIN, REPORT(IPv4), v->ip);
        } else {
            check(f, PLAIN, REPORT(TCPv4), v->tcp);
        }
    }
}

typedef enum Ext {
    EXT_END, EXT_HOP, EXT_HOME, EXT_ROUTE, EXT_OTHER_ROUTE, EXT_USED_ROUTE, EXT_FIRST, EXT_ATOMIC,
} Ext;

static uint8_t ext_number(Ext e, uint8_t proto)
{
    static const uint8_t number[] = {
        [EXT_HOP] = IPPROTO_HOPOPTS, [EXT_HOME] = IPPROTO_DSTOPTS,
        [EXT_ROUTE] = IPPROTO_ROUTING, [EXT_OTHER_ROUTE] = IPPROTO_ROUTING,
        [EXT_USED_ROUTE] = IPPROTO_ROUTING, [EXT_FIRST] = IPPROTO_FRAGMENT,
        [EXT_ATOMIC] = IPPROTO_FRAGMENT,
    };

    return e == EXT_END ? proto : number[e];
}

static void put_ext(GByteArray *f, Ext e, uint8_t next, const Vector *v)
{
    uint8_t route[8] = { next, 2, e == EXT_OTHER_ROUTE ? 3 : 2, e != EXT_USED_ROUTE };
    uint8_t hop[8] = { next, 0, 1, 4 };
    uint8_t home[8] = { next, 2, 0, 0, 1, 0, 0xc9, 16 }; /* Pad1 twice, PadN, the home address */
    uint8_t fragment[8] = { next, 0, 0, e == EXT_FIRST };

    switch (e) {
    case EXT_HOP:
        put(f, hop, 8);
        break;
    case EXT_HOME:
        put(f, home, 8);
        put_address(f, AF_INET6, v->src);
        break;
    case EXT_FIRST:
    case EXT_ATOMIC:
        put(f, fragment, 8);
        break;
    default:
        put(f, route, 8);
        put_address(f, AF_INET6, v->dst);
    }
}

/* A packet of @v whose addresses are in its extension headers where these have room for them. */
static GByteArray *extended(const Vector *v, const Ext *e, uint8_t proto)
{
    const char *src = v->src;
    const char *dst = v->dst;
    GByteArray *f;

    for (unsigned i = 0; e[i] != EXT_END; i++) {
        src = e[i] == EXT_HOME ? "2001:db8::1" : src;
        dst = e[i] == EXT_ROUTE ? "2001:db8::2" : dst;
    }
    f = ipv6(src, dst, ext_number(e[0], proto), 1);
    for (unsigned i = 0; e[i] != EXT_END; i++) {
        put_ext(f, e[i], ext_number(e[i + 1], proto), v);
    }
    put_ports(f, v, proto);
    return f;
}

static void test_extensions(void)
{
    static const struct {
        Ext e[4];
        bool fragment;
    } rows[] = {
        { { EXT_HOP }, false }, { { EXT_HOME }, false }, { { EXT_ROUTE }, false },
        { { EXT_HOP, EXT_HOME, EXT_ROUTE }, false }, { { EXT_OTHER_ROUTE }, false },
        { { EXT_USED_ROUTE }, false }, { { EXT_FIRST }, true }, { { EXT_HOME, EXT_FIRST }, true },
        { { EXT_ROUTE, EXT_ATOMIC, EXT_HOME }, false },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        const Vector *v = &vectors6[i % G_N_ELEMENTS(vectors6)];
        const Ext *e = rows[i].e;
        bool frag = rows[i].fragment;
        uint32_t l4 = frag ? v->ip : v->tcp;

        check(extended(v, e, IPPROTO_TCP), VIRTIO_NET_HASH_TYPES,
              frag ? REPORT(IPv6_EX) : REPORT(TCPv6_EX), l4);
        check(extended(v, e, IPPROTO_UDP), VIRTIO_NET_HASH_TYPES,
              frag ? REPORT(IPv6_EX) : REPORT(UDPv6_EX), l4);
        check(extended(v, e, IPPROTO_UDP), TYPE(IP_EX), REPORT(IPv6_EX), v->ip);
        check(extended(v, e, IPPROTO_ICMPV6), VIRTIO_NET_HASH_TYPES, REPORT(IPv6_EX), v->ip);
    }
}

/* Without types for extension headers they are skipped, and the addresses are the first ones. */
static void test_skipped(void)
{
    static const Ext hop[] = { EXT_HOP, EXT_END };
    static const Ext first[] = { EXT_HOP, EXT_FIRST, EXT_END };
    const Vector *v = vectors6;

    check(extended(v, hop, IPPROTO_TCP), PLAIN, REPORT(TCPv6), v->tcp);
    check(extended(v, hop, IPPROTO_UDP), PLAIN, REPORT(UDPv6), v->tcp);
    check(extended(v, hop, IPPROTO_TCP), PLAIN | TYPE(UDP_EX), REPORT(TCPv6), v->tcp);
    check(extended(v, first, IPPROTO_TCP), PLAIN, REPORT(IPv6), v->ip);
}

/* A header that is cut, or options that say more than there is, are not read behind their end. */
static void test_extensions_truncated(void)
{
    static const Ext e[] = { EXT_HOP, EXT_HOME, EXT_ROUTE, EXT_END };
    VirtioNetHash h;

    virtio_net_hash_init(&h, VIRTIO_NET_HASH_TYPES, key, sizeof(key));
    for (unsigned len = 1;; len++) {
        GByteArray *f = extended(vectors6, e, IPPROTO_TCP);
        g_autofree uint8_t *frame = NULL;
        bool all = len >= f->len;
        uint32_t hash;

        g_byte_array_set_size(f, len);
        frame = g_memdup2(f->data, len);
        g_byte_array_free(f, TRUE);
        virtio_net_hash_frame(&h, frame, len, &hash);
        for (unsigned at = 18 + 40; at < len; at++) {
            uint8_t before = frame[at];

            frame[at] = 0xff;
            virtio_net_hash_frame(&h, frame, len, &hash);
            frame[at] = before;
        }
        if (all) {
            break;
        }
    }
}

/* A key that is shorter ends in zeros. */
static void test_short_key(void)
{
    VirtioNetHash a, b;
    uint8_t padded[VIRTIO_NET_HASH_KEY] = { 0 };

    for (unsigned len = 0; len <= VIRTIO_NET_HASH_KEY; len++) {
        memcpy(padded, key, len);
        virtio_net_hash_init(&a, 1, key, len);
        virtio_net_hash_init(&b, 1, padded, sizeof(padded));
        g_assert_cmpmem(&a, sizeof(a), &b, sizeof(b));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-net-hash/vectors", test_vectors);
    g_test_add_func("/virtio-net-hash/types", test_types);
    g_test_add_func("/virtio-net-hash/odd", test_odd);
    g_test_add_func("/virtio-net-hash/truncated", test_truncated);
    g_test_add_func("/virtio-net-hash/extensions", test_extensions);
    g_test_add_func("/virtio-net-hash/skipped", test_skipped);
    g_test_add_func("/virtio-net-hash/extensions-truncated", test_extensions_truncated);
    g_test_add_func("/virtio-net-hash/short-key", test_short_key);
    return g_test_run();
}
