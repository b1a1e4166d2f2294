/*
 * PktBuffers for those who read packets into them: netdevs, and netdev.c for the others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_PKT_BUFFERS_INTERNAL_H
#define NET_PKT_BUFFERS_INTERNAL_H

#include "net/pkt-buffers.h"

/*
 * Pieces that a packet is read into at once: 64 of the guest's, which are 64 KiB in buffers of
 * 1 KiB, and the spill. More than 8 cost the kernel an allocation, so fewer are used where they do.
 */
#define PKT_BUFFERS_MAX_IOV (64u + 1u)

/*
 * A call of netdev_recv_into() begins: sets starved and more, and goes on with a packet that
 * waited. Returns how many are complete now, 0 or, if @max is not 0, 1.
 */
unsigned pkt_buffers_begin(PktBuffers *b, Pkt *pkt, unsigned max);

/* There is a buffer for the next packet. False: no, and b->starved says so. */
bool pkt_buffers_ready(PktBuffers *b);

/*
 * The pieces that the next packet is to be read into, one byte more than it may have so that a
 * longer one is noticed. @ret_iov has room for PKT_BUFFERS_MAX_IOV. Returns how many: 0
 * if it is not pkt_buffers_ready().
 */
unsigned pkt_buffers_gather(PktBuffers *b, struct iovec *ret_iov);

/*
 * A packet was read there, a frame of @len bytes; its header is in @pkt->hdr. True: it is complete,
 * and @pkt says what it has. False: it was dropped, or waits.
 */
bool pkt_buffers_put(PktBuffers *b, Pkt *pkt, uint32_t len);

/*
 * Where the next packets can be read to with a plain read each, their headers of @hdr_len bytes
 * with the frames behind them. Returns for how many, up to @max; 0: none, by what is known of their
 * length, or it is not pkt_buffers_ready().
 */
unsigned pkt_buffers_place(PktBuffers *b, uint32_t hdr_len, struct iovec *ret_place, unsigned max);

/*
 * A frame of @len bytes was read to @place, with its header; where reads to places before it
 * brought nothing, it moves to the first of them. In the order of the places; then as above.
 */
bool pkt_buffers_put_placed(PktBuffers *b, Pkt *pkt, const struct iovec *place, uint32_t len);

/* The same of a frame that is in one piece at @data in b->spill, where there is a buffer for it. */
bool pkt_buffers_copy(PktBuffers *b, Pkt *pkt, const uint8_t *data, uint32_t len);

#endif
