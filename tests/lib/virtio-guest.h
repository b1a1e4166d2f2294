/*
 * A virtio-net with a fake netdev, and its guest in the same process: memory, rings, drivers. There
 * is no transport: rings are handed to the device as one would.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIRTIO_GUEST_H
#define TESTS_LIB_VIRTIO_GUEST_H

#include "fake-netdev.h"
#include "hw/net/virtio-net.h"
#include "virtq-driver.h"

#define VIRTIO_GUEST_MAX_PAIRS 8u
#define VIRTIO_GUEST_SLOT      0x20000u /* bytes of memory that each buffer id of a ring has */
#define VIRTIO_GUEST_WAIT_MS   10000u

typedef struct VirtioGuestConfig {
    const char *name;
    unsigned pairs;
    uint16_t size;         /* of rings */
    uint64_t features;     /* wanted, of those that are offered; VIRTIO_F_... */
    bool no_vnet_hdr;      /* of the netdev */
    bool inflight;         /* rings have a region of inflight memory */
    bool ctrl;             /* the device has the control queue */
    bool split_header;     /* tx: the header in a piece of its own */
    uint32_t rx_len;       /* of an rx buffer */
    unsigned rx_pieces;    /* that it is in; 0: 1 */
    void (*prepare)(Netdev *nd); /* before the device has it; NULL: nothing to do */
    Netdev *(*open)(unsigned pairs); /* another netdev; NULL: a fake one */
    IoThread **threads;    /* of each pair; NULL: of their own */
} VirtioGuestConfig;

typedef struct VirtioGuestRing {
    VirtqDriver *driver;
    uint64_t gpa;          /* of the first id's slot */
    int kick_fd;
    int call_fd;
    bool running;
    uint32_t base;
    void *inflight;        /* region of inflight memory */
} VirtioGuestRing;

/* The device's side. */
typedef struct VirtioGuestHost {
    Netdev *nd;
    VirtioNet *vn;
} VirtioGuestHost;

typedef struct VirtioGuest {
    VirtioGuestConfig c;
    uint64_t features;     /* negotiated */
    uint32_t hdr_len;
    Netdev *nd;
    VirtioNet *vn;
    VirtioDevice *dev;
    const NicQueueStats *vn_stats; /* of each pair */
    GuestMem *mem;
    uint8_t *host;         /* of gpa 0 */
    bool enabled;
    struct virtio_net_hdr_v1_hash hash; /* the header of the packet received last, if it has one */
    VirtioGuestHost killed; /* see virtio_guest_kill() */
    VirtioGuestRing ring[2 * VIRTIO_GUEST_MAX_PAIRS + 1]; /* rx, tx, rx, tx, ..., control */
    unsigned n_rings;      /* that there are with these features */
} VirtioGuest;

/* An answer of a control queue that is none. */
#define VIRTIO_GUEST_NO_ACK 0xee

/* Offered features are taken as far as @c wants them; all rings run, none is enabled. */
void virtio_guest_up(VirtioGuest *g, const VirtioGuestConfig *c);
void virtio_guest_down(VirtioGuest *g);
void virtio_guest_enable(VirtioGuest *g, bool on); /* all rings, and those that start later */

void virtio_guest_start_ring(VirtioGuest *g, unsigned index);
void virtio_guest_stop_ring(VirtioGuest *g, unsigned index);

/*
 * As if the device's process were killed: it does nothing any more, and another one with a netdev
 * of its own goes on. Once a guest.
 */
void virtio_guest_kill(VirtioGuest *g);

uint8_t *virtio_guest_host(VirtioGuest *g, uint64_t gpa);
/* Publishes, and kicks if that is wanted. */
void virtio_guest_kick(VirtioGuest *g, unsigned index);

/* Puts a packet on the tx ring; false: there is no room. */
bool virtio_guest_send(VirtioGuest *g, unsigned pair, const FakePkt *pkt);
/* All that was sent came back. */
void virtio_guest_wait_sent(VirtioGuest *g, unsigned pair, unsigned n);
/* Adds rx buffers, @n or as many as there is room for. */
void virtio_guest_post(VirtioGuest *g, unsigned pair, unsigned n);
/* The next packet, waited for; its buffers are not posted again. False: there is none in time. */
bool virtio_guest_recv(VirtioGuest *g, unsigned pair, FakePkt *ret_pkt, unsigned timeout_ms);

/* --- the control ring, the last one: virtio-guest-ctrl.c --- */

/*
 * Puts a command on it, in pieces of @piece_len bytes (0: one piece), with @ack_len bytes to write;
 * false: there is no room.
 */
bool virtio_guest_command_add(VirtioGuest *g, const void *data, size_t len, size_t piece_len,
                              size_t ack_len);
/* Kicks, and runs the main loop until @n commands came back. The last one's answer. */
uint8_t virtio_guest_command_wait(VirtioGuest *g, unsigned n);
/* One command, to its end: VIRTIO_NET_OK, _ERR. @len bytes behind class and command. */
uint8_t virtio_guest_command(VirtioGuest *g, uint8_t class, uint8_t command, const void *data,
                             size_t len);

#endif
