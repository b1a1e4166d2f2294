/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dgram-queue.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "net/netdev-impl.h"
#include "util/container-of.h"

#define FRAME_MIN 14u /* an Ethernet header; what is shorter is dropped for most NICs */

/* In a call, frames that are dropped and reads that fail; see STREAM_TRIES. */
#define DGRAM_TRIES 4096u

#define RX_SIZE (DGRAM_BATCH * (size_t)DGRAM_SLOT)

static DgramQueue *dgram_of(NetdevQueue *q)
{
    return container_of(q, DgramQueue, q);
}

bool dgram_queue_init(DgramQueue *d, GError **error)
{
    d->rx = mmap(NULL, RX_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (d->rx == MAP_FAILED) {
        d->rx = NULL;
        return netdev_set_error(error, ENOMEM, "no buffer");
    }
    return true;
}

void dgram_queue_done(DgramQueue *d)
{
    if (d->rx) {
        munmap(g_steal_pointer(&d->rx), RX_SIZE);
    }
}

/* False: there is nothing. An error is one of what was sent before, and of no interest here. */
static bool rx_fill(DgramQueue *d)
{
    struct mmsghdr msg[DGRAM_BATCH];
    struct iovec iov[DGRAM_BATCH];
    int r;

    for (unsigned i = 0; i < DGRAM_BATCH; i++) {
        iov[i] = (struct iovec){ d->rx + i * (size_t)DGRAM_SLOT, DGRAM_SLOT };
        msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
    }
    r = recvmmsg(d->q.fd, msg, DGRAM_BATCH, MSG_DONTWAIT, NULL);
    d->rx_n = r < 0 ? 0 : (unsigned)r;
    d->rx_next = 0;
    for (unsigned i = 0; i < d->rx_n; i++) {
        d->rx_len[i] = msg[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : msg[i].msg_len;
    }
    return r >= 0 || errno != EAGAIN;
}

unsigned dgram_queue_recv(NetdevQueue *q, PktArena *arena, Pkt *pkt, struct iovec *iov,
                          unsigned max)
{
    DgramQueue *d = dgram_of(q);
    unsigned n = 0;

    for (unsigned tries = 0; n < max && tries < DGRAM_TRIES; tries++) {
        uint8_t *data = pkt_arena_next(arena);
        uint32_t len;

        if (!data) {
            break;
        }
        if (d->rx_next == d->rx_n) {
            if (!rx_fill(d)) {
                break;
            }
            continue;
        }
        len = d->rx_len[d->rx_next++];
        if (len < (q->nd->short_frames ? 1 : FRAME_MIN) || len > PKT_MAX_LEN) {
            continue;
        }
        memset(data - PKT_HDR_LEN, 0, PKT_HDR_LEN);
        memcpy(data, d->rx + (d->rx_next - 1) * (size_t)DGRAM_SLOT, len);
        iov[n] = (struct iovec){ .iov_base = data, .iov_len = len };
        pkt[n] = (Pkt){ .hdr = (struct virtio_net_hdr_v1 *)(void *)(data - PKT_HDR_LEN),
                        .iov = &iov[n], .n_iov = 1, .len = len };
        pkt_arena_take(arena, len);
        n++;
    }
    return n;
}

/* Returns how many were sent, or -1 and errno. */
static int tx_some(DgramQueue *d, const Pkt *pkt, unsigned n)
{
    struct mmsghdr msg[DGRAM_BATCH];

    n = n < DGRAM_BATCH ? n : DGRAM_BATCH;
    for (unsigned i = 0; i < n; i++) {
        msg[i] = (struct mmsghdr){
            .msg_hdr = { .msg_name = d->dest.len > 0 ? &d->dest.addr : NULL,
                         .msg_namelen = d->dest.len, .msg_iov = pkt[i].iov,
                         .msg_iovlen = pkt[i].n_iov },
        };
    }
    return sendmmsg(d->q.fd, msg, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

unsigned dgram_queue_send(NetdevQueue *q, Pkt *pkt, unsigned n)
{
    DgramQueue *d = dgram_of(q);
    unsigned done = 0;

    while (done < n) {
        int r = tx_some(d, pkt + done, n - done);

        if (r > 0) {
            done += (unsigned)r;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            q->refused++; /* it is too long, or nobody is there, or that was said of one before */
            done++;
        }
    }
    return done;
}
