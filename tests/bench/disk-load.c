/*
 * Requests to a disk or a file, at random places, and as many at a time as are said: prints how
 * many ended in a second. Without fio, whose sixty libraries take a guest under emulation longer
 * to load than what is measured.
 *
 * usage: disk-load FILE read|write SIZE DEPTH SECONDS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH 256u
#define MAX_SIZE  (4u << 20)
#define PAGE      4096u
#define RAMP      0.2  /* seconds that do not count */

typedef struct Load {
    int fd;
    int writes;
    unsigned size;
    unsigned depth;
    unsigned long blocks; /* of that size, in the file */
    unsigned long random;
    unsigned char *buffer[MAX_DEPTH];
    struct io_uring ring;
} Load;

static void die(const char *what, int err)
{
    fprintf(stderr, "disk-load: %s: %s\n", what, strerror(err));
    exit(1);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned number(const char *arg, unsigned max)
{
    char *end;
    unsigned long n = strtoul(arg, &end, 10);

    if (*end != '\0' || n == 0 || n > max) {
        fprintf(stderr, "disk-load: '%s' is no number from 1 to %u\n", arg, max);
        exit(2);
    }
    return (unsigned)n;
}

static void load_open(Load *l, const char *path)
{
    off_t end;
    int r;

    l->fd = open(path, l->writes ? O_RDWR | O_DIRECT : O_RDONLY | O_DIRECT);
    if (l->fd < 0 && errno == EINVAL) { /* a file in memory */
        l->fd = open(path, l->writes ? O_RDWR : O_RDONLY);
    }
    if (l->fd < 0 || (end = lseek(l->fd, 0, SEEK_END)) < 0) {
        die(path, errno);
    }
    l->blocks = (unsigned long)end / l->size;
    if (l->blocks == 0) {
        die(path, ENOSPC);
    }
    for (unsigned i = 0; i < l->depth; i++) {
        l->buffer[i] = aligned_alloc(PAGE, (l->size + PAGE - 1) / PAGE * PAGE);
        if (!l->buffer[i]) {
            die("memory", ENOMEM);
        }
        memset(l->buffer[i], (int)i + 1, l->size);
    }
    r = io_uring_queue_init(l->depth, &l->ring, 0);
    if (r < 0) {
        die("io_uring", -r);
    }
}

/* The next request, with buffer number @i. The same places in each run. */
static void load_ask(Load *l, unsigned i)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);
    unsigned long at;

    l->random = l->random * 6364136223846793005ul + 1442695040888963407ul;
    at = (l->random >> 33) % l->blocks * l->size;
    if (l->writes) {
        io_uring_prep_write(sqe, l->fd, l->buffer[i], l->size, at);
    } else {
        io_uring_prep_read(sqe, l->fd, l->buffer[i], l->size, at);
    }
    sqe->user_data = i;
}

/* Requests that ended until @end. */
static unsigned long load_run(Load *l, double end)
{
    unsigned long done = 0;

    while (now() < end) {
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned n = 0;
        int r = io_uring_submit_and_wait(&l->ring, 1);

        if (r < 0 && r != -EINTR) {
            die("io_uring_enter", -r);
        }
        io_uring_for_each_cqe(&l->ring, head, cqe) {
            if (cqe->res != (int)l->size) {
                die("a request", cqe->res < 0 ? -cqe->res : EIO);
            }
            load_ask(l, (unsigned)cqe->user_data);
            n++;
        }
        io_uring_cq_advance(&l->ring, n);
        done += n;
    }
    return done;
}

int main(int argc, char **argv)
{
    static Load l;
    unsigned long done;
    double seconds = 0, start;
    char *end = NULL;

    if (argc == 6) {
        seconds = strtod(argv[5], &end);
    }
    if (argc != 6 || *end != '\0' || !(seconds > 0) ||
        (strcmp(argv[2], "read") != 0 && strcmp(argv[2], "write") != 0)) {
        fprintf(stderr, "usage: disk-load FILE read|write SIZE DEPTH SECONDS\n");
        return 2;
    }
    l.writes = strcmp(argv[2], "write") == 0;
    l.size = number(argv[3], MAX_SIZE);
    l.depth = number(argv[4], MAX_DEPTH);
    load_open(&l, argv[1]);
    for (unsigned i = 0; i < l.depth; i++) {
        load_ask(&l, i);
    }
    load_run(&l, now() + RAMP);
    start = now();
    done = load_run(&l, start + seconds);
    printf("%.0f\n", (double)done / (now() - start));
    return 0;
}
