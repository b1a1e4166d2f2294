/*
 * Pkt: the only form of a packet between a NIC and a netdev. An Ethernet frame in a
 * few pieces of memory, and a virtio-net header that says what is still to be done
 * to it (checksum, segmentation). Tap and virtio speak this already; only netback
 * and netfront translate.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_PKT_H
#define NET_PKT_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define PKT_HDR_LEN   sizeof(struct virtio_net_hdr_v1) /* 12: the tap's header as we use it */
#define PKT_MAX_LEN   65550u /* 64 KiB of IP and an Ethernet header: what a tap can hand us */
#define PKT_MAX_IOV   20     /* 18 slots and two for pulled-up headers */
/*
 * Pieces of a packet to be sent, at most: so many a system call takes (UIO_MAXIOV), and a chain of
 * virtio has. A header that is not directly in front of iov[0] is a piece more.
 */
#define PKT_SEND_MAX_IOV 1024u
#define PKT_HEAD_LEN  128u   /* so much of a packet (or all of it) is in iov[0] */

/*
 * A packet under way. @hdr and the pieces belong to whoever made it (a batch buffer
 * of the queue) and live until the batch ends. @hdr->num_buffers is not used, 0.
 * If @hdr stands directly in front of iov[0], a tap can write both in one piece.
 * What is written to a packet (checksums) is within its headers, in iov[0], which is private
 * memory; the other pieces may be a guest's. A netdev that has vnet headers neither reads nor
 * writes anything: header and iov[0] of what it is to send may be a guest's, too.
 * With more than PKT_MAX_IOV pieces, iov[-1] is the caller's as well: the header goes there while
 * the packet is sent, and then it is as it was.
 */
typedef struct Pkt {
    struct virtio_net_hdr_v1 *hdr;
    struct iovec *iov;
    uint32_t n_iov;
    uint32_t len;     /* sum of the pieces, without hdr */
} Pkt;

/*
 * Memory that packets are read into, one after the other; owned by a queue. Each
 * packet is contiguous and starts on a page, with its header in the 12 bytes before,
 * so that a grant copy of a page never crosses a local page. @base is page-aligned.
 */
typedef struct PktArena {
    uint8_t *base;
    size_t size;
    size_t used;      /* offset of the first free byte */
} PktArena;

#define PKT_ARENA_MIN ((size_t)(4096 + 17 * 4096)) /* room for one packet of any size */

/*
 * 0 or -ENOMEM. Maps @size bytes (rounded up to pages), with huge pages where the
 * kernel has them. pkt_arena_done() is idempotent.
 */
int pkt_arena_init(PktArena *a, size_t size);
void pkt_arena_done(PktArena *a);

/*
 * Where the next packet's first byte goes (page-aligned, 12 bytes free before it, at
 * least PKT_MAX_LEN behind it), or NULL when the arena is too full for that.
 * pkt_arena_take() then accounts for a packet of @len bytes put there.
 */
uint8_t *pkt_arena_next(const PktArena *a);
void pkt_arena_take(PktArena *a, size_t len);
static inline void pkt_arena_reset(PktArena *a)
{
    a->used = 0;
}

/* What the headers of a packet say; offsets from the frame's first byte. */
typedef struct PktHeaders {
    uint8_t ip_version; /* 4, 6; 0: not IP, or broken */
    uint8_t l4_proto;   /* IPPROTO_TCP, IPPROTO_UDP, ...; 0 if unknown */
    bool fragment;      /* an IP fragment: no checksum of it can be completed */
    bool vlan;          /* there is at least one VLAN tag */
    bool routed;        /* an IPv6 routing header is not used up: the destination is in it */
    bool l4_hidden;     /* behind a routing header or AH, which not all stacks walk over */
    uint16_t l3_off;
    uint16_t l4_off;    /* 0 if there is none within the bytes seen */
    uint16_t payload_off; /* behind a TCP or UDP header; 0 if that is not all there */
} PktHeaders;

/*
 * Reads the headers in the first @len bytes of a frame. Never reads past @len, walks at
 * most 8 IPv6 extension headers (or AH, also of IPv4) and 2 VLAN tags. False: not even an
 * Ethernet header.
 */
bool pkt_parse(const uint8_t *data, size_t len, PktHeaders *ret_h);

/*
 * Makes sure that the first @want bytes (or all of a shorter packet) are in iov[0],
 * by moving bytes from the next pieces behind it. iov[0] must have @want bytes of room.
 * Pieces that become empty are taken out.
 */
void pkt_pull(Pkt *pkt, size_t want);

/*
 * Sets the header for "finish the TCP or UDP checksum": csum_start and csum_offset.
 * The checksum field must hold the pseudo-header's sum already; with @fix_pseudo it is
 * written here. False if the packet is no unfragmented TCP or UDP, or with @fix_pseudo if it is
 * routed: nothing is changed.
 */
bool pkt_set_csum(Pkt *pkt, const PktHeaders *h, bool fix_pseudo);

/*
 * Sets the header for segmentation into @mss bytes of TCP payload (@ip_version 4 or
 * 6), NEEDS_CSUM with it, and the pseudo-header's sum anew, but for a packet that is routed: of
 * that it must be there. False if the headers do not fit (not TCP, other IP version, headers
 * not within iov[0], mss 0).
 */
bool pkt_set_gso(Pkt *pkt, const PktHeaders *h, uint8_t ip_version, uint16_t mss);

/*
 * Completes in software the checksum that NEEDS_CSUM asks for, in iov[0], and clears the flag. It
 * covers the packet as its IP header has it, and not what pads a short frame. False if the
 * field is outside of iov[0].
 */
bool pkt_complete_csum(Pkt *pkt);
/* The same of a packet that has NEEDS_CSUM and was parsed already. */
bool pkt_complete_csum_of(Pkt *pkt, const PktHeaders *h);

/*
 * A TCPv4 or TCPv6 GSO packet on its way to complete ones. It may make more of them than there
 * is memory for at once (64 KiB with an MSS of 88 are 740), so they are made in rounds. The
 * packet's memory stays as it is until the last segment was made.
 */
#define PKT_SEGMENT_HEADERS 512u /* longer ones are not segmented */

typedef struct PktSegmenter {
    const Pkt *pkt;          /* NULL: none under way */
    PktHeaders h;
    uint32_t mss;
    uint32_t payload_len;
    uint32_t done;           /* payload bytes in segments so far */
    unsigned index;          /* of the next segment */
    uint64_t pseudo;         /* the pseudo-header's sum without the length */
    uint8_t headers[PKT_SEGMENT_HEADERS]; /* h.payload_off bytes of them */
} PktSegmenter;

/* False: it cannot be segmented (type, headers, MSS 0): nothing is under way then. */
bool pkt_segmenter_init(PktSegmenter *s, const Pkt *pkt);

/* There are segments still to be made. */
static inline bool pkt_segmenter_busy(const PktSegmenter *s)
{
    return s->pkt != NULL;
}

/* Gives up: no more are made. */
static inline void pkt_segmenter_stop(PktSegmenter *s)
{
    s->pkt = NULL;
}

/* How many. */
static inline unsigned pkt_segmenter_left(const PktSegmenter *s)
{
    uint32_t left = s->payload_len - s->done;

    return !s->pkt ? 0 : left == 0 ? 1 : (left + s->mss - 1) / s->mss;
}

/*
 * The next segments, at most @max, complete (checksums done) and with a header of zeros, in
 * @arena as far as it goes; @ret_iov has room for @max. Returns how many: 0 if @arena is too
 * full for one, or none is left.
 */
unsigned pkt_segment(PktSegmenter *s, PktArena *arena, Pkt *ret_pkt, struct iovec *ret_iov,
                     unsigned max);

#endif
