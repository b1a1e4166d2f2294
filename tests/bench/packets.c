/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "packets.h"

#include <glib.h>
#include <string.h>

#define PAGE 4096u

void bench_packet_make(BenchPacket *p, size_t payload, bool gso)
{
    FrameSpec spec = { .ip_version = 4, .tcp_extra = 12, .tcp_flags = 0x10, .payload = payload };

    p->gso = gso;
    p->len = (uint32_t)frame_build(p->frame, &spec);
    p->hdr = (struct virtio_net_hdr_v1) {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .csum_start = (uint16_t)frame_l4_off(&spec),
        .csum_offset = 16,
    };
    if (gso) {
        p->hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        p->hdr.gso_size = BENCH_MSS;
        p->hdr.hdr_len = (uint16_t)frame_payload_off(&spec);
    }
}

static void put_gso(netif_tx_request_t *slot)
{
    netif_extra_info_t gso = { .type = XEN_NETIF_EXTRA_TYPE_GSO };

    gso.u.gso.size = BENCH_MSS;
    gso.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV4;
    memset(slot, 0, sizeof(*slot));
    memcpy(slot, &gso, sizeof(gso));
}

unsigned bench_packet_slots(const BenchPacket *p, const uint32_t *refs, netif_tx_request_t *ret)
{
    unsigned n = 0;

    for (uint32_t done = 0; done < p->len; done += PAGE) {
        netif_tx_request_t *req = &ret[n++];

        *req = (netif_tx_request_t) {
            .gref = refs[done / PAGE],
            .size = (uint16_t)(done == 0 ? p->len : MIN(p->len - done, PAGE)),
            .flags = done + PAGE < p->len ? NETTXF_more_data : 0,
        };
        if (done == 0) {
            req->flags |= NETTXF_csum_blank | NETTXF_data_validated;
            req->flags |= p->gso ? NETTXF_extra_info : 0;
        }
        if (done == 0 && p->gso) {
            put_gso(&ret[n++]);
        }
    }
    return n;
}

bool bench_packet_read(const BenchPacket *p, PktArena *arena, Pkt *pkt, struct iovec *iov)
{
    uint8_t *at = pkt_arena_next(arena);

    if (!at) {
        return false;
    }
    memcpy(at - PKT_HDR_LEN, &p->hdr, PKT_HDR_LEN);
    memcpy(at, p->frame, p->len);
    *iov = (struct iovec) { .iov_base = at, .iov_len = p->len };
    *pkt = (Pkt) { .hdr = (void *)(at - PKT_HDR_LEN), .iov = iov, .n_iov = 1, .len = p->len };
    pkt_arena_take(arena, p->len);
    return true;
}
