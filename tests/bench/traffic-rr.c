/*
 * Requests and answers of a byte, by many sessions at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "traffic.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_ROUNDS (4U << 20)

typedef struct Session {
    pthread_t thread;
    const Rounds *what;
    uint64_t end;     /* the same for all: 100 threads do not start at once */
    uint32_t *rounds; /* how long each one took, in ns */
    size_t n, max;
} Session;

static void one_round(const Session *s, int fd)
{
    char byte = 0;

    if (s->what->connect) {
        fd = tcp_connect(s->what->address, s->what->port, KIND_ONCE);
    }
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) {
        die("round");
    }
    if (s->what->connect) {
        /* The server closes first: the wait of a port that was in use is there. */
        if (read(fd, &byte, 1) != 0) {
            die("end of a round");
        }
        close(fd);
    }
}

static void *run_session(void *opaque)
{
    Session *s = opaque;
    int fd = s->what->connect ? -1 : tcp_connect(s->what->address, s->what->port, KIND_ECHO);
    uint64_t before = now_ns(), after = before;

    while (s->n < s->max && after < s->end) {
        one_round(s, fd);
        after = now_ns();
        s->rounds[s->n++] = (uint32_t)(after - before);
        before = after;
    }
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void run_rounds(const Rounds *what)
{
    static Session sessions[MAX_SESSIONS];
    uint32_t *rounds = calloc(MAX_ROUNDS, sizeof(*rounds));
    size_t max = MAX_ROUNDS / what->sessions, n = 0;
    uint64_t start = now_ns(), ns;

    if (!rounds) {
        die("rounds");
    }
    for (unsigned i = 0; i < what->sessions; i++) {
        sessions[i] = (Session){
            .what = what, .end = start + what->ns, .rounds = rounds + i * max, .max = max
        };
        if (pthread_create(&sessions[i].thread, NULL, run_session, &sessions[i]) != 0) {
            die("thread");
        }
    }
    for (unsigned i = 0; i < what->sessions; i++) {
        pthread_join(sessions[i].thread, NULL);
    }
    ns = now_ns() - start;
    /* Their figures side by side, in place: each goes to where it was, or before. */
    for (unsigned i = 0; i < what->sessions; i++) {
        for (size_t k = 0; k < sessions[i].n; k++) {
            rounds[n++] = sessions[i].rounds[k];
        }
    }
    if (n == 0) {
        die("no round");
    }
    qsort(rounds, n, sizeof(*rounds), compare);
    printf("rounds=%zu ns=%" PRIu64 " p50=%u p99=%u\n", n, ns, rounds[n / 2],
           rounds[n * 99 / 100]);
    free(rounds);
}
