/*
 * What the tap layer takes for a packet to the host, by the length of bursts and by where packets
 * are: in memory that a guest shares with us, behind their headers or away from them, with or
 * without io_uring, or registered with it. Nanoseconds of processor time, the least of ROUNDS; what
 * they were is in docs/performance/.
 *
 * usage: tap-burst (as root: it makes a network namespace). The packets are for nobody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"
#include "net/tap.h"

#define PACKETS 256u /* as many as a ring has that is 256 long */
#define STRIDE  2240u
#define ROUNDS  16u
#define SENT    20480u /* in each */

typedef struct Bench {
    Netdev *nd;
    uint8_t *memory;
    struct virtio_net_hdr_v1 hdr[PACKETS];
    struct iovec iov[PACKETS];
    Pkt pkt[PACKETS];
} Bench;

/* How packets are given to the netdev. */
static const struct Way {
    const char *name;
    bool apart;      /* the header is not in front of the packet */
    bool bursts;
    bool registered;
} ways[] = {
    { "write(), one piece", false, false, false },
    { "write(), two pieces", true, false, false },
    { "io_uring, one piece", false, true, false },
    { "io_uring, two pieces", true, true, false },
    { "io_uring, registered", false, false, true },
};
static const unsigned bursts[] = { 1, 8, 32, 64 };
static const uint32_t lengths[] = { 64, 1500 };

#define WAYS    G_N_ELEMENTS(ways)
#define BURSTS  G_N_ELEMENTS(bursts)
#define LENGTHS G_N_ELEMENTS(lengths)

static void bench_packets(Bench *b, uint32_t len, bool apart)
{
    const FrameSpec spec = { .ip_version = 4, .udp = true, .payload = len - 42 };

    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t *hdr = b->memory + i * STRIDE;

        memset(hdr, 0, PKT_HDR_LEN);
        g_assert_cmpuint(frame_build(hdr + PKT_HDR_LEN, &spec), ==, len);
        b->iov[i] = (struct iovec){ hdr + PKT_HDR_LEN, len };
        b->pkt[i] = (Pkt){ .hdr = apart ? &b->hdr[i] : (void *)hdr, .iov = &b->iov[i],
                           .n_iov = 1, .len = len };
    }
}

static uint64_t processor_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static double bench_run(Bench *b, unsigned burst)
{
    uint64_t start = processor_ns();

    for (unsigned sent = 0; sent < SENT; sent += burst) {
        if (netdev_send(b->nd->queue[0], b->pkt + sent % PACKETS, burst) != burst) {
            fprintf(stderr, "tap-burst: the tap takes no more\n");
            exit(1);
        }
    }
    return (double)(processor_ns() - start) / SENT;
}

/* All in turn, as other work of the machine comes and goes. */
static void bench_round(Bench *b, double least[LENGTHS][WAYS][BURSTS])
{
    NetdevQueue *q = b->nd->queue[0];

    for (unsigned l = 0; l < LENGTHS; l++) {
        for (unsigned w = 0; w < WAYS; w++) {
            bench_packets(b, lengths[l], ways[w].apart);
            netdev_set_bursts(q, ways[w].bursts);
            netdev_set_send_buffer(q, ways[w].registered ? b->memory : NULL, PACKETS * STRIDE);
            for (unsigned i = 0; i < BURSTS; i++) {
                least[l][w][i] = MIN(least[l][w][i], bench_run(b, bursts[i]));
            }
        }
    }
}

static void bench_print(double least[LENGTHS][WAYS][BURSTS])
{
    printf("%-34s", "burst of");
    for (unsigned i = 0; i < BURSTS; i++) {
        printf("  %4u", bursts[i]);
    }
    printf("\n");
    for (unsigned l = 0; l < LENGTHS; l++) {
        for (unsigned w = 0; w < WAYS; w++) {
            printf("%4u bytes  %-23s", lengths[l], ways[w].name);
            for (unsigned i = 0; i < BURSTS; i++) {
                printf("  %4.0f", least[l][w][i]);
            }
            printf("\n");
        }
    }
}

int main(void)
{
    const TapConfig config = { .id = (char *)"n0", .ifname = (char *)"burst0", .queues = 1,
                               .has_queues = true, .script = (char *)"no",
                               .downscript = (char *)"no" };
    g_autofree Bench *b = g_new0(Bench, 1);
    g_autoptr(GError) error = NULL;
    double least[LENGTHS][WAYS][BURSTS];
    int fd = memfd_create("guest", MFD_CLOEXEC);

    if (unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "tap-burst: no network namespace: %s\n", g_strerror(errno));
        return 1;
    }
    b->nd = tap_new(&config, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(system("ip link set burst0 up"), ==, 0);
    g_assert_cmpint(ftruncate(fd, (off_t)(PACKETS * STRIDE)), ==, 0);
    b->memory = mmap(NULL, PACKETS * STRIDE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                     0);
    g_assert_true(b->memory != MAP_FAILED);
    for (double *d = least[0][0]; d < least[0][0] + LENGTHS * WAYS * BURSTS; d++) {
        *d = G_MAXDOUBLE;
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        bench_round(b, least);
    }
    bench_print(least);
    netdev_free(b->nd);
    return 0;
}
