/*
 * Xen blkback: the backend of a vbd (-device xen-disk, xen-cdrom).
 * Protocol: xen/include/public/io/blkif.h; keys: docs/xenstore-keys.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_XEN_BLKBACK_H
#define HW_BLOCK_XEN_BLKBACK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "hw/core/counter.h"
#include "hw/xen/xen-ops.h"
#include "hw/xen/xen-queues.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-back.h"
#include "hw/xen/xenbus-event.h"
#include "util/iothread.h"
#include "util/options.h"

typedef struct XenBlkback XenBlkback;

/* backend-type=: the name of its nodes, as xl's disk configuration has it. */
typedef enum XenBlkbackKind {
    XEN_BLKBACK_QDISK, /* that of backends in userspace */
    XEN_BLKBACK_VBD,   /* Linux' blkback takes them all, where it is loaded */
    XEN_BLKBACK_KINDS,
} XenBlkbackKind;

/* How each of them is a backend, for those who look for such devices. */
extern const XenbusBackOps xen_blkback_bus[XEN_BLKBACK_KINDS];

/* -device xen-disk,... */
typedef struct XenBlkbackConfig {
    char *id;
    char *drive;
    char *vdev;                 /* NULL: the first that is free */
    int32_t frontend_id;        /* the guest's domain; -1: the one that the bus has for all */
    int backend_type;           /* XenBlkbackKind */
    char *iothread;             /* one for all queues */
    GArray *vq_mapping;         /* iothread-vq-mapping: VqMapping *; NULL: a thread for each */
    uint16_t num_queues;        /* 0: one for each processor, to 8 */
    uint16_t max_ring_page_order;
    uint16_t max_indirect_segments;
    bool persistent_grants;
    bool share_rw;
    bool removable;
    uint32_t logical_block_size;
    uint32_t physical_block_size; /* 0: the image's */
    uint32_t discard_granularity; /* the same */
} XenBlkbackConfig;

extern const OptTable xen_disk_options;
extern const OptTable xen_cdrom_options;

typedef struct XenBlkbackOpStats {
    uint64_t requests;
    uint64_t bytes;
    uint64_t failed;
    uint64_t segments;
    uint64_t indirect;
} XenBlkbackOpStats;

/* The counters of a queue. */
typedef struct XenBlkbackStats {
    XenBlkbackOpStats read;
    XenBlkbackOpStats write;
    XenBlkbackOpStats flush;
    XenBlkbackOpStats discard;
    struct {
        uint64_t batches;
        uint64_t refused;
        uint64_t waits;
        uint64_t copied;
        uint64_t mapped;
        uint64_t events_sent;
        uint64_t events_received;
    } ring;
} __attribute__((aligned(64))) XenBlkbackStats;

extern const CounterGroup xen_blkback_counters[];

/* What the system gives to a vbd. Everything outlives it. */
typedef struct XenBlkbackEnv {
    Xen *xen;
    XenStore *store;
    uint16_t frontend_id;
    bool cdrom;
    BlockNode *node;            /* claimed */
    /* threads[i] serves queue i, for i < n_threads; queues without one get one of their own. */
    IoThread **threads;
    unsigned n_threads;
    int record_dir;             /* of xen_blkback_record_dir(), the vbd's from now on; -1: none */
    void (*event)(void *opaque, XenbusEvent event, const char *detail); /* main thread */
    void (*drained)(void *opaque); /* the same: what xen_blkback_pause() asked for */
    void *opaque;
} XenBlkbackEnv;

/* How many queues a vbd with this @config offers. */
unsigned xen_blkback_max_queues(const XenBlkbackConfig *config);

/*
 * Creates the XenStore nodes (or takes over those of a toolstack), but does not offer the device
 * yet: xen_blkback_start() does. @number: of the vbd, -1: the first that is free. Copies what it
 * needs of @config and @env. Main thread, as all of these.
 */
XenBlkback *xen_blkback_new(const XenBlkbackConfig *config, const XenBlkbackEnv *env,
                            int32_t number, GError **error);

/* Publishes features and InitWait; connects when the frontend does. Idempotent. */
void xen_blkback_start(XenBlkback *d);

/* -S and QMP stop: requests stay on the ring; env->drained() once none is under way. */
void xen_blkback_pause(XenBlkback *d);
void xen_blkback_resume(XenBlkback *d);

/*
 * Asks for the end: Closing, then Closed as soon as the frontend agrees or @timeout_ms are over;
 * XENBUS_CLOSED follows, from the main loop. Nodes that we created are removed.
 */
void xen_blkback_close(XenBlkback *d, unsigned timeout_ms);

/* Frees at once, but waits for what the disk has under way. NULL is fine. */
void xen_blkback_free(XenBlkback *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XenBlkback, xen_blkback_free)

/*
 * Removes what killed backends left to go on with, of domains that are known to be dead. Returns
 * how many files. Only dom0 may ask whether a domain lives: elsewhere nothing is removed.
 */
unsigned xen_blkback_sweep(XenStore *s);

typedef struct XenBlkbackInfo {
    const char *id;
    char vdev[32];
    unsigned number;
    uint16_t frontend_id;
    const char *state;     /* "init-wait", "connected", ... */
    const char *error;     /* last reason, NULL if none */
    unsigned n_queues;     /* connected ones; 0 when not connected */
    unsigned max_queues;
    const XenBlkbackStats *stats; /* max_queues of them; valid until xen_blkback_free() */
    int tids[XEN_MAX_QUEUES];     /* thread of each connected queue */
} XenBlkbackInfo;

void xen_blkback_info(XenBlkback *d, XenBlkbackInfo *ret_info);

#endif
