/*
 * Reading a packet's headers. All bytes are a guest's: nothing is believed that was not
 * compared with the number of bytes there are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <glib.h>
#include <net/ethernet.h>
#include <string.h>

#include "net/checksum.h"
#include "pkt-internal.h"

#define VLAN_TAGS_MAX   2
#define VLAN_TAG_LEN    4u
#define ETH_TYPE_QINQ   0x88a8 /* 802.1ad */
#define IPV4_MIN_LEN    20u
#define IPV4_FRAG_MASK  0x3fff /* more fragments, and the offset */
#define IPV6_LEN        40u
#define EXT_MAX         8 /* headers between IP and L4 */
#define EXT_MIN_LEN     8u
#define TCP_MIN_LEN     20u
#define UDP_LEN         8u

/* The L4 header begins at @off, if there are bytes. */
static inline void parse_l4(const uint8_t *data, size_t len, size_t off, PktHeaders *h)
{
    size_t hdr_len = UDP_LEN;

    if (off >= len) {
        return;
    }
    h->l4_off = (uint16_t)off;
    if (h->l4_proto == IPPROTO_TCP) {
        if (len - off < TCP_MIN_LEN) {
            return;
        }
        hdr_len = (size_t)(data[off + 12] >> 4) * 4;
        if (hdr_len < TCP_MIN_LEN) {
            return;
        }
    } else if (h->l4_proto != IPPROTO_UDP) {
        return;
    }
    if (len - off >= hdr_len) {
        h->payload_off = (uint16_t)(off + hdr_len);
    }
}

/* Bytes of an extension header, of which the first two are there. */
static size_t ext_len(uint8_t type, const uint8_t *ext)
{
    return type == IPPROTO_FRAGMENT ? EXT_MIN_LEN
         : type == IPPROTO_AH       ? ((size_t)ext[1] + 2) * 4
                                    : ((size_t)ext[1] + 1) * 8;
}

/*
 * Walks the headers from @next at @off on. Where the L4 header is does not depend on what they
 * mean; whether the pseudo-header can be made of the IP header does.
 */
static void parse_ext(const uint8_t *data, size_t len, uint8_t next, size_t off, PktHeaders *h)
{
    for (unsigned i = 0; i <= EXT_MAX; i++) {
        const uint8_t *ext = data + off;

        switch (next) {
        case IPPROTO_HOPOPTS:
        case IPPROTO_DSTOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_FRAGMENT:
            if (h->ip_version == 6) {
                break;
            }
            G_GNUC_FALLTHROUGH;
        default:
            h->l4_proto = next;
            parse_l4(data, len, off, h);
            return;
        case IPPROTO_AH:
            h->l4_hidden = true;
            break;
        }
        if (off > len || len - off < EXT_MIN_LEN) {
            return;
        }
        h->l4_hidden = h->l4_hidden || next == IPPROTO_ROUTING;
        h->routed = h->routed || (next == IPPROTO_ROUTING && ext[3] != 0);
        if (next == IPPROTO_FRAGMENT) {
            h->fragment = h->fragment || (pkt_get16(ext + 2) & 0xfff9) != 0;
            if ((pkt_get16(ext + 2) & 0xfff8) != 0) {
                return; /* not the first one */
            }
        }
        off += ext_len(next, ext);
        next = ext[0];
    }
}

/* What is behind the IP header: nearly always TCP or UDP at once, with nothing to walk. */
static inline void parse_payload(const uint8_t *data, size_t len, uint8_t next, size_t off,
                                 PktHeaders *h)
{
    if (G_LIKELY(next == IPPROTO_TCP || next == IPPROTO_UDP)) {
        h->l4_proto = next;
        parse_l4(data, len, off, h);
    } else {
        parse_ext(data, len, next, off, h);
    }
}

static void parse_ipv4(const uint8_t *data, size_t len, PktHeaders *h)
{
    const uint8_t *ip = data + h->l3_off;
    size_t left = len - h->l3_off;
    size_t hdr_len;
    unsigned frag;

    if (left < IPV4_MIN_LEN || ip[0] >> 4 != 4) {
        return;
    }
    hdr_len = (size_t)(ip[0] & 15) * 4;
    if (hdr_len < IPV4_MIN_LEN || pkt_get16(ip + 2) < hdr_len) {
        return;
    }
    frag = pkt_get16(ip + 6) & IPV4_FRAG_MASK;
    h->ip_version = 4;
    h->l4_proto = ip[9];
    h->fragment = frag != 0;
    if (left >= hdr_len && (frag & 0x1fff) == 0) {
        parse_payload(data, len, ip[9], h->l3_off + hdr_len, h);
    }
}

static void parse_ipv6(const uint8_t *data, size_t len, PktHeaders *h)
{
    const uint8_t *ip = data + h->l3_off;

    if (len - h->l3_off < IPV6_LEN || ip[0] >> 4 != 6) {
        return;
    }
    h->ip_version = 6;
    parse_payload(data, len, ip[6], h->l3_off + IPV6_LEN, h);
}

bool pkt_parse(const uint8_t *data, size_t len, PktHeaders *ret_h)
{
    size_t off = ETHER_HDR_LEN;
    unsigned type;

    memset(ret_h, 0, sizeof(*ret_h));
    if (len < ETHER_HDR_LEN) {
        return false;
    }
    type = pkt_get16(data + off - 2);
    for (unsigned i = 0; type != ETHERTYPE_IP && i < VLAN_TAGS_MAX; i++) {
        if (type != ETHERTYPE_VLAN && type != ETH_TYPE_QINQ) {
            break;
        }
        ret_h->vlan = true;
        if (len - off < VLAN_TAG_LEN) {
            return true;
        }
        off += VLAN_TAG_LEN;
        type = pkt_get16(data + off - 2);
    }
    ret_h->l3_off = (uint16_t)off;
    if (type == ETHERTYPE_IP) {
        parse_ipv4(data, len, ret_h);
    } else if (type == ETHERTYPE_IPV6) {
        parse_ipv6(data, len, ret_h);
    }
    return true;
}

uint64_t pkt_pseudo_sum(const uint8_t *data, const PktHeaders *h, uint32_t l4_len)
{
    const uint8_t *ip = data + h->l3_off;
    uint64_t sum;

    sum = h->ip_version == 4 ? csum_add(0, ip + 12, 8) : csum_add(0, ip + 8, 32);
    /* folded, it has room for both: none of the carries is lost */
    return csum_fold(sum) + (uint64_t)htonl(l4_len) + htonl(h->l4_proto);
}
