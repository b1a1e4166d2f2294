/*
 * The emulated Xen's event channels are the same for its host and its guests, once
 * they are open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_XEN_OPS_XENEMU_PORTS_H
#define HW_XEN_OPS_XENEMU_PORTS_H

#include "hw/xen/xen-ops.h"

#include "xenemu.h"

/* Takes what xenemu_*_evtchn_open() returned, and errno if that is NULL. */
XenEvtchn *ops_xenemu_evtchn_new(XenemuEvtchn *h, GError **error);
void ops_xenemu_evtchn_close(XenEvtchn *e);
int ops_xenemu_evtchn_fd(XenEvtchn *e);
int ops_xenemu_evtchn_bind_interdomain(XenEvtchn *e, uint16_t domid, uint32_t remote_port);
int ops_xenemu_evtchn_alloc_unbound(XenEvtchn *e, uint16_t domid);
int ops_xenemu_evtchn_unbind(XenEvtchn *e, uint32_t port);
int ops_xenemu_evtchn_notify(XenEvtchn *e, uint32_t port);
int ops_xenemu_evtchn_pending(XenEvtchn *e);
int ops_xenemu_evtchn_unmask(XenEvtchn *e, uint32_t port);

/* Sets *error from a malloc()ed text, which is freed. */
void ops_xenemu_set_error(GError **error, char *errmsg);

#endif
