/*
 * /dev/vhost-net without a kernel that has it: a program that is linked with --wrap=ioctl has what
 * it asks of descriptors of fake_vhost_open() answered here, and its rings served when the test
 * says so. One thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_FAKE_VHOST_H
#define TESTS_LIB_FAKE_VHOST_H

#include "fake-netdev.h"
#include "hw/virtio/virtq.h"

#define FAKE_VHOST_MAX 16u

typedef struct FakeVhostRing {
    uint32_t num;
    uint32_t base;
    VirtqSetup setup;
    int kick_fd, call_fd, err_fd, backend_fd; /* -1: none */
    Virtq vq;                                 /* while there is a backend */
} FakeVhostRing;

typedef struct FakeVhost {
    int fd;             /* -1: this one is not in use */
    bool owned;
    uint64_t features;  /* those that it was told */
    uint64_t log;
    uint32_t poll_us;
    GuestMem *mem;
    FakeVhostRing ring[2];
    unsigned starts;    /* of both rings */
} FakeVhost;

/* For netdev queue: the caller closes it. @features are what it has. */
int fake_vhost_open(uint64_t features);
FakeVhost *fake_vhost_of(int fd);
void fake_vhost_forget(void); /* all of them; no ring is running */

/* The @nth request from now on fails, 1 being the next; 0: none. How many there were. */
unsigned fake_vhost_fail_nth(unsigned nth);

bool fake_vhost_serves(int fd); /* both rings have a backend */
/* The next packet that the guest sent, header included, which has to be there. */
void fake_vhost_take(int fd, FakePkt *ret_pkt);
/* Puts a packet into the guest's next buffer, which has to be there. */
void fake_vhost_give(int fd, const FakePkt *pkt);
/* The kernel says that ring @i can't go on. */
void fake_vhost_break(int fd, unsigned i);

#endif
