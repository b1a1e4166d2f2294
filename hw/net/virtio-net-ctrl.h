/*
 * virtio-net's control queue (VIRTIO 1.2, 5.1.6.5), and what a driver set by it. Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_CTRL_H
#define HW_NET_VIRTIO_NET_CTRL_H

#include "hw/net/virtio-net-filter.h"
#include "virtio-net-hash.h"
#include "virtio-net-internal.h"
#include "virtio-net-steer.h"

typedef struct VirtioNetCtrl {
    VirtioNet *vn;
    /* the ring */
    Virtq vq;
    bool running;
    bool enabled;
    bool broken;
    int kick_fd;          /* -1: the driver does not kick */
    int call_fd;          /* -1: the driver looks */
    EventCall call;
    guint kick_tag;       /* a kick is waited for, or the ring looked at from time to time */
    guint more_tag;       /* there is more to do than fits a round */
    struct iovec iov[VIRTQ_MAX_IOV];
    /* what it was told */
    unsigned pairs;       /* 1 to all of them */
    VirtioNetFilter filter;
    bool filter_changed;  /* the queues' threads don't know yet */
    bool filter_told;     /* and that the driver set it was told, and nobody looked since */
    VirtioNetFilter *live; /* what these have; NULL: nothing is filtered */
    VirtioNetHash hash;
    VirtioNetRss rss;     /* by this hash */
    bool hash_changed;    /* or that */
    VirtioNetHash *live_hash; /* NULL: nothing is hashed but to steer by it */
    VirtioNetSteering *live_steering;  /* NULL: nothing is steered */
    struct SlotSet *slots; /* there while anything is, or is about to be */
    struct SlotSet *live_slots; /* these, once the queues' threads may have them */
} VirtioNetCtrl;

VirtioNetCtrl *virtio_net_ctrl_new(VirtioNet *vn);
void virtio_net_ctrl_free(VirtioNetCtrl *c); /* its ring is not running; NULL is fine */

/* The control ring's index; UINT_MAX: there is none. */
unsigned virtio_net_ctrl_index(const VirtioNet *vn);
/* Pairs that may be used with the features that were negotiated, and those that are. */
unsigned virtio_net_max_pairs(const VirtioNet *vn);
unsigned virtio_net_pairs(const VirtioNet *vn);

/* As VirtioDeviceOps. */
bool virtio_net_ctrl_start(VirtioNetCtrl *c, const VirtioRing *ring, GError **error);
uint32_t virtio_net_ctrl_stop(VirtioNetCtrl *c);
void virtio_net_ctrl_enable(VirtioNetCtrl *c, bool on);
void virtio_net_ctrl_set_call(VirtioNetCtrl *c, int fd);

/* The driver has chosen its features. NULL is fine. */
void virtio_net_ctrl_negotiated(VirtioNetCtrl *c);
/* The MAC address is another one. NULL is fine. */
void virtio_net_ctrl_set_mac(VirtioNetCtrl *c);
/* As after virtio_net_ctrl_new(). NULL is fine. */
void virtio_net_ctrl_reset(VirtioNetCtrl *c);
/* The device is not paused any more. NULL is fine. */
void virtio_net_ctrl_resume(VirtioNetCtrl *c);

/* The queues' threads have what was set when it returns. */
void virtio_net_ctrl_publish(VirtioNetCtrl *c);
void virtio_net_ctrl_publish_hash(VirtioNetCtrl *c); /* and c->rss: these alone */
/* Before c->rss.on is set. False: there is no memory for it. */
bool virtio_net_ctrl_can_steer(VirtioNetCtrl *c);

/* What the queues' threads have. NULL: frames go where they came from. Any thread. */
struct SlotSet *virtio_net_live_slots(const VirtioNet *vn);
const VirtioNetSteering *virtio_net_live_steering(const VirtioNet *vn);

/* --- virtio-net-ctrl-commands.c --- */

/* What a command brings: the readable pieces of a chain, read once. */
typedef struct VirtioNetCtrlData {
    const struct iovec *iov;
    size_t off;           /* in iov[0] */
    uint64_t left;
} VirtioNetCtrlData;

/* The command in @d, header included; false: it is refused, or makes no sense. */
bool virtio_net_ctrl_run(VirtioNetCtrl *c, VirtioNetCtrlData *d);

#endif
