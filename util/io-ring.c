/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io-ring.h"

#include <errno.h>
#include <liburing.h>

#define RING_SQ 128u
#define RING_CQ (2 * RING_SQ) /* as the kernel has it; no more are in flight, so none overflows */

struct IoRing {
    struct io_uring ring;
    unsigned in_flight; /* from io_ring_get_sqe() to the completion */
};

IoRing *io_ring_new(void)
{
    g_autofree IoRing *r = g_new0(IoRing, 1);
    int err = io_uring_queue_init(RING_SQ, &r->ring, 0);

    if (err < 0) {
        errno = -err;
        return NULL;
    }
    return g_steal_pointer(&r);
}

void io_ring_free(IoRing *r)
{
    if (r) {
        g_assert(r->in_flight == 0);
        io_uring_queue_exit(&r->ring);
        g_free(r);
    }
}

int io_ring_fd(const IoRing *r)
{
    return r->ring.ring_fd;
}

struct io_uring_sqe *io_ring_get_sqe(IoRing *r, IoRequest *req)
{
    struct io_uring_sqe *sqe;

    if (r->in_flight == RING_CQ) {
        return NULL;
    }
    sqe = io_uring_get_sqe(&r->ring);
    if (!sqe) {
        io_ring_submit(r);
        sqe = io_uring_get_sqe(&r->ring);
    }
    if (sqe) {
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data(sqe, req);
        r->in_flight++;
    }
    return sqe;
}

/* A submission may be short: the kernel stops behind a request that it refuses. */
bool io_ring_submit(IoRing *r)
{
    while (io_uring_sq_ready(&r->ring) > 0) {
        int n = io_uring_submit(&r->ring);

        if (n <= 0 && n != -EINTR) {
            return false;
        }
    }
    return true;
}

bool io_ring_reap(IoRing *r)
{
    struct io_uring_cqe *cqe;
    unsigned n;

    for (n = 0; n < RING_CQ && io_uring_peek_cqe(&r->ring, &cqe) == 0; n++) {
        IoRequest *req = io_uring_cqe_get_data(cqe);
        int res = cqe->res;

        io_uring_cqe_seen(&r->ring, cqe);
        g_assert(r->in_flight > 0);
        r->in_flight--;
        req->done(req, res);
    }
    return n > 0;
}
