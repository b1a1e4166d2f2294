/*
 * The floor of scripts/bench: two taps with N queues each, possibly in two network
 * namespaces, and a thread a queue that reads a packet here and writes it there. No
 * program in userspace that goes from tap to tap can be much faster.
 *
 * usage: tap-splice NETNS1 IFNAME1 NETNS2 IFNAME2 QUEUES
 *
 * Prints "ready" when packets can flow; ends on SIGTERM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap-bench.h"

#define MAX_QUEUES 64
#define BURST 64
/* Waking a sleeper costs as much as 20 packets: look again a few times first. */
#define IDLE_ROUNDS 20

typedef struct Pair {
    int fd[2];
    char *buffer;
} Pair;

static void enter_netns(const char *name)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "/run/netns/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
        tap_bench_die(path);
    }
    close(fd);
}

/* Moves at most BURST packets; false if there was none. */
static bool move(int from, int to, char *buffer)
{
    for (int i = 0; i < BURST; i++) {
        ssize_t n = read(from, buffer, TAP_BENCH_PACKET_MAX);

        if (n < 0) {
            if (errno != EAGAIN) {
                tap_bench_die("read");
            }
            return i > 0;
        }
        /* An interface that is down, or full, loses packets: as a wire does. */
        if (write(to, buffer, (size_t)n) < 0 && errno != EAGAIN && errno != EIO &&
            errno != EINVAL) {
            tap_bench_die("write");
        }
    }
    return true;
}

static void *splice_queue(void *opaque)
{
    Pair *p = opaque;
    struct pollfd fds[2] = {
        { .fd = p->fd[0], .events = POLLIN },
        { .fd = p->fd[1], .events = POLLIN },
    };
    int idle = 0;

    for (;;) {
        bool moved = move(p->fd[0], p->fd[1], p->buffer);

        moved |= move(p->fd[1], p->fd[0], p->buffer);
        idle = moved ? 0 : idle + 1;
        if (idle > IDLE_ROUNDS && poll(fds, 2, -1) < 0 && errno != EINTR) {
            tap_bench_die("poll");
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static Pair pairs[MAX_QUEUES];
    pthread_t thread;
    long n = argc == 6 ? strtol(argv[5], NULL, 10) : 0;

    if (n < 1 || n > MAX_QUEUES) {
        fprintf(stderr, "usage: tap-splice NETNS1 IFNAME1 NETNS2 IFNAME2 QUEUES\n");
        return 2;
    }
    for (int side = 0; side < 2; side++) {
        enter_netns(argv[1 + 2 * side]);
        for (long i = 0; i < n; i++) {
            pairs[i].fd[side] = tap_bench_open(argv[2 + 2 * side], n > 1);
        }
    }
    for (long i = 0; i < n; i++) {
        pairs[i].buffer = aligned_alloc(4096, (TAP_BENCH_PACKET_MAX + 4095) / 4096 * 4096);
        if (!pairs[i].buffer ||
            pthread_create(&thread, NULL, splice_queue, &pairs[i]) != 0) {
            tap_bench_die("thread");
        }
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
