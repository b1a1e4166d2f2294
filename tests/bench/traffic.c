/*
 * Traffic between two network stacks, with a figure at the end; for scripts/bench.
 *
 * usage: traffic serve PORT
 *        traffic stream ADDRESS PORT SECONDS STREAMS     bytes=N ns=N
 *        traffic udp ADDRESS PORT SECONDS STREAMS SIZE   sent=N received=N bytes=N ns=N
 *        traffic rr ADDRESS PORT SECONDS [SESSIONS]      rounds=N ns=N p50=N p99=N
 *        traffic crr ADDRESS PORT SECONDS [SESSIONS]     the same, a connection a round
 *
 * SECONDS may have a fraction; ns is as the receiver sees it; SIZE is that of the frame; p50 and
 * p99 are in ns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADERS 42 /* Ethernet, IPv4 and UDP */

typedef struct Stream {
    pthread_t thread;
    const char *address;
    uint16_t port;
    uint64_t ns;
    size_t payload;
    uint64_t sent;
    Report report;
} Stream;

static void finish(int fd, Report *report)
{
    shutdown(fd, SHUT_WR);
    if (!read_all(fd, report, sizeof(*report))) {
        die("no report from the server");
    }
    close(fd);
}

static void *run_stream(void *opaque)
{
    Stream *s = opaque;
    int fd = tcp_connect(s->address, s->port, KIND_STREAM);
    char *buffer = calloc(1, STREAM_BUFFER);
    uint64_t end = now_ns() + s->ns;

    while (buffer && now_ns() < end) {
        if (!write_all(fd, buffer, STREAM_BUFFER)) {
            die("write");
        }
    }
    finish(fd, &s->report);
    free(buffer);
    return NULL;
}

static void *run_udp(void *opaque)
{
    Stream *s = opaque;
    int fd = tcp_connect(s->address, s->port, KIND_UDP);
    struct sockaddr_in to = { .sin_family = AF_INET };
    char data[UDP_MAX_PAYLOAD] = { 0 };
    struct iovec iov = { data, s->payload };
    struct mmsghdr msgs[UDP_BATCH] = { 0 };
    uint64_t end;
    int udp;

    if (!read_all(fd, &to.sin_port, sizeof(to.sin_port)) ||
        inet_pton(AF_INET, s->address, &to.sin_addr) != 1) {
        die("no port from the server");
    }
    udp = udp_socket(&to);
    for (int i = 0; i < UDP_BATCH; i++) {
        msgs[i].msg_hdr.msg_iov = &iov;
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    for (end = now_ns() + s->ns; now_ns() < end;) {
        int n = sendmmsg(udp, msgs, UDP_BATCH, 0);

        s->sent += n > 0 ? (uint64_t)n : 0;
    }
    finish(fd, &s->report);
    close(udp);
    return NULL;
}

/* All streams at once; the sum of what their receivers saw. */
static void run_streams(Stream model, unsigned n, void *(*run)(void *), bool udp)
{
    static Stream streams[MAX_STREAMS];
    Report sum = { 0 };
    uint64_t sent = 0;

    for (unsigned i = 0; i < n; i++) {
        streams[i] = model;
        if (pthread_create(&streams[i].thread, NULL, run, &streams[i]) != 0) {
            die("thread");
        }
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(streams[i].thread, NULL);
        sum.bytes += streams[i].report.bytes;
        sum.packets += streams[i].report.packets;
        sum.ns = sum.ns > streams[i].report.ns ? sum.ns : streams[i].report.ns;
        sent += streams[i].sent;
    }
    if (udp) {
        printf("sent=%" PRIu64 " received=%" PRIu64 " ", sent, sum.packets);
    }
    printf("bytes=%" PRIu64 " ns=%" PRIu64 "\n", sum.bytes, sum.ns);
}

static unsigned long number(char **argv, int argc, int i, unsigned long max)
{
    unsigned long n = i < argc ? strtoul(argv[i], NULL, 10) : 0;

    if (n < 1 || n > max) {
        fprintf(stderr, "traffic: see the head of tests/bench/traffic.c for the arguments\n");
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    Stream model = { .address = argc > 2 ? argv[2] : NULL };
    Rounds rounds = { .sessions = 1, .connect = strcmp(mode, "crr") == 0 };
    size_t size;

    if (strcmp(mode, "serve") == 0) {
        serve((uint16_t)number(argv, argc, 2, 65535));
    }
    model.port = (uint16_t)number(argv, argc, 3, 65535);
    model.ns = (uint64_t)(argc > 4 ? strtod(argv[4], NULL) * 1e9 : 0);
    if (model.ns == 0 || model.ns > UINT64_C(3600000000000)) {
        number(argv, argc, argc, 1);
    }
    if (strcmp(mode, "rr") == 0 || rounds.connect) {
        rounds.address = model.address;
        rounds.port = model.port;
        rounds.ns = model.ns;
        if (argc > 5) {
            rounds.sessions = (unsigned)number(argv, argc, 5, MAX_SESSIONS);
        }
        run_rounds(&rounds);
    } else if (strcmp(mode, "stream") == 0) {
        run_streams(model, (unsigned)number(argv, argc, 5, MAX_STREAMS), run_stream, false);
    } else if (strcmp(mode, "udp") == 0) {
        size = number(argv, argc, 6, 1514);
        model.payload = size > HEADERS + 1 ? size - HEADERS : 1;
        run_streams(model, (unsigned)number(argv, argc, 5, MAX_STREAMS), run_udp, true);
    } else {
        number(argv, argc, argc, 1);
    }
    return 0;
}
