/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netif-offload.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "hw/xen/netif.h"
#include "net/netdev.h"

uint16_t netif_meta_tx_flags(const NetifMeta *meta)
{
    return (uint16_t)((meta->csum_blank ? NETTXF_csum_blank : 0) |
                      (meta->data_validated ? NETTXF_data_validated : 0));
}

uint16_t netif_meta_rx_flags(const NetifMeta *meta)
{
    return (uint16_t)((meta->csum_blank ? NETRXF_csum_blank : 0) |
                      (meta->data_validated ? NETRXF_data_validated : 0));
}

void netif_meta_from_tx_flags(NetifMeta *meta, uint16_t flags)
{
    meta->csum_blank = (flags & NETTXF_csum_blank) != 0;
    meta->data_validated = (flags & NETTXF_data_validated) != 0;
}

void netif_meta_from_rx_flags(NetifMeta *meta, uint16_t flags)
{
    meta->csum_blank = (flags & NETRXF_csum_blank) != 0;
    meta->data_validated = (flags & NETRXF_data_validated) != 0;
}

/* The family's offload bits, 0 for a packet whose checksum a vif cannot describe. */
static unsigned netif_offload_of(const Pkt *pkt, const PktHeaders *h)
{
    uint16_t csum_offset = 6;

    if (h->l4_proto == IPPROTO_TCP) {
        csum_offset = 16;
    } else if (h->l4_proto != IPPROTO_UDP) {
        return 0;
    }
    /* netif has no csum_start: the other side parses, not over VLAN tags or all headers */
    if (h->vlan | h->l4_hidden | h->fragment || h->l4_off == 0 ||
        pkt->hdr->csum_start != h->l4_off || pkt->hdr->csum_offset != csum_offset) {
        return 0;
    }
    return h->ip_version == 4 ? NETDEV_CSUM4 | NETDEV_TSO4 : NETDEV_CSUM6 | NETDEV_TSO6;
}

static NetifFit netif_offload_fit_gso(const Pkt *pkt, unsigned able, uint32_t max_len,
                                      NetifMeta *ret_meta)
{
    uint8_t type = pkt->hdr->gso_type;

    /* netif cannot say ECN: such a packet is segmented here, too */
    if (type == VIRTIO_NET_HDR_GSO_TCPV4 && (able & NETDEV_TSO4)) {
        ret_meta->gso_type = XEN_NETIF_GSO_TYPE_TCPV4;
    } else if (type == VIRTIO_NET_HDR_GSO_TCPV6 && (able & NETDEV_TSO6)) {
        ret_meta->gso_type = XEN_NETIF_GSO_TYPE_TCPV6;
    } else {
        return NETIF_SEGMENT;
    }
    if (pkt->len > max_len || pkt->hdr->gso_size == 0) {
        return NETIF_SEGMENT;
    }
    ret_meta->gso_size = pkt->hdr->gso_size;
    ret_meta->csum_blank = true;
    ret_meta->data_validated = true;
    return NETIF_FIT;
}

/* NETIF_FIT with *@ret_csum: once the checksum is completed. */
static inline NetifFit netif_offload_judge(const Pkt *pkt, unsigned offload, uint32_t max_len,
                                           NetifMeta *ret_meta, PktHeaders *ret_h, bool *ret_csum)
{
    const struct virtio_net_hdr_v1 *hdr = pkt->hdr;
    bool gso = hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE;
    unsigned able = 0;

    *ret_csum = false;
    memset(ret_meta, 0, sizeof(*ret_meta));
    if (pkt->len < ETH_HLEN || (!gso && pkt->len > max_len)) {
        return NETIF_REFUSE;
    }
    if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
        ret_meta->data_validated = (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID) != 0;
        return gso ? NETIF_REFUSE : NETIF_FIT; /* virtio: GSO comes with NEEDS_CSUM */
    }
    if (pkt_parse(pkt->iov[0].iov_base, pkt->iov[0].iov_len, ret_h)) {
        able = offload & netif_offload_of(pkt, ret_h);
    }
    if (gso) {
        return netif_offload_fit_gso(pkt, able, max_len, ret_meta);
    }
    if (able & (NETDEV_CSUM4 | NETDEV_CSUM6)) {
        ret_meta->csum_blank = true;
        ret_meta->data_validated = true;
    } else {
        *ret_csum = true;
    }
    return NETIF_FIT;
}

NetifFit netif_offload_fit(Pkt *pkt, unsigned offload, uint32_t max_len, NetifMeta *ret_meta)
{
    PktHeaders h;
    bool csum;
    NetifFit fit = netif_offload_judge(pkt, offload, max_len, ret_meta, &h, &csum);

    return csum && !pkt_complete_csum_of(pkt, &h) ? NETIF_REFUSE : fit;
}

bool netif_offload_as_is(const Pkt *pkt, unsigned offload, uint32_t max_len, NetifMeta *ret_meta)
{
    PktHeaders h;
    bool csum;

    return netif_offload_judge(pkt, offload, max_len, ret_meta, &h, &csum) == NETIF_FIT && !csum;
}

bool netif_offload_apply(Pkt *pkt, const NetifMeta *meta)
{
    bool gso = meta->gso_type != XEN_NETIF_GSO_TYPE_NONE;
    PktHeaders h;

    memset(pkt->hdr, 0, sizeof(*pkt->hdr));
    if (!gso && !meta->csum_blank) {
        pkt->hdr->flags = meta->data_validated ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
        return true;
    }
    if (!pkt_parse(pkt->iov[0].iov_base, pkt->iov[0].iov_len, &h)) {
        return false;
    }
    if (!gso) {
        return pkt_set_csum(pkt, &h, false);
    }
    if (h.routed && !meta->csum_blank) {
        return false; /* the pseudo-header's sum is nowhere */
    }
    if (meta->gso_type != XEN_NETIF_GSO_TYPE_TCPV4 && meta->gso_type != XEN_NETIF_GSO_TYPE_TCPV6) {
        return false;
    }
    return pkt_set_gso(pkt, &h, meta->gso_type == XEN_NETIF_GSO_TYPE_TCPV4 ? 4 : 6,
                       meta->gso_size);
}
