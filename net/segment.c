/*
 * Segmentation in software, for the sides that take complete packets only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <glib.h>
#include <string.h>

#include "net/checksum.h"
#include "pkt-internal.h"

#define IP_MAX_LEN 65535u

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

static bool segmenter_check(PktSegmenter *s, const Pkt *pkt)
{
    uint8_t type = pkt->hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    PktHeaders *h = &s->h;
    size_t n = pkt_copy(pkt, 0, s->headers, sizeof(s->headers));

    if (pkt->len > PKT_MAX_LEN || !pkt_parse(s->headers, n, h)) {
        return false;
    }
    if (!(type == VIRTIO_NET_HDR_GSO_TCPV4 && h->ip_version == 4) &&
        !(type == VIRTIO_NET_HDR_GSO_TCPV6 && h->ip_version == 6)) {
        return false;
    }
    if (h->l4_proto != IPPROTO_TCP || h->fragment || h->payload_off == 0) {
        return false;
    }
    s->mss = pkt->hdr->gso_size;
    s->payload_len = pkt->len - h->payload_off;
    if (s->payload_len < s->mss) {
        s->mss = s->payload_len > 0 ? s->payload_len : 1;
    }
    return s->mss > 0 && h->payload_off - h->l3_off + s->mss <= IP_MAX_LEN;
}

/*
 * The final destination of a routed packet is not at hand, but its sum is in the field, with
 * the length of the whole.
 */
static uint64_t segmenter_pseudo(const PktSegmenter *s, const Pkt *pkt)
{
    uint16_t field;

    memcpy(&field, s->headers + s->h.l4_off + TCP_CSUM_OFF, sizeof(field));
    /* a subtraction, in one's complement */
    return field + (uint64_t)(uint32_t)~htonl(pkt->len - s->h.l4_off);
}

bool pkt_segmenter_init(PktSegmenter *s, const Pkt *pkt)
{
    s->pkt = NULL;
    if (!segmenter_check(s, pkt)) {
        return false;
    }
    s->pkt = pkt;
    s->done = 0;
    s->index = 0;
    s->pseudo = s->h.routed ? segmenter_pseudo(s, pkt) : pkt_pseudo_sum(s->headers, &s->h, 0);
    return true;
}

/* Length and, for IPv4, id and checksum of a segment of @len bytes. */
static void fix_ip(const PktSegmenter *s, uint8_t *data, uint32_t len)
{
    uint8_t *ip = data + s->h.l3_off;
    uint32_t ip_len = len - s->h.l3_off;
    uint16_t sum;

    if (s->h.ip_version == 6) {
        pkt_put16(ip + 4, ip_len - 40);
        return;
    }
    pkt_put16(ip + 2, ip_len);
    pkt_put16(ip + 4, pkt_get16(ip + 4) + s->index);
    memset(ip + 10, 0, 2);
    sum = (uint16_t)~csum_fold(csum_add(0, ip, (size_t)(ip[0] & 15) * 4));
    memcpy(ip + 10, &sum, sizeof(sum));
}

/* Sequence number and flags, then the checksum. */
static void fix_tcp(const PktSegmenter *s, uint8_t *data, uint32_t len)
{
    uint8_t *tcp = data + s->h.l4_off;
    uint32_t l4_len = len - s->h.l4_off;
    uint32_t seq;
    uint16_t sum;

    memcpy(&seq, tcp + 4, sizeof(seq));
    seq = htonl(ntohl(seq) + s->done);
    memcpy(tcp + 4, &seq, sizeof(seq));
    if (s->done > 0) {
        tcp[13] &= (uint8_t)~TCP_CWR;
    }
    if (s->done + s->mss < s->payload_len) {
        tcp[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
    }
    memset(tcp + TCP_CSUM_OFF, 0, 2);
    sum = (uint16_t)~csum_fold(csum_add(s->pseudo + htonl(l4_len), tcp, l4_len));
    memcpy(tcp + TCP_CSUM_OFF, &sum, sizeof(sum));
}

/* The next one, in room for any packet. Returns its length. */
static uint32_t segmenter_make(PktSegmenter *s, uint8_t *data)
{
    uint32_t hdr_len = s->h.payload_off;
    uint32_t left = s->payload_len - s->done;
    uint32_t n = left < s->mss ? left : s->mss;

    g_assert(hdr_len <= sizeof(s->headers) && hdr_len + n <= PKT_MAX_LEN);
    memcpy(data, s->headers, hdr_len);
    pkt_copy(s->pkt, hdr_len + s->done, data + hdr_len, n);
    fix_ip(s, data, hdr_len + n);
    fix_tcp(s, data, hdr_len + n);
    s->done += n;
    s->index++;
    if (s->done == s->payload_len) {
        s->pkt = NULL;
    }
    return hdr_len + n;
}

unsigned pkt_segment(PktSegmenter *s, PktArena *arena, Pkt *ret_pkt, struct iovec *ret_iov,
                     unsigned max)
{
    unsigned n;

    for (n = 0; n < max && pkt_segmenter_busy(s); n++) {
        uint8_t *data = pkt_arena_next(arena);
        uint32_t len;

        if (!data) {
            break;
        }
        len = segmenter_make(s, data);
        pkt_arena_take(arena, len);
        ret_iov[n] = (struct iovec){ .iov_base = data, .iov_len = len };
        ret_pkt[n] = (Pkt){
            .hdr = (struct virtio_net_hdr_v1 *)(void *)(data - PKT_HDR_LEN),
            .iov = &ret_iov[n],
            .n_iov = 1,
            .len = len,
        };
        memset(ret_pkt[n].hdr, 0, PKT_HDR_LEN);
    }
    return n;
}
