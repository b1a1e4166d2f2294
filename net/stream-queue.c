/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stream-queue.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/netdev-impl.h"
#include "pkt-internal.h"
#include "util/container-of.h"
#include "util/fd.h"

#define FRAME_MIN 14u /* an Ethernet header; what is shorter is dropped for most NICs */

/* Pieces of a system call, headers included. A packet of more is copied into one. */
#define STREAM_IOV 256u
#define STREAM_FRAMES 64u /* at once */

/*
 * In a call, frames that are dropped and reads: what is left after so many looks like the end, and
 * is found with what comes next. Only who sends nothing but rubbish gets there.
 */
#define STREAM_TRIES 4096u

static StreamQueue *stream_of(NetdevQueue *q)
{
    return container_of(q, StreamQueue, q);
}

bool stream_queue_init(StreamQueue *s, GError **error)
{
    s->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->ended_fd < 0) {
        return netdev_set_error(error, errno, "could not make an eventfd");
    }
    s->tx = g_try_malloc(STREAM_HEADER + PKT_MAX_LEN);
    s->rx = mmap(NULL, STREAM_RX_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->rx == MAP_FAILED) {
        s->rx = NULL;
    }
    return (s->rx && s->tx) || netdev_set_error(error, ENOMEM, "no buffer");
}

void stream_queue_done(StreamQueue *s)
{
    fd_close(&s->ended_fd);
    g_clear_pointer(&s->tx, g_free);
    if (s->rx) {
        munmap(g_steal_pointer(&s->rx), STREAM_RX_SIZE);
    }
}

void stream_queue_start(StreamQueue *s)
{
    uint64_t n;

    /* The word of a former connection's end may be there still. */
    (void)!read(s->ended_fd, &n, sizeof(n));
    s->ended = false;
    s->rx_start = s->rx_end = s->rx_skip = 0;
    s->tx_start = s->tx_end = 0;
    s->tx_is_first = false;
    __atomic_store_n(&s->up, true, __ATOMIC_RELEASE);
}

void stream_queue_stop(StreamQueue *s)
{
    __atomic_store_n(&s->up, false, __ATOMIC_RELAXED);
}

static bool stream_is_up(const StreamQueue *s)
{
    return __atomic_load_n(&s->up, __ATOMIC_ACQUIRE) && !s->ended;
}

static void stream_end(StreamQueue *s)
{
    const uint64_t one = 1;

    s->ended = true;
    (void)!write(s->ended_fd, &one, sizeof(one));
}

/* --- from the other end --- */

/* More bytes behind what is there, with room for a whole frame. False: none at present. */
static bool rx_fill(StreamQueue *s)
{
    ssize_t r;

    if (s->rx_start == s->rx_end) {
        s->rx_start = s->rx_end = 0;
    } else if (STREAM_RX_SIZE - s->rx_start < STREAM_HEADER + PKT_MAX_LEN ||
               s->rx_end == STREAM_RX_SIZE) {
        memmove(s->rx, s->rx + s->rx_start, s->rx_end - s->rx_start);
        s->rx_end -= s->rx_start;
        s->rx_start = 0;
    }
    do {
        r = recv(s->q.fd, s->rx + s->rx_end, STREAM_RX_SIZE - s->rx_end, MSG_DONTWAIT);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        s->rx_end += (uint32_t)r;
    } else if (r == 0 || errno != EAGAIN) {
        stream_end(s);
    }
    return r > 0;
}

typedef enum RxFrame {
    RX_FRAME,   /* one is there, for the guest */
    RX_DROPPED, /* what was there was dropped */
    RX_PART,    /* not all of the next one is there */
    RX_WRONG,
} RxFrame;

/* The next frame: *@ret_len bytes at rx + rx_start, where it is complete. */
static RxFrame rx_next(StreamQueue *s, uint32_t *ret_len)
{
    uint32_t there = s->rx_end - s->rx_start;
    const uint8_t *p = s->rx + s->rx_start;
    uint32_t len;

    if (s->rx_skip > 0) {
        uint32_t n = s->rx_skip < there ? s->rx_skip : there;

        s->rx_start += n;
        s->rx_skip -= n;
        return n > 0 ? RX_DROPPED : RX_PART;
    }
    if (there < STREAM_HEADER) {
        return RX_PART;
    }
    len = (uint32_t)pkt_get16(p) << 16 | pkt_get16(p + 2);
    if (len > STREAM_FRAME_MAX) {
        return RX_WRONG;
    }
    if (len > PKT_MAX_LEN || len < (s->q.nd->short_frames ? 1 : FRAME_MIN)) {
        s->rx_start += STREAM_HEADER;
        s->rx_skip = len;
        return RX_DROPPED;
    }
    if (there - STREAM_HEADER < len) {
        return RX_PART;
    }
    s->rx_start += STREAM_HEADER;
    *ret_len = len;
    return RX_FRAME;
}

unsigned stream_queue_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                           unsigned max)
{
    StreamQueue *s = stream_of(q);
    unsigned tries = 0;
    unsigned n = 0;

    while (n < max && tries < STREAM_TRIES && stream_is_up(s)) {
        uint8_t *data = pkt_arena_next(arena);
        RxFrame frame;
        uint32_t len;

        if (!data) {
            break;
        }
        frame = rx_next(s, &len);
        if (frame == RX_FRAME) {
            memset(data - PKT_HDR_LEN, 0, PKT_HDR_LEN);
            memcpy(data, s->rx + s->rx_start, len);
            s->rx_start += len;
            iov[n] = (struct iovec){ .iov_base = data, .iov_len = len };
            pkt[n] = (Pkt){ .hdr = (struct virtio_net_hdr_v1 *)(void *)(data - PKT_HDR_LEN),
                            .iov = &iov[n], .n_iov = 1, .len = len };
            pkt_arena_take(arena, len);
            n++;
            continue;
        }
        tries++;
        if (frame == RX_WRONG) {
            stream_end(s);
        } else if (frame == RX_PART && !rx_fill(s)) {
            break;
        }
    }
    return n;
}

/* --- to the other end --- */

/* Some of @iov was sent, or all: how many bytes. -1: nothing, and if that was EAGAIN, later. */
static ssize_t tx_write(StreamQueue *s, struct iovec *iov, unsigned n)
{
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
    ssize_t r;

    do {
        r = sendmsg(s->q.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    if (r < 0 && errno != EAGAIN) {
        stream_end(s);
    }
    return r;
}

/* The rest of a frame. False: there is still some. */
static bool tx_flush(StreamQueue *s)
{
    while (s->tx_start < s->tx_end) {
        struct iovec iov = { s->tx + s->tx_start, s->tx_end - s->tx_start };
        ssize_t r = tx_write(s, &iov, 1);

        if (r < 0) {
            return false;
        }
        s->tx_start += (uint32_t)r;
    }
    return true;
}

/* All of @pkt but its first @off bytes, of which the header is one part, is to be sent first. */
static void tx_keep(StreamQueue *s, const Pkt *pkt, uint32_t off)
{
    uint8_t *len = s->tx;

    pkt_put16(len, pkt->len >> 16);
    pkt_put16(len + 2, pkt->len & 0xffff);
    s->tx_end = STREAM_HEADER + (uint32_t)pkt_copy(pkt, 0, s->tx + STREAM_HEADER, pkt->len);
    s->tx_start = off;
    s->tx_is_first = true;
}

/*
 * As many frames as one call takes, from @pkt on, the first of which fits. Returns how many, with
 * their lengths in @head.
 */
static unsigned tx_gather(const Pkt *pkt, unsigned n, struct iovec iov[STREAM_IOV],
                          uint8_t head[STREAM_FRAMES][STREAM_HEADER], unsigned *ret_pieces)
{
    unsigned pieces = 0;
    unsigned i;

    for (i = 0; i < n && i < STREAM_FRAMES; i++) {
        if (pieces + 1 + pkt[i].n_iov > STREAM_IOV || pkt[i].len > PKT_MAX_LEN) {
            break;
        }
        pkt_put16(head[i], pkt[i].len >> 16);
        pkt_put16(head[i] + 2, pkt[i].len & 0xffff);
        iov[pieces++] = (struct iovec){ head[i], STREAM_HEADER };
        memcpy(&iov[pieces], pkt[i].iov, pkt[i].n_iov * sizeof(*iov));
        pieces += pkt[i].n_iov;
    }
    *ret_pieces = pieces;
    return i;
}

/* Up to @n frames; returns how many are gone. Of the next one, what was not sent may be kept. */
static unsigned tx_some(StreamQueue *s, Pkt *pkt, unsigned n)
{
    uint8_t head[STREAM_FRAMES][STREAM_HEADER];
    struct iovec iov[STREAM_IOV];
    unsigned pieces;
    unsigned fit = tx_gather(pkt, n, iov, head, &pieces);
    ssize_t r = tx_write(s, iov, pieces);
    size_t left = r < 0 ? 0 : (size_t)r;

    for (unsigned i = 0; i < fit; i++) {
        size_t whole = STREAM_HEADER + pkt[i].len;

        if (left < whole) {
            if (left > 0) {
                tx_keep(s, &pkt[i], (uint32_t)left);
            }
            return i;
        }
        left -= whole;
    }
    return fit;
}

/* One that no call takes as it is. Whether it is gone, or dropped. */
static bool tx_long(StreamQueue *s, const Pkt *pkt)
{
    if (pkt->len > PKT_MAX_LEN) {
        s->q.refused++;
        return true;
    }
    tx_keep(s, pkt, 0);
    s->tx_is_first = !tx_flush(s);
    return !s->tx_is_first;
}

unsigned stream_queue_send(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    StreamQueue *s = stream_of(q);
    unsigned done = 0;

    if (stream_is_up(s) && tx_flush(s)) {
        done = s->tx_is_first ? 1 : 0;
        s->tx_is_first = false;
        while (done < n) {
            bool fits = pkt[done].n_iov < STREAM_IOV && pkt[done].len <= PKT_MAX_LEN;
            unsigned gone = fits ? tx_some(s, pkt + done, n - done) : tx_long(s, pkt + done);

            done += gone;
            if (gone == 0 || s->tx_is_first) {
                break;
            }
        }
    }
    if (!stream_is_up(s)) {
        q->refused += n - done;
        s->tx_is_first = false;
        return n;
    }
    return done;
}

void stream_queue_send_stop(NetdevQueue *q)
{
    stream_of(q)->tx_is_first = false;
}
