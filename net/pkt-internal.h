/*
 * What the files about packets share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_PKT_INTERNAL_H
#define NET_PKT_INTERNAL_H

#include <netinet/in.h>

#include "net/pkt.h"

#define TCP_CSUM_OFF 16
#define UDP_CSUM_OFF 6

static inline uint16_t pkt_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void pkt_put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/*
 * The unfolded sum of the pseudo-header of a TCP or UDP packet with @l4_len bytes from
 * its L4 header on. The headers must be in @data.
 */
uint64_t pkt_pseudo_sum(const uint8_t *data, const PktHeaders *h, uint32_t l4_len);

/* Copies @len bytes from offset @off of the packet's pieces. Returns how many there were. */
size_t pkt_copy(const Pkt *pkt, size_t off, void *to, size_t len);

#endif
