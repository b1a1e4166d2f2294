/*
 * The hash of a received packet (VIRTIO 1.2, 5.1.6.4.3): Toeplitz, of addresses and ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_HASH_H
#define HW_NET_VIRTIO_NET_HASH_H

#include <stddef.h>
#include <stdint.h>

#define VIRTIO_NET_HASH_KEY    40u    /* bytes: what two IPv6 addresses and two ports take */
#define VIRTIO_NET_HASH_INPUT  36u    /* bytes hashed, at most */
#define VIRTIO_NET_HASH_TYPES  0x1ffu /* VIRTIO_NET_RSS_HASH_TYPE_*: all of the standard's */
#define VIRTIO_NET_HASH_FRAME  256u   /* of a frame that are looked at */

/* What is hashed, and by which key. Plain data, which does not change once it was made. */
typedef struct VirtioNetHash {
    uint32_t types; /* VIRTIO_NET_RSS_HASH_TYPE_*; 0: nothing is hashed */
    uint8_t key[VIRTIO_NET_HASH_KEY]; /* as the driver said it: what a migration takes along */
    /* What each half of each byte adds to the hash: a table that fits the cache beside packets. */
    uint32_t part[2 * VIRTIO_NET_HASH_INPUT][16];
} VirtioNetHash;

/* @len bytes of a key, up to VIRTIO_NET_HASH_KEY; zeros stand for those that lack. */
void virtio_net_hash_init(VirtioNetHash *h, uint32_t types, const uint8_t *key, size_t len);

/*
 * Of a frame its first @len bytes. Its VIRTIO_NET_HASH_REPORT_*, which is _NONE where it has
 * nothing that is to be hashed, and the hash is 0 then. Fragments have no ports, nor has a packet
 * whose TCP or UDP header is not all there. Any thread.
 */
uint16_t virtio_net_hash_frame(const VirtioNetHash *h, const uint8_t *frame, size_t len,
                               uint32_t *ret_hash);

#endif
