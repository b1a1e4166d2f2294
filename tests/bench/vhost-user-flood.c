/*
 * For scripts/bench virtio: a vhost-user driver that sends the same packets again and again, as
 * fast as the back end takes them, until SIGTERM. It never looks into what it sends.
 *
 * usage: vhost-user-flood SOCKET SIZE poll|wait
 *
 * SIZE is a frame's; above Ethernet's it is a TCP segment to be cut up. poll: looks for room all
 * the time, and never asks for a call; wait: where the ring is full it sleeps until three quarters
 * of it came back, as Linux' driver does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tap-bench.h"
#include "vhost-user-front.h"

#define RING 256
#define BURST 32
#define TX 1                 /* index of a pair's second ring */
#define RINGS_GPA 0x100000ull
#define RINGS_SIZE 0x100000ull
#define BUFFERS_GPA 0x80000000ull
#define PAGE 4096ull

typedef struct Flood {
    VhostUserFront *front;
    VhostUserFrontRing tx;
    VhostUserFrontRing rx;   /* empty: nothing is received */
    uint32_t len;            /* of a packet, header included */
    uint64_t stride;         /* of its buffers */
    bool wait;
    unsigned next;
} Flood;

static void make_buffers(Flood *f)
{
    VhostUserFrontRegion *r;

    f->stride = (f->len + PAGE - 1) / PAGE * PAGE;
    r = vhost_user_front_make_region(f->front, BUFFERS_GPA, RING * f->stride);
    for (unsigned i = 0; i < RING; i++) {
        tap_bench_packet(r->host + i * f->stride, f->len - TAP_BENCH_HDR_LEN);
    }
}

static void ring_up(Flood *f, VhostUserFrontRing *ring, unsigned index, uint64_t gpa)
{
    VirtqDriverConfig c = { .size = RING, .features = f->front->features, .gpa = gpa };

    vhost_user_front_ring_init(f->front, ring, index, &c);
    virtq_driver_disarm(ring->driver);
    vhost_user_front_ring_start(f->front, ring);
    vhost_user_front_ring_enable(f->front, ring, true);
}

static void flood_init(Flood *f, const char *path)
{
    uint64_t features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_CSUM |
                        1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES;

    f->front = vhost_user_front_connect(path);
    if (!f->front) {
        tap_bench_die(path);
    }
    vhost_user_front_negotiate(f->front, features | (uint64_t)f->wait << VIRTIO_RING_F_EVENT_IDX,
                               VHOST_USER_FRONT_PROTOCOL);
    vhost_user_front_make_region(f->front, RINGS_GPA, RINGS_SIZE);
    make_buffers(f);
    vhost_user_front_share(f->front);
    ring_up(f, &f->rx, 0, RINGS_GPA);
    ring_up(f, &f->tx, TX, RINGS_GPA + RINGS_SIZE / 2);
}

/* What came back is sent again. */
static void send_burst(Flood *f)
{
    VirtqDriver *d = f->tx.driver;
    VirtqDriverPiece piece = { .len = f->len };
    uint32_t written;
    uint16_t id;

    while (virtq_driver_get(d, &id, &written)) {
        continue;
    }
    for (unsigned i = 0; i < BURST; i++) {
        piece.gpa = BUFFERS_GPA + f->next * f->stride;
        if (virtq_driver_add(d, &piece, 1, 0) < 0) {
            break;
        }
        f->next = (f->next + 1) % RING;
    }
    if (virtq_driver_publish(d)) {
        vhost_user_front_kick(&f->tx);
    }
}

/* The ring is full. */
static void wait_for_room(Flood *f)
{
    struct pollfd p = { .fd = f->tx.call_fd, .events = POLLIN };
    VirtqDriver *d = f->tx.driver;
    uint16_t enough = RING * 3 / 4;

    __atomic_store_n(&d->avail->ring[RING], (uint16_t)(d->next_used + enough - 1),
                     __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with that of virtq_flush() */
    if ((uint16_t)(__atomic_load_n(&d->used->idx, __ATOMIC_ACQUIRE) - d->next_used) < enough &&
        poll(&p, 1, -1) < 0) {
        tap_bench_die("poll");
    }
    vhost_user_front_was_called(&f->tx);
}

int main(int argc, char **argv)
{
    Flood f = { .next = 0 };

    f.wait = argc == 4 && strcmp(argv[3], "wait") == 0;
    if (argc != 4 || (!f.wait && strcmp(argv[3], "poll") != 0)) {
        fprintf(stderr, "usage: vhost-user-flood SOCKET SIZE poll|wait\n");
        return 2;
    }
    f.len = TAP_BENCH_HDR_LEN + tap_bench_number(argv[2], 60, 65535);
    flood_init(&f, argv[1]);
    puts("ready");
    fflush(stdout);
    for (;;) {
        send_burst(&f);
        if (f.wait && f.tx.driver->n_free == 0) {
            wait_for_room(&f);
        }
    }
}
