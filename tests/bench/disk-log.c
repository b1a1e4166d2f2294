/*
 * A log of writes to a disk whose server may be killed: nothing that was acknowledged may be lost,
 * nothing older may come back. Each block of the disk has the generation that was last written to
 * it, and where it belongs. The log, in memory, has which one was acknowledged, and which one when
 * a flush was that began after it.
 *
 * A block is read before it is written, and has to have the acknowledged generation: a write of a
 * server that is long dead would show there. One request a block at a time, as many as are said in
 * all, of blocks chosen at random; a flush after some writes, while others go on.
 *
 * SIGUSR1: no more requests; when those that were made have ended, all blocks are read and
 * compared, a line says what was found, and it goes on. SIGTERM: the same, and the end. Exit status
 * 0: all was well.
 *
 * usage: disk-log FILE FIRST-BYTE BLOCKS SIZE DEPTH
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BLOCKS      65536u
#define MAX_DEPTH       64u
#define MAX_SIZE        (1u << 20)
#define PAGE            4096u
#define SECTOR          512u
#define WRITES_A_FLUSH  32u
#define FLUSH           MAX_DEPTH /* user_data of a flush; others have their slot */
#define COMPLAINTS      10u

/* What a sector begins with. */
typedef struct Stamp {
    uint64_t generation; /* 0: never written by us */
    uint64_t block;
} Stamp;

typedef struct Block {
    uint64_t acknowledged;
    uint64_t flushed;
    bool busy;
} Block;

typedef struct Slot {
    unsigned char *buffer;
    uint32_t block;
    bool writes;
} Slot;

typedef struct Log {
    int fd;
    uint64_t first;
    uint32_t blocks;
    uint32_t size;
    uint32_t depth;
    uint64_t random;
    Block block[MAX_BLOCKS];
    uint64_t at_flush[MAX_BLOCKS]; /* acknowledged when the flush began that is on its way */
    Slot slot[MAX_DEPTH];
    uint32_t idle[MAX_DEPTH];
    uint32_t n_idle;
    bool flushing;
    uint32_t unflushed;
    uint64_t reads, writes, flushes, wrong;
    struct io_uring ring;
} Log;

static volatile sig_atomic_t asked; /* the signal */

static void on_signal(int sig)
{
    if (asked != SIGTERM) {
        asked = sig;
    }
}

static void die(const char *what, int err)
{
    printf("disk-log: %s: %s\n", what, strerror(err));
    exit(1);
}

static uint64_t number(const char *arg, uint64_t min, uint64_t max)
{
    char *end;
    uint64_t n = strtoull(arg, &end, 10);

    if (*end != '\0' || end == arg || n < min || n > max) {
        fprintf(stderr, "disk-log: '%s' is no number from %" PRIu64 " to %" PRIu64 "\n", arg, min,
                max);
        exit(2);
    }
    return n;
}

static uint32_t below(Log *l, uint32_t n)
{
    l->random = l->random * 6364136223846793005ul + 1442695040888963407ul;
    return (uint32_t)(l->random >> 33) % n;
}

/* Each sector has the stamp, and after it bytes that follow from it. */
static void fill(Log *l, unsigned char *buffer, uint32_t block, uint64_t generation)
{
    for (uint32_t at = 0; at < l->size; at += SECTOR) {
        Stamp s = { .generation = generation, .block = block * (uint64_t)l->size + at };

        memset(buffer + at, (int)(generation + at / SECTOR), SECTOR);
        memcpy(buffer + at, &s, sizeof(s));
    }
}

static void complain(Log *l, uint32_t block, uint32_t at, const Stamp *s)
{
    if (l->wrong++ < COMPLAINTS) {
        const Block *b = &l->block[block];

        printf("block %" PRIu32 " sector %" PRIu32 ": generation %" PRIu64 " of byte %" PRIu64
               ", acknowledged %" PRIu64 ", flushed %" PRIu64 "\n", block, at / SECTOR,
               s->generation, s->block, b->acknowledged, b->flushed);
    }
}

/* True if the block has the generation that was acknowledged, all over. */
static bool compare(Log *l, const unsigned char *buffer, uint32_t block)
{
    uint64_t generation = l->block[block].acknowledged;

    for (uint32_t at = 0; at < l->size; at += SECTOR) {
        Stamp s;

        memcpy(&s, buffer + at, sizeof(s));
        if (generation == 0) {
            continue; /* whatever was there */
        }
        if (s.generation != generation || s.block != block * (uint64_t)l->size + at ||
            buffer[at + SECTOR - 1] != (unsigned char)(generation + at / SECTOR)) {
            complain(l, block, at, &s);
            return false;
        }
    }
    return true;
}

static void ask(Log *l, uint32_t n, bool writes)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);
    Slot *s = &l->slot[n];
    uint64_t at = l->first + s->block * (uint64_t)l->size;

    s->writes = writes;
    if (writes) {
        fill(l, s->buffer, s->block, l->block[s->block].acknowledged + 1);
        io_uring_prep_write(sqe, l->fd, s->buffer, l->size, at);
    } else {
        io_uring_prep_read(sqe, l->fd, s->buffer, l->size, at);
    }
    sqe->user_data = n;
}

static void ask_flush(Log *l)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

    for (uint32_t b = 0; b < l->blocks; b++) {
        l->at_flush[b] = l->block[b].acknowledged;
    }
    io_uring_prep_fsync(sqe, l->fd, IORING_FSYNC_DATASYNC);
    sqe->user_data = FLUSH;
    l->flushing = true;
    l->unflushed = 0;
}

static void flushed(Log *l)
{
    for (uint32_t b = 0; b < l->blocks; b++) {
        l->block[b].flushed = l->at_flush[b];
    }
    l->flushing = false;
    l->flushes++;
}

static void release(Log *l, uint32_t n)
{
    l->block[l->slot[n].block].busy = false;
    l->idle[l->n_idle++] = n;
}

/* A request has ended; one that read a block goes on to write it, unless all is to end. */
static void ended(Log *l, uint64_t n, int res, bool go_on)
{
    Slot *s;

    /* What io_uring does not want to wait for, when it is asked again of a restored disk. */
    if (res == -EAGAIN) {
        if (n == FLUSH) {
            ask_flush(l);
        } else {
            ask(l, (uint32_t)n, l->slot[n].writes);
        }
        return;
    }
    if (res < 0 || (n != FLUSH && res != (int)l->size)) {
        die(n == FLUSH ? "a flush" : l->slot[n].writes ? "a write" : "a read",
            res < 0 ? -res : EIO);
    }
    if (n == FLUSH) {
        flushed(l);
        return;
    }
    s = &l->slot[n];
    if (s->writes) {
        l->block[s->block].acknowledged++;
        l->writes++;
        l->unflushed++;
        release(l, (uint32_t)n);
        return;
    }
    compare(l, s->buffer, s->block);
    l->reads++;
    if (go_on) {
        ask(l, (uint32_t)n, true);
    } else {
        release(l, (uint32_t)n);
    }
}

/* Waits for one request at least; a signal ends the wait. */
static void reap(Log *l, bool go_on)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    int r = io_uring_submit_and_wait(&l->ring, 1);

    if (r < 0 && r != -EINTR) {
        die("io_uring_enter", -r);
    }
    io_uring_for_each_cqe(&l->ring, head, cqe) {
        ended(l, cqe->user_data, cqe->res, go_on);
        n++;
    }
    io_uring_cq_advance(&l->ring, n);
}

/* All that may be on their way are, so that nothing is asked for while nothing is answered. */
static void load(Log *l)
{
    while (!asked) {
        while (l->n_idle > 0) {
            uint32_t b = below(l, l->blocks);

            while (l->block[b].busy) {
                b = (b + 1) % l->blocks;
            }
            l->block[b].busy = true;
            l->slot[l->idle[--l->n_idle]].block = b;
            ask(l, l->idle[l->n_idle], false);
        }
        if (!l->flushing && l->unflushed >= WRITES_A_FLUSH) {
            ask_flush(l);
        }
        reap(l, true);
    }
    while (l->n_idle < l->depth || l->flushing) {
        reap(l, false);
    }
}

/* Reads every block. */
static void verify(Log *l)
{
    for (uint32_t b = 0; b < l->blocks || l->n_idle < l->depth; ) {
        if (l->n_idle > 0 && b < l->blocks) {
            l->slot[l->idle[--l->n_idle]].block = b++;
            ask(l, l->idle[l->n_idle], false);
        } else {
            reap(l, false);
        }
    }
}

static void log_open(Log *l, char **argv)
{
    struct sigaction sa = { .sa_handler = on_signal };
    int r;

    l->fd = open(argv[1], O_RDWR | O_DIRECT);
    if (l->fd < 0) {
        die(argv[1], errno);
    }
    l->first = number(argv[2], 0, INT64_MAX);
    l->blocks = (uint32_t)number(argv[3], 1, MAX_BLOCKS);
    l->size = (uint32_t)number(argv[4], SECTOR, MAX_SIZE) / SECTOR * SECTOR;
    l->depth = (uint32_t)number(argv[5], 1, l->blocks < MAX_DEPTH ? l->blocks : MAX_DEPTH);
    for (uint32_t i = 0; i < l->depth; i++) {
        l->slot[i].buffer = aligned_alloc(PAGE, (l->size + PAGE - 1) / PAGE * PAGE);
        if (!l->slot[i].buffer) {
            die("memory", ENOMEM);
        }
        l->idle[l->n_idle++] = i;
    }
    r = io_uring_queue_init(2 * MAX_DEPTH, &l->ring, 0);
    if (r < 0) {
        die("io_uring", -r);
    }
    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

int main(int argc, char **argv)
{
    static Log l;
    bool last;

    if (argc != 6) {
        fprintf(stderr, "usage: disk-log FILE FIRST-BYTE BLOCKS SIZE DEPTH\n");
        return 2;
    }
    log_open(&l, argv);
    do {
        load(&l);
        last = asked == SIGTERM;
        asked = 0;
        verify(&l);
        printf("%s: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " flushes\n",
               l.wrong == 0 ? "well" : "WRONG", l.reads, l.writes, l.flushes);
    } while (!last && l.wrong == 0);
    return l.wrong == 0 ? 0 : 1;
}
