/*
 * Xen netback: the backend of a vif (-device xen-net-device).
 * Protocol: xen/include/public/io/netif.h; keys: docs/xenstore-keys.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_XEN_NETBACK_H
#define HW_NET_XEN_NETBACK_H

#include <glib.h>
#include <stdbool.h>

#include "hw/net/netif-limits.h"
#include "hw/net/nic-stats.h"
#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-event.h"
#include "net/netdev.h"
#include "util/iothread.h"
#include "util/options.h"

typedef struct Netback Netback;

/* grant-copy= */
typedef enum NetbackCopy {
    NETBACK_COPY_IOCTL,
    NETBACK_COPY_HYPERCALL,
} NetbackCopy;

/* -device xen-net-device,... */
typedef struct NetbackConfig {
    char *id;
    char *netdev;
    char *mac;
    int32_t idx;           /* -1: the first free one */
    int32_t frontend_id;   /* the guest's domain; -1: the one that the bus has for all */
    char *iothread;        /* one for all queues */
    GArray *vq_mapping;    /* iothread-vq-mapping: VqMapping *; NULL: a thread for each queue */
    /* offloads, named as those of QEMU's virtio-net: what the guest may leave to the host... */
    bool csum, gso, host_tso4, host_tso6;
    bool guest_csum, guest_tso4, guest_tso6; /* ...and is left to the guest, if it can */
    bool direct;           /* packets to and from others that have it go from guest to guest */
    int grant_copy;        /* NetbackCopy */
} NetbackConfig;

extern const OptTable netback_options;

/* What the system gives to a vif. Everything outlives it. */
typedef struct NetbackEnv {
    Xen *xen;
    XenStore *store;
    uint16_t frontend_id;
    Netdev *peer;
    /* threads[i] serves queue i, for i < n_threads; queues without one get one of their own. */
    IoThread **threads;
    unsigned n_threads;
    void (*event)(void *opaque, XenbusEvent event, const char *detail); /* main thread */
    void *opaque;
} NetbackEnv;

/*
 * Creates the XenStore nodes (or takes over those of a toolstack), but does not offer
 * the device yet: netback_start() does. Copies what it needs of @config and @env. Main thread, as
 * all of these.
 */
Netback *netback_new(const NetbackConfig *config, const NetbackEnv *env, GError **error);

/* Publishes features and InitWait; connects when the frontend does. Idempotent. */
void netback_start(Netback *nb);

/* -S and QMP stop/cont: stopped queues leave packets where they are. */
void netback_pause(Netback *nb, bool paused);

/* The host's switches are to learn where the guest is. */
void netback_announce(Netback *nb);

/*
 * Asks for the end: Closing, then Closed as soon as the frontend agrees or @timeout_ms
 * are over; XENBUS_CLOSED follows, from the main loop. Nodes that we created are removed.
 */
void netback_close(Netback *nb, unsigned timeout_ms);

/* Frees at once: queues are stopped, nothing stays mapped. NULL is fine. */
void netback_free(Netback *nb);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netback, netback_free)

typedef struct NetbackInfo {
    const char *id;
    char mac[18];
    unsigned idx;
    uint16_t frontend_id;
    const char *state;     /* "init-wait", "connected", ... */
    const char *error;     /* last reason, NULL if none */
    unsigned n_queues;     /* connected ones; 0 when not connected */
    unsigned max_queues;
    const NicQueueStats *stats; /* max_queues of them; valid until netback_free() */
    int tids[NETIF_MAX_QUEUES];   /* thread of each connected queue */
} NetbackInfo;

void netback_info(Netback *nb, NetbackInfo *ret_info);

#endif
