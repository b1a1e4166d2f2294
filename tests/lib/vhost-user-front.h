/*
 * A front end of vhost-user, for tests, fuzzers and benchmarks: what a VMM says to a back end,
 * with memory of its own and rings in it. It can say any wrong thing: vhost_user_front_send_msg()
 * and vhost_user_front_send_bytes() look at nothing.
 *
 *     f = vhost_user_front_new(fd);
 *     vhost_user_front_negotiate(f, features, protocol);
 *     vhost_user_front_make_region(f, gpa, size); ...
 *     vhost_user_front_share(f);
 *     vhost_user_front_ring_init(f, &ring, index, &config); ...
 *     vhost_user_front_ring_start(f, &ring);
 *     vhost_user_front_ring_enable(f, &ring, true);
 *     virtq_driver_add(ring.driver, ...), virtq_driver_publish(ring.driver)
 *     vhost_user_front_kick(&ring), vhost_user_front_was_called(&ring)
 *
 * One thread. While it waits for an answer it calls @pump, if that is set, for a back end in the
 * same thread; else it sleeps. A wait that is too long ends the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VHOST_USER_FRONT_H
#define TESTS_LIB_VHOST_USER_FRONT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost-user-proto.h"
#include "virtq-driver.h"

#define VHOST_USER_FRONT_USER    0x7e0000000000ull /* our addresses, for the back end: gpa + this */
#define VHOST_USER_FRONT_REGIONS 512u
/* As all that a modern NIC of ours may want. */
#define VHOST_USER_FRONT_PROTOCOL \
    (1u << VHOST_USER_PROTOCOL_F_MQ | 1u << VHOST_USER_PROTOCOL_F_LOG_SHMFD | \
     1u << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1u << VHOST_USER_PROTOCOL_F_BACKEND_REQ | \
     1u << VHOST_USER_PROTOCOL_F_CONFIG | 1u << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD | \
     1u << VHOST_USER_PROTOCOL_F_RESET_DEVICE | \
     1u << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS | 1u << VHOST_USER_PROTOCOL_F_STATUS)

/* A piece of the guest's memory, which is a memfd of its own. */
typedef struct VhostUserFrontRegion {
    uint64_t gpa;
    uint64_t size;
    uint64_t user;
    uint64_t offset; /* in the file */
    int fd;
    uint8_t *host;   /* of gpa; NULL: the entry is free */
    bool shared;     /* as a slot of its own */
} VhostUserFrontRegion;

typedef struct VhostUserFront {
    int fd;
    int back_fd;     /* what the back end asks of us; -1: vhost_user_front_open_back() */
    void (*pump)(void);
    size_t piece;    /* messages go in pieces of so many bytes, with a pump between; 0: whole */
    uint64_t features; /* negotiated */
    uint64_t protocol;
    VhostUserFrontRegion region[VHOST_USER_FRONT_REGIONS];
    int log_fd;      /* -1: none */
    uint8_t *log;
    uint64_t log_size;
    int inflight_fd; /* as the back end made it; -1: none */
    VhostUserInflight inflight;
} VhostUserFront;

/* A message, right or wrong. */
typedef struct VhostUserFrontMsg {
    uint32_t request;
    uint32_t flags;      /* 0: VHOST_USER_VERSION */
    const void *payload;
    uint32_t size;
    const int *fd;       /* stay the caller's */
    unsigned n_fds;
} VhostUserFrontMsg;

typedef struct VhostUserFrontReply {
    VhostUserHeader hdr;
    _Alignas(uint64_t) uint8_t payload[4096];
    int fd;              /* the caller's; -1: none came with it */
} VhostUserFrontReply;

/* Owns @fd, connected. For a back end in another process or thread, unless pump is set. */
VhostUserFront *vhost_user_front_new(int fd);
/* NULL and errno: nobody listens there. */
VhostUserFront *vhost_user_front_connect(const char *path);
void vhost_user_front_free(VhostUserFront *f); /* closes the connection; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhostUserFront, vhost_user_front_free)
/* For pump: a round of the default main context, which does not block. */
void vhost_user_front_pump_main(void);
/* The connection only: memory, log and inflight memory stay for vhost_user_front_reconnect(). */
void vhost_user_front_close(VhostUserFront *f);
void vhost_user_front_reconnect(VhostUserFront *f, int fd);

/* --- messages --- */

/* All of it, or what the socket takes of it: false, the back end closed the connection. */
bool vhost_user_front_send_bytes(VhostUserFront *f, const void *data, size_t len, const int *fd,
                                 unsigned n_fds);
bool vhost_user_front_send_msg(VhostUserFront *f, const VhostUserFrontMsg *m);
/* The plain one, without descriptors, nor an answer. */
bool vhost_user_front_send(VhostUserFront *f, uint32_t request, const void *payload,
                           uint32_t size);
bool vhost_user_front_send_u64(VhostUserFront *f, uint32_t request, uint64_t value);
bool vhost_user_front_send_state(VhostUserFront *f, uint32_t request, uint32_t index,
                                 uint32_t num);
/* SET_VRING_KICK, _CALL and _ERR; -1: no descriptor. */
bool vhost_user_front_send_event(VhostUserFront *f, uint32_t request, unsigned index, int fd);
bool vhost_user_front_send_fd(VhostUserFront *f, uint32_t request, int fd);

/* Waits for a message. False: the connection is closed. */
bool vhost_user_front_recv(VhostUserFront *f, VhostUserFrontReply *ret);
/* Waits until the back end has closed the connection; false: it said something instead. */
bool vhost_user_front_is_closed(VhostUserFront *f);
/* Waits until the back end has done all that it was told; false: it closed the connection. */
bool vhost_user_front_sync(VhostUserFront *f);
/* Sends @m with need_reply, returns the answer's u64; UINT64_MAX: the connection is closed. */
uint64_t vhost_user_front_ask(VhostUserFront *f, const VhostUserFrontMsg *m);
/* A request without payload, whose answer is a u64. */
uint64_t vhost_user_front_get_u64(VhostUserFront *f, uint32_t request);

/* SET_OWNER to SET_FEATURES, as QEMU has them. @features: less what is not offered, likewise. */
void vhost_user_front_negotiate(VhostUserFront *f, uint64_t features, uint64_t protocol);
/* SET_BACKEND_REQ_FD; vhost_user_front_recv_back() waits for a message that comes there. */
void vhost_user_front_open_back(VhostUserFront *f);
void vhost_user_front_recv_back(VhostUserFront *f, VhostUserHeader *ret);

/* --- memory --- */

/* Makes memory, which the back end does not hear of. All is page aligned. */
VhostUserFrontRegion *vhost_user_front_make_region(VhostUserFront *f, uint64_t gpa, uint64_t size);
/* Ours, too. The back end's slot has to be taken away before. */
void vhost_user_front_drop_region(VhostUserFront *f, VhostUserFrontRegion *r);
/* All of it by SET_MEM_TABLE; or slot by slot, where that is negotiated. */
void vhost_user_front_share(VhostUserFront *f);
void vhost_user_front_add_slot(VhostUserFront *f, VhostUserFrontRegion *r);
void vhost_user_front_remove_slot(VhostUserFront *f, VhostUserFrontRegion *r);
VhostUserRegion vhost_user_front_describe(const VhostUserFrontRegion *r);
/* Ours of the guest's; NULL: it is nowhere. */
uint8_t *vhost_user_front_host(VhostUserFront *f, uint64_t gpa);

/* SET_LOG_BASE with a log of @size bytes. */
void vhost_user_front_open_log(VhostUserFront *f, uint64_t size);
void vhost_user_front_close_log(VhostUserFront *f); /* ours; the back end may have it still */
/* Whether the page of @gpa was written since we asked last. */
bool vhost_user_front_take_dirty(VhostUserFront *f, uint64_t gpa);

/* GET_INFLIGHT_FD, then SET_INFLIGHT_FD with what came; after a reconnection the latter only. */
void vhost_user_front_get_inflight(VhostUserFront *f, uint16_t n_rings, uint16_t ring_size);
void vhost_user_front_set_inflight(VhostUserFront *f);

/* --- rings --- */

typedef struct VhostUserFrontRing {
    unsigned index;
    VirtqDriver *driver;
    uint32_t base;       /* where the back end goes on: at first, then as it said */
    bool log;            /* writes to the ring are logged */
    int kick_fd;
    int call_fd;
    int err_fd;
} VhostUserFrontRing;

/* A fresh ring in memory that was made: size, gpa and max_indirect are @c's, the rest is ours. */
void vhost_user_front_ring_init(VhostUserFront *f, VhostUserFrontRing *r, unsigned index,
                                const VirtqDriverConfig *c);
void vhost_user_front_ring_done(VhostUserFrontRing *r);
/* SET_VRING_NUM to SET_VRING_KICK, in QEMU's order. */
void vhost_user_front_ring_start(VhostUserFront *f, VhostUserFrontRing *r);
void vhost_user_front_ring_send_addr(VhostUserFront *f, const VhostUserFrontRing *r);
struct vhost_vring_addr vhost_user_front_ring_addr(const VhostUserFrontRing *r);
/* GET_VRING_BASE. False: the connection is closed. */
bool vhost_user_front_ring_stop(VhostUserFront *f, VhostUserFrontRing *r);
void vhost_user_front_ring_enable(VhostUserFront *f, const VhostUserFrontRing *r, bool on);
void vhost_user_front_kick(const VhostUserFrontRing *r);
/* Since we asked last. */
bool vhost_user_front_was_called(const VhostUserFrontRing *r);
bool vhost_user_front_was_failed(const VhostUserFrontRing *r);

#endif
