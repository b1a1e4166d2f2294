/*
 * Ethernet frames for tests, and a checker that shares no code with what is tested.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_FRAMES_H
#define TESTS_LIB_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 66000

typedef struct FrameSpec {
    unsigned ip_version; /* 4 or 6 */
    unsigned vlans;      /* 0 to 2 */
    unsigned ip_extra;   /* multiple of 4: IPv4 options; of 8: an IPv6 destination header */
    unsigned tcp_extra;  /* bytes of TCP options */
    bool udp;
    uint8_t tcp_flags;
    uint16_t id;
    uint32_t seq;
    size_t payload;
} FrameSpec;

/* The 12 bytes that each frame begins with. */
extern const uint8_t frame_macs[12];

/* Writes the frame, with checksum 0 in TCP or UDP. Returns its length. */
size_t frame_build(uint8_t *buf, const FrameSpec *s);

size_t frame_l3_off(const FrameSpec *s);
size_t frame_l4_off(const FrameSpec *s);
size_t frame_payload_off(const FrameSpec *s);

/* The byte number @i of a payload. */
uint8_t frame_byte(size_t i);

/* RFC 1071 as it is written there, big-endian words; complemented. */
uint16_t frame_naive_csum(uint32_t sum, const uint8_t *data, size_t len);

/* Lengths and both checksums are right. */
bool frame_is_complete(const uint8_t *data, size_t len, const FrameSpec *s);

#endif
