/*
 * Packets out of a tap. Raw system calls, because glibc's read() is a cancellation point, which
 * costs 5 % of a small packet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pkt-buffers-internal.h"
#include "util/container-of.h"

#define FRAME_MIN 14

/* Packets read at once: what reads in vain are worth where there are fewer. */
#define TAP_READ_BURST 32u

/*
 * A frame that is longer than a packet may be is cut off by the kernel without a word,
 * so there is a byte more to notice it. The arena's page has it.
 */
#define FRAME_ROOM (PKT_MAX_LEN + 1)
_Static_assert(PKT_MAX_LEN % 4096 != 0, "a byte more is in the same page");

/*
 * Whether a read that failed says that there is nothing: the queue is empty, or was detached. Else
 * the kernel had a packet that it could not hand over, as one of an odd kind of segments (EINVAL);
 * it is gone, and those behind it are not.
 */
static bool tap_is_empty(int err)
{
    return err == EAGAIN || err == EBADFD;
}

unsigned tap_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov, unsigned max)
{
    size_t hdr_len = q->nd->has_vnet_hdr ? PKT_HDR_LEN : 0;
    unsigned n = 0;
    unsigned tries;

    /*
     * Fewer than @max says "empty" to a caller whose epoll is edge-triggered: a frame
     * that is dropped here must not look like the end.
     */
    for (tries = 0; n < max && tries < 4 * max; tries++) {
        uint8_t *data = pkt_arena_next(arena);
        struct virtio_net_hdr_v1 *hdr;
        long r;

        if (!data) {
            break;
        }
        r = syscall(SYS_read, q->fd, data - hdr_len, hdr_len + FRAME_ROOM);
        if (r < 0 && tap_is_empty(errno)) {
            break;
        }
        if (r < 0 || (size_t)r < hdr_len + FRAME_MIN || (size_t)r > hdr_len + PKT_MAX_LEN) {
            continue;
        }
        hdr = (struct virtio_net_hdr_v1 *)(void *)(data - PKT_HDR_LEN);
        if (hdr_len == 0) {
            memset(hdr, 0, PKT_HDR_LEN);
        }
        hdr->num_buffers = 0; /* the kernel fills in the 10 bytes before it only */
        r -= (long)hdr_len;
        iov[n] = (struct iovec){ .iov_base = data, .iov_len = (size_t)r };
        pkt[n] = (Pkt){ .hdr = hdr, .iov = &iov[n], .n_iov = 1, .len = (uint32_t)r };
        pkt_arena_take(arena, (size_t)r);
        n++;
    }
    return n;
}

/* One packet into the guest's buffers. Bytes, header included; -1: there is none; 0: no buffer. */
static long tap_gather(const NetdevQueue *q, PktBuffers *b, Pkt *pkt, uint32_t hdr_len)
{
    struct iovec iov[1 + PKT_BUFFERS_MAX_IOV];
    unsigned pieces = pkt_buffers_gather(b, iov + 1);

    if (pieces == 0) {
        return 0;
    }
    iov[0] = (struct iovec){ .iov_base = pkt->hdr, .iov_len = hdr_len };
    return syscall(SYS_readv, q->fd, iov, pieces + 1);
}

/* One by one. Where all reads fail, whatever it is will not end soon: an event is waited for. */
static unsigned tap_read_each(const NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max)
{
    uint32_t hdr_len = q->nd->has_vnet_hdr ? PKT_HDR_LEN : 0;
    unsigned n = 0;
    unsigned failed = 0;

    for (unsigned tries = 0; n < max && tries < 4 * max; tries++) {
        struct iovec place;
        bool placed = pkt_buffers_place(b, hdr_len, &place, 1) > 0;
        long r = placed ? syscall(SYS_read, q->fd, place.iov_base, place.iov_len)
                        : tap_gather(q, b, &pkt[n], hdr_len);

        if (r == 0) {
            break;
        }
        if (r < 0) {
            b->more = !tap_is_empty(errno) && ++failed < 4 * max;
            if (!b->more) {
                break;
            }
            continue;
        }
        if ((size_t)r < hdr_len + FRAME_MIN) {
            continue;
        }
        if (hdr_len == 0) {
            memset(pkt[n].hdr, 0, PKT_HDR_LEN);
        }
        n += placed ? pkt_buffers_put_placed(b, &pkt[n], &place, (uint32_t)r - hdr_len)
                    : pkt_buffers_put(b, &pkt[n], (uint32_t)r - hdr_len);
    }
    return n;
}

/*
 * In bursts, as long as each read of one brings a packet. What comes between two reads makes a hole
 * before it; b->more is false only if the last read found none, as then an event tells of the next.
 */
static unsigned tap_read_bursts(TapQueue *tq, PktBuffers *b, Pkt *pkt, unsigned max)
{
    struct iovec place[TAP_READ_BURST];
    long len[TAP_READ_BURST];
    unsigned n = 0;
    unsigned burst;

    while (tq->busy && (burst = pkt_buffers_place(b, PKT_HDR_LEN, place,
                                                  MIN(max - n, TAP_READ_BURST))) >= TAP_RING_MIN) {
        if (!tap_ring_read(tq->ring, place, burst, len)) {
            tq->busy = false;
            break;
        }
        for (unsigned i = 0; i < burst; i++) {
            tq->busy &= len[i] > 0; /* after a failure one by one, too */
            if (len[i] >= (long)(PKT_HDR_LEN + FRAME_MIN)) {
                n += pkt_buffers_put_placed(b, &pkt[n], &place[i],
                                            (uint32_t)(len[i] - (long)PKT_HDR_LEN));
            }
        }
        b->more = len[burst - 1] != 0;
    }
    return n;
}

unsigned tap_recv_into(NetdevQueue *q, PktBuffers *b, Pkt *pkt, unsigned max)
{
    TapQueue *tq = container_of(q, TapQueue, q);
    unsigned n = 0;

    if (tq->ring && tq->busy) {
        n = tap_read_bursts(tq, b, pkt, max);
    }
    if (n < max && b->more) {
        n += tap_read_each(q, b, pkt + n, max - n);
    }
    tq->busy = n == max;
    return n;
}
