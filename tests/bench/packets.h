/*
 * A packet of the kinds that scripts/bench instructions and growth send, as a guest and as a
 * netdev give it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_PACKETS_H
#define TESTS_BENCH_PACKETS_H

#include "frames.h"
#include "hw/xen/netif.h"
#include "net/pkt.h"

#define BENCH_MSS       1448u
#define BENCH_PAGES     17u /* of a frame, at most */
#define BENCH_SLOTS     18u

typedef struct BenchPacket {
    bool gso;
    uint32_t len;
    struct virtio_net_hdr_v1 hdr;
    uint8_t frame[FRAME_MAX];
} BenchPacket;

/* TCP over IPv4 with the checksum to do, @payload bytes behind 66 of headers. */
void bench_packet_make(BenchPacket *p, size_t payload, bool gso);
/* Its slots in a tx ring, its pages being @refs; @ret has room for BENCH_SLOTS. How many. */
unsigned bench_packet_slots(const BenchPacket *p, const uint32_t *refs, netif_tx_request_t *ret);
/* As NetdevOps.recv reads it. False: @arena is too full. */
bool bench_packet_read(const BenchPacket *p, PktArena *arena, Pkt *pkt, struct iovec *iov);

#endif
