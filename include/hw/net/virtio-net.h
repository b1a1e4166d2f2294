/*
 * virtio-net (VIRTIO 1.2, 5.1): a NIC with as many queue pairs as its netdev has queues. How its
 * driver reaches it is a transport's business: hw/virtio/virtio-device.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_H
#define HW_NET_VIRTIO_NET_H

#include <glib.h>
#include <stdbool.h>

#include "hw/net/nic-stats.h"
#include "hw/net/virtio-net-filter.h"
#include "hw/virtio/virtio-device.h"
#include "net/netdev.h"
#include "util/iothread.h"

#define VIRTIO_NET_MAX_PAIRS 256u /* as many as a tap has queues */

typedef struct VirtioNet VirtioNet;

/* What a driver may negotiate: options named as QEMU's. */
typedef struct VirtioNetFeatures {
    bool csum, gso, host_tso4, host_tso6, host_ecn, host_ufo, host_uso;
    bool guest_csum, guest_tso4, guest_tso6, guest_ecn, guest_ufo, guest_uso4, guest_uso6;
    bool mrg_rxbuf, mq, guest_announce;
    /* With a control queue of ours only; else whoever has it says what it can. */
    bool ctrl_rx, ctrl_rx_extra, ctrl_vlan, ctrl_mac_addr, ctrl_guest_offloads;
    bool hash, rss; /* and where the kernel's vhost has no pair, which knows of no hash */
    bool indirect_desc, event_idx, packed, in_order, queue_reset;
} VirtioNetFeatures;

typedef struct VirtioNetConfig {
    VirtioNetFeatures f;
    const char *mac;   /* NULL: the other side of the transport has one */
    uint16_t host_mtu; /* 0: not told */
    /* The longest rings that a driver of registers may have; 0: 256, as in QEMU. */
    uint16_t rx_queue_size;
    uint16_t tx_queue_size;
    bool has_speed;    /* these are told */
    uint32_t speed;    /* Mbit/s; UINT32_MAX: unknown */
    uint8_t duplex;    /* 0: half, 1: full, UINT8_MAX: unknown */
    /*
     * The control queue is ours: ring 2 * pairs if the driver took VIRTIO_NET_F_MQ, else ring 2.
     * False: the transport's other side has it, and says by ring_enable() which pairs are used.
     */
    bool ctrl;
} VirtioNetConfig;

/* What the system gives to a NIC. Everything outlives it. */
typedef struct VirtioNetEnv {
    const char *name;   /* of the device; threads are called by it */
    Netdev *peer;
    /* threads[i] serves pair i, for i < n_threads; pairs without one get one of their own. */
    IoThread **threads;
    unsigned n_threads;
    void (*failed)(void *opaque, const char *reason); /* main thread: the netdev is gone */
    void (*filter_changed)(void *opaque); /* main thread: see virtio_net_rx_filter() */
    void *opaque;
} VirtioNetEnv;

/* Main thread, as all of these. Copies what it needs of @config and @env. */
VirtioNet *virtio_net_new(const VirtioNetConfig *config, const VirtioNetEnv *env, GError **error);
/* No ring is running. NULL is fine. */
void virtio_net_free(VirtioNet *vn);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtioNet, virtio_net_free)

/* For its transport. */
VirtioDevice *virtio_net_device(VirtioNet *vn);

/* Paused, it carries no packets; rings come and go as ever. */
void virtio_net_pause(VirtioNet *vn, bool paused);

/*
 * The host's switches are to learn where it is, and its driver is asked to tell them more. Nothing
 * without a MAC address of its own.
 */
void virtio_net_announce_now(VirtioNet *vn);

/*
 * What the driver wants of the frames that come, until it says something else; NULL: that is not
 * ours to know. filter_changed() is called when it next does, and once, until this is called again.
 */
const VirtioNetFilter *virtio_net_rx_filter(VirtioNet *vn);

typedef struct VirtioNetInfo {
    const char *error;          /* of the netdev; NULL: none */
    char mac[18];               /* "": it has none of its own */
    unsigned max_pairs;
    unsigned n_pairs;           /* with a ring that runs and is enabled */
    const NicQueueStats *stats; /* max_pairs of them; valid until virtio_net_free() */
    int tids[VIRTIO_NET_MAX_PAIRS];
} VirtioNetInfo;

void virtio_net_info(VirtioNet *vn, VirtioNetInfo *ret_info);

#endif
