/*
 * A netdev over a socket, with the test at the other end of that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_SOCKET_RIG_H
#define TESTS_LIB_SOCKET_RIG_H

#include "net/net-socket.h"

#define RIG_BATCH 64u

/* What a netdev said, and what was read from it. */
typedef struct SocketRig {
    Netdev *nd;
    NetdevQueue *q;
    GString *events; /* "+unix:/x" of a connection, "-" of its end */
    unsigned n_reopened;
    PktArena arena;
    Pkt pkt[RIG_BATCH];
    struct iovec iov[RIG_BATCH];
} SocketRig;

/* Zeroed before; @text is as behind -netdev, without an id. The test fails if that fails. */
void rig_open(SocketRig *r, const char *text);
/* A stream over @fd, which is the netdev's from now on; it is connected. */
void rig_open_fd(SocketRig *r, int fd);
void rig_close(SocketRig *r);

/* Runs the main loop until what it said is @events, which is forgotten then. */
void rig_wait(SocketRig *r, const char *events);

/* How many packets of up to @max there are, in @r->pkt. */
unsigned rig_recv(SocketRig *r, unsigned max);

/* A frame of @len bytes, which @seed tells from others; in @n_iov pieces, in memory of its own. */
typedef struct RigPkt {
    Pkt pkt;
    struct virtio_net_hdr_v1 hdr;
    struct iovec *iov;
    uint8_t *data;
} RigPkt;
RigPkt *rig_pkt_new(unsigned seed, uint32_t len, uint32_t n_iov);
void rig_pkt_free(RigPkt *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RigPkt, rig_pkt_free)
uint8_t rig_byte(unsigned seed, uint32_t i);

/* That of the same @seed and @len is at @data. */
bool rig_frame_is(const uint8_t *data, unsigned seed, uint32_t len);

#endif
