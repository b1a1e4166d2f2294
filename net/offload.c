/*
 * The virtio-net header of a packet: asking for a checksum or for segmentation, and
 * doing the former in software.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/pkt.h"

#include <glib.h>
#include <string.h>

#include "net/checksum.h"
#include "pkt-internal.h"

/* All headers are known and in the first piece, so that they can be written to. */
static bool headers_at_hand(const Pkt *pkt, const PktHeaders *h)
{
    return pkt->n_iov > 0 && !h->fragment && h->payload_off > h->l4_off &&
           h->payload_off <= pkt->iov[0].iov_len && h->payload_off <= pkt->len;
}

/*
 * Where the packet ends as its IP header has it, which leaves out what pads a short frame; at the
 * end of the frame if that header makes no sense: no more than @least.
 */
static uint32_t ip_end(const Pkt *pkt, const PktHeaders *h, size_t least)
{
    const uint8_t *ip = (const uint8_t *)pkt->iov[0].iov_base + h->l3_off;
    uint32_t end = h->l3_off;

    if (h->ip_version == 4) {
        end += pkt_get16(ip + 2);
    } else if (h->ip_version == 6) {
        end += 40u + pkt_get16(ip + 4);
    }
    return end > least && end <= pkt->len ? end : pkt->len;
}

static void put_pseudo(const Pkt *pkt, const PktHeaders *h, unsigned csum_off, uint32_t l4_len)
{
    uint8_t *data = pkt->iov[0].iov_base;
    uint16_t sum = csum_fold(pkt_pseudo_sum(data, h, l4_len));

    memcpy(data + h->l4_off + csum_off, &sum, sizeof(sum));
}

bool pkt_set_csum(Pkt *pkt, const PktHeaders *h, bool fix_pseudo)
{
    uint16_t csum_off;

    if (!headers_at_hand(pkt, h)) {
        return false;
    }
    if (h->l4_proto == IPPROTO_TCP) {
        csum_off = TCP_CSUM_OFF;
    } else if (h->l4_proto == IPPROTO_UDP) {
        csum_off = UDP_CSUM_OFF;
    } else {
        return false;
    }
    if (fix_pseudo) {
        if (h->routed) {
            return false;
        }
        put_pseudo(pkt, h, csum_off, ip_end(pkt, h, h->payload_off - 1u) - h->l4_off);
    }
    pkt->hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    pkt->hdr->hdr_len = h->payload_off;
    pkt->hdr->csum_start = h->l4_off;
    pkt->hdr->csum_offset = csum_off;
    return true;
}

bool pkt_set_gso(Pkt *pkt, const PktHeaders *h, uint8_t ip_version, uint16_t mss)
{
    if (mss == 0 || h->ip_version != ip_version || h->l4_proto != IPPROTO_TCP ||
        !headers_at_hand(pkt, h)) {
        return false;
    }
    /* With the length of the whole: whoever segments it takes the difference. */
    if (!h->routed) {
        put_pseudo(pkt, h, TCP_CSUM_OFF, pkt->len - h->l4_off);
    }
    pkt->hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    pkt->hdr->gso_type = ip_version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    pkt->hdr->hdr_len = h->payload_off;
    pkt->hdr->gso_size = mss;
    pkt->hdr->csum_start = h->l4_off;
    pkt->hdr->csum_offset = TCP_CSUM_OFF;
    return true;
}

bool pkt_complete_csum(Pkt *pkt)
{
    PktHeaders h = { 0 };

    if (!(pkt->hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
        return true;
    }
    (void)pkt_parse(pkt->iov[0].iov_base, pkt->iov[0].iov_len, &h);
    return pkt_complete_csum_of(pkt, &h);
}

bool pkt_complete_csum_of(Pkt *pkt, const PktHeaders *h)
{
    struct virtio_net_hdr_v1 *hdr = pkt->hdr;
    size_t start = hdr->csum_start;
    size_t field = start + hdr->csum_offset;
    uint32_t end;
    uint16_t sum;

    if (field + sizeof(sum) > pkt->iov[0].iov_len || field + sizeof(sum) > pkt->len) {
        return false;
    }
    end = ip_end(pkt, h, MAX(field + 2, h->payload_off) - 1);
    g_assert(end <= pkt->len && end > start);
    sum = (uint16_t)~csum_fold(csum_iov(pkt->iov, pkt->n_iov, start, end - start));
    if (sum == 0) {
        sum = 0xffff; /* 0 in UDP means "no checksum"; elsewhere both are the same */
    }
    memcpy((uint8_t *)pkt->iov[0].iov_base + field, &sum, sizeof(sum));
    hdr->flags &= (uint8_t)~VIRTIO_NET_HDR_F_NEEDS_CSUM;
    hdr->csum_start = 0;
    hdr->csum_offset = 0;
    return true;
}
