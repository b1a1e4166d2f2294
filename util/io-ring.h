/*
 * The io_uring of an iothread: requests that are owed an answer, submitted in batches.
 * All of it belongs to one thread, which also is the one that made the ring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_IO_RING_H
#define UTIL_IO_RING_H

#include "util/iothread.h"

typedef struct IoRing IoRing;

/* NULL and errno where the kernel has none for us (sysctl, seccomp, RLIMIT_MEMLOCK). */
IoRing *io_ring_new(void);
void io_ring_free(IoRing *r); /* nothing may be in flight; NULL is fine */

/* Readable while there are completions. */
int io_ring_fd(const IoRing *r);

/* As io_thread_get_sqe(). */
struct io_uring_sqe *io_ring_get_sqe(IoRing *r, IoRequest *req);

/* False: the kernel did not take all of them for now. */
bool io_ring_submit(IoRing *r);

/* Runs what completed, a bounded number. True if there was something. */
bool io_ring_reap(IoRing *r);

#endif
