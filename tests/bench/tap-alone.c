/*
 * The limit of scripts/bench virtio: a tap, and a thread that writes packets to it, reads them, or
 * does both in turns, without a ring, a guest or anything else. No back end can be faster for long
 * that moves them by the same system calls.
 *
 * usage: tap-alone IFNAME tx|rx|duplex plain|uring QUEUES SIZE
 *
 * tx: writes frames of SIZE bytes, in bursts, to the queues in turns. rx: sends a burst to the
 * interface by a packet socket, then reads it, so that sender and reader share a processor. duplex:
 * writes a burst and reads what the interface gives back of it. plain: by write() and read();
 * uring: a burst by one io_uring call. Until SIGTERM; who wants to know how fast that is looks at
 * the interface's counters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap-bench.h"

#define MAX_QUEUES 8
#define BUFFERS 256        /* of each direction: as many as a ring has that is 256 long */
#define SMALL_BUFFER 2240u /* DPDK's distance of two packets; a power of two is bad for caches */

typedef struct Alone {
    int fd[MAX_QUEUES];
    unsigned n_queues;
    size_t packet_len;
    size_t stride;
    uint8_t *buffer[2];    /* to write, to read into */
    unsigned next[2];
    bool use_uring;
    struct io_uring uring;
} Alone;

enum { WRITE, READ };

static void open_queues(Alone *a, const char *ifname)
{
    for (unsigned i = 0; i < a->n_queues; i++) {
        a->fd[i] = tap_bench_open(ifname, true);
    }
    tap_bench_up(ifname);
}

/* Shared, as a guest's memory is. */
static void fill_buffers(Alone *a)
{
    size_t size = a->stride * BUFFERS;

    for (unsigned dir = WRITE; dir <= READ; dir++) {
        a->buffer[dir] = mmap(NULL, size, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (a->buffer[dir] == MAP_FAILED) {
            tap_bench_die("memory");
        }
        for (unsigned i = 0; i < BUFFERS; i++) {
            tap_bench_packet(a->buffer[dir] + i * a->stride, a->packet_len - TAP_BENCH_HDR_LEN);
        }
    }
}

static void uring_init(Alone *a)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    struct iovec iov[] = { { a->buffer[WRITE], a->stride * BUFFERS },
                           { a->buffer[READ], a->stride * BUFFERS } };
    int r = io_uring_queue_init_params(TAP_BENCH_BURST, &a->uring, &params);

    if (r == 0) {
        r = io_uring_register_files(&a->uring, a->fd, a->n_queues);
    }
    if (r == 0) {
        r = io_uring_register_buffers(&a->uring, iov, 2);
    }
    if (r < 0) {
        errno = -r;
        tap_bench_die("io_uring");
    }
}

static uint8_t *next_buffer(Alone *a, unsigned dir)
{
    uint8_t *buffer = a->buffer[dir] + a->next[dir] * a->stride;

    a->next[dir] = (a->next[dir] + 1) % BUFFERS;
    return buffer;
}

/* An interface that is down takes nothing, one that is empty has nothing: both are no error. */
static void burst_plain(Alone *a, unsigned dir, unsigned queue)
{
    for (unsigned i = 0; i < TAP_BENCH_BURST; i++) {
        uint8_t *buffer = next_buffer(a, dir);
        /* libc's own are dearer, being points of cancellation */
        long n = dir == WRITE ? syscall(SYS_write, a->fd[queue], buffer, a->packet_len)
                              : syscall(SYS_read, a->fd[queue], buffer, a->stride);

        if (n < 0 && errno != EAGAIN && errno != EIO) {
            tap_bench_die(dir == WRITE ? "write" : "read");
        }
        if (n < 0) {
            break;
        }
    }
}

static void burst_uring(Alone *a, unsigned dir, unsigned queue)
{
    struct io_uring_cqe *cqe[TAP_BENCH_BURST];

    for (unsigned i = 0; i < TAP_BENCH_BURST; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&a->uring);
        uint8_t *buffer = next_buffer(a, dir);

        if (dir == WRITE) {
            io_uring_prep_write_fixed(sqe, (int)queue, buffer, (unsigned)a->packet_len, 0, WRITE);
        } else {
            io_uring_prep_read_fixed(sqe, (int)queue, buffer, (unsigned)a->stride, 0, READ);
            sqe->rw_flags = RWF_NOWAIT; /* else it waits for a packet, O_NONBLOCK or not */
        }
        sqe->flags |= IOSQE_FIXED_FILE;
    }
    if (io_uring_submit_and_wait(&a->uring, TAP_BENCH_BURST) < 0) {
        tap_bench_die("io_uring_enter");
    }
    io_uring_cq_advance(&a->uring, io_uring_peek_batch_cqe(&a->uring, cqe, TAP_BENCH_BURST));
}

static void burst(Alone *a, unsigned dir, unsigned queue)
{
    if (a->use_uring) {
        burst_uring(a, dir, queue);
    } else {
        burst_plain(a, dir, queue);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: tap-alone IFNAME tx|rx|duplex plain|uring QUEUES SIZE\n");
    return 2;
}

int main(int argc, char **argv)
{
    Alone a = { .n_queues = 0 };
    TapBenchSender sender;
    bool tx, rx;

    if (argc != 6) {
        return usage();
    }
    tx = strcmp(argv[2], "rx") != 0;
    rx = strcmp(argv[2], "tx") != 0;
    a.use_uring = strcmp(argv[3], "uring") == 0;
    if ((tx && rx && strcmp(argv[2], "duplex") != 0) ||
        (!a.use_uring && strcmp(argv[3], "plain") != 0)) {
        return usage();
    }
    a.n_queues = tap_bench_number(argv[4], 1, MAX_QUEUES);
    a.packet_len = TAP_BENCH_HDR_LEN + tap_bench_number(argv[5], 60, TAP_BENCH_PACKET_MAX - 20);
    a.stride = a.packet_len > SMALL_BUFFER ? (a.packet_len + 63) & ~(size_t)63 : SMALL_BUFFER;
    open_queues(&a, argv[1]);
    fill_buffers(&a);
    if (a.use_uring) {
        uring_init(&a);
    }
    if (!tx) {
        tap_bench_sender_init(&sender, argv[1], a.packet_len - TAP_BENCH_HDR_LEN);
    }
    puts("ready");
    fflush(stdout);
    for (unsigned queue = 0;; queue = (queue + 1) % a.n_queues) {
        if (tx) {
            burst(&a, WRITE, queue);
        } else {
            tap_bench_send(&sender);
        }
        if (rx) {
            burst(&a, READ, queue);
        }
    }
}
