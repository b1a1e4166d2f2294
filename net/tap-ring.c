/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tap-ring.h"

#include <errno.h>
#include <glib.h>
#include <liburing.h>
#include <string.h>
#include <sys/uio.h>

#define CACHE_LINE 64

struct TapRing {
    int fd;
    uint8_t *base;
    size_t size;
    struct iovec (*pieces)[PKT_MAX_IOV + 1]; /* of each packet under way; NULL: none has any */
    struct io_uring ring;
    bool up;
    bool fixed;    /* the buffer is registered */
    bool given_up; /* the kernel has none for us: read() and write() do the same */
    bool writes_only; /* its file cannot be read from without waiting */
};

TapRing *tap_ring_new(int fd, void *base, size_t size, bool any)
{
    TapRing *r = g_new0(TapRing, 1);

    r->fd = fd;
    r->base = base;
    r->size = size;
    r->pieces = any ? g_malloc0_n(TAP_RING_MAX, sizeof(*r->pieces)) : NULL;
    return r;
}

static void ring_down(TapRing *r)
{
    if (r->up) {
        io_uring_queue_exit(&r->ring);
        r->up = false;
    }
}

void tap_ring_free(TapRing *r)
{
    if (r) {
        ring_down(r);
        g_free(r->pieces);
        g_free(r);
    }
}

/*
 * The ring is its thread's alone (SINGLE_ISSUER, Linux 6.0) and does its deferred work in
 * our own call (DEFER_TASKRUN, 6.1); older kernels, sysctl kernel.io_uring_disabled and seccomp
 * all end in "no ring". Where the buffer cannot be registered, a burst is still one system call:
 * RLIMIT_MEMLOCK is too small for it, or it is granted to ourselves, and memory of a device.
 */
static bool ring_up(TapRing *r)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL,
    };
    struct iovec buffer = { .iov_base = r->base, .iov_len = r->size };

    if (io_uring_queue_init_params(TAP_RING_MAX, &r->ring, &params) < 0) {
        r->given_up = true;
        return false;
    }
    r->up = true;
    /*
     * The file is not registered: the kernel would let go of it some time after the ring's
     * end only, and the interface's name be busy until then.
     */
    r->fixed = r->size > 0 && io_uring_register_buffers(&r->ring, &buffer, 1) == 0;
    return true;
}

bool tap_ring_is_up(const TapRing *r)
{
    return r && r->up;
}

static bool is_adjacent(const Pkt *pkt)
{
    return (const uint8_t *)pkt->hdr + PKT_HDR_LEN == (const uint8_t *)pkt->iov[0].iov_base;
}

static bool in_one_piece(const Pkt *pkt)
{
    return pkt->n_iov == 1 && is_adjacent(pkt);
}

/* A packet in one piece is in the buffer. */
static bool in_buffer(const TapRing *r, const Pkt *pkt)
{
    const uint8_t *hdr = (const uint8_t *)pkt->hdr;

    return hdr >= r->base && hdr < r->base + r->size &&
           PKT_HDR_LEN + pkt->iov[0].iov_len <= (size_t)(r->base + r->size - hdr);
}

static bool packet_fits(const TapRing *r, const Pkt *pkt)
{
    return r->pieces ? pkt->n_iov <= PKT_MAX_IOV : in_one_piece(pkt) && in_buffer(r, pkt);
}

unsigned tap_ring_fit(const TapRing *r, const Pkt *pkt, unsigned n)
{
    unsigned fit = 0;

    if (!r || r->given_up) {
        return 0;
    }
    while (fit < n && fit < TAP_RING_MAX && packet_fits(r, &pkt[fit])) {
        fit++;
    }
    return fit;
}

unsigned tap_ring_pieces(const Pkt *pkt, struct iovec *ret_iov)
{
    unsigned front = is_adjacent(pkt) ? 0 : 1;

    memcpy(ret_iov + front, pkt->iov, pkt->n_iov * sizeof(*ret_iov));
    if (front == 0) {
        ret_iov[0].iov_len += PKT_HDR_LEN;
    } else {
        ret_iov[0].iov_len = PKT_HDR_LEN;
    }
    ret_iov[0].iov_base = pkt->hdr;
    return front + pkt->n_iov;
}

/* What is done at once: packets to be written, or places to read into. */
typedef struct RingJob {
    const Pkt *pkt;            /* NULL: read */
    const struct iovec *place;
    unsigned n;
    int result[TAP_RING_MAX];  /* of each */
} RingJob;

static void prepare_write(TapRing *r, struct io_uring_sqe *sqe, const Pkt *pkt,
                          struct iovec *pieces)
{
    unsigned len = (unsigned)(PKT_HDR_LEN + pkt->iov[0].iov_len);

    if (!in_one_piece(pkt)) {
        io_uring_prep_writev(sqe, r->fd, pieces, tap_ring_pieces(pkt, pieces), 0);
    } else if (r->fixed && in_buffer(r, pkt)) {
        io_uring_prep_write_fixed(sqe, r->fd, pkt->hdr, len, 0, 0);
    } else {
        io_uring_prep_write(sqe, r->fd, pkt->hdr, len, 0);
    }
}

/*
 * The lines of the cache that header and beginning go to are the guest's processor's as a rule: all
 * are asked for now, and not one by one when the kernel gets there.
 */
static void prepare_read(TapRing *r, struct io_uring_sqe *sqe, const struct iovec *place)
{
    char *to = place->iov_base;

    __builtin_prefetch(to, 1);
    __builtin_prefetch(to + CACHE_LINE, 1);
    io_uring_prep_read(sqe, r->fd, to, (unsigned)place->iov_len, 0);
    sqe->rw_flags = RWF_NOWAIT; /* else it waits for a packet, O_NONBLOCK or not */
}

static void ring_fill(TapRing *r, const RingJob *job)
{
    for (unsigned i = 0; i < job->n; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

        if (job->pkt) {
            prepare_write(r, sqe, &job->pkt[i], r->pieces ? r->pieces[i] : NULL);
        } else {
            prepare_read(r, sqe, &job->place[i]);
        }
        sqe->user_data = i;
    }
}

/* Takes the completions that there are. */
static unsigned ring_reap(TapRing *r, RingJob *job)
{
    const struct io_uring_cqe *cqe;
    unsigned n = 0;
    unsigned head;

    io_uring_for_each_cqe(&r->ring, head, cqe) {
        job->result[cqe->user_data] = cqe->res;
        n++;
    }
    io_uring_cq_advance(&r->ring, n);
    return n;
}

/* Returns how many were dealt with, the first ones; if fewer, the ring is given up. */
static unsigned ring_run(TapRing *r, RingJob *job)
{
    unsigned submitted;
    unsigned done;
    int rc;

    if (!r->up && !ring_up(r)) {
        return 0;
    }
    ring_fill(r, job);
    rc = io_uring_submit_and_wait(&r->ring, job->n);
    if (rc == -EEXIST) {
        /* The queue has moved to this thread; the ring is the other's. */
        ring_down(r);
        if (!ring_up(r)) {
            return 0;
        }
        ring_fill(r, job);
        rc = io_uring_submit_and_wait(&r->ring, job->n);
    }
    submitted = rc > 0 ? (unsigned)rc : 0;
    done = ring_reap(r, job);
    while (done < submitted) {
        /* A signal came between. What was not submitted must not be now. */
        struct io_uring_cqe *cqe;

        rc = io_uring_wait_cqe_nr(&r->ring, &cqe, submitted - done);
        if (rc < 0 && rc != -EINTR) {
            break;
        }
        done += ring_reap(r, job);
    }
    if (submitted < job->n || done < submitted) {
        ring_down(r);
        r->given_up = true;
    }
    return submitted;
}

unsigned tap_ring_send(TapRing *r, const Pkt *pkt, unsigned n, uint64_t *refused)
{
    RingJob job = { .pkt = pkt, .n = n };
    unsigned sent = ring_run(r, &job);

    for (unsigned i = 0; i < sent; i++) {
        *refused += job.result[i] < 0;
    }
    return sent;
}

bool tap_ring_read(TapRing *r, const struct iovec *place, unsigned n, long *ret_len)
{
    RingJob job = { .place = place, .n = n };

    if (r->given_up || r->writes_only) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        job.result[i] = -ECANCELED; /* in case the ring is given up */
    }
    (void)ring_run(r, &job);
    for (unsigned i = 0; i < n; i++) {
        int result = job.result[i];

        r->writes_only |= result == -EOPNOTSUPP; /* then all are */
        ret_len[i] = result == -EAGAIN ? 0 : MAX(result, -1);
    }
    return !r->writes_only;
}
