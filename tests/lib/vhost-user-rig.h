/*
 * A vhost-user back end with a stub for a device, and a front end connected to it, in one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VHOST_USER_RIG_H
#define TESTS_LIB_VHOST_USER_RIG_H

#include "hw/virtio/vhost-user.h"
#include "vhost-user-front.h"
#include "virtio-stub.h"

#define VHOST_USER_RIG_RINGS 4u
#define VHOST_USER_RIG_FEATURES (1ull << 32 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES)

typedef struct VhostUserRig {
    VirtioStub *stub;
    VhostUser *back;
    VhostUserFront *front;
    int n_fds;        /* of the process, before */
    unsigned running; /* as the last event said */
    unsigned rings_told;
    bool ended;
    char *reason;     /* of the last end */
    char *warning;    /* the last one */
    unsigned warnings;
    int next_fd;      /* served at once when a connection ends; -1: none */
} VhostUserRig;

void vhost_user_rig_up(VhostUserRig *r);
/* No descriptor is left but those there were. */
void vhost_user_rig_down(VhostUserRig *r);
/* Another front end, where the last one has gone. What @r->front had of its own is kept. */
void vhost_user_rig_reconnect(VhostUserRig *r);
/*
 * The connection ended, for that reason; NULL: the front end closed it. Nothing that it shared is
 * mapped any more.
 */
void vhost_user_rig_expect_end(VhostUserRig *r, const char *reason);
void vhost_user_rig_expect_warning(VhostUserRig *r, const char *text); /* NULL: none */

/* Negotiates features and all protocol features, and shares 1 MiB at 0 and 1 MiB at 1 GiB. */
void vhost_user_rig_negotiate(VhostUserRig *r, uint64_t features);
/* Ring @index of @size in the first MiB, initialised but not started; 64 KiB apart. */
void vhost_user_rig_ring(VhostUserRig *r, VhostUserFrontRing *ring, unsigned index,
                         uint16_t size);
/* Open descriptors of the process. */
int vhost_user_rig_count_fds(void);

#endif
