/*
 * What the programs of scripts/bench that hold a tap have in common: the tap as ringtap opens it,
 * and a sender to it. Plain, as they are: without glib and without the project's code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_TAP_BENCH_H
#define TESTS_BENCH_TAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/socket.h>

#define TAP_BENCH_HDR_LEN 12    /* virtio_net_hdr_v1 */
#define TAP_BENCH_PACKET_MAX (TAP_BENCH_HDR_LEN + 65550)
#define TAP_BENCH_BURST 64
#define TAP_BENCH_MSS 1448

/* Says why, by errno. */
noreturn void tap_bench_die(const char *what);

/* A queue of the tap, not blocking, with a vnet header and all offloads. */
int tap_bench_open(const char *ifname, bool multi_queue);
/* Its interface is up, and does not send packets of its own. */
void tap_bench_up(const char *ifname);

/*
 * A vnet header and a frame of @len bytes behind it: UDP, or a TCP segment to be cut up if it is
 * longer than Ethernet has them.
 */
void tap_bench_packet(uint8_t *buf, size_t len);

/* Sends the same frames again and again, past the queueing discipline. */
typedef struct TapBenchSender {
    int sock;
    uint8_t *packet;
    struct iovec *iov;
    struct mmsghdr msg[TAP_BENCH_BURST];
} TapBenchSender;

void tap_bench_sender_init(TapBenchSender *s, const char *ifname, size_t frame_len);
/* A burst. A tap that is full loses some. */
void tap_bench_send(TapBenchSender *s);

/* The argument as a number from @min to @max; ends the program if it is none. */
unsigned tap_bench_number(const char *arg, unsigned min, unsigned max);

#endif
