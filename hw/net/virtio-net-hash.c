/*
 * The hash of a received packet. A key of 40 bytes has a window of 32 bits for each bit of the
 * input, and the hash is the sum of those whose bit is set: here four bits at a time, from a table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net-hash.h"

#include <glib.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

#include "net/pkt.h"

#define IPV4_ADDRS    12u /* offsets and lengths in the headers */
#define IPV6_ADDRS    8u
#define IPV6_ADDR     16u
#define IPV6_LEN      40u
#define PORTS_LEN     4u
#define EXT_MAX       8u   /* as pkt_parse() */
#define EXT_UNIT      8u
#define OPT_HOME      0xc9 /* RFC 6275, 6.3: the home address of a mobile node */
#define ROUTING_HOME  2    /* RFC 6275, 6.4: a routing header with one address, the home's */

#define TYPE(name)   VIRTIO_NET_RSS_HASH_TYPE_##name
#define REPORT(name) VIRTIO_NET_HASH_REPORT_##name

/* --- the hash --- */

/* The 32 bits of @key from bit @at on. */
static uint32_t key_window(const uint8_t key[VIRTIO_NET_HASH_KEY], unsigned at)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 5; i++) {
        unsigned byte = at / 8 + i;

        bits = bits << 8 | (byte < VIRTIO_NET_HASH_KEY ? key[byte] : 0);
    }
    return (uint32_t)(bits >> (8 - at % 8));
}

void virtio_net_hash_init(VirtioNetHash *h, uint32_t types, const uint8_t *key, size_t len)
{
    g_assert(len <= sizeof(h->key));
    memset(h, 0, sizeof(*h));
    h->types = types;
    if (len > 0) {
        memcpy(h->key, key, len);
    }
    for (unsigned half = 0; half < G_N_ELEMENTS(h->part); half++) {
        for (unsigned v = 0; v < 16; v++) {
            for (unsigned bit = 0; bit < 4; bit++) {
                h->part[half][v] ^= v >> (3 - bit) & 1 ? key_window(h->key, 4 * half + bit) : 0;
            }
        }
    }
}

static uint32_t hash_bytes(const VirtioNetHash *h, const uint8_t *data, size_t len)
{
    const uint32_t (*part)[16] = h->part;
    uint32_t hash = 0;

    for (size_t i = 0; i < len; i++, part += 2) {
        hash ^= part[0][data[i] >> 4] ^ part[1][data[i] & 15];
    }
    return hash;
}

/* --- what is hashed --- */

typedef struct HashInput {
    uint8_t data[VIRTIO_NET_HASH_INPUT];
    unsigned len;
} HashInput;

static void input_add(HashInput *in, const uint8_t *data, unsigned len)
{
    memcpy(in->data + in->len, data, len);
    in->len += len;
}

/* The first of what TCP, UDP and IP are hashed as that @types have; REPORT(NONE): none. */
typedef struct HashKinds {
    uint32_t tcp, udp, ip; /* VIRTIO_NET_RSS_HASH_TYPE_* */
    uint16_t report_tcp, report_udp, report_ip;
} HashKinds;

static const HashKinds ipv4 = {
    TYPE(TCPv4), TYPE(UDPv4), TYPE(IPv4), REPORT(TCPv4), REPORT(UDPv4), REPORT(IPv4),
};
static const HashKinds ipv6 = {
    TYPE(TCPv6), TYPE(UDPv6), TYPE(IPv6), REPORT(TCPv6), REPORT(UDPv6), REPORT(IPv6),
};
static const HashKinds ipv6_ex = {
    TYPE(TCP_EX), TYPE(UDP_EX), TYPE(IP_EX), REPORT(TCPv6_EX), REPORT(UDPv6_EX), REPORT(IPv6_EX),
};

static uint16_t choose(const HashKinds *k, uint32_t types, const PktHeaders *p, bool *ret_ports)
{
    bool whole = p->payload_off > 0 && !p->fragment;

    *ret_ports = true;
    if (whole && p->l4_proto == IPPROTO_TCP && (types & k->tcp)) {
        return k->report_tcp;
    }
    if (whole && p->l4_proto == IPPROTO_UDP && (types & k->udp)) {
        return k->report_udp;
    }
    *ret_ports = false;
    return types & k->ip ? k->report_ip : REPORT(NONE);
}

/* The home address among the options of a destination header of @len bytes; NULL: there is none. */
static const uint8_t *find_home(const uint8_t *ext, size_t len)
{
    size_t at = 2;

    while (at + 2 <= len) {
        size_t opt_len = ext[at] == 0 ? 1 : 2u + ext[at + 1]; /* Pad1 has no length */

        if (ext[at] == OPT_HOME && ext[at + 1] == IPV6_ADDR && at + opt_len <= len) {
            return ext + at + 2;
        }
        at += opt_len;
    }
    return NULL;
}

/*
 * Addresses of a mobile node stand in extension headers, which are walked from the IPv6 header at
 * @off on: instead of that header's they are hashed.
 */
static void find_mobile(const uint8_t *frame, size_t len, size_t off, const uint8_t **src,
                        const uint8_t **dst)
{
    uint8_t next = frame[off + 6];

    off += IPV6_LEN;
    for (unsigned i = 0; i < EXT_MAX && off + EXT_UNIT <= len; i++) {
        const uint8_t *ext = frame + off;
        size_t ext_len = (ext[1] + 1u) * EXT_UNIT;
        const uint8_t *home;

        if (next == IPPROTO_FRAGMENT) {
            ext_len = EXT_UNIT;
        } else if (next == IPPROTO_AH) {
            ext_len = (ext[1] + 2u) * 4;
        } else if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING) {
            return;
        }
        if (ext_len > len - off) {
            return;
        }
        if (next == IPPROTO_DSTOPTS && (home = find_home(ext, ext_len))) {
            *src = home;
        }
        if (next == IPPROTO_ROUTING && ext[2] == ROUTING_HOME && ext[3] == 1 &&
            ext_len == EXT_UNIT + IPV6_ADDR) {
            *dst = ext + EXT_UNIT;
        }
        next = ext[0];
        off += ext_len;
    }
}

static bool has_extensions(uint8_t next)
{
    return next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_ROUTING ||
           next == IPPROTO_FRAGMENT || next == IPPROTO_AH;
}

static uint16_t input_ipv6(uint32_t types, const uint8_t *frame, size_t len, const PktHeaders *p,
                           HashInput *in, bool *ret_ports)
{
    const uint8_t *src = frame + p->l3_off + IPV6_ADDRS;
    const uint8_t *dst = src + IPV6_ADDR;
    uint16_t report = REPORT(NONE);

    if (has_extensions(frame[p->l3_off + 6])) {
        report = choose(&ipv6_ex, types, p, ret_ports);
    }
    if (report != REPORT(NONE)) {
        find_mobile(frame, len, p->l3_off, &src, &dst);
    } else {
        report = choose(&ipv6, types, p, ret_ports);
    }
    input_add(in, src, IPV6_ADDR);
    input_add(in, dst, IPV6_ADDR);
    return report;
}

uint16_t virtio_net_hash_frame(const VirtioNetHash *h, const uint8_t *frame, size_t len,
                               uint32_t *ret_hash)
{
    HashInput in = { .len = 0 };
    PktHeaders p;
    uint16_t report;
    bool ports;

    *ret_hash = 0;
    if (h->types == 0 || !pkt_parse(frame, len, &p) || p.ip_version == 0) {
        return REPORT(NONE);
    }
    if (p.ip_version == 4) {
        report = choose(&ipv4, h->types, &p, &ports);
        input_add(&in, frame + p.l3_off + IPV4_ADDRS, 8);
    } else {
        report = input_ipv6(h->types, frame, len, &p, &in, &ports);
    }
    if (report == REPORT(NONE)) {
        return report;
    }
    if (ports) {
        input_add(&in, frame + p.l4_off, PORTS_LEN);
    }
    *ret_hash = hash_bytes(h, in.data, in.len);
    return report;
}
