/*
 * A multiqueue tap in a network namespace of the test's own, and a packet socket on it:
 * the host's network stack as it sees the guest. What the socket carries has a
 * virtio_net_hdr, so offloads are seen as they are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_HOST_TAP_H
#define TESTS_LIB_HOST_TAP_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_TAP_MAX_QUEUES 64

typedef struct HostTap {
    char ifname[16];
    unsigned n_queues;
    int fd[HOST_TAP_MAX_QUEUES]; /* for the program under test */
    int sock;
} HostTap;

/* In the namespace that netns_enter() entered. @vnet_hdr: of what the program reads and writes. */
HostTap *host_tap_new(unsigned n_queues, bool vnet_hdr);
/* After the program has them: the tap ends with the program. */
void host_tap_close_fds(HostTap *t);
void host_tap_free(HostTap *t);

/* The program has another one now: up, and its traffic is what is seen from here on. */
void host_tap_follow(HostTap *t, const char *ifname);

/* The carrier is on: what is sent is not lost. Or it is off. */
void host_tap_wait_running(HostTap *t);
void host_tap_wait_stopped(HostTap *t);
void host_tap_set_mtu(HostTap *t, int mtu);
void host_tap_set_down(HostTap *t); /* for good: nothing can be received any more */

/*
 * The next frame that came from the guest, a VLAN tag included; its length, or 0 if none
 * comes in @timeout_ms. @buf has room for FRAME_MAX of tests/lib/frames.h.
 */
size_t host_tap_recv(HostTap *t, struct virtio_net_hdr *ret_hdr, uint8_t *buf, int timeout_ms);

/* @hdr NULL: a complete frame. */
void host_tap_send(HostTap *t, const struct virtio_net_hdr *hdr, const uint8_t *buf, size_t len);

#endif
