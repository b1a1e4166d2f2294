/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vif-frames.h"

#include <netinet/in.h>

#include "fake-netdev.h"
#include "frames.h"

#define FRAME_WAIT_MS 5000

static FrameSpec spec_of(const VifFrame *f)
{
    return (FrameSpec) {
        .ip_version = f->ipv6 ? 6 : 4,
        .vlans = f->vlan ? 1 : 0,
        .udp = f->udp,
        .tcp_flags = 0x10, /* ACK */
        .payload = f->payload,
    };
}

size_t vif_frame_headers(const VifFrame *f)
{
    FrameSpec spec = spec_of(f);

    return frame_payload_off(&spec);
}

size_t vif_frame_l4(const VifFrame *f)
{
    FrameSpec spec = spec_of(f);

    return frame_l4_off(&spec);
}

uint8_t vif_frame_byte(const VifFrame *f, size_t i)
{
    return (uint8_t)(((f->seed + i) * 2654435761u) >> 13);
}

/* The pseudo-header's sum, not complemented. */
static uint16_t pseudo_sum(const VifFrame *f, const uint8_t *ip, size_t l4_len)
{
    uint32_t sum = (uint32_t)l4_len + (f->udp ? IPPROTO_UDP : IPPROTO_TCP);

    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~(f->ipv6 ? frame_naive_csum(sum, ip + 8, 32)
                               : frame_naive_csum(sum, ip + 12, 8));
}

size_t vif_frame_make(const VifFrame *f, uint8_t *buf)
{
    FrameSpec spec = spec_of(f);
    size_t len = frame_build(buf, &spec);
    uint8_t *l4 = buf + frame_l4_off(&spec);
    size_t l4_len = len - frame_l4_off(&spec);
    uint8_t *csum = l4 + (f->udp ? 6 : 16);
    uint16_t value;

    for (size_t i = 0; i < f->payload; i++) {
        buf[frame_payload_off(&spec) + i] = vif_frame_byte(f, i);
    }
    value = pseudo_sum(f, buf + frame_l3_off(&spec), l4_len);
    if (!f->csum_blank) {
        value = frame_naive_csum(value, l4, l4_len);
    }
    csum[0] = (uint8_t)(value >> 8);
    csum[1] = (uint8_t)value;
    if (f->to) {
        memcpy(buf, f->to, 6);
    }
    if (f->from) {
        memcpy(buf + 6, f->from, 6);
    }
    return len;
}

bool vif_frame_complete(const VifFrame *f, const uint8_t *buf, size_t len)
{
    FrameSpec spec = spec_of(f);

    return frame_is_complete(buf, len, &spec);
}

void vif_frame_give(Netdev *nd, unsigned q, const VifFrame *f, uint16_t mss)
{
    g_autofree FakePkt *p = g_new0(FakePkt, 1);

    p->len = (uint32_t)vif_frame_make(f, p->data);
    if (f->csum_blank) {
        p->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        p->hdr.csum_start = (uint16_t)vif_frame_l4(f);
        p->hdr.csum_offset = f->udp ? 6 : 16;
    }
    if (mss) {
        p->hdr.gso_type = f->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
        p->hdr.gso_size = mss;
        p->hdr.hdr_len = (uint16_t)vif_frame_headers(f);
    }
    fake_netdev_give(nd, q, p);
}

void vif_frame_expect(Netdev *nd, unsigned q, const VifFrame *f, uint16_t mss)
{
    size_t headers = vif_frame_headers(f);
    size_t done = 0;

    while (done < f->payload) {
        g_autofree FakePkt *p = fake_netdev_take(nd, q, FRAME_WAIT_MS);

        g_assert_nonnull(p);
        g_assert_cmpuint(p->len, >, headers);
        if (p->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
            g_assert_cmpuint(p->hdr.csum_start, ==, vif_frame_l4(f));
        } else {
            g_assert_true(vif_frame_complete(f, p->data, p->len));
        }
        g_assert_cmpuint(p->hdr.gso_size, ==, p->hdr.gso_type ? mss : 0);
        for (size_t i = headers; i < p->len; i++) {
            g_assert_cmpuint(p->data[i], ==, vif_frame_byte(f, done++));
        }
    }
    g_assert_cmpuint(done, ==, f->payload);
}
