/*
 * What a frontend says in XenStore, read and validated for its backend: numbers, and the keys of
 * its queues, all in its directory for one queue, in queue-N below it for more
 * (xen/include/public/io/netif.h and blkif.h). The directory belongs to the guest, who may write
 * there what it likes; what it says counts as a whole or not at all.
 *
 * Main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_XEN_KEYS_H
#define HW_XEN_XEN_KEYS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/xen/ring.h"
#include "hw/xen/xen-queue.h"
#include "hw/xen/xen-store.h"
#include "hw/xen/xenbus-back.h"

/* --- a key --- */

typedef struct XenKeysDir {
    XenStore *store;
    XenTx tx;
    const char *path;
} XenKeysDir;

/* A strict decimal number up to @max. Absent: @ret stays. False: what is there is none. */
bool xen_keys_optional(const XenKeysDir *d, const char *key, uint64_t max, uint64_t *ret,
                       GError **error);
/* The same; it has to be there. @max <= UINT32_MAX. */
bool xen_keys_required(const XenKeysDir *d, const char *key, uint64_t max, uint32_t *ret,
                       GError **error);
/* Absent or 0: false. */
bool xen_keys_flag(const XenKeysDir *d, const char *key, bool *ret, GError **error);
/* An event channel of the frontend's that waits for us; it has to be there. */
bool xen_keys_port(const XenKeysDir *d, const char *key, uint32_t *ret, GError **error);

/* --- those of queues --- */

/* Pages of rings and ports, in the order that the kind of device has them. */
typedef struct XenQueueKeys {
    unsigned n_refs;
    unsigned n_ports;
    uint32_t ref[XEN_RING_MAX_PAGES];
    uint32_t port[XEN_QUEUE_MAX_PORTS];
} XenQueueKeys;

typedef struct XenKeys XenKeys;

/* What a kind of device does; @k is embedded in its own keys: container_of(). */
typedef struct XenKeysOps {
    /*
     * Those of the device as a whole, besides multi-queue-num-queues. As the next one: again, if
     * the transaction was disturbed.
     */
    bool (*read_device)(XenKeys *k, const XenKeysDir *d, GError **error);
    /* Those of a queue in its directory, into the zeroed @q. */
    bool (*read_queue)(XenKeys *k, const XenKeysDir *d, XenQueueKeys *q, GError **error);
} XenKeysOps;

struct XenKeys {
    const XenKeysOps *ops;
    unsigned max_queues;  /* that were offered */
    bool single;          /* multi-queue-num-queues does not count: there is one */
    unsigned n_queues;    /* 0: nothing is read yet */
    unsigned n_read;      /* of them */
    XenQueueKeys *queue;  /* max_queues */
};

void xen_keys_init(XenKeys *k, const XenKeysOps *ops, unsigned max_queues);
void xen_keys_done(XenKeys *k); /* fine for a zeroed one */
/*
 * Reads and validates the keys in @fe, which the frontend does not touch while its state asks for
 * a connection: those of some queues in a step, each step in a transaction. No page may be in two
 * places, no port in two queues.
 */
XenbusStep xen_keys_read(XenKeys *k, XenStore *store, const char *fe, GError **error);

/* --- rings of some pages (blkif.h): xen-keys-ring.c --- */

/*
 * ring-page-order of the device, up to @max: each of its rings has 2^order pages. -1: there is
 * none, which says one page and other keys than 0 does.
 */
bool xen_keys_page_order(const XenKeysDir *d, unsigned max, int *ret, GError **error);
/*
 * A queue's only ring: ring-ref for @order -1, else ring-ref0 and so on. Others than those are not
 * looked at: another frontend may have left them.
 */
bool xen_keys_ring(const XenKeysDir *d, int order, XenQueueKeys *q, GError **error);

#endif
