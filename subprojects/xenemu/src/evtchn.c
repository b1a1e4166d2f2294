/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "evtchn.h"

#include <errno.h>
#include <glib.h>

XenemuEvtchn *evtchn_new(const EvtchnOps *ops, void *owner)
{
    XenemuEvtchn *e = g_new0(XenemuEvtchn, 1);
    int r = port_set_init(&e->set);

    if (r < 0) {
        g_free(e);
        errno = -r;
        return NULL;
    }
    e->ops = ops;
    e->owner = owner;
    return e;
}

void xenemu_evtchn_close(XenemuEvtchn *e)
{
    if (!e) {
        return;
    }
    while (e->set.n > 0) {
        e->ops->unbind(e, e->set.ports[0]->number);
    }
    port_set_done(&e->set);
    g_free(e);
}

int xenemu_evtchn_fd(const XenemuEvtchn *e)
{
    return e->set.epfd;
}

int xenemu_evtchn_alloc_unbound(XenemuEvtchn *e, uint16_t domid)
{
    int r = e->ops->fault(e, XENEMU_OP_EVTCHN_ALLOC);

    return r < 0 ? r : e->ops->alloc_unbound(e, domid);
}

int xenemu_evtchn_bind_interdomain(XenemuEvtchn *e, uint16_t domid, uint32_t remote_port)
{
    int r = e->ops->fault(e, XENEMU_OP_EVTCHN_BIND);

    return r < 0 ? r : e->ops->bind_interdomain(e, domid, remote_port);
}

int xenemu_evtchn_unbind(XenemuEvtchn *e, uint32_t port)
{
    int r = e->ops->fault(e, XENEMU_OP_EVTCHN_UNBIND);

    return r < 0 ? r : e->ops->unbind(e, port);
}

int xenemu_evtchn_notify(XenemuEvtchn *e, uint32_t port)
{
    int r = e->ops->fault(e, XENEMU_OP_EVTCHN_NOTIFY);

    return r < 0 ? r : port_set_notify(&e->set, port);
}

int xenemu_evtchn_pending(XenemuEvtchn *e)
{
    return port_set_pending(&e->set);
}

int xenemu_evtchn_unmask(XenemuEvtchn *e, uint32_t port)
{
    int r = e->ops->fault(e, XENEMU_OP_EVTCHN_UNMASK);

    return r < 0 ? r : port_set_unmask(&e->set, port);
}

int xenemu_evtchn_test_and_clear(XenemuEvtchn *e, uint32_t port)
{
    return port_set_test_and_clear(&e->set, port);
}

int xenemu_evtchn_status(XenemuEvtchn *e, uint32_t port)
{
    return e->ops->status(e, port);
}
