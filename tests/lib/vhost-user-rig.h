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
/* The same as fixtures of g_test_add(). Ready: negotiated and shared, and these calls forgotten. */
void vhost_user_rig_setup(VhostUserRig *r, gconstpointer data);
void vhost_user_rig_setup_ready(VhostUserRig *r, gconstpointer data);
void vhost_user_rig_teardown(VhostUserRig *r, gconstpointer data);

/* A test with such a fixture; @name begins with a '/'. */
#define VHOST_USER_RIG_ADD(name, fn) \
    g_test_add("/hw/virtio/vhost-user" name, VhostUserRig, NULL, \
               vhost_user_rig_setup, fn, vhost_user_rig_teardown)
#define VHOST_USER_RIG_ADD_READY(name, fn) \
    g_test_add("/hw/virtio/vhost-user" name, VhostUserRig, NULL, \
               vhost_user_rig_setup_ready, fn, vhost_user_rig_teardown)

/* As vhost_user_front_sync() and vhost_user_front_ask(). */
bool vhost_user_rig_sync(VhostUserRig *r);
uint64_t vhost_user_rig_ask(VhostUserRig *r, uint32_t request, const void *payload,
                            uint32_t size);
uint64_t vhost_user_rig_ask_u64(VhostUserRig *r, uint32_t request, uint64_t value);
uint64_t vhost_user_rig_ask_state(VhostUserRig *r, uint32_t request, uint32_t index,
                                  uint32_t num);

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
/* Ring @index of @size in the first MiB, initialised but not started; 64 KiB apart, from 64 KiB. */
void vhost_user_rig_ring(VhostUserRig *r, VhostUserFrontRing *ring, unsigned index,
                         uint16_t size);
/* Open descriptors of the process. */
int vhost_user_rig_count_fds(void);

#endif
