/*
 * A frontend that has rings and ports and does nothing by itself, in a Vif without netfront.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIB_VIF_RAW_H
#define TESTS_LIB_VIF_RAW_H

#include "hw/xen/netif.h"
#include "hw/xen/ring.h"
#include "vif.h"

typedef struct Raw {
    Vif v;
    const XenOps *ops;
    XenShare *share;
    XenEvtchn *evtchn;
    unsigned n_queues;
    void *rings[NETIF_MAX_QUEUES];
    uint32_t tx_port[NETIF_MAX_QUEUES];
    uint32_t rx_port[NETIF_MAX_QUEUES]; /* the same: a single event channel */
} Raw;

/*
 * All but the state, with @back_dev and @front_dev of @n_queues. @thread runs all of netback's
 * queues; NULL: each has its own.
 */
void raw_prepare(Raw *r, Netdev *back_dev, Netdev *front_dev, bool split, IoThread *thread);
/* Rings, ports and keys, for a test that has made r->v and netback by itself. */
void raw_make(Raw *r, bool split);
/* Writes it. */
void raw_state(Raw *r, enum xenbus_state state);
/* Closed, and waits until the backend is: pages may go. */
void raw_close(Raw *r);
/* raw_prepare(), and waits until it is connected. */
void raw_up(Raw *r, Netdev *back_dev, Netdev *front_dev, bool split, IoThread *thread);
void raw_down(Raw *r);
/* The same, where netback has let go already: nothing is said to it. */
void raw_free(Raw *r);

#endif
