/*
 * Xen netfront in userspace (-device xen-netfront): connects a netdev of this process
 * to a vif whose backend is elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_XEN_NETFRONT_H
#define HW_NET_XEN_NETFRONT_H

#include <glib.h>

#include "hw/net/netif-limits.h"
#include "hw/net/nic-stats.h"
#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-event.h"
#include "net/netdev.h"
#include "util/iothread.h"
#include "util/options.h"

typedef struct Netfront Netfront;

/* -device xen-netfront,... */
typedef struct NetfrontConfig {
    char *id;
    char *netdev;
    int32_t idx;            /* of the vif: device/vif/IDX; default 0 */
    uint32_t queues;        /* at most so many; 0: as many as the netdev has */
    bool split_event_channels; /* use them where offered; default on */
    bool sg;                /* the following: default on; off for tests of old frontends */
    bool gso;
    bool csum;
    bool ipv6_csum;
    bool rx_notify;
} NetfrontConfig;

extern const OptTable netfront_options;

typedef struct NetfrontEnv {
    Xen *xen;       /* with share ops */
    XenStore *store;
    Netdev *peer;
    void (*event)(void *opaque, XenbusEvent event, const char *detail); /* main thread */
    void *opaque;
} NetfrontEnv;

/* Main thread, as all of these. Waits for device/vif/IDX to appear. */
Netfront *netfront_new(const NetfrontConfig *config, const NetfrontEnv *env, GError **error);
void netfront_start(Netfront *nf);
/* Paused, it carries no packets; connections come and go as ever. */
void netfront_pause(Netfront *nf, bool paused);
/* Closing, waits for the backend at most @timeout_ms, Closed; then XENBUS_CLOSED. */
void netfront_close(Netfront *nf, unsigned timeout_ms);
void netfront_free(Netfront *nf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netfront, netfront_free)

typedef struct NetfrontInfo {
    const char *id;
    unsigned idx;
    const char *state;
    const char *error;
    unsigned n_queues;
    unsigned max_queues;
    const NicQueueStats *stats;
    int tids[NETIF_MAX_QUEUES];
} NetfrontInfo;

void netfront_info(Netfront *nf, NetfrontInfo *ret_info);

#endif
