/*
 * The state of a vhost-user back end, and what its files have from each other: the connection
 * (vhost-user.c), the table of messages, and the handlers by what they are about.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_INTERNAL_H
#define HW_VIRTIO_VHOST_USER_INTERNAL_H

#include "hw/virtio/vhost-user.h"
#include "util/event-call.h"
#include "vhost-user-msg.h"

#define VHOST_USER_BIT(n)    (1ull << (n))
/* Feature bits that are the protocol's and not the device's. */
#define VHOST_USER_FEATURES  (VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES) | \
                              VHOST_USER_BIT(VHOST_F_LOG_ALL))

/*
 * Why a message is not obeyed. A lie costs the connection; what can't be done is refused, where
 * the front end asked for an answer, and costs the connection where it would go on believing.
 */
#define VHOST_USER_ERROR g_quark_from_static_string("vhost-user-error-quark")
typedef enum VhostUserError {
    VHOST_USER_ERROR_LIE,
    VHOST_USER_ERROR_REFUSED,
} VhostUserError;
#define VHOST_USER_LIE(error, ...) \
    g_set_error(error, VHOST_USER_ERROR, VHOST_USER_ERROR_LIE, __VA_ARGS__)
#define VHOST_USER_REFUSE(error, ...) \
    g_set_error(error, VHOST_USER_ERROR, VHOST_USER_ERROR_REFUSED, __VA_ARGS__)

typedef struct VhostUserRing {
    uint32_t num;                 /* 0: the front end has not said */
    bool has_addr;
    struct vhost_vring_addr addr; /* in the front end's addresses */
    uint32_t base;                /* where it goes on, while it does not run */
    int kick_fd;                  /* -1: none */
    int call_fd;
    int err_fd;
    bool started;                 /* by the front end: runs as soon as it can */
    bool running;                 /* the device has it */
    bool stranded;                /* can't run, as was told */
    bool enabled;
} VhostUserRing;

/* What of the rings is under way, in memory that the front end keeps for our successor. */
typedef struct VhostUserInflightMem {
    GuestMapping map;
    uint8_t *at;             /* NULL: there is none */
    VhostUserInflight told;
} VhostUserInflightMem;

struct VhostUser {
    VirtioDevice *dev;
    const VhostUserEvents *events;
    void *opaque;
    VhostUserRing *ring;     /* dev->n_rings */
    GuestMem *mem;

    /* Of the connection. */
    VhostUserMsgIo io;
    unsigned warnings;       /* that its front end may still cause */
    unsigned running;        /* rings */
    unsigned running_told;
    guint in_tag;
    guint out_tag;
    guint fault_tag;
    int fault_fd;            /* its memory was taken away */
    EventCall call;          /* of its eventfds, by the main thread */
    int backend_fd;          /* for what we ask the front end; -1: none */
    uint64_t protocol;       /* protocol features */
    uint64_t features;
    bool features_set;
    bool features_refused;   /* the last ones */
    uint8_t status;
    int log_fd;              /* -1: none */
    VhostUserLog log;
    bool logging;            /* to log_fd, if there is one */
    VhostUserInflightMem inflight;
};

static inline bool vhost_user_has(const VhostUser *v, unsigned protocol_feature)
{
    return v->protocol & VHOST_USER_BIT(protocol_feature);
}

/*
 * Does what @msg says, whose length, descriptors and preconditions are as its row of the table
 * has them. A message with an answer of its own puts it into @reply.
 */
typedef bool VhostUserHandler(VhostUser *v, VhostUserMsg *msg, VhostUserReply *reply,
                              GError **error);

typedef struct VhostUserRow {
    const char *name;        /* NULL: there is no such request */
    uint16_t min_size;       /* of the payload */
    uint16_t max_size;
    uint8_t min_fds;         /* those beyond max_fds are closed */
    uint8_t max_fds;
    uint8_t needs;           /* a protocol feature + 1 that has to be negotiated; 0: none */
    bool answers;            /* the handler's answer is sent, asked for or not */
    VhostUserHandler *handler;
} VhostUserRow;

/* vhost-user-table.c. NULL: there is none. */
const VhostUserRow *vhost_user_row(uint32_t request);

/* vhost-user.c. The event, as long as this front end may cause some. */
void vhost_user_warn(VhostUser *v, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* vhost-user-features.c: what is negotiated, and the device as such. */
VhostUserHandler vhost_user_get_features, vhost_user_set_features;
VhostUserHandler vhost_user_get_protocol_features, vhost_user_set_protocol_features;
VhostUserHandler vhost_user_get_queue_num, vhost_user_owner;
VhostUserHandler vhost_user_get_status, vhost_user_set_status, vhost_user_reset_device;
void vhost_user_answer_u64(VhostUserReply *reply, uint64_t value);
uint64_t vhost_user_u64(const VhostUserMsg *msg);

/* vhost-user-config.c: what is a NIC's, or any device's but its rings. */
VhostUserHandler vhost_user_get_config, vhost_user_set_config;
VhostUserHandler vhost_user_send_rarp, vhost_user_net_set_mtu, vhost_user_set_backend_req_fd;
void vhost_user_config_changed(void *v);

/* vhost-user-memory.c: regions, and the dirty log. */
VhostUserHandler vhost_user_set_mem_table, vhost_user_add_mem_reg, vhost_user_rem_mem_reg;
VhostUserHandler vhost_user_get_max_mem_slots, vhost_user_set_log_base, vhost_user_set_log_fd;
/* Begins or ends to log, as the features have it now. Rings go on. */
bool vhost_user_log_follow(VhostUser *v, GError **error);

/* vhost-user-inflight.c */
VhostUserHandler vhost_user_get_inflight_fd, vhost_user_set_inflight_fd;
/* For VirtqSetup.inflight: that of ring @index of @size. False: it does not fit. */
bool vhost_user_inflight_of(const VhostUser *v, unsigned index, uint16_t size, void **ret);
void vhost_user_inflight_forget(VhostUser *v);

/* vhost-user-vring.c */
VhostUserHandler vhost_user_set_vring_num, vhost_user_set_vring_addr;
VhostUserHandler vhost_user_set_vring_base, vhost_user_get_vring_base;
VhostUserHandler vhost_user_set_vring_kick, vhost_user_set_vring_call, vhost_user_set_vring_err;
VhostUserHandler vhost_user_set_vring_enable;
void vhost_user_vring_broken(void *v, unsigned index, const char *reason);

/* vhost-user-ring.c: a ring's life. */
/* True: it runs, or what it needs is not all there yet. */
bool vhost_user_ring_start(VhostUser *v, unsigned index, GError **error);
void vhost_user_ring_stop(VhostUser *v, unsigned index); /* its base is what to go on with */
/* Tells the device. */
void vhost_user_ring_enable(VhostUser *v, unsigned index, bool on);
/* Stops all for a change of what they stand on; starts all that can run. */
void vhost_user_rings_pause(VhostUser *v);
void vhost_user_rings_resume(VhostUser *v);
/* Stops and forgets all but their bases and descriptors of events. */
void vhost_user_rings_reset(VhostUser *v);
void vhost_user_rings_init(VhostUser *v); /* as for a new connection; owns nothing before */
void vhost_user_rings_done(VhostUser *v); /* all are stopped */

#endif
