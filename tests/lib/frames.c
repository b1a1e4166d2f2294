/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frames.h"

#include <string.h>

const uint8_t frame_macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

uint8_t frame_byte(size_t i)
{
    return (uint8_t)(i * 7 + i / 251 + 1);
}

size_t frame_l3_off(const FrameSpec *s)
{
    return 14 + 4 * (size_t)s->vlans;
}

size_t frame_l4_off(const FrameSpec *s)
{
    return frame_l3_off(s) + (s->ip_version == 4 ? 20 : 40) + s->ip_extra;
}

size_t frame_payload_off(const FrameSpec *s)
{
    return frame_l4_off(s) + (s->udp ? 8 : 20 + s->tcp_extra);
}

static uint32_t naive_sum(uint32_t sum, const uint8_t *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

uint16_t frame_naive_csum(uint32_t sum, const uint8_t *data, size_t len)
{
    return (uint16_t)~naive_sum(sum, data, len);
}

static void put_ether(uint8_t *p, const FrameSpec *s)
{
    unsigned i;

    memcpy(p, frame_macs, sizeof(frame_macs));
    for (i = 0; i < s->vlans; i++) {
        put16(p + 12 + 4 * i, s->vlans == 2 && i == 0 ? 0x88a8 : 0x8100);
        put16(p + 14 + 4 * i, 100 + i);
    }
    put16(p + 12 + 4 * s->vlans, s->ip_version == 4 ? 0x0800 : 0x86dd);
}

static void put_ip(uint8_t *ip, const FrameSpec *s, size_t ip_len)
{
    uint8_t proto = s->udp ? 17 : 6;

    if (s->ip_version == 4) {
        memset(ip, 0, 20);
        memset(ip + 20, 1, s->ip_extra); /* no-operation options */
        ip[0] = (uint8_t)(0x45 + s->ip_extra / 4);
        put16(ip + 2, (unsigned)ip_len);
        put16(ip + 4, s->id);
        ip[8] = 64;
        ip[9] = proto;
        memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
        put16(ip + 10, frame_naive_csum(0, ip, 20 + s->ip_extra));
        return;
    }
    memset(ip, 0, 40 + s->ip_extra);
    ip[0] = 0x60;
    put16(ip + 4, (unsigned)(ip_len - 40));
    ip[6] = proto;
    ip[7] = 64;
    memcpy(ip + 8, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 32);
    if (s->ip_extra > 0) {
        ip[6] = 60; /* destination options, padding only */
        ip[40] = proto;
        ip[41] = (uint8_t)(s->ip_extra / 8 - 1);
        ip[42] = 1;
        ip[43] = (uint8_t)(s->ip_extra - 4);
    }
}

static void put_l4(uint8_t *l4, const FrameSpec *s)
{
    put16(l4, 1000);
    put16(l4 + 2, 2000);
    if (s->udp) {
        put16(l4 + 4, (unsigned)(8 + s->payload));
        put16(l4 + 6, 0);
        return;
    }
    memset(l4 + 4, 0, 16);
    put16(l4 + 4, s->seq >> 16);
    put16(l4 + 6, s->seq & 0xffff);
    l4[12] = (uint8_t)((20 + s->tcp_extra) / 4 << 4);
    l4[13] = s->tcp_flags;
    put16(l4 + 14, 0xffff);
    memset(l4 + 20, 1, s->tcp_extra);
}

size_t frame_build(uint8_t *buf, const FrameSpec *s)
{
    size_t off = frame_payload_off(s);
    size_t len = off + s->payload;
    size_t i;

    put_ether(buf, s);
    put_ip(buf + frame_l3_off(s), s, len - frame_l3_off(s));
    put_l4(buf + frame_l4_off(s), s);
    for (i = 0; i < s->payload; i++) {
        buf[off + i] = frame_byte(i);
    }
    return len;
}

bool frame_is_complete(const uint8_t *data, size_t len, const FrameSpec *s)
{
    const uint8_t *ip = data + frame_l3_off(s);
    const uint8_t *l4 = data + frame_l4_off(s);
    size_t l4_len = len - frame_l4_off(s);
    uint32_t pseudo;

    if (len < frame_payload_off(s)) {
        return false;
    }
    if (s->ip_version == 4) {
        if (get16(ip + 2) != len - frame_l3_off(s) ||
            frame_naive_csum(0, ip, 20 + s->ip_extra) != 0) {
            return false;
        }
        pseudo = naive_sum(0, ip + 12, 8);
    } else {
        if (get16(ip + 4) != len - frame_l3_off(s) - 40) {
            return false;
        }
        pseudo = naive_sum(0, ip + 8, 32);
    }
    pseudo += (s->udp ? 17u : 6u) + (uint32_t)l4_len;
    return frame_naive_csum((pseudo & 0xffff) + (pseudo >> 16), l4, l4_len) == 0;
}
