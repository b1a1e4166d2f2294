/*
 * For scenarios: a VMM and its guest in one small program, whose driver has a tap of its own. What
 * comes from that tap is sent by the NIC, what the NIC receives goes to it: so the traffic is that
 * of the kernel's own TCP.
 *
 * usage: vhost-user-tap SOCKET INTERFACE PAIRS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vhost-user-front.h"

#define BIT(n)      (1ull << (n))
#define MAX_PAIRS   4u
#define RING        128u
#define BUFFER      0x11000u     /* 64 KiB and a header */
#define HDR         12
#define RINGS_GPA   0ull         /* 128 KiB each */
#define BUFFERS_GPA 0x80000000ull
#define BURST       64u

typedef struct Pair {
    VhostUserFrontRing rx, tx;
    int tap_fd;
    uint64_t rx_gpa, tx_gpa; /* of the first buffer */
} Pair;

typedef struct Nic {
    VhostUserFront *front;
    unsigned n;
    Pair pair[MAX_PAIRS];
} Nic;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_tap(const char *name, unsigned pairs)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), hdr = HDR;
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

    ifr.ifr_flags = (short)(ifr.ifr_flags | (pairs > 1 ? IFF_MULTI_QUEUE : 0));
    g_strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &hdr) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4)) < 0) {
        die(name);
    }
    return fd;
}

static void ring_up(Nic *nic, VhostUserFrontRing *r, unsigned index)
{
    VirtqDriverConfig c = {
        .size = RING, .features = nic->front->features, .gpa = RINGS_GPA + index * 0x20000ull
    };

    vhost_user_front_ring_init(nic->front, r, index, &c);
    vhost_user_front_ring_start(nic->front, r);
    vhost_user_front_ring_enable(nic->front, r, true);
}

static void post_rx(Pair *p, unsigned slot)
{
    VirtqDriverPiece piece = { .gpa = p->rx_gpa + slot * (uint64_t)BUFFER, .len = BUFFER };

    if (virtq_driver_add(p->rx.driver, &piece, 0, 1) != (int)slot) {
        fprintf(stderr, "an rx buffer has the id of another\n");
        exit(1);
    }
}

static void nic_up(Nic *nic, const char *path, const char *ifname)
{
    uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_CSUM) |
                        BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
                        BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_MQ) |
                        BIT(VHOST_USER_F_PROTOCOL_FEATURES);

    nic->front = vhost_user_front_connect(path);
    if (!nic->front) {
        die(path);
    }
    vhost_user_front_negotiate(nic->front, features, VHOST_USER_FRONT_PROTOCOL);
    vhost_user_front_make_region(nic->front, RINGS_GPA, 2 * nic->n * 0x20000ull);
    vhost_user_front_make_region(nic->front, BUFFERS_GPA, 2ull * nic->n * RING * BUFFER);
    vhost_user_front_share(nic->front);
    for (unsigned i = 0; i < nic->n; i++) {
        Pair *p = &nic->pair[i];

        p->tap_fd = open_tap(ifname, nic->n);
        p->rx_gpa = BUFFERS_GPA + 2ull * i * RING * BUFFER;
        p->tx_gpa = p->rx_gpa + (uint64_t)RING * BUFFER;
        ring_up(nic, &p->rx, 2 * i);
        ring_up(nic, &p->tx, 2 * i + 1);
        for (unsigned k = 0; k < RING; k++) {
            post_rx(p, k);
        }
        virtq_driver_publish(p->rx.driver);
        vhost_user_front_kick(&p->rx);
    }
}

/* From the NIC to the tap. */
static bool take_rx(Nic *nic, Pair *p)
{
    uint32_t len;
    uint16_t id;
    unsigned n = 0;

    while (n < BURST && virtq_driver_get(p->rx.driver, &id, &len)) {
        uint8_t *data = vhost_user_front_host(nic->front, p->rx_gpa + id * (uint64_t)BUFFER);

        (void)!write(p->tap_fd, data, len); /* what it does not take is lost, as on any wire */
        post_rx(p, id);
        n++;
    }
    if (n > 0 && virtq_driver_publish(p->rx.driver)) {
        vhost_user_front_kick(&p->rx);
    }
    return n > 0;
}

/* From the tap to the NIC. False: there was nothing, or there is no room. */
static bool send_tx(Nic *nic, Pair *p)
{
    VirtqDriver *d = p->tx.driver;
    uint32_t written;
    uint16_t id;
    unsigned n = 0;

    while (virtq_driver_get(d, &id, &written)) {
        continue;
    }
    while (n < BURST && d->n_free > 0) {
        uint64_t gpa = p->tx_gpa + d->free_id * (uint64_t)BUFFER;
        ssize_t len = read(p->tap_fd, vhost_user_front_host(nic->front, gpa), BUFFER);
        VirtqDriverPiece piece = { .gpa = gpa, .len = (uint32_t)len };

        if (len <= 0 || virtq_driver_add(d, &piece, 1, 0) < 0) {
            break;
        }
        n++;
    }
    if (n > 0 && virtq_driver_publish(d)) {
        vhost_user_front_kick(&p->tx);
    }
    return n > 0;
}

static void nic_run(Nic *nic)
{
    struct pollfd fd[3 * MAX_PAIRS];
    bool work = true;

    for (;;) {
        for (unsigned i = 0; i < nic->n; i++) {
            Pair *p = &nic->pair[i];

            vhost_user_front_was_called(&p->rx);
            vhost_user_front_was_called(&p->tx);
            fd[3 * i] = (struct pollfd){ p->rx.call_fd, POLLIN, 0 };
            fd[3 * i + 1] = (struct pollfd){ p->tx.call_fd, POLLIN, 0 };
            fd[3 * i + 2] = (struct pollfd){ p->tx.driver->n_free ? p->tap_fd : -1, POLLIN, 0 };
        }
        work = false;
        for (unsigned i = 0; i < nic->n; i++) {
            work |= take_rx(nic, &nic->pair[i]);
            work |= send_tx(nic, &nic->pair[i]);
            fd[3 * i + 2].fd = nic->pair[i].tx.driver->n_free ? nic->pair[i].tap_fd : -1;
        }
        if (!work && poll(fd, 3 * nic->n, -1) < 0 && errno != EINTR) {
            die("poll");
        }
    }
}

int main(int argc, char **argv)
{
    Nic nic = { 0 };
    guint64 n;

    if (argc != 4 || !g_ascii_string_to_unsigned(argv[3], 10, 1, MAX_PAIRS, &n, NULL)) {
        fprintf(stderr, "usage: vhost-user-tap SOCKET INTERFACE PAIRS (1 to %u)\n", MAX_PAIRS);
        return 2;
    }
    nic.n = (unsigned)n;
    nic_up(&nic, argv[1], argv[2]);
    puts("ready");
    fflush(stdout);
    nic_run(&nic);
    return 0;
}
