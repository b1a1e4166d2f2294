/*
 * Segmentation in software, for the sides that take complete packets only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <string.h>

#include "net/checksum.h"
#include "pkt-internal.h"

/* Ethernet, two tags, IPv4 or IPv6 with some extension headers, TCP with all options. */
#define SEG_HEADERS_MAX 256
#define IP_MAX_LEN      65535u

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

/* A packet on its way through the knife. */
typedef struct Cut {
    const Pkt *pkt;
    PktHeaders h;
    uint8_t headers[SEG_HEADERS_MAX]; /* payload_off bytes of them */
    uint32_t mss;
    uint32_t payload_len;
} Cut;

static bool cut_init(Cut *cut, const Pkt *pkt)
{
    uint8_t type = pkt->hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    PktHeaders *h = &cut->h;
    size_t n = pkt_copy(pkt, 0, cut->headers, sizeof(cut->headers));

    if (pkt->len > PKT_MAX_LEN || !pkt_parse(cut->headers, n, h)) {
        return false;
    }
    if (!(type == VIRTIO_NET_HDR_GSO_TCPV4 && h->ip_version == 4) &&
        !(type == VIRTIO_NET_HDR_GSO_TCPV6 && h->ip_version == 6)) {
        return false;
    }
    if (h->l4_proto != IPPROTO_TCP || h->fragment || h->payload_off == 0) {
        return false;
    }
    cut->pkt = pkt;
    cut->mss = pkt->hdr->gso_size;
    cut->payload_len = pkt->len - h->payload_off;
    if (cut->payload_len < cut->mss) {
        cut->mss = cut->payload_len > 0 ? cut->payload_len : 1;
    }
    return cut->mss > 0 && h->payload_off - h->l3_off + cut->mss <= IP_MAX_LEN;
}

/* Length and, for IPv4, id and checksum of the segment number @i of @len bytes. */
static void fix_ip(const Cut *cut, uint8_t *data, unsigned i, uint32_t len)
{
    uint8_t *ip = data + cut->h.l3_off;
    uint32_t ip_len = len - cut->h.l3_off;
    uint16_t sum;

    if (cut->h.ip_version == 6) {
        pkt_put16(ip + 4, ip_len - 40);
        return;
    }
    pkt_put16(ip + 2, ip_len);
    pkt_put16(ip + 4, pkt_get16(ip + 4) + i);
    memset(ip + 10, 0, 2);
    sum = (uint16_t)~csum_fold(csum_add(0, ip, (size_t)(ip[0] & 15) * 4));
    memcpy(ip + 10, &sum, sizeof(sum));
}

/* Sequence number and flags, then the checksum of the segment at @off of the payload. */
static void fix_tcp(const Cut *cut, uint8_t *data, uint32_t off, uint32_t len)
{
    uint8_t *tcp = data + cut->h.l4_off;
    uint32_t l4_len = len - cut->h.l4_off;
    uint32_t seq;
    uint64_t pseudo;
    uint16_t sum;

    memcpy(&seq, tcp + 4, sizeof(seq));
    seq = htonl(ntohl(seq) + off);
    memcpy(tcp + 4, &seq, sizeof(seq));
    if (off > 0) {
        tcp[13] &= (uint8_t)~TCP_CWR;
    }
    if (off + cut->mss < cut->payload_len) {
        tcp[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
    }
    memset(tcp + TCP_CSUM_OFF, 0, 2);
    pseudo = csum_fold(pkt_pseudo_sum(data, &cut->h, l4_len));
    sum = (uint16_t)~csum_fold(csum_add(pseudo, tcp, l4_len));
    memcpy(tcp + TCP_CSUM_OFF, &sum, sizeof(sum));
}

static uint32_t make_segment(const Cut *cut, uint8_t *data, unsigned i)
{
    uint32_t hdr_len = cut->h.payload_off;
    uint32_t off = i * cut->mss;
    uint32_t left = cut->payload_len - off;
    uint32_t n = left < cut->mss ? left : cut->mss;

    memcpy(data, cut->headers, hdr_len);
    pkt_copy(cut->pkt, hdr_len + off, data + hdr_len, n);
    fix_ip(cut, data, i, hdr_len + n);
    fix_tcp(cut, data, off, hdr_len + n);
    return hdr_len + n;
}

unsigned pkt_segment(const Pkt *pkt, PktArena *arena, Pkt *ret_pkt, struct iovec *ret_iov,
                     unsigned max)
{
    size_t used = arena->used;
    Cut cut;
    unsigned n;
    unsigned i;

    if (!cut_init(&cut, pkt)) {
        return 0;
    }
    n = cut.payload_len == 0 ? 1 : (cut.payload_len + cut.mss - 1) / cut.mss;
    if (n > max) {
        return 0;
    }
    for (i = 0; i < n; i++) {
        uint8_t *data = pkt_arena_next(arena);
        uint32_t len;

        if (!data) {
            arena->used = used;
            return 0;
        }
        len = make_segment(&cut, data, i);
        pkt_arena_take(arena, len);
        ret_iov[i] = (struct iovec){ .iov_base = data, .iov_len = len };
        ret_pkt[i] = (Pkt){
            .hdr = (struct virtio_net_hdr_v1 *)(void *)(data - PKT_HDR_LEN),
            .iov = &ret_iov[i],
            .n_iov = 1,
            .len = len,
        };
        memset(ret_pkt[i].hdr, 0, PKT_HDR_LEN);
    }
    return n;
}
