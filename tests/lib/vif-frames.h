/*
 * Frames for tests of a vif: payloads that can be told apart, checksums whole or still to
 * be finished.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIF_FRAMES_H
#define TESTS_LIB_VIF_FRAMES_H

#include "net/netdev.h"

typedef struct VifFrame {
    bool ipv6;
    bool vlan;       /* one 802.1Q tag */
    bool udp;        /* else TCP */
    bool csum_blank; /* the checksum field holds the pseudo-header's sum only */
    size_t payload;
    uint32_t seed;   /* of the payload's bytes */
    const uint8_t *to;   /* MACs; NULL: always the same */
    const uint8_t *from;
} VifFrame;

/* Length of the headers, and the offset of the last one: csum_start. */
size_t vif_frame_headers(const VifFrame *f);
size_t vif_frame_l4(const VifFrame *f);
/* The byte of the payload at @i. */
uint8_t vif_frame_byte(const VifFrame *f, size_t i);
/* Writes the frame to @buf, returns its length. */
size_t vif_frame_make(const VifFrame *f, uint8_t *buf);
/* Lengths and checksums of a frame of this form are right; its payload may be another. */
bool vif_frame_complete(const VifFrame *f, const uint8_t *buf, size_t len);
/* Gives the frame to a fake netdev's NIC. @mss 0: no GSO. */
void vif_frame_give(Netdev *nd, unsigned q, const VifFrame *f, uint16_t mss);
/*
 * Takes packets from a fake netdev until all of the frame's payload has come, whole or in
 * segments. What has no checksum to do must be complete.
 */
void vif_frame_expect(Netdev *nd, unsigned q, const VifFrame *f, uint16_t mss);

#endif
