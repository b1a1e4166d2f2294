/*
 * What the two ends of the traffic programs say to each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_TRAFFIC_H
#define TESTS_BENCH_TRAFFIC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_BUFFER (256 * 1024)
#define UDP_BATCH 64
#define UDP_PAUSE_NS 200000
#define UDP_MAX_PAYLOAD 2048
#define MAX_STREAMS 64
#define MAX_SESSIONS 128

/* The first byte on each TCP connection: what the server shall do with it. */
enum {
    KIND_STREAM = 'S', /* swallow everything, then answer with a Report */
    KIND_ECHO = 'E',   /* one byte back for each one */
    KIND_ONCE = 'O',   /* one byte back for the first one, then the end */
    KIND_UDP = 'U',    /* answer with a port; a Report when the peer shuts its side down */
};

/* Host byte order: both ends run on one machine. */
typedef struct Report {
    uint64_t bytes;
    uint64_t packets;
    uint64_t ns;       /* between the first and the last of them */
} Report;

_Noreturn void die(const char *what);
uint64_t now_ns(void);
bool read_all(int fd, void *data, size_t size);
bool write_all(int fd, const void *data, size_t size);
int tcp_connect(const char *address, uint16_t port, uint8_t kind);
int udp_socket(const struct sockaddr_in *peer); /* NULL: bound to a port of the kernel's choice */

/* Sessions that send a byte and wait for one: on one connection each, or on one a round. */
typedef struct Rounds {
    const char *address;
    uint16_t port;
    uint64_t ns;
    unsigned sessions;
    bool connect;
} Rounds;

void run_rounds(const Rounds *what);

_Noreturn void serve(uint16_t port);

#endif
