/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rss-guest.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "frames.h"
#include "virtio-net-hash.h"

/* "Verifying the RSS Hash Calculation", of Microsoft's documentation of NDIS. */
const uint8_t rss_key[RSS_KEY] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

RssCommand rss_command(unsigned pairs, unsigned len)
{
    RssCommand c = {
        .types = VIRTIO_NET_HASH_TYPES,
        .mask = (uint16_t)(len - 1),
        .n_table = len,
        .pairs = (uint16_t)pairs,
        .key_len = RSS_KEY,
        .key_bytes = RSS_KEY,
    };

    for (unsigned i = 0; i < len; i++) {
        c.table[i] = (uint16_t)(i % pairs);
    }
    return c;
}

static void put(GByteArray *a, uint32_t value, unsigned len)
{
    uint32_t le = GUINT32_TO_LE(value);

    g_byte_array_append(a, (const uint8_t *)&le, len);
}

GByteArray *rss_command_bytes(const RssCommand *c)
{
    GByteArray *a = g_byte_array_new();

    put(a, c->types, 4);
    put(a, c->mask, 2);
    put(a, c->unclassified, 2);
    for (unsigned i = 0; i < c->n_table; i++) {
        put(a, c->table[i], 2);
    }
    put(a, c->pairs, 2);
    put(a, c->key_len, 1);
    for (unsigned i = 0; i < c->key_bytes; i++) {
        put(a, rss_key[i % RSS_KEY], 1);
    }
    return a;
}

uint8_t rss_configure(VirtioGuest *g, const RssCommand *c)
{
    g_autoptr(GByteArray) a = rss_command_bytes(c);

    return virtio_guest_command(g, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, a->data,
                                a->len);
}

void rss_frame(FakePkt *pkt, uint32_t i)
{
    const FrameSpec spec = {
        .ip_version = i & 1 ? 6 : 4,
        .udp = i & 2,
        .vlans = i % 3 == 2,
        .payload = 40 + i % 700,
    };

    memset(&pkt->hdr, 0, sizeof(pkt->hdr));
    pkt->len = (uint32_t)frame_build(pkt->data, &spec);
    memcpy(pkt->data + frame_l3_off(&spec) + 12, &i, sizeof(i)); /* of an address */
    memcpy(pkt->data + frame_l4_off(&spec), &i, 2);              /* a port */
    memcpy(pkt->data + pkt->len - sizeof(i), &i, sizeof(i));
    if (i % 8 == 7) {
        pkt->data[12] = 0x88; /* no IP */
        pkt->data[13] = 0xb5;
    }
}

uint32_t rss_frame_number(const FakePkt *pkt)
{
    uint32_t i;

    memcpy(&i, pkt->data + pkt->len - sizeof(i), sizeof(i));
    return i;
}

unsigned rss_expect(const RssCommand *c, const FakePkt *pkt, uint32_t *ret_hash,
                    uint16_t *ret_report)
{
    VirtioNetHash h;

    virtio_net_hash_init(&h, c->types, rss_key, MIN(c->key_len, RSS_KEY));
    *ret_report = virtio_net_hash_frame(&h, pkt->data, pkt->len, ret_hash);
    return (*ret_report == VIRTIO_NET_HASH_REPORT_NONE ? c->unclassified
                                                       : c->table[*ret_hash & c->mask]) %
           c->pairs;
}
