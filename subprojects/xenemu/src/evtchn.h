/*
 * A handle of event channels: its ports, and who makes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef XENEMU_EVTCHN_H
#define XENEMU_EVTCHN_H

#include "port-set.h"
#include "xenemu.h"

typedef struct EvtchnOps {
    /* The port, 0 or a status; or -errno. */
    int (*alloc_unbound)(XenemuEvtchn *e, uint16_t domid);
    int (*bind_interdomain)(XenemuEvtchn *e, uint16_t domid, uint32_t remote_port);
    int (*unbind)(XenemuEvtchn *e, uint32_t port);
    int (*status)(XenemuEvtchn *e, uint32_t port);
    /* 0: go on. */
    int (*fault)(XenemuEvtchn *e, XenemuOp op);
} EvtchnOps;

struct XenemuEvtchn {
    PortSet set;
    const EvtchnOps *ops;
    void *owner; /* XenemuHost or XenemuGuest */
};

/* NULL and errno. */
XenemuEvtchn *evtchn_new(const EvtchnOps *ops, void *owner);

#endif
